//! The source's log and its replicas: cut short by an unclean election, damaged on a disk, read from the nearest.

use std::io::{Read, Seek, SeekFrom, Write};

use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::proxy::Link;

use crate::fixture::{SOON, assert_same, eventually, many_processes, stop, target, wait_for};

const TOPIC: &str = "history";

fn source(options: Options) -> KafkaCluster {
    let cluster = KafkaCluster::start(Version::V3_9_1, options).unwrap();
    oracle::create_topic(&cluster.bootstrap(), TOPIC, 1, 2, &[]).unwrap();
    cluster
}

fn replicas(cluster: &KafkaCluster) -> Vec<i32> {
    let answer = oracle::ask("admin", &[&cluster.bootstrap(), "replicas", TOPIC, "0"]).unwrap();
    answer.as_array().unwrap().iter().map(|id| i32::try_from(id.as_i64().unwrap()).unwrap()).collect()
}

fn leader(cluster: &KafkaCluster) -> i32 {
    let answer = oracle::ask("admin", &[&cluster.bootstrap(), "leader", TOPIC, "0"]).unwrap();
    i32::try_from(answer.as_i64().unwrap()).unwrap()
}

fn leader_and_follower(cluster: &KafkaCluster) -> (i32, i32) {
    let leader = leader(cluster);
    (leader, *replicas(cluster).iter().find(|id| **id != leader).unwrap())
}

fn produce(cluster: &KafkaCluster, seed: &str, records: u32) {
    let records = records.to_string();
    oracle::produce(&cluster.bootstrap(), TOPIC, &["--records", &records, "--seed", seed]).unwrap();
}

/// The follower misses 300 records, and becomes the leader when the only broker that has them dies; its log grows past
/// where the mirror stood. Only leader epochs tell that it is another log.
#[test]
fn an_unclean_election_is_noticed_and_its_range_told() {
    let _alone = many_processes();
    let mut source = source(Options::three_brokers().with("unclean.leader.election.enable", "true"));
    let flow = |alias: &str| Properties::between((alias, &source), ("target", target()), TOPIC);
    let mirror = kmirror::start_run(&flow("onward"), &[]).unwrap();
    let strict = flow("strict").with("kmirror.on.lost.records", "stop");
    let strict = kmirror::start_run(&strict, &[]).unwrap();
    // Of this one, only what it wrote down knows what it read.
    let away = flow("away");
    let before = kmirror::start_run(&away, &[]).unwrap();
    let (leader, follower) = leader_and_follower(&source);
    produce(&source, "both", 500);
    wait_for(&mirror, target(), "onward.history", 500);
    source.stop_broker(follower).unwrap();
    produce(&source, "lost", 300);
    for (process, alias) in [(&mirror, "onward"), (&strict, "strict"), (&before, "away")] {
        wait_for(process, target(), &format!("{alias}.history"), 800);
    }
    stop(&before);
    source.kill_broker(leader).unwrap();
    source.start_broker(follower).unwrap();
    eventually("the follower to lead", || self::leader(&source) == follower);
    produce(&source, "new", 400);

    let told = "the source's log was truncated to offset 500: the target holds 300 offsets (500 to 799)";
    wait_for(&mirror, target(), "onward.history", 1200);
    assert!(mirror.stderr().contains(told), "{}", mirror.tail(20));
    strict.wait_until("it stopped the partition", SOON, || strict.stderr().contains("stopped: ")).unwrap();
    assert!(strict.stderr().contains(told), "{}", strict.tail(20));
    assert_eq!(oracle::offsets_held(&target().bootstrap(), "strict.history").unwrap(), 800);
    let after = kmirror::start_run(&away, &[]).unwrap();
    wait_for(&after, target(), "away.history", 1200);
    assert!(after.stderr().contains(told), "{}", after.tail(20));
    [&mirror, &strict, &after].into_iter().for_each(stop);
}

/// Turns one bit in the middle of the topic's first segment on a broker's disk.
fn damage_at(cluster: &mut KafkaCluster, broker: i32) {
    cluster.stop_broker(broker).unwrap();
    let path = cluster.data(broker).unwrap().join(format!("{TOPIC}-0/00000000000000000000.log"));
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let middle = SeekFrom::Start(file.metadata().unwrap().len() / 2);
    let mut byte = [0];
    file.seek(middle).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(middle).unwrap();
    file.write_all(&[byte[0] ^ 0x10]).unwrap();
    drop(file);
    cluster.start_broker(broker).unwrap();
}

#[test]
fn damage_on_one_replica_is_read_from_another_and_on_all_stops_the_partition() {
    let _alone = many_processes();
    let mut source = source(Options::three_brokers());
    // One batch, so that the middle of the file lies in its records.
    produce(&source, "whole", 200);
    let (leader, follower) = leader_and_follower(&source);
    damage_at(&mut source, leader);
    let leads = |id: i32| {
        oracle::ask("admin", &[&source.bootstrap(), "elect", TOPIC, "0"]).unwrap();
        self::leader(&source) == id
    };
    eventually("the damaged replica to lead", || leads(leader));
    let healed = Properties::between(("healed", &source), ("target", target()), TOPIC);
    let finished = kmirror::run_until_synced(&healed, SOON).unwrap();
    assert!(finished.stderr.contains("the checksum of the batch"), "{}", finished.stderr);
    let digests = oracle::dump(&target().bootstrap(), "healed.history", &[]).unwrap();
    assert_eq!(digests[&0].records, 200);

    damage_at(&mut source, follower);
    let hurt = Properties::between(("hurt", &source), ("target", target()), TOPIC);
    let mirror = kmirror::start_run(&hurt, &[]).unwrap();
    mirror.wait_until("it stopped the partition", SOON, || mirror.stderr().contains("stopped: ")).unwrap();
    let told = "the checksum of the batch at source offsets 0 to 199 is wrong";
    assert!(mirror.stderr().contains(told), "{}", mirror.tail(20));
    assert_eq!(oracle::offsets_held(&target().bootstrap(), "hurt.history").unwrap(), 0);
    stop(&mirror);
}

/// With the way to the leader cut, records go on arriving: they come from the replica in the mirror's rack.
#[test]
fn the_nearest_replica_is_read() {
    let _alone = many_processes();
    let selector = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
    let options = Options::three_brokers().behind_proxy();
    let options =
        options.with("broker.rack", "rack-{port.PLAINTEXT}").with("replica.selector.class", selector);
    let source = source(options);
    let proxies = source.proxies(Link::default()).unwrap();
    produce(&source, "first", 100);
    let (leader, follower) = leader_and_follower(&source);
    let rack = format!("rack-{}", source.port(follower, "PLAINTEXT").unwrap());
    let far = source.bootstrap_of("FAR_PROXY");
    let properties = Properties::flow(("near", &far), ("target", &target().bootstrap()), TOPIC)
        .with("near.consumer.client.rack", &rack);
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    wait_for(&mirror, target(), "near.history", 100);
    let cut = Link { cut: true, ..Link::default() };
    proxies[usize::try_from(leader - 1).unwrap()].set(cut);
    produce(&source, "second", 100);
    wait_for(&mirror, target(), "near.history", 200);
    proxies[usize::try_from(leader - 1).unwrap()].set(Link::default());
    stop(&mirror);
    assert_same(&source, TOPIC, target(), "near.history");
}
