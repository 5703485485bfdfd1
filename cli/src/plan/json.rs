//! The report as programs read it. The names of fields and codes do not change.

use std::io::Write;

use kmirror_engine::config::origin::Origin;
use kmirror_engine::config::problem::{ConfigErrors, Finding, Problem};
use kmirror_engine::filter::Rule;
use kmirror_engine::plan::{
    DeletionMode, FlowPlan, HeartbeatPlan, Outcome, SyncPlan, TargetChange, TopicDecision,
};
use kmirror_engine::policy::Naming;
use serde_json::{Value, json};

use super::{Report, secured};
use crate::json::print;

pub(super) fn write(report: &Report<'_>, out: &mut impl Write) -> anyhow::Result<()> {
    let refusals: Vec<Value> = report.problems.iter().map(problem).collect();
    let flows = report.plan.flows.iter().zip(&report.topics);
    let value = json!({
        "file": report.file,
        "errors": refusals,
        "findings": report.plan.findings.iter().map(finding).collect::<Vec<_>>(),
        "allow_same_cluster": report.plan.allow_same_cluster,
        "clusters": clusters(report),
        "heartbeats": report.plan.heartbeats.iter().map(heartbeat).collect::<Vec<_>>(),
        "flows": flows.map(|(one, topics)| flow(one, topics.as_deref())).collect::<Vec<_>>(),
    });
    print(&value, out)
}

pub(super) fn write_errors(file: &str, errors: &ConfigErrors, out: &mut impl Write) -> anyhow::Result<()> {
    let listed: Vec<Value> = errors
        .errors
        .iter()
        .map(|error| placed(error.origin.as_ref(), error.problem.to_string(), error.hint.as_deref()))
        .collect();
    let findings: Vec<Value> = errors.findings.iter().map(finding).collect();
    print(&json!({ "file": file, "errors": listed, "findings": findings }), out)
}

fn placed(origin: Option<&Origin>, message: String, hint: Option<&str>) -> Value {
    let (file, line) = origin.and_then(Origin::file_line).unzip();
    json!({ "file": file, "line": line, "key": origin.and_then(Origin::key), "message": message, "hint": hint })
}

fn problem(problem: &Problem) -> Value {
    placed(None, problem.to_string(), None)
}

fn finding(finding: &Finding) -> Value {
    let mut value = placed(finding.origin.as_ref(), finding.notice.to_string(), finding.hint.as_deref());
    if let Some(fields) = value.as_object_mut() {
        fields.insert("severity".to_owned(), finding.severity().name().into());
    }
    value
}

fn clusters(report: &Report<'_>) -> Vec<Value> {
    let one =
        |(alias, cluster): (&kmirror_engine::plan::ClusterAlias, &kmirror_engine::plan::ClusterPlan)| {
            let answer = report.answers.get(alias);
            let seen = answer.and_then(|answer| answer.as_ref().ok());
            let (protocol, mechanism) = secured(&cluster.admin);
            json!({
                "alias": alias.as_str(),
                "bootstrap_servers": cluster.bootstrap.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "security_protocol": protocol,
                "sasl_mechanism": mechanism,
                "cluster_id": seen.and_then(|seen| seen.cluster_id.clone()),
                "brokers": seen.map(|seen| seen.brokers),
                "topics": seen.map(|seen| seen.topics.len()),
                "error": answer.and_then(|answer| answer.as_ref().err()),
            })
        };
    report.plan.clusters.iter().map(one).collect()
}

fn flow(flow: &FlowPlan, topics: Option<&[TopicDecision]>) -> Value {
    let rules = |rules: &[Rule]| rules.iter().map(rule).collect::<Vec<_>>();
    json!({
        "source": flow.source.as_str(),
        "target": flow.target.as_str(),
        "enabled": flow.enabled,
        "include": rules(flow.topics.include.rules()),
        "exclude": rules(flow.topics.exclude.rules()),
        "naming": match flow.policy.naming {
            Naming::Default => "default",
            Naming::Identity => "identity",
        },
        "separator": flow.policy.separator,
        "rename": flow.policy.rename.as_ref().map(|rename| json!({
            "regex": &*rename.pattern,
            "replacement": &*rename.replacement,
        })),
        "replication_factor": flow.replication_factor,
        "progress_topic": flow.progress_topic,
        "in_step": in_step(&flow.sync),
        "topics": topics.map(|topics| topics.iter().map(topic).collect::<Vec<_>>()),
    })
}

fn in_step(sync: &SyncPlan) -> Value {
    json!({
        "settings_every_seconds": sync.topic_configs.map(|every| every.as_secs()),
        "acls_every_seconds": sync.topic_acls.map(|every| every.as_secs()),
        "acls_of_all_kinds": sync.acls.all_kinds,
        "acls_removed": sync.acls.removes,
        "quotas": sync.quotas,
        "deletions": match sync.deletions.mode {
            DeletionMode::Off => "off",
            DeletionMode::DryRun => "dry-run",
            DeletionMode::On => "on",
        },
    })
}

fn heartbeat(heartbeats: &HeartbeatPlan) -> Value {
    json!({
        "source": heartbeats.source.as_str(),
        "target": heartbeats.target.as_str(),
        "every_seconds": heartbeats.every.as_secs(),
    })
}

fn rule(rule: &Rule) -> Value {
    json!({ "pattern": &*rule.pattern, "origin": rule.origin.to_string() })
}

fn topic(decision: &TopicDecision) -> Value {
    match &decision.outcome {
        Outcome::Mirrored { target_topic, partitions, rule: selected, change } => json!({
            "topic": decision.source_topic,
            "mirrored": true,
            "target_topic": target_topic,
            "partitions": partitions,
            "rule": selected.as_ref().map(rule),
            "change": change.map(change_code),
        }),
        Outcome::NotMirrored(why) => json!({
            "topic": decision.source_topic,
            "mirrored": false,
            "reason": why.code(),
            "message": why.to_string(),
            "origin": why.origin().map(ToString::to_string),
        }),
    }
}

fn change_code(change: TargetChange) -> &'static str {
    match change {
        TargetChange::Create => "create",
        TargetChange::AddPartitions { .. } => "add-partitions",
        TargetChange::Nothing { .. } => "none",
    }
}
