//! Clusters shared by tests, and the steps most of them take. A test keeps to topics and aliases of its own.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::kmirror::{self, Finished, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::Process;

/// How long a small mirror run may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Settings of a topic whose log is cleaned as soon as may be.
pub(crate) const CLEANED_SOON: [&str; 5] = [
    "cleanup.policy=compact",
    "min.cleanable.dirty.ratio=0.01",
    "segment.ms=200",
    "min.compaction.lag.ms=0",
    "delete.retention.ms=100",
];

/// The shared source cluster of that release, started at its first use.
pub(crate) fn source_of(version: Version) -> &'static KafkaCluster {
    static CLUSTERS: Shared = Shared::new();
    CLUSTERS.get(version)
}

/// The shared target cluster of that release.
pub(crate) fn target_of(version: Version) -> &'static KafkaCluster {
    static CLUSTERS: Shared = Shared::new();
    CLUSTERS.get(version)
}

/// A cluster of each release, for one side.
struct Shared {
    v2_8_2: OnceLock<KafkaCluster>,
    v3_9_1: OnceLock<KafkaCluster>,
    v4_3_0: OnceLock<KafkaCluster>,
}

impl Shared {
    const fn new() -> Self {
        Self { v2_8_2: OnceLock::new(), v3_9_1: OnceLock::new(), v4_3_0: OnceLock::new() }
    }

    fn get(&'static self, version: Version) -> &'static KafkaCluster {
        let cluster = match version {
            Version::V2_8_2 => &self.v2_8_2,
            Version::V3_9_1 => &self.v3_9_1,
            Version::V4_3_0 => &self.v4_3_0,
        };
        cluster.get_or_init(|| KafkaCluster::start(version, Options::default()).unwrap())
    }
}

/// Held by tests that start many JVMs, so that two of them never starve each other on a small machine.
pub(crate) fn many_processes() -> MutexGuard<'static, ()> {
    static MANY: Mutex<()> = Mutex::new(());
    // A test that failed holding it has cleaned up all the same.
    MANY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The source most tests use.
pub(crate) fn source() -> &'static KafkaCluster {
    source_of(Version::V3_9_1)
}

/// The target most tests use, of the other release.
pub(crate) fn target() -> &'static KafkaCluster {
    target_of(Version::V4_3_0)
}

/// A flow from [`source`] to [`target`].
pub(crate) fn flow(alias: &str, topics: &str) -> Properties {
    // Clusters are shared: tests that mirror other topics under the same alias must not share the work.
    let group = format!("{alias}-{topics}");
    Properties::between((alias, source()), ("target", target()), topics).with("group.id", &group)
}

/// Creates `topic` at the shared source.
pub(crate) fn create(topic: &str, partitions: i32, configs: &[&str]) {
    oracle::create_topic(&source().bootstrap(), topic, partitions, 1, configs).unwrap();
}

/// Creates `topic` at the shared target.
pub(crate) fn create_target(topic: &str, partitions: i32, configs: &[&str]) {
    oracle::create_topic(&target().bootstrap(), topic, partitions, 1, configs).unwrap();
}

/// Produces to `topic` at the shared source; options as `produce.py` takes them.
pub(crate) fn produce(topic: &str, options: &[&str]) -> oracle::Dump {
    oracle::produce(&source().bootstrap(), topic, options).unwrap()
}

/// Runs kmirror until synced, successfully.
pub(crate) fn sync(properties: &Properties) -> Finished {
    kmirror::run_until_synced(properties, SOON).unwrap()
}

/// Fails unless the target's topic holds what the source's does.
pub(crate) fn assert_same(source: &KafkaCluster, topic: &str, target: &KafkaCluster, mirrored: &str) {
    let expected = oracle::dump(&source.bootstrap(), topic, &[]).unwrap();
    let found = oracle::dump(&target.bootstrap(), mirrored, &[]).unwrap();
    if let Err(difference) = oracle::same_content(&expected, &found) {
        panic!("{topic} and {mirrored}: {difference}");
    }
}

/// Fails unless `alias.topic` at the shared target holds what `topic` at the shared source does.
pub(crate) fn assert_mirrored(alias: &str, topic: &str) {
    assert_same(source(), topic, target(), &format!("{alias}.{topic}"));
}

/// Waits until `done`; fails with `what` when it does not come to pass.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen within {SOON:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until the topic at the cluster holds that many offsets; fails with what the process wrote when it does not.
pub(crate) fn wait_for(mirror: &Process, cluster: &KafkaCluster, topic: &str, offsets: u64) {
    if let Err(error) = oracle::wait_for_offsets(&cluster.bootstrap(), topic, offsets, SOON) {
        panic!("{error:#}\n{}", mirror.tail(40));
    }
}

/// Ends a mirror with SIGTERM, which it must obey with exit code 0.
pub(crate) fn stop(mirror: &Process) {
    mirror.signal(kmirror_tests::process::Signal::TERM);
    let exit = mirror.wait(SOON).unwrap();
    assert_eq!(exit.code(), Some(0), "{}\n{}", exit.status, mirror.tail(40));
}

/// What `verify.py` found: lost, repeated, unknown and skipped-ahead records.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) source: u64,
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    pub(crate) unknown: u64,
    pub(crate) skipped_ahead: u64,
    /// Partitions and target offsets of the first of those that are there again.
    pub(crate) repeated_at: String,
}

/// Follows the records of a topic of unique records through its mirror.
pub(crate) fn verify(source: (&KafkaCluster, &str), target: (&KafkaCluster, &str)) -> Verdict {
    let (from, to) = (source.0.bootstrap(), target.0.bootstrap());
    let answer = oracle::ask("verify", &[&from, source.1, &to, target.1]).unwrap();
    let number = |key: &str| answer[key].as_u64().unwrap();
    Verdict {
        source: number("source"),
        lost: number("lost"),
        repeated: number("repeated"),
        unknown: number("unknown"),
        skipped_ahead: number("skipped_ahead"),
        repeated_at: answer["repeated_at"].to_string(),
    }
}

impl Verdict {
    /// Nothing lost, nothing foreign, order kept; repetitions are not looked at.
    pub(crate) fn assert_nothing_lost(&self, at_least: u64) {
        assert!(self.source >= at_least, "only {} records were there to lose", self.source);
        assert_eq!((self.lost, self.unknown, self.skipped_ahead), (0, 0, 0), "{self:?}");
    }

    /// Besides, nothing is there twice.
    pub(crate) fn assert_exact(&self, at_least: u64) {
        self.assert_nothing_lost(at_least);
        assert_eq!(self.repeated, 0, "at {}: {self:?}", self.repeated_at);
    }
}
