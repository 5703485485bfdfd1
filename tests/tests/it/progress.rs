//! Positions that are no longer there: expired, or of a topic that was made anew. Named, and by default passed.

use kmirror_tests::kmirror;
use kmirror_tests::oracle;

use crate::fixture::{SOON, create, flow, produce, source, stop, sync, target};

/// The exit code of a run until synced that left something out.
const INCOMPLETE: i32 = 5;

/// Mirrors 100 records, then lets the next 200 expire before any mirror sees them, then adds 50.
fn lose_records(topic: &str, alias: &str) {
    create(topic, 1, &[]);
    produce(topic, &["--records", "100", "--seed", "seen"]);
    sync(&flow(alias, topic));
    produce(topic, &["--records", "200", "--seed", "expired"]);
    oracle::ask("admin", &[&source().bootstrap(), "delete-records", topic, "0", "300"]).unwrap();
    produce(topic, &["--records", "50", "--seed", "after"]);
}

#[test]
fn expired_offsets_are_named_and_passed() {
    lose_records("expired", "gone");
    let finished = sync(&flow("gone", "expired"));
    let said = finished.stdout + &finished.stderr;
    assert!(said.contains("100 to 299 (200 offsets)"), "the gap is not named:\n{said}");
    let found = oracle::dump(&target().bootstrap(), "gone.expired", &[]).unwrap();
    assert_eq!(found[&0].records, 150);
}

#[test]
fn expired_offsets_stop_the_partition_when_asked() {
    lose_records("expired-strict", "strict");
    let properties = flow("strict", "expired-strict").with("kmirror.on.lost.records", "stop");
    let process = kmirror::start_run(&properties, &["--until-synced"]).unwrap();
    let exit = process.wait(SOON).unwrap();
    assert_eq!(exit.code(), Some(INCOMPLETE), "{}", process.tail(40));
    let found = oracle::dump(&target().bootstrap(), "strict.expired-strict", &[]).unwrap();
    assert_eq!(found[&0].records, 100, "{}", process.tail(40));
}

#[test]
fn a_recreated_topic_is_noticed() {
    create("recreated", 1, &[]);
    produce("recreated", &["--records", "100", "--seed", "first"]);
    sync(&flow("again", "recreated"));
    oracle::delete_topics(&source().bootstrap(), &["recreated"]).unwrap();
    create("recreated", 1, &[]);
    produce("recreated", &["--records", "120", "--seed", "second"]);
    let finished = sync(&flow("again", "recreated"));
    let said = (finished.stdout + &finished.stderr).to_lowercase();
    assert!(said.contains("recreated-0") && said.contains("deleted and created again"), "{said}");
    // Position 100 belongs to the first topic: the second is taken from its beginning.
    let found = oracle::dump(&target().bootstrap(), "again.recreated", &[]).unwrap();
    assert_eq!(found[&0].records, 220);
}

/// The target remembers the sequences of the first topic's records.
#[test]
fn a_topic_that_is_created_anew_under_a_running_mirror_loses_nothing() {
    create("renewed", 1, &[]);
    let start = |alias: &str, transactions: &str| {
        let properties = flow(alias, "renewed")
            .with("refresh.topics.interval.seconds", "1")
            .with("exactly.once.source.support", transactions);
        kmirror::start_run(&properties, &[]).unwrap()
    };
    let mirrors =
        [("plainly", start("plainly", "disabled")), ("in-transactions", start("in-transactions", "enabled"))];
    let all_have = |records: u64| {
        for (alias, mirror) in &mirrors {
            let copy = format!("{alias}.renewed");
            let held = || {
                oracle::dump(&target().bootstrap(), &copy, &["--isolation", "read_committed"])
                    .ok()?
                    .get(&0)
                    .map(|one| one.records)
            };
            mirror.wait_until("the records", SOON, || held() == Some(records)).unwrap();
        }
    };
    for seed in ["first", "second", "third"] {
        produce("renewed", &["--records", "50", "--seed", seed]);
    }
    all_have(150);
    oracle::delete_topics(&source().bootstrap(), &["renewed"]).unwrap();
    create("renewed", 1, &[]);
    produce("renewed", &["--records", "60", "--seed", "fourth"]);
    all_have(210);

    // The copy is lost instead: what comes from then on is mirrored into a new one.
    let (_, mirror) = &mirrors[0];
    oracle::delete_topics(&target().bootstrap(), &["plainly.renewed"]).unwrap();
    produce("renewed", &["--records", "30", "--seed", "fifth"]);
    let held = || oracle::offsets_held(&target().bootstrap(), "plainly.renewed").ok();
    mirror.wait_until("a new copy", SOON, || held().is_some_and(|held| held >= 30)).unwrap();
    mirrors.iter().for_each(|(_, mirror)| stop(mirror));
}

#[test]
fn progress_is_written_in_the_bytes_of_connect() {
    create("positions", 2, &[]);
    produce("positions", &["--partitions", "2", "--records", "40"]);
    sync(&flow("bytes", "positions"));
    let answer =
        oracle::ask("dump", &[&target().bootstrap(), "mm2-offsets.bytes.internal", "--records"]).unwrap();
    let partitions = answer["partitions"].as_object().unwrap();
    assert_eq!(partitions.len(), 25, "Connect's offsets topic has 25 partitions");
    let mut records: Vec<(String, String)> = Vec::new();
    for record in partitions.values().flat_map(|p| p["content"].as_array().unwrap()) {
        records.push((record[2].as_str().unwrap().to_owned(), record[3].as_str().unwrap().to_owned()));
    }
    for partition in 0..2 {
        let key = format!(
            r#"["MirrorSourceConnector",{{"cluster":"bytes","partition":{partition},"topic":"positions"}}]"#
        );
        let last = records.iter().rev().find(|(k, _)| *k == key);
        let (_, value) = last.unwrap_or_else(|| panic!("no record with the key {key} among {records:?}"));
        let value: serde_json::Value = serde_json::from_str(value).unwrap();
        assert_eq!(value["offset"], 39, "the offset of the last record mirrored");
    }
}
