//! `kmirror groups` and `kmirror translate`: where consumer groups stand on both sides. Writes nothing, but for
//! `translate --apply`.

mod json;
mod text;

use std::io::Write;

use kmirror_engine::chain;
use kmirror_engine::offsets::survey::{Applied, GroupsReport, apply, survey};
use kmirror_engine::plan::FlowPlan;
use tracing::error;

use crate::args::FileArguments;
use crate::block_on;
use crate::exit::Exit;
use crate::file::{chosen, plan_or_exit};

/// One flow's name, and its groups or why they are not known.
struct Flow {
    name: String,
    result: Result<GroupsReport, String>,
    applied: Option<Result<Applied, String>>,
}

/// What is to be looked at.
pub(crate) struct Asked<'a> {
    /// Only this flow.
    pub(crate) flow: Option<&'a str>,
    /// Only this group.
    pub(crate) group: Option<&'a str>,
    /// The group is to be set at the target.
    pub(crate) apply: bool,
}

/// Looks, writes what was found, and says how the process ends.
///
/// # Errors
/// When the file cannot be read, names no such flow, or the report cannot be written.
pub(crate) fn groups(
    file: &FileArguments,
    asked: &Asked<'_>,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<Exit> {
    let plan = match plan_or_exit(file)? {
        Ok(plan) => plan,
        Err(exit) => return Ok(exit),
    };
    let flows = chosen(&plan, asked.flow)?;
    let look = async {
        tokio::select! {
            found = look_at(&flows, asked) => Some(found),
            _ = tokio::signal::ctrl_c() => None,
        }
    };
    let Some(found) = block_on(look)? else { return Ok(Exit::Interrupted) };
    if json {
        json::write(&found, out)?;
    } else {
        text::write(&found, out)?;
    }
    for (flow, error) in found.iter().filter_map(|flow| Some((flow, flow.result.as_ref().err()?))) {
        error!(flow = flow.name, "{error}");
    }
    Ok(exit(&found))
}

async fn look_at(flows: &[&FlowPlan], asked: &Asked<'_>) -> Vec<Flow> {
    let mut found = Vec::with_capacity(flows.len());
    for plan in flows {
        let result = survey(plan, asked.group).await.map_err(|error| chain(&error));
        let mut applied = None;
        if let (true, Ok(report)) = (asked.apply, &result) {
            // There is one group: that which was asked for.
            let result = apply(plan, &report.groups).await.pop();
            applied = result.map(|result| result.map_err(|error| chain(&error)));
        }
        found.push(Flow { name: plan.name(), result, applied });
    }
    found
}

/// How the process ends: with less than what was asked for if a flow could not be looked at, or a group was not set.
fn exit(flows: &[Flow]) -> Exit {
    let not_set = |applied: &Result<Applied, String>| match applied {
        Ok(applied) => {
            !applied.refused.is_empty() || (applied.set.is_empty() && applied.left_alone.is_some())
        }
        Err(_) => true,
    };
    if flows.iter().any(|flow| flow.result.is_err()) {
        Exit::StartFailed
    } else if flows.iter().any(|flow| flow.applied.as_ref().is_some_and(not_set)) {
        Exit::Incomplete
    } else {
        Exit::Success
    }
}
