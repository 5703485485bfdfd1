//! What kmirror writes beside the records, read by Kafka's own classes: `RemoteClusterUtils` and the formatters.

use kmirror_tests::artefacts::Version;
use kmirror_tests::java::java_source;
use kmirror_tests::kafka::{KafkaCluster, Options};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::run;

use crate::fixture::{SOON, eventually, many_processes, source, source_of, stop, wait_for};

/// The lines of `kmirror checkpoints` and its like about the topics of one flow.
pub(crate) fn lines(command: &str, properties: &Properties, flow: &str) -> Vec<String> {
    let directory = kmirror_tests::cache::scratch("lines").unwrap();
    let file = properties.write(&directory).unwrap();
    let arguments = [command, file.to_str().unwrap(), "--flow", flow];
    let finished = kmirror::finish(&arguments, SOON).unwrap();
    assert_eq!(finished.exit.code(), Some(0), "{}", finished.stderr);
    finished.stdout.lines().map(ToOwned::to_owned).collect()
}

/// Questions to `tests/java/Remote.java`, and the lines it has to answer.
#[derive(Default)]
struct Interview {
    questions: Vec<String>,
    answers: Vec<String>,
}

impl Interview {
    fn at(&mut self, cluster: &KafkaCluster) {
        self.questions.extend(["at".to_owned(), cluster.bootstrap()]);
    }

    fn ask(&mut self, question: &str, answer: &str) {
        self.questions.extend(question.split(' ').map(ToOwned::to_owned));
        let name = question.split(' ').next().unwrap();
        self.answers.push(format!("> {name}: {answer}"));
    }

    /// What the console consumer shows with a formatter has to be what kmirror showed.
    fn show(&mut self, formatter: &str, topic: &str, lines: Vec<String>) {
        assert!(!lines.is_empty(), "{topic}: nothing to compare");
        self.questions.extend(["show", formatter, topic, &lines.len().to_string()].map(ToOwned::to_owned));
        self.answers.push("> show:".to_owned());
        self.answers.extend(lines);
    }

    fn hold(&self, version: Version) {
        let questions: Vec<&str> = self.questions.iter().map(String::as_str).collect();
        let said = run(&mut java_source(version, "Remote.java", &questions).unwrap()).unwrap();
        assert_eq!(said.lines().collect::<Vec<_>>(), self.answers, "Kafka {}", version.name());
    }
}

#[test]
fn heartbeats_checkpoints_and_offset_syncs() {
    let _many = many_processes();
    let one = KafkaCluster::start(Version::V3_9_1, Options::default()).unwrap();
    let other = KafkaCluster::start(Version::V4_3_0, Options::default()).unwrap();
    let (from, to) = (one.bootstrap(), other.bootstrap());
    oracle::create_topic(&from, "orders", 2, 1, &[]).unwrap();
    oracle::produce(&from, "orders", &["--partitions", "2", "--records", "500"]).unwrap();
    oracle::ask("positions", &[&from, "commit", "billing", "orders", "0:500", "1:123"]).unwrap();
    // The way back is not enabled: its heartbeats are written all the same, and mirrored.
    let properties = Properties::between(("one", &one), ("other", &other), "orders")
        .with("one->other.emit.heartbeats.enabled", "true")
        .with("other->one.emit.heartbeats.enabled", "true")
        .with("one->other.heartbeats.replication.enabled", "true")
        .with("emit.checkpoints.interval.seconds", "1");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    wait_for(&mirror, &one, "heartbeats", 2);
    wait_for(&mirror, &other, "heartbeats", 2);
    wait_for(&mirror, &other, "one.heartbeats", 2);
    wait_for(&mirror, &other, "one.checkpoints.internal", 2);
    wait_for(&mirror, &one, "mm2-offset-syncs.other.internal", 2);
    let shown = |command| lines(command, &properties, "one->other");
    let checkpoints = shown("checkpoints");
    let checkpoint = "Checkpoint{consumerGroupId=billing, topicPartition=one.orders-1, upstreamOffset=123, \
                      downstreamOffset=123, metadata=}";
    assert!(checkpoints.contains(&checkpoint.to_owned()), "{checkpoints:#?}");

    let mut interview = Interview::default();
    interview.at(&other);
    interview.ask("heartbeatTopics", "heartbeats one.heartbeats");
    interview.ask("upstreamClusters", "one");
    interview.ask("replicationHops one", "1");
    interview.ask("checkpointTopics", "one.checkpoints.internal");
    interview.ask("translateOffsets one billing", "one.orders-0=500 one.orders-1=123");
    interview.show("HeartbeatFormatter", "heartbeats", shown("heartbeats"));
    interview.show("CheckpointFormatter", "one.checkpoints.internal", shown("checkpoints"));
    interview.at(&one);
    interview.ask("heartbeatTopics", "heartbeats");
    interview.ask("upstreamClusters", "");
    interview.show("OffsetSyncFormatter", "mm2-offset-syncs.other.internal", shown("offset-syncs"));
    interview.show("HeartbeatFormatter", "heartbeats", lines("heartbeats", &properties, "other->one"));
    for version in [Version::V3_9_1, Version::V4_3_0] {
        interview.hold(version);
    }
    stop(&mirror);
    // Where no flow ends there are heartbeats alone.
    let before = oracle::offsets_held(&from, "heartbeats").unwrap();
    let mirror = kmirror::start_run(&properties, &["--clusters", "one"]).unwrap();
    wait_for(&mirror, &one, "heartbeats", before + 2);
    stop(&mirror);
    for (bootstrap, topic) in
        [(&to, "heartbeats"), (&to, "one.checkpoints.internal"), (&from, "mm2-offset-syncs.other.internal")]
    {
        assert_eq!(oracle::topics(bootstrap).unwrap()[topic], 1, "{topic}");
        assert_eq!(oracle::topic_settings(bootstrap, topic).unwrap()["cleanup.policy"], "compact", "{topic}");
    }
}

#[test]
fn too_few_brokers_for_heartbeats_are_told_with_the_option() {
    // A cluster that no test writes heartbeats to.
    let target = ("target", source_of(Version::V4_3_0));
    let properties = Properties::between(("beatless", source()), target, "nothing")
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
