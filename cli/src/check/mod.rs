//! `kmirror check`: whether each broker can be reached as configured, step by step, and which rights are missing.
//! Changes nothing.

mod json;
mod text;

use std::io::Write;

use kmirror_engine::chain;
use kmirror_engine::check::{RightsReport, Way, WayReport, heartbeat_rights, rights, ways};
use kmirror_engine::plan::{ClusterAlias, Plan};
use kmirror_protocol::net::{ConnectionFacts, NetError, Stage};

use crate::args::FileArguments;
use crate::block_on;
use crate::exit::Exit;
use crate::file::plan_or_exit;

/// What was found.
struct Report {
    ways: Vec<(Way, WayReport)>,
    flows: Vec<Rights>,
    /// Heartbeats of pairs without a flow.
    heartbeats: Vec<Rights>,
}

impl Report {
    fn rights(&self) -> impl Iterator<Item = &Result<RightsReport, String>> {
        self.flows.iter().chain(&self.heartbeats).map(|one| &one.rights)
    }

    /// Why rights at these clusters cannot be asked for.
    fn unreachable(&self, ends: &[&ClusterAlias]) -> Option<String> {
        let fails = |(way, found): &&(Way, WayReport)| ends.contains(&&way.alias) && !found.is_reachable();
        let (way, _) = self.ways.iter().find(fails)?;
        Some(format!("not asked: cluster {} cannot be reached", way.alias))
    }
}

/// What one pair of clusters may do.
struct Rights {
    name: String,
    rights: Result<RightsReport, String>,
}

/// One step of connecting to a broker.
struct Step {
    name: &'static str,
    outcome: Outcome,
}

enum Outcome {
    Passed(String),
    Failed(String),
    NotTried,
}

/// Looks, writes what was found, and says how the process ends.
///
/// # Errors
/// When the file cannot be read or the report cannot be written.
pub(crate) fn check(file: &FileArguments, as_json: bool, out: &mut impl Write) -> anyhow::Result<Exit> {
    let plan = match plan_or_exit(file)? {
        Ok(plan) => plan,
        Err(exit) => return Ok(exit),
    };
    let report = block_on(look(&plan))?;
    if as_json {
        json::write(&report, out)?;
    } else {
        text::write(&report, out)?;
    }
    Ok(exit(&report))
}

async fn look(plan: &Plan) -> Report {
    let mut report = Report { ways: Vec::new(), flows: Vec::new(), heartbeats: Vec::new() };
    for way in ways(plan) {
        let found = way.go().await;
        report.ways.push((way, found));
    }
    for flow in plan.enabled_flows() {
        let rights = match report.unreachable(&[&flow.source, &flow.target]) {
            Some(why) => Err(why),
            None => rights(plan, flow).await.map_err(|error| chain(&error)),
        };
        report.flows.push(Rights { name: flow.name(), rights });
    }
    for beat in &plan.heartbeats {
        if plan.enabled_flows().any(|flow| flow.name() == beat.name()) {
            continue;
        }
        let rights = match report.unreachable(&[&beat.target]) {
            Some(why) => Err(why),
            None => heartbeat_rights(beat).await.map_err(|error| chain(&error)),
        };
        report.heartbeats.push(Rights { name: beat.name(), rights });
    }
    report
}

fn exit(report: &Report) -> Exit {
    let unreached = report.ways.iter().any(|(_, found)| !found.is_sound());
    if unreached || report.rights().any(Result::is_err) {
        Exit::StartFailed
    } else if report.rights().flatten().any(|rights| !rights.is_complete()) {
        Exit::Incomplete
    } else {
        Exit::Success
    }
}

/// The steps of one attempt, in their order. Of one that failed, those before the failure passed.
fn steps(outcome: &Result<ConnectionFacts, NetError>, stages: &[Stage]) -> Vec<Step> {
    let step = |stage: &Stage| match outcome {
        Ok(facts) => Outcome::Passed(passed(*stage, facts)),
        Err(error) if *stage < error.stage() => Outcome::Passed(String::new()),
        Err(error) if *stage == error.stage() => Outcome::Failed(chain(error)),
        Err(_) => Outcome::NotTried,
    };
    stages.iter().map(|stage| Step { name: stage.name(), outcome: step(stage) }).collect()
}

fn passed(stage: Stage, facts: &ConnectionFacts) -> String {
    match stage {
        Stage::Name | Stage::Proxy => String::new(),
        Stage::Connect => facts.peer.to_string(),
        Stage::Tls => {
            facts.tls.as_ref().map(|tls| format!("{} {}", tls.version, tls.suite)).unwrap_or_default()
        }
        Stage::Kafka => format!("{} APIs in common", facts.apis),
        Stage::Sasl => match facts.session {
            Some(life) => format!("for {} s, then again", life.as_secs()),
            None => "for as long as the connection lasts".to_owned(),
        },
    }
}
