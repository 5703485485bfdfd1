//! A target broker one of whose disks is full: the other partitions go on, nothing is lost once there is room.

use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;

use crate::fixture::{assert_same, eventually, stop, wait_for};

/// What one file may hold: the broker's error at the limit is the one of a full disk.
/// It must leave room for the index files of 10 MB a broker makes beforehand.
const LIMIT: u64 = 12 << 20;

#[test]
fn a_full_disk_stops_its_partitions_only() {
    let source = KafkaCluster::start(Version::V3_9_1, Options::default()).unwrap();
    let options = Options { file_size_limit: Some(LIMIT), ..Options::default() }
        .with("log.dirs", "{dir}/data-1,{dir}/data-2")
        .with("metadata.log.dir", "{dir}/data-metadata");
    let mut target = KafkaCluster::start(Version::V3_9_1, options).unwrap();
    // Both are there before: a broker spreads new partitions over its disks.
    for topic in ["large", "little"] {
        oracle::create_topic(&source.bootstrap(), topic, 1, 1, &[]).unwrap();
        oracle::create_topic(&target.bootstrap(), topic, 1, 1, &[]).unwrap();
    }
    let partition = |disk: &str, topic: &str| {
        target.data(1).unwrap().with_file_name(disk).join(format!("{topic}-0")).exists()
    };
    eventually("each on a disk of its own", || {
        let on = |disk: &str| (partition(disk, "large"), partition(disk, "little"));
        matches!(
            (on("data-1"), on("data-2")),
            ((true, false), (false, true)) | ((false, true), (true, false))
        )
    });

    oracle::produce(&source.bootstrap(), "large", &["--case", "sizes", "--records", "300"]).unwrap();
    oracle::produce(&source.bootstrap(), "little", &["--records", "100"]).unwrap();
    let properties = Properties::between(("src", &source), ("dst", &target), "large, little").identity();
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    eventually("the disk to be full", || target.broker_log(1).unwrap().contains("File too large"));
    oracle::produce(&source.bootstrap(), "little", &["--records", "100", "--first", "100"]).unwrap();
    wait_for(&mirror, &target, "little", 200);
    assert!(mirror.exited().is_none(), "{}", mirror.tail(40));

    target.stop_broker(1).unwrap();
    target.limit_file_size(1, None).unwrap();
    target.start_broker(1).unwrap();
    wait_for(&mirror, &target, "large", 300);
    stop(&mirror);
    assert_same(&source, "large", &target, "large");
    assert_same(&source, "little", &target, "little");
}
