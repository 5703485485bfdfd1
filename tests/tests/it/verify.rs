//! `kmirror verify`: says equal of what is equal, and names the place of every record that is not.
//!
//! What is there is counted, copied and tampered with by other clients.

use std::thread;
use std::time::Duration;

use kmirror_tests::cache::scratch;
use kmirror_tests::kmirror::{self, Finished, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::Signal;
use serde_json::Value;

use crate::fixture::{
    CLEANED_SOON, SOON, create, eventually, flow, produce, source, stop, sync, target, wait_for,
};

fn verify(properties: &Properties, options: &[&str]) -> Finished {
    let file = properties.write(&scratch("verify").unwrap()).unwrap();
    let file = file.display().to_string();
    kmirror::finish(&[&["verify", &file], options].concat(), SOON).unwrap()
}

/// Verifies and expects this exit code; the JSON of the only flow.
fn report(properties: &Properties, options: &[&str], code: i32) -> Value {
    let finished = verify(properties, &[options, &["--json"]].concat());
    assert_eq!(finished.exit.code(), Some(code), "{}\n{}", finished.stdout, finished.stderr);
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document["equal"].as_bool(), Some(code == 0), "{document:#}");
    document["flows"][0].clone()
}

/// Records that the oracle finds at the target.
fn held(topic: &str) -> u64 {
    oracle::dump(&target().bootstrap(), topic, &[]).unwrap().values().map(|one| one.records).sum()
}

fn count(of: &Value, what: &str) -> u64 {
    of["counts"][what].as_u64().unwrap()
}

/// Nothing differs, and as many records are the same as the oracle finds at the target.
fn assert_equal(report: &Value, held: u64) {
    for what in ["missing", "extra", "altered", "out_of_order", "damaged_batches", "compacted"] {
        assert_eq!(count(report, what), 0, "{what}: {report:#}");
    }
    assert_eq!(count(report, "matched"), held, "{report:#}");
}

/// Kind, place at the source and place at the target of each finding, in order.
fn findings(report: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = report["partitions"].as_array().unwrap().iter();
    let all = all.flat_map(|partition| partition["findings"].as_array().unwrap());
    let mut found: Vec<(i64, _)> = all
        .map(|one| {
            let place = |side: &str| text(&one[side]["at"]);
            (
                one["source"]["offset"].as_i64().unwrap(),
                (text(&one["kind"]), place("source"), place("target")),
            )
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, finding)| finding).collect()
}

fn finding(kind: &str, source: &str, target: &str) -> (String, String, String) {
    (kind.to_owned(), source.to_owned(), target.to_owned())
}

#[test]
fn equal_after_a_mirror_run() {
    create("ver-eq.codecs", 2, &[]);
    let codecs = ["--partitions", "2", "--codec", "lz4,none,zstd,gzip,snappy", "--records", "2500"];
    produce("ver-eq.codecs", &codecs);
    create("ver-eq.merged", 1, &[]);
    produce("ver-eq.merged", &["--records", "2000", "--codec", "lz4", "--batch-records", "2"]);
    create("ver-eq.transactions", 1, &[]);
    for (number, outcome) in ["commit", "abort", "commit"].iter().enumerate() {
        let first = (number * 300).to_string();
        let options = ["--records", "300", "--first", &first, "--seed", outcome, "--transactional", outcome];
        produce("ver-eq.transactions", &options);
    }
    create("ver-eq.append-time", 1, &["message.timestamp.type=LogAppendTime"]);
    produce("ver-eq.append-time", &["--codec", "none,lz4"]);
    create("ver-eq.empty", 3, &[]);
    create("ver-eq.large", 1, &[]);
    produce("ver-eq.large", &["--case", "plain", "--records", "20000", "--codec", "zstd,lz4"]);
    let properties = flow("vereq", "ver-eq\\\\..*");
    sync(&properties);

    let whole = report(&properties, &[], 0);
    let names = ["codecs", "merged", "transactions", "append-time", "empty", "large"];
    assert_equal(&whole, names.iter().map(|name| held(&format!("vereq.ver-eq.{name}"))).sum());
    assert_eq!(whole["partitions"].as_array().unwrap().len(), 2 + 1 + 1 + 1 + 3 + 1);
    // Large batches went as they were and are compared so; merged ones have to be opened.
    let large = report(&properties, &["--topics", "ver-eq\\.large"], 0);
    assert_equal(&large, 20_000);
    assert!(
        count(&large, "whole_batches") > 0
            && count(&large, "whole_batches") > count(&large, "opened_batches")
    );
    let merged = report(&properties, &["--topics", "ver-eq\\.merged"], 0);
    assert_equal(&merged, 2000);
    assert!(count(&merged, "opened_batches") > 100, "{merged:#}");
    let transactions = report(&properties, &["--topics", "ver-eq\\.transactions"], 0);
    assert_equal(&transactions, 900);
}

#[test]
fn equal_when_reading_committed() {
    create("ver-com", 1, &[]);
    for (number, outcome) in ["commit", "abort", "commit", "abort"].iter().enumerate() {
        let first = (number * 200).to_string();
        let options = ["--records", "200", "--first", &first, "--seed", outcome, "--transactional", outcome];
        produce("ver-com", &options);
    }
    let properties = flow("vercom", "ver-com").with("vercom.consumer.isolation.level", "read_committed");
    sync(&properties);
    assert_equal(&report(&properties, &[], 0), held("vercom.ver-com"));
    // Asked as if aborted records had to be there, it misses them.
    let all = flow("vercom", "ver-com");
    assert_eq!(count(&report(&all, &[], 1), "missing"), 800 - held("vercom.ver-com"));
}

#[test]
fn a_target_with_times_of_its_own_is_compared_without_them() {
    create("ver-time", 1, &[]);
    produce("ver-time", &["--codec", "lz4,none"]);
    let stamps = ["message.timestamp.type=LogAppendTime"];
    oracle::create_topic(&target().bootstrap(), "vertime.ver-time", 1, 1, &stamps).unwrap();
    let properties = flow("vertime", "ver-time");
    sync(&properties);
    let report = report(&properties, &[], 0);
    assert_equal(&report, 1000);
    assert_eq!(report["partitions"][0]["timestamps_compared"].as_bool(), Some(false));
}

#[test]
fn tampered_records_are_named_with_their_places() {
    create("ver-tamper", 1, &[]);
    produce("ver-tamper", &["--case", "plain", "--records", "3000", "--codec", "lz4"]);
    oracle::create_topic(&target().bootstrap(), "vt.ver-tamper", 1, 1, &[]).unwrap();
    let (from, to) = (source().bootstrap(), target().bootstrap());
    let changes = [
        "17=drop",
        "400=alter-value",
        "800=swap",
        "1200=insert",
        "1600=alter-key",
        "2000=alter-headers",
        "2400=alter-time",
        "2998=drop",
        "2999=drop",
    ];
    oracle::ask("tamper", &[&[&*from, "ver-tamper", &to, "vt.ver-tamper"], &changes[..]].concat()).unwrap();
    let properties = flow("vt", "ver-tamper");
    let found = report(&properties, &[], 1);
    let place = |kind: &str, source: i64, target: i64| {
        finding(kind, &format!("ver-tamper-0@{source}"), &format!("vt.ver-tamper-0@{target}"))
    };
    assert_eq!(
        findings(&found),
        [
            place("missing", 17, 17),
            place("altered", 400, 399),
            place("out-of-order", 801, 799),
            place("extra", 1200, 1199),
            place("altered", 1600, 1600),
            place("altered", 2000, 2000),
            place("altered", 2400, 2400),
            place("missing", 2998, 2998),
        ]
    );
    assert_eq!((count(&found, "missing"), count(&found, "altered"), count(&found, "extra")), (3, 4, 1));
    // 3000, less 3 missing, 4 altered and 1 elsewhere.
    assert_eq!((count(&found, "matched"), count(&found, "out_of_order")), (2992, 1));
    let fields: Vec<Value> = found["partitions"][0]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["kind"] == "altered")
        .map(|one| one["fields"][0].clone())
        .collect();
    assert_eq!(fields, ["value", "key", "headers", "timestamp"]);
    // The same for people.
    let text = verify(&properties, &[]);
    assert_eq!(text.exit.code(), Some(1));
    assert!(text.stdout.contains("ver-tamper-0@17") && text.stdout.contains("differ"), "{}", text.stdout);
    // A sample takes one stretch at least, which here is all.
    assert_eq!(findings(&report(&properties, &["--sample", "0.01"], 1)), findings(&found));
    // What lies outside what is asked for is not told.
    assert_eq!(count(&report(&properties, &["--from", "500", "--to", "700"], 0), "matched"), 200);
    assert_eq!(count(&report(&properties, &["--from", "1000", "--to", "1300"], 1), "extra"), 1);
}

#[test]
fn an_extra_record_behind_a_mirror_is_found() {
    create("ver-extra", 2, &[]);
    produce("ver-extra", &["--partitions", "2", "--records", "500"]);
    let properties = flow("vx", "ver-extra");
    sync(&properties);
    assert_equal(&report(&properties, &[], 0), 1000);
    // What the source got since is not due yet.
    produce("ver-extra", &["--partitions", "2", "--records", "10", "--first", "500"]);
    assert_equal(&report(&properties, &[], 0), 1000);
    let foreign = ["--records", "3", "--seed", "foreign"];
    oracle::produce(&target().bootstrap(), "vx.ver-extra", &foreign).unwrap();
    let found = report(&properties, &[], 1);
    assert_eq!(findings(&found), [finding("extra", "ver-extra-0@500", "vx.ver-extra-0@500")], "{found:#}");
    assert_eq!((count(&found, "extra"), count(&found, "matched")), (3, 1000));
}

#[test]
fn records_that_expired_at_either_side_are_no_differences() {
    create("ver-old", 1, &[]);
    produce("ver-old", &["--case", "plain", "--records", "5000", "--codec", "lz4"]);
    let properties = flow("vo", "ver-old");
    sync(&properties);
    let delete = |bootstrap: &str, topic: &str, offset: &str| {
        oracle::ask("admin", &[bootstrap, "delete-records", topic, "0", offset]).unwrap();
    };
    delete(&target().bootstrap(), "vo.ver-old", "1234");
    let at_target = report(&properties, &[], 0);
    assert_equal(&at_target, 5000 - 1234);
    let expired = &at_target["partitions"][0]["expired_at_target"];
    assert_eq!((expired["offset"].as_i64(), expired["last_offset"].as_i64()), (Some(0), Some(1233)));

    delete(&source().bootstrap(), "ver-old", "2345");
    let at_both = report(&properties, &[], 0);
    assert_equal(&at_both, 5000 - 2345);
    let expired = &at_both["partitions"][0]["expired_at_source"];
    assert_eq!((expired["offset"].as_i64(), expired["last_offset"].as_i64()), (Some(1234), Some(2344)));
    // A sample finds its way, too.
    assert_eq!(count(&report(&properties, &["--sample", "0.5"], 0), "missing"), 0);
}

#[test]
fn what_log_cleaners_removed_is_no_difference() {
    create("ver-gaps", 1, &CLEANED_SOON);
    produce("ver-gaps", &["--case", "tombstones", "--records", "2000", "--codec", "lz4"]);
    // The target gets all before the source's cleaner comes, and keeps it.
    let properties = flow("vg", "ver-gaps").with("config.properties.exclude", "cleanup.policy,segment.ms");
    sync(&properties);
    let before = held("vg.ver-gaps");
    thread::sleep(Duration::from_millis(400));
    // The cleaner leaves the active segment alone, so a last record ends what it may clean.
    produce("ver-gaps", &["--case", "tombstones", "--records", "1", "--first", "9000"]);
    let at_source = || -> u64 {
        let dump = oracle::dump(&source().bootstrap(), "ver-gaps", &[]).unwrap();
        dump.values().map(|one| one.records).sum()
    };
    eventually("compaction", || at_source() < before);
    sync(&properties);
    let report = report(&properties, &[], 0);
    assert!(count(&report, "compacted") > 0, "{report:#}");
    assert_eq!(count(&report, "matched") + count(&report, "compacted"), held("vg.ver-gaps"), "{report:#}");
}

#[test]
fn partitions_that_one_side_lacks_are_told() {
    create("ver-grown", 1, &[]);
    produce("ver-grown", &["--records", "10"]);
    let properties = flow("vgr", "ver-grown");
    sync(&properties);
    oracle::add_partitions(&target().bootstrap(), "vgr.ver-grown", 2).unwrap();
    assert_equal(&report(&properties, &[], 0), 10);
    oracle::produce(&target().bootstrap(), "vgr.ver-grown", &["--records", "4", "--partitions", "2"])
        .unwrap();
    let found = report(&properties, &[], 1);
    assert_eq!(count(&found, "extra"), 8);
    assert!(findings(&found).contains(&finding("extra", "ver-grown-1@0", "vgr.ver-grown-1@0")), "{found:#}");
}

#[test]
fn what_is_dealt_out_by_key_is_not_compared() {
    create("ver-dealt", 2, &[]);
    produce("ver-dealt", &["--records", "20", "--partitions", "2"]);
    let properties = flow("vd", "ver-dealt").with("kmirror.partitioning", "by-key");
    sync(&properties);
    let report = report(&properties, &[], 3);
    let error = report["partitions"][0]["error"].as_str().unwrap();
    assert!(error.contains("by key"), "{report:#}");
}

#[test]
fn a_part_is_compared_when_asked() {
    create("ver-part", 1, &[]);
    produce("ver-part", &["--case", "plain", "--records", "60000", "--codec", "lz4,zstd"]);
    let properties = flow("vp", "ver-part");
    sync(&properties);
    let whole = report(&properties, &[], 0);
    assert_equal(&whole, 60_000);
    assert_equal(&report(&properties, &["--from", "25000", "--to", "35500"], 0), 10_500);
    let sample = report(&properties, &["--sample", "0.3"], 0);
    let matched = count(&sample, "matched");
    assert!(matched > 0 && matched <= 60_000 && matched.is_multiple_of(10_000), "{sample:#}");
    let least = report(&properties, &["--sample", "0.000001"], 0);
    assert_equal(&least, 10_000);
    let bytes = |report: &Value| report["partitions"][0]["bytes"].as_u64().unwrap();
    assert!(bytes(&least) * 2 < bytes(&whole), "{} of {}", bytes(&least), bytes(&whole));
    // The records of the case are 7 ms apart, but for some that go back 5 s.
    let by_time = report(&properties, &["--from", "2026-01-01T00:03:00Z"], 0);
    let matched = count(&by_time, "matched");
    assert!((60_000 - 25_800..60_000 - 25_600).contains(&matched), "{by_time:#}");
}

#[test]
fn a_part_of_a_log_with_gaps_is_found_at_the_target() {
    // Markers take offsets at the source only, so that the places drift apart.
    create("ver-drift", 1, &[]);
    for number in 0..10 {
        let (first, outcome) =
            ((number * 2500).to_string(), if number % 2 == 0 { "commit" } else { "abort" });
        let options = ["--case", "plain", "--records", "2500", "--first", &first, "--codec", "lz4"];
        produce("ver-drift", &[&options[..], &["--transactional", outcome]].concat());
    }
    let all = flow("vda", "ver-drift");
    let committed = flow("vdc", "ver-drift").with("vdc.consumer.isolation.level", "read_committed");
    let part = ["--from", "20000", "--to", "25000"];
    // Transaction n has the offsets from 2501 n on and a marker behind them: two markers lie in that part, and the
    // only committed one in it is the ninth.
    for (properties, whole, records) in [(&all, 25_000, 4998), (&committed, 12_500, 2500)] {
        sync(properties);
        assert_equal(&report(properties, &[], 0), whole);
        assert_equal(&report(properties, &part, 0), records);
        for _ in 0..3 {
            let sample = report(properties, &["--sample", "0.4"], 0);
            let matched = count(&sample, "matched");
            assert!(matched > 0, "{sample:#}");
            assert_equal(&sample, matched);
        }
    }
}

#[test]
fn a_running_mirror_is_equal() {
    create("ver-live", 3, &[]);
    let properties = flow("vl", "ver-live");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    let bootstrap = source().bootstrap();
    let options = ["--case", "plain", "--partitions", "3", "--rate", "3000", "--codec", "lz4"];
    let arguments = [&[bootstrap.as_str(), "ver-live"], &options[..]].concat();
    let producer = oracle::start("produce", "ver-live", &arguments, &scratch("ver-live").unwrap()).unwrap();
    wait_for(&mirror, target(), "vl.ver-live", 3000);
    let mut matched = 0;
    for _ in 0..5 {
        let report = report(&properties, &[], 0);
        assert!(count(&report, "matched") > matched, "{report:#}");
        matched = count(&report, "matched");
        thread::sleep(Duration::from_millis(700));
    }
    producer.signal(Signal::TERM);
    producer.wait(SOON).unwrap();
    stop(&mirror);
    sync(&properties);
    assert_equal(&report(&properties, &[], 0), held("vl.ver-live"));
}

#[test]
fn a_verification_writes_nothing() {
    create("ver-quiet", 1, &[]);
    let before = oracle::topics(&target().bootstrap()).unwrap();
    // Records that were never mirrored, to a topic that does not exist.
    produce("ver-quiet", &["--records", "7"]);
    let report = report(&flow("vq", "ver-quiet"), &[], 1);
    assert_eq!(count(&report, "missing"), 7);
    let after = oracle::topics(&target().bootstrap()).unwrap();
    let mine = |topics: &std::collections::BTreeMap<String, u64>| {
        topics.keys().filter(|name| name.contains("vq")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(mine(&after), mine(&before));
}

#[test]
fn what_cannot_be_compared_has_its_exit_code() {
    let unreachable = Properties::flow(("a", "127.0.0.1:1"), ("b", "127.0.0.1:2"), "x.*");
    let finished = verify(&unreachable, &[]);
    assert_eq!(finished.exit.code(), Some(3), "{}{}", finished.stdout, finished.stderr);
    assert!(finished.stdout.contains("a->b: not compared: cluster"), "{}", finished.stdout);
    let finished = verify(&unreachable, &["--flow", "a->c"]);
    assert_eq!(finished.exit.code(), Some(2), "{}{}", finished.stdout, finished.stderr);
    assert!(finished.stderr.contains("a->b"), "{}", finished.stderr);
    create("ver-none", 1, &[]);
    report(&flow("vn", "ver-none"), &["--topics", "no-such-topic"], 2);
}
