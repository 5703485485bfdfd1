use kmirror_engine::plan::PlanArgs;
use kmirror_sandbox::{Sandbox, SandboxOptions, TopicSpec};
use serde_json::Value;

use super::clusters::{Seen, SeenTopic};
use super::*;

const FILE: &str = "clusters = A, B\nA.bootstrap.servers = a:1\nB.bootstrap.servers = b:1\n\
    A->B.enabled = true\nA->B.topics = orders, users\nB->A.topics = x\n";

fn plan_of(text: &str) -> Plan {
    Plan::from_properties(text, "mm2.properties", &PlanArgs::default()).unwrap()
}

fn seen(id: &str, topics: &[(&str, i32)]) -> Answer {
    let topics = topics
        .iter()
        .map(|(name, partitions)| {
            (name.to_string(), SeenTopic { partitions: *partitions, internal: name.starts_with("__") })
        })
        .collect();
    Ok(Seen { cluster_id: Some(id.to_owned()), brokers: 3, topics })
}

fn answers(a: Answer, b: Answer) -> BTreeMap<ClusterAlias, Answer> {
    BTreeMap::from([(ClusterAlias::new("A"), a), (ClusterAlias::new("B"), b)])
}

fn both() -> BTreeMap<ClusterAlias, Answer> {
    let at_source = [("orders", 3), ("users", 2), ("other", 1), ("__consumer_offsets", 50)];
    answers(seen("ida", &at_source), seen("idb", &[("A.users", 1)]))
}

fn text_of(report: &Report<'_>) -> String {
    let mut out = Vec::new();
    text::write(report, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn json_of(report: &Report<'_>) -> Value {
    let mut out = Vec::new();
    json::write(report, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn a_report_in_text() {
    let plan = plan_of(FILE);
    let report = report("mm2.properties".into(), &plan, both());
    let text = text_of(&report);
    for line in [
        "cluster A  a:1  PLAINTEXT  cluster id ida, 3 brokers, 4 topics",
        "cluster B  b:1  PLAINTEXT  cluster id idb, 3 brokers, 1 topic",
        "  topics    orders, users (mm2.properties:5, A->B.topics)",
        "  named     A.<topic>",
        "  progress  mm2-offsets.A.internal on B",
        "  in step   settings every 600s; access rules of topics every 600s",
        "  mirrored: 2",
        "    orders  ->  A.orders  3 partitions, to be created",
        "    users   ->  A.users   2 partitions, has 1 of them",
        "  not mirrored: 2",
        "    __consumer_offsets  internal: the source's brokers say so",
        "    other               not selected by any pattern (mm2.properties:5, A->B.topics)",
        "flow B->A is not enabled",
        "heartbeats every 1s: A->B, B->A",
        "mm2.properties is sound: 1 flow",
    ] {
        assert!(text.lines().any(|written| written == line), "{line}\n{text}");
    }
    assert_eq!(exit(&report), Exit::Success);
}

#[test]
fn a_report_in_json() {
    let plan = plan_of(FILE);
    let value = json_of(&report("mm2.properties".into(), &plan, both()));
    assert_eq!(value["clusters"][0]["cluster_id"], "ida");
    let topics = value["flows"][0]["topics"].as_array().unwrap();
    assert_eq!(topics.len(), 4);
    assert_eq!(topics[0]["reason"], "internal-to-broker");
    assert_eq!(topics[1]["topic"], "orders");
    assert_eq!(topics[1]["target_topic"], "A.orders");
    assert_eq!(topics[1]["change"], "create");
    assert_eq!(topics[1]["rule"]["pattern"], "orders");
    assert_eq!(topics[2]["reason"], "not-included");
    assert_eq!(value["flows"][0]["in_step"]["settings_every_seconds"], 600);
    assert_eq!(value["flows"][1]["enabled"], false);
    let heartbeats = serde_json::json!({ "source": "B", "target": "A", "every_seconds": 1 });
    assert_eq!(value["heartbeats"][1], heartbeats);
    assert_eq!(value["flows"][1]["topics"], Value::Null);
    assert!(value["findings"].as_array().unwrap().iter().all(|finding| finding["severity"].is_string()));
}

#[test]
fn without_asking() {
    let plan = plan_of(FILE);
    let report = report("f".into(), &plan, BTreeMap::new());
    assert!(text_of(&report).contains("cluster A  a:1  PLAINTEXT\n"));
    assert_eq!(json_of(&report)["flows"][0]["topics"], Value::Null);
    assert_eq!(exit(&report), Exit::Success);
}

#[test]
fn a_cluster_that_does_not_answer() {
    let plan = plan_of(FILE);
    let silent = || Err("connection refused".to_owned());
    let without_target = report("f".into(), &plan, answers(seen("ida", &[("orders", 1)]), silent()));
    let text = text_of(&without_target);
    assert!(text.contains("cluster B  b:1  PLAINTEXT  did not answer: connection refused"), "{text}");
    assert!(text.contains("orders  ->  A.orders  1 partition\n"), "{text}");
    assert_eq!(exit(&without_target), Exit::StartFailed);
    let without_source = report("f".into(), &plan, answers(silent(), seen("idb", &[])));
    assert_eq!(json_of(&without_source)["flows"][0]["topics"], Value::Null);
}

#[test]
fn one_cluster_under_two_names() {
    let plan = plan_of(FILE);
    let report = report("f".into(), &plan, answers(seen("same", &[]), seen("same", &[])));
    let text = text_of(&report);
    assert!(text.contains("error    `A` and `B` are the same cluster: both have the id same"), "{text}");
    assert!(text.ends_with("f would be refused\n"), "{text}");
    assert_eq!(json_of(&report)["errors"].as_array().unwrap().len(), 1);
    assert_eq!(exit(&report), Exit::Refused);
    let allowed = plan_of(&format!("{FILE}kmirror.allow.same.cluster = true"));
    let report = self::report("f".into(), &allowed, answers(seen("same", &[]), seen("same", &[])));
    assert_eq!(exit(&report), Exit::Success);
}

#[test]
fn errors_in_both_forms() {
    let text = format!("{FILE}replication.factor = three # 3\nA->B.topcis = x\n");
    let errors = Plan::from_properties(&text, "f", &PlanArgs::default()).unwrap_err();
    let mut out = Vec::new();
    text::write_errors("f", &errors, &mut out).unwrap();
    let written = String::from_utf8(out).unwrap();
    assert!(
        written.contains("error    f:7, replication.factor: `three # 3` is not a whole number"),
        "{written}"
    );
    assert!(
        written.contains("warning  f:8, A->B.topcis: unknown key\n         probably meant: `A->B.topics`\n"),
        "{written}"
    );
    assert!(written.ends_with("f cannot be run: 1 error\n"), "{written}");
    let mut out = Vec::new();
    json::write_errors("f", &errors, &mut out).unwrap();
    let value: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(value["errors"][0]["line"], 7);
    assert_eq!(value["errors"][0]["key"], "replication.factor");
    assert_eq!(exit_of(&errors), Exit::Configuration);
}

#[test]
fn a_line_that_is_no_option_is_not_shown() {
    let plan = plan_of(&format!("{FILE}A.ssl.keystore.key = -----BEGIN\nSw0rdf1shMIIEvQIBADANBg\n"));
    let report = report("f".into(), &plan, both());
    let text = text_of(&report);
    assert!(text.contains("mm2.properties:8: a line that is no option\n         is a value"), "{text}");
    let json = json_of(&report);
    let found = json["findings"].as_array().unwrap().iter().find(|found| found["line"] == 8).unwrap();
    assert_eq!((&found["key"], &found["message"]), (&Value::Null, &"a line that is no option".into()));
    assert!(!text.contains("Sw0rdf1sh") && !json.to_string().contains("Sw0rdf1sh"));
}

#[test]
fn a_loop_is_a_refusal() {
    let text = format!(
        "{FILE}B->A.enabled = true\nreplication.policy.class = IdentityReplicationPolicy\nB->A.topics = .*\n"
    );
    let errors = Plan::from_properties(&text, "f", &PlanArgs::default()).unwrap_err();
    assert_eq!(exit_of(&errors), Exit::Refused);
}

/// What `plan` says about a file of this text.
async fn asked(text: &str) -> (Exit, Value) {
    let name = format!("kmirror-plan-{}.properties", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, text).unwrap();
    let arguments = FileArguments { file: path.clone(), ..FileArguments::default() };
    let mut out = Vec::new();
    let exit = plan(&arguments, Options { offline: false, json: true }, &mut out).await.unwrap();
    std::fs::remove_file(path).unwrap();
    (exit, serde_json::from_slice(&out).unwrap())
}

#[tokio::test]
async fn clusters_are_asked() {
    let source = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let target = Sandbox::start(SandboxOptions::default()).await.unwrap();
    source.create_topic(&TopicSpec::new("orders", 3)).unwrap();
    target.create_topic(&TopicSpec::new("A.orders", 3)).unwrap();
    let text = FILE.replace("a:1", &source.bootstrap()).replace("b:1", &target.bootstrap());
    let (exit, value) = asked(&text).await;
    assert_eq!(exit, Exit::Success, "{value:#}");
    let topics = value["flows"][0]["topics"].as_array().unwrap();
    let orders = topics.iter().find(|topic| topic["topic"] == "orders").unwrap();
    assert_eq!((&orders["target_topic"], &orders["change"]), (&"A.orders".into(), &"none".into()));
    // Nothing was written.
    assert!(target.end_offset("A.orders", 0).unwrap() == 0);

    // The same cluster by two of its addresses.
    let twice = FILE.replace("a:1", &source.bootstrap());
    let twice = twice.replace("b:1", &source.bootstrap().replace("127.0.0.1", "localhost"));
    let (exit, value) = asked(&twice).await;
    assert_eq!(exit, Exit::Refused, "{value:#}");
}
