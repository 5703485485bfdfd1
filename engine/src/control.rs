//! One flow from start to stop: joins the processes that share it, connects, checks that it may run, owns its share,
//! discovers, mirrors; and keeps all that going while the lane moves records.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kmirror_protocol::client::{ClientError, Topics, txn};
use kmirror_protocol::net::BufferPool;
use thiserror::Error;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::clients::Clients;
use crate::commit::{ProgressError, ProgressStore};
use crate::discovery::{Discovery, HandedOut};
use crate::error::chain;
use crate::flow::drive::{Claim, Driver, EVENTS_MAX, Surroundings};
use crate::flow::event::Event;
use crate::flow::lane::{Lane, LaneOptions};
use crate::flow::workers::Workers;
use crate::ids::{ProducerMark, SourceOffset, SourcePartition};
use crate::jobs::{JobContext, Jobs};
use crate::offsets::store::MapStore;
use crate::plan::{ClusterAlias, FlowPlan, Isolation, LimitPlan, OnLost, Plan, loops};
use crate::progress::Progress;
use crate::share::lease::Lease;
use crate::share::membership::{Membership, Share};
use crate::share::meter::Meter;
use crate::share::shards::Shards;
use crate::status::{FlowStatus, PartitionStatus};

/// Why a flow must not run. It is not retried: a person has to decide.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Source and target are one cluster.
    #[error(
        "flow {flow}: {source_alias} and {target_alias} are the same cluster (cluster.id {cluster_id}): it would copy \
         its own topics for ever. Correct bootstrap.servers, or say --allow-same-cluster if it is meant"
    )]
    SameCluster {
        /// `A->B`
        flow: String,
        /// The source's name in the file.
        source_alias: String,
        /// The target's name in the file.
        target_alias: String,
        /// What both answered.
        cluster_id: String,
    },
    /// Flows would bring a topic back to where it came from.
    #[error(
        "the flows form a loop: {path}. A topic like {topic} would go round for ever. Correct bootstrap.servers, \
         topics or the replication policy, or say --allow-same-cluster if it is meant"
    )]
    Loop {
        /// The clusters on the way, the first one again at the end.
        path: String,
        /// A topic that would go round.
        topic: String,
    },
}

/// Why a flow is not running yet. It is retried.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Progress(#[from] ProgressError),
}

/// The cluster ids that the flows of this process have seen, by alias: what is one cluster under two names shows
/// only when both have answered.
#[derive(Debug, Default)]
pub(crate) struct SeenClusters(Mutex<BTreeMap<ClusterAlias, Arc<str>>>);

impl SeenClusters {
    fn check(
        &self,
        plan: &Plan,
        flow: &FlowPlan,
        source_id: Option<Arc<str>>,
        target_id: Option<Arc<str>>,
    ) -> Result<(), Refusal> {
        if plan.allow_same_cluster {
            return Ok(());
        }
        if let Some(id) = source_id.as_ref().filter(|id| target_id.as_ref() == Some(*id)) {
            return Err(Refusal::SameCluster {
                flow: flow.name(),
                source_alias: flow.source.to_string(),
                target_alias: flow.target.to_string(),
                cluster_id: id.to_string(),
            });
        }
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (alias, id) in [(&flow.source, source_id), (&flow.target, target_id)] {
            seen.extend(id.map(|id| (alias.clone(), id)));
        }
        let cluster_of =
            |alias: &ClusterAlias| seen.get(alias).map_or_else(|| alias.clone(), |id| ClusterAlias::new(id));
        let flows: Vec<&FlowPlan> = plan.enabled_flows().collect();
        let found = loops::find_loops(&flows, cluster_of).into_iter().find(|one| one.topic.is_some());
        match found {
            Some(found) => Err(Refusal::Loop {
                path: found.closed_path().join(" -> "),
                topic: found.topic.unwrap_or_default(),
            }),
            None => Ok(()),
        }
    }
}

/// What a flow shares with the others of its process.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) plan: Arc<Plan>,
    pub(crate) pool: Arc<BufferPool>,
    pub(crate) workers: Arc<Workers>,
    pub(crate) seen: Arc<SeenClusters>,
    pub(crate) stop: CancellationToken,
}

/// The pause between attempts to start a flow, at most.
const START_PAUSE_MAX: Duration = Duration::from_secs(5);
/// The pause between two looks at the topics when something calls for one, at least.
const LOOK_PAUSE_MIN: Duration = Duration::from_secs(1);
/// The same at most, when what is missing stays missing.
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(30);

/// How often progress and offset maps are written down at the least: commands that run beside the mirror read them, and
/// after a crash so much is read again to find out how far it came.
const KEEP_EVERY: Duration = Duration::from_secs(5);
/// Claims that wait at most.
const CLAIMS_MAX: usize = 64;

/// A share that takes longer is waited for.
const SHARE_SOON: Duration = Duration::from_secs(1);
/// How long partitions that go to another process may take until nothing of them is in flight.
const RELEASE_WITHIN: Duration = Duration::from_secs(30);
/// How often that is looked at.
const RELEASE_LOOK: Duration = Duration::from_millis(5);

/// One flow that is to run.
pub(crate) struct Flow {
    pub(crate) shared: Shared,
    pub(crate) plan: Arc<FlowPlan>,
    pub(crate) status: Arc<FlowStatus>,
    pub(crate) clients: Clients,
    pub(crate) limits: watch::Receiver<Arc<LimitPlan>>,
}

impl Flow {
    /// Runs until the stop signal; then what is in flight is awaited and progress is written.
    ///
    /// # Errors
    /// A refusal. Everything else is retried and shown in the status.
    pub(crate) async fn run(self) -> Result<(), Refusal> {
        // First of all, since the group's answer takes its time, and needs no source.
        let mut member = Membership::start(&self.plan, &self.status);
        let ended = self.run_as(&mut member).await;
        member.leave().await;
        ended
    }

    async fn run_as(&self, member: &mut Membership) -> Result<(), Refusal> {
        let trouble: Arc<str> = self.plan.name().into();
        let mut pause = self.plan.source_client.retry_backoff;
        loop {
            let started = tokio::select! {
                () = self.shared.stop.cancelled() => return Ok(()),
                started = self.start(member) => started,
            };
            match started {
                Ok(running) => {
                    self.status.set_trouble(&trouble, None);
                    running.run(member).await;
                    return Ok(());
                }
                Err(StartError::Refused(refusal)) => return Err(refusal),
                Err(error) => {
                    let text = chain(&error);
                    warn!(flow = &*trouble, "cannot start yet: {text}; trying again in {pause:?}");
                    self.status.set_trouble(&trouble, Some(text.into()));
                }
            }
            tokio::select! {
                () = self.shared.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(START_PAUSE_MAX),
            }
        }
    }

    /// Joins, and takes up what this process may run.
    async fn start(&self, member: &mut Membership) -> Result<Running, StartError> {
        let Clients { source, target, source_admin, target_admin } = &self.clients;
        let (source_metadata, target_metadata) =
            tokio::try_join!(source_admin.refresh(Topics::None), target_admin.refresh(Topics::All))?;
        self.shared.seen.check(
            &self.shared.plan,
            &self.plan,
            source_metadata.cluster_id.clone(),
            target_metadata.cluster_id.clone(),
        )?;
        // Only now, when nobody else writes what is ours, is read how far it was mirrored.
        let share = self.wait_for_share(member).await;
        let identity = async { Ok::<_, StartError>(txn::init_producer_id(target).await?) };
        let progress = async {
            Ok::<_, StartError>(
                ProgressStore::open(&self.plan, target, target_admin, &target_metadata).await?,
            )
        };
        let maps = async {
            Ok::<_, StartError>(MapStore::open(&self.plan, target, target_admin, &target_metadata).await?)
        };
        let (identity, mut progress, mut maps) = tokio::try_join!(identity, progress, maps)?;
        let (identity, status) = (identity.into(), || Arc::clone(&self.status));
        let lane = Lane::new(self.lane_options(), identity, status(), std::time::Instant::now());
        let mut discovery = Discovery::new(Arc::clone(&self.plan), &self.clients, identity, status());
        discovery.own(share.shards.clone());
        let changes = discovery.look(&mut progress, &mut maps).await?;
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let (claims, claimed) = mpsc::channel(CLAIMS_MAX);
        let rediscover = Arc::new(Notify::new());
        let around = Surroundings {
            source: source.clone(),
            target: target.clone(),
            target_admin: target_admin.clone(),
            plan: Arc::clone(&self.plan),
            pool: Arc::clone(&self.shared.pool),
            claims,
            rediscover: Arc::clone(&rediscover),
            workers: Arc::clone(&self.shared.workers),
            lease: Arc::clone(&member.lease),
            stop: self.shared.stop.clone(),
            limits: self.limits.clone(),
        };
        // The queue is empty and has room for this one.
        let _ = sender.try_send(Event::Assign(changes.assign));
        if changes.again {
            rediscover.notify_one();
        }
        info!(flow = self.plan.name(), partitions = self.status.partitions().len(), "mirroring");
        let driver = tokio::spawn(Driver::new(lane, around, sender.clone(), events).run());
        let drained = CancellationToken::new();
        let jobs = Jobs::start(&JobContext {
            plan: Arc::clone(&self.plan),
            clients: self.clients.clone(),
            status: Arc::clone(&self.status),
            rediscover: Arc::clone(&rediscover),
            stop: self.shared.stop.clone(),
            drained: drained.clone(),
        });
        member.has(share.shards, Vec::new());
        Ok(Running {
            plan: Arc::clone(&self.plan),
            status: Arc::clone(&self.status),
            losses: share.losses,
            unread: false,
            meter: Meter::new(Instant::now()),
            stop: self.shared.stop.clone(),
            discovery,
            progress,
            maps,
            maps_unkept: false,
            events: sender,
            claims: claimed,
            rediscover,
            driver,
            jobs,
            drained,
            looked: Instant::now(),
            pause: LOOK_PAUSE_MIN,
        })
    }

    /// Both clusters answer: from here on it is others that are waited for, if anything is.
    async fn wait_for_share(&self, member: &mut Membership) -> Share {
        if let Ok(share) = tokio::time::timeout(SHARE_SOON, member.begin()).await {
            return share;
        }
        self.status.set_waiting(true);
        let share = member.begin().await;
        self.status.set_waiting(false);
        share
    }

    fn lane_options(&self) -> LaneOptions {
        let (fetch, produce) = (&self.plan.fetch, &self.plan.produce);
        let bytes = |value: i32| usize::try_from(value).unwrap_or(0);
        LaneOptions {
            fetch_max_wait: fetch.max_wait,
            fetch_min_bytes: fetch.min_bytes,
            fetch_max_bytes: bytes(fetch.max_bytes),
            far_fetch_max_bytes: bytes(fetch.far_max_bytes),
            fetch_max_partition_bytes: bytes(fetch.max_partition_bytes),
            read_committed: fetch.isolation == Isolation::ReadCommitted,
            rack: fetch.rack.as_deref().unwrap_or_default().into(),
            acks: produce.acks,
            produce_timeout: produce.request_timeout,
            max_request_bytes: produce.max_request_bytes,
            max_in_flight: produce.max_in_flight,
            retry_backoff: self.plan.target_client.retry_backoff,
            retry_backoff_max: self.plan.target_client.retry_backoff_max,
            stop_on_lost_records: self.plan.on_lost_records == OnLost::StopPartition,
            on_refused: self.plan.on_refused,
        }
    }
}

/// A flow that started.
struct Running {
    plan: Arc<FlowPlan>,
    status: Arc<FlowStatus>,
    /// How often everything was taken away, see [`Share`](crate::share::membership::Share).
    losses: u32,
    /// Others may have written progress and maps since they were read.
    unread: bool,
    meter: Meter,
    stop: CancellationToken,
    discovery: Discovery,
    progress: ProgressStore,
    maps: MapStore,
    /// Writing them failed the last time.
    maps_unkept: bool,
    events: mpsc::Sender<Event>,
    claims: mpsc::Receiver<Claim>,
    rediscover: Arc<Notify>,
    driver: tokio::task::JoinHandle<()>,
    jobs: Jobs,
    /// See [`JobContext`].
    drained: CancellationToken,
    /// When topics were looked at last, and how long to wait until the next look that is not due by itself.
    looked: Instant,
    pause: Duration,
}

impl Running {
    async fn run(mut self, member: &mut Membership) {
        let flush_every = self.plan.offset_flush_interval.min(KEEP_EVERY);
        let mut flush = tokio::time::interval(flush_every);
        flush.reset();
        let refresh_every = self.plan.refresh_topics;
        let mut refresh = tokio::time::interval(refresh_every.unwrap_or(Duration::MAX / 4));
        refresh.reset();
        // Kept here: what is awaited below is dropped whenever something else comes first.
        let mut called = false;
        loop {
            let earliest = self.looked + self.pause;
            tokio::select! {
                () = self.stop.cancelled() => break,
                _ = flush.tick() => {
                    member.costs(self.meter.look(&self.status.partitions(), Instant::now()));
                    self.write_progress(&member.lease).await;
                }
                Some(claim) = self.claims.recv() => self.write_claim(claim, &member.lease).await,
                Ok(()) = member.share.changed() => self.own(member).await,
                _ = refresh.tick(), if refresh_every.is_some() => self.look().await,
                () = self.rediscover.notified(), if !called => called = true,
                () = tokio::time::sleep_until(earliest), if called => {
                    called = false;
                    self.look().await;
                }
            }
        }
        if let Err(error) = (&mut self.driver).await {
            warn!(flow = self.plan.name(), "the flow's lane ended badly: {error}");
        }
        self.drained.cancel();
        self.write_progress(&member.lease).await;
        member.leave().await;
        self.jobs.ended(&self.plan.name()).await;
    }

    /// Takes up what this process may run now, after it has let go of what it may not. The rest is not touched.
    async fn own(&mut self, member: &mut Membership) {
        let share = member.share.borrow_and_update().clone();
        if std::mem::replace(&mut self.losses, share.losses) != share.losses {
            // It may be somebody else's already: nothing is written any more.
            let lost = self.discovery.own(Shards::NONE);
            let _ = self.events.send(Event::Revoke(sources(&lost))).await;
            self.forget(&lost);
        }
        let foreign = self.discovery.own(share.shards.clone());
        if !foreign.is_empty() {
            self.let_go(foreign, &member.lease).await;
        }
        member.has(share.shards, self.meter.look(&self.status.partitions(), Instant::now()));
        self.unread = true;
        self.look().await;
        info!(flow = self.plan.name(), partitions = self.status.partitions().len(), "shared out");
    }

    /// Gives partitions to another process: what is in flight is awaited, then their maps and progress are written.
    async fn let_go(&mut self, partitions: Vec<HandedOut>, lease: &Lease) {
        let released = partitions.iter().map(|(status, _)| Arc::clone(status)).collect();
        let _ = self.events.send(Event::Release(released)).await;
        let until = Instant::now() + RELEASE_WITHIN;
        let is_released = |(status, _): &HandedOut| status.is_released();
        while !partitions.iter().all(is_released) && Instant::now() < until && !self.driver.is_finished() {
            tokio::time::sleep(RELEASE_LOOK).await;
        }
        let _ = self.events.send(Event::Revoke(sources(&partitions))).await;
        self.write_down(&partitions, lease).await;
        self.forget(&partitions);
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
        self.unread = false;
        Ok(())
    }

    /// Looks at the topics again; what could not be done is tried again after a growing pause.
    async fn look(&mut self) {
        let read = if self.unread { self.read_again().await } else { Ok(()) };
        let looked = match read {
            Ok(()) => {
                let looked = self.discovery.look(&mut self.progress, &mut self.maps).await;
                looked.map_err(StartError::from)
            }
            Err(error) => Err(error),
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

    /// Writes down offset maps. What fails is written the next time.
    async fn keep(&mut self, partitions: &[HandedOut]) {
        let kept = self.maps.keep(partitions.iter().cloned()).await;
        if let Err(error) = &kept
            && !self.maps_unkept
        {
            warn!(flow = self.plan.name(), "{}; will be tried again", chain(error));
        }
        self.maps_unkept = kept.is_err();
    }

    /// A partition is going to be written under a new identity.
    async fn write_claim(&mut self, claim: Claim, lease: &Lease) {
        let known = self.discovery.partitions().find(|(status, _)| status.source == claim.partition);
        let Some((status, topic_id)) = known.filter(|_| lease.holds()) else { return };
        let progress = progress_of(status, topic_id, (claim.next, Some(claim.mark)));
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
        let all: Vec<HandedOut> =
            self.discovery.partitions().map(|(status, id)| (Arc::clone(status), id)).collect();
        self.write_down(&all, lease).await;
    }

    /// Maps first: progress that is further than they are would leave positions between that nobody knows. Nothing is
    /// written when somebody else may go on already.
    async fn write_down(&mut self, partitions: &[HandedOut], lease: &Lease) {
        if lease.holds() {
            self.keep(partitions).await;
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
) -> Progress {
    let leader_epoch = status.epoch_before(next);
    Progress { partition: status.source.clone(), next, topic_id, leader_epoch, producer }
}

/// Writes down how far each partition is. What fails is written the next time.
async fn write_progress(plan: &FlowPlan, partitions: &[HandedOut], store: &mut ProgressStore) {
    let progress = partitions
        .iter()
        .filter(|(status, _)| status.acknowledged_next().0 > 0 && status.has_moved())
        .map(|(status, topic_id)| progress_of(status, *topic_id, status.acknowledged()))
        .collect();
    if let Err(error) = store.write(progress).await {
        warn!(flow = plan.name(), "{}; will be tried again", chain(&error));
    }
}
