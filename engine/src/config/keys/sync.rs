//! The rows of what is kept in step beside the records: settings, access rules, offsets of groups, heartbeats.

use super::Kind::{Bool, Choice, Int, Patterns};
use super::Scope::Flow;
use super::{Kind, Opt};

const SECONDS: Kind = Int { min: 1, max: 31_536_000 };
const REPLICAS: Kind = Int { min: -1, max: i16::MAX as i64 };

/// Settings of topics.
pub static SYNC_CONFIGS: Opt = Opt::used(
    "sync.topic.configs.enabled",
    Flow,
    Bool,
    "true",
    "Whether the settings of mirrored topics are kept in step with their source.",
);
/// How often.
pub static SYNC_CONFIGS_INTERVAL: Opt = Opt::used(
    "sync.topic.configs.interval.seconds",
    Flow,
    SECONDS,
    "600",
    "How often settings of topics are compared.",
);
/// Access rules of topics.
pub static SYNC_ACLS: Opt = Opt::used(
    "sync.topic.acls.enabled",
    Flow,
    Bool,
    "true",
    "Whether access rules of mirrored topics are copied: those for single topics, without the right to write.",
);
/// How often.
pub static SYNC_ACLS_INTERVAL: Opt =
    Opt::used("sync.topic.acls.interval.seconds", Flow, SECONDS, "600", "How often access rules are copied.");
/// Which access rules.
pub static ACL_KINDS: Opt = Opt::used(
    "kmirror.sync.acls",
    Flow,
    Choice(&["mm2", "all"]),
    "mm2",
    "`mm2`: access rules of single topics, without the right to write. `all`: those with prefixes, of groups and of \
     transactional ids too, and the right to write.",
)
.since("kmirror");
/// Remove what we created?
pub static ACL_REMOVE: Opt = Opt::used(
    "kmirror.sync.acls.remove",
    Flow,
    Bool,
    "false",
    "Whether access rules that kmirror created are removed when the source has them no more.",
)
.since("kmirror");
/// Quotas too?
pub static SYNC_QUOTAS: Opt = Opt::used(
    "kmirror.sync.quotas",
    Flow,
    Bool,
    "false",
    "Whether client quotas are copied. Users that cannot be copied (SCRAM) are told.",
)
.since("kmirror");
/// Delete what the source deleted?
pub static TOPIC_DELETIONS: Opt = Opt::used(
    "kmirror.sync.topic.deletions",
    Flow,
    Choice(&["off", "dry-run", "on"]),
    "off",
    "Whether a topic that was mirrored is deleted at the target when its source was deleted; `dry-run` only says so.",
)
.since("kmirror");
/// Not at once.
pub static TOPIC_DELETION_GRACE: Opt = Opt::used(
    "kmirror.topic.deletion.grace.seconds",
    Flow,
    Int { min: 0, max: 31_536_000 },
    "86400",
    "For how long a source topic must be gone before its copy is deleted; a restart begins the time anew.",
)
.since("kmirror");
/// Offset syncs.
pub static EMIT_OFFSET_SYNCS: Opt = Opt::used(
    "emit.offset-syncs.enabled",
    Flow,
    Bool,
    "true",
    "Whether MirrorMaker 2's offset syncs are written: which source offset became which target offset. kmirror itself \
     translates by its exact map and needs them only where MirrorMaker 2 mirrored before it.",
)
.since("3.7");
/// Where.
pub static OFFSET_SYNCS_LOCATION: Opt = Opt::used(
    "offset-syncs.topic.location",
    Flow,
    Choice(&["source", "target"]),
    "source",
    "The cluster that has the topic of offset syncs.",
)
.since("3.0");
/// Its replicas.
pub static OFFSET_SYNCS_REPLICATION: Opt = Opt::used(
    "offset-syncs.topic.replication.factor",
    Flow,
    REPLICAS,
    "3",
    "Replicas of the topic of offset syncs and of kmirror's offset map when they are created; -1 leaves it to the \
     cluster.",
);
/// How coarse.
pub static OFFSET_LAG_MAX: Opt = Opt::used(
    "offset.lag.max",
    Flow,
    Int { min: 0, max: i64::MAX },
    "100",
    "How many records may arrive at the target before the next offset sync is due.",
);
/// Checkpoints.
pub static EMIT_CHECKPOINTS: Opt = Opt::used(
    "emit.checkpoints.enabled",
    Flow,
    Bool,
    "true",
    "Whether checkpoints are written: where consumer groups stand, in target offsets.",
);
/// How often.
pub static EMIT_CHECKPOINTS_INTERVAL: Opt = Opt::used(
    "emit.checkpoints.interval.seconds",
    Flow,
    SECONDS,
    "60",
    "How often all groups' checkpoints are looked at; with `kmirror.watch.groups` those of groups that commit come \
     sooner.",
);
/// Their topic's replicas.
pub static CHECKPOINTS_REPLICATION: Opt = Opt::used(
    "checkpoints.topic.replication.factor",
    Flow,
    REPLICAS,
    "3",
    "Replicas of the topic of checkpoints when it is created; -1 leaves it to the target.",
);
/// Which groups.
pub static GROUPS: Opt = Opt::used(
    "groups",
    Flow,
    Patterns,
    ".*",
    "Consumer groups whose offsets are translated: names and Java expressions for whole names.",
);
/// Which not.
pub static GROUPS_EXCLUDE: Opt = Opt::used(
    "groups.exclude",
    Flow,
    Patterns,
    r"console-consumer-.*, connect-.*, __.*",
    "Consumer groups to leave out; wins over `groups`.",
)
.older(&["groups.blacklist"]);
/// Look for new groups?
pub static REFRESH_GROUPS: Opt =
    Opt::used("refresh.groups.enabled", Flow, Bool, "true", "Whether to look for new consumer groups.");
/// How often.
pub static REFRESH_GROUPS_INTERVAL: Opt = Opt::used(
    "refresh.groups.interval.seconds",
    Flow,
    SECONDS,
    "600",
    "How often to look for new consumer groups; with `kmirror.watch.groups` one that commits is noticed sooner.",
);
/// Commit at the target?
pub static SYNC_GROUP_OFFSETS: Opt = Opt::used(
    "sync.group.offsets.enabled",
    Flow,
    Bool,
    "false",
    "Whether consumer groups' offsets are committed at the target, for groups without members there.",
)
.since("2.7");
/// How often.
pub static SYNC_GROUP_OFFSETS_INTERVAL: Opt = Opt::used(
    "sync.group.offsets.interval.seconds",
    Flow,
    SECONDS,
    "60",
    "How often the offsets of all groups are committed at the target; with `kmirror.watch.groups` those of groups that \
     commit come sooner.",
)
.since("2.7");
/// Follow a group that goes back?
pub static GROUP_OFFSETS_BACKWARDS: Opt = Opt::used(
    "kmirror.sync.group.offsets.backwards",
    Flow,
    Bool,
    "false",
    "Whether a group's offset at the target follows when the group goes back at the source.",
)
.since("kmirror");
/// Notice commits at once?
pub static WATCH_GROUPS: Opt = Opt::used(
    "kmirror.watch.groups",
    Flow,
    Bool,
    "true",
    "Whether `__consumer_offsets` of the source is read, where that is allowed, to notice commits of groups, and \
     topics and partitions that they read and that are not mirrored yet, within seconds. It is read where checkpoints or \
     group offsets are kept.",
)
.since("kmirror");
/// Heartbeats.
pub static EMIT_HEARTBEATS: Opt = Opt::used(
    "emit.heartbeats.enabled",
    Flow,
    Bool,
    "true",
    "Whether heartbeats are written to the target; also for a pair of clusters without records.",
);
/// How often.
pub static EMIT_HEARTBEATS_INTERVAL: Opt =
    Opt::used("emit.heartbeats.interval.seconds", Flow, SECONDS, "1", "How often a heartbeat is written.");
/// Their topic's replicas.
pub static HEARTBEATS_REPLICAS: Opt = Opt::used(
    "heartbeats.topic.replication.factor",
    Flow,
    REPLICAS,
    "3",
    "Replicas of the topic `heartbeats` when it is created; -1 leaves it to the target.",
);

/// How large the exact map may grow.
pub static OFFSET_MAP_SEGMENTS: Opt = Opt::used(
    "kmirror.offset.map.segments",
    Flow,
    Int { min: 1024, max: i64::MAX },
    "10000000",
    "How many segments of the exact offset map are kept of one partition; the oldest go first. One is used where \
     offsets of source and target drift apart: after a gap, a marker, a restart.",
)
.since("kmirror");

/// The rows of this file.
pub(super) fn sync_rows() -> impl Iterator<Item = &'static Opt> {
    let used: [&'static Opt; 28] = [
        &SYNC_CONFIGS,
        &SYNC_CONFIGS_INTERVAL,
        &SYNC_ACLS,
        &SYNC_ACLS_INTERVAL,
        &EMIT_OFFSET_SYNCS,
        &OFFSET_SYNCS_LOCATION,
        &OFFSET_SYNCS_REPLICATION,
        &OFFSET_LAG_MAX,
        &EMIT_CHECKPOINTS,
        &EMIT_CHECKPOINTS_INTERVAL,
        &CHECKPOINTS_REPLICATION,
        &GROUPS,
        &GROUPS_EXCLUDE,
        &REFRESH_GROUPS,
        &REFRESH_GROUPS_INTERVAL,
        &SYNC_GROUP_OFFSETS,
        &SYNC_GROUP_OFFSETS_INTERVAL,
        &EMIT_HEARTBEATS,
        &EMIT_HEARTBEATS_INTERVAL,
        &HEARTBEATS_REPLICAS,
        &ACL_KINDS,
        &ACL_REMOVE,
        &SYNC_QUOTAS,
        &TOPIC_DELETIONS,
        &TOPIC_DELETION_GRACE,
        &GROUP_OFFSETS_BACKWARDS,
        &WATCH_GROUPS,
        &OFFSET_MAP_SEGMENTS,
    ];
    used.into_iter()
}
