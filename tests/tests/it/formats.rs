//! Message formats 0 and 1, which old brokers keep in their logs, beside format 2: nothing but the format changes.

use std::collections::BTreeSet;

use kmirror_tests::java::console_producer;
use kmirror_tests::kafka::{KafkaCluster, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use serde_json::Value;

use crate::fixture::{SOON, source_of, target_of};

const CODECS: &str = "none,gzip,snappy,lz4";
/// Settings of a 2.8.2 topic and what its broker then writes.
const FORMATS: [(&str, u64); 4] = [("0.9.0", 0), ("0.10.0", 1), ("2.8", 2), ("0.9.0", 0)];
/// librdkafka takes the broker for one of that release and writes its format. The broker makes batches of format 0
/// anew; those of format 1 it keeps as they come.
const OLD_CLIENT: &str = ";api.version.request=false;broker.version.fallback=";

fn old() -> &'static KafkaCluster {
    source_of(Version::V2_8_2)
}

fn create(topic: &str, configs: &[&str]) {
    oracle::create_topic(&old().bootstrap(), topic, 1, 1, configs).unwrap();
}

fn set_format(topic: &str, version: &str) {
    let setting = format!("message.format.version={version}");
    oracle::ask("admin", &[&old().bootstrap(), "alter", topic, &setting]).unwrap();
}

/// Records without headers, which formats 0 and 1 do not have.
fn produce(bootstrap: &str, topic: &str, seed: &str, more: &[&str]) {
    let options = ["--case", "compact", "--codec", CODECS, "--records", "800", "--seed", seed];
    oracle::produce(bootstrap, topic, &[&options[..], more].concat()).unwrap();
}

/// Lines for the console producer, long enough to be worth compressing.
fn lines(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("key-{}\tvalue {n} {}\n", n % 7, "of a line ".repeat(n % 9))).collect()
}

/// Format and codec of what the broker stored.
fn stored(topic: &str) -> BTreeSet<(u64, String)> {
    let directory = old().data(1).unwrap().join(format!("{topic}-0"));
    let answer = oracle::ask("batches", &[&directory.display().to_string()]).unwrap();
    let kind = |b: &Value| (b["magic"].as_u64().unwrap(), b["codec"].as_str().unwrap().to_owned());
    answer.as_array().unwrap().iter().map(kind).collect()
}

fn assert_all_stored(topic: &str, formats: &[u64]) {
    let found = stored(topic);
    for format in formats {
        for codec in CODECS.split(',') {
            let kind = (*format, codec.to_owned());
            assert!(found.contains(&kind), "{topic} has nothing in format {kind:?}, only {found:?}");
        }
    }
}

/// Mirrors to both newer releases. The timestamp type of a record without a time is one of the format, so times are
/// compared without.
fn assert_arrives(topic: &str) {
    let options = ["--ignore-timestamp-type"];
    let expected = oracle::dump(&old().bootstrap(), topic, &options).unwrap();
    for version in [Version::V3_9_1, Version::V4_3_0] {
        let target = target_of(version);
        // Before hand: 4.3.0 does not know the setting message.format.version.
        oracle::create_topic(&target.bootstrap(), &format!("old.{topic}"), 1, 1, &[]).unwrap();
        // Tests that run at the same time share the clusters, and must not share the work.
        let properties =
            Properties::between(("old", old()), ("target", target), topic).with("group.id", topic);
        kmirror::run_until_synced(&properties, SOON).unwrap();
        let found = oracle::dump(&target.bootstrap(), &format!("old.{topic}"), &options).unwrap();
        if let Err(difference) = oracle::same_content(&expected, &found) {
            panic!("{topic} to {}: {difference}", version.name());
        }
    }
}

/// Times of all records as librdkafka gives them.
fn times(cluster: &KafkaCluster, topic: &str) -> Vec<i64> {
    let answer = oracle::ask("dump", &[&cluster.bootstrap(), topic, "--records"]).unwrap();
    let records = answer["partitions"]["0"]["content"].as_array().unwrap();
    records.iter().map(|record| record[1].as_i64().unwrap()).collect()
}

#[test]
fn three_formats_mixed_in_one_partition() {
    create("formats-mixed", &[]);
    for (number, (version, _)) in FORMATS.iter().enumerate() {
        set_format("formats-mixed", version);
        produce(&old().bootstrap(), "formats-mixed", &number.to_string(), &[]);
    }
    assert_all_stored("formats-mixed", &[0, 1, 2]);
    assert_arrives("formats-mixed");
}

#[test]
fn records_of_format_0_have_no_time() {
    create("formats-timeless", &["message.format.version=0.9.0"]);
    produce(&old().bootstrap(), "formats-timeless", "timeless", &["--records", "200"]);
    assert_arrives("formats-timeless");
    for version in [Version::V3_9_1, Version::V4_3_0] {
        let found = times(target_of(version), "old.formats-timeless");
        assert_eq!((found.len(), found.iter().all(|time| *time == -1)), (200, true), "{found:?}");
    }
}

#[test]
fn formats_an_old_librdkafka_writes() {
    create("formats-librdkafka", &[]);
    for (version, release) in [("0.9.0", "0.9.0.1"), ("0.10.0", "0.10.0.1")] {
        set_format("formats-librdkafka", version);
        let bootstrap = old().bootstrap() + OLD_CLIENT + release;
        produce(&bootstrap, "formats-librdkafka", release, &[]);
    }
    assert_all_stored("formats-librdkafka", &[0, 1]);
    assert_arrives("formats-librdkafka");
}

#[test]
fn formats_java_writes() {
    create("formats-java", &[]);
    for (version, codec) in [("0.9.0", "snappy"), ("0.9.0", "lz4"), ("0.10.0", "lz4"), ("0.10.0", "snappy")] {
        set_format("formats-java", version);
        console_producer(Version::V2_8_2, &old().bootstrap(), "formats-java", codec, &lines(500)).unwrap();
    }
    let found = stored("formats-java");
    for kind in [(0, "snappy"), (0, "lz4"), (1, "snappy"), (1, "lz4")] {
        assert!(found.contains(&(kind.0, kind.1.to_owned())), "nothing in {kind:?}, only {found:?}");
    }
    assert_arrives("formats-java");
}

#[test]
fn append_time_of_format_1() {
    let configs = ["message.format.version=0.10.0", "message.timestamp.type=LogAppendTime"];
    create("formats-append-time", &configs);
    produce(&old().bootstrap(), "formats-append-time", "append", &[]);
    assert_all_stored("formats-append-time", &[1]);
    assert_arrives("formats-append-time");
    // Not the times the producer gave, which are long ago.
    let found = times(target_of(Version::V3_9_1), "old.formats-append-time");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let recent = |time: &i64| u128::try_from(*time).is_ok_and(|time| time <= now && now - time < 600_000);
    assert!(found.len() == 800 && found.iter().all(recent), "{found:?}");
}
