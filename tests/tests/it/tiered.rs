//! Tiered storage at the source: what is no longer on the broker's disk is mirrored like what is.

use std::path::Path;

use kmirror_tests::artefacts::tiered_storage_jars;
use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;

use crate::fixture::{SOON, assert_same, eventually, target};

const TOPIC: &str = "tiered";
/// Segments roll soon, and leave the broker's disk once they are in the remote storage.
const SETTINGS: [&str; 4] =
    ["remote.storage.enable=true", "segment.bytes=100000", "local.retention.bytes=1", "retention.bytes=-1"];

fn tiered_cluster() -> KafkaCluster {
    let jars = tiered_storage_jars().unwrap();
    let storage = "org.apache.kafka.server.log.remote.storage.LocalTieredStorage";
    let options = Options::default()
        .with("remote.log.storage.system.enable", "true")
        .with("remote.log.storage.manager.class.name", storage)
        .with("remote.log.storage.manager.class.path", &format!("{}/*", jars.display()))
        .with("rsm.config.dir", "{dir}/data-tiered")
        .with("remote.log.metadata.manager.listener.name", "PLAINTEXT")
        .with("rlmm.config.remote.log.metadata.topic.replication.factor", "1")
        .with("rlmm.config.remote.log.metadata.topic.num.partitions", "1")
        .with("remote.log.manager.task.interval.ms", "500")
        .with("log.retention.check.interval.ms", "500");
    KafkaCluster::start(Version::V3_9_1, options).unwrap()
}

/// Where the oldest segment on the broker's disk begins.
fn local_start(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).unwrap();
    let offset =
        |path: &Path| path.extension()?.eq("log").then(|| path.file_stem()?.to_str()?.parse().ok())?;
    files.filter_map(|file| offset(&file.unwrap().path())).min().unwrap()
}

#[test]
fn records_that_are_only_in_the_remote_storage() {
    let source = tiered_cluster();
    oracle::create_topic(&source.bootstrap(), TOPIC, 2, 1, &SETTINGS).unwrap();
    let options = ["--case", "plain", "--partitions", "2", "--records", "10000", "--codec", "none,lz4,zstd"];
    oracle::produce(&source.bootstrap(), TOPIC, &[&options[..], &["--batch-records", "100"]].concat())
        .unwrap();
    for partition in 0..2 {
        let directory = source.data(1).unwrap().join(format!("{TOPIC}-{partition}"));
        eventually("segments leaving the broker's disk", || local_start(&directory) > 6000);
    }
    // Beforehand: this target has no tiered storage and refuses the topic's settings.
    oracle::create_topic(&target().bootstrap(), &format!("far.{TOPIC}"), 2, 1, &[]).unwrap();
    let properties =
        Properties::between(("far", &source), ("target", target()), TOPIC).with("group.id", TOPIC);
    kmirror::run_until_synced(&properties, SOON).unwrap();
    assert_same(&source, TOPIC, target(), &format!("far.{TOPIC}"));
    let found = oracle::dump(&target().bootstrap(), &format!("far.{TOPIC}"), &[]).unwrap();
    assert_eq!((found[&0].records, found[&1].records), (10_000, 10_000));
}
