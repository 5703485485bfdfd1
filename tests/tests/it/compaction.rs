//! Logs the cleaner has been through: records missing inside batches, whole batches gone, batches without records.
//!
//! What the cleaner really did is read from the broker's files before anything is mirrored.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use kmirror_tests::kafka::KafkaCluster;
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::scripts;
use serde_json::Value;

use crate::fixture::{assert_same, create, eventually, flow, produce, source, stop, sync, target};

/// Much to clean at once; tombstones stay.
const COMPACTED: [&str; 5] = [
    "cleanup.policy=compact",
    "min.cleanable.dirty.ratio=0.01",
    "segment.bytes=60000",
    "segment.index.bytes=1024",
    "max.message.bytes=100000",
];
const RECORDS: u64 = 12_000;

/// A batch as the broker's file has it.
struct Stored {
    first: u64,
    last: u64,
    records: u64,
    marker: bool,
}

impl Stored {
    fn all(topic: &str) -> Vec<Self> {
        let directory = source().data(1).unwrap().join(format!("{topic}-0"));
        let answer = oracle::ask("batches", &[&directory.display().to_string()]).unwrap();
        let number = |batch: &Value, key: &str| batch[key].as_u64().unwrap();
        let stored = |b: &Value| Self {
            first: number(b, "offset"),
            last: number(b, "last"),
            records: number(b, "records"),
            marker: number(b, "attributes") & 0x20 != 0 && number(b, "records") > 0,
        };
        answer.as_array().unwrap().iter().map(stored).collect()
    }

    fn has_holes(&self) -> bool {
        self.records > 0 && self.records < self.last + 1 - self.first
    }
}

/// What is missing from a log, and how often.
#[derive(Debug, Default, PartialEq)]
struct Holes {
    inside: usize,
    between: usize,
    empty: usize,
}

fn holes(batches: &[Stored]) -> Holes {
    let between = batches.windows(2).filter(|pair| pair[1].first > pair[0].last + 1).count();
    let inside = batches.iter().filter(|batch| batch.has_holes()).count();
    Holes { inside, between, empty: batches.iter().filter(|batch| batch.records == 0).count() }
}

/// The compacted topics: name, codecs, further settings.
const TOPICS: [(&str, &str, &[&str]); 5] = [
    ("compacted-none", "none", &[]),
    ("compacted-lz4", "lz4", &[]),
    ("compacted-zstd", "zstd", &[]),
    ("compacted-mixed", "lz4,none,zstd,gzip,snappy", &[]),
    ("compacted-no-tombstones", "none,lz4", &["delete.retention.ms=0"]),
];

/// Fills the topics at the source, waits until the cleaner is through with them and keeps it from cleaning more.
fn compacted() -> &'static BTreeMap<&'static str, Vec<Stored>> {
    static LOGS: OnceLock<BTreeMap<&str, Vec<Stored>>> = OnceLock::new();
    LOGS.get_or_init(|| {
        for (topic, codec, configs) in TOPICS {
            fill(topic, codec, configs);
        }
        TOPICS.into_iter().map(|(topic, ..)| (topic, cleaned(topic))).collect()
    })
}

fn fill(topic: &str, codec: &str, configs: &[&str]) {
    create(topic, 1, &[&COMPACTED[..], configs].concat());
    let common = ["--case", "compact", "--batch-records", "20", "--codec", codec];
    // The last batch of a producer id stays without its records, for its sequence; so one of hot keys only.
    produce(topic, &[&common[..], &["--idempotent", "--records", "130", "--seed", "first"]].concat());
    // The cleaner leaves the active segment alone, and with it some of these.
    produce(topic, &[&common[..], &["--records", &RECORDS.to_string()]].concat());
}

/// Waits until the cleaner is through with the topic, and keeps it from going on.
fn cleaned(topic: &str) -> Vec<Stored> {
    settled(topic, RECORDS / 2);
    freeze(topic);
    Stored::all(topic)
}

fn freeze(topic: &str) {
    oracle::ask("admin", &[&source().bootstrap(), "alter", topic, "cleanup.policy=delete"]).unwrap();
}

/// Waits until the cleaner left at most so many records and has no more to do.
fn settled(topic: &str, at_most: u64) -> Vec<Stored> {
    let mut before = Vec::new();
    eventually("compaction", || {
        let now: Vec<(u64, u64)> = Stored::all(topic).iter().map(|b| (b.first, b.records)).collect();
        let rest: u64 = now.iter().map(|(_, records)| records).sum();
        let settled = now == before && rest <= at_most;
        before = now;
        // Longer than the cleaner's pause.
        std::thread::sleep(std::time::Duration::from_millis(if settled { 0 } else { 700 }));
        settled
    });
    Stored::all(topic)
}

/// The target's topic, which no cleaner may touch before it was compared.
fn keep_all_at_target(alias: &str, topic: &str) {
    let name = format!("{alias}.{topic}");
    oracle::create_topic(&target().bootstrap(), &name, 1, 1, &[]).unwrap();
}

#[test]
fn every_codec_and_kind_of_hole() {
    for (topic, batches) in compacted() {
        let found = holes(batches);
        assert!(found.inside > 50 && found.between > 10 && found.empty > 0, "{topic}: {found:?}");
        keep_all_at_target("tidy", topic);
    }
    sync(&flow("tidy", "compacted-.*"));
    for topic in compacted().keys() {
        assert_same(source(), topic, target(), &format!("tidy.{topic}"));
    }
}

#[test]
fn stops_and_kills_in_the_middle() {
    let topic = "compacted-mixed";
    compacted();
    keep_all_at_target("halves", topic);
    let properties = slowly("halves", source(), target(), topic);
    let mirrored = format!("halves.{topic}");
    let total = oracle::dump(&source().bootstrap(), topic, &[]).unwrap()[&0].records;
    let mut stops = Vec::new();
    for part in 1..4 {
        let mirror = kmirror::start_run(&properties, &[]).unwrap();
        let wanted = (total * part / 5).to_string();
        scripts::run("watch", &[&target().bootstrap(), &mirrored, &wanted]).unwrap();
        // Killed, it has not written down how far it came: that is found by what the target holds.
        if part == 2 {
            stop(&mirror);
        } else {
            mirror.kill().unwrap();
        }
        stops.push(oracle::offsets_held(&target().bootstrap(), &mirrored).unwrap());
    }
    assert!(stops[0] < total, "the first run was through before it could be stopped: {stops:?} of {total}");
    sync(&properties);
    assert_same(source(), topic, target(), &mirrored);
}

/// One small fetch after the other, so that there is a middle to stop in.
fn slowly(alias: &str, source: &KafkaCluster, target: &KafkaCluster, topic: &str) -> Properties {
    Properties::between((alias, source), ("target", target), topic)
        .with(&format!("{alias}.consumer.max.partition.fetch.bytes"), "500")
        .with(&format!("{alias}.consumer.fetch.max.bytes"), "500")
        .with("target.producer.max.in.flight.requests.per.connection", "1")
        .with("target.producer.max.request.size", "500")
}

#[test]
fn fetches_that_start_inside_a_batch() {
    let (alias, bootstrap) = ("inside", target().bootstrap());
    let progress = format!("mm2-offsets.{alias}.internal");
    oracle::create_topic(&bootstrap, &progress, 25, 1, &["cleanup.policy=compact"]).unwrap();
    for (topic, batches) in compacted() {
        keep_all_at_target(alias, topic);
        let position = last_mirrored(topic, batches).to_string();
        oracle::ask("position", &[&bootstrap, &progress, alias, topic, "0", &position]).unwrap();
    }
    sync(&flow(alias, "compacted-.*"));
    for (topic, batches) in compacted() {
        let from = last_mirrored(topic, batches) + 1;
        let options = ["--from", &from.to_string()];
        let expected = oracle::dump(&source().bootstrap(), topic, &options).unwrap();
        let found = oracle::dump(&bootstrap, &format!("{alias}.{topic}"), &[]).unwrap();
        if let Err(difference) = oracle::same_content(&expected, &found) {
            panic!("{topic}, from {from} on: {difference}");
        }
        assert!(expected[&0].records > 500, "{topic} from {from} on: {expected:?}");
    }
}

/// Where MirrorMaker 2 would have left off: behind it comes a record of a batch with holes, a hole between batches,
/// or a batch without records.
fn last_mirrored(topic: &str, batches: &[Stored]) -> u64 {
    match topic {
        "compacted-mixed" => {
            batches.windows(2).find(|pair| pair[1].first > pair[0].last + 3).unwrap()[0].last + 1
        }
        "compacted-no-tombstones" => batches.iter().find(|batch| batch.records == 0).unwrap().first,
        _ => {
            let mut inside = batches.iter().filter(|batch| batch.has_holes() && batch.records > 5);
            let batch = inside.nth(20).unwrap();
            (batch.first + batch.last) / 2
        }
    }
}

/// Transactions in a compacted log, a record of which the cleaner removes when it was aborted, too. Some markers stay
/// for a day, others go with the second cleaning.
#[test]
fn transactions_the_cleaner_went_through() {
    let topics = [("cleaned-markers-stay", "86400000"), ("cleaned-markers-go", "0")];
    for (topic, retention) in topics {
        create(topic, 1, &[&COMPACTED[..], &[&format!("delete.retention.ms={retention}")]].concat());
    }
    // The second cleaning takes markers, unless a first one was still under way when more was written: then the third.
    let cleaned = ["first", "second", "third", "fourth"].iter().any(|seed| {
        let written = topics.map(|(topic, _)| produce_transactions(topic, seed));
        let [stay, go] = [0, 1].map(|n| {
            let topic = topics[n].0;
            let batches = settled(topic, written[n] * 2 / 3);
            let found = holes(&batches);
            assert!(found.inside > 10 && found.between + found.empty > 10, "{topic}: {found:?}");
            batches.iter().filter(|batch| batch.marker).count()
        });
        go > 0 && go < stay
    });
    assert!(cleaned, "the cleaner left all markers");
    for (topic, _) in topics {
        freeze(topic);
        keep_all_at_target("all", topic);
        keep_all_at_target("done", topic);
    }
    sync(&flow("all", "cleaned-.*"));
    sync(&flow("done", "cleaned-.*").with("done.consumer.isolation.level", "read_committed"));
    for (topic, _) in topics {
        for (alias, isolation) in [("all", "read_uncommitted"), ("done", "read_committed")] {
            let expected = oracle::dump(&source().bootstrap(), topic, &["--isolation", isolation]).unwrap();
            let found = oracle::dump(&target().bootstrap(), &format!("{alias}.{topic}"), &[]).unwrap();
            if let Err(difference) = oracle::same_content(&expected, &found) {
                panic!("{topic}, {isolation}: {difference}");
            }
        }
    }
}

/// Returns how many records were written.
fn produce_transactions(topic: &str, seed: &str) -> u64 {
    let bootstrap = source().bootstrap();
    let arguments = [&bootstrap, topic, "--keys", "300", "--transactions", "90", "--seed", seed];
    oracle::ask("transactions", &arguments).unwrap()["written"]["0"].as_u64().unwrap()
}
