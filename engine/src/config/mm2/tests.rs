use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::problem::Severity;
use crate::filter::Verdict;
use crate::plan::{AutoOffsetReset, BufferPlan, FlowPlan, Isolation, OnLost};
use crate::policy::{InternalTopicRules, Naming};

const TWO: &str = "clusters = A, B\n\
    A.bootstrap.servers = a1:9092\n\
    B.bootstrap.servers = b1:9092\n\
    A->B.enabled = true\n";

fn parsed(text: &str) -> Result<Plan, ConfigErrors> {
    read(text, "mm2.properties", &PlanArgs::default())
}

fn plan(text: &str) -> Plan {
    parsed(text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The flow of a file with two clusters and some lines more.
fn flow(lines: &str) -> FlowPlan {
    plan(&format!("{TWO}{lines}")).flows.remove(0)
}

fn errors_of(text: &str) -> Vec<String> {
    parsed(text).expect_err("an error").errors.iter().map(ToString::to_string).collect()
}

/// The only error of a file with two clusters and some lines more.
fn only_error(lines: &str) -> String {
    let errors = errors_of(&format!("{TWO}{lines}"));
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors.into_iter().next().unwrap()
}

fn findings(lines: &str, severity: Severity) -> Vec<String> {
    let plan = plan(&format!("{TWO}{lines}"));
    plan.findings.iter().filter(|found| found.severity() == severity).map(ToString::to_string).collect()
}

fn only_warning(lines: &str) -> String {
    let warnings = findings(lines, Severity::Warning);
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    warnings.into_iter().next().unwrap()
}

#[test]
fn defaults_are_those_of_mirror_maker() {
    let flow = flow("");
    assert_eq!(flow.name(), "A->B");
    assert_eq!(flow.replication_factor, 2);
    assert_eq!(flow.refresh_topics, Some(Duration::from_secs(600)));
    assert_eq!(flow.offset_flush_interval, Duration::from_secs(60));
    assert_eq!(flow.progress_topic, "mm2-offsets.A.internal");
    assert_eq!((flow.progress_partitions, flow.progress_replication_factor), (25, 3));
    assert_eq!(flow.start, AutoOffsetReset::Earliest);
    assert_eq!(flow.connector_name, "MirrorSourceConnector");
    assert_eq!(flow.source_client.client_id, "A->B|MirrorSourceConnector|replication-consumer");
    assert_eq!(flow.policy.naming, Naming::Default);
    assert_eq!(flow.policy.internal_topics, InternalTopicRules::Since4);
    assert!(flow.replicates_heartbeats);
    assert!(flow.topics.decide("anything").is_in());
    assert!(matches!(flow.topics.decide("mm2-offsets.A.internal"), Verdict::Excluded(_)));
    assert!(!flow.config_filter.takes("min.insync.replicas", false));
    assert!(flow.config_filter.takes("retention.ms", false));
    assert!(!flow.config_filter.takes("retention.ms", true));
    assert_eq!(flow.produce.acks, -1);
    assert_eq!(flow.on_lost_records, OnLost::Continue);
}

#[test]
fn the_file_of_the_azure_guide() {
    let text = "# any number of aliases\n\
        clusters = source, destination\n\
        source.bootstrap.servers = wn0-src.example.net:9092,wn1-src.example.net:9092\n\
        destination.bootstrap.servers = wn0-dst.example.net:9092,wn1-dst.example.net:9092\n\
        source->destination.enabled = true\n\
        source->destination.topics = toa.vehicles-latest-dev\n\
        groups=.*\n\
        topics.blacklist=\"*.internal,__.*\"\n\
        replication.factor=3\n\
        checkpoints.topic.replication.factor=1\n\
        offset.storage.replication.factor=1\n\
        config.storage.replication.factor=1    \n";
    let plan = plan(text);
    let flow = &plan.flows[0];
    assert_eq!(flow.source_client.bootstrap.len(), 2);
    assert_eq!(flow.replication_factor, 3);
    assert_eq!(flow.progress_replication_factor, 1);
    assert_eq!(flow.decide("toa.vehicles-latest-dev").unwrap().0, "source.toa.vehicles-latest-dev");
    // To Java `"*.internal` is a sound expression that excludes nothing. The file runs as it does there, and it is told.
    let warnings: Vec<String> = plan
        .findings
        .iter()
        .filter(|found| found.severity() == Severity::Warning)
        .map(ToString::to_string)
        .collect();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].starts_with("mm2.properties:8, topics.blacklist: the quotes are part of the value"));
    assert!(warnings[0].ends_with(r"probably meant: `.*\\.internal,__.*`)"), "{}", warnings[0]);
}

#[test]
fn semicolons_between_servers() {
    let text = TWO.replace("a1:9092", "core-1-1:9092;core-1-2:9092; core-1-3:9092 , core-1-1:9092");
    let plan = plan(&text);
    let servers: Vec<String> =
        plan.flows[0].source_client.bootstrap.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["core-1-1:9092", "core-1-2:9092", "core-1-3:9092"]);
}

#[test]
fn one_cluster_under_two_names() {
    let text = TWO.replace("b1:9092", "b1:9092, A1:9092");
    let errors = errors_of(&text);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(errors[0].contains("`A` and `B` have the bootstrap server a1:9092 in common"), "{}", errors[0]);
    let allowed = PlanArgs { allow_same_cluster: true, ..PlanArgs::default() };
    let plan = read(&text, "mm2.properties", &allowed).unwrap();
    assert!(plan.findings.iter().any(|found| found.to_string().starts_with("allowed by the operator")));
    assert!(parsed(&format!("{text}kmirror.allow.same.cluster = true")).is_ok());
}

#[test]
fn a_connectors_configuration_is_recognised() {
    let text = "name=mm2-source-connector\n\
        connector.class=org.apache.kafka.connect.mirror.MirrorSourceConnector\n\
        source.cluster.alias=emrsource\n";
    let errors = errors_of(text);
    assert!(errors[0].contains("the configuration of a single connector"), "{errors:#?}");
}

#[test]
fn blanks_around_everything() {
    for text in [
        "clusters=A,B\nA.bootstrap.servers=a:1\nB.bootstrap.servers=b:1\nA->B.enabled=true\nA->B.topics=x,y",
        "clusters = A , B \nA.bootstrap.servers : a:1 \n B.bootstrap.servers b:1\nA -> B.enabled = true\n\
         A->B.topics = x , \\\n  y \n",
        "clusters = A,\\\nB\nA.bootstrap.servers=a:1\nB.bootstrap.servers=b:1\nA -> B.enabled = true\n\
         A ->B.topics x,y",
    ] {
        let plan = plan(text);
        assert!(plan.flows[0].enabled, "{text}");
        assert!(plan.flows[0].topics.decide("y").is_in(), "{text}");
        assert!(!plan.flows[0].topics.decide("z").is_in(), "{text}");
    }
}

#[test]
fn aliases_with_dots_and_dashes() {
    let text = "clusters = us, us.west, us-east\n\
        us.bootstrap.servers = a:1\n\
        us.west.bootstrap.servers = b:1\n\
        us-east.bootstrap.servers = c:1\n\
        us.west->us-east.enabled = true\n\
        us.west->us-east.topics = x\n";
    let plan = plan(text);
    assert_eq!(plan.flows[0].name(), "us.west->us-east");
    assert_eq!(plan.flows[0].decide("x").unwrap().0, "us.west.x");
    assert_eq!(plan.clusters.len(), 2);
    assert!(plan.findings.iter().any(|found| found.to_string().contains("contains the separator")));
}

#[test]
fn a_flows_key_goes_before_the_one_for_all() {
    let flow = flow("topics = x\nA->B.topics = y\nB->A.topics = z");
    assert!(flow.topics.decide("y").is_in());
    assert!(!flow.topics.decide("x").is_in());
}

#[test]
fn clients_by_role() {
    let read_only = |lines: &str| flow(lines).fetch.max_partition_bytes;
    let all = [
        "consumer.max.partition.fetch.bytes = 1",
        "A->B.consumer.max.partition.fetch.bytes = 2",
        "source.consumer.max.partition.fetch.bytes = 3",
        "A.consumer.max.partition.fetch.bytes = 4",
        "A->B.source.consumer.max.partition.fetch.bytes = 5",
    ];
    // Each goes before the ones above it.
    for count in 1..=all.len() {
        let expected = i32::try_from(count).unwrap();
        assert_eq!(read_only(&all[..count].join("\n")), expected);
    }
    // The target's consumer, and the source's producer, are others.
    assert_eq!(read_only("B.consumer.max.partition.fetch.bytes = 9"), 1_048_576);
    assert_eq!(flow("A.producer.acks = 1").produce.acks, -1);
    assert_eq!(flow("B.producer.acks = 1").produce.acks, 1);
    assert_eq!(flow("B.producer.acks = 1\nA->B.producer.override.acks = all").produce.acks, -1);
}

#[test]
fn connection_keys_count_for_all_roles() {
    let flow = flow("A->B.source.consumer.bootstrap.servers = other:1");
    assert_eq!(flow.source_client.bootstrap[0].to_string(), "other:1");
    assert_eq!(flow.source_admin.bootstrap[0].to_string(), "a1:9092");
    // As MirrorMaker 2 has it: a cluster's address is copied to its clients, and a flow's does not come through.
    let from = |lines: &str| self::flow(lines).source_client.bootstrap[0].to_string();
    assert_eq!(from("A->B.consumer.bootstrap.servers = other:1"), "a1:9092");
    assert_eq!(from("A->B.source.cluster.bootstrap.servers = other:1"), "a1:9092");
    assert_eq!(from("A.consumer.bootstrap.servers = other:1\nbootstrap.servers = top:1"), "other:1");
    let text = "clusters=A,B\nA.bootstrap.servers=a:1\nbootstrap.servers=common:1\nA->B.enabled=true";
    assert_eq!(plan(text).flows[0].target_client.bootstrap[0].to_string(), "common:1");
}

#[test]
fn client_names() {
    let flow = flow("A.consumer.client.id = mine\nB.admin.client.id = yours");
    assert_eq!(flow.source_client.client_id, "mine|A->B|MirrorSourceConnector|replication-consumer");
    assert_eq!(flow.target_admin.client_id, "yours|A->B|MirrorSourceConnector|replication-target-admin");
}

#[test]
fn worker_keys_are_the_targets() {
    assert_eq!(flow("B.offset.flush.interval.ms = 5").offset_flush_interval, Duration::from_millis(5));
    assert_eq!(flow("A.offset.flush.interval.ms = 5").offset_flush_interval, Duration::from_secs(60));
    // MirrorMaker 2 lets the one on its own win over the target's.
    let both = "B.offset.storage.topic = with-target\noffset.storage.topic = on-its-own";
    assert_eq!(flow(both).progress_topic, "on-its-own");
    let settings = flow("offset.storage.min.insync.replicas = 2\nB.offset.storage.segment.bytes = 9");
    let configs: Vec<(&str, &str)> =
        settings.progress_topic_configs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(configs, [("min.insync.replicas", "2"), ("segment.bytes", "9")]);
}

#[test]
fn older_names() {
    let flow = flow("topics.blacklist = x.*\nA->B.config.properties.blacklist = foo.*");
    assert!(matches!(flow.topics.decide("xy"), Verdict::Excluded(_)));
    assert!(!flow.config_filter.takes("foo.bar", false));
    // Today's name wins, wherever it stands.
    let both = "A->B.topics.blacklist = x.*\ntopics.exclude = y.*";
    assert!(flow_takes(both, "xy"));
    assert!(only_warning(both).contains("overridden by `mm2.properties:6, topics.exclude`"));
}

fn flow_takes(lines: &str, topic: &str) -> bool {
    flow(lines).decide(topic).is_ok()
}

#[test]
fn rules_of_both_generations() {
    assert!(flow_takes("", "billing.internal"));
    assert!(!flow_takes("kmirror.mm2.rules = 3", "billing.internal"));
    assert!(!flow_takes("kmirror.mm2.rules = 3\ntopics.exclude = none", "billing-internal"));
    assert!(flow_takes("topics.exclude = none", "billing-internal"));
    assert!(!flow_takes("topics.exclude = none", "mm2-offsets.X.internal"));
}

#[test]
fn policies_by_class() {
    let target = |class: &str| flow(&format!("replication.policy.class = {class}")).decide("t").unwrap().0;
    assert_eq!(target("org.apache.kafka.connect.mirror.DefaultReplicationPolicy"), "A.t");
    assert_eq!(target("org.apache.kafka.connect.mirror.IdentityReplicationPolicy"), "t");
    assert_eq!(target("IdentityReplicationPolicy"), "t");
    assert_eq!(target("LegacyReplicationPolicy"), "t");
    assert_eq!(target("io.strimzi.kafka.connect.mirror.IdentityReplicationPolicy"), "t");
    let error = only_error("replication.policy.class = com.example.Mine");
    assert!(error.contains("`com.example.Mine` is a Java class"), "{error}");
    assert!(error.contains("kmirror.rename.regex"), "{error}");
}

#[test]
fn separators() {
    let with = |lines: &str| flow(lines).policy;
    assert_eq!(with("replication.policy.separator = _").target_topic("t"), "A_t");
    let internal =
        "replication.policy.separator = _\nreplication.policy.internal.topic.separator.enabled = false";
    assert!(!with(internal).separates_internal_topics);
    assert!(with("replication.policy.internal.topic.separator.enabled = false").separates_internal_topics);
    assert!(only_error("replication.policy.separator = ").contains("is not one or more of the characters"));
    assert!(only_error("replication.policy.separator = /").contains("`/`"));
}

#[test]
fn renames() {
    let renamed = flow("kmirror.rename.regex = prod\\\\.(.*)\nkmirror.rename.replacement = $1");
    assert_eq!(renamed.decide("prod.orders").unwrap().0, "orders");
    assert_eq!(renamed.decide("other").unwrap().0, "A.other");
    assert!(only_error("kmirror.rename.regex = x").contains("`kmirror.rename.replacement` is not"));
    let error = only_error("kmirror.rename.regex = (x\nkmirror.rename.replacement = y");
    assert!(error.contains("`(` at character 1 is never closed"), "{error}");
}

#[test]
fn our_own_keys() {
    let plan = plan(&format!("{TWO}kmirror.buffer.memory = 8m\nA.consumer.fetch.max.bytes = 8000000"));
    assert_eq!(plan.buffer, BufferPlan { bytes: 8 << 20, far_bytes: 8 << 20 });
    assert_eq!(plan.flows[0].fetch.max_bytes, 2 << 20);
    assert!(plan.findings.iter().any(|found| found.to_string().contains("is held to 2097152")));
    assert_eq!(flow("kmirror.on.lost.records = stop").on_lost_records, OnLost::StopPartition);
    assert!(only_error("kmirror.buffer.memory = 1k").contains("of 2097152 or more"));
}

#[test]
fn client_settings() {
    let flow = flow(
        "A.consumer.isolation.level = read_committed\n\
         A.consumer.auto.offset.reset = latest\n\
         A.consumer.client.rack = r1\n\
         A.consumer.connections.max.idle.ms = -1\n\
         A.consumer.receive.buffer.bytes = 1000000\n\
         B.producer.max.in.flight.requests.per.connection = 3\n\
         B.admin.request.timeout.ms = 7\n",
    );
    assert_eq!(flow.fetch.isolation, Isolation::ReadCommitted);
    assert_eq!(flow.start, AutoOffsetReset::Latest);
    assert_eq!(flow.fetch.rack.as_deref(), Some("r1"));
    assert_eq!(flow.source_client.idle_close, None);
    assert_eq!(flow.source_client.receive_buffer, Some(1_000_000));
    assert_eq!(flow.target_client.receive_buffer, None);
    assert_eq!(flow.produce.max_in_flight, 3);
    assert_eq!(flow.target_admin.request_timeout, Duration::from_millis(7));
    assert_eq!(flow.target_client.request_timeout, Duration::from_secs(30));
}

#[test]
fn values_of_the_wrong_type() {
    for (line, said) in [
        ("replication.factor = three", "`three` is not a whole number from -1 to 32767"),
        ("replication.factor = 0", "`0` is not -1, or 1 or more"),
        ("tasks.max = 3\nreplication.factor = 3 # three", "if one was meant here, the value is `3`"),
        ("refresh.topics.enabled = yes", "`yes` is not `true` or `false`"),
        ("A->B.enabled = true # on", "the value is `true`"),
        ("A.consumer.isolation.level = READ_COMMITTED", "write `read_committed`"),
        ("A.consumer.auto.offset.reset = none", "`none` is not one of `earliest`, `latest`"),
        ("A.bootstrap.servers = a1", "has no port"),
        ("A.bootstrap.servers = a1:9092 # first", "the value is `a1:9092`"),
        ("A.bootstrap.servers = ", "the cluster `A` has no bootstrap servers"),
        ("topics = orders.* # all orders", "matches no possible topic name"),
        ("topics = *.foo", r"probably meant: `.*\\.foo`"),
        ("topics.exclude = (", "`(` at character 1 is never closed"),
        ("B.producer.acks = 0", "progress would be a guess"),
        ("A.security.protocol = SASL_SSL", "the cluster `A` needs a login for GSSAPI"),
        ("transforms = rename", "does not run Connect transforms"),
        ("key.converter = org.apache.kafka.connect.json.JsonConverter", "is a Java class"),
        ("topic.filter.class = com.example.Filter", "is a Java class"),
        ("A->C.topics = x", "`C` is no alias listed in `clusters` (listed are: A, B)"),
        ("A->A.topics = x", "a flow from `A` to itself"),
        ("a = \\u12", "four hexadecimal digits"),
        (
            "config.providers = file\nA->B.topics = ${file:/x:topics}",
            "the configuration provider `file` has no class",
        ),
    ] {
        let mut lines = format!("{TWO}{line}");
        if line.starts_with("A.bootstrap") {
            lines = lines.replace("A.bootstrap.servers = a1:9092\n", "");
        }
        let errors = errors_of(&lines);
        assert!(errors[0].contains(said), "{line}: {errors:#?}");
        assert_eq!(errors.len(), 1, "{line}: {errors:#?}");
    }
}

#[test]
fn all_errors_at_once_in_the_order_of_the_lines() {
    let errors = errors_of(&format!("{TWO}replication.factor = x\ntopics = [\nB.producer.acks = 0\n"));
    let lines: Vec<&str> = errors.iter().filter_map(|error| error.split(',').next()).collect();
    assert_eq!(lines, ["mm2.properties:5", "mm2.properties:6", "mm2.properties:7"]);
}

#[test]
fn a_comment_behind_the_aliases_spoils_nothing_else() {
    let errors = errors_of(&TWO.replace("clusters = A, B", "clusters = A, B # both"));
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(errors[0].contains("the value is `A, B`"));
}

#[test]
fn harmless_classes_are_taken() {
    flow("key.converter = ByteArrayConverter\ntransforms =\ntopic.filter.class = DefaultTopicFilter");
}

#[test]
fn unknown_and_misplaced_keys() {
    for (line, said) in [
        ("topic = x", "topic: unknown key (probably meant: `topics`)"),
        ("A->B.topcis = x", "unknown key (probably meant: `A->B.topics`)"),
        ("A.bootstrap.server = x", "unknown key (probably meant: `A.bootstrap.servers`)"),
        ("B.producer.ackss = x", "unknown key (probably meant: `B.producer.acks`)"),
        ("C.bootstrap.servers = c:1", "no cluster `C` is listed in `clusters`, only A, B"),
        ("utterly.different = x", "utterly.different: unknown key"),
        ("B.replication.factor = 3", "no effect here (it belongs to a flow, `A->B.replication.factor`"),
        (
            "A.fetch.min.bytes = 3",
            "no effect here (it belongs to a client of a cluster: `A.consumer.fetch.min.bytes`)",
        ),
        ("A.producer.fetch.min.bytes = 3", "`A.consumer.fetch.min.bytes`"),
        ("A.clusters = 3", "it stands on its own: `clusters`"),
        (
            "replication.factor = 1\nreplication.factor = 2",
            "mm2.properties:5, replication.factor: overridden by line 6",
        ),
        ("topics.exclude = \"x\"", "the quotes are part of the value"),
        ("topics.exclude = a b, c", "`a b` matches no possible topic name"),
    ] {
        let warning = only_warning(line);
        assert!(warning.contains(said), "{line}: {warning}");
    }
}

/// A private key on lines of their own, with what is wrong at the ends of its lines.
fn pasted_key(ends: [&str; 2]) -> String {
    let [first, other] = ends;
    format!(
        "A.ssl.keystore.key = -----BEGIN PRIVATE KEY-----{first}\n\
         MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj{other}\n\
         MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu{other}\n\
         NMoSfm76oqFvAp8Gy0iz5sxjZmSnXyCd{other}\n\
         Sw0rdf1sh=={other}\n-----END PRIVATE KEY-----\n"
    )
}

#[test]
fn a_value_continued_without_a_backslash_is_not_shown() {
    for ends in [["", ""], [" \\ ", " \\"], ["\\ ", "\\n\\"]] {
        let found = plan(&format!("{TWO}{}", pasted_key(ends))).findings;
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(
            told.iter().any(|one| one.contains("mm2.properties:6: a line that is no option (is a value"))
        );
        assert!(found.iter().any(|one| one.origin.as_ref().is_some_and(|origin| origin.key().is_none())));
        for piece in ["MIIEvQIB", "MzEfYyji", "NMoSfm76", "Sw0rdf1sh", "BEGIN", "END"] {
            assert!(!format!("{told:?} {found:?}").contains(piece), "{piece}: {told:#?}");
        }
    }
    // Nor with an arrow, which would be a flow's, nor when it stands there twice.
    let told = errors_of(&format!("{TWO}hunter2+x->y = 1\n"));
    assert!(told.len() == 1 && told[0].contains("mm2.properties:5: the line has an arrow"), "{told:#?}");
    assert!(!told[0].contains("hunter"), "{told:#?}");
    let told = findings("Hunter2+x\nHunter2+x\n", Severity::Warning);
    assert!(told.iter().any(|one| one.contains(":5: overridden by line 6")), "{told:#?}");
    assert!(!format!("{told:?}").contains("Hunter"), "{told:#?}");
}

#[test]
fn ignored_keys_are_told_once_with_the_reason() {
    let lines = "A.consumer.group.id = x\nB.consumer.group.id = y\nB.producer.linger.ms = 100\n\
        B.offset.flush.timeout.ms = 7\nA.ssl.provider = SunJSSE\nsasl.oauthbearer.assertion.private.key.passphrase=secret\n";
    let told = findings(lines, Severity::Info);
    let about = |key: &str| told.iter().filter(|finding| finding.contains(key)).count();
    assert_eq!(about("group.id"), 1, "{told:#?}");
    assert_eq!(about("linger.ms: ignored: a record that can go is never held back"), 1);
    assert_eq!(about("offset.flush.timeout.ms"), 1);
    assert_eq!(about("ssl.provider"), 1);
    assert_eq!(about("sasl.oauthbearer.assertion.private.key.passphrase"), 1);
    assert_eq!(about("secret"), 0);
}

#[test]
fn what_is_kept_in_step() {
    let of = |lines: &str| flow(lines).sync;
    let by_default = of("");
    assert_eq!(by_default.offset_syncs.map(|plan| plan.lag_max), Some(100));
    assert_eq!(by_default.offset_syncs_at.topic, "mm2-offset-syncs.B.internal");
    assert_eq!(by_default.checkpoints_topic, "A.checkpoints.internal");
    assert_eq!(by_default.group_offsets, None);
    assert!(by_default.groups.decide("payments").is_in() && !by_default.groups.decide("connect-x").is_in());
    assert_eq!(by_default.deletions.mode, crate::plan::DeletionMode::Off);
    let changed = of("offset-syncs.topic.location = target\nsync.topic.acls.enabled = false\n\
                      sync.group.offsets.enabled = true\ngroups.blacklist = x\nkmirror.sync.topic.deletions = dry-run");
    assert_eq!(changed.offset_syncs_at.topic, "mm2-offset-syncs.A.internal");
    assert_eq!(changed.topic_acls, None);
    assert_eq!(changed.group_offsets.map(|plan| plan.every.as_secs()), Some(60));
    assert!(!changed.groups.decide("x").is_in() && changed.groups.decide("connect-x").is_in());
    assert_eq!(changed.deletions.mode, crate::plan::DeletionMode::DryRun);
}

#[test]
fn beyond_mirror_maker() {
    for line in ["consumer.isolation.level = read_committed", "A->B.offset.flush.interval.ms = 5"] {
        let told = findings(line, Severity::Info);
        assert!(told.iter().any(|finding| finding.contains("MirrorMaker 2 would ignore it here")), "{line}");
    }
    let told = findings("A.consumer.isolation.level = read_committed", Severity::Info);
    assert!(!told.iter().any(|finding| finding.contains("would ignore it here")));
}

#[test]
fn nothing_to_do() {
    assert!(errors_of("").iter().any(|error| error.contains("`clusters` names no cluster")));
    assert!(errors_of("clusters = ").iter().any(|error| error.contains("`clusters` names no cluster")));
    let disabled = TWO.replace("true", "false");
    assert_eq!(errors_of(&disabled), ["no flow is enabled (switch one on: `A->B.enabled = true`)"]);
}

#[test]
fn chosen_clusters() {
    let text = format!("{TWO}B->A.enabled = true\n");
    let chosen = |names: &[&str]| PlanArgs {
        clusters: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        ..PlanArgs::default()
    };
    let plan = read(&text, "f", &chosen(&["A"])).unwrap();
    assert_eq!(plan.flows.iter().map(FlowPlan::name).collect::<Vec<_>>(), ["B->A"]);
    let errors = read(&text, "f", &chosen(&["X"])).unwrap_err().errors;
    assert!(errors[0].to_string().starts_with("--clusters: `X` is no alias"), "{errors:#?}");
    let quiet = format!("{TWO}emit.heartbeats.enabled = false\n");
    let errors = read(&quiet, "f", &chosen(&["A"])).unwrap_err().errors;
    assert!(
        errors[0].to_string().starts_with("no enabled flow has one of the chosen clusters"),
        "{errors:#?}"
    );
}

/// The pairs of clusters with heartbeats, and their intervals in seconds.
fn heartbeats(text: &str, clusters: Option<&str>) -> Vec<String> {
    let clusters = clusters.map(|names| names.split(' ').map(ToOwned::to_owned).collect());
    let plan = read(text, "f", &PlanArgs { clusters, ..PlanArgs::default() }).unwrap();
    plan.heartbeats.iter().map(|one| format!("{} {}", one.name(), one.every.as_secs())).collect()
}

#[test]
fn heartbeats_are_for_every_pair_that_has_them_on() {
    let none: [&str; 0] = [];
    assert_eq!(heartbeats(TWO, None), ["A->B 1", "B->A 1"]);
    assert_eq!(heartbeats(TWO, Some("B")), ["A->B 1"]);
    let of = |lines: &str| heartbeats(&format!("{TWO}{lines}"), None);
    assert_eq!(of("emit.heartbeats.enabled = false"), none);
    assert_eq!(of("A->B.emit.heartbeats.enabled = false"), ["B->A 1"]);
    assert_eq!(of("emit.heartbeats.enabled = false\nB->A.emit.heartbeats.enabled = true"), ["B->A 1"]);
    assert_eq!(
        of("emit.heartbeats.interval.seconds = 5\nB->A.emit.heartbeats.interval.seconds = 7"),
        ["A->B 5", "B->A 7"]
    );
    let three = TWO.replace("A, B", "A, B, C");
    // A cluster that no flow needs need not be complete.
    assert_eq!(heartbeats(&three, None), ["A->B 1", "B->A 1", "C->A 1", "C->B 1"]);
    let three = format!("{three}C.bootstrap.servers = c1:9092\n");
    assert_eq!(heartbeats(&three, Some("C A")), ["A->C 1", "B->A 1", "B->C 1", "C->A 1"]);
}

#[test]
fn heartbeats_are_reason_enough_to_run() {
    let args = PlanArgs { clusters: Some(vec!["A".to_owned()]), ..PlanArgs::default() };
    let plan = read(TWO, "f", &args).unwrap();
    assert_eq!(plan.enabled_flows().count(), 0);
    let told: Vec<String> = plan.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["no enabled flow writes to the clusters of `--clusters`: only heartbeats are written there"]
    );
    assert_eq!(
        plan.heartbeats[0].target_admin.client_id,
        "B->A|MirrorHeartbeatConnector|heartbeats-target-admin"
    );
}

#[test]
fn a_cluster_that_cannot_be_given_heartbeats_is_named() {
    let warned = plan(&TWO.replace("A, B", "A, B, C")).findings;
    let warned: Vec<String> = warned.iter().map(ToString::to_string).collect();
    assert_eq!(warned.len(), 1, "{warned:#?}");
    assert!(warned[0].starts_with("no heartbeats are written to C: "), "{warned:#?}");
}

#[test]
fn enabled_on_its_own_enables_every_pair() {
    let text = TWO.replace("A->B.enabled", "enabled");
    let names: Vec<String> = plan(&text).flows.iter().map(FlowPlan::name).collect();
    assert_eq!(names, ["A->B", "B->A"]);
}

#[test]
fn flows_that_are_not_enabled_are_there_to_be_shown() {
    let plan = plan(&format!("{TWO}B->A.enabled = false\nB->A.topics = ["));
    assert_eq!(plan.flows.len(), 1);
    let plan = self::plan(&format!("{TWO}B->A.topics = x"));
    assert_eq!(plan.enabled_flows().count(), 1);
    assert_eq!(plan.flows.len(), 2);
}

#[test]
fn loops_are_refused_with_their_path() {
    let both = format!("{TWO}B->A.enabled = true\nreplication.policy.class = IdentityReplicationPolicy\n");
    let errors = errors_of(&both);
    assert!(errors[0].contains("these flows form a loop: A -> B -> A. A topic `a` would"), "{errors:#?}");
    let apart = format!("{both}A->B.topics = west.*\nB->A.topics = east.*\n");
    assert!(parsed(&apart).is_ok());
    let args = PlanArgs { allow_same_cluster: true, ..PlanArgs::default() };
    assert!(read(&both, "f", &args).is_ok());
}

#[test]
fn a_large_file_is_refused() {
    let errors = errors_of(&"#".repeat(FILE_BYTES_MAX + 1));
    assert!(errors[0].contains("the file has"));
}

#[test]
fn no_secret_in_what_is_told() {
    let text = "clusters = A, B\nA.sasl.jaas.config = hush\nB.ssl.key.password = hush\nA.sasl.jaas.confg = hush\n\
        A.security.protocol = SASL_SSL\nA.bootstrap.servers = a:1\nB.bootstrap.servers = b:1\nA->B.enabled = true\n";
    let errors = parsed(text).unwrap_err();
    assert!(!format!("{errors} {errors:?}").contains("hush"));
    let plan = parsed(&text.replace("SASL_SSL", "PLAINTEXT")).unwrap();
    assert!(!format!("{plan:?}").contains("hush"));
    let findings: Vec<String> = plan.findings.iter().map(ToString::to_string).collect();
    assert!(!findings.concat().contains("hush"));
}

proptest! {
    #[test]
    fn any_text_gives_an_answer(text in "[A-C>.=, #\\n\\\\a-f\\-]{0,200}") {
        let _ = parsed(&format!("{TWO}{text}"));
        let _ = parsed(&text);
    }

    #[test]
    fn any_setting_of_any_option_gives_an_answer(
        index in 0_usize..400,
        place in 0_usize..6,
        value in "[ -~]{0,30}",
    ) {
        let names: Vec<&str> = keys::options().map(|opt| opt.name).collect();
        let name = names[index % names.len()].replace('*', "x");
        let prefix = ["", "A.", "A->B.", "A.consumer.", "B.producer.", "A->B.source.consumer."][place];
        let _ = parsed(&format!("{TWO}{prefix}{name} = {value}\n"));
    }
}
