//! `kmirror plan`: what would be mirrored as what, what would not, and why. Writes nothing to any cluster.

mod clusters;
mod json;
mod text;

use std::collections::BTreeMap;
use std::io::Write;

use kmirror_engine::config::problem::{ConfigErrors, Problem};
use kmirror_engine::plan::{ClientPlan, ClusterAlias, FlowPlan, Plan, SourceTopic, TopicDecision, explain};

use crate::args::FileArguments;
use crate::exit::Exit;
use crate::file::{self, exit_of};
use crate::surroundings;
use clusters::{Answer, ask_all};

/// How to report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Connect to nothing.
    pub(crate) offline: bool,
    /// JSON instead of text.
    pub(crate) json: bool,
}

/// What is to be reported about a sound configuration.
struct Report<'a> {
    file: String,
    plan: &'a Plan,
    /// What the clusters answered; nothing if they were not asked.
    answers: BTreeMap<ClusterAlias, Answer>,
    /// The topics of each flow of the plan; none where the source did not answer, or the flow is not enabled.
    topics: Vec<Option<Vec<TopicDecision>>>,
    /// What the clusters' ids show.
    problems: Vec<Problem>,
}

/// Writes the report and says how the process ends.
///
/// # Errors
/// When the file cannot be read or the report cannot be written.
pub(crate) async fn plan(
    arguments: &FileArguments,
    options: Options,
    out: &mut impl Write,
) -> anyhow::Result<Exit> {
    let file = arguments.file.display().to_string();
    let text = file::text(arguments)?;
    let (surroundings, _) = surroundings::read(arguments, &text);
    match file::parse(arguments, &text, surroundings.clone()) {
        Ok(plan) => {
            if !options.offline {
                surroundings::warn_of_readable(arguments, &text, &surroundings, &plan);
            }
            let answers = if options.offline { BTreeMap::new() } else { ask_all(&plan).await };
            let report = report(file, &plan, answers);
            if options.json {
                json::write(&report, out)?
            } else {
                text::write(&report, out)?
            }
            Ok(exit(&report))
        }
        Err(errors) => {
            write_errors(&file, &errors, options, out)?;
            Ok(exit_of(&errors))
        }
    }
}

fn write_errors(
    file: &str,
    errors: &ConfigErrors,
    options: Options,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    if options.json { json::write_errors(file, errors, out) } else { text::write_errors(file, errors, out) }
}

fn report(file: String, plan: &Plan, answers: BTreeMap<ClusterAlias, Answer>) -> Report<'_> {
    let topics = plan.flows.iter().map(|flow| decisions(flow, &answers)).collect();
    let ids = answers
        .iter()
        .filter_map(|(alias, answer)| Some((alias.clone(), answer.as_ref().ok()?.cluster_id.clone()?)))
        .collect();
    let problems = plan.check_cluster_ids(&ids);
    Report { file, plan, answers, topics, problems }
}

fn decisions(flow: &FlowPlan, answers: &BTreeMap<ClusterAlias, Answer>) -> Option<Vec<TopicDecision>> {
    let source = answers.get(&flow.source).filter(|_| flow.enabled)?.as_ref().ok()?;
    let target = answers.get(&flow.target).and_then(|answer| answer.as_ref().ok());
    let topics: Vec<SourceTopic<'_>> = source
        .topics
        .iter()
        .map(|(name, topic)| SourceTopic {
            name,
            partitions: topic.partitions,
            internal: topic.internal,
            mirrored_before: false,
        })
        .collect();
    let at_target: Option<BTreeMap<String, i32>> = target
        .map(|target| target.topics.iter().map(|(name, topic)| (name.clone(), topic.partitions)).collect());
    Some(explain(flow, &topics, at_target.as_ref()))
}

fn exit(report: &Report<'_>) -> Exit {
    if !report.plan.allow_same_cluster && !report.problems.is_empty() {
        Exit::Refused
    } else if report.answers.values().any(Result::is_err) {
        Exit::StartFailed
    } else {
        Exit::Success
    }
}

/// How connections are secured, without anything that is secret: `SASL_SSL`, and the mechanism.
fn secured(client: &ClientPlan) -> (&'static str, Option<&'static str>) {
    let settings = client.security.settings();
    (settings.protocol(), settings.sasl.map(|sasl| sasl.mechanism()))
}

#[cfg(test)]
mod tests;
