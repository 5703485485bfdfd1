//! The rows of the mirror itself: MirrorMaker 2's own keys, and those of kmirror.

use super::Kind::{Bool, Choice, Class, Int, List, Memory, Patterns, Text};
use super::Scope::{Flow, Process};
use super::{Kind, Opt, Status, ignored};

const SECONDS: Kind = Int { min: 1, max: 31_536_000 };
const REPLICAS: Kind = Int { min: -1, max: i16::MAX as i64 };

/// The cluster aliases.
pub static CLUSTERS: Opt =
    Opt::used("clusters", Process, List, "", "Cluster aliases; every other key uses them.");
/// Switches a flow on.
pub static ENABLED: Opt =
    Opt::used("enabled", Flow, Bool, "false", "Whether records flow from the one cluster to the other.");
/// The connector's name.
pub static NAME: Opt = Opt::used(
    "name",
    Flow,
    Text,
    "MirrorSourceConnector",
    "The connector's name, part of the key under which progress is stored.",
);
/// What is mirrored.
pub static TOPICS: Opt = Opt::used(
    "topics",
    Flow,
    Patterns,
    ".*",
    "Topics to mirror: names and Java expressions for whole names.",
);
/// What is not.
pub static TOPICS_EXCLUDE: Opt = Opt::used(
    "topics.exclude",
    Flow,
    Patterns,
    r"mm2.*\.internal, .*\.replica, __.*",
    "Topics to leave out; wins over `topics`. With `kmirror.mm2.rules=3` the default is that of MirrorMaker 3.x.",
)
.older(&["topics.blacklist"]);
/// The default of `topics.exclude` up to 3.9.
pub const TOPICS_EXCLUDE_UP_TO_3: &str = r".*[\-\.]internal, .*\.replica, __.*";
/// Topic settings that stay at the source.
pub static CONFIG_PROPERTIES_EXCLUDE: Opt = Opt::used(
    "config.properties.exclude",
    Flow,
    Patterns,
    "follower\\.replication\\.throttled\\.replicas, leader\\.replication\\.throttled\\.replicas, \
     message\\.timestamp\\.difference\\.max\\.ms, log\\.message\\.timestamp\\.before\\.max\\.ms, \
     log\\.message\\.timestamp\\.after\\.max\\.ms, message\\.timestamp\\.type, unclean\\.leader\\.election\\.enable, \
     min\\.insync\\.replicas",
    "Topic settings that a topic at the target does not get from its source.",
)
.older(&["config.properties.blacklist"]);
/// Whose defaults count.
pub static USE_DEFAULTS_FROM: Opt = Opt::used(
    "use.defaults.from",
    Flow,
    Choice(&["source", "target"]),
    "target",
    "Whether settings at the source's default are left to the target's default or set as at the source.",
)
.since("3.6");
/// Replicas of new topics.
pub static REPLICATION_FACTOR: Opt = Opt::used(
    "replication.factor",
    Flow,
    REPLICAS,
    "2",
    "Replicas of topics created at the target; -1 leaves it to the target.",
);
/// Look for new topics?
pub static REFRESH_TOPICS_ENABLED: Opt =
    Opt::used("refresh.topics.enabled", Flow, Bool, "true", "Whether to look for new topics and partitions.");
/// How often.
pub static REFRESH_TOPICS_INTERVAL: Opt = Opt::used(
    "refresh.topics.interval.seconds",
    Flow,
    SECONDS,
    "600",
    "How often to look for new topics and partitions; with `kmirror.watch.groups` those that a group reads are noticed \
     sooner.",
);
/// Limit of administrative requests.
pub static ADMIN_TIMEOUT: Opt = Opt::used(
    "admin.timeout.ms",
    Flow,
    Int { min: 1, max: i32::MAX as i64 },
    "60000",
    "How long one round of administrative work (topics, settings) may take.",
);
/// The naming scheme.
pub static POLICY_CLASS: Opt = Opt::used(
    "replication.policy.class",
    Flow,
    Class,
    "org.apache.kafka.connect.mirror.DefaultReplicationPolicy",
    "How topics are named at the target: `DefaultReplicationPolicy` puts the source's alias in front, \
     `IdentityReplicationPolicy` (or `LegacyReplicationPolicy`) keeps names. With or without the package.",
);
/// What stands between alias and name.
pub static POLICY_SEPARATOR: Opt =
    Opt::used("replication.policy.separator", Flow, Text, ".", "What stands between the alias and the name.");
/// Whether also in internal topics.
pub static POLICY_INTERNAL_SEPARATOR: Opt = Opt::used(
    "replication.policy.internal.topic.separator.enabled",
    Flow,
    Bool,
    "true",
    "Whether the separator goes into the names of checkpoint and offset-sync topics too; read only beside a \
     `replication.policy.separator`.",
)
.since("3.6");
/// Heartbeats whatever the filter says?
pub static HEARTBEATS_REPLICATION: Opt = Opt::used(
    "heartbeats.replication.enabled",
    Flow,
    Bool,
    "true",
    "Whether heartbeat topics are mirrored even when `topics` does not include them.",
)
.since("3.5");

/// The whole process's memory for records.
pub static BUFFER_MEMORY: Opt = Opt::used(
    "kmirror.buffer.memory",
    Process,
    Memory { min: 2 << 20 },
    "24m",
    "Bytes of records the process may hold, all flows together; a batch must fit in it. `k`, `m` and `g` are 1024, \
     1024^2 and 1024^3 bytes. Where it is not set, it grows to 64 MiB once a source is found to be so far away that \
     larger fetches bring more.",
)
.since("kmirror");
/// How much a flow may carry.
pub static MAX_BYTES_PER_SECOND: Opt = Opt::used(
    "kmirror.max.bytes.per.second",
    Flow,
    Memory { min: 0 },
    "0",
    "Bytes of record batches that the flow fetches a second at most, in the mean of a second and as they lie at the \
     source; each process keeps to it for itself. `0`: no limit. Changes while it runs, when the file is read again \
     (SIGHUP).",
)
.since("kmirror");
/// How much each of some topics may carry.
pub static TOPIC_MAX_BYTES_PER_SECOND: Opt = Opt::used(
    "kmirror.topic.max.bytes.per.second",
    Flow,
    List,
    "",
    "The same for topics: a list of `pattern=bytes`, such as `audit.*=2m, logs=500k`. Each source topic that a pattern \
     matches has so much for itself; of several patterns the first counts. A topic over its limit slows no other. \
     Changes while it runs, too.",
)
.since("kmirror");
/// Same cluster or loops on purpose.
pub static ALLOW_SAME_CLUSTER: Opt = Opt::used(
    "kmirror.allow.same.cluster",
    Process,
    Bool,
    "false",
    "Source and target may be the same cluster, and flows may form loops; as `--allow-same-cluster`.",
)
.since("kmirror");
/// Records lost at the source.
pub static ON_LOST_RECORDS: Opt = Opt::used(
    "kmirror.on.lost.records",
    Flow,
    Choice(&["continue", "stop"]),
    "continue",
    "When records were deleted at the source before they were mirrored, or a topic was truncated or recreated: go on \
     with the oldest there are and tell the gap, or stop that partition.",
)
.since("kmirror");
/// Which target partition a record goes to.
pub static PARTITIONING: Opt = Opt::used(
    "kmirror.partitioning",
    Flow,
    Choice(&["same", "by-key"]),
    "same",
    "`same`: each record goes to the partition of the same number; partitions that the target topic lacks are added, \
     and where the target refuses that (`POLICY_VIOLATION`, `UNSUPPORTED_VERSION`, or `INVALID_PARTITIONS` five times in \
     a row; all else is tried again), source partitions that it lacks or that were not mirrored yet are dealt out by key. \
     `by-key`: records go where the Java producer's default partitioner puts their keys (murmur2), those without a key \
     batch by batch, whatever number of partitions the target topic has.",
)
.since("kmirror");
/// Records the target does not take.
pub static ON_REFUSED_RECORDS: Opt = Opt::used(
    "kmirror.on.refused.records",
    Flow,
    Choice(&["stop", "dead-letter"]),
    "stop",
    "When the target does not take a record whatever its batch (it alone exceeds `max.message.bytes`, or its timestamp \
     is too far from the target's clock): stop that partition, or write the record with its coordinates to \
     `kmirror.dead.letter.topic` and go on.",
)
.since("kmirror");
/// Raise the target's limit?
pub static RAISE_MAX_MESSAGE_BYTES: Opt = Opt::used(
    "kmirror.raise.max.message.bytes",
    Flow,
    Bool,
    "false",
    "Whether `max.message.bytes` of a target topic is raised for a record that is too large for it. Needs \
     ALTER_CONFIGS on the topic.",
)
.since("kmirror");
/// Where they go.
pub static DEAD_LETTER_TOPIC: Opt = Opt::used(
    "kmirror.dead.letter.topic",
    Flow,
    Text,
    "",
    "The topic at the target for records that the target does not take; by default \
     `mm2-dead-letters.<source>.internal`. It is created with one partition when the first record needs it.",
)
.since("kmirror");
/// Which generation's rules.
pub static MM2_RULES: Opt = Opt::used(
    "kmirror.mm2.rules",
    Flow,
    Choice(&["3", "4"]),
    "4",
    "Which MirrorMaker 2 says what an internal topic is, and what `topics.exclude` is by default: the one up to 3.9 \
     or the one since 4.0 (KIP-1074).",
)
.since("kmirror");
/// The rename's expression.
pub static RENAME_REGEX: Opt = Opt::used(
    "kmirror.rename.regex",
    Flow,
    Text,
    "",
    "A Java expression; topics whose whole name it matches are named by `kmirror.rename.replacement`, all others by \
     `replication.policy.class`.",
)
.since("kmirror");
/// The rename's replacement.
pub static RENAME_REPLACEMENT: Opt = Opt::used(
    "kmirror.rename.replacement",
    Flow,
    Text,
    "",
    "The new name; `$1` and `${name}` stand for groups of the expression, `\\$` for a dollar.",
)
.since("kmirror");
/// Collisions on purpose.
pub static RENAME_COLLISIONS: Opt = Opt::used(
    "kmirror.rename.allow.collisions",
    Flow,
    Bool,
    "false",
    "Whether topics may be renamed so that several meet in one topic at the target.",
)
.since("kmirror");

const FILTERED: &str = "no Java class is run; kmirror has the filters of DefaultTopicFilter, DefaultGroupFilter and DefaultConfigPropertyFilter";
const FORWARDED: &str = "no Java class is run; kmirror manages topics itself";
const TRANSFORMED: &str =
    "kmirror does not run Connect transforms, and without them other records would arrive";
const CONVERTED: &str = "kmirror copies bytes, and with another converter other records would arrive";
const BYTE_ARRAYS: &[&str] = &["org.apache.kafka.connect.converters.ByteArrayConverter"];

/// Keys by which the configuration of a single connector is known.
pub const CONNECTOR_KEYS: [&str; 3] =
    ["connector.class", "source.cluster.alias", "source.cluster.bootstrap.servers"];

const fn refused(name: &'static str, harmless: &'static [&'static str], reason: &'static str) -> Opt {
    Opt::used(name, Flow, Class, "", "").status(Status::RefusedUnless { harmless, reason })
}

/// Keys that would change which records arrive.
static REFUSED: &[Opt] = &[
    refused("topic.filter.class", &["org.apache.kafka.connect.mirror.DefaultTopicFilter"], FILTERED),
    refused(
        "config.property.filter.class",
        &["org.apache.kafka.connect.mirror.DefaultConfigPropertyFilter"],
        FILTERED,
    ),
    refused("group.filter.class", &["org.apache.kafka.connect.mirror.DefaultGroupFilter"], FILTERED),
    refused("forwarding.admin.class", &["org.apache.kafka.clients.admin.ForwardingAdmin"], FORWARDED),
    refused("key.converter", BYTE_ARRAYS, CONVERTED),
    refused("value.converter", BYTE_ARRAYS, CONVERTED),
    refused(
        "header.converter",
        &[
            "org.apache.kafka.connect.converters.ByteArrayConverter",
            "org.apache.kafka.connect.storage.SimpleHeaderConverter",
        ],
        CONVERTED,
    ),
    refused("transforms", &[""], TRANSFORMED),
];

const METRICS: &str = "kmirror has no Java metrics";
const CONNECTOR: &str = "kmirror is no Connect connector";
const DEDICATED: &str = "a connector's key; in a file with `clusters` the aliases say it";
const NEVER: &str = "no release of MirrorMaker 2 reads it";

/// Keys of MirrorMaker 2 that mean nothing here.
static WITHOUT_MEANING: &[Opt] = &[
    ignored("use.incremental.alter.configs", Flow, "settings are changed one by one (KIP-894)"),
    ignored("metric.reporters", Flow, METRICS),
    ignored("metric.names.formats", Flow, METRICS),
    ignored("add.source.alias.to.metrics", Flow, METRICS),
    ignored("auto.include.jmx.reporter", Flow, METRICS),
    ignored("consumer.poll.timeout.ms", Flow, "kmirror does not poll: it waits for what a fetch brings"),
    ignored("connector.class", Flow, CONNECTOR),
    ignored("connector.plugin.version", Flow, CONNECTOR),
    ignored("config.action.reload", Flow, CONNECTOR),
    ignored("tasks.max.enforce", Flow, "goes with tasks.max"),
    ignored("task.index", Flow, CONNECTOR),
    ignored("task.assigned.*", Flow, CONNECTOR),
    ignored("errors.*", Flow, "kmirror never passes over a record"),
    ignored("exactly.once.support", Flow, CONNECTOR),
    ignored("transaction.boundary*", Flow, CONNECTOR),
    ignored("offsets.storage.topic", Flow, CONNECTOR),
    ignored("topic.creation.*", Flow, "topics are created as their sources are"),
    ignored("predicates", Flow, TRANSFORMED),
    ignored("predicates.*", Flow, TRANSFORMED),
    ignored("transforms.*", Flow, "goes with transforms"),
    ignored("key.converter.*", Flow, "goes with key.converter"),
    ignored("value.converter.*", Flow, "goes with value.converter"),
    ignored("header.converter.*", Flow, "goes with header.converter"),
    ignored("source.cluster.alias", Flow, DEDICATED),
    ignored("target.cluster.alias", Flow, DEDICATED),
    ignored("readahead.queue.capacity", Flow, NEVER),
    ignored("offset.syncs.topic.*", Flow, NEVER),
];

/// The rows of this file, those that have their effect first.
pub(super) fn mirror_rows() -> impl Iterator<Item = &'static Opt> {
    let used: [&'static Opt; 28] = [
        &CLUSTERS,
        &ENABLED,
        &TOPICS,
        &TOPICS_EXCLUDE,
        &POLICY_CLASS,
        &POLICY_SEPARATOR,
        &POLICY_INTERNAL_SEPARATOR,
        &HEARTBEATS_REPLICATION,
        &REPLICATION_FACTOR,
        &CONFIG_PROPERTIES_EXCLUDE,
        &USE_DEFAULTS_FROM,
        &REFRESH_TOPICS_ENABLED,
        &REFRESH_TOPICS_INTERVAL,
        &ADMIN_TIMEOUT,
        &NAME,
        &BUFFER_MEMORY,
        &MAX_BYTES_PER_SECOND,
        &TOPIC_MAX_BYTES_PER_SECOND,
        &ON_LOST_RECORDS,
        &PARTITIONING,
        &ON_REFUSED_RECORDS,
        &RAISE_MAX_MESSAGE_BYTES,
        &DEAD_LETTER_TOPIC,
        &RENAME_REGEX,
        &RENAME_REPLACEMENT,
        &RENAME_COLLISIONS,
        &MM2_RULES,
        &ALLOW_SAME_CLUSTER,
    ];
    used.into_iter().chain(REFUSED).chain(WITHOUT_MEANING)
}
