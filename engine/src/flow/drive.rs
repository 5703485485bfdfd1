//! Drives a lane: sockets, clock and workers around the pure state.
//!
//! One task owns the lane. Links, questions and re-encodings run beside it and report through one bounded queue.
//! The driver itself never waits for any of them: requests go to a link through a queue that holds as many as the
//! lane may have in flight.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kmirror_protocol::client::offsets::{self, OffsetSpec};
use kmirror_protocol::client::{ClientError, Cluster, Purpose, TopicPartition, Topics, txn};
use kmirror_protocol::net::BufferPool;
use kmirror_protocol::wire::error::ErrorCode;
use kmirror_protocol::wire::fetch::EpochEnd;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::epochs;
use super::event::{Action, Cause, Event, Found, LinkEvent, Note, Recount, Side, Slot};
use super::held::{self, Asked};
use super::lane::Lane;
use super::link::{self, LinkRequest};
use super::partition::NodeId;
use super::position::LogRange;
use super::recount::recount;
use super::remedy;
use super::workers::{Job, Workers};
use crate::clock::now_ms;
use crate::error::chain;
use crate::ids::{Identity, ProducerMark, SourceOffset, SourcePartition};
use crate::plan::{FlowPlan, LimitPlan};
use crate::share::lease::Lease;
use crate::transaction::Transaction;

/// Events that wait for the lane at most.
pub(crate) const EVENTS_MAX: usize = 1024;
/// How long a clean stop waits for the answers to what is in flight.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a driver whose lease is over looks whether it holds again.
const LEASE_PAUSE: Duration = Duration::from_millis(20);
/// Partitions of a flow that are read again at once, to find how far a former writer came: each takes some megabytes.
const RECOUNTS_AT_ONCE: usize = 4;

/// Asks for it to be written down that a partition is written under an identity, from a source offset on.
pub(crate) struct Claim {
    pub(crate) partition: SourcePartition,
    pub(crate) next: SourceOffset,
    pub(crate) mark: ProducerMark,
    /// Answered when it is written down; dropped when it cannot be.
    pub(crate) written: oneshot::Sender<()>,
}

/// What a lane says of its transaction.
#[derive(Debug)]
pub(crate) enum LaneSays {
    /// Nothing of it is in flight: it can be ended, if it `holds` anything.
    Closed { holds: bool },
    /// It cannot count.
    Abort(Cause),
}

/// What a driver needs of its flow.
pub(crate) struct Surroundings {
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
    pub(crate) target_admin: Cluster,
    pub(crate) plan: Arc<FlowPlan>,
    pub(crate) pool: Arc<BufferPool>,
    /// What the pool may grow to.
    pub(crate) far_buffer_bytes: usize,
    /// Where claims go; each is awaited before its partition sends.
    pub(crate) claims: mpsc::Sender<Claim>,
    /// Told when topics should be looked at again.
    pub(crate) rediscover: Arc<Notify>,
    /// Workers for re-encoding, shared by all flows.
    pub(crate) workers: Arc<Workers>,
    /// Nothing is written when it is over.
    pub(crate) lease: Arc<Lease>,
    pub(crate) stop: CancellationToken,
    /// The transaction that records are written in, if there is one.
    pub(crate) transaction: Option<Arc<Transaction>>,
    /// Where the lane says how its transaction stands.
    pub(crate) says: mpsc::Sender<LaneSays>,
    /// The flow's limits, as they are now.
    pub(crate) limits: watch::Receiver<Arc<LimitPlan>>,
}

pub(crate) struct Driver {
    lane: Lane,
    around: Surroundings,
    sender: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
    links: HashMap<(Side, NodeId), mpsc::Sender<LinkRequest>>,
    link_requests_max: usize,
    recounts: Arc<Semaphore>,
    tasks: JoinSet<()>,
}

impl Driver {
    pub(crate) fn new(
        lane: Lane,
        around: Surroundings,
        sender: mpsc::Sender<Event>,
        events: mpsc::Receiver<Event>,
    ) -> Self {
        let link_requests_max = lane.options.max_in_flight + 1;
        let (links, tasks) = (HashMap::new(), JoinSet::new());
        let recounts = Arc::new(Semaphore::new(RECOUNTS_AT_ONCE));
        Self { lane, around, sender, events, links, link_requests_max, recounts, tasks }
    }

    /// Runs until the stop signal and everything in flight is answered, or the drain timeout is over.
    pub(crate) async fn run(mut self) {
        let mut drain_until: Option<Instant> = None;
        self.around.limits.mark_changed();
        loop {
            let unleased = (!self.around.lease.holds()).then(|| Instant::now() + LEASE_PAUSE);
            let deadline = [self.lane.next_deadline(), drain_until, unleased].into_iter().flatten().min();
            tokio::select! {
                () = self.around.stop.cancelled(), if drain_until.is_none() => {
                    drain_until = Some(Instant::now() + DRAIN_TIMEOUT);
                    self.lane.apply(Instant::now(), Event::Drain);
                }
                Ok(()) = self.around.limits.changed() => {
                    let limits = Arc::clone(&self.around.limits.borrow_and_update());
                    self.lane.apply(Instant::now(), Event::Limits(limits));
                }
                Some(event) = self.events.recv() => self.lane.apply(Instant::now(), event),
                () = sleep_until(deadline) => self.lane.apply(Instant::now(), Event::Tick),
            }
            // Asked before: what takes partitions away is in the queue when the lease holds again.
            if self.around.lease.holds() {
                self.apply_waiting();
                self.lane.pump(self.around.pool.available());
            }
            for action in self.lane.take_actions() {
                self.perform(action);
            }
            while self.tasks.try_join_next().is_some() {}
            if self.lane.is_drained() || drain_until.is_some_and(|until| Instant::now() >= until) {
                return;
            }
        }
    }

    fn apply_waiting(&mut self) {
        let now = Instant::now();
        let waiting = std::iter::from_fn(|| self.events.try_recv().ok()).take(EVENTS_MAX);
        for event in waiting {
            self.lane.apply(now, event);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Open(side, node) => self.open(side, node),
            Action::Send { side: Side::Target, node, .. } if !self.around.lease.holds() => {
                self.cut(node);
            }
            Action::Send { side, node, version, body } => {
                let sent =
                    self.links.get(&(side, node)).map(|link| link.try_send(LinkRequest { version, body }));
                if !matches!(sent, Some(Ok(()))) {
                    // The link's task has ended; its own event is on the way.
                    debug!(%side, %node, "a request found its connection closed");
                }
            }
            Action::Reencode { question, entries, begin, mut shape, timestamps } => {
                shape.timestamps = timestamps.map(|rules| rules.at(now_ms()));
                let job = Job { question, entries, begin, shape, reply: self.sender.clone() };
                let workers = Arc::clone(&self.around.workers);
                self.tasks.spawn(async move { workers.hand_over(job).await });
            }
            Action::List(slot, partition) => {
                let cluster = self.around.source.clone();
                self.ask(async move { Event::Listed(slot, log_range(&cluster, &partition).await) });
            }
            Action::EpochEnd(slot, partition, epoch) => {
                let cluster = self.around.source.clone();
                self.ask(async move {
                    Event::EpochEnd(slot, epoch, epoch_end(&cluster, &partition, epoch).await)
                });
            }
            Action::RaiseLimit { question, topic, bytes } => {
                let cluster = self.around.target_admin.clone();
                self.ask(async move {
                    Event::SetAside(question, remedy::raise_limit(&cluster, &topic, bytes).await)
                });
            }
            Action::DeadLetter { question, letter } => {
                let (target, admin) = (self.around.target.clone(), self.around.target_admin.clone());
                let plan = Arc::clone(&self.around.plan);
                self.ask(async move {
                    Event::SetAside(question, remedy::dead_letter(&plan, &target, &admin, letter).await)
                });
            }
            Action::Describe { question, topic, partition, identity, min_in_sync } => {
                let cluster = self.around.target.clone();
                let asked = Asked { partition: (topic, partition), identity, min_in_sync };
                self.ask(async move {
                    let described = held::ask(&cluster, &[asked]).await.pop();
                    Event::Described(question, described.unwrap_or_else(held::no_answer))
                });
            }
            Action::Recount(question, asked) => {
                let (source, target) = (self.around.source.clone(), self.around.target.clone());
                let turn = Arc::clone(&self.recounts);
                self.ask(async move {
                    Event::Recounted(question, recount_in_turn(&turn, &source, &target, &asked).await)
                });
            }
            Action::Renew { question, raised, claim } => {
                let (cluster, claims) = (self.around.target.clone(), self.around.claims.clone());
                self.ask(
                    async move { Event::Renewed(question, renew(&cluster, &claims, raised, claim).await) },
                );
            }
            Action::Join(slots, partitions) => {
                let Some(transaction) = self.around.transaction.clone() else { return };
                let sender = self.sender.clone();
                self.tasks.spawn(async move { join(&transaction, slots, &partitions, &sender).await });
            }
            // There is room: the flow hears one thing of a transaction and then ends it.
            Action::Closed { holds } => drop(self.around.says.try_send(LaneSays::Closed { holds })),
            Action::Abort(cause) => drop(self.around.says.try_send(LaneSays::Abort(cause))),
            Action::Refresh(side) => self.refresh(side),
            Action::GrowMemory => self.grow_memory(),
            Action::Rediscover => self.around.rediscover.notify_one(),
            Action::Note(partition, note) => self.log(&partition, &note),
        }
    }

    /// The process was stopped for so long that somebody else may write what was about to be sent. (What was in a link's
    /// hands by then may still go out, under a sequence that the target's leader has seen or does not expect.)
    fn cut(&mut self, node: NodeId) {
        if self.links.remove(&(Side::Target, node)).is_some() {
            let closed = LinkEvent::Closed("this process was stopped for longer than its session".into());
            self.lane.apply(Instant::now(), Event::Link(Side::Target, node, closed));
        }
    }

    fn grow_memory(&self) {
        let (flow, pool, bytes) = (self.around.plan.name(), &self.around.pool, self.around.far_buffer_bytes);
        if pool.budget() < bytes {
            info!(
                flow,
                "the source is far away: this process may hold {} MiB of records from now on",
                bytes >> 20
            );
        }
        pool.grow(bytes);
    }

    /// Asks something beside the lane; the answer comes as an event.
    fn ask(&mut self, question: impl Future<Output = Event> + Send + 'static) {
        let sender = self.sender.clone();
        self.tasks.spawn(async move {
            let _ = sender.send(question.await).await;
        });
    }

    fn open(&mut self, side: Side, node: NodeId) {
        let (cluster, purpose) = match side {
            Side::Source => (self.around.source.clone(), Purpose::Fetch(0)),
            Side::Target => (self.around.target.clone(), Purpose::Produce(0)),
        };
        let (requests, queue) = mpsc::channel(self.link_requests_max);
        self.links.insert((side, node), requests);
        self.tasks.spawn(link::run(cluster, side, node, purpose, queue, self.sender.clone()));
    }

    fn refresh(&mut self, side: Side) {
        let topics = self.lane.topics(side);
        let cluster = match side {
            Side::Source => self.around.source.clone(),
            Side::Target => self.around.target.clone(),
        };
        self.ask(async move {
            match cluster.refresh(Topics::Named(topics)).await {
                Ok(metadata) => Event::Metadata(side, metadata),
                Err(error) => Event::RefreshFailed(side, chain(&error).into()),
            }
        });
    }

    fn log(&self, partition: &SourcePartition, note: &Note) {
        let flow = self.lane.status.name();
        match note {
            Note::Retrying(_)
            | Note::Lost(_)
            | Note::PossibleDuplicates(_)
            | Note::TargetLost(_)
            | Note::DeadLettered(..)
            | Note::LimitRaised(_)
            | Note::CutTransaction
            | Note::Stopped(_) => {
                warn!(flow, %partition, "{note}");
            }
            Note::Resumed(_) => info!(flow, %partition, "{note}"),
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// The offsets a source partition holds.
async fn log_range(cluster: &Cluster, partition: &SourcePartition) -> Result<LogRange, Cause> {
    let ask = async |spec| {
        let one = (Arc::clone(&partition.topic), partition.partition, spec);
        let answers =
            offsets::list_offsets(cluster, &[one]).await.map_err(|error| Cause::from(chain(&error)))?;
        match answers.into_iter().next() {
            Some((_, Ok(at))) => Ok(SourceOffset(at.offset)),
            Some((_, Err(code))) => Err(Cause::from(format!("listing the source's offsets failed: {code}"))),
            None => Err("listing the source's offsets gave no answer".into()),
        }
    };
    Ok(LogRange { earliest: ask(OffsetSpec::Earliest).await?, latest: ask(OffsetSpec::Latest).await? })
}

/// Where the leader has the end of an epoch; `None` where it cannot tell (before Kafka 2.1).
async fn epoch_end(
    cluster: &Cluster,
    partition: &SourcePartition,
    epoch: i32,
) -> Result<Option<EpochEnd>, Cause> {
    let asked = [(Arc::clone(&partition.topic), partition.partition, epoch)];
    let answers = offsets::end_offsets_of_epochs(cluster, &asked).await;
    let answer = answers.map_err(|error| Cause::from(chain(&error)))?.into_iter().next();
    match answer {
        Some((_, Ok(end))) => Ok((end.epoch >= 0).then_some(end)),
        Some((_, Err(ErrorCode::UnsupportedVersion))) => Ok(None),
        Some((_, Err(code))) => {
            Err(format!("asking the source where epoch {epoch} ends failed: {code}").into())
        }
        None => Err(format!("asking the source where epoch {epoch} ends gave no answer").into()),
    }
}

async fn recount_in_turn(
    turn: &Semaphore,
    source: &Cluster,
    target: &Cluster,
    asked: &Recount,
) -> Result<Option<Found>, Cause> {
    // The semaphore is never closed.
    let _turn = turn.acquire().await;
    if let Some(epoch) = asked.epoch {
        let end = epoch_end(source, &asked.source, epoch).await?;
        if end.is_some_and(|end| epochs::parts(end, epoch, asked.from)) {
            // Even what was mirrored before is no longer at the source: the first fetch finds out since when.
            return Ok(None);
        }
    }
    recount(source, target, asked).await.map_err(|error| chain(&error).into())
}

/// Has partitions taken into the transaction: all at once, or one by one where that is refused for the sake of one.
async fn join(
    transaction: &Transaction,
    slots: Vec<Slot>,
    partitions: &[TopicPartition],
    events: &mpsc::Sender<Event>,
) {
    match answer_to_join(slots, transaction.join(partitions).await) {
        Ok(event) => drop(events.send(event).await),
        Err(slots) => {
            for (slot, partition) in slots.into_iter().zip(partitions) {
                let joined = transaction.join(std::slice::from_ref(partition)).await;
                if let Ok(event) = answer_to_join(vec![slot], joined) {
                    let _ = events.send(event).await;
                }
            }
        }
    }
}

/// What the lane is told; the slots again where one of several is to blame.
fn answer_to_join(slots: Vec<Slot>, joined: Result<(), ClientError>) -> Result<Event, Vec<Slot>> {
    use ErrorCode::{InvalidTopic, TopicAuthorizationFailed, UnknownTopicOrPartition};
    let Err(error) = joined else { return Ok(Event::Joined(slots, Ok(()))) };
    let cause: Cause = chain(&error).into();
    match (error.code(), &*slots) {
        (Some(code @ (InvalidTopic | TopicAuthorizationFailed | UnknownTopicOrPartition)), slot) => {
            match slot {
                [slot] => Ok(Event::NotJoined(*slot, cause, code)),
                _ => Err(slots),
            }
        }
        _ => Ok(Event::Joined(slots, Err(cause))),
    }
}

/// The raised identity or a new one, written down with where the partition begins to be written under it.
async fn renew(
    cluster: &Cluster,
    claims: &mpsc::Sender<Claim>,
    raised: Option<Identity>,
    claim: Option<(SourcePartition, SourceOffset)>,
) -> Result<Identity, Cause> {
    let identity = match raised {
        Some(raised) => raised,
        None => txn::init_producer_id(cluster).await.map_err(|error| Cause::from(chain(&error)))?.into(),
    };
    let Some((partition, next)) = claim else { return Ok(identity) };
    let (written, done) = oneshot::channel();
    let claim = Claim { partition, next, mark: ProducerMark { identity, sequence: 0 }, written };
    let unwritten = || Cause::from("the identity it is written under could not be written down");
    claims.send(claim).await.map_err(|_| unwritten())?;
    done.await.map_err(|_| unwritten())?;
    Ok(identity)
}
