//! `kmirror check`: each broker step by step, each missing right by its name, and nothing changed by it.

use std::time::Duration;

use kmirror_tests::cache::scratch;
use kmirror_tests::kafka::KafkaCluster;
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;

use crate::fixture::{eventually, flow, source, stop, target};
use crate::rights::{admin, allow, guarded};

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// `EXIT STATUS` in the manual.
const UNREACHED: i32 = 3;
/// Rights are missing.
const INCOMPLETE: i32 = 5;

pub(crate) fn check(properties: &Properties) -> (Option<i32>, String) {
    let file = properties.write(&scratch("check").unwrap()).unwrap();
    let finished = kmirror::finish(&["check", &file.display().to_string()], PATIENCE).unwrap();
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    (finished.exit.code(), finished.stdout)
}

fn topics(cluster: &KafkaCluster) -> Vec<String> {
    oracle::topics(&admin(cluster)).unwrap().into_keys().collect()
}

#[test]
fn open_clusters_lack_nothing() {
    oracle::create_topic(&source().bootstrap(), "checked", 1, 1, &[]).unwrap();
    let (exit, said) = check(&flow("checking", "checked"));
    assert_eq!(exit, Some(0), "{said}");
    for words in ["PLAINTEXT", "ok        connect", "ok        Kafka", "1 topics", "every right is there"] {
        assert!(said.contains(words), "{words} is not in:\n{said}");
    }
    let there = oracle::topics(&target().bootstrap()).unwrap();
    assert!(!there.keys().any(|topic| topic.starts_with("checking.")), "it created a topic");
}

#[test]
fn a_cluster_that_is_not_there() {
    let properties = Properties::flow(("far", "127.0.0.1:1"), ("target", &target().bootstrap()), ".*");
    let (exit, said) = check(&properties);
    assert_eq!(exit, Some(UNREACHED), "{said}");
    for words in
        ["ok        name", "FAILED    connect", "refused", "not tried Kafka", "cluster far cannot be reached"]
    {
        assert!(said.contains(words), "{words} is not in:\n{said}");
    }
}

/// Gives each right that is told to be missing, and nothing else, until none is; then mirrors.
#[test]
fn every_right_that_is_missing_is_told() {
    let (source, target) = (guarded(), guarded());
    oracle::create_topic(&admin(&source), "locked", 1, 1, &[]).unwrap();
    oracle::produce(&admin(&source), "locked", &["--records", "30"]).unwrap();
    allow(&source, "TOPIC", "locked", &["DESCRIBE"]);
    let properties = Properties::between(("src", &source), ("dst", &target), "locked");
    let (exit, said) = check(&properties);
    assert_eq!(exit, Some(INCOMPLETE), "{said}");
    for words in [
        "MISSING  READ on topic locked of the source",
        "missing  DESCRIBE_CONFIGS on topic locked of the source",
        "--operation DescribeConfigs --topic locked",
        "missing  READ on topic __consumer_offsets of the source",
        "missing  DESCRIBE on the cluster of the source",
        "missing  ALTER on the cluster of the target",
        "MISSING  READ on group src-mm2 of the target",
        "MISSING  topic src.locked cannot be created at the target: TOPIC_AUTHORIZATION_FAILED",
    ] {
        assert!(said.contains(words), "{words} is not in:\n{said}");
    }
    assert!(topics(&target).iter().all(|topic| topic.starts_with("__")), "it created a topic");

    // Who may look at the cluster is told of groups, which is not enough to ask where they stand.
    allow(&source, "CLUSTER", "kafka-cluster", &["DESCRIBE"]);
    oracle::ask("positions", &[&admin(&source), "commit", "billing", "locked", "0:10"]).unwrap();
    let (_, said) = check(&properties);
    assert!(said.contains("missing  DESCRIBE on group billing of the source"), "{said}");

    allow(&source, "GROUP", "billing", &["DESCRIBE"]);
    allow(&source, "TOPIC", "locked", &["READ", "DESCRIBE_CONFIGS"]);
    allow(&source, "TOPIC", "__consumer_offsets", &["READ"]);
    allow(&source, "TOPIC", "mm2-offset-syncs.dst.internal", &["READ", "WRITE", "CREATE"]);
    allow(&target, "CLUSTER", "kafka-cluster", &["DESCRIBE", "ALTER", "CREATE"]);
    allow(&target, "GROUP", "src-mm2", &["READ"]);
    // Topics that are not there yet are told of, too.
    for topic in ["src.*", "mm2-*"] {
        allow(&target, "TOPIC", topic, &["READ", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"]);
    }
    let (exit, said) = check(&properties);
    assert_eq!(exit, Some(INCOMPLETE), "{said}");
    assert!(said.contains("MISSING  WRITE on topic src.locked of the target"), "{said}");
    for topic in ["src.*", "mm2-*"] {
        allow(&target, "TOPIC", topic, &["WRITE"]);
    }
    let (exit, said) = check(&properties);
    assert_eq!(exit, Some(0), "{said}");
    let (exit, said) = check(&properties.clone().with("emit.heartbeats.enabled", "true"));
    assert_eq!(exit, Some(INCOMPLETE), "{said}");
    let (of_flow, of_pair) = said.split_once("heartbeats dst->src: no flow").unwrap();
    for part in [of_flow, of_pair] {
        assert!(part.contains("topic heartbeats"), "{part} of\n{said}");
    }
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    oracle_sees(&mirror, &target);
    stop(&mirror);
}

fn oracle_sees(mirror: &kmirror_tests::process::Process, target: &KafkaCluster) {
    eventually("the records", || {
        oracle::offsets_held(&admin(target), "src.locked").is_ok_and(|held| held == 30)
            || mirror.exited().is_some()
    });
    assert!(mirror.exited().is_none(), "{}", mirror.tail(40));
}
