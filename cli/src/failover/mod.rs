//! `kmirror failover` and `kmirror failback`: the steps of moving over, one after the other. What each step finds out is in
//! the engine.

mod json;
mod text;

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, bail};
use kmirror_engine::chain;
use kmirror_engine::failover::{self, ReverseStart, Standing};
use kmirror_engine::offsets::survey::{Applied, GroupsReport, apply, survey};
use kmirror_engine::plan::{FlowPlan, Plan};
use tracing::{error, info, warn};

use crate::args::FailoverArguments;
use crate::exit::Exit;
use crate::file::{plan_or_exit, read_plan_with};
use crate::run;

/// A mirror that runs writes heartbeats at least this often, if it writes any, with some patience.
const HEARTBEATS_WITHIN_SECONDS: f64 = 5.0;

/// What was done and found.
struct Report {
    flow: String,
    reverse: String,
    dry_run: bool,
    /// Whether the flow was run until everything was there; none if it was not tried.
    drained: Option<bool>,
    standing: Standing,
    groups: Result<GroupsReport, String>,
    /// What became of the groups that were to be set.
    applied: Vec<(Arc<str>, Result<Applied, String>)>,
    starts: Vec<ReverseStart>,
    /// Why the reverse flow could not be prepared.
    unprepared: Option<String>,
}

/// Both directions of a flow, each the only one that is enabled.
struct Directions {
    forth: Plan,
    back: Plan,
}

/// Moves over to the target of a flow.
///
/// # Errors
/// When the file cannot be read, names no such flow, a mirror still runs, or the target cannot be asked.
pub(crate) async fn failover(asked: &FailoverArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    let Some(directions) = directions(asked)? else { return Ok(Exit::Configuration) };
    move_over(asked, directions, out).await
}

/// Moves back to the source of a flow: what the other cluster got meanwhile is brought there first.
///
/// # Errors
/// As [`failover()`].
pub(crate) async fn failback(asked: &FailoverArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    let Some(Directions { forth, back }) = directions(asked)? else { return Ok(Exit::Configuration) };
    // Nobody may have moved over by command: then the reverse flow does not know yet where it begins.
    let starts =
        failover::prepare_reverse(only(&forth)?, &Arc::new(only(&back)?.clone()), !asked.dry_run).await?;
    info!(partitions = starts.len(), "what came from {} is not copied back to it", only(&forth)?.source);
    move_over(asked, Directions { forth: back, back: forth }, out).await
}

async fn move_over(
    asked: &FailoverArguments,
    Directions { forth, back }: Directions,
    out: &mut impl Write,
) -> anyhow::Result<Exit> {
    let (flow, reverse) = (only(&forth)?.clone(), Arc::new(only(&back)?.clone()));
    let drained = drain(asked, forth).await?;
    let standing = failover::standing(&flow).await?;
    let groups = survey(&flow, None).await.map_err(|error| chain(&error));
    let mut applied = Vec::new();
    if let (false, Ok(groups)) = (asked.dry_run, &groups) {
        let names = groups.groups.iter().map(|group| Arc::clone(&group.group));
        let results = apply(&flow, &groups.groups).await.into_iter();
        applied.extend(names.zip(results.map(|result| result.map_err(|error| chain(&error)))));
    }
    let prepared = failover::prepare_reverse(&flow, &reverse, !asked.dry_run).await;
    let (starts, unprepared) = match prepared {
        Ok(starts) => (starts, None),
        Err(error) => (Vec::new(), Some(chain(&error))),
    };
    let report = Report {
        flow: flow.name(),
        reverse: reverse.name(),
        dry_run: asked.dry_run,
        drained,
        standing,
        groups,
        applied,
        starts,
        unprepared,
    };
    if asked.json {
        json::write(&report, out)?;
    } else {
        text::write(&report, out)?;
    }
    Ok(exit(&report))
}

/// Runs the flow until everything is at the target, if its source answers.
async fn drain(asked: &FailoverArguments, mut plan: Plan) -> anyhow::Result<Option<bool>> {
    let flow = only(&plan)?.clone();
    let age = failover::last_heartbeat(&flow).await?;
    let every = plan.heartbeats.iter().find(|one| one.name() == flow.name()).map(|one| one.every);
    let allowed = every.map_or(0.0, |every| 3.0 * every.as_secs_f64()).max(HEARTBEATS_WITHIN_SECONDS);
    if let Some(age) = age.filter(|age| *age < allowed && !asked.anyway) {
        let what = format!(
            "a mirror of {} wrote a heartbeat {age:.1} s ago: stop it, wait some seconds and come back (or say --anyway)",
            flow.name()
        );
        if asked.dry_run {
            info!("{what}");
        } else {
            bail!(what);
        }
    }
    if asked.dry_run {
        return Ok(None);
    }
    if !failover::source_answers(&flow).await {
        warn!("cluster {} does not answer: what it has and {} has not stays there", flow.source, flow.target);
        return Ok(None);
    }
    // They would look like a mirror that runs to whoever moves back soon.
    plan.heartbeats.clear();
    Ok(Some(run::run(plan, true, None).await == Exit::Success))
}

fn exit(report: &Report) -> Exit {
    let missing = report.standing.partitions.iter().any(|one| one.missing() != Some(0));
    let refused = report.applied.iter().any(|(_, applied)| match applied {
        Ok(applied) => !applied.refused.is_empty(),
        Err(_) => true,
    });
    if missing || refused || report.groups.is_err() || report.unprepared.is_some() {
        Exit::Incomplete
    } else {
        Exit::Success
    }
}

fn only(plan: &Plan) -> anyhow::Result<&FlowPlan> {
    plan.enabled_flows().next().context("the file has no such flow")
}

/// Reads the file twice: with nothing but the flow, and with nothing but its reverse.
fn directions(asked: &FailoverArguments) -> anyhow::Result<Option<Directions>> {
    let Some((source, target)) = asked.flow.split_once("->") else {
        bail!("--flow takes two aliases with an arrow between them: A->B");
    };
    // What is wrong may be that nothing is enabled any more: then the flow is looked for all the same.
    if let Err(exit) = plan_or_exit(&asked.file)?
        && exit != Exit::Configuration
    {
        return Ok(None);
    }
    let one_way = |source: &str, target: &str| -> anyhow::Result<Option<Plan>> {
        let lines = format!("{source}->{target}.enabled = true\n{target}->{source}.enabled = false\n");
        match read_plan_with(&asked.file, &lines)? {
            Ok(mut plan) => {
                plan.flows.retain(|flow| flow.source.as_str() == source && flow.target.as_str() == target);
                Ok(Some(plan))
            }
            Err(errors) => {
                errors.errors.iter().for_each(|one| error!("{one}"));
                Ok(None)
            }
        }
    };
    let (forth, back) = (one_way(source, target)?, one_way(target, source)?);
    Ok(forth.zip(back).map(|(forth, back)| Directions { forth, back }))
}
