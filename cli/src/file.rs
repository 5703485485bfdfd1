//! From a file's name to a plan, and what is wrong with it told.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use kmirror_engine::config::mm2::FILE_BYTES_MAX;
use kmirror_engine::config::problem::ConfigErrors;
use kmirror_engine::config::properties;
use kmirror_engine::config::surroundings::Surroundings;
use kmirror_engine::plan::{FlowPlan, Plan, PlanArgs};
use tracing::error;
use zeroize::Zeroizing;

use crate::args::FileArguments;
use crate::exit::Exit;
use crate::{surroundings, tell_finding};

/// Reads a plan. The inner result is about what the file says.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read_plan(arguments: &FileArguments) -> anyhow::Result<Result<Plan, ConfigErrors>> {
    read_plan_with(arguments, "")
}

/// Reads a plan and tells what is to be known about the file; where it is wrong, how the process ends.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn plan_or_exit(arguments: &FileArguments) -> anyhow::Result<Result<Plan, Exit>> {
    Ok(told(read_plan(arguments)?))
}

/// Tells what is to be known about a file; where it is wrong, how the process ends.
pub(crate) fn told(read: Result<Plan, ConfigErrors>) -> Result<Plan, Exit> {
    match read {
        Ok(plan) => {
            plan.findings.iter().for_each(tell_finding);
            Ok(plan)
        }
        Err(errors) => {
            errors.findings.iter().for_each(tell_finding);
            errors.errors.iter().for_each(|one| error!("{one}"));
            Err(exit_of(&errors))
        }
    }
}

/// The flow of that name, enabled or not, or else all that are enabled.
///
/// # Errors
/// When the file has no such flow.
pub(crate) fn chosen<'a>(plan: &'a Plan, name: Option<&str>) -> anyhow::Result<Vec<&'a FlowPlan>> {
    let Some(name) = name else { return Ok(plan.enabled_flows().collect()) };
    let named: Vec<&FlowPlan> = plan.flows.iter().filter(|flow| flow.name() == name).collect();
    if named.is_empty() {
        let known: Vec<String> = plan.flows.iter().map(FlowPlan::name).collect();
        bail!("the file has no flow {name}; it has {}", known.join(", "));
    }
    Ok(named)
}

/// Reads a plan as if `lines` stood at the end of the file.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read_plan_with(
    arguments: &FileArguments,
    lines: &str,
) -> anyhow::Result<Result<Plan, ConfigErrors>> {
    let text = text(arguments)?;
    // The last line of the file may ask for a continuation.
    let text = Zeroizing::new(format!("{}\n\n{lines}", text.as_str()));
    let (surroundings, _) = surroundings::read(arguments, &text);
    Ok(parse(arguments, &text, surroundings))
}

/// The plan in a text, as if the file said so.
pub(crate) fn parse(
    arguments: &FileArguments,
    text: &str,
    surroundings: Surroundings,
) -> Result<Plan, ConfigErrors> {
    let name = arguments.file.display().to_string();
    let args = PlanArgs {
        clusters: arguments.clusters.clone(),
        allow_same_cluster: arguments.allow_same_cluster,
        surroundings,
    };
    Plan::from_properties(text, &name, &args)
}

/// What the file says. It may hold secrets and is wiped.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn text(arguments: &FileArguments) -> anyhow::Result<Zeroizing<String>> {
    let bytes = read(&arguments.file).with_context(|| format!("cannot read {}", arguments.file.display()))?;
    Ok(Zeroizing::new(properties::decode(&bytes).into_owned()))
}

/// No more than a configuration may have, and one byte, by which the engine sees that it is too much.
fn read(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let file = File::open(path)?;
    // Room for all of it at once: a buffer that grows leaves copies behind. A pipe has no length.
    let length = file.metadata().map_or(0, |metadata| metadata.len().min(limit));
    let room = usize::try_from(length).unwrap_or_default().saturating_add(2);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// How the process ends with these errors.
pub(crate) fn exit_of(errors: &ConfigErrors) -> Exit {
    let all_refusals = errors.errors.iter().all(|error| error.problem.is_refusal());
    if all_refusals { Exit::Refused } else { Exit::Configuration }
}
