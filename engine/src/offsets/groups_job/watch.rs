//! Watches the source's `__consumer_offsets`, to learn at once which groups moved, and of topics and partitions that
//! somebody reads already and the flow does not know yet. Polling goes on beside it, so that what is missed here is only
//! later.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kmirror_protocol::client::tail::Tail;
use kmirror_protocol::client::{ClientError, Cluster};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use super::{GroupsJob, is_forbidden};
use crate::error::chain;
use crate::ids::SourcePartition;
use crate::jobs::JobContext;
use crate::offsets::newcomers::Newcomers;
use crate::offsets::offsets_topic::Moved;

/// The topic where coordinators keep positions.
const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// The pause before the topic is looked for again: it is made with the first commit of a cluster.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Groups that wait to be looked at. Those beyond them wait for the next poll.
const WAITING_MAX: usize = 100_000;

/// A watch, which ends when it is dropped.
pub(super) struct Watch {
    waiting: Arc<Waiting>,
    task: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Waiting {
    found: Mutex<Found>,
    some: Notify,
}

/// What a watch found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Groups that moved.
    pub(super) moved: BTreeSet<Arc<str>>,
    /// The watch began anew: groups it knows nothing of may have moved before.
    pub(super) anew: bool,
}

impl Waiting {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, group: Arc<str>) {
        let mut found = self.found();
        if found.moved.len() < WAITING_MAX {
            found.moved.insert(group);
        }
        drop(found);
        self.some.notify_one();
    }

    fn begins(&self) {
        self.found().anew = true;
        self.some.notify_one();
    }
}

impl Watch {
    /// Watches if the plan says so.
    pub(super) fn start(job: &GroupsJob) -> Self {
        let waiting = Arc::new(Waiting::default());
        let follower = Follower {
            flow: job.flow.clone(),
            source: job.source.clone(),
            context: job.context.clone(),
            waiting: Arc::clone(&waiting),
            newcomers: Newcomers::default(),
        };
        let task = job.context.plan.sync.watch_groups.then(|| tokio::spawn(follower.watch()));
        Self { waiting, task }
    }

    /// What was found, gathered for a while; waits until there is something. Whoever gives up before loses nothing.
    pub(super) async fn found(&self, gather: Duration) -> Found {
        while {
            let found = self.waiting.found();
            found.moved.is_empty() && !found.anew
        } {
            self.waiting.some.notified().await;
        }
        tokio::time::sleep(gather).await;
        std::mem::take(&mut *self.waiting.found())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// What the watching task has.
struct Follower {
    flow: String,
    source: Cluster,
    context: JobContext,
    waiting: Arc<Waiting>,
    newcomers: Newcomers,
}

impl Follower {
    async fn watch(mut self) {
        let mut told = false;
        loop {
            let Err(error) = self.follow().await;
            let flow = self.flow.as_str();
            if is_forbidden(&error) {
                warn!(
                    flow,
                    "groups are looked at every sync.group.offsets.interval.seconds and \
                     emit.checkpoints.interval.seconds only: following {OFFSETS_TOPIC} takes \
                     the right READ for it on the source cluster {}",
                    self.source.alias()
                );
                return;
            }
            if !told && !super::is_absent(&error) {
                warn!(
                    flow,
                    "groups that move are not noticed at once: {}; will be tried again",
                    chain(&error)
                );
                told = true;
            }
            debug!(flow, "{}", chain(&error));
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn follow(&mut self) -> Result<std::convert::Infallible, ClientError> {
        let mut tail = Tail::begin(&self.source, &Arc::from(OFFSETS_TOPIC)).await?;
        info!(flow = self.flow, topic = OFFSETS_TOPIC, "watching groups");
        self.waiting.begins();
        let mut moved = Moved::default();
        let mut failed = false;
        loop {
            let each = |_, entry| {
                moved.take(&entry, |one| {
                    self.notice(&one.partition);
                    self.waiting.add(one.group);
                });
            };
            let read = tail.read(each).await;
            match read {
                Ok(()) => failed = false,
                // Once may pass: brokers restart.
                Err(error) if failed || is_forbidden(&error) => return Err(error),
                Err(_) => {
                    failed = true;
                    tokio::time::sleep(self.source.backoff().failed()).await;
                }
            }
        }
    }

    /// Somebody has a position in this partition. If it should be mirrored here and is not, topics are looked at again.
    fn notice(&mut self, partition: &SourcePartition) {
        let JobContext { plan, status, rediscover, .. } = &self.context;
        if !status.is_ours(partition) {
            return;
        }
        let is_known = status.has(partition);
        let is_wanted = |topic: &str| plan.refresh_topics.is_some() && plan.decide(topic).is_ok();
        if self.newcomers.call_for_a_look(partition, Instant::now(), is_known, is_wanted) {
            debug!(flow = self.flow, %partition, "somebody reads what is not mirrored yet: looking at the topics");
            rediscover.notify_one();
        }
    }
}
