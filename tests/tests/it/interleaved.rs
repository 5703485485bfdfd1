//! Transactions of several producers interleaved in each partition, in small segments, fetched in small pieces:
//! markers never arrive, aborted records as the isolation level says, and nothing overtakes an open transaction.

use std::thread;
use std::time::Duration;

use kmirror_tests::cache::scratch;
use kmirror_tests::java::java_source;
use kmirror_tests::kafka::{KafkaCluster, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle::{self, Dump};
use kmirror_tests::process::{Process, Signal, run};
use serde_json::Value;

use crate::fixture::{SOON, eventually, source_of, stop, sync, target_of};

/// Segments as small as a broker of 3.9.1 lets them be: aborted transactions span many.
const SMALL_SEGMENTS: [&str; 2] = ["segment.bytes=20000", "segment.index.bytes=1024"];
const COMMITTED: [&str; 2] = ["--isolation", "read_committed"];

/// A topic at both sides, at the target without the source's settings, which 4.3.0 refuses.
fn create_both(source: &KafkaCluster, target: &KafkaCluster, topic: &str, partitions: i32, configs: &[&str]) {
    oracle::create_topic(&source.bootstrap(), topic, partitions, 1, configs).unwrap();
    oracle::create_topic(&target.bootstrap(), &format!("all.{topic}"), partitions, 1, &[]).unwrap();
    oracle::create_topic(&target.bootstrap(), &format!("done.{topic}"), partitions, 1, &[]).unwrap();
}

/// A flow in which a transaction takes many fetches.
fn in_small_pieces(alias: &str, source: &KafkaCluster, target: &KafkaCluster, topic: &str) -> Properties {
    Properties::between((alias, source), ("target", target), topic)
        .with(&format!("{alias}.consumer.max.partition.fetch.bytes"), "3000")
        .with(&format!("{alias}.consumer.fetch.max.bytes"), "5000")
        // Tests that run at once must not share the work.
        .with("group.id", &format!("{alias}-{topic}"))
}

fn committed_only(alias: &str, properties: &Properties) -> Properties {
    properties.clone().with(&format!("{alias}.consumer.isolation.level"), "read_committed")
}

fn counts(answer: &Value, what: &str) -> Vec<u64> {
    answer[what].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).collect()
}

fn records(dump: &Dump) -> Vec<u64> {
    dump.values().map(|partition| partition.records).collect()
}

/// What the mirror made is what librdkafka reads at the source, and what the producers say they wrote.
fn assert_isolated(source: &KafkaCluster, target: &KafkaCluster, topic: &str, written: &Value) {
    let cases = [("all", &[][..], "written"), ("done", &COMMITTED[..], "committed")];
    for (alias, isolation, what) in cases {
        let expected = oracle::dump(&source.bootstrap(), topic, isolation).unwrap();
        assert_eq!(records(&expected), counts(written, what), "librdkafka and the producers disagree");
        let found = oracle::dump(&target.bootstrap(), &format!("{alias}.{topic}"), &[]).unwrap();
        if let Err(difference) = oracle::same_content(&expected, &found) {
            panic!("{what} records of {topic}: {difference}");
        }
    }
}

fn both_isolation_levels(source: &KafkaCluster, target: &KafkaCluster, topic: &str, configs: &[&str]) {
    create_both(source, target, topic, 2, configs);
    let options = ["--partitions", "2", "--transactions", "150", "--seed", topic];
    let written =
        oracle::ask("transactions", &[&[&source.bootstrap(), topic], &options[..]].concat()).unwrap();
    let (all, done) = (counts(&written, "written"), counts(&written, "committed"));
    assert!(done[0] > 300 && all[0] > done[0] + 300, "too little was written or aborted: {written}");
    sync(&in_small_pieces("all", source, target, topic));
    sync(&committed_only("done", &in_small_pieces("done", source, target, topic)));
    assert_isolated(source, target, topic, &written);
}

#[test]
fn both_isolation_levels_from_3_9_1_with_small_segments() {
    let (source, target) = (source_of(Version::V3_9_1), target_of(Version::V4_3_0));
    both_isolation_levels(source, target, "interleaved-391", &SMALL_SEGMENTS);
    let segments = std::fs::read_dir(source.data(1).unwrap().join("interleaved-391-0")).unwrap();
    let aborted = segments
        .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "txnindex"))
        .filter(|file| file.as_ref().unwrap().metadata().unwrap().len() > 0);
    assert!(aborted.count() > 2, "aborted transactions are in too few segments");
}

#[test]
fn both_isolation_levels_from_4_3_0() {
    let (source, target) = (source_of(Version::V4_3_0), target_of(Version::V3_9_1));
    both_isolation_levels(source, target, "interleaved-430", &[]);
}

#[test]
fn both_isolation_levels_from_2_8_2() {
    let (source, target) = (source_of(Version::V2_8_2), target_of(Version::V3_9_1));
    both_isolation_levels(source, target, "interleaved-282", &SMALL_SEGMENTS);
}

/// Each transaction has an epoch of its own then, and librdkafka does not write such.
#[test]
fn both_isolation_levels_of_transactions_of_version_2() {
    let (source, target) = (source_of(Version::V4_3_0), target_of(Version::V4_3_0));
    let topic = "interleaved-java";
    create_both(source, target, topic, 1, &[]);
    let arguments = [&source.bootstrap(), topic, "120"];
    let mut producers = java_source(Version::V4_3_0, "Transactions.java", &arguments).unwrap();
    let written: Value = serde_json::from_str(&run(&mut producers).unwrap()).unwrap();
    assert!(counts(&written, "committed")[0] > 500, "{written}");
    let directory = source.data(1).unwrap().join(format!("{topic}-0"));
    let batches = oracle::ask("batches", &[&directory.display().to_string()]).unwrap();
    let last = batches.as_array().unwrap().iter().filter_map(|batch| batch["epoch"].as_i64()).max();
    assert!(last > Some(30), "transactions share an epoch: {last:?}");
    sync(&in_small_pieces("all", source, target, topic));
    sync(&committed_only("done", &in_small_pieces("done", source, target, topic)));
    assert_isolated(source, target, topic, &written);
}

fn start_transactions(source: &KafkaCluster, topic: &str, hold: &str, hold_ends: &str) -> Process {
    let bootstrap = source.bootstrap();
    let options = ["--partitions", "2", "--hold", hold, "--hold-ends", hold_ends, "--transactions", "200"];
    let arguments = [&[bootstrap.as_str(), topic], &options[..]].concat();
    oracle::start("transactions", topic, &arguments, &scratch(topic).unwrap()).unwrap()
}

fn held_back(topic: &str, hold_ends: &str) {
    let (source, target) = (source_of(Version::V3_9_1), target_of(Version::V4_3_0));
    create_both(source, target, topic, 2, &SMALL_SEGMENTS);
    let all = kmirror::start_run(&in_small_pieces("all", source, target, topic), &[]).unwrap();
    let properties = committed_only("done", &in_small_pieces("done", source, target, topic));
    let done = kmirror::start_run(&properties, &[]).unwrap();
    let producers = start_transactions(source, topic, "60", hold_ends);
    producers
        .wait_until("a transaction was held open", SOON, || producers.stderr().contains("holding"))
        .unwrap();
    // Time for the other transactions, and for both mirrors to take what they may.
    thread::sleep(Duration::from_secs(3));
    let visible = oracle::dump(&source.bootstrap(), topic, &COMMITTED).unwrap();
    let arrived = oracle::dump(&target.bootstrap(), &format!("done.{topic}"), &[]).unwrap();
    let everything = oracle::dump(&source.bootstrap(), topic, &[]).unwrap();
    assert!(!producers.stderr().contains("released"), "the transaction did not stay open");
    let (visible_now, written_now) = (records(&visible), records(&everything));
    assert!(written_now[0] > visible_now[0] + 100, "nothing was written behind the open transaction");
    oracle::same_content(&visible, &arrived).unwrap();
    producers.signal(Signal::TERM);

    let exit = producers.wait(SOON).unwrap();
    assert!(exit.status.success(), "{}", producers.tail(20));
    let written: Value = serde_json::from_str(&producers.stdout()).unwrap();
    for (mirror, alias, what) in [(&all, "all", "written"), (&done, "done", "committed")] {
        let wanted: u64 = counts(&written, what).iter().sum();
        let topic = format!("{alias}.{topic}");
        eventually("the rest arriving", || {
            assert!(mirror.exited().is_none(), "{}", mirror.tail(40));
            oracle::offsets_held(&target.bootstrap(), &topic).unwrap() >= wanted
        });
        stop(mirror);
    }
    assert_isolated(source, target, topic, &written);
}

#[test]
fn nothing_overtakes_a_transaction_that_commits_late() {
    held_back("held-commit", "commit");
}

#[test]
fn nothing_overtakes_a_transaction_that_aborts_late() {
    held_back("held-abort", "abort");
}

#[test]
fn stops_and_kills_among_transactions_lose_and_repeat_nothing() {
    let (source, target) = (source_of(Version::V3_9_1), target_of(Version::V4_3_0));
    let topic = "restarted-transactions";
    create_both(source, target, topic, 2, &SMALL_SEGMENTS);
    let properties = committed_only("done", &in_small_pieces("done", source, target, topic));
    let producers = start_transactions(source, topic, "4", "abort");
    let mut killed = false;
    while producers.exited().is_none() {
        let mirror = kmirror::start_run(&properties, &[]).unwrap();
        thread::sleep(Duration::from_millis(1300));
        if killed {
            stop(&mirror);
        } else {
            mirror.kill().unwrap();
        }
        killed = !killed;
    }
    let exit = producers.wait(SOON).unwrap();
    assert!(exit.status.success(), "{}", producers.tail(20));
    let written: Value = serde_json::from_str(&producers.stdout()).unwrap();
    sync(&properties);
    sync(&in_small_pieces("all", source, target, topic));
    assert_isolated(source, target, topic, &written);
}
