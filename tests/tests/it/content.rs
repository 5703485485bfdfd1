//! Content and order: what librdkafka reads at the target is what it reads at the source, for every kind of batch.

use kmirror_tests::kafka::{KafkaCluster, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use serde_json::Value;

use crate::fixture::{
    CLEANED_SOON, SOON, assert_mirrored, assert_same, create, flow, produce, source, source_of, sync, target,
    target_of,
};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// One topic a codec, between two releases.
fn every_codec(from: Version, to: Version) {
    let (source, target) = (source_of(from), target_of(to));
    let name = format!("codecs-to-{}", to.name());
    for codec in CODECS {
        let topic = format!("{name}.{codec}");
        oracle::create_topic(&source.bootstrap(), &topic, 3, 1, &[]).unwrap();
        let options = ["--partitions", "3", "--codec", codec, "--seed", codec];
        let produced = oracle::produce(&source.bootstrap(), &topic, &options).unwrap();
        assert_eq!(produced.len(), 3);
    }
    let alias = format!("from-{}", from.name());
    let properties = Properties::between((&alias, source), ("target", target), &format!("{name}\\\\..*"));
    kmirror::run_until_synced(&properties, SOON).unwrap();
    for codec in CODECS {
        assert_same(source, &format!("{name}.{codec}"), target, &format!("{alias}.{name}.{codec}"));
    }
}

#[test]
fn every_codec_from_3_9_1_to_3_9_1() {
    every_codec(Version::V3_9_1, Version::V3_9_1);
}

#[test]
fn every_codec_from_3_9_1_to_4_3_0() {
    every_codec(Version::V3_9_1, Version::V4_3_0);
}

#[test]
fn every_codec_from_4_3_0_to_3_9_1() {
    every_codec(Version::V4_3_0, Version::V3_9_1);
}

#[test]
fn every_codec_from_4_3_0_to_4_3_0() {
    every_codec(Version::V4_3_0, Version::V4_3_0);
}

#[test]
fn every_codec_from_3_9_1_to_2_8_2() {
    every_codec(Version::V3_9_1, Version::V2_8_2);
}

#[test]
fn codecs_mixed_in_one_partition() {
    create("mixed-codecs", 2, &[]);
    let codecs = "lz4,none,zstd,gzip,none,snappy,lz4";
    produce("mixed-codecs", &["--partitions", "2", "--codec", codecs, "--records", "2100"]);
    sync(&flow("mixed", "mixed-codecs"));
    assert_mirrored("mixed", "mixed-codecs");
}

#[test]
fn tombstones_and_empty_values() {
    create("tombstones", 1, &["cleanup.policy=compact"]);
    produce("tombstones", &["--case", "tombstones", "--records", "500"]);
    sync(&flow("dead", "tombstones"));
    assert_mirrored("dead", "tombstones");
}

#[test]
fn one_byte_and_900_kilobytes() {
    for codec in ["none", "lz4"] {
        let topic = format!("sizes-{codec}");
        create(&topic, 2, &[]);
        produce(&topic, &["--case", "sizes", "--records", "60", "--partitions", "2", "--codec", codec]);
    }
    sync(&flow("sizes", "sizes-.*"));
    assert_mirrored("sizes", "sizes-none");
    assert_mirrored("sizes", "sizes-lz4");
}

#[test]
fn many_small_batches() {
    for (codec, batch) in [("none", "1"), ("lz4", "3"), ("zstd", "2"), ("gzip", "1"), ("snappy", "1")] {
        let topic = format!("small-{codec}");
        create(&topic, 2, &[]);
        let options = ["--records", "5000", "--partitions", "2", "--codec", codec, "--batch-records", batch];
        produce(&topic, &options);
    }
    sync(&flow("small", "small-.*"));
    for codec in CODECS {
        assert_mirrored("small", &format!("small-{codec}"));
    }
}

#[test]
fn empty_topics_exist_with_their_partitions_and_settings() {
    let settings = ["cleanup.policy=compact", "segment.bytes=2097152", "min.insync.replicas=1"];
    create("empty", 7, &settings);
    sync(&flow("nothing", "empty"));
    let topics = oracle::topics(&target().bootstrap()).unwrap();
    assert_eq!(topics.get("nothing.empty"), Some(&7));
    let found = oracle::topic_settings(&target().bootstrap(), "nothing.empty").unwrap();
    assert_eq!(found.get("cleanup.policy").map(String::as_str), Some("compact"));
    assert_eq!(found.get("segment.bytes").map(String::as_str), Some("2097152"));
    // MirrorMaker 2 leaves this one out, and so do we.
    assert_eq!(found.get("min.insync.replicas"), None);
}

#[test]
fn identity_keeps_names() {
    create("same-name", 2, &[]);
    produce("same-name", &["--partitions", "2"]);
    sync(&flow("identity", "same-name").identity());
    assert_same(source(), "same-name", target(), "same-name");
}

#[test]
fn offsets_with_gaps_after_compaction() {
    create("gaps", 1, &CLEANED_SOON);
    for (codec, first) in [("none", "0"), ("lz4", "2000"), ("zstd", "4000")] {
        let options = ["--case", "tombstones", "--records", "2000", "--first", first, "--codec", codec];
        produce("gaps", &options);
        std::thread::sleep(std::time::Duration::from_millis(400));
    }
    // The cleaner leaves the active segment alone, so a last record ends what it may clean.
    produce("gaps", &["--case", "tombstones", "--records", "1", "--first", "9000"]);
    crate::fixture::eventually("compaction", || records(source(), "gaps") < 2000);
    sync(&flow("gappy", "gaps"));
    assert_mirrored("gappy", "gaps");
}

fn records(cluster: &KafkaCluster, topic: &str) -> u64 {
    oracle::dump(&cluster.bootstrap(), topic, &[]).unwrap().values().map(|p| p.records).sum()
}

#[test]
fn append_time_arrives_as_the_time_of_the_record() {
    create("append-time", 1, &["message.timestamp.type=LogAppendTime"]);
    produce("append-time", &["--codec", "none,lz4"]);
    sync(&flow("when", "append-time"));
    // The type becomes create time: the setting is among those MirrorMaker 2 does not copy.
    let options = ["--ignore-timestamp-type"];
    let expected = oracle::dump(&source().bootstrap(), "append-time", &options).unwrap();
    let found = oracle::dump(&target().bootstrap(), "when.append-time", &options).unwrap();
    oracle::same_content(&expected, &found).unwrap();
}

fn stored_batches(cluster: &KafkaCluster, topic: &str) -> Vec<Value> {
    let directory = cluster.data(1).unwrap().join(format!("{topic}-0"));
    let answer = oracle::ask("batches", &[&directory.display().to_string()]).unwrap();
    answer.as_array().unwrap().clone()
}

#[test]
fn large_batches_are_forwarded_untouched() {
    create("untouched", 1, &[]);
    produce("untouched", &["--case", "plain", "--records", "40000", "--codec", "zstd,lz4,gzip,snappy"]);
    sync(&flow("shallow", "untouched"));
    assert_mirrored("shallow", "untouched");
    let (before, after) =
        (stored_batches(source(), "untouched"), stored_batches(target(), "shallow.untouched"));
    let payloads = |batches: &[Value]| -> Vec<(Value, Value, Value)> {
        batches.iter().map(|b| (b["codec"].clone(), b["records"].clone(), b["payload"].clone())).collect()
    };
    let large: Vec<&Value> = before.iter().filter(|b| b["bytes"].as_u64().unwrap() > 64 << 10).collect();
    assert!(large.len() >= 4, "the producer made only {} large batches", large.len());
    let after = payloads(&after);
    for batch in payloads(&large.into_iter().cloned().collect::<Vec<_>>()) {
        assert!(after.contains(&batch), "a large batch was changed on the way: {batch:?}");
    }
}

#[test]
fn a_topic_of_a_longer_run_is_complete() {
    // Several fetches and produces a partition, more than one segment of progress, all in one run.
    create("longer", 4, &["segment.bytes=1048576"]);
    produce("longer", &["--case", "plain", "--records", "30000", "--partitions", "4", "--codec", "lz4"]);
    sync(&flow("longer", "longer"));
    assert_mirrored("longer", "longer");
}
