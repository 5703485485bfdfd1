//! The rows of the Connect worker that runs MirrorMaker 2's connectors: progress, and much that means nothing here.

use super::Kind::{Int, Text};
use super::Scope::Worker;
use super::{Opt, ignored};

const REPLICAS: super::Kind = Int { min: -1, max: i16::MAX as i64 };

/// How often progress is written.
pub static OFFSET_FLUSH_INTERVAL: Opt = Opt::used(
    "offset.flush.interval.ms",
    Worker,
    Int { min: 1, max: i32::MAX as i64 },
    "60000",
    "How often progress is written to the target, 5 s at most.",
);
/// Where progress is written.
pub static OFFSET_STORAGE_TOPIC: Opt = Opt::used(
    "offset.storage.topic",
    Worker,
    Text,
    "mm2-offsets.<source>.internal",
    "The topic on the target that holds progress.",
);
/// Its partitions.
pub static OFFSET_STORAGE_PARTITIONS: Opt = Opt::used(
    "offset.storage.partitions",
    Worker,
    Int { min: -1, max: i32::MAX as i64 },
    "25",
    "Partitions of the progress topic when it is created; -1 leaves it to the target.",
);
/// Its replicas.
pub static OFFSET_STORAGE_REPLICATION: Opt = Opt::used(
    "offset.storage.replication.factor",
    Worker,
    REPLICAS,
    "3",
    "Replicas of the progress topic when it is created; -1 leaves it to the target.",
);
/// Its settings.
pub static OFFSET_STORAGE_SETTINGS: Opt = Opt::used(
    "offset.storage.*",
    Worker,
    Text,
    "",
    "Further settings of the progress topic when it is created, `offset.storage.min.insync.replicas` for one.",
)
.since("2.7");

const STORES: &str = "kmirror keeps neither connector configurations nor states in topics";
const GROUP: &str = "kmirror is no Connect worker; its processes share flows in a protocol of their own";
const REST: &str = "kmirror has no REST interface in this version";
const CONVERTERS: &str = "progress is always JSON, as MirrorMaker 2 writes it";
const PLUGINS: &str = "kmirror loads no Java plugins";
const METRICS: &str = "kmirror has no Java metrics";

/// Keys of Connect workers that mean nothing here.
static WITHOUT_MEANING: &[Opt] = &[
    ignored(
        "offset.flush.timeout.ms",
        Worker,
        "progress is written beside the records and holds none of them up",
    ),
    ignored("config.storage.*", Worker, STORES),
    ignored("status.storage.*", Worker, STORES),
    ignored("connect.protocol", Worker, GROUP),
    ignored("scheduled.rebalance.max.delay.ms", Worker, GROUP),
    ignored("worker.sync.timeout.ms", Worker, GROUP),
    ignored("worker.unsync.backoff.ms", Worker, GROUP),
    ignored("inter.worker.*", Worker, GROUP),
    ignored(
        "task.shutdown.graceful.timeout.ms",
        Worker,
        "a stop waits for what is under way, and is bounded",
    ),
    ignored("topic.tracking.*", Worker, GROUP),
    ignored("topic.creation.enable", Worker, "topics are created as their sources are"),
    ignored("connector.client.config.override.policy", Worker, GROUP),
    ignored("plugin.path", Worker, PLUGINS),
    ignored("plugin.discovery", Worker, PLUGINS),
    ignored("internal.key.converter*", Worker, CONVERTERS),
    ignored("internal.value.converter*", Worker, CONVERTERS),
    ignored("dedicated.mode.enable.internal.rest", Worker, REST),
    ignored("listeners*", Worker, REST),
    ignored("admin.listeners*", Worker, REST),
    ignored("rest.*", Worker, REST),
    ignored("response.http.headers.config", Worker, REST),
    ignored("access.control.allow.*", Worker, REST),
    ignored("metrics.*", Worker, METRICS),
];

/// The rows of this file, those that have their effect first.
pub(super) fn worker_rows() -> impl Iterator<Item = &'static Opt> {
    let used: [&'static Opt; 5] = [
        &OFFSET_FLUSH_INTERVAL,
        &OFFSET_STORAGE_TOPIC,
        &OFFSET_STORAGE_PARTITIONS,
        &OFFSET_STORAGE_REPLICATION,
        &OFFSET_STORAGE_SETTINGS,
    ];
    used.into_iter().chain(WITHOUT_MEANING)
}
