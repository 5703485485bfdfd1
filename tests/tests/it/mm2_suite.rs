//! Counterparts of MirrorMaker 2's own integration tests (`MirrorConnectorsIntegrationBaseTest` and those beside it), by the
//! same names; TESTING.md says where the rest of them are. What MirrorMaker 2 gives within bounds has to be exact here.

use std::collections::BTreeMap;

use kmirror_tests::kafka::KafkaCluster;
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::Process;

use crate::fixture::{create, eventually, flow, produce, source, stop, sync, target};
use crate::groups;

/// Records a partition in each round.
const ROUND: i64 = 400;

/// Offsets by partition.
pub(crate) type Positions = BTreeMap<i32, i64>;

/// A flow that looks after the group `<alias>-group` every second.
fn with_group(alias: &str, topics: &str) -> Properties {
    flow(alias, topics)
        .with("groups", &group(alias))
        .with("emit.checkpoints.interval.seconds", "1")
        .with("sync.group.offsets.interval.seconds", "1")
}

/// The group that a flow of this alias looks after.
pub(crate) fn group(alias: &str) -> String {
    format!("{alias}-group")
}

/// Produces round 0, 1, ... to the first partitions of a topic of the source.
fn produce_round(topic: &str, partitions: i32, round: i64, more: &[&str]) {
    let (partitions, first) = (partitions.to_string(), (ROUND * round).to_string());
    let (records, seed) = (ROUND.to_string(), format!("round-{round}"));
    let options = ["--partitions", &partitions, "--records", &records, "--first", &first, "--seed", &seed];
    produce(topic, &[&options[..], more].concat());
}

/// Puts a group that nobody is in to these positions.
pub(crate) fn commit(cluster: &KafkaCluster, group: &str, topic: &str, positions: &[(i32, i64)]) {
    let positions: Vec<String> = positions.iter().map(|(at, offset)| format!("{at}:{offset}")).collect();
    let positions: Vec<&str> = positions.iter().map(String::as_str).collect();
    groups::commit(cluster, group, topic, &positions);
}

/// Where a group stands.
pub(crate) fn committed(cluster: &KafkaCluster, group: &str, topic: &str) -> Positions {
    let stands = groups::committed(cluster, group, topic).into_iter();
    stands.map(|(partition, (offset, _))| (partition.parse().unwrap(), offset)).collect()
}

/// Where a member began in each partition.
fn began(answer: &serde_json::Value) -> Positions {
    let by_partition = answer.as_object().unwrap().iter();
    by_partition.map(|(at, offset)| (at.parse().unwrap(), offset.as_i64().unwrap())).collect()
}

/// The checkpoints of a flow's group in a partition, in order: source and target positions.
pub(crate) fn checkpoints(
    cluster: &KafkaCluster,
    alias: &str,
    topic: &str,
    partition: i32,
) -> Vec<(i64, i64)> {
    let internal = format!("{alias}.checkpoints.internal");
    if !has_topic(cluster, &internal) {
        return Vec::new();
    }
    let all = oracle::ask("mm2", &[&cluster.bootstrap(), "checkpoints", &internal]).unwrap();
    let all = all.as_array().unwrap().iter();
    let of_partition = all.filter(|one| one[0] == *group(alias) && one[1] == *topic && one[2] == partition);
    of_partition.map(|one| (one[3].as_i64().unwrap(), one[4].as_i64().unwrap())).collect()
}

fn assert_monotonic_checkpoints(alias: &str, topic: &str, partitions: i32) {
    for partition in 0..partitions {
        let checkpoints = checkpoints(target(), alias, topic, partition);
        assert!(checkpoints.is_sorted_by_key(|one| one.1), "partition {partition}: {checkpoints:?}");
    }
}

fn has_topic(cluster: &KafkaCluster, topic: &str) -> bool {
    oracle::topics(&cluster.bootstrap()).unwrap().contains_key(topic)
}

fn start(properties: &Properties) -> Process {
    kmirror::start_run(properties, &[]).unwrap()
}

#[test]
fn replication() {
    let copy_at_backup = "primary.both-ways";
    let copy_at_primary = "backup.both-ways";
    for cluster in [source(), target()] {
        oracle::create_topic(&cluster.bootstrap(), "both-ways", 2, 1, &[]).unwrap();
        let records = ["--partitions", "2", "--records", "400"];
        oracle::produce(&cluster.bootstrap(), "both-ways", &records).unwrap();
        commit(cluster, "both-ways-group", "both-ways", &[(0, 400), (1, 123)]);
    }
    let properties = Properties::between(("primary", source()), ("backup", target()), "both-ways.*")
        .with("backup->primary.enabled", "true")
        .with("backup->primary.topics", "both-ways.*")
        .with("groups", "both-ways-group")
        .with("sync.group.offsets.enabled", "true");
    let mirror = start(&properties);
    // Failover, and failback.
    let expected = BTreeMap::from([(0, 400), (1, 123)]);
    for (cluster, copy) in [(target(), copy_at_backup), (source(), copy_at_primary)] {
        let arrived = || has_topic(cluster, copy) && committed(cluster, "both-ways-group", copy) == expected;
        eventually(copy, arrived);
        let at = cluster.bootstrap();
        let read = oracle::ask("mm2", &[&at, "consume", "both-ways-group", copy, "277"]).unwrap();
        assert_eq!(began(&read), BTreeMap::from([(1, 123)]));
    }
    // A topic made later, with records in its first partition only.
    create("both-ways-later", 2, &[]);
    produce_round("both-ways-later", 1, 0, &[]);
    crate::fixture::wait_for(&mirror, target(), "primary.both-ways-later", 400);
    stop(&mirror);
    crate::fixture::assert_mirrored("primary", "both-ways");
    crate::fixture::assert_mirrored("primary", "both-ways-later");
    crate::fixture::assert_same(target(), "both-ways", source(), copy_at_primary);
    for (cluster, checkpoints) in [(target(), "primary"), (source(), "backup")] {
        assert!(has_topic(cluster, &format!("{checkpoints}.checkpoints.internal")));
    }
}

/// A group that has read everything stands at the end of the copy too, twice, and goes on there.
fn one_way_replication(alias: &str, properties: Properties, more: &[&str], identity: bool) {
    let topic = format!("{alias}-topic");
    let copy = if identity { topic.clone() } else { format!("{alias}.{topic}") };
    // A transaction ends with a marker, which takes an offset at the source.
    let round_at_source = if more.contains(&"--transactional") { ROUND + 1 } else { ROUND };
    let properties = properties.with("sync.group.offsets.enabled", "true");
    create(&topic, 2, &[]);
    let mirror = start(&properties);
    for round in 0..2 {
        produce_round(&topic, 2, round, more);
        let end = round_at_source * (round + 1);
        commit(source(), &group(alias), &topic, &[(0, end), (1, end - 10)]);
        let behind = if round_at_source == ROUND { 10 } else { 9 };
        let expected = BTreeMap::from([(0, ROUND * (round + 1)), (1, ROUND * (round + 1) - behind)]);
        eventually("the group's position", || committed(target(), &group(alias), &copy) == expected);
    }
    stop(&mirror);
    assert_monotonic_checkpoints(alias, &copy, 2);
    let left = oracle::ask("mm2", &[&target().bootstrap(), "consume", &group(alias), &copy, "9"]).unwrap();
    let behind = if round_at_source == ROUND { 10 } else { 9 };
    assert_eq!(began(&left), BTreeMap::from([(1, 2 * ROUND - behind)]));
}

#[test]
fn one_way_replication_with_auto_offset_sync() {
    one_way_replication("auto", with_group("auto", "auto-topic"), &[], false);
}

#[test]
fn one_way_replication_with_frequent_offset_syncs() {
    let properties = with_group("often", "often-topic").with("offset.lag.max", "0");
    one_way_replication("often", properties, &[], false);
}

#[test]
fn identity_replication() {
    one_way_replication("same", with_group("same", "same-topic").identity(), &[], true);
}

#[test]
fn replication_with_transactions() {
    let transactions = ["--transactional", "commit"];
    one_way_replication("whole", with_group("whole", "whole-topic"), &transactions, false);
}

#[test]
fn replication_with_empty_partition() {
    create("hollow-topic", 3, &[]);
    produce_round("hollow-topic", 2, 0, &[]);
    commit(source(), "hollow-group", "hollow-topic", &[(0, ROUND), (1, 7), (2, 0)]);
    sync(&with_group("hollow", "hollow-topic").with("sync.group.offsets.enabled", "true"));
    let found = oracle::dump(&target().bootstrap(), "hollow.hollow-topic", &[]).unwrap();
    assert_eq!(found.values().map(|one| one.records).collect::<Vec<_>>(), [400, 400, 0]);
    let bootstrap = target().bootstrap();
    let arguments = [&bootstrap, "consume", "hollow-group", "hollow.hollow-topic", "393", "earliest"];
    assert_eq!(began(&oracle::ask("mm2", &arguments).unwrap()), BTreeMap::from([(1, 7)]));
}

#[test]
fn restart_replication() {
    let properties = with_group("again", "again-topic").with("sync.group.offsets.enabled", "true");
    create("again-topic", 2, &[]);
    for round in 0..3 {
        produce_round("again-topic", 2, round, &[]);
        commit(source(), "again-group", "again-topic", &[(0, ROUND * (round + 1)), (1, ROUND * round + 5)]);
        sync(&properties);
        let expected = BTreeMap::from([(0, ROUND * (round + 1)), (1, ROUND * round + 5)]);
        assert_eq!(committed(target(), "again-group", "again.again-topic"), expected);
    }
    assert_monotonic_checkpoints("again", "again.again-topic", 2);
}

#[test]
fn offset_translation_behind_replication_flow() {
    let properties = with_group("behind", "behind-topic").with("sync.group.offsets.enabled", "true");
    create("behind-topic", 1, &[]);
    let mirror = start(&properties);
    for round in 0..5 {
        produce_round("behind-topic", 1, round, &[]);
    }
    crate::fixture::wait_for(&mirror, target(), "behind.behind-topic", 2000);
    // A group that lies far behind goes on, then back.
    for at in [1800, 200] {
        commit(source(), "behind-group", "behind-topic", &[(0, at)]);
        let last = || checkpoints(target(), "behind", "behind.behind-topic", 0).pop();
        eventually("the checkpoint", || last() == Some((at, at)));
    }
    stop(&mirror);
    let expected = BTreeMap::from([(0, 1800)]);
    assert_eq!(
        committed(target(), "behind-group", "behind.behind-topic"),
        expected,
        "a group itself never goes back"
    );
}

#[test]
fn no_checkpoints_if_no_records_are_mirrored() {
    create("void-full", 1, &[]);
    create("void-empty", 1, &[]);
    produce_round("void-full", 1, 0, &[]);
    let properties = with_group("void", "void-.*").with("sync.group.offsets.enabled", "true");
    commit(source(), "void-group", "void-full", &[(0, ROUND)]);
    commit(source(), "void-group", "void-empty", &[(0, 0)]);
    sync(&properties);
    assert_eq!(checkpoints(target(), "void", "void.void-full", 0), [(ROUND, ROUND)]);
    assert_eq!(checkpoints(target(), "void", "void.void-empty", 0), []);
    produce_round("void-empty", 1, 0, &[]);
    commit(source(), "void-group", "void-empty", &[(0, ROUND)]);
    sync(&properties);
    assert_eq!(checkpoints(target(), "void", "void.void-empty", 0), [(ROUND, ROUND)]);
}

#[test]
fn offset_syncs_topics_on_target() {
    let target_alias = "syncs-here";
    let properties = Properties::between(("syncs-there", source()), (target_alias, target()), "moved-topic")
        .with("groups", "syncs-there-group")
        .with("offset-syncs.topic.location", "target");
    create("moved-topic", 1, &[]);
    produce_round("moved-topic", 1, 0, &[]);
    commit(source(), "syncs-there-group", "moved-topic", &[(0, 77)]);
    sync(&properties);
    let topic = "mm2-offset-syncs.syncs-there.internal";
    assert_eq!(oracle::topics(&target().bootstrap()).unwrap()[topic], 1);
    assert_eq!(oracle::topic_settings(&target().bootstrap(), topic).unwrap()["cleanup.policy"], "compact");
    let syncs = oracle::ask("mm2", &[&target().bootstrap(), "syncs", topic]).unwrap();
    // Heartbeats that other tests left at the source are mirrored, and synced, too.
    let last = syncs.as_array().unwrap().iter().rfind(|sync| sync[0] == "moved-topic");
    assert_eq!(last, Some(&serde_json::json!(["moved-topic", 0, ROUND - 1, ROUND - 1])));
    assert_eq!(checkpoints(target(), "syncs-there", "syncs-there.moved-topic", 0), [(77, 77)]);
    for alias in ["syncs-there", target_alias] {
        assert!(!has_topic(source(), &format!("mm2-offset-syncs.{alias}.internal")));
    }
}

#[test]
fn replication_without_offset_sync_will_not_create_offset_syncs_topic() {
    let properties = Properties::between(("silent", source()), ("silent-target", target()), "silent-topic")
        .with("emit.offset-syncs.enabled", "false");
    create("silent-topic", 1, &[]);
    produce_round("silent-topic", 1, 0, &[]);
    sync(&properties);
    assert_eq!(oracle::offsets_held(&target().bootstrap(), "silent.silent-topic").unwrap(), 400);
    for cluster in [source(), target()] {
        assert!(!has_topic(cluster, "mm2-offset-syncs.silent-target.internal"));
        assert!(!has_topic(cluster, "mm2-offset-syncs.silent.internal"));
    }
}
