//! Brokers that come and go: clusters of three, restarted and killed one after the other under load; and what a leader had
//! alone.

use std::thread;
use std::time::Duration;

use kmirror_tests::cache::scratch;
use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::Signal;

use crate::fixture::{SOON, create, many_processes, produce, source, stop, verify, wait_for};

const TOPIC: &str = "busy";

fn three_brokers(version: Version) -> KafkaCluster {
    let cluster = KafkaCluster::start(version, Options::three_brokers()).unwrap();
    oracle::create_topic(&cluster.bootstrap(), TOPIC, 6, 3, &["min.insync.replicas=2"]).unwrap();
    cluster
}

fn restart_one_after_the_other(cluster: &mut KafkaCluster) {
    for broker in 1..=3 {
        cluster.stop_broker(broker).unwrap();
        thread::sleep(Duration::from_secs(1));
        cluster.start_broker(broker).unwrap();
        thread::sleep(Duration::from_secs(2));
    }
}

fn kill_two_one_after_the_other(cluster: &mut KafkaCluster) {
    for broker in 1..=2 {
        cluster.kill_broker(broker).unwrap();
        // Longer than the session of a broker, so leaders do move.
        thread::sleep(Duration::from_secs(6));
        cluster.start_broker(broker).unwrap();
        thread::sleep(Duration::from_secs(3));
    }
}

/// Mirrors from a cluster of three to a cluster of three under load, with trouble first at the target, then at the
/// source.
fn survives(trouble: fn(&mut KafkaCluster)) {
    let _alone = many_processes();
    let mut source = three_brokers(Version::V4_3_0);
    let mut target = three_brokers(Version::V3_9_1);
    let properties = Properties::between(("src", &source), ("dst", &target), TOPIC)
        .identity()
        .with("dst.producer.request.timeout.ms", "5000");
    let directory = scratch("busy").unwrap();
    let bootstrap = source.bootstrap();
    let options = ["--case", "plain", "--partitions", "6", "--rate", "3000", "--codec", "lz4"];
    let arguments = [&[bootstrap.as_str(), TOPIC], &options[..]].concat();
    let producer = oracle::start("produce", "producer", &arguments, &directory).unwrap();
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    wait_for(&mirror, &target, TOPIC, 1000);

    let caught_up = |source: &KafkaCluster, target: &KafkaCluster| {
        let held = oracle::offsets_held(&source.bootstrap(), TOPIC).unwrap();
        wait_for(&mirror, target, TOPIC, held);
    };
    trouble(&mut target);
    caught_up(&source, &target);
    trouble(&mut source);
    let exit = producer.stop(SOON).unwrap();
    assert!(exit.status.success(), "{}", producer.tail(20));
    caught_up(&source, &target);
    stop(&mirror);
    verify((&source, TOPIC), (&target, TOPIC)).assert_exact(10_000);
}

#[test]
fn brokers_restart_under_load() {
    survives(restart_one_after_the_other);
}

#[test]
fn brokers_are_killed_under_load() {
    survives(kill_two_one_after_the_other);
}

/// The followers stand still, and the leader takes records that nobody else has. When it is asked what it holds (the
/// answer to the request did not come in time), it tells of them; then it dies, and they with it.
#[test]
fn what_only_the_leader_has_does_not_count() {
    let _alone = many_processes();
    let mut target = KafkaCluster::start(Version::V4_3_0, Options::three_brokers()).unwrap();
    oracle::create_topic(&target.bootstrap(), "covered.safe", 1, 3, &["min.insync.replicas=2"]).unwrap();
    create("safe", 1, &[]);
    produce("safe", &["--case", "plain", "--records", "500"]);
    let properties = Properties::between(("covered", source()), ("target", &target), "safe")
        .with("target.producer.request.timeout.ms", "3000")
        // It is to go on with what it believes.
        .with("session.timeout.ms", "60000");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    wait_for(&mirror, &target, "covered.safe", 500);
    let leader = oracle::ask("admin", &[&target.bootstrap(), "leader", "covered.safe", "0"]).unwrap();
    let leader = i32::try_from(leader.as_i64().unwrap()).unwrap();
    let followers: Vec<i32> = (1..=3).filter(|broker| *broker != leader).collect();
    followers.iter().for_each(|broker| target.signal_broker(*broker, Signal::STOP).unwrap());
    produce("safe", &["--case", "plain", "--records", "200", "--first", "500"]);
    let told = "its in-sync replicas do not have all of it yet";
    mirror.wait_until("it asked the leader", SOON, || mirror.stderr().contains(told)).unwrap();
    target.kill_broker(leader).unwrap();
    followers.iter().for_each(|broker| target.signal_broker(*broker, Signal::CONT).unwrap());
    // When it comes back, another leads.
    thread::sleep(Duration::from_secs(8));
    target.start_broker(leader).unwrap();
    wait_for(&mirror, &target, "covered.safe", 700);
    stop(&mirror);
    verify((source(), "safe"), (&target, "covered.safe")).assert_exact(700);
}
