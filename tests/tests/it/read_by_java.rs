//! What kmirror writes beside the records, read by Kafka's own classes: `RemoteClusterUtils` and the formatters.

use kmirror_tests::artefacts::Version;
use kmirror_tests::java::java_source;
use kmirror_tests::kafka::{KafkaCluster, Options};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::run;

use crate::fixture::{SOON, eventually, flow, many_processes, stop, wait_for};

/// What `tests/java/Remote.java` of that release answers.
pub(crate) fn ask_java(version: Version, cluster: &KafkaCluster, questions: &[&str]) -> Vec<String> {
    let bootstrap = cluster.bootstrap();
    let mut arguments = vec![bootstrap.as_str()];
    arguments.extend(questions);
    let answers = run(&mut java_source(version, "Remote.java", &arguments).unwrap()).unwrap();
    answers.lines().map(ToOwned::to_owned).collect()
}

/// The lines of `kmirror checkpoints` and its like about the topics of one flow.
pub(crate) fn lines(command: &str, properties: &Properties, flow: &str) -> Vec<String> {
    let directory = kmirror_tests::cache::scratch("lines").unwrap();
    let file = properties.write(&directory).unwrap();
    let arguments = [command, file.to_str().unwrap(), "--flow", flow];
    let finished = kmirror::finish(&arguments, SOON).unwrap();
    assert_eq!(finished.exit.code(), Some(0), "{}", finished.stderr);
    finished.stdout.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn heartbeats_in_both_directions() {
    let _many = many_processes();
    let one = KafkaCluster::start(Version::V3_9_1, Options::default()).unwrap();
    let other = KafkaCluster::start(Version::V4_3_0, Options::default()).unwrap();
    // The way back is not enabled: its heartbeats are written all the same, and mirrored.
    let properties = Properties::between(("one", &one), ("other", &other), "nothing")
        .with("emit.heartbeats.enabled", "true");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    wait_for(&mirror, &one, "heartbeats", 2);
    wait_for(&mirror, &other, "heartbeats", 2);
    wait_for(&mirror, &other, "one.heartbeats", 2);

    let ours = lines("heartbeats", &properties, "one->other");
    let count = ours.len().to_string();
    let show = ["heartbeatTopics", "upstreamClusters", "show", "HeartbeatFormatter", "heartbeats"];
    let there = ask_java(Version::V4_3_0, &other, &[&show[..], &[&count, "replicationHops", "one"]].concat());
    assert_eq!(
        there[..3],
        ["> heartbeatTopics: heartbeats one.heartbeats", "> upstreamClusters: one", "> show:"]
    );
    assert!(ours.len() >= 2, "{ours:#?}");
    assert_eq!(there[3..3 + ours.len()], ours);
    assert_eq!(there[3 + ours.len()..], ["> replicationHops: 1"]);

    let here = ask_java(Version::V3_9_1, &one, &[&show[..], &["2"]].concat());
    assert_eq!(here[..3], ["> heartbeatTopics: heartbeats", "> upstreamClusters: ", "> show:"]);
    let beat = "Heartbeat{sourceClusterAlias=other, targetClusterAlias=one, timestamp=";
    assert!(here[3..].iter().all(|line| line.starts_with(beat)) && here.len() == 5, "{here:#?}");

    let bootstrap = other.bootstrap();
    assert_eq!(oracle::topics(&bootstrap).unwrap()["heartbeats"], 1);
    assert_eq!(oracle::topic_settings(&bootstrap, "heartbeats").unwrap()["cleanup.policy"], "compact");
    stop(&mirror);
}

#[test]
fn too_few_brokers_for_heartbeats_are_told_with_the_option() {
    let properties = flow("beatless", "nothing")
        .with("beatless->target.emit.heartbeats.enabled", "true")
        .with("beatless->target.heartbeats.topic.replication.factor", "3");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    eventually("the refusal", || mirror.stderr().contains("no heartbeats: "));
    stop(&mirror);
    let told = mirror.stderr();
    let told: Vec<&str> = told.lines().filter(|line| line.contains("heartbeats")).collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("topic heartbeats cannot be created on cluster target"), "{told:#?}");
    assert!(told[0].contains("set heartbeats.topic.replication.factor"), "{told:#?}");
}
