//! Target topics that somebody made beforehand, other than the source's: they stay so, and the records fit in.

use kmirror_tests::kafka::{KafkaCluster, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle::{self, Dump};
use serde_json::Value;

use crate::fixture::{
    SOON, assert_mirrored, create, create_target, flow, produce, source, source_of, stop, sync, target,
    target_of, wait_for,
};

const CODECS: &str = "none,gzip,snappy,lz4,zstd";
const RECORD_BYTES_MAX: u64 = 20_000;

fn stored(cluster: &KafkaCluster, topic: &str) -> Vec<Value> {
    let directory = cluster.data(1).unwrap().join(format!("{topic}-0"));
    oracle::ask("batches", &[&directory.display().to_string()]).unwrap().as_array().unwrap().clone()
}

#[test]
fn with_another_codec() {
    let cases = [("gzip", "gzip"), ("zstd", "zstd"), ("uncompressed", "none")];
    for (setting, _) in cases {
        let topic = format!("recoded-{setting}");
        create(&topic, 1, &[]);
        // Small batches and large ones.
        produce(&topic, &["--codec", CODECS, "--records", "1500"]);
        produce(&topic, &["--case", "plain", "--codec", CODECS, "--records", "20000"]);
        produce(&topic, &["--codec", CODECS, "--records", "50", "--batch-records", "1"]);
        create_target(&format!("recode.{topic}"), 1, &[&format!("compression.type={setting}")]);
    }
    sync(&flow("recode", "recoded-.*"));
    for (setting, codec) in cases {
        let topic = format!("recoded-{setting}");
        assert_mirrored("recode", &topic);
        let batches = stored(target(), &format!("recode.{topic}"));
        assert!(batches.len() > 3 && batches.iter().all(|batch| batch["codec"] == codec), "{topic}");
    }
}

#[test]
fn with_a_smaller_limit_batches_are_split() {
    for codec in ["none", "lz4", "zstd"] {
        let topic = format!("split-{codec}");
        create(&topic, 1, &[]);
        produce(&topic, &["--case", "plain", "--records", "10000", "--codec", codec]);
        produce(&topic, &["--records", "500", "--codec", codec]);
        let largest = stored(source(), &topic).iter().map(|b| b["bytes"].as_u64().unwrap()).max();
        assert!(largest.unwrap() > 5 * RECORD_BYTES_MAX, "no batch of {topic} is large: {largest:?}");
        create_target(&format!("limit.{topic}"), 1, &[&format!("max.message.bytes={RECORD_BYTES_MAX}")]);
    }
    sync(&flow("limit", "split-.*"));
    for codec in ["none", "lz4", "zstd"] {
        assert_mirrored("limit", &format!("split-{codec}"));
    }
}

#[test]
fn a_record_too_large_stops_its_partition_only() {
    create("huge", 2, &[]);
    // The tenth has 900 kB, and only partition 0 gets it.
    produce("huge", &["--case", "sizes", "--records", "10"]);
    produce("huge", &["--case", "plain", "--records", "100", "--partitions", "2"]);
    create_target("limit.huge", 2, &[&format!("max.message.bytes={RECORD_BYTES_MAX}")]);
    let mirror = kmirror::start_run(&flow("limit", "huge"), &[]).unwrap();
    wait_for(&mirror, target(), "limit.huge", 109);
    mirror.wait_until("it stopped the partition", SOON, || mirror.stderr().contains("stopped: ")).unwrap();
    let said = mirror.stderr();
    let line = said.lines().find(|line| line.contains("stopped: ")).unwrap();
    for word in ["huge-0", "source offset 9", "takes 20000", "max.message.bytes"] {
        assert!(line.contains(word), "{word} is not in: {line}");
    }
    // The other partition goes on.
    produce("huge", &["--case", "plain", "--records", "100", "--first", "100", "--partitions", "2"]);
    wait_for(&mirror, target(), "limit.huge", 209);
    stop(&mirror);
    let found = records(&oracle::dump(&target().bootstrap(), "limit.huge", &[]).unwrap());
    assert_eq!(found, [9, 200]);

    let limit = "max.message.bytes=1048588";
    oracle::ask("admin", &[&target().bootstrap(), "alter", "limit.huge", limit]).unwrap();
    sync(&flow("limit", "huge"));
    assert_mirrored("limit", "huge");
}

fn records(dump: &Dump) -> Vec<u64> {
    dump.values().map(|partition| partition.records).collect()
}

#[test]
fn with_more_partitions() {
    create("wider", 2, &[]);
    produce("wider", &["--partitions", "2", "--codec", "lz4"]);
    create_target("wide.wider", 5, &[]);
    sync(&flow("wide", "wider"));
    let expected = oracle::dump(&source().bootstrap(), "wider", &[]).unwrap();
    let mut found = oracle::dump(&target().bootstrap(), "wide.wider", &[]).unwrap();
    assert_eq!(records(&found), [1000, 1000, 0, 0, 0]);
    found.retain(|partition, _| expected.contains_key(partition));
    oracle::same_content(&expected, &found).unwrap();
}

#[test]
fn with_append_time() {
    create("stamped", 1, &[]);
    produce("stamped", &["--codec", CODECS]);
    create_target("stamp.stamped", 1, &["message.timestamp.type=LogAppendTime"]);
    sync(&flow("stamp", "stamped"));
    let timeless = ["--ignore-timestamps"];
    let expected = oracle::dump(&source().bootstrap(), "stamped", &timeless).unwrap();
    let found = oracle::dump(&target().bootstrap(), "stamp.stamped", &timeless).unwrap();
    oracle::same_content(&expected, &found).unwrap();
    // Append time, in a log of append time; the producers' times lie in the past.
    for batch in stored(target(), "stamp.stamped") {
        assert_eq!(batch["attributes"].as_u64().unwrap() & 8, 8, "{batch}");
    }
}

/// A topic whose settings the other release does not take, with some records.
fn mirrored_without(source: &KafkaCluster, topic: &str, setting: &str) {
    let target = target_of(Version::V4_3_0);
    let (name, _) = setting.split_once('=').unwrap();
    // The cleaner of the source leaves all records.
    let settings = [setting, "cleanup.policy=compact", "min.cleanable.dirty.ratio=1"];
    oracle::create_topic(&source.bootstrap(), topic, 1, 1, &settings).unwrap();
    oracle::produce(&source.bootstrap(), topic, &["--case", "tombstones", "--records", "100"]).unwrap();
    let properties = Properties::between(("strange", source), ("target", target), topic);
    let finished = kmirror::run_until_synced(&properties, SOON).unwrap();
    let said = finished.stdout + &finished.stderr;
    assert!(said.contains(name), "what was left out is not said:\n{said}");
    let mirrored = format!("strange.{topic}");
    assert_eq!(oracle::offsets_held(&target.bootstrap(), &mirrored).unwrap(), 100);
    let settings = oracle::topic_settings(&target.bootstrap(), &mirrored).unwrap();
    assert_eq!(settings.get("cleanup.policy").map(String::as_str), Some("compact"));
}

#[test]
fn settings_a_newer_target_does_not_know_are_left_out() {
    mirrored_without(source_of(Version::V2_8_2), "old-settings", "message.format.version=0.10.0");
}

#[test]
fn values_a_newer_target_does_not_take_are_left_out() {
    mirrored_without(source_of(Version::V3_9_1), "small-segments", "segment.bytes=20000");
}
