//! Access rules and quotas, with an authorizer at both sides: what the real MirrorMaker 2 makes of the same rules, and
//! what goes beyond it.

use std::collections::BTreeSet;
use std::time::Duration;

use kmirror_tests::cache::scratch;
use kmirror_tests::java::{java, mirror_maker_2};
use kmirror_tests::kafka::{KafkaCluster, Options, Version, short_lived_flags};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::{Process, run};

use crate::fixture::{eventually, many_processes, stop, sync};

const TIME_FOR_JAVA: Duration = Duration::from_secs(120);

/// A cluster with an authorizer that lets everybody do everything: rules are kept, and refuse nothing.
fn with_authorizer(version: Version) -> KafkaCluster {
    let options = Options::default()
        .with("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
        .with("super.users", "User:ANONYMOUS");
    KafkaCluster::start(version, options).unwrap()
}

fn admin(cluster: &KafkaCluster, command: &str, arguments: &[&str]) -> serde_json::Value {
    oracle::ask("admin", &[&[cluster.bootstrap().as_str(), command], arguments].concat()).unwrap()
}

fn acls(cluster: &KafkaCluster) -> BTreeSet<String> {
    let listed = admin(cluster, "acls", &[]);
    listed.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The rules about topics of this alias, without it.
fn of_alias(cluster: &KafkaCluster, alias: &str) -> BTreeSet<String> {
    let marked = format!(" {alias}.");
    acls(cluster)
        .iter()
        .filter(|text| text.contains(&marked))
        .map(|text| text.replace(&marked, " "))
        .collect()
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Kafka's `kafka-configs.sh`.
pub(crate) fn configs(cluster: &KafkaCluster, arguments: &[&str]) -> String {
    let mut command = java(cluster.version(), "ERROR").unwrap();
    command.args(["-XX:TieredStopAtLevel=1", "kafka.admin.ConfigCommand", "--bootstrap-server"]);
    run(command.arg(cluster.bootstrap()).args(arguments)).unwrap()
}

fn start(properties: &Properties, options: &[(&str, &str)]) -> Process {
    let often = properties.clone().with("sync.topic.acls.interval.seconds", "1");
    let properties = options.iter().fold(often, |properties, (key, value)| properties.with(key, value));
    kmirror::start_run(&properties, &[]).unwrap()
}

#[test]
fn rules_are_copied_as_mirror_maker_does_and_beyond() {
    let _alone = many_processes();
    let (source, target) = (with_authorizer(Version::V3_9_1), with_authorizer(Version::V4_3_0));
    oracle::create_topic(&source.bootstrap(), "orders", 1, 1, &[]).unwrap();
    oracle::create_topic(&source.bootstrap(), "team-a", 1, 1, &[]).unwrap();
    let at_source = [
        "TOPIC LITERAL orders User:reader * READ ALLOW",
        "TOPIC LITERAL orders User:reader 10.0.0.1 DESCRIBE ALLOW",
        "TOPIC LITERAL orders User:writer * WRITE ALLOW",
        "TOPIC LITERAL orders User:evil * WRITE DENY",
        "TOPIC LITERAL orders User:owner * ALL ALLOW",
        "TOPIC LITERAL orders User:evil * ALL DENY",
        "TOPIC LITERAL not-there-yet User:reader * READ ALLOW",
        "TOPIC LITERAL left-out User:reader * READ ALLOW",
        "TOPIC LITERAL __consumer_offsets User:reader * READ ALLOW",
        "TOPIC PREFIXED team- User:team * READ ALLOW",
        "GROUP LITERAL readers User:reader * READ ALLOW",
        "TRANSACTIONAL_ID PREFIXED tx- User:writer * WRITE ALLOW",
        "CLUSTER LITERAL kafka-cluster User:root * ALTER ALLOW",
    ];
    admin(&source, "add-acl", &at_source);
    let topics = "orders, team-.*, not-there-yet";
    let as_mirror_maker = [
        "TOPIC LITERAL not-there-yet User:reader * READ ALLOW",
        "TOPIC LITERAL orders User:evil * ALL DENY",
        "TOPIC LITERAL orders User:evil * WRITE DENY",
        "TOPIC LITERAL orders User:owner * READ ALLOW",
        "TOPIC LITERAL orders User:reader * READ ALLOW",
        "TOPIC LITERAL orders User:reader 10.0.0.1 DESCRIBE ALLOW",
    ];

    // The real MirrorMaker 2 under one alias, kmirror under another.
    let directory = scratch("mm2-acls").unwrap();
    let properties = Properties::between(("m", &source), ("dst", &target), topics);
    let file = properties.with("sync.topic.acls.interval.seconds", "1").write(&directory).unwrap();
    let mirror_maker =
        mirror_maker_2(Version::V3_9_1, &file, &short_lived_flags(Version::V3_9_1, 256).unwrap(), &directory)
            .unwrap();
    mirror_maker
        .wait_until("it copied the rules", TIME_FOR_JAVA, || !of_alias(&target, "m").is_empty())
        .unwrap();
    mirror_maker.stop(TIME_FOR_JAVA).unwrap();
    assert_eq!(of_alias(&target, "m"), set(&as_mirror_maker));
    // There is no record to wait for, and still all is in step when it ends.
    sync(&Properties::between(("k", &source), ("dst", &target), topics));
    assert_eq!(of_alias(&target, "k"), of_alias(&target, "m"));
    assert_eq!(
        acls(&target).len(),
        2 * as_mirror_maker.len(),
        "nothing else was created: {:?}",
        acls(&target)
    );

    all_kinds_and_removal(&source, &target, topics);
}

/// Prefixes, groups, transactional ids and the right to write; what kmirror created is removed, over a restart, and
/// nobody else's.
fn all_kinds_and_removal(source: &KafkaCluster, target: &KafkaCluster, topics: &str) {
    let all =
        [("kmirror.sync.acls", "all"), ("kmirror.sync.acls.remove", "true"), ("kmirror.sync.quotas", "true")];
    let properties = Properties::between(("x", source), ("dst", target), topics);
    let removed =
        ["TOPIC LITERAL orders User:writer * WRITE ALLOW", "GROUP LITERAL readers User:reader * READ ALLOW"];
    // Somebody made this one at the target before us: it is not ours, though the source has it too.
    admin(target, "add-acl", &[removed[1], "TOPIC LITERAL x.orders User:local * READ ALLOW"]);
    configs(
        source,
        &[
            "--alter",
            "--entity-type",
            "users",
            "--entity-name",
            "heavy",
            "--add-config",
            "producer_byte_rate=1048576",
        ],
    );
    configs(
        source,
        &[
            "--alter",
            "--entity-type",
            "users",
            "--entity-name",
            "scrammed",
            "--add-config",
            "SCRAM-SHA-256=[password=secret]",
        ],
    );

    let mirror = start(&properties, &all);
    let wanted = [
        "TOPIC LITERAL x.orders User:writer * WRITE ALLOW",
        "TOPIC LITERAL x.orders User:owner * ALL ALLOW",
        "TOPIC PREFIXED x.team- User:team * READ ALLOW",
        "TRANSACTIONAL_ID PREFIXED tx- User:writer * WRITE ALLOW",
    ];
    eventually("rules of all kinds", || set(&wanted).is_subset(&acls(target)));
    assert!(!acls(target).iter().any(|text| text.starts_with("BROKER")), "{:?}", acls(target));
    eventually("the user who cannot be copied", || (mirror.stdout() + &mirror.stderr()).contains("scrammed"));
    eventually("the quota", || (mirror.stdout() + &mirror.stderr()).contains("quotas of user heavy set"));
    let quota = configs(target, &["--describe", "--entity-type", "users", "--entity-name", "heavy"]);
    assert!(quota.contains("producer_byte_rate=1048576"), "{quota}");
    stop(&mirror);

    admin(source, "remove-acl", &removed);
    let mirror = start(&properties, &all);
    eventually("the removal", || !acls(target).contains(wanted[0]));
    let left = acls(target);
    let stays =
        [wanted[1], wanted[2], wanted[3], removed[1], "TOPIC LITERAL x.orders User:local * READ ALLOW"];
    assert!(set(&stays).is_subset(&left), "{left:?}\n{}", mirror.tail(40));
    stop(&mirror);
}
