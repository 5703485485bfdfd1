//! Damage on a disk of the source: read from another replica, or the partition stops.

use std::io::{Read, Seek, SeekFrom, Write};

use kmirror_tests::kafka::{KafkaCluster, Options};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;

use crate::fixture::{SOON, eventually, many_processes, stop, target};
use crate::source_log::{self, TOPIC, leader_and_follower, produce, source};

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
        source_log::leader(&source) == id
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
