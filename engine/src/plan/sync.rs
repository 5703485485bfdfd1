//! What one flow keeps in step beside its records.

use std::time::Duration;

use super::{ClientPlan, ClusterAlias};
use crate::filter::TopicFilter;

/// Everything beside the records.
#[derive(Debug, Clone)]
pub struct SyncPlan {
    /// `emit.offset-syncs.enabled` and what goes with it; none when it is off.
    pub offset_syncs: Option<OffsetSyncPlan>,
    /// Where MirrorMaker 2's offset syncs of this flow lie, written by us or by it before us.
    pub offset_syncs_at: OffsetSyncsPlace,
    /// The topic on the target that holds the exact offset map.
    pub offset_map_topic: String,
    /// `offset-syncs.topic.replication.factor`, which counts for the exact map as well.
    pub offset_map_replication_factor: i16,
    /// `kmirror.offset.map.segments`: how many segments are kept of one partition.
    pub offset_map_segments: usize,
    /// `emit.checkpoints.*`; none when it is off.
    pub checkpoints: Option<CheckpointPlan>,
    /// The topic on the target that holds checkpoints.
    pub checkpoints_topic: String,
    /// `groups` and `groups.exclude`
    pub groups: TopicFilter,
    /// `refresh.groups.interval.seconds`, none when `refresh.groups.enabled=false`.
    pub refresh_groups: Option<Duration>,
    /// `kmirror.watch.groups`
    pub watch_groups: bool,
    /// `sync.group.offsets.*`; none when it is off.
    pub group_offsets: Option<GroupOffsetsPlan>,
    /// `sync.topic.configs.interval.seconds`, none when `sync.topic.configs.enabled=false`.
    pub topic_configs: Option<Duration>,
    /// `sync.topic.acls.interval.seconds`, none when `sync.topic.acls.enabled=false`.
    pub topic_acls: Option<Duration>,
    /// Which access rules.
    pub acls: AclPlan,
    /// `kmirror.sync.quotas`
    pub quotas: bool,
    /// Whether topics are deleted.
    pub deletions: DeletionPlan,
}

/// Heartbeats of one cluster that are written to another, with a flow of records between them or without one.
#[derive(Debug, Clone)]
pub struct HeartbeatPlan {
    /// The cluster whose mirror is shown to be alive.
    pub source: ClusterAlias,
    /// The cluster they are written to.
    pub target: ClusterAlias,
    /// How often.
    pub every: Duration,
    /// Replicas of the topic when it is created; -1 leaves it to the target.
    pub replication_factor: i16,
    /// `admin.timeout.ms`
    pub admin_timeout: Duration,
    /// The client that writes them.
    pub target_client: ClientPlan,
    /// The client that creates the topic (role `heartbeats-target-admin`).
    pub target_admin: ClientPlan,
}

impl HeartbeatPlan {
    /// `A->B`, as the file and the logs write it.
    pub fn name(&self) -> String {
        format!("{}->{}", self.source, self.target)
    }
}

/// MirrorMaker 2's offset syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetSyncPlan {
    /// Replicas of the topic when it is created; -1 leaves it to the cluster.
    pub replication_factor: i16,
    /// `offset.lag.max`, in target offsets.
    pub lag_max: i64,
}

/// The topic of offset syncs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetSyncsPlace {
    /// `offset-syncs.topic.location=source`
    pub on_source: bool,
    /// `mm2-offset-syncs.<the other cluster>.internal`
    pub topic: String,
}

/// Checkpoints of consumer groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointPlan {
    /// How often.
    pub every: Duration,
    /// Replicas of the topic when it is created; -1 leaves it to the target.
    pub replication_factor: i16,
}

/// Offsets of consumer groups at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupOffsetsPlan {
    /// How often.
    pub every: Duration,
    /// `kmirror.sync.group.offsets.backwards`
    pub may_go_back: bool,
}

/// Which access rules are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AclPlan {
    /// `kmirror.sync.acls=all`: all kinds and all rights.
    pub all_kinds: bool,
    /// `kmirror.sync.acls.remove`
    pub removes: bool,
}

/// Topics whose source was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletionPlan {
    /// `kmirror.sync.topic.deletions`
    pub mode: DeletionMode,
    /// `kmirror.topic.deletion.grace.seconds`
    pub grace: Duration,
}

/// What happens to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionMode {
    /// They stay.
    Off,
    /// It is only said that they would be deleted.
    DryRun,
    /// They are deleted.
    On,
}
