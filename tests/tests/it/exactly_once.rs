//! Mirroring in transactions: who reads the target with `isolation.level=read_committed` sees each record once and source
//! transactions as wholes, whatever happens to the processes.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use kmirror_tests::cache::scratch;
use kmirror_tests::kafka::{KafkaCluster, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::{Process, Signal};
use serde_json::Value;

use crate::fixture::{SOON, create, eventually, flow, produce, source_of, stop, sync, target_of};

/// The shortest that brokers allow by default.
const SESSION: Duration = Duration::from_secs(6);

/// What readers of committed records find at the source and at the target is the same, each record once.
fn assert_once(source: (&KafkaCluster, &str), target: (&KafkaCluster, &str), at_least: u64) {
    let (from, to) = (source.0.bootstrap(), target.0.bootstrap());
    let committed = ["--isolation", "read_committed"];
    let found = oracle::ask("verify", &[&[from.as_str(), source.1, &to, target.1], &committed[..]].concat());
    let found = found.unwrap();
    let number = |key: &str| found[key].as_u64().unwrap();
    assert!(number("source") >= at_least, "{found}");
    let wrong = ["lost", "repeated", "unknown", "skipped_ahead"].map(number);
    assert_eq!(wrong, [0; 4], "{found}");
}

fn in_transactions(properties: Properties) -> Properties {
    properties.with("exactly.once.source.support", "enabled")
}

fn steady_producer(cluster: &KafkaCluster, topic: &str) -> Process {
    let bootstrap = cluster.bootstrap();
    let options = ["--case", "plain", "--partitions", "6", "--rate", "3000", "--codec", "lz4"];
    let arguments = [&[bootstrap.as_str(), topic], &options[..]].concat();
    oracle::start("produce", topic, &arguments, &scratch(topic).unwrap()).unwrap()
}

/// Two processes share a flow; both are killed now and then, and one is paused for longer than its session, so that it
/// wakes up with a transaction open on partitions that are not its own any more.
fn killed_and_paused(versions: (Version, Version), topic: &str) {
    let (source, target) = (source_of(versions.0), target_of(versions.1));
    let alias = format!("once-{topic}");
    oracle::create_topic(&source.bootstrap(), topic, 6, 1, &[]).unwrap();
    let properties = in_transactions(Properties::between((&alias, source), ("target", target), topic))
        .with("session.timeout.ms", "6000");
    let start = || kmirror::start_run(&properties, &[]).unwrap();
    let producer = steady_producer(source, topic);
    let (mut one, other) = (start(), start());
    for round in 0..4 {
        thread::sleep(Duration::from_millis(1700 + 430 * round));
        one.kill().unwrap();
        one = start();
    }
    // While members are killed one after the other nobody may have got in yet.
    other.wait_until("it mirrors", SOON, || other.stderr().contains("mirroring flow=")).unwrap();
    thread::sleep(Duration::from_secs(1));
    other.signal(Signal::STOP);
    thread::sleep(SESSION + Duration::from_secs(3));
    other.signal(Signal::CONT);
    other
        .wait_until("it is told that it was given up", SOON, || {
            other.stderr().contains("gave this process up")
        })
        .unwrap();
    thread::sleep(Duration::from_secs(1));
    one.kill().unwrap();
    stop(&other);
    let exit = producer.stop(SOON).unwrap();
    assert!(exit.status.success(), "{}", producer.tail(20));
    sync(&properties);
    assert_once((source, topic), (target, &format!("{alias}.{topic}")), 30_000);
}

#[test]
fn killed_and_paused_processes_on_3_9_1() {
    killed_and_paused((Version::V4_3_0, Version::V3_9_1), "once-old");
}

#[test]
fn killed_and_paused_processes_on_4_3_0() {
    killed_and_paused((Version::V3_9_1, Version::V4_3_0), "once-new");
}

/// Transactions are switched on and off between kills: each start goes on exactly where the one before it came to.
#[test]
fn transactions_switched_on_and_off_repeat_nothing() {
    create("switched", 6, &[]);
    let plain = flow("switch", "switched");
    let (source, target) = (crate::fixture::source(), crate::fixture::target());
    let producer = steady_producer(source, "switched");
    for round in 0..6 {
        let properties = if round % 2 == 0 { plain.clone() } else { in_transactions(plain.clone()) };
        let mirror = kmirror::start_run(&properties, &[]).unwrap();
        // A new group's first generation takes 3 s to come; nothing is committed before.
        thread::sleep(Duration::from_millis(4200 + round * 170));
        assert!(mirror.exited().is_none(), "{}", mirror.tail(40));
        mirror.kill().unwrap();
    }
    let exit = producer.stop(SOON).unwrap();
    assert!(exit.status.success(), "{}", producer.tail(20));
    sync(&plain);
    assert_once((source, "switched"), (target, "switch.switched"), 30_000);
}

/// A clean stop leaves nothing open and nothing to repeat; progress can be read by the real MirrorMaker 2's rules.
#[test]
fn a_stop_ends_the_transaction() {
    create("ended", 6, &[]);
    let properties = in_transactions(flow("end", "ended"));
    let (source, target) = (crate::fixture::source(), crate::fixture::target());
    produce("ended", &["--case", "plain", "--records", "4000", "--partitions", "6"]);
    sync(&properties);
    produce("ended", &["--case", "plain", "--records", "500", "--partitions", "6", "--first", "4000"]);
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    thread::sleep(Duration::from_millis(700));
    stop(&mirror);
    sync(&properties);
    assert_once((source, "ended"), (target, "end.ended"), 27_000);
}

/// Three producers' transactions overlap in one partition; a reader at the target looks all the time.
#[test]
fn source_transactions_are_seen_whole() {
    for topic in ["pieces-numbered", "pieces"] {
        create(topic, 1, &[]);
    }
    let (source, target) = (crate::fixture::source().bootstrap(), crate::fixture::target().bootstrap());
    let properties = in_transactions(flow("pie", "pieces.*"))
        .with("pie.consumer.isolation.level", "read_committed")
        .with("transaction.boundary.interval.ms", "50");
    let directory = scratch("pieces").unwrap();
    let load = oracle::start(
        "load",
        "load",
        &[&source, "pieces-numbered", "pieces", "--rate", "50", "--producers", "3", "--pace", "0.02"],
        &directory,
    )
    .unwrap();
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    oracle::wait_for_offsets(&target, "pie.pieces", 1, SOON).unwrap();
    let reader = oracle::start("pieces", "pieces", &[&target, "pie.pieces"], &directory).unwrap();
    // A busy machine looks less often.
    eventually("looks between transactions", || {
        let said = reader.stderr();
        let told = said.lines().last().and_then(|line| line.split_once(' '));
        let number = |text: &str| text.parse::<u64>().unwrap_or(0);
        told.is_some_and(|(looks, transactions)| number(looks) > 4 && number(transactions) > 30)
    });
    load.signal(Signal::TERM);
    let exit = load.wait(SOON).unwrap();
    assert!(exit.status.success(), "{}", load.tail(20));
    let exit = reader.wait(SOON).unwrap();
    assert!(exit.status.success(), "{}", reader.tail(20));
    stop(&mirror);
    let seen: Value = serde_json::from_str(&reader.stdout()).unwrap();
    assert_eq!(seen["torn"].as_array().map(Vec::len), Some(0), "{seen}");
    assert!(seen["looks"].as_u64() > Some(4) && seen["transactions"].as_u64() > Some(30), "{seen}");
    let ledger = directory.join("ledger.json");
    fs::write(&ledger, load.stdout()).unwrap();
    assert_whole(&target, "pie.pieces", &ledger);
}

/// In the end all committed transactions are there, and none of the aborted ones.
fn assert_whole(target: &str, topic: &str, ledger: &Path) {
    let found = oracle::ask("whole", &[target, topic, &ledger.display().to_string()]).unwrap();
    for what in ["torn", "aborted_present", "foreign"] {
        assert_eq!(found[what].as_array().map(Vec::len), Some(0), "{found}");
    }
}
