//! An authorizer at both sides: what is missing is named, what is allowed is mirrored meanwhile.

use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;

use crate::fixture::{create, eventually, produce, source, stop};

/// A cluster whose open listener gives nobody any right, and one for administration that gives all.
pub(crate) fn guarded() -> KafkaCluster {
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"admin\" \
                 password=\"admin\" user_admin=\"admin\";";
    let options = Options::default()
        .with("listeners", "PLAINTEXT://127.0.0.1:{port.PLAINTEXT},ADMIN://127.0.0.1:{port.ADMIN},CONTROLLER://127.0.0.1:{port.CONTROLLER}")
        .with("advertised.listeners", "PLAINTEXT://127.0.0.1:{port.PLAINTEXT},ADMIN://127.0.0.1:{port.ADMIN}")
        .with("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,ADMIN:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT")
        .with("inter.broker.listener.name", "ADMIN")
        .with("sasl.enabled.mechanisms", "PLAIN")
        .with("sasl.mechanism.inter.broker.protocol", "PLAIN")
        .with("sasl.mechanism.controller.protocol", "PLAIN")
        .with("listener.name.admin.plain.sasl.jaas.config", login)
        .with("listener.name.controller.plain.sasl.jaas.config", login)
        .with("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
        .with("super.users", "User:admin");
    KafkaCluster::start(Version::V3_9_1, options).unwrap()
}

/// The address of the administration listener, with credentials, as the oracle takes it.
pub(crate) fn admin(cluster: &KafkaCluster) -> String {
    let login =
        "security.protocol=SASL_PLAINTEXT;sasl.mechanism=PLAIN;sasl.username=admin;sasl.password=admin";
    format!("{};{login}", cluster.bootstrap_of("ADMIN"))
}

pub(crate) fn allow(cluster: &KafkaCluster, resource: &str, name: &str, operations: &[&str]) {
    let admin = admin(cluster);
    oracle::ask("admin", &[&[admin.as_str(), "allow", resource, name], operations].concat()).unwrap();
}

#[test]
fn missing_rights_are_named_and_the_rest_goes_on() {
    let (source, target) = (guarded(), guarded());
    for topic in ["open", "closed", "unwritable"] {
        oracle::create_topic(&admin(&source), topic, 1, 1, &["retention.bytes=123456"]).unwrap();
        oracle::produce(&admin(&source), topic, &["--records", "20"]).unwrap();
    }
    for topic in ["open", "closed", "unwritable"] {
        allow(&source, "TOPIC", topic, &["DESCRIBE", "DESCRIBE_CONFIGS"]);
    }
    allow(&source, "TOPIC", "open", &["READ"]);
    allow(&source, "TOPIC", "unwritable", &["READ"]);
    allow(&target, "CLUSTER", "kafka-cluster", &["CREATE", "DESCRIBE", "IDEMPOTENT_WRITE"]);
    allow(&target, "TOPIC", "*", &["DESCRIBE", "DESCRIBE_CONFIGS"]);
    allow(&target, "TOPIC", "mm2-offsets*", &["READ", "WRITE"]);
    allow(&target, "TOPIC", "src.open", &["READ", "WRITE"]);

    // Its settings differ, and may not be changed.
    oracle::create_topic(&admin(&target), "src.open", 1, 1, &[]).unwrap();

    // A group that may be seen at the source, and not be touched at the target.
    oracle::ask("positions", &[&admin(&source), "commit", "guarded", "open", "0:7"]).unwrap();
    allow(&source, "GROUP", "guarded", &["DESCRIBE"]);

    let properties = Properties::between(("src", &source), ("dst", &target), "open, closed, unwritable")
        .with("sync.group.offsets.enabled", "true")
        .with("sync.group.offsets.interval.seconds", "1")
        .with("emit.checkpoints.interval.seconds", "1")
        .with("src->dst.emit.heartbeats.enabled", "true")
        .with("dst->src.emit.heartbeats.enabled", "true")
        .with("kmirror.sync.topic.deletions", "on")
        .with("kmirror.topic.deletion.grace.seconds", "0");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    let words = "not mirrored: the right READ for group src-mm2 is missing on cluster dst";
    eventually(words, || mirror.stderr().contains(words));
    allow(&target, "GROUP", "src-mm2", &["READ"]);
    let held = |topic: &str| oracle::offsets_held(&admin(&target), topic).unwrap();
    eventually("what is allowed to be mirrored", || held("src.open") == 20);
    eventually("messages about what is not", || {
        let said = mirror.stdout() + &mirror.stderr();
        ["closed", "src.unwritable", "TOPIC_AUTHORIZATION_FAILED"].iter().all(|word| said.contains(word))
    });
    for words in [
        "the right ALTER_CONFIGS is missing on 1 topics of cluster dst",
        "the right DESCRIBE on the cluster is missing on cluster src",
        "following __consumer_offsets takes the right READ for it on the source cluster src",
        "checkpoints are not written: the right WRITE for src.checkpoints.internal is missing on cluster dst",
        "groups are not set at the target: guarded; it takes the right READ for them on cluster dst",
        "no heartbeats: topic heartbeats cannot be created on cluster src",
        "no heartbeats: topic heartbeats cannot be written (the right WRITE is missing for it): cluster dst",
    ] {
        eventually(words, || (mirror.stdout() + &mirror.stderr()).contains(words));
    }
    assert!(mirror.exited().is_none(), "{}", mirror.tail(40));

    // Given the rights, it goes on by itself.
    allow(&source, "TOPIC", "closed", &["READ"]);
    allow(&target, "TOPIC", "src.*", &["READ", "WRITE"]);
    allow(&target, "GROUP", "guarded", &["READ"]);
    for topic in ["src.closed", "src.unwritable"] {
        eventually(topic, || held(topic) == 20);
    }
    let committed = || oracle::ask("positions", &[&admin(&target), "committed", "guarded", "src.open", "1"]);
    eventually("setting the group", || committed().unwrap()["0"][0] == 7);
    // Each of these is said once, not at every round.
    let said = mirror.stdout() + &mirror.stderr();
    for words in ["following __consumer_offsets", "groups are not set at the target"] {
        assert_eq!(said.matches(words).count(), 1, "{words}");
    }

    // A topic that may not be seen any more is not taken for one that was deleted.
    let there = |topic: &str| oracle::topics(&admin(&target)).unwrap().contains_key(topic);
    let rules = ["READ", "DESCRIBE", "DESCRIBE_CONFIGS"]
        .map(|right| format!("TOPIC LITERAL open User:* * {right} ALLOW"));
    let admin_of_source = admin(&source);
    let arguments =
        [&[admin_of_source.as_str(), "remove-acl"], &rules.each_ref().map(String::as_str)[..]].concat();
    oracle::ask("admin", &arguments).unwrap();
    eventually("the topic out of sight", || {
        let said = mirror.stdout() + &mirror.stderr();
        said.lines().any(|line| line.contains("the source topic was deleted") && line.contains("\"open\""))
    });
    oracle::delete_topics(&admin_of_source, &["closed"]).unwrap();
    eventually("the right to delete", || {
        (mirror.stdout() + &mirror.stderr())
            .contains("the right DELETE is missing on 1 topics of cluster dst, such as src.closed")
    });
    allow(&target, "TOPIC", "src.*", &["DELETE"]);
    eventually("the deletion", || !there("src.closed"));
    assert!(there("src.open") && there("src.unwritable"), "{}", mirror.tail(40));
    stop(&mirror);
    let said = mirror.stdout() + &mirror.stderr();
    assert_eq!(said.lines().filter(|line| line.contains("no heartbeats")).count(), 2, "{said}");
}

/// In transactions a topic that may not be written holds up no other, and each missing right is named.
#[test]
fn in_transactions_the_rest_goes_on_too() {
    let target = guarded();
    for topic in ["may-open", "may-shut"] {
        create(topic, 1, &[]);
        produce(topic, &["--records", "20"]);
    }
    allow(&target, "CLUSTER", "kafka-cluster", &["CREATE", "DESCRIBE"]);
    allow(&target, "TOPIC", "*", &["DESCRIBE", "DESCRIBE_CONFIGS"]);
    allow(&target, "TOPIC", "mm2-offsets*", &["READ", "WRITE"]);
    allow(&target, "TOPIC", "may.may-open", &["READ", "WRITE"]);
    allow(&target, "GROUP", "may-mm2", &["READ"]);
    let properties = Properties::between(("may", source()), ("dst", &target), "may-.*")
        .with("exactly.once.source.support", "enabled")
        .with("sync.topic.configs.enabled", "false");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    let said = |words: &str| eventually(words, || (mirror.stdout() + &mirror.stderr()).contains(words));
    said("TRANSACTIONAL_ID_AUTHORIZATION_FAILED");
    allow(&target, "TRANSACTIONAL_ID", "may-mm2*", &["DESCRIBE", "WRITE"]);
    let committed = |topic: &str| {
        let dump = oracle::dump(&admin(&target), topic, &["--isolation", "read_committed"]).unwrap();
        dump.values().map(|one| one.records).sum::<u64>()
    };
    eventually("the topics", || {
        let topics = oracle::topics(&admin(&target)).unwrap();
        ["may.may-open", "may.may-shut"].iter().all(|topic| topics.contains_key(*topic))
    });
    eventually("what is allowed", || committed("may.may-open") == 20);
    said("AddPartitionsToTxn was refused: TOPIC_AUTHORIZATION_FAILED");
    said("the offset map cannot be");
    produce("may-open", &["--records", "20", "--first", "20"]);
    eventually("more of it", || committed("may.may-open") == 40);
    allow(&target, "TOPIC", "may.*", &["READ", "WRITE"]);
    allow(&target, "TOPIC", "mm2-*", &["READ", "WRITE"]);
    eventually("what was not", || committed("may.may-shut") == 20);
    stop(&mirror);
    let aborted = mirror.stderr().matches("a transaction is aborted").count();
    assert_eq!(aborted, 0, "{}", mirror.tail(40));
}
