//! Moving over to the other cluster and back, with names kept: nothing is lost, nothing is copied back to where it came
//! from, groups go on at exactly the next record.

use kmirror_tests::cache::scratch;
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use serde_json::Value;

use crate::fixture::{SOON, assert_same, create, flow, produce, source, sync, target};
use crate::groups::{assert_same_next, commit};

/// Runs `failover` or `failback` on `over->target` and expects this exit code.
fn move_over(command: &str, properties: &Properties, options: &[&str], code: i32) -> Value {
    let file = properties.write(&scratch(command).unwrap()).unwrap().display().to_string();
    let arguments = [&[command, &file, "--flow", "over->target", "--json"], options].concat();
    let finished = kmirror::finish(&arguments, SOON).unwrap();
    assert_eq!(finished.exit.code(), Some(code), "{}\n{}", finished.stdout, finished.stderr);
    serde_json::from_str(&finished.stdout).unwrap()
}

/// Starts of the reverse flow, as told, in the order of partitions.
fn starts(report: &Value) -> Vec<i64> {
    let starts = report["reverse"]["starts"].as_array().unwrap().iter();
    starts.map(|one| one["start"].as_i64().unwrap()).collect()
}

fn held_at_target(topic: &str) -> u64 {
    oracle::offsets_held(&target().bootstrap(), topic).unwrap()
}

#[test]
fn over_and_back_again() {
    create("over", 2, &[]);
    // Markers make the offsets of both sides drift apart.
    produce("over", &["--partitions", "2", "--records", "200", "--transactional", "commit"]);
    produce("over", &["--partitions", "2", "--records", "300", "--first", "200"]);
    commit(source(), "over-billing", "over", &["0:150:note", "1:420"]);
    let properties = flow("over", "over").identity().with("groups", "over-.*");
    // On the way back, too: other tests use the clusters as well.
    let properties = properties.with("target->over.topics", "over");
    sync(&properties);
    produce("over", &["--partitions", "2", "--records", "50", "--first", "500"]);

    let dry = move_over("failover", &properties, &["--dry-run"], 5);
    let missing: i64 =
        dry["partitions"].as_array().unwrap().iter().map(|one| one["missing"].as_i64().unwrap()).sum();
    assert_eq!((missing, dry["dry_run"].as_bool(), held_at_target("over")), (100, Some(true), 1000));

    let over = move_over("failover", &properties, &[], 0);
    assert_eq!(starts(&over), [550, 550], "{over}");
    assert_same(source(), "over", target(), "over");
    assert_same_next("over-billing", "over", "over", 2);

    // Life goes on at the target; one group moves on there.
    oracle::produce(
        &target().bootstrap(),
        "over",
        &["--partitions", "2", "--records", "70", "--first", "550"],
    )
    .unwrap();
    commit(target(), "over-billing", "over", &["0:600"]);
    let back = move_over("failback", &properties, &[], 0);
    assert_eq!(
        (back["flow"].as_str(), back["reverse"]["flow"].as_str()),
        (Some("target->over"), Some("over->target"))
    );
    assert_same(source(), "over", target(), "over");
    assert_same_next("over-billing", "over", "over", 2);

    // And forth again: nothing of it is copied once more.
    produce("over", &["--partitions", "2", "--records", "30", "--first", "620"]);
    sync(&properties);
    assert_same(source(), "over", target(), "over");
    assert_eq!(held_at_target("over"), 2 * 650);
}

#[test]
fn without_the_source_the_report_says_what_is_known() {
    create("lost", 1, &[]);
    produce("lost", &["--records", "100"]);
    let nowhere = ("over", "127.0.0.1:1");
    sync(&flow("over", "lost").identity());
    let gone = Properties::flow(nowhere, ("target", &target().bootstrap()), "lost").identity();
    let report = move_over("failover", &gone, &[], 5);
    assert_eq!(report["source_answers"].as_bool(), Some(false));
    let lost = report["partitions"].as_array().unwrap().iter().find(|one| one["topic"] == "lost").unwrap();
    assert_eq!((lost["mirrored"].as_i64(), lost["missing"].as_i64()), (Some(100), None));
    assert!(report["groups_error"].is_string() && report["reverse"]["error"].is_string(), "{report}");
}

#[test]
fn a_mirror_that_still_runs_is_noticed() {
    create("runs", 1, &[]);
    produce("runs", &["--records", "10"]);
    let properties = flow("runs", "runs").identity().with("runs->target.emit.heartbeats.enabled", "true");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    crate::fixture::wait_for(&mirror, target(), "heartbeats", 2);
    let file = properties.write(&scratch("failover").unwrap()).unwrap().display().to_string();
    let finished = kmirror::finish(&["failover", &file, "--flow", "runs->target"], SOON).unwrap();
    assert_eq!(finished.exit.code(), Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("wrote a heartbeat"), "{}", finished.stderr);
    crate::fixture::stop(&mirror);
}
