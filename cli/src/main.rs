//! `kmirror`: flags, files, signals, exit codes. What it does is in the engine.

mod args;
mod check;
#[cfg(target_os = "linux")]
mod core_files;
mod demo;
mod demo_data;
mod documents;
mod exit;
mod failover;
mod file;
mod groups;
mod internal;
mod json;
mod logging;
mod place;
mod plan;
mod progress;
mod reload;
mod run;
mod status;
mod summary;
mod surroundings;
mod verify;

use std::future::Future;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context;
use kmirror_engine::chain;
use kmirror_engine::config::problem::{Finding, Severity};
use kmirror_engine::offsets::topics::InternalTopic;
use tracing::{info, warn};

use args::{Arguments, Command, FileArguments, InternalArguments};
use exit::Exit;
use reload::Reload;

/// musl's own allocator makes decompression several times slower.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help goes to standard output and is no failure. If nobody reads it there is nobody to tell.
            let _ = error.print();
            return if error.use_stderr() { Exit::Configuration } else { Exit::Success }.into();
        }
    };
    match execute(arguments) {
        Ok(exit) => exit.into(),
        Err(error) if reader_is_gone(&error) => Exit::Success.into(),
        Err(error) => {
            let _ = writeln!(io::stderr(), "kmirror: {}", chain(error.as_ref()));
            Exit::Configuration.into()
        }
    }
}

fn execute(arguments: Arguments) -> anyhow::Result<Exit> {
    logging::start(&arguments.log)?;
    #[cfg(target_os = "linux")]
    if !arguments.core_files {
        core_files::forbid();
    }
    let mut out = io::stdout().lock();
    match arguments.command {
        Command::Run { file, until_synced } => run_file(&file, until_synced),
        Command::Plan { file, offline, json } => {
            let report = plan::Options { offline, json };
            block_on(plan::plan(&file, report, &mut out))?
        }
        Command::Check { file, json } => check::check(&file, json, &mut out),
        Command::Verify { file, what, json } => verify::verify(&file, *what, json, &mut out),
        Command::Status { file, flow, partitions, json } => {
            let asked = status::Asked { flow: flow.as_deref(), partitions, json };
            status::status(&file, &asked, &mut out)
        }
        Command::Groups { file, flow, json } => {
            let asked = groups::Asked { flow: flow.as_deref(), group: None, apply: false };
            groups::groups(&file, &asked, json, &mut out)
        }
        Command::Translate { file, flow, group, apply, json } => {
            let asked = groups::Asked { flow: Some(&flow), group: Some(&group), apply };
            groups::groups(&file, &asked, json, &mut out)
        }
        Command::Checkpoints(arguments) => show(InternalTopic::Checkpoints, &arguments, out),
        Command::Heartbeats(arguments) => show(InternalTopic::Heartbeats, &arguments, out),
        Command::OffsetSyncs(arguments) => show(InternalTopic::OffsetSyncs, &arguments, out),
        Command::Failover(asked) => block_on(failover::failover(&asked, &mut out))?,
        Command::Failback(asked) => block_on(failover::failback(&asked, &mut out))?,
        Command::Demo => {
            drop(out);
            block_on(demo::demo())?
        }
        Command::Completions { shell } => {
            documents::completions(shell, &mut out)?;
            Ok(Exit::Success)
        }
        Command::Man { command } => {
            documents::manual(command.as_deref(), &mut out)?;
            Ok(Exit::Success)
        }
    }
}

fn run_file(file: &FileArguments, until_synced: bool) -> anyhow::Result<Exit> {
    // Read once: it may be a pipe.
    let text = file::text(file)?;
    let (surroundings, watched) = surroundings::read(file, &text);
    match file::told(file::parse(file, &text, surroundings.clone())) {
        Ok(plan) => {
            surroundings::warn_of_readable(file, &text, &surroundings, &plan);
            let reload = Reload::new(file, text, watched);
            drop(surroundings);
            block_on(run::run(plan, until_synced, Some(&reload)))
        }
        Err(exit) => Ok(exit),
    }
}

/// Records are written by whichever thread reads them.
fn show(
    kind: InternalTopic,
    arguments: &InternalArguments,
    locked: io::StdoutLock<'_>,
) -> anyhow::Result<Exit> {
    drop(locked);
    block_on(internal::show(kind, arguments, BufWriter::new(io::stdout())))?
}

/// One thread for the engine's tasks and this one to wait: moving bytes is the kernel's work.
fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    block_on_threads(1, work)
}

fn block_on_threads<T>(threads: usize, work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .context("no thread could be started")?;
    let done = runtime.block_on(work);
    // A thread that still reads a store from a disk that hangs is not waited for.
    runtime.shutdown_background();
    Ok(done)
}

fn tell_finding(finding: &Finding) {
    match finding.severity() {
        Severity::Info => info!("{finding}"),
        Severity::Warning => warn!("{finding}"),
    }
}

/// `kmirror plan FILE | head`: the reader has what it wanted.
fn reader_is_gone(error: &anyhow::Error) -> bool {
    let io_error = |cause: &io::Error| cause.kind() == ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(io_error))
}
