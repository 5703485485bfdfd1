//! A flow that has started: keeps it going while its lane moves records. It hands out partitions and takes them back, writes
//! progress and offset maps down, in transactions ends these, and stops in good order.
//!
//! Must not know how a flow starts.

use std::sync::Arc;
use std::time::Duration;

use kmirror_protocol::client::Cluster;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::commit::ProgressStore;
use crate::control::StartError;
use crate::discovery::{Changes, Discovery, HandedOut};
use crate::error::chain;
use crate::flow::drive::Claim;
use crate::flow::event::{Cause, Event};
use crate::ids::{ProducerMark, SourceOffset, SourcePartition};
use crate::jobs::Jobs;
use crate::offsets::store::{MapError, MapStore};
use crate::plan::FlowPlan;
use crate::progress::Progress;
use crate::share::lease::Lease;
use crate::share::membership::Membership;
use crate::share::meter::Meter;
use crate::share::shards::Shards;
use crate::status::{FlowStatus, PartitionStatus};
use transacting::{LOST, hear, tick};
pub(crate) use transacting::{Transacting, end_former};

mod transacting;

/// The pause between two looks at the topics when something calls for one, at least.
pub(crate) const LOOK_PAUSE_MIN: Duration = Duration::from_secs(1);
/// The same at most, when what is missing stays missing.
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(30);

/// How often progress and offset maps are written down at the least: commands that run beside the mirror read them, and
/// after a crash so much is read again to find out how far it came.
const KEEP_EVERY: Duration = Duration::from_secs(5);
/// How long partitions that go to another process may take until nothing of them is in flight.
const RELEASE_WITHIN: Duration = Duration::from_secs(30);
/// How often that is looked at.
const RELEASE_LOOK: Duration = Duration::from_millis(5);

/// How mirroring ended.
pub(crate) enum Ended {
    /// By the stop signal, in good order.
    Stopped,
    /// The transaction could not be ended: all begins anew where the last one ended.
    Aborted(Cause),
}

/// A flow that started.
pub(crate) struct Running {
    pub(crate) plan: Arc<FlowPlan>,
    pub(crate) status: Arc<FlowStatus>,
    /// How often everything was taken away, see [`Share`](crate::share::membership::Share).
    pub(crate) losses: u32,
    /// Others may have written progress and maps since they were read.
    pub(crate) unread: bool,
    pub(crate) meter: Meter,
    /// Also ends the jobs.
    pub(crate) stop: CancellationToken,
    pub(crate) target: Cluster,
    pub(crate) discovery: Discovery,
    pub(crate) progress: ProgressStore,
    pub(crate) maps: MapStore,
    /// Writing them failed the last time.
    pub(crate) maps_unkept: bool,
    /// How records are written in transactions, if they are.
    pub(crate) transacting: Option<Transacting>,
    /// Partitions that go to another process, until what was sent of them is written down.
    pub(crate) letting_go: Vec<HandedOut>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) claims: mpsc::Receiver<Claim>,
    pub(crate) rediscover: Arc<Notify>,
    pub(crate) driver: tokio::task::JoinHandle<()>,
    pub(crate) jobs: Jobs,
    /// See [`JobContext`].
    pub(crate) drained: CancellationToken,
    /// When topics were looked at last, and how long to wait until the next look that is not due by itself.
    pub(crate) looked: Instant,
    pub(crate) pause: Duration,
}

impl Running {
    /// Mirrors until the stop signal, or until a transaction cannot be ended.
    pub(crate) async fn run(mut self, member: &mut Membership) -> Ended {
        if let Err(cause) = self.mirror(member).await {
            self.drop_all().await;
            return Ended::Aborted(cause);
        }
        if let Err(error) = (&mut self.driver).await {
            warn!(flow = self.plan.name(), "the flow's lane ended badly: {error}");
        }
        self.drained.cancel();
        if self.transacting.is_some() {
            self.end_last_transaction(member).await;
        } else {
            self.write_progress(&member.lease).await;
        }
        member.leave().await;
        self.jobs.ended(&self.plan.name()).await;
        Ended::Stopped
    }

    /// What is in memory is not to be relied on any more.
    async fn drop_all(mut self) {
        self.driver.abort();
        let _ = (&mut self.driver).await;
        self.stop.cancel();
        self.drained.cancel();
        self.jobs.ended(&self.plan.name()).await;
        let all = self.discovery.partitions().map(|(status, _)| status.source.clone());
        let letting_go = self.letting_go.iter().map(|(status, _)| status.source.clone());
        all.chain(letting_go).for_each(|source| self.status.remove(&source));
    }

    async fn mirror(&mut self, member: &mut Membership) -> Result<(), Cause> {
        let flush_every = self.plan.offset_flush_interval.min(KEEP_EVERY);
        let mut flush = tokio::time::interval(flush_every);
        flush.reset();
        let refresh_every = self.plan.refresh_topics;
        let mut refresh = tokio::time::interval(refresh_every.unwrap_or(Duration::MAX / 4));
        refresh.reset();
        let mut boundary = self.transacting.as_ref().map(Transacting::boundary);
        // Kept here: what is awaited below is dropped whenever something else comes first.
        let mut called = false;
        loop {
            let earliest = self.looked + self.pause;
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                _ = flush.tick() => {
                    member.costs(self.meter.look(&self.status.partitions(), Instant::now()));
                    if self.transacting.is_none() {
                        self.write_progress(&member.lease).await;
                    }
                }
                () = tick(&mut boundary) => drop(self.events.send(Event::Close).await),
                said = hear(&mut self.transacting) => self.end_transaction(said, member).await?,
                Some(claim) = self.claims.recv() => self.write_claim(claim, &member.lease).await,
                Ok(()) = member.share.changed() => self.own(member).await?,
                _ = refresh.tick(), if refresh_every.is_some() => self.look().await,
                () = self.rediscover.notified(), if !called => called = true,
                () = tokio::time::sleep_until(earliest), if called => {
                    called = false;
                    self.look().await;
                }
            }
        }
    }

    /// Takes up what this process may run now, after it has let go of what it may not. The rest is not touched.
    async fn own(&mut self, member: &mut Membership) -> Result<(), Cause> {
        let share = member.share.borrow_and_update().clone();
        if self.losses != share.losses && self.transacting.is_some() {
            return Err(LOST.into());
        }
        if std::mem::replace(&mut self.losses, share.losses) != share.losses {
            // It may be somebody else's already: nothing is written any more.
            let lost = self.discovery.own(Shards::NONE);
            let _ = self.events.send(Event::Revoke(sources(&lost))).await;
            self.forget(&lost);
            member.lease.heed(share.losses);
        }
        let foreign = self.discovery.own(share.shards.clone());
        if !foreign.is_empty() {
            self.let_go(foreign, member).await?;
        }
        member.has(share.shards, self.meter.look(&self.status.partitions(), Instant::now()));
        self.unread = true;
        self.look().await;
        info!(flow = self.plan.name(), partitions = self.status.partitions().len(), "shared out");
        Ok(())
    }

    /// Gives partitions to another process: what is in flight is awaited, then their maps and progress are written.
    async fn let_go(&mut self, partitions: Vec<HandedOut>, member: &mut Membership) -> Result<(), Cause> {
        let released = partitions.iter().map(|(status, _)| Arc::clone(status)).collect();
        let _ = self.events.send(Event::Release(released)).await;
        let until = Instant::now() + RELEASE_WITHIN;
        let is_released = |(status, _): &HandedOut| status.is_released();
        self.letting_go = partitions;
        while !self.letting_go.iter().all(is_released) && Instant::now() < until && !self.driver.is_finished()
        {
            tokio::select! {
                () = tokio::time::sleep(RELEASE_LOOK) => {}
                said = hear(&mut self.transacting) => self.end_transaction(said, member).await?,
            }
        }
        if self.transacting.is_some() {
            if !self.letting_go.iter().all(is_released) {
                return Err("what goes to another process was not let go of in time".into());
            }
            self.end_transaction_now(member).await?;
        }
        let partitions = std::mem::take(&mut self.letting_go);
        let _ = self.events.send(Event::Revoke(sources(&partitions))).await;
        match self.transacting.as_ref().map(|one| Arc::clone(one.name())) {
            Some(own) => self.disown(&partitions, &own, &member.lease).await,
            None => self.write_down(&partitions, &member.lease).await,
        }
        self.forget(&partitions);
        Ok(())
    }

    fn forget(&mut self, partitions: &[HandedOut]) {
        let sources = sources(partitions);
        sources.iter().for_each(|source| self.status.remove(source));
        self.maps.give_back(&sources.into_iter().collect());
    }

    /// Reads what others wrote, before anything of theirs is gone on with.
    async fn read_again(&mut self) -> Result<(), StartError> {
        self.progress.refresh(&self.plan).await?;
        self.maps.refresh().await?;
        let (status, own) = (&self.status, self.transacting.as_ref().map(Transacting::name));
        end_former(&self.plan, &self.target, (&mut self.progress, &mut self.maps), own, |one| {
            status.is_ours(one)
        })
        .await?;
        self.unread = false;
        Ok(())
    }

    /// Looks at the topics again; what could not be done is tried again after a growing pause.
    async fn look(&mut self) {
        let stop = self.stop.clone();
        let looked = tokio::select! {
            biased;
            // Clusters that do not answer hold up no stop.
            () = stop.cancelled() => return,
            looked = self.read_and_look() => looked,
        };
        self.looked = Instant::now();
        let again = looked.as_ref().map_or(true, |changes| changes.again);
        self.pause = if again { (self.pause * 2).min(LOOK_PAUSE_MAX) } else { LOOK_PAUSE_MIN };
        if again {
            self.rediscover.notify_one();
        }
        match looked {
            Ok(changes) => {
                if !changes.revoke.is_empty() {
                    let _ = self.events.send(Event::Revoke(changes.revoke)).await;
                }
                if !changes.assign.is_empty() {
                    let _ = self.events.send(Event::Assign(changes.assign)).await;
                }
            }
            Err(error) => {
                warn!(
                    flow = self.plan.name(),
                    "topics cannot be looked at: {}; will be tried again",
                    chain(&error)
                );
            }
        }
    }

    async fn read_and_look(&mut self) -> Result<Changes, StartError> {
        if self.unread {
            self.read_again().await?;
        }
        Ok(self.discovery.look(&mut self.progress, &mut self.maps).await?)
    }

    /// Writes down offset maps. What fails is written the next time.
    async fn keep(&mut self, partitions: &[HandedOut]) -> Result<(), MapError> {
        let kept = self.maps.keep(partitions.iter().cloned()).await;
        if let Err(error) = &kept
            && !self.maps_unkept
        {
            warn!(flow = self.plan.name(), "{}; will be tried again", chain(error));
        }
        self.maps_unkept = kept.is_err();
        kept
    }

    /// A partition is going to be written under a new identity.
    async fn write_claim(&mut self, claim: Claim, lease: &Lease) {
        let known = self.discovery.partitions().find(|(status, _)| status.source == claim.partition);
        let Some((status, topic_id)) = known.filter(|_| lease.holds()) else { return };
        let progress = progress_of(status, topic_id, (claim.next, Some(claim.mark)), None);
        match self.progress.write(vec![progress]).await {
            Ok(()) => {
                status.set_mark(claim.next, claim.mark);
                let _ = claim.written.send(());
            }
            Err(error) => {
                warn!(flow = self.plan.name(), "{}; will be tried again", chain(&error));
            }
        }
    }

    /// Writes down how all partitions stand.
    async fn write_progress(&mut self, lease: &Lease) {
        let all = self.handed_out();
        self.write_down(&all, lease).await;
    }

    fn handed_out(&self) -> Vec<HandedOut> {
        self.discovery.partitions().map(|(status, id)| (Arc::clone(status), id)).collect()
    }

    /// Maps first: progress that is further than they are would leave positions between that nobody knows. Nothing is
    /// written when somebody else may go on already.
    async fn write_down(&mut self, partitions: &[HandedOut], lease: &Lease) {
        if lease.holds() {
            // It has been told; progress is written all the same.
            let _ = self.keep(partitions).await;
        }
        if lease.holds() {
            write_progress(&self.plan, partitions, &mut self.progress).await;
        }
    }
}

fn sources(partitions: &[HandedOut]) -> Vec<SourcePartition> {
    partitions.iter().map(|(status, _)| status.source.clone()).collect()
}

fn progress_of(
    status: &PartitionStatus,
    topic_id: Option<Uuid>,
    (next, producer): (SourceOffset, Option<ProducerMark>),
    transactional_id: Option<Arc<str>>,
) -> Progress {
    let leader_epoch = status.epoch_before(next);
    Progress { partition: status.source.clone(), next, topic_id, leader_epoch, producer, transactional_id }
}

fn moved(partitions: &[HandedOut]) -> impl Iterator<Item = &HandedOut> {
    partitions.iter().filter(|(status, _)| status.acknowledged_next().0 > 0 && status.has_moved())
}

/// Writes down how far each partition is. What fails is written the next time.
async fn write_progress(plan: &FlowPlan, partitions: &[HandedOut], store: &mut ProgressStore) {
    let progress = moved(partitions)
        .map(|(status, topic_id)| progress_of(status, *topic_id, status.acknowledged(), None))
        .collect();
    if let Err(error) = store.write(progress).await {
        warn!(flow = plan.name(), "{}; will be tried again", chain(&error));
    }
}
