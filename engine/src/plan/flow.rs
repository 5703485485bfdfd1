//! One flow: the topics of one cluster that go to another, and how.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ClientPlan, ClusterAlias, LimitPlan, SharePlan, SyncPlan, TransactionPlan};
use crate::filter::{ConfigPropertyFilter, TopicFilter};
use crate::policy::ReplicationPolicy;

/// Where a partition begins that has no progress yet (`auto.offset.reset` of the source consumer).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoOffsetReset {
    /// With the oldest record there is. MirrorMaker 2's default.
    Earliest,
    /// With the next record to be written.
    Latest,
}

/// What to do when records were deleted at the source before they were mirrored (`kmirror.on.lost.records`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLost {
    /// Go on with the oldest record there is, and tell the gap.
    Continue,
    /// Stop that partition until somebody decides.
    StopPartition,
}

/// What to do with a record that the target does not take in any batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnRefused {
    /// `kmirror.raise.max.message.bytes`: a topic whose limit is too small gets a larger one.
    pub raises_limit: bool,
    /// `kmirror.on.refused.records=dead-letter`: it goes to the dead-letter topic; otherwise the partition stops.
    pub dead_letters: bool,
}

/// `isolation.level`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Everything up to the high watermark, aborted transactions included.
    ReadUncommitted,
    /// Only committed transactions, up to the last stable offset.
    ReadCommitted,
}

/// How records are fetched from the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPlan {
    /// `fetch.max.wait.ms`
    pub max_wait: Duration,
    /// `fetch.min.bytes`
    pub min_bytes: i32,
    /// `fetch.max.bytes`, no more than a quarter of the memory budget.
    pub max_bytes: i32,
    /// The same from brokers that are far away: half of the memory that there is then, unless `fetch.max.bytes` is set.
    pub far_max_bytes: i32,
    /// `max.partition.fetch.bytes`, no more than `max_bytes`.
    pub max_partition_bytes: i32,
    /// `isolation.level`
    pub isolation: Isolation,
    /// `client.rack` (KIP-392): fetch from a replica in the same rack.
    pub rack: Option<String>,
}

/// How records are produced to the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducePlan {
    /// `acks`: -1 for all in-sync replicas, or 1. 0 is refused.
    pub acks: i16,
    /// `request.timeout.ms` of the producer, also the time the target may take to replicate.
    pub request_timeout: Duration,
    /// `max.request.size`
    pub max_request_bytes: usize,
    /// `max.in.flight.requests.per.connection`
    pub max_in_flight: usize,
}

/// One flow of records from a source cluster to a target cluster.
#[derive(Debug, Clone)]
pub struct FlowPlan {
    /// The cluster that is read.
    pub source: ClusterAlias,
    /// The cluster that is written.
    pub target: ClusterAlias,
    /// `A->B.enabled`
    pub enabled: bool,
    /// `name`: the connector's name, part of the key under which progress is stored.
    pub connector_name: String,
    /// `topics` and `topics.exclude`
    pub topics: TopicFilter,
    /// How topics are named, and which are internal.
    pub policy: ReplicationPolicy,
    /// `heartbeats.replication.enabled`: heartbeat topics are taken whatever the filter says.
    pub replicates_heartbeats: bool,
    /// Two source topics may be renamed to the same target topic (`kmirror.rename.allow.collisions`).
    pub allows_collisions: bool,
    /// `replication.factor` of topics created at the target; -1 leaves it to the target.
    pub replication_factor: i16,
    /// Which topic settings go to the target at creation.
    pub config_filter: ConfigPropertyFilter,
    /// `refresh.topics.interval.seconds`, none when `refresh.topics.enabled=false`.
    pub refresh_topics: Option<Duration>,
    /// `admin.timeout.ms`
    pub admin_timeout: Duration,
    /// `offset.flush.interval.ms`
    pub offset_flush_interval: Duration,
    /// `offset.storage.topic`, by default `mm2-offsets.<source>.internal`, on the target.
    pub progress_topic: String,
    /// `offset.storage.partitions`; -1 leaves it to the target.
    pub progress_partitions: i32,
    /// `offset.storage.replication.factor`; -1 leaves it to the target.
    pub progress_replication_factor: i16,
    /// Further settings of the progress topic (`offset.storage.<topic setting>`).
    pub progress_topic_configs: BTreeMap<String, String>,
    /// `auto.offset.reset`
    pub start: AutoOffsetReset,
    /// `kmirror.on.lost.records`
    pub on_lost_records: OnLost,
    /// `kmirror.partitioning=by-key`: records go to target partitions by their keys.
    pub deals_by_key: bool,
    /// What happens to records that the target does not take.
    pub on_refused: OnRefused,
    /// `kmirror.dead.letter.topic`, on the target.
    pub dead_letter_topic: String,
    /// What is kept in step beside the records.
    pub sync: SyncPlan,
    /// How much it may carry; the only part that may change while it runs.
    pub limits: LimitPlan,
    /// How processes share it.
    pub share: SharePlan,
    /// How it writes in transactions, if it does.
    pub transactions: Option<TransactionPlan>,
    /// How records are fetched.
    pub fetch: FetchPlan,
    /// How records are produced.
    pub produce: ProducePlan,
    /// The client that fetches (role `replication-consumer`).
    pub source_client: ClientPlan,
    /// The client that asks the source for topics and settings (role `replication-source-admin`).
    pub source_admin: ClientPlan,
    /// The client that produces, and that reads and writes progress.
    pub target_client: ClientPlan,
    /// The client that creates topics at the target (role `replication-target-admin`).
    pub target_admin: ClientPlan,
}

impl FlowPlan {
    /// `A->B`, as the file and the logs write it.
    pub fn name(&self) -> String {
        format!("{}->{}", self.source, self.target)
    }

    /// Where it is written down, on the target, which access rules are the flow's own (`kmirror.sync.acls.remove`).
    pub fn owned_acls_topic(&self) -> String {
        format!("mm2-acls.{}.internal", self.source)
    }
}
