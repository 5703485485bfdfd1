use super::*;
use crate::plan::PlanArgs;

/// A plan of clusters A to E, loops allowed so that it can be had.
fn plan(lines: &str) -> Plan {
    let mut text = String::from("clusters = A, B, C, D, E\nkmirror.allow.same.cluster = true\n");
    for alias in ["A", "B", "C", "D", "E"] {
        text.push_str(&format!("{alias}.bootstrap.servers = {alias}:1\n"));
    }
    Plan::from_properties(&(text + lines), "f", &PlanArgs::default())
        .unwrap_or_else(|errors| panic!("{errors}"))
}

fn enabled(flows: &[&str]) -> String {
    flows.iter().map(|flow| format!("{flow}.enabled = true\n")).collect()
}

/// The loops, as `A -> B -> A: topic`.
fn loops(flows: &[&str], lines: &str) -> Vec<String> {
    let plan = plan(&(enabled(flows) + lines));
    let flows: Vec<&FlowPlan> = plan.enabled_flows().collect();
    find_loops(&flows, Clone::clone)
        .into_iter()
        .map(|found| format!("{}: {}", found.closed_path().join(" -> "), found.topic.unwrap_or_default()))
        .collect()
}

const IDENTITY: &str = "replication.policy.class = IdentityReplicationPolicy\n";

#[test]
fn the_default_policy_stops_every_loop() {
    assert!(loops(&["A->B", "B->A"], "").is_empty());
    assert!(loops(&["A->B", "B->C", "C->A", "B->A", "C->B", "A->C"], "").is_empty());
    assert!(loops(&["A->B", "B->A"], "replication.policy.separator = _\n").is_empty());
}

#[test]
fn the_identity_policy_stops_none() {
    assert_eq!(loops(&["A->B", "B->A"], IDENTITY), ["A -> B -> A: a"]);
    assert_eq!(loops(&["A->B", "B->C", "C->A"], IDENTITY), ["A -> B -> C -> A: a"]);
    assert_eq!(loops(&["A->B", "B->C", "C->D", "D->E", "E->A"], IDENTITY).len(), 1);
    assert!(loops(&["A->B", "B->C", "A->C"], IDENTITY).is_empty());
}

#[test]
fn filters_may_keep_topics_apart() {
    let of = |lines: &str| loops(&["A->B", "B->A"], &format!("{IDENTITY}{lines}"));
    assert!(of("A->B.topics = west.*\nB->A.topics = east.*\n").is_empty());
    assert!(of("A->B.topics = orders, users\nB->A.topics = billing\n").is_empty());
    assert!(of("A->B.topics = [a-m].*\nB->A.topics = .*\nB->A.topics.exclude = [a-n].*\n").is_empty());
    assert_eq!(of("A->B.topics = orders.*\nB->A.topics = .*-eu\n"), ["A -> B -> A: orders-eu"]);
    assert_eq!(of("A->B.topics = orders, users\nB->A.topics = users\n"), ["A -> B -> A: users"]);
    // Internal topics go nowhere, whatever the filters say.
    assert!(of("topics = __.*\ntopics.exclude = none\n").is_empty());
    assert!(of("topics = .*heartbeats\n").is_empty());
}

#[test]
fn policies_may_differ() {
    // Each round puts one more `A.` before the name.
    assert_eq!(loops(&["A->B", "B->A"], &format!("B->A.{IDENTITY}")), ["A -> B -> A: a"]);
    assert!(loops(&["A->B", "B->A"], &format!("B->A.{IDENTITY}A->B.topics = x\n")).is_empty());
}

#[test]
fn long_lists_of_names() {
    let list =
        |from: usize| (from..from + 3000).map(|n| format!("prod-orders-{n}")).collect::<Vec<_>>().join(",");
    let of = |there: usize, back: usize| {
        let lines = format!("{IDENTITY}A->B.topics = {}\nB->A.topics = {}\n", list(there), list(back));
        loops(&["A->B", "B->A"], &lines).len()
    };
    assert_eq!(of(1000, 4000), 0);
    assert_eq!(of(1000, 3999), 1);
}

#[test]
fn separators_may_differ() {
    let ring = ["A->B", "B->C", "C->A"];
    // `B_A.a` does not show `.` where it came from.
    assert_eq!(loops(&ring, "B->C.replication.policy.separator = _\n"), ["A -> B -> C -> A: a"]);
    assert!(loops(&ring, "replication.policy.separator = _\n").is_empty());
}

#[test]
fn what_no_automaton_can_have_is_tried() {
    let of = |lines: &str| loops(&["A->B", "B->A"], &format!("{IDENTITY}{lines}"));
    assert_eq!(of("topics = (?!x).*\n"), ["A -> B -> A: a"]);
    // It may be a loop: the exclusion cannot be put in an automaton, and what was tried is excluded.
    assert_eq!(of("topics = a+\ntopics.exclude = (?=a)a+\n"), ["A -> B -> A: "]);
}

#[test]
fn renames_are_tried_and_else_told_as_possible() {
    let there = "A->B.kmirror.rename.regex = x\nA->B.kmirror.rename.replacement = y\n";
    let back = "B->A.kmirror.rename.regex = y\nB->A.kmirror.rename.replacement = x\n";
    let only = "A->B.topics = x\nB->A.topics = y\n";
    assert_eq!(loops(&["A->B", "B->A"], &[there, back, only].concat()), ["A -> B -> A: x"]);
    let other = "B->A.kmirror.rename.regex = (z.*)\nB->A.kmirror.rename.replacement = z$1\nA->B.topics = x\n";
    assert_eq!(loops(&["A->B", "B->A"], &[there, other].concat()), ["A -> B -> A: "]);
}

#[test]
fn a_full_mesh_is_looked_at_in_time() {
    let aliases = ["A", "B", "C", "D", "E"];
    let all: Vec<String> = aliases
        .iter()
        .flat_map(|one| {
            aliases.iter().filter(move |other| *other != one).map(move |other| format!("{one}->{other}"))
        })
        .collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    assert!(loops(&all, "").is_empty());
    // The ten pairs come first.
    let found = loops(&all, IDENTITY);
    assert!(found.iter().take(10).all(|found| found.matches("->").count() == 2), "{found:#?}");
}

#[test]
fn cluster_ids_tell_what_names_do_not() {
    let plan = plan(&enabled(&["A->B", "B->C"]));
    let ids = |pairs: &[(&str, &str)]| -> BTreeMap<ClusterAlias, String> {
        pairs.iter().map(|(alias, id)| (ClusterAlias::new(alias), (*id).to_owned())).collect()
    };
    let problems = |pairs: &[(&str, &str)]| -> Vec<String> {
        plan.check_cluster_ids(&ids(pairs)).iter().map(ToString::to_string).collect()
    };
    assert!(problems(&[("A", "1"), ("B", "2"), ("C", "3")]).is_empty());
    assert_eq!(
        problems(&[("A", "1"), ("B", "1"), ("C", "3")]),
        ["`A` and `B` are the same cluster: both have the id 1"]
    );
    // Two clusters that do not tell their ids are not the same.
    assert!(problems(&[("C", "3")]).is_empty());
}

#[test]
fn a_loop_through_two_names_of_one_cluster() {
    let plan = plan(&format!("{}{IDENTITY}", enabled(&["A->B", "B->C"])));
    let ids = [("A", "1"), ("B", "2"), ("C", "1")];
    let ids = ids.iter().map(|(alias, id)| (ClusterAlias::new(alias), (*id).to_owned())).collect();
    let problems = plan.check_cluster_ids(&ids);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].to_string().contains("A -> B -> A"), "{}", problems[0]);
}
