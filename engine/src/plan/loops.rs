//! Flows that would bring topics back to where they came from: loops, and flows from a cluster to itself.
//!
//! What the clusters are called does not matter: the caller says which aliases are one cluster. Loops are found
//! without asking any cluster for topics: a shortest topic name is looked for that every flow on the way takes, twice
//! round, and it is tried with the very rules the mirror runs by.

use std::collections::{BTreeMap, BTreeSet};

use super::{ClusterAlias, FlowPlan, Plan};
use crate::config::problem::Problem;
use crate::filter::language::{Selection, common_names};
use crate::policy::Naming;

/// Flows that a loop may have to be looked for.
const LOOP_FLOWS_MAX: usize = 8;
/// Rings of flows that are looked at; the short ones come first.
const RINGS_MAX: usize = 256;
/// Ways of one length that are followed further.
const WAYS_MAX: usize = 4096;
/// Names that are tried on one ring.
const NAMES_MAX: usize = 16;

/// A name that is tried before anything else: most lists that take other names too take it.
const LIKELY_NAME: &str = "a";

/// Flows that lead back to where they began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loop {
    /// The aliases on the way; the last flow leads back to the first.
    pub path: Vec<ClusterAlias>,
    /// A topic that would go round for ever; none if only the topics can tell whether there is one.
    pub topic: Option<String>,
}

impl Loop {
    /// The aliases on the way, the first one again at the end.
    pub fn closed_path(&self) -> Vec<String> {
        self.path.iter().chain(self.path.first()).map(ToString::to_string).collect()
    }
}

/// Finds the loops among some flows. `cluster_of` tells aliases of one cluster by giving them one name.
pub fn find_loops(flows: &[&FlowPlan], cluster_of: impl Fn(&ClusterAlias) -> ClusterAlias) -> Vec<Loop> {
    rings(flows, cluster_of).iter().filter_map(|ring| examine(ring)).collect()
}

/// The rings of flows, short ones first; each begins with the flow that comes first in the plan.
fn rings<'a>(
    flows: &[&'a FlowPlan],
    cluster_of: impl Fn(&ClusterAlias) -> ClusterAlias,
) -> Vec<Vec<&'a FlowPlan>> {
    let ends: Vec<(ClusterAlias, ClusterAlias)> =
        flows.iter().map(|flow| (cluster_of(&flow.source), cluster_of(&flow.target))).collect();
    let end = |index: usize| ends.get(index).filter(|(source, target)| source != target);
    let mut found: Vec<Vec<usize>> = Vec::new();
    let mut open: Vec<Vec<usize>> =
        (0..flows.len()).filter(|&flow| end(flow).is_some()).map(|flow| vec![flow]).collect();
    // All ways of one length, then those one flow longer.
    for _ in 2..=LOOP_FLOWS_MAX {
        let mut longer = Vec::new();
        for way in &open {
            let ([first, ..], [.., last]) = (way.as_slice(), way.as_slice()) else { continue };
            let (Some((start, _)), Some((_, here))) = (end(*first), end(*last)) else { continue };
            for next in first + 1..flows.len() {
                let Some((_, target)) = end(next).filter(|(source, _)| source == here) else { continue };
                let way: Vec<usize> = way.iter().copied().chain([next]).collect();
                if target == start {
                    found.push(way);
                } else if longer.len() < WAYS_MAX
                    && !way.iter().rev().skip(1).any(|&flow| passes(end(flow), target))
                {
                    longer.push(way);
                }
                if found.len() >= RINGS_MAX {
                    return pick(flows, &found);
                }
            }
        }
        open = longer;
    }
    pick(flows, &found)
}

fn passes(end: Option<&(ClusterAlias, ClusterAlias)>, cluster: &ClusterAlias) -> bool {
    end.is_some_and(|(_, target)| target == cluster)
}

fn pick<'a>(flows: &[&'a FlowPlan], ways: &[Vec<usize>]) -> Vec<Vec<&'a FlowPlan>> {
    ways.iter().map(|way| way.iter().filter_map(|&index| flows.get(index).copied()).collect()).collect()
}

/// Whether a topic can go round a ring.
fn examine(ring: &[&FlowPlan]) -> Option<Loop> {
    let renames = ring.iter().any(|flow| flow.policy.rename.is_some());
    if !renames && names_stop_it(ring) {
        return None;
    }
    let path = ring.iter().map(|flow| flow.source.clone()).collect();
    if goes_round(ring, LIKELY_NAME) {
        return Some(Loop { path, topic: Some(LIKELY_NAME.to_owned()) });
    }
    let (candidates, exact) = candidates(ring);
    if let Some(topic) = candidates.iter().find(|name| goes_round(ring, name)) {
        return Some(Loop { path, topic: Some(topic.clone()) });
    }
    let no_names_tell =
        |flow: &&FlowPlan| flow.policy.rename.is_some() || flow.policy.naming == Naming::Identity;
    let undecided = !exact || (renames && ring.iter().all(no_names_tell));
    undecided.then_some(Loop { path, topic: None })
}

/// Whether some flow puts its source's alias before names, and the flow back to that source looks for it there. With
/// more than one separator on the way it may not see it.
fn names_stop_it(ring: &[&FlowPlan]) -> bool {
    let prefixing = || ring.iter().filter(|flow| flow.policy.naming == Naming::Default);
    let mut separators = prefixing().map(|flow| &flow.policy.separator);
    let first = separators.next();
    separators.all(|separator| Some(separator) == first)
        && prefixing().any(|flow| prefixing().any(|back| back.target == flow.source))
}

/// Whether the flows take a topic twice round. A topic that goes round twice never stops.
fn goes_round(ring: &[&FlowPlan], topic: &str) -> bool {
    let mut name = topic.to_owned();
    ring.iter().chain(ring).all(|flow| match flow.decide(&name) {
        Ok((target_topic, _)) => {
            name = target_topic;
            true
        }
        Err(_) => false,
    })
}

/// All the names that can go round, when some flow lists its topics by name and none renames any.
fn listed_names(ring: &[&FlowPlan]) -> Option<Vec<String>> {
    if ring.iter().any(|flow| flow.policy.rename.is_some()) {
        return None;
    }
    let mut prefix = String::new();
    for flow in ring {
        if flow.topics.include.is_all_names() {
            let names = flow.topics.include.names().filter_map(|name| name.strip_prefix(prefix.as_str()));
            return Some(names.map(ToOwned::to_owned).collect());
        }
        prefix = format!("{}{prefix}", flow.policy.prefix());
    }
    None
}

/// Names worth trying, and whether a loop is ruled out when none of them goes round.
fn candidates(ring: &[&FlowPlan]) -> (Vec<String>, bool) {
    if let Some(names) = listed_names(ring) {
        return (names, true);
    }
    let mut selections = Vec::new();
    let mut prefix = String::new();
    // A name has to be taken on the way, and once more by the first flow.
    for flow in ring.iter().chain(ring.first()) {
        let never = flow.policy.never_mirrored(&flow.target);
        match Selection::of(&flow.topics, never, prefix.clone()) {
            Some(selection) => selections.push(selection),
            None => return (Vec::new(), false),
        }
        prefix = format!("{}{prefix}", flow.policy.prefix());
    }
    let found = common_names(&mut selections, NAMES_MAX);
    let mut names = found.names;
    if ring.iter().any(|flow| flow.policy.rename.is_some()) {
        names.extend(ring.iter().flat_map(|flow| flow.topics.include.names().map(ToOwned::to_owned)));
        for flow in ring {
            let selection = Selection::of(&flow.topics, Vec::new(), String::new());
            names.extend(selection.into_iter().flat_map(|one| common_names(&mut [one], NAMES_MAX).names));
        }
    }
    (names, found.exact)
}

impl Plan {
    /// What the clusters' ids show once they were asked: flows from a cluster to itself, and loops through aliases
    /// that turn out to be one cluster. Whether that stops the mirror is up to `allow_same_cluster`.
    pub fn check_cluster_ids(&self, cluster_ids: &BTreeMap<ClusterAlias, String>) -> Vec<Problem> {
        let flows: Vec<&FlowPlan> = self.enabled_flows().collect();
        let mut problems = Vec::new();
        let mut told = BTreeSet::new();
        for flow in &flows {
            let (Some(source), Some(target)) = (cluster_ids.get(&flow.source), cluster_ids.get(&flow.target))
            else {
                continue;
            };
            let pair = BTreeSet::from([&flow.source, &flow.target]);
            if source == target && told.insert(pair) {
                problems.push(Problem::SameClusterId {
                    first: flow.source.to_string(),
                    second: flow.target.to_string(),
                    cluster_id: source.clone(),
                });
            }
        }
        let one_name = |alias: &ClusterAlias| {
            let same = |other: &&ClusterAlias| {
                cluster_ids.get(alias).is_some_and(|id| cluster_ids.get(*other) == Some(id))
            };
            cluster_ids.keys().find(same).unwrap_or(alias).clone()
        };
        let loops = find_loops(&flows, one_name);
        problems.extend(loops.into_iter().filter_map(|found| {
            let path = found.closed_path();
            found.topic.map(|topic| Problem::Loop { path, topic })
        }));
        problems
    }
}

#[cfg(test)]
mod tests;
