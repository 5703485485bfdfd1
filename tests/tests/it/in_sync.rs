//! What a leader had alone does not count.

use std::thread;
use std::time::Duration;

use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::Signal;

use crate::fixture::{SOON, create, many_processes, produce, source, stop, verify, wait_for};

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
