use super::*;
use crate::plan::{Plan, PlanArgs};

fn flow(lines: &str) -> FlowPlan {
    let text = format!(
        "clusters = A, B\nA.bootstrap.servers = a:1\nB.bootstrap.servers = b:1\nA->B.enabled = true\n{lines}"
    );
    Plan::from_properties(&text, "f", &PlanArgs::default()).unwrap().flows.remove(0)
}

fn topics<'a>(names: &[&'a str]) -> Vec<SourceTopic<'a>> {
    names
        .iter()
        .map(|name| SourceTopic {
            name,
            partitions: 3,
            internal: *name == "__offsets",
            mirrored_before: false,
        })
        .collect()
}

/// Each topic with the name at the target, or the reason it has none.
fn outcomes(flow: &FlowPlan, topics: &[SourceTopic<'_>]) -> Vec<(String, String)> {
    explain(flow, topics, None)
        .into_iter()
        .map(|decision| match decision.outcome {
            Outcome::Mirrored { target_topic, .. } => (decision.source_topic, target_topic),
            Outcome::NotMirrored(why) => (decision.source_topic, why.code().to_owned()),
        })
        .collect()
}

fn pairs(outcomes: &[(String, String)]) -> Vec<(&str, &str)> {
    outcomes.iter().map(|(topic, outcome)| (topic.as_str(), outcome.as_str())).collect()
}

#[test]
fn every_topic_has_a_reason() {
    let flow = flow("topics = orders.*, B.x, mm2-x.internal, long.*\ntopics.exclude = .*-dlq\n");
    let long = format!("long{}", "x".repeat(244));
    let all = topics(&[
        "orders",
        "orders-dlq",
        "other",
        "B.x",
        "mm2-x.internal",
        "__offsets",
        "heartbeats",
        "B.heartbeats",
        &long,
    ]);
    let outcomes = outcomes(&flow, &all);
    assert_eq!(
        pairs(&outcomes),
        [
            ("B.heartbeats", "cycle"),
            ("B.x", "cycle"),
            ("__offsets", "internal-to-broker"),
            ("heartbeats", "A.heartbeats"),
            (long.as_str(), "illegal-target-name"),
            ("mm2-x.internal", "internal-name"),
            ("orders", "A.orders"),
            ("orders-dlq", "excluded"),
            ("other", "not-included"),
        ]
    );
}

#[test]
fn reasons_name_the_rule_and_its_line() {
    let flow = flow("topics = orders.*\ntopics.exclude = .*-dlq\n");
    let why = flow.decide("orders-dlq").unwrap_err();
    assert_eq!(why.to_string(), "excluded by `.*-dlq` (f:6, topics.exclude)");
    assert_eq!(why.origin().and_then(Origin::file_line), Some(("f", 6)));
    let why = flow.decide("x").unwrap_err();
    assert_eq!(why.to_string(), "not selected by any pattern (f:5, topics)");
    let (_, rule) = flow.decide("orders").unwrap();
    assert_eq!(rule.unwrap().to_string(), "`orders.*` (f:5, topics)");
    let by_default = self::flow("").decide("__x").unwrap_err();
    assert_eq!(by_default.to_string(), "excluded by `__.*` (default of topics.exclude)");
}

#[test]
fn heartbeats_only_as_the_filter_says() {
    let flow = flow("topics = orders\nheartbeats.replication.enabled = false\n");
    assert_eq!(flow.decide("heartbeats").unwrap_err().code(), "not-included");
}

#[test]
fn what_has_to_be_done_at_the_target() {
    let flow = flow("");
    let at_target = BTreeMap::from([("A.b".to_owned(), 2), ("A.c".to_owned(), 3), ("A.d".to_owned(), 4)]);
    let changes: Vec<TargetChange> = explain(&flow, &topics(&["a", "b", "c", "d"]), Some(&at_target))
        .into_iter()
        .filter_map(|decision| match decision.outcome {
            Outcome::Mirrored { change, .. } => change,
            Outcome::NotMirrored(_) => None,
        })
        .collect();
    assert_eq!(
        changes,
        [
            TargetChange::Create,
            TargetChange::AddPartitions { from: 2 },
            TargetChange::Nothing { partitions: 3 },
            TargetChange::Nothing { partitions: 4 },
        ]
    );
}

const RENAME: &str = "kmirror.rename.regex = (x|y)-(.*)\nkmirror.rename.replacement = $2\n";

#[test]
fn topics_that_would_meet_are_refused_all_of_them() {
    let flow = flow(RENAME);
    let outcomes = outcomes(&flow, &topics(&["x-a", "y-a", "x-b"]));
    assert_eq!(pairs(&outcomes), [("x-a", "collision"), ("x-b", "b"), ("y-a", "collision")]);
}

#[test]
fn a_topic_mirrored_before_stays() {
    let flow = flow(RENAME);
    let mut all = topics(&["x-a", "y-a", "y-b"]);
    all[1].mirrored_before = true;
    let found = outcomes(&flow, &all);
    assert_eq!(pairs(&found), [("x-a", "collision"), ("y-a", "a"), ("y-b", "b")]);
    all[0].mirrored_before = true;
    let found = outcomes(&flow, &all);
    assert_eq!(pairs(&found), [("x-a", "collision"), ("y-a", "collision"), ("y-b", "b")]);
}

#[test]
fn collisions_may_be_allowed() {
    let flow = flow(&format!("{RENAME}kmirror.rename.allow.collisions = true"));
    let outcomes = outcomes(&flow, &topics(&["x-a", "y-a"]));
    assert_eq!(pairs(&outcomes), [("x-a", "a"), ("y-a", "a")]);
}
