//! kmirror goes on where the real MirrorMaker 2 stopped, and the real MirrorMaker 2 where kmirror stopped.

use kmirror_tests::cache::scratch;
use kmirror_tests::java::mirror_maker_2;
use kmirror_tests::kafka::{KafkaCluster, Version};
use kmirror_tests::kmirror::Properties;
use kmirror_tests::oracle;

use crate::fixture::{many_processes, source_of, sync, target_of, verify};
use crate::groups;

const RECORDS: u64 = 6000;
const TIME_FOR_JAVA: std::time::Duration = std::time::Duration::from_secs(120);

fn produce(source: &KafkaCluster, topic: &str, round: u64) {
    let first = (round * RECORDS / 3).to_string();
    let options =
        ["--case", "plain", "--partitions", "3", "--records", "2000", "--first", &first, "--codec", "lz4"];
    oracle::produce(&source.bootstrap(), topic, &options).unwrap();
}

/// Runs the real MirrorMaker 2 until the target holds `offsets`, then stops it cleanly.
fn run_mirror_maker(
    version: Version,
    properties: &Properties,
    target: &KafkaCluster,
    topic: &str,
    offsets: u64,
) {
    let directory = scratch("mm2").unwrap();
    let file = properties.write(&directory).unwrap();
    let mirror_maker = mirror_maker_2(version, &file, 256, &directory).unwrap();
    if let Err(error) = oracle::wait_for_offsets(&target.bootstrap(), topic, offsets, TIME_FOR_JAVA) {
        panic!("{error:#}\n{}", mirror_maker.tail(60));
    }
    // Connect writes positions at a clean stop too, but the stop is only as clean as its producer.
    std::thread::sleep(std::time::Duration::from_secs(2));
    mirror_maker.stop(TIME_FOR_JAVA).unwrap();
}

/// MirrorMaker 2, kmirror, MirrorMaker 2, kmirror: every record exactly once.
fn hand_over(version: Version, topic: &str) {
    let _alone = many_processes();
    let (source, target) = (source_of(version), target_of(version));
    oracle::create_topic(&source.bootstrap(), topic, 3, 1, &[]).unwrap();
    let alias = format!("shared-{topic}");
    let mirrored = format!("{alias}.{topic}");
    let group = format!("{topic}-group");
    let properties = Properties::between((&alias, source), ("target", target), topic);
    let properties = properties.with("sync.group.offsets.enabled", "true").with("groups", &group);

    produce(source, topic, 0);
    run_mirror_maker(version, &properties, target, &mirrored, RECORDS);
    produce(source, topic, 1);
    groups::commit(source, &group, topic, &["0:1000", "1:2500", "2:4000"]);
    sync(&properties);
    assert_positions(&properties, target, &group, &mirrored);
    verify((source, topic), (target, &mirrored)).assert_exact(2 * RECORDS);
    produce(source, topic, 2);
    run_mirror_maker(version, &properties, target, &mirrored, 3 * RECORDS);
    verify((source, topic), (target, &mirrored)).assert_exact(3 * RECORDS);
    produce(source, topic, 3);
    sync(&properties);
    verify((source, topic), (target, &mirrored)).assert_exact(4 * RECORDS);
}

/// What MirrorMaker 2 mirrored is known as well as its offset syncs tell, what kmirror mirrored exactly.
fn assert_positions(properties: &Properties, target: &KafkaCluster, group: &str, mirrored: &str) {
    let told = groups::report("groups", properties, &[], 0);
    let positions = told["flows"][0]["groups"][0]["positions"].as_array().unwrap();
    let known: Vec<&str> = positions.iter().map(|one| one["known"].as_str().unwrap()).collect();
    assert_eq!(known, ["as-mirrormaker2", "exact", "exact"], "{positions:#?}");
    let stands = groups::committed(target, group, mirrored);
    let offset = |partition: &str| stands[partition].0;
    assert!((900..=1000).contains(&offset("0")), "offset.lag.max is 100: {stands:?}");
    assert_eq!((offset("1"), offset("2")), (2500, 4000));
}

#[test]
fn from_and_to_mirror_maker_3_9_1() {
    hand_over(Version::V3_9_1, "relay-old");
}

#[test]
fn from_and_to_mirror_maker_4_3_0() {
    hand_over(Version::V4_3_0, "relay-new");
}
