//! Brokers that are restarted as an upgrade does it, and brokers that die: clusters of three, under load.

use std::thread;
use std::time::Duration;

use kmirror_tests::cache::scratch;
use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;

use crate::fixture::{SOON, many_processes, stop, verify, wait_for};

const TOPIC: &str = "busy";

fn three_brokers(version: Version) -> KafkaCluster {
    let cluster = KafkaCluster::start(version, Options::three_brokers()).unwrap();
    oracle::create_topic(&cluster.bootstrap(), TOPIC, 6, 3, &["min.insync.replicas=2"]).unwrap();
    cluster
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

fn restart_one_after_the_other(cluster: &mut KafkaCluster) {
    for broker in 1..=3 {
        cluster.stop_broker(broker).unwrap();
        thread::sleep(Duration::from_secs(1));
        cluster.start_broker(broker).unwrap();
        thread::sleep(Duration::from_secs(2));
    }
}

/// Both clusters at the same time.
#[test]
fn brokers_are_restarted_and_killed_under_load() {
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
    for trouble in [restart_one_after_the_other, kill_two_one_after_the_other] {
        thread::scope(|both| {
            both.spawn(|| trouble(&mut target));
            both.spawn(|| trouble(&mut source));
        });
        caught_up(&source, &target);
    }
    let exit = producer.stop(SOON).unwrap();
    assert!(exit.status.success(), "{}", producer.tail(20));
    caught_up(&source, &target);
    stop(&mirror);
    verify((&source, TOPIC), (&target, TOPIC)).assert_exact(10_000);
}
