//! A source's log that an unclean election cut short.

use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;

use crate::fixture::{SOON, eventually, many_processes, stop, target, wait_for};

pub(crate) const TOPIC: &str = "history";

pub(crate) fn source(options: Options) -> KafkaCluster {
    let cluster = KafkaCluster::start(Version::V3_9_1, options).unwrap();
    oracle::create_topic(&cluster.bootstrap(), TOPIC, 1, 2, &[]).unwrap();
    cluster
}

fn replicas(cluster: &KafkaCluster) -> Vec<i32> {
    let answer = oracle::ask("admin", &[&cluster.bootstrap(), "replicas", TOPIC, "0"]).unwrap();
    answer.as_array().unwrap().iter().map(|id| i32::try_from(id.as_i64().unwrap()).unwrap()).collect()
}

pub(crate) fn leader(cluster: &KafkaCluster) -> i32 {
    let answer = oracle::ask("admin", &[&cluster.bootstrap(), "leader", TOPIC, "0"]).unwrap();
    i32::try_from(answer.as_i64().unwrap()).unwrap()
}

pub(crate) fn leader_and_follower(cluster: &KafkaCluster) -> (i32, i32) {
    let leader = leader(cluster);
    (leader, *replicas(cluster).iter().find(|id| **id != leader).unwrap())
}

pub(crate) fn produce(cluster: &KafkaCluster, seed: &str, records: u32) {
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
    // And of this one, what it wrote down knows nothing of what it sent.
    let killed = flow("killed").with("offset.flush.interval.ms", "3600000");
    let doomed = kmirror::start_run(&killed, &[]).unwrap();
    let (leader, follower) = leader_and_follower(&source);
    produce(&source, "both", 500);
    wait_for(&mirror, target(), "onward.history", 500);
    source.stop_broker(follower).unwrap();
    produce(&source, "lost", 300);
    for (process, alias) in [(&mirror, "onward"), (&strict, "strict"), (&before, "away"), (&doomed, "killed")]
    {
        wait_for(process, target(), &format!("{alias}.history"), 800);
    }
    stop(&before);
    doomed.kill().unwrap();
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
    let [after, recounted] = [("away", away), ("killed", killed)].map(|(alias, properties)| {
        let after = kmirror::start_run(&properties, &[]).unwrap();
        wait_for(&after, target(), &format!("{alias}.history"), 1200);
        assert!(after.stderr().contains(told), "{}", after.tail(20));
        after
    });
    [&mirror, &strict, &after, &recounted].into_iter().for_each(stop);
}
