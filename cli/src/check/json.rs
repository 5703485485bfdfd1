//! The report for programs.

use std::io::Write;

use kmirror_engine::check::{BrokerReport, End, Need, RightsReport, Way};
use serde_json::{Value, json};

use super::{Outcome, Report, Rights, Step, steps};

/// Writes the report as one object.
///
/// # Errors
/// When `out` cannot be written to.
pub(super) fn write(report: &Report, out: &mut impl Write) -> anyhow::Result<()> {
    let clusters: Vec<Value> = report
        .ways
        .iter()
        .map(|(way, found)| {
            json!({
                "alias": way.alias.as_str(),
                "cluster_id": found.cluster_id.as_deref(),
                "security": way.described(),
                "clients": way.clients,
                "brokers": found.brokers.iter().map(|one| broker(way, one)).collect::<Vec<_>>(),
                "certificates": found.certificates.iter().map(|one| json!({
                    "holder": one.holder.to_string(),
                    "subject": one.subject,
                    "not_after": one.not_after,
                })).collect::<Vec<_>>(),
            })
        })
        .collect();
    let flows: Vec<Value> = report.flows.iter().map(flow).collect();
    let beats: Vec<Value> = report.heartbeats.iter().map(heartbeats).collect();
    crate::json::print(&json!({ "clusters": clusters, "flows": flows, "heartbeats": beats }), out)
}

fn broker(way: &Way, broker: &BrokerReport) -> Value {
    let steps: Vec<Value> = steps(&broker.outcome, &way.stages()).iter().map(step).collect();
    json!({
        "node": broker.node.map(|node| node.0),
        "address": broker.address.to_string(),
        "reached": broker.outcome.is_ok(),
        "steps": steps,
    })
}

fn step(step: &Step) -> Value {
    let (outcome, details) = match &step.outcome {
        Outcome::Passed(details) => ("ok", Some(details)),
        Outcome::Failed(why) => ("failed", Some(why)),
        Outcome::NotTried => ("not-tried", None),
    };
    json!({ "step": step.name, "outcome": outcome, "details": details })
}

fn flow(flow: &Rights) -> Value {
    match &flow.rights {
        Ok(rights) => json!({ "flow": flow.name, "topics": rights.topics, "rights": told(rights) }),
        Err(why) => json!({ "flow": flow.name, "error": why }),
    }
}

fn heartbeats(beat: &Rights) -> Value {
    match &beat.rights {
        Ok(rights) => json!({ "pair": beat.name, "rights": told(rights) }),
        Err(why) => json!({ "pair": beat.name, "error": why }),
    }
}

fn told(rights: &RightsReport) -> Value {
    let refused = rights.refused.iter().map(
        |(end, topic, fault)| json!({ "side": side(*end), "topic": &**topic, "reason": fault.to_string() }),
    );
    json!({
        "missing": rights.missing.iter().map(need).collect::<Vec<_>>(),
        "untold": rights.untold.iter().map(need).collect::<Vec<_>>(),
        "not_creatable": refused.collect::<Vec<_>>(),
    })
}

fn need(need: &Need) -> Value {
    json!({
        "side": side(need.end),
        "on": need.on.to_string(),
        "operation": need.operation.name(),
        "purpose": need.purpose,
        "essential": need.essential,
    })
}

fn side(end: End) -> &'static str {
    match end {
        End::Source => "source",
        End::Target => "target",
    }
}
