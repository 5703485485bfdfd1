//! Consumer groups moved from one cluster to another: positions land exactly and soon, groups in use are left alone,
//! nothing goes back; classic, KIP-848 and share groups. Positions are set, told and taken up by other clients.

use std::collections::BTreeMap;

use kmirror_tests::artefacts::Version;
use kmirror_tests::cache::scratch;
use kmirror_tests::java::java_source;
use kmirror_tests::kafka::KafkaCluster;
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::{Process, Signal, run};
use serde_json::Value;

use crate::fixture::{
    SOON, create, eventually, flow, produce, source, source_of, stop, sync, target, target_of, wait_for,
};

/// What the issue calls soon enough.
const POSITIONS_WITHIN_SECONDS: f64 = 5.0;

fn ask(cluster: &KafkaCluster, arguments: &[&str]) -> Value {
    oracle::ask("positions", &[&[cluster.bootstrap().as_str()], arguments].concat()).unwrap()
}

/// Sets positions `partition:offset[:metadata]` as no member.
pub(crate) fn commit(cluster: &KafkaCluster, group: &str, topic: &str, positions: &[&str]) {
    ask(cluster, &[&["commit", group, topic], positions].concat());
}

/// Where a group stands, and what it wrote there, by partition.
pub(crate) fn committed(cluster: &KafkaCluster, group: &str, topic: &str) -> BTreeMap<String, (i64, String)> {
    let told = ask(cluster, &["committed", group, topic, "3"]);
    let place = |place: &Value| (place[0].as_i64().unwrap(), place[1].as_str().unwrap().to_owned());
    told.as_object().unwrap().iter().map(|(index, one)| (index.clone(), place(one))).collect()
}

/// Where a group stands in partition 0.
fn stands(cluster: &KafkaCluster, group: &str, topic: &str) -> Option<i64> {
    committed(cluster, group, topic).get("0").map(|(offset, _)| *offset)
}

/// Seconds until a position committed at the source stands at the target.
fn follow(group: &str, topic: &str, mirrored: &str, offset: i64) -> f64 {
    follow_as("follow", group, topic, mirrored, offset)
}

/// The same with a way to commit.
fn follow_as(how: &str, group: &str, topic: &str, mirrored: &str, offset: i64) -> f64 {
    let (to, offset) = (target().bootstrap(), offset.to_string());
    ask(source(), &[how, &to, group, topic, mirrored, &offset]).as_f64().unwrap()
}

/// Fails unless the group's next record is the same on both sides, in as many partitions.
pub(crate) fn assert_same_next(group: &str, topic: &str, mirrored: &str, partitions: usize) {
    let answer = ask(source(), &["same", &target().bootstrap(), group, topic, mirrored, "3"]);
    let answer = answer.as_object().unwrap();
    assert_eq!(answer.len(), partitions, "{answer:?}");
    assert!(answer.values().all(|one| one["same"].as_bool().unwrap()), "{group} in {topic}: {answer:?}");
}

/// Offsets and values of the next records a member gets.
fn next(
    cluster: &KafkaCluster,
    group: &str,
    topic: &str,
    protocol: &str,
    records: &str,
) -> Vec<(i64, String)> {
    let read = ask(cluster, &["next", group, topic, protocol, records]);
    let record = |one: &Value| (one[1].as_i64().unwrap(), one[2].as_str().unwrap().to_owned());
    read.as_array().unwrap().iter().map(record).collect()
}

/// A member that stays, once it has joined.
fn member(cluster: &KafkaCluster, group: &str, topic: &str, protocol: &str) -> Process {
    let bootstrap = cluster.bootstrap();
    let arguments = [&bootstrap, "stay", group, topic, protocol];
    let member = oracle::start("positions", group, &arguments, &scratch(group).unwrap()).unwrap();
    eventually("joining the group", || member.stdout().contains("joined"));
    member
}

fn with_groups(properties: Properties, groups: &str) -> Properties {
    properties
        .with("sync.group.offsets.enabled", "true")
        .with("groups", groups)
        .with("emit.checkpoints.interval.seconds", "1")
}

/// Runs `groups` or `translate` with `--json`, and expects this exit code.
pub(crate) fn report(command: &str, properties: &Properties, options: &[&str], code: i32) -> Value {
    let file = properties.write(&scratch(command).unwrap()).unwrap();
    let file = file.display().to_string();
    let finished = kmirror::finish(&[&[command, &file, "--json"], options].concat(), SOON).unwrap();
    assert_eq!(finished.exit.code(), Some(code), "{}\n{}", finished.stdout, finished.stderr);
    serde_json::from_str(&finished.stdout).unwrap()
}

/// The only partition of every group, by group.
fn positions(report: &Value) -> BTreeMap<String, Value> {
    let groups = report["flows"][0]["groups"].as_array().unwrap().iter();
    groups.map(|one| (one["group"].as_str().unwrap().to_owned(), one["positions"][0].clone())).collect()
}

/// The case that MirrorMaker 2 was measured on: it had 73,870 records read again.
#[test]
fn idle_groups_land_exactly() {
    const PLACES: [i64; 8] = [1_000, 10_000, 50_000, 90_000, 99_000, 99_900, 99_990, 100_000];
    create("land", 1, &[]);
    produce("land", &["--case", "plain", "--records", "100000", "--codec", "lz4", "--batch-records", "500"]);
    // Markers make the offsets of both sides drift apart.
    create("land.gaps", 1, &[]);
    for number in 0..6 {
        let (first, outcome) = ((number * 100).to_string(), if number % 2 == 0 { "commit" } else { "abort" });
        produce("land.gaps", &["--records", "100", "--first", &first, "--transactional", outcome]);
    }
    for place in PLACES {
        commit(source(), &format!("land-{place}"), "land", &[&format!("0:{place}:note {place}")]);
    }
    for place in [0, 99, 100, 101, 102, 350, 504, 606] {
        commit(source(), &format!("land-gaps-{place}"), "land.gaps", &[&format!("0:{place}")]);
    }
    let properties = with_groups(flow("land", "land.*"), "land-.*");
    sync(&properties);

    for place in PLACES {
        let (group, note) = (format!("land-{place}"), format!("note {place}"));
        let expected = BTreeMap::from([("0".to_owned(), (place, note))]);
        assert_eq!(committed(target(), &group, "land.land"), expected);
    }
    for place in [0, 99, 100, 101, 102, 350, 504, 606] {
        assert_same_next(&format!("land-gaps-{place}"), "land.gaps", "land.land.gaps", 1);
    }
    let told = positions(&report("groups", &properties, &[], 0));
    assert_eq!(told.len(), PLACES.len() + 8);
    for (group, position) in &told {
        assert_eq!(
            (position["known"].as_str(), position["read_again"].as_i64()),
            (Some("exact"), Some(0)),
            "{group}"
        );
    }
    let checkpoints = oracle::offsets_held(&target().bootstrap(), "land.checkpoints.internal").unwrap();
    assert!(checkpoints >= 16, "{checkpoints} checkpoints");

    // A group that moves over goes on with exactly the next record.
    let at_source = next(source(), "land-90000", "land", "classic", "2");
    let at_target = next(target(), "land-90000", "land.land", "classic", "2");
    assert_eq!(at_target, at_source);
    assert_eq!(at_source[0].0, 90_000);

    // Once a group went on at the target it stands where it went.
    sync(&properties);
    assert_eq!(stands(target(), "land-90000", "land.land"), Some(90_002));
}

#[test]
fn positions_follow_within_seconds_and_never_go_back() {
    create("follow", 1, &[]);
    produce("follow", &["--records", "5000"]);
    let properties = with_groups(flow("fol", "follow"), "follow-.*");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    wait_for(&mirror, target(), "fol.follow", 5000);

    // Groups of which nothing was known before, and one that goes on.
    for (group, offset) in [("follow-a", 10), ("follow-b", 4999), ("follow-a", 2000), ("follow-a", 5000)] {
        let took = follow(group, "follow", "fol.follow", offset);
        assert!(took < POSITIONS_WITHIN_SECONDS, "{group} at {offset} after {took} s\n{}", mirror.tail(20));
    }
    // What a transaction commits counts when it ends.
    let took = follow_as("follow-transaction", "follow-t", "follow", "fol.follow", 77);
    assert!(took < POSITIONS_WITHIN_SECONDS, "in a transaction: after {took} s\n{}", mirror.tail(20));
    // Back at the source, and beyond the end: neither reaches the target.
    commit(source(), "follow-a", "follow", &["0:7"]);
    commit(source(), "follow-b", "follow", &["0:6000"]);
    // A member keeps the mirror away from its group.
    commit(source(), "follow-c", "follow", &["0:100"]);
    eventually("setting a group", || stands(target(), "follow-c", "fol.follow") == Some(100));
    let member = member(target(), "follow-c", "fol.follow", "classic");
    commit(source(), "follow-c", "follow", &["0:200"]);
    // Three rounds have been made when this one came through.
    for offset in [1, 2, 3] {
        follow("follow-d", "follow", "fol.follow", offset);
    }
    assert_eq!(stands(target(), "follow-a", "fol.follow"), Some(5000));
    assert_eq!(stands(target(), "follow-b", "fol.follow"), Some(5000), "the end of what is mirrored");
    assert_eq!(stands(target(), "follow-c", "fol.follow"), Some(100), "somebody is in it");
    // When nobody is in it any more, it is set again.
    member.signal(Signal::TERM);
    member.wait(SOON).unwrap();
    follow("follow-c", "follow", "fol.follow", 300);

    // What expired at the target is passed over.
    oracle::ask("admin", &[&target().bootstrap(), "delete-records", "fol.follow", "0", "1000"]).unwrap();
    commit(source(), "follow-e", "follow", &["0:500"]);
    eventually("setting a group", || stands(target(), "follow-e", "fol.follow") == Some(1000));
    stop(&mirror);
}

#[test]
fn a_group_is_translated_and_set_by_hand() {
    create("hand", 2, &[]);
    produce("hand", &["--records", "300", "--partitions", "2"]);
    commit(source(), "hand-a", "hand", &["0:100", "1:300:the end"]);
    // No group is set by itself here.
    let properties = flow("hand", "hand").with("groups", "hand-.*");
    sync(&properties);
    assert_eq!(committed(target(), "hand-a", "hand.hand"), BTreeMap::new());
    let told = report("groups", &properties, &[], 0);
    assert_eq!(told["flows"][0]["groups"][0]["positions"][1]["read_again"].as_i64(), Some(300));

    let asked = ["--flow", "hand->target", "--group", "hand-a"];
    report("translate", &properties, &asked, 0);
    assert_eq!(committed(target(), "hand-a", "hand.hand"), BTreeMap::new(), "nothing is set unasked");
    let member = member(target(), "hand-a", "hand.hand", "classic");
    let refused = report("translate", &properties, &[&asked[..], &["--apply"]].concat(), 5);
    let why = refused["flows"][0]["applied"]["left_alone"].as_str().unwrap();
    assert!(why.contains("active"), "{why}");
    member.signal(Signal::TERM);
    member.wait(SOON).unwrap();
    report("translate", &properties, &[&asked[..], &["--apply"]].concat(), 0);
    assert_same_next("hand-a", "hand", "hand.hand", 2);
    report("translate", &properties, &["--flow", "hand->target", "--group", "nobody"], 3);
}

fn share_groups(cluster: &KafkaCluster, arguments: &[&str]) -> i64 {
    let bootstrap = cluster.bootstrap();
    let arguments = [&[bootstrap.as_str()], arguments].concat();
    let told = run(&mut java_source(Version::V4_3_0, "ShareGroups.java", &arguments).unwrap()).unwrap();
    told.trim().parse().unwrap_or_else(|_| panic!("ShareGroups said {told}"))
}

/// Between clusters of 4.3.0, which have all kinds of groups.
#[test]
fn groups_of_newer_kinds_move_too() {
    let source = source_of(Version::V4_3_0);
    let from = source.bootstrap();
    for topic in ["kinds", "kinds.shared"] {
        oracle::create_topic(&from, topic, 1, 1, &[]).unwrap();
        oracle::produce(&from, topic, &["--records", "500"]).unwrap();
    }
    // A member of a KIP-848 group reads the first records and leaves.
    commit(source, "kinds-848", "kinds", &["0:40"]);
    let read = next(source, "kinds-848", "kinds", "consumer", "3");
    assert_eq!(read[0].0, 40);
    share_groups(source, &["set", "kinds-share", "kinds.shared", "0", "77"]);

    let properties = Properties::between(("kinds", source), ("target", target()), "kinds.*");
    let properties = with_groups(properties, "kinds-.*");
    sync(&properties);
    assert_eq!(stands(target(), "kinds-848", "kinds.kinds"), Some(43));
    let told = report("groups", &properties, &[], 0);
    let kinds: BTreeMap<&str, &str> = told["flows"][0]["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["group"].as_str().unwrap(), one["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(kinds, BTreeMap::from([("kinds-848", "consumer"), ("kinds-share", "share")]));
    let there = next(target(), "kinds-848", "kinds.kinds", "consumer", "1");
    assert_eq!(there, next(source, "kinds-848", "kinds", "consumer", "1"));
    assert_eq!(share_groups(target(), &["start", "kinds-share", "kinds.kinds.shared", "0"]), 77);
    assert_eq!(share_groups(target(), &["read", "kinds-share", "kinds.kinds.shared"]), 77);

    // A KIP-848 group in use at the target is left alone, an idle one goes on.
    let member = member(target(), "kinds-848", "kinds.kinds", "consumer");
    commit(source, "kinds-848", "kinds", &["0:400"]);
    sync(&properties);
    assert_eq!(stands(target(), "kinds-848", "kinds.kinds"), Some(44));
    member.signal(Signal::TERM);
    member.wait(SOON).unwrap();
    sync(&properties);
    assert_eq!(stands(target(), "kinds-848", "kinds.kinds"), Some(400));
}

/// A target that has neither KIP-848 (by default) nor share groups: positions are positions, and what cannot be is said.
#[test]
fn groups_of_newer_kinds_reach_an_older_cluster() {
    let (source, target) = (source_of(Version::V4_3_0), target_of(Version::V3_9_1));
    let from = source.bootstrap();
    oracle::create_topic(&from, "older", 1, 1, &[]).unwrap();
    oracle::produce(&from, "older", &["--records", "500"]).unwrap();
    commit(source, "older-848", "older", &["0:40"]);
    next(source, "older-848", "older", "consumer", "3");
    share_groups(source, &["set", "older-share", "older", "0", "77"]);

    let properties = Properties::between(("older", source), ("target", target), "older");
    let finished = sync(&with_groups(properties, "older-.*"));
    assert_eq!(stands(target, "older-848", "older.older"), Some(43));
    assert_eq!(
        next(target, "older-848", "older.older", "classic", "1"),
        next(source, "older-848", "older", "consumer", "1")
    );
    let line = "share groups are not kept in step: cluster target has none";
    assert_eq!(finished.stderr.matches(line).count(), 1, "{}", finished.stderr);
}

/// What the groups of a `GroupMember` read, by group and partition: offsets and digests in order.
type Read = BTreeMap<String, BTreeMap<i32, Vec<(i64, String)>>>;

/// Members of groups, one after the other: group, protocol, and how much each reads of the topic.
fn java_members(cluster: &KafkaCluster, topic: &str, members: &[(&str, &str, &str)]) -> Read {
    let mut arguments = vec![cluster.bootstrap()];
    for (group, protocol, records) in members {
        arguments.extend([*group, topic, *protocol, *records].map(ToOwned::to_owned));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let told = run(&mut java_source(cluster.version(), "GroupMember.java", &arguments).unwrap()).unwrap();
    let (mut read, mut group) = (Read::new(), String::new());
    for line in told.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            [">", name] => name.clone_into(&mut group),
            [partition, offset, digest] => {
                let partitions = read.entry(group.clone()).or_default();
                let records = partitions.entry(partition.parse().unwrap()).or_default();
                records.push((offset.parse().unwrap(), digest.to_owned()));
            }
            _ => panic!("GroupMember said {line}"),
        }
    }
    read
}

/// Java's consumer reads a part at the source, moves over, and goes on with exactly the next record of each partition.
#[test]
fn a_java_group_goes_on_with_the_next_record() {
    create("moves", 2, &[]);
    // Markers and aborted records make the offsets of both sides drift apart.
    for number in 0..6 {
        let (first, outcome) = ((number * 50).to_string(), if number % 2 == 0 { "commit" } else { "abort" });
        let options = ["--case", "plain", "--partitions", "2", "--records", "50", "--first", &first];
        produce("moves", &[&options[..], &["--transactional", outcome]].concat());
    }
    let at_source = java_members(
        source(),
        "moves",
        &[("whole", "classic", "all"), ("moves-a", "classic", "117"), ("moves-b", "classic", "270")],
    );
    let properties = with_groups(flow("java", "moves"), "moves-.*");
    sync(&properties.with("java.consumer.isolation.level", "read_committed"));
    let at_target = java_members(
        target(),
        "java.moves",
        &[("moves-a", "classic", "rest"), ("moves-b", "consumer", "rest")],
    );
    let digests = |read: &Read, group: &str, partition: i32| -> Vec<String> {
        let records = read.get(group).and_then(|partitions| partitions.get(&partition));
        records.into_iter().flatten().map(|(_, digest)| digest.clone()).collect()
    };
    for (group, part) in [("moves-a", 117), ("moves-b", 270)] {
        assert_eq!(at_source[group].values().map(Vec::len).sum::<usize>(), part, "{group} at the source");
        for partition in [0, 1] {
            let whole = digests(&at_source, "whole", partition);
            assert_eq!(whole.len(), 150);
            let parts = [&at_source, &at_target].map(|side| digests(side, group, partition));
            assert_eq!(parts.concat(), whole, "{group} in partition {partition}");
        }
        // The test is about offsets that differ.
        let last_at_source = |index: &i32| Some(at_source[group].get(index)?.last()?.0);
        let drifted = |(index, records): (&i32, &Vec<(i64, String)>)| {
            last_at_source(index).is_some_and(|last| last + 1 != records[0].0)
        };
        assert!(at_target[group].iter().any(drifted), "{group}");
    }
}
