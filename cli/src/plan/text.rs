//! The report as people read it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

use kmirror_engine::config::origin::Origin;
use kmirror_engine::config::problem::{ConfigErrors, Finding, Severity};
use kmirror_engine::filter::PatternList;
use kmirror_engine::plan::{DeletionMode, FlowPlan, HeartbeatPlan, Outcome, TargetChange, TopicDecision};
use kmirror_engine::policy::Naming;

use super::{Report, secured};

/// Characters of a list of patterns that are shown.
const PATTERNS_SHOWN: usize = 160;

pub(super) fn write(report: &Report<'_>, out: &mut impl Write) -> anyhow::Result<()> {
    write_findings(&report.plan.findings, Severity::Warning, out)?;
    for problem in &report.problems {
        let word = if report.plan.allow_same_cluster { "allowed" } else { "error" };
        writeln!(out, "{word:<8} {problem}")?;
    }
    write_clusters(report, out)?;
    for (flow, topics) in report.plan.flows.iter().zip(&report.topics) {
        write_flow(flow, topics.as_deref(), out)?;
    }
    write_heartbeats(&report.plan.heartbeats, out)?;
    writeln!(out)?;
    write_findings(&report.plan.findings, Severity::Info, out)?;
    writeln!(out)?;
    summary(report, out)
}

pub(super) fn write_errors(file: &str, errors: &ConfigErrors, out: &mut impl Write) -> anyhow::Result<()> {
    for error in &errors.errors {
        write_one("error", error.origin.as_ref(), &error.problem, error.hint.as_deref(), out)?;
    }
    write_findings(&errors.findings, Severity::Warning, out)?;
    write_findings(&errors.findings, Severity::Info, out)?;
    let count = errors.errors.len();
    writeln!(out, "\n{file} cannot be run: {count} error{}", plural(count))?;
    Ok(())
}

fn write_findings(findings: &[Finding], severity: Severity, out: &mut impl Write) -> anyhow::Result<()> {
    findings.iter().filter(|finding| finding.severity() == severity).try_for_each(|finding| {
        write_one(severity.name(), finding.origin.as_ref(), &finding.notice, finding.hint.as_deref(), out)
    })
}

/// What it is about and what is the matter; below it what to do.
fn write_one(
    word: &str,
    origin: Option<&Origin>,
    what: &dyn Display,
    hint: Option<&str>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let place = origin.map(|origin| format!("{origin}: ")).unwrap_or_default();
    writeln!(out, "{word:<8} {place}{what}")?;
    if let Some(hint) = hint {
        writeln!(out, "{:<8} {hint}", "")?;
    }
    Ok(())
}

fn write_clusters(report: &Report<'_>, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out)?;
    let names: Vec<&str> = report.plan.clusters.keys().map(|alias| alias.as_str()).collect();
    let width = widest(&names);
    for (alias, cluster) in &report.plan.clusters {
        let servers: Vec<String> = cluster.bootstrap.iter().map(ToString::to_string).collect();
        let state = match report.answers.get(alias) {
            None => String::new(),
            Some(Ok(seen)) => format!(
                "  cluster id {}, {} broker{}, {} topic{}",
                seen.cluster_id.as_deref().unwrap_or("unknown"),
                seen.brokers,
                plural(seen.brokers),
                seen.topics.len(),
                plural(seen.topics.len()),
            ),
            Some(Err(why)) => format!("  did not answer: {why}"),
        };
        let (protocol, mechanism) = secured(&cluster.admin);
        let login = mechanism.map(|name| format!(" {name}")).unwrap_or_default();
        writeln!(out, "cluster {alias:<width$}  {}  {protocol}{login}{state}", servers.join(", "))?;
    }
    Ok(())
}

fn write_flow(flow: &FlowPlan, topics: Option<&[TopicDecision]>, out: &mut impl Write) -> anyhow::Result<()> {
    if !flow.enabled {
        writeln!(out, "\nflow {} is not enabled", flow.name())?;
        return Ok(());
    }
    writeln!(out, "\nflow {}", flow.name())?;
    writeln!(out, "  topics    {}", patterns(&flow.topics.include))?;
    writeln!(out, "  without   {}", patterns(&flow.topics.exclude))?;
    writeln!(out, "  named     {}", naming(flow))?;
    writeln!(out, "  progress  {} on {}", flow.progress_topic, flow.target)?;
    writeln!(out, "  in step   {}", in_step(flow))?;
    match topics {
        Some(topics) => write_topics(topics, out),
        None => Ok(()),
    }
}

/// What is kept in step beside the records.
fn in_step(flow: &FlowPlan) -> String {
    let sync = &flow.sync;
    let mut kept = Vec::new();
    if let Some(every) = sync.topic_configs {
        kept.push(format!("settings every {every:?}"));
    }
    if let Some(every) = sync.topic_acls {
        let kinds = if sync.acls.all_kinds { "access rules of all kinds" } else { "access rules of topics" };
        let removes = if sync.acls.removes { ", with removal" } else { "" };
        kept.push(format!("{kinds} every {every:?}{removes}"));
    }
    if sync.quotas {
        kept.push("client quotas".to_owned());
    }
    match sync.deletions.mode {
        DeletionMode::Off => {}
        DeletionMode::DryRun => kept.push("deletions (only said)".to_owned()),
        DeletionMode::On => kept.push(format!("deletions after {:?}", sync.deletions.grace)),
    }
    if kept.is_empty() { "nothing but the records".to_owned() } else { kept.join("; ") }
}

/// The pairs of clusters with heartbeats, those with the same interval in one line.
fn write_heartbeats(heartbeats: &[HeartbeatPlan], out: &mut impl Write) -> anyhow::Result<()> {
    let mut by_interval: BTreeMap<Duration, Vec<String>> = BTreeMap::new();
    for one in heartbeats {
        by_interval.entry(one.every).or_default().push(one.name());
    }
    for (every, pairs) in by_interval {
        writeln!(out, "\nheartbeats every {every:?}: {}", pairs.join(", "))?;
    }
    Ok(())
}

fn patterns(list: &PatternList) -> String {
    let all: Vec<&str> = list.rules().iter().map(|rule| &*rule.pattern).collect();
    let mut text = all.join(", ");
    if text.chars().count() > PATTERNS_SHOWN {
        text = text.chars().take(PATTERNS_SHOWN).collect();
        text.push_str("..");
    }
    format!("{} ({})", if text.is_empty() { "nothing" } else { &text }, list.origin())
}

fn naming(flow: &FlowPlan) -> String {
    let scheme = match flow.policy.naming {
        Naming::Default => format!("{}{}<topic>", flow.source, flow.policy.separator),
        Naming::Identity => "as at the source".to_owned(),
    };
    match &flow.policy.rename {
        Some(rename) => format!("`{}` becomes `{}`, others {scheme}", rename.pattern, rename.replacement),
        None => scheme,
    }
}

fn write_topics(topics: &[TopicDecision], out: &mut impl Write) -> anyhow::Result<()> {
    let mirrored: Vec<(&str, &str, String)> = topics.iter().filter_map(mirrored_row).collect();
    let left_out: Vec<(&str, String)> = topics.iter().filter_map(left_out_row).collect();
    if !mirrored.is_empty() {
        writeln!(out, "\n  mirrored: {}", mirrored.len())?;
        let width = widest(&mirrored.iter().map(|row| row.0).collect::<Vec<_>>());
        let target_width = widest(&mirrored.iter().map(|row| row.1).collect::<Vec<_>>());
        for (topic, target_topic, rest) in &mirrored {
            writeln!(out, "    {topic:<width$}  ->  {target_topic:<target_width$}  {rest}")?;
        }
    }
    if !left_out.is_empty() {
        writeln!(out, "\n  not mirrored: {}", left_out.len())?;
        let width = widest(&left_out.iter().map(|row| row.0).collect::<Vec<_>>());
        for (topic, why) in &left_out {
            writeln!(out, "    {topic:<width$}  {why}")?;
        }
    }
    if topics.is_empty() {
        writeln!(out, "\n  the source has no topics")?;
    }
    Ok(())
}

fn mirrored_row(decision: &TopicDecision) -> Option<(&str, &str, String)> {
    let Outcome::Mirrored { target_topic, partitions, change, .. } = &decision.outcome else { return None };
    let what = match change {
        None => String::new(),
        Some(TargetChange::Create) => ", to be created".to_owned(),
        Some(TargetChange::AddPartitions { from }) => format!(", has {from} of them"),
        Some(TargetChange::Nothing { partitions: at_target }) if at_target > partitions => {
            format!(", is there with {at_target}")
        }
        Some(TargetChange::Nothing { partitions: at_target }) if at_target < partitions => {
            format!(", dealt out by key over {at_target}")
        }
        Some(TargetChange::Nothing { .. }) => ", is there".to_owned(),
    };
    let count = usize::try_from(*partitions).unwrap_or_default();
    Some((&decision.source_topic, target_topic, format!("{partitions} partition{}{what}", plural(count))))
}

fn left_out_row(decision: &TopicDecision) -> Option<(&str, String)> {
    match &decision.outcome {
        Outcome::NotMirrored(why) => Some((&decision.source_topic, why.to_string())),
        Outcome::Mirrored { .. } => None,
    }
}

fn summary(report: &Report<'_>, out: &mut impl Write) -> anyhow::Result<()> {
    let flows = report.plan.enabled_flows().count();
    let refused = !report.problems.is_empty() && !report.plan.allow_same_cluster;
    let silent = report.answers.values().filter(|answer| answer.is_err()).count();
    let file = &report.file;
    if refused {
        writeln!(out, "{file} would be refused")?;
    } else if silent > 0 {
        writeln!(out, "{file} is sound; {silent} cluster{} did not answer", plural(silent))?;
    } else {
        writeln!(out, "{file} is sound: {flows} flow{}", plural(flows))?;
    }
    Ok(())
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn widest(texts: &[&str]) -> usize {
    texts.iter().map(|text| text.chars().count()).max().unwrap_or_default()
}
