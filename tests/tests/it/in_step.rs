//! What is kept in step beside the records: settings of topics, and deletions. The tests named like MirrorMaker 2's own
//! (`MirrorConnectorsIntegrationBaseTest`) do what those do.

use std::collections::BTreeMap;

use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::Process;

use crate::fixture::{assert_mirrored, create, eventually, flow, produce, source, stop, target};

/// Settings are compared every second, all but `delete.retention.ms`.
fn often(alias: &str, topics: &str) -> Properties {
    let flow = flow(alias, topics).with("sync.topic.configs.interval.seconds", "1");
    flow.with("config.properties.exclude", "delete\\\\.retention\\\\.ms")
}

fn alter(bootstrap: &str, topic: &str, settings: &[&str]) {
    oracle::ask("admin", &[&[bootstrap, "alter", topic], settings].concat()).unwrap();
}

fn at_target(topic: &str) -> BTreeMap<String, String> {
    oracle::topic_settings(&target().bootstrap(), topic).unwrap_or_default()
}

fn set(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Waits until a target topic has exactly these settings of its own.
fn wait_for(mirror: &Process, topic: &str, settings: &[(&str, &str)]) {
    eventually(&format!("{topic} with {settings:?}"), || {
        assert!(mirror.exited().is_none(), "{}", mirror.tail(40));
        at_target(topic) == set(settings)
    });
}

fn said(mirror: &Process, words: &[&str]) -> usize {
    let log = mirror.stdout() + &mirror.stderr();
    log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

#[test]
fn sync_topic_configs() {
    let topics = ["configs.altered", "configs.refused", "configs.later", "configs.refused-too"];
    create(topics[0], 1, &["delete.retention.ms=1000", "retention.bytes=1000"]);
    create(topics[1], 1, &[]);
    create(topics[2], 1, &[]);
    create(topics[3], 1, &[]);
    let mirror = kmirror::start_run(&often("c", "configs\\\\..*"), &[]).unwrap();
    wait_for(&mirror, "c.configs.altered", &[("retention.bytes", "1000")]);

    // The excluded setting stays as somebody set it at the target, the other one goes back to the source's value.
    let altered = ["delete.retention.ms=2000", "retention.bytes=2000"];
    alter(&target().bootstrap(), "c.configs.altered", &altered);
    let both = [("delete.retention.ms", "2000"), ("retention.bytes", "1000")];
    wait_for(&mirror, "c.configs.altered", &both);

    // A value that the target (4.3.0) refuses is named once; the topic's other settings come all the same.
    for topic in [topics[1], topics[3]] {
        alter(&source().bootstrap(), topic, &["segment.bytes=20000", "retention.bytes=3000"]);
    }
    for topic in ["c.configs.refused", "c.configs.refused-too"] {
        wait_for(&mirror, topic, &[("retention.bytes", "3000")]);
    }
    for round in ["4000", "5000"] {
        alter(&source().bootstrap(), topics[2], &[&format!("retention.bytes={round}")]);
        wait_for(&mirror, "c.configs.later", &[("retention.bytes", round)]);
    }
    assert_eq!(said(&mirror, &["the target refuses segment.bytes=20000"]), 1, "{}", mirror.tail(60));
    // Rounds went by meanwhile, and nothing is sent that is there already.
    assert_eq!(said(&mirror, &["settings changed", "c.configs.altered"]), 1, "{}", mirror.tail(60));
    assert_eq!(at_target("c.configs.altered"), set(&both));
    stop(&mirror);
}

#[test]
fn replicate_source_default() {
    create("defaults.source", 1, &[]);
    let properties = often("ds", "defaults\\\\.source").with("use.defaults.from", "source");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    eventually("the source's defaults at the target", || {
        at_target("ds.defaults.source").get("retention.bytes").is_some_and(|bytes| bytes == "-1")
    });
    alter(&target().bootstrap(), "ds.defaults.source", &["delete.retention.ms=2000", "retention.bytes=2000"]);
    eventually("the source's default again", || {
        let settings = at_target("ds.defaults.source");
        settings.get("retention.bytes").is_some_and(|bytes| bytes == "-1")
            && settings.get("delete.retention.ms").is_some_and(|ms| ms == "2000")
    });
    // What stands in the source broker's file (`log.retention.ms` of the test clusters) is no default of Kafka's.
    assert!(!at_target("ds.defaults.source").contains_key("retention.ms"));
    stop(&mirror);
}

#[test]
fn replicate_target_default() {
    create("defaults.target", 1, &["retention.bytes=1000"]);
    let mirror = kmirror::start_run(&often("dt", "defaults\\\\.target"), &[]).unwrap();
    wait_for(&mirror, "dt.defaults.target", &[("retention.bytes", "1000")]);
    // Taken back at the source, and set at the target alone: both are the target's default afterwards.
    alter(&source().bootstrap(), "defaults.target", &[]);
    alter(
        &target().bootstrap(),
        "dt.defaults.target",
        &["retention.bytes=1000", "max.compaction.lag.ms=5000"],
    );
    wait_for(&mirror, "dt.defaults.target", &[]);
    stop(&mirror);
}

#[test]
fn deletions_are_carried_over_when_asked_after_their_time() {
    let topics = || oracle::topics(&target().bootstrap()).unwrap();
    for topic in ["deleted.kept", "deleted.soon", "deleted.again"] {
        create(topic, 2, &[]);
        produce(topic, &["--records", "20"]);
    }
    let properties = flow("del", "deleted\\\\..*");
    // One that the flow never mirrored, though its name says so.
    oracle::create_topic(&target().bootstrap(), "del.deleted.foreign", 1, 1, &[]).unwrap();

    let dry = properties.clone().with("kmirror.sync.topic.deletions", "dry-run");
    let mirror = kmirror::start_run(&dry.with("kmirror.topic.deletion.grace.seconds", "0"), &[]).unwrap();
    for topic in ["deleted.kept", "deleted.soon", "deleted.again"] {
        eventually(topic, || {
            oracle::offsets_held(&target().bootstrap(), &format!("del.{topic}")).unwrap() == 20
        });
    }
    // Progress is what tells that the flow mirrored them.
    stop(&mirror);
    let dry = properties.clone().with("kmirror.sync.topic.deletions", "dry-run");
    let mirror = kmirror::start_run(&dry.with("kmirror.topic.deletion.grace.seconds", "0"), &[]).unwrap();
    oracle::delete_topics(&source().bootstrap(), &["deleted.soon", "deleted.again"]).unwrap();
    for topic in ["del.deleted.soon", "del.deleted.again"] {
        eventually("the dry run's words", || said(&mirror, &["would delete", topic]) == 1);
    }
    assert!(topics().contains_key("del.deleted.soon") && topics().contains_key("del.deleted.again"));
    stop(&mirror);

    let on = properties.with("kmirror.sync.topic.deletions", "on");
    let mirror = kmirror::start_run(&on.with("kmirror.topic.deletion.grace.seconds", "4"), &[]).unwrap();
    eventually("the beginning of the time", || said(&mirror, &["del.deleted.soon is deleted after 4s"]) == 1);
    assert!(topics().contains_key("del.deleted.soon"), "deleted at once");
    // One of them is back before its time, and its copy stays.
    create("deleted.again", 2, &[]);
    eventually("the deletion", || !topics().contains_key("del.deleted.soon"));
    for kept in ["del.deleted.kept", "del.deleted.again", "del.deleted.foreign"] {
        assert!(topics().contains_key(kept), "{kept} is gone\n{}", mirror.tail(40));
    }
    // A topic of the same name is mirrored from its first record.
    create("deleted.soon", 2, &[]);
    produce("deleted.soon", &["--records", "30"]);
    eventually("the new topic's records", || {
        topics().contains_key("del.deleted.soon")
            && oracle::offsets_held(&target().bootstrap(), "del.deleted.soon").unwrap() == 30
    });
    assert_mirrored("del", "deleted.soon");
    assert_mirrored("del", "deleted.kept");
    stop(&mirror);
}
