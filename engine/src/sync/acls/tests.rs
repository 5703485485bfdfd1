use super::*;
use crate::plan::{Plan, PlanArgs};

fn plan(more: &str) -> FlowPlan {
    let text = format!(
        "clusters = a, b\na.bootstrap.servers = h:1\nb.bootstrap.servers = h:2\na->b.enabled = true\n{more}"
    );
    Plan::from_properties(&text, "f", &PlanArgs::default()).unwrap().flows.remove(0)
}

/// A binding in the words of Kafka's tools, `TOPIC LITERAL orders User:alice READ ALLOW`.
fn binding(text: &str) -> AclBinding {
    let words: Vec<&str> = text.split(' ').collect();
    AclBinding {
        resource: AclResource::from_name(words[0]).unwrap(),
        pattern: PatternType::from_name(words[1]).unwrap(),
        name: words[2].into(),
        principal: "User:alice".into(),
        host: "*".into(),
        operation: AclOperation::from_name(words[3]).unwrap(),
        permission: AclPermission::from_name(words[4]).unwrap(),
    }
}

fn shown(binding: &AclBinding) -> String {
    let AclBinding { resource, name, pattern, operation, permission, .. } = binding;
    format!("{resource} {pattern} {name} {operation} {permission}")
}

/// What comes of bindings at the source.
fn translated(more: &str, source: &[&str], mirrored: &[&str]) -> (Vec<String>, Vec<NotCopied>) {
    let source: Vec<AclBinding> = source.iter().map(|text| binding(text)).collect();
    let translated = translate(&plan(more), &source, &mirrored.iter().copied().collect());
    let mut wanted: Vec<String> = translated.wanted.keys().map(shown).collect();
    wanted.sort();
    (wanted, translated.not_copied.iter().map(|(_, why)| *why).collect())
}

const IDENTITY: &str =
    "replication.policy.class = org.apache.kafka.connect.mirror.IdentityReplicationPolicy\n";
const ALL: &str = "kmirror.sync.acls = all\n";

#[test]
fn mirror_makers_rules() {
    let source = [
        "TOPIC LITERAL t READ ALLOW",
        "TOPIC LITERAL t WRITE ALLOW",
        "TOPIC LITERAL t WRITE DENY",
        "TOPIC LITERAL u ALL ALLOW",
        "TOPIC LITERAL u ALL DENY",
        "TOPIC LITERAL b.back READ ALLOW",
        "TOPIC LITERAL __consumer_offsets READ ALLOW",
        "TOPIC PREFIXED t READ ALLOW",
        "GROUP LITERAL g READ ALLOW",
        "CLUSTER LITERAL kafka-cluster ALTER ALLOW",
    ];
    let expected = [
        "TOPIC LITERAL a.t READ ALLOW",
        "TOPIC LITERAL a.t WRITE DENY",
        "TOPIC LITERAL a.u ALL DENY",
        "TOPIC LITERAL a.u READ ALLOW",
    ];
    assert_eq!(translated("", &source, &[]), (expected.map(str::to_owned).to_vec(), Vec::new()));
}

#[test]
fn a_rule_about_every_topic() {
    let source = ["TOPIC LITERAL * READ ALLOW"];
    assert_eq!(translated("", &source, &[]), (Vec::new(), vec![NotCopied::EveryTopic]));
    assert_eq!(translated(IDENTITY, &source, &[]).0, source);
    assert_eq!(translated("topics = t\n", &source, &[]), (Vec::new(), Vec::new()));
    assert_eq!(translated(ALL, &source, &[]).0, ["TOPIC PREFIXED a. READ ALLOW"]);
    assert_eq!(translated(&format!("{ALL}{IDENTITY}"), &source, &[]).0, source);
}

#[test]
fn all_kinds() {
    let source = [
        "TOPIC LITERAL t WRITE ALLOW",
        "TOPIC LITERAL t ALL ALLOW",
        "TOPIC PREFIXED team- READ ALLOW",
        "TOPIC PREFIXED other- READ ALLOW",
        "GROUP LITERAL g READ ALLOW",
        "GROUP LITERAL * READ ALLOW",
        "GROUP PREFIXED connect- READ ALLOW",
        "TRANSACTIONAL_ID PREFIXED tx WRITE ALLOW",
        "CLUSTER LITERAL kafka-cluster ALTER ALLOW",
    ];
    let (wanted, not_copied) = translated(&format!("{ALL}topics = t, team-x\n"), &source, &["t", "team-x"]);
    let expected = [
        "GROUP LITERAL * READ ALLOW",
        "GROUP LITERAL g READ ALLOW",
        "TOPIC LITERAL a.t ALL ALLOW",
        "TOPIC LITERAL a.t WRITE ALLOW",
        "TOPIC PREFIXED a.team- READ ALLOW",
        "TRANSACTIONAL_ID PREFIXED tx WRITE ALLOW",
    ];
    assert_eq!(wanted, expected);
    assert_eq!(not_copied, [NotCopied::Cluster]);
}

#[test]
fn prefixes_cannot_be_renamed_by_expression() {
    let rename = format!("{ALL}kmirror.rename.regex = (.*)\nkmirror.rename.replacement = x-$1\n");
    let source = ["TOPIC PREFIXED team- READ ALLOW", "TOPIC LITERAL t READ ALLOW"];
    let expected = vec!["TOPIC LITERAL x-t READ ALLOW".to_owned()];
    assert_eq!(translated(&rename, &source, &[]), (expected, vec![NotCopied::RenamedPrefix]));
}

#[test]
fn only_what_is_ours_and_has_no_reason_any_more_is_removed() {
    let all: Vec<AclBinding> =
        ["TOPIC LITERAL t READ ALLOW", "TOPIC LITERAL u READ ALLOW"].map(binding).to_vec();
    let flow = plan("");
    let owned = translate(&flow, &all, &BTreeSet::new()).wanted;
    let removed = |flow: &FlowPlan, source: &[AclBinding]| -> Vec<String> {
        let translated = translate(flow, source, &BTreeSet::new());
        outdated(&owned, &translated, &source.iter().cloned().collect()).iter().map(shown).collect()
    };
    assert!(removed(&flow, &all).is_empty());
    assert_eq!(removed(&flow, &all[..1]), ["TOPIC LITERAL a.u READ ALLOW"]);
    assert!(removed(&plan("topics = t\n"), &all).is_empty(), "a narrower filter takes nothing back");
    assert!(removed(&flow, &[]).is_empty(), "a source without rules is not believed");
    // Another rule of the source asks for the same at the target.
    let both = [all[0].clone(), binding("TOPIC LITERAL u ALL ALLOW")];
    assert!(removed(&flow, &both).is_empty());
}
