//! A mirror that keeps running: new topics and partitions, restarts, kill -9, offsets that are no longer there.

use std::thread;
use std::time::Duration;

use kmirror_tests::cache::scratch;
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::{Process, Signal};

use crate::fixture::{
    SOON, assert_mirrored, create, eventually, flow, produce, source, stop, sync, target, verify, wait_for,
};
use crate::groups::commit;

/// `EXIT STATUS` in the manual: a signal ended it before it was done.
const INTERRUPTED: i32 = 130;

/// A producer of unique records at `rate` a second, until it is stopped.
fn steady_producer(topic: &str, partitions: &str, rate: &str) -> Process {
    let bootstrap = source().bootstrap();
    let options = ["--case", "plain", "--partitions", partitions, "--rate", rate, "--codec", "lz4"];
    let arguments = [&[bootstrap.as_str(), topic], &options[..]].concat();
    oracle::start("produce", topic, &arguments, &scratch(topic).unwrap()).unwrap()
}

/// Stops the producer and returns how many records the source holds then.
fn finish_producing(producer: &Process, topic: &str) -> u64 {
    let exit = producer.stop(SOON).unwrap();
    assert!(exit.status.success(), "{}", producer.tail(20));
    oracle::offsets_held(&source().bootstrap(), topic).unwrap()
}

#[test]
fn new_topics_and_partitions_are_picked_up() {
    create("grows.a", 1, &[]);
    produce("grows.a", &["--records", "100"]);
    let mirror = kmirror::start_run(&flow("live", "grows\\\\..*"), &[]).unwrap();
    wait_for(&mirror, target(), "live.grows.a", 100);

    create("grows.b", 2, &[]);
    produce("grows.b", &["--partitions", "2", "--records", "100"]);
    oracle::add_partitions(&source().bootstrap(), "grows.a", 3).unwrap();
    produce("grows.a", &["--partitions", "3", "--records", "100", "--first", "100"]);
    wait_for(&mirror, target(), "live.grows.b", 200);
    wait_for(&mirror, target(), "live.grows.a", 400);
    stop(&mirror);
    assert_mirrored("live", "grows.a");
    assert_mirrored("live", "grows.b");
}

/// With regular looks ten minutes apart, by the positions of a group that is not mirrored itself.
#[test]
fn what_somebody_reads_is_picked_up_at_once() {
    create("noticed.a", 1, &[]);
    produce("noticed.a", &["--records", "100"]);
    // The topic of positions is made with the first one.
    commit(source(), "somebody", "noticed.a", &["0:1"]);
    let clusters = (source().bootstrap(), target().bootstrap());
    let properties =
        Properties::plain_flow(("notice", &clusters.0), ("target", &clusters.1), "noticed\\\\..*")
            .with("groups", "nobody");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    wait_for(&mirror, target(), "notice.noticed.a", 100);
    eventually("watching", || mirror.stderr().contains("watching groups"));

    create("noticed.b", 1, &[]);
    produce("noticed.b", &["--records", "100"]);
    commit(source(), "somebody", "noticed.b", &["0:1"]);
    wait_for(&mirror, target(), "notice.noticed.b", 100);
    oracle::add_partitions(&source().bootstrap(), "noticed.a", 2).unwrap();
    produce("noticed.a", &["--partitions", "2", "--records", "100", "--first", "100"]);
    commit(source(), "somebody", "noticed.a", &["1:1"]);
    wait_for(&mirror, target(), "notice.noticed.a", 300);
    stop(&mirror);
    assert_mirrored("notice", "noticed.a");
    assert_mirrored("notice", "noticed.b");
}

#[test]
fn records_keep_flowing_while_topics_come() {
    create("flows.steady", 2, &[]);
    let mirror = kmirror::start_run(&flow("steady", "flows\\\\..*"), &[]).unwrap();
    let producer = steady_producer("flows.steady", "2", "2000");
    for number in 0..5 {
        create(&format!("flows.{number}"), 3, &[]);
        thread::sleep(Duration::from_millis(500));
    }
    let held = finish_producing(&producer, "flows.steady");
    wait_for(&mirror, target(), "steady.flows.steady", held);
    stop(&mirror);
    verify((source(), "flows.steady"), (target(), "steady.flows.steady")).assert_exact(1000);
}

#[test]
fn a_restart_goes_on_where_it_stopped() {
    create("restarts", 3, &[]);
    let properties = flow("restart", "restarts");
    let producer = steady_producer("restarts", "3", "3000");
    for _ in 0..4 {
        let mirror = kmirror::start_run(&properties, &[]).unwrap();
        thread::sleep(Duration::from_millis(2500));
        stop(&mirror);
    }
    finish_producing(&producer, "restarts");
    sync(&properties);
    verify((source(), "restarts"), (target(), "restart.restarts")).assert_exact(10_000);
}

#[test]
fn a_synced_topic_is_not_copied_again() {
    create("once", 2, &[]);
    produce("once", &["--partitions", "2", "--codec", "lz4"]);
    let properties = flow("twice", "once");
    sync(&properties);
    sync(&properties);
    assert_mirrored("twice", "once");
}

#[test]
fn kill_9_loses_and_repeats_nothing() {
    create("killed", 3, &[]);
    let properties = flow("kill", "killed");
    let producer = steady_producer("killed", "3", "5000");
    for round in 0..4 {
        let mirror = kmirror::start_run(&properties, &[]).unwrap();
        thread::sleep(Duration::from_millis(1200 + round * 370));
        assert!(mirror.exited().is_none(), "{}", mirror.tail(40));
        mirror.kill().unwrap();
    }
    finish_producing(&producer, "killed");
    sync(&properties);
    verify((source(), "killed"), (target(), "kill.killed")).assert_exact(10_000);
}

#[test]
fn killed_while_catching_up_it_loses_and_repeats_nothing() {
    // Much is there from the start, so the kill comes with many requests under way.
    create("caught", 4, &[]);
    produce(
        "caught",
        &["--case", "plain", "--records", "50000", "--partitions", "4", "--batch-records", "50"],
    );
    let properties = flow("catch", "caught");
    for delay in [60, 90, 130, 180] {
        let mirror = kmirror::start_run(&properties, &[]).unwrap();
        thread::sleep(Duration::from_millis(delay));
        mirror.kill().unwrap();
    }
    sync(&properties);
    verify((source(), "caught"), (target(), "catch.caught")).assert_exact(200_000);
}

#[test]
fn a_second_signal_stops_at_once() {
    create("impatient", 1, &[]);
    let mirror = kmirror::start_run(&flow("hurry", "impatient"), &[]).unwrap();
    eventually("the target topic", || {
        oracle::topics(&target().bootstrap()).unwrap().contains_key("hurry.impatient")
    });
    mirror.signal(Signal::TERM);
    mirror.signal(Signal::TERM);
    mirror.wait(Duration::from_secs(5)).unwrap();
}

#[test]
fn a_run_that_is_to_end_by_itself_says_when_it_was_ended() {
    create("unfinished", 1, &[]);
    // In batches: one goes beyond the limit at once, and is paid for later.
    produce("unfinished", &["--records", "2000", "--batch-records", "100"]);
    let slow = flow("slowly", "unfinished").with("kmirror.max.bytes.per.second", "1000");
    let mirror = kmirror::start_run(&slow, &["--until-synced"]).unwrap();
    eventually("the target topic", || {
        oracle::topics(&target().bootstrap()).unwrap().contains_key("slowly.unfinished")
    });
    mirror.signal(Signal::TERM);
    let exit = mirror.wait(SOON).unwrap();
    assert_eq!(exit.code(), Some(INTERRUPTED), "{}", mirror.tail(20));
}

#[test]
fn latest_leaves_out_what_was_there_before() {
    create("from-now", 1, &[]);
    produce("from-now", &["--records", "50", "--seed", "old"]);
    let properties = flow("now", "from-now").with("now.consumer.auto.offset.reset", "latest");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    eventually("the target topic", || {
        oracle::topics(&target().bootstrap()).unwrap().contains_key("now.from-now")
    });
    thread::sleep(Duration::from_secs(2));
    let expected = produce("from-now", &["--records", "70", "--seed", "new"]);
    wait_for(&mirror, target(), "now.from-now", 70);
    stop(&mirror);
    let found = oracle::dump(&target().bootstrap(), "now.from-now", &[]).unwrap();
    oracle::same_content(&expected, &found).unwrap();
}
