//! What only the whole file can show: nothing to do, one cluster under two names, loops, features nobody does.

use kmirror_protocol::net::Address;

use super::reader::Reader;
use crate::config::problem::{Notice, Problem};
use crate::plan::loops::{Loop, find_loops};
use crate::plan::{ClusterPlan, FlowPlan, Plan};

impl Reader<'_> {
    /// Checks a plan as a whole. `some_enabled` tells whether any flow of the file is enabled, chosen or not.
    pub(super) fn check(&mut self, plan: &Plan, some_enabled: bool) {
        if plan.enabled_flows().next().is_none() {
            if some_enabled && !plan.heartbeats.is_empty() {
                // As MirrorMaker 2, which starts a herder for heartbeats alone.
                return self.notice(None, Notice::HeartbeatsOnly, None);
            }
            let (problem, hint) = if some_enabled {
                (Problem::NothingForTheseClusters, "`--clusters` takes the aliases of targets")
            } else {
                (Problem::NothingEnabled, "switch one on: `A->B.enabled = true`")
            };
            return self.error(None, problem, Some(hint.to_owned()));
        }
        self.check_shared_servers(plan);
        self.check_loops(plan);
    }

    /// What the operator may allow: an error, or the finding that it was allowed.
    fn unless_allowed(&mut self, plan: &Plan, problem: Problem, hint: &str) {
        if plan.allow_same_cluster {
            self.notice(None, Notice::Allowed { problem: Box::new(problem) }, None);
        } else {
            self.error(None, problem, Some(hint.to_owned()));
        }
    }

    fn check_shared_servers(&mut self, plan: &Plan) {
        let clusters: Vec<&ClusterPlan> = plan.clusters.values().collect();
        for (index, one) in clusters.iter().enumerate() {
            for other in clusters.iter().skip(index + 1) {
                let shared =
                    one.bootstrap.iter().find(|server| other.bootstrap.iter().any(|s| same(server, s)));
                let Some(server) = shared.map(ToString::to_string) else { continue };
                let (first, second) = (one.alias.to_string(), other.alias.to_string());
                let connected = plan.enabled_flows().any(|flow| {
                    let ends = [&flow.source, &flow.target];
                    ends.contains(&&one.alias) && ends.contains(&&other.alias)
                });
                if connected {
                    let hint = "mirroring a cluster to itself copies its records again and again; \
                                `--allow-same-cluster` if you mean it";
                    self.unless_allowed(plan, Problem::SameCluster { first, second, server }, hint);
                } else {
                    self.notice(None, Notice::SharedServer { first, second, server }, None);
                }
            }
        }
    }

    fn check_loops(&mut self, plan: &Plan) {
        let flows: Vec<&FlowPlan> = plan.enabled_flows().collect();
        for found in find_loops(&flows, Clone::clone) {
            let path = found.closed_path();
            match found {
                Loop { topic: Some(topic), .. } => {
                    let hint = "with `topics` of each flow keep what comes from the one side from going back, or \
                                use DefaultReplicationPolicy; `--allow-same-cluster` if you mean it";
                    self.unless_allowed(plan, Problem::Loop { path, topic }, hint);
                }
                Loop { topic: None, .. } => self.notice(None, Notice::PossibleLoop { path }, None),
            }
        }
    }
}

/// Host names are the same in capitals and small letters.
fn same(one: &Address, other: &Address) -> bool {
    one.port == other.port && one.host.eq_ignore_ascii_case(&other.host)
}
