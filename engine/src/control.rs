//! One flow from start to stop: joins the processes that share it, connects, checks that it may run, owns its share,
//! discovers, mirrors; and keeps all that going while the lane moves records.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kmirror_protocol::client::{ClientError, Metadata, Topics, txn};
use kmirror_protocol::net::{BufferPool, NetError};
use thiserror::Error;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::clients::Clients;
use crate::commit::{ProgressError, ProgressStore};
use crate::discovery::Discovery;
use crate::error::chain;
use crate::flow::drive::{Driver, EVENTS_MAX, Surroundings};
use crate::flow::event::Event;
use crate::flow::lane::{Lane, LaneOptions};
use crate::flow::lane_transaction::TransactionOptions;
use crate::flow::workers::Workers;
use crate::ids::Identity;
use crate::jobs::{JobContext, Jobs};
use crate::offsets::store::MapStore;
use crate::plan::{ClusterAlias, FlowPlan, Isolation, LimitPlan, OnLost, Plan, loops};
use crate::running::{Ended, LOOK_PAUSE_MIN, Running, Transacting, end_former};
use crate::share::membership::{Membership, Share};
use crate::share::meter::Meter;
use crate::share::shards::Shards;
use crate::status::FlowStatus;
use crate::transaction::Transaction;

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

impl StartError {
    /// Whether certificates or logins are to blame.
    fn is_security(&self) -> bool {
        match self {
            Self::Client(source) | Self::Progress(ProgressError::Read { source, .. }) => {
                source.net().is_some_and(NetError::is_security)
            }
            Self::Refused(_) | Self::Progress(_) => false,
        }
    }
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
/// A share that takes longer is waited for.
const SHARE_SOON: Duration = Duration::from_secs(1);
/// Claims that wait at most.
const CLAIMS_MAX: usize = 64;
/// What a lane says of a transaction before the flow has heard it.
const SAYINGS_MAX: usize = 16;

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
        let first_pause = self.plan.source_client.retry_backoff;
        let mut pause = first_pause;
        // Kept over all attempts: who takes it again ends what it left open itself.
        let transactional_id = self.transactional_id();
        loop {
            let started = tokio::select! {
                () = self.shared.stop.cancelled() => return Ok(()),
                started = self.start(member, &transactional_id) => started,
            };
            match started {
                Ok(running) => {
                    self.status.set_trouble(&trouble, None);
                    self.status.set_denied(false);
                    match running.run(member).await {
                        Ended::Stopped => return Ok(()),
                        Ended::Aborted(cause) => {
                            warn!(flow = &*trouble, "a transaction is aborted, and written again: {cause}");
                            self.status.counters.add_transaction(false);
                            pause = first_pause;
                        }
                    }
                }
                Err(StartError::Refused(refusal)) => return Err(refusal),
                Err(error) => {
                    let text = chain(&error);
                    let denied = error.is_security();
                    if denied {
                        pause = START_PAUSE_MAX;
                    }
                    self.status.set_denied(denied);
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

    /// A transactional id that no other process has.
    fn transactional_id(&self) -> String {
        let share = &self.plan.share;
        // The standard library seeds its hashers at random.
        let random = || RandomState::new().hash_one(0u8);
        let unique = || Uuid::from_u64_pair(random(), random()).to_string();
        let instance = share.instance_id.clone().unwrap_or_else(unique);
        format!("{}-{instance}", share.group)
    }

    /// Joins, and takes up what this process may run.
    async fn start(&self, member: &mut Membership, id: &str) -> Result<Running, StartError> {
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
        let (identity, mut progress, mut maps, transaction) =
            self.former_work(id, &target_metadata, &share.shards).await?;
        let status = || Arc::clone(&self.status);
        let options = self.lane_options(transaction.as_ref());
        let lane = Lane::new(options, identity, status(), std::time::Instant::now());
        let mut discovery = Discovery::new(Arc::clone(&self.plan), &self.clients, identity, status());
        discovery.own(share.shards.clone());
        let changes = discovery.look(&mut progress, &mut maps).await?;
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let (claims, claimed) = mpsc::channel(CLAIMS_MAX);
        let (says, said) = mpsc::channel(SAYINGS_MAX);
        let rediscover = Arc::new(Notify::new());
        let stop = self.shared.stop.child_token();
        let around = Surroundings {
            source: source.clone(),
            target: target.clone(),
            target_admin: target_admin.clone(),
            plan: Arc::clone(&self.plan),
            pool: Arc::clone(&self.shared.pool),
            far_buffer_bytes: self.shared.plan.buffer.far_bytes,
            claims,
            rediscover: Arc::clone(&rediscover),
            workers: Arc::clone(&self.shared.workers),
            lease: Arc::clone(&member.lease),
            stop: stop.clone(),
            transaction: transaction.clone(),
            says,
            limits: self.limits.clone(),
        };
        member.lease.heed(share.losses);
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
            stop: stop.clone(),
            drained: drained.clone(),
        });
        member.has(share.shards, Vec::new());
        Ok(Running {
            plan: Arc::clone(&self.plan),
            status: Arc::clone(&self.status),
            losses: share.losses,
            unread: false,
            meter: Meter::new(Instant::now()),
            stop,
            target: target.clone(),
            discovery,
            progress,
            maps,
            maps_unkept: false,
            transacting: transaction
                .zip(self.plan.transactions.clone())
                .map(|(transaction, plan)| Transacting { transaction, plan, says: said }),
            letting_go: Vec::new(),
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

    /// As whom to write, and what others wrote before: asked all at once unless their transactions have to end first.
    async fn former_work(
        &self,
        id: &str,
        target_metadata: &Metadata,
        shards: &Shards,
    ) -> Result<(Identity, ProgressStore, MapStore, Option<Arc<Transaction>>), StartError> {
        let Clients { target, target_admin, .. } = &self.clients;
        let plan = &self.plan;
        let open = async |transaction: Option<&Arc<Transaction>>| {
            let progress = async {
                let opened = ProgressStore::open(plan, target, transaction, target_admin, target_metadata);
                Ok::<_, StartError>(opened.await?)
            };
            let maps =
                async { Ok(MapStore::open(plan, target, transaction, target_admin, target_metadata).await?) };
            tokio::try_join!(progress, maps)
        };
        let (identity, transaction, (mut progress, mut maps)) = match &plan.transactions {
            None => {
                let identity = async { Ok(txn::init_producer_id(target).await?) };
                let (identity, stores) = tokio::try_join!(identity, open(None))?;
                (identity.into(), None, stores)
            }
            Some(transactions) => {
                let transaction = Arc::new(Transaction::begin(target, id, transactions.timeout).await?);
                let stores = open(Some(&transaction)).await?;
                (transaction.identity(), Some(transaction), stores)
            }
        };
        let own = transaction.as_ref().map(|one| one.name());
        end_former(plan, target, (&mut progress, &mut maps), own, |one| shards.has(one)).await?;
        Ok((identity, progress, maps, transaction))
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

    fn lane_options(&self, transaction: Option<&Arc<Transaction>>) -> LaneOptions {
        let (fetch, produce) = (&self.plan.fetch, &self.plan.produce);
        let bytes = |value: i32| usize::try_from(value).unwrap_or(0);
        LaneOptions {
            fetch_max_wait: fetch.max_wait,
            fetch_min_bytes: fetch.min_bytes,
            fetch_max_bytes: bytes(fetch.max_bytes),
            far_fetch_max_bytes: bytes(fetch.far_max_bytes),
            memory_bytes: self.shared.plan.buffer.bytes,
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
            transaction: transaction.zip(self.plan.transactions.as_ref()).map(|(transaction, plan)| {
                TransactionOptions {
                    id: Arc::clone(transaction.name()),
                    max_bytes: plan.max_bytes,
                    patience: plan.timeout / 2,
                }
            }),
        }
    }
}
