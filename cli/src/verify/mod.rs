//! `kmirror verify`: compares what source and target hold and tells the differences. Writes nothing to any cluster.

mod json;
mod text;

use std::io::Write;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kmirror_engine::chain;
use kmirror_engine::plan::FlowPlan;
use kmirror_engine::verify::report::FlowReport;
use kmirror_engine::verify::{Meter, Options};
use tracing::error;

use crate::args::{FileArguments, VerifyArguments};
use crate::block_on_threads;
use crate::exit::Exit;
use crate::file::{chosen, plan_or_exit};
use crate::progress::Progress;

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is to be reported.
struct Report {
    file: String,
    took: Duration,
    flows: Vec<Flow>,
}

/// One flow's name, and what was found or why nothing was.
struct Flow {
    name: String,
    result: Result<FlowReport, String>,
}

/// Compares, writes the report and says how the process ends.
///
/// # Errors
/// When the file cannot be read, names no such flow, or the report cannot be written.
pub(crate) fn verify(
    file: &FileArguments,
    what: VerifyArguments,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<Exit> {
    let plan = match plan_or_exit(file)? {
        Ok(plan) => plan,
        Err(exit) => return Ok(exit),
    };
    let flows = chosen(&plan, what.flow.as_deref())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
    let VerifyArguments { topics, sample, from, to, .. } = what;
    let options = Options { topics, sample, seed: now.into(), from, to };
    let threads = available_parallelism().map_or(1, usize::from);
    let Some(mut report) = block_on_threads(threads, compare(&flows, &options))? else {
        return Ok(Exit::Interrupted);
    };
    report.file = file.file.display().to_string();
    if json {
        json::write(&report, out)?;
    } else {
        text::write(&report, out)?;
    }
    let exit = exit(&report);
    if exit == Exit::Configuration {
        error!("nothing was compared: no topic of the source is both mirrored and asked for");
    }
    Ok(exit)
}

/// One flow after the other; none if a signal ended it.
async fn compare(flows: &[&FlowPlan], options: &Options) -> Option<Report> {
    let started = Instant::now();
    let mut progress = Progress::start();
    let meter = Arc::new(Meter::default());
    let mut compared = Vec::new();
    let all = async {
        for plan in flows {
            let result = kmirror_engine::verify::verify(plan, options, &meter).await;
            compared.push(Flow { name: plan.name(), result: result.map_err(|error| chain(&error)) });
        }
    };
    let shown = async {
        loop {
            progress.show_verification(&meter);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let finished = tokio::select! {
        () = all => true,
        () = shown => false,
        _ = tokio::signal::ctrl_c() => false,
    };
    progress.finish();
    finished.then(|| Report { file: String::new(), took: started.elapsed(), flows: compared })
}

/// How the process ends. A comparison of nothing is no proof of anything.
fn exit(report: &Report) -> Exit {
    let reports = || report.flows.iter().filter_map(|flow| flow.result.as_ref().ok());
    let unread = |flow: &FlowReport| flow.partitions.iter().any(|one| one.error.is_some());
    if reports().any(|flow| flow.counts().differences() > 0) {
        Exit::Differs
    } else if report.flows.iter().any(|flow| flow.result.is_err()) || reports().any(unread) {
        Exit::StartFailed
    } else if reports().all(|flow| flow.partitions.is_empty()) {
        Exit::Configuration
    } else {
        Exit::Success
    }
}
