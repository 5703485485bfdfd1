//! `tests/faults`: a mirror between real clusters under load and under faults that a seed decides, and the verdict.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Parser;
use kmirror_tests::artefacts::Version;
use kmirror_tests::cache;
use kmirror_tests::faults::plan::plan;
use kmirror_tests::faults::run;

/// The plan could not be carried out, whatever kmirror did.
const TROUBLE: u8 = 2;

/// Mirrors between two clusters of three brokers under load, with faults at random times, and judges what arrived.
///
/// Ends with 0 when every promise of docs/reliability.md was kept, 1 when one was broken, 2 when the run itself failed.
#[derive(Parser)]
#[command(
    name = "tests/faults",
    after_help = "\
Examples:
  tests/faults                                   two minutes, with a seed of the clock
  tests/faults --seconds 3600 --seed 7           an hour that can be repeated
  tests/faults --seconds 3600 --seed 7 --plan    only shows what would happen
  KMIRROR_BIN=./kmirror tests/faults             a binary built elsewhere"
)]
struct Options {
    /// How long faults happen.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Decides which faults happen when, and the load. Default: of the clock.
    #[arg(long)]
    seed: Option<u64>,
    /// kmirror processes on the same file.
    #[arg(long, default_value_t = 1)]
    processes: usize,
    /// Records a second, besides those in transactions.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// A record may arrive twice when a kmirror process was killed.
    #[arg(long)]
    at_least_once: bool,
    /// kmirror writes in transactions; the target is judged as readers of committed records see it, and how long recovery
    /// takes is not measured (markers take offsets, too).
    #[arg(long)]
    transactions: bool,
    /// Release of Kafka the source runs.
    #[arg(long, default_value = "3.9.1", value_parser = version)]
    source: Version,
    /// Release of Kafka the target runs.
    #[arg(long, default_value = "4.3.0", value_parser = version)]
    target: Version,
    /// Writes the figures into this file, too.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Keeps all log files.
    #[arg(long)]
    keep: bool,
    /// Shows the plan and does nothing.
    #[arg(long)]
    plan: bool,
}

fn version(name: &str) -> Result<Version, String> {
    let version = Version::from_name(name).filter(|version| !version.needs_zookeeper());
    version.ok_or_else(|| "3.9.1 or 4.3.0".to_owned())
}

fn main() -> ExitCode {
    match faults(&Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            cache::keep();
            eprintln!("the run itself failed: {error:#}");
            ExitCode::from(TROUBLE)
        }
    }
}

fn seed_of_the_clock() -> Result<u64> {
    Ok(u64::from(SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_micros()))
}

fn faults(options: &Options) -> Result<ExitCode> {
    let mut out = std::io::stdout();
    let seed = options.seed.map_or_else(seed_of_the_clock, Ok)?;
    let length = Duration::from_secs(options.seconds);
    writeln!(out, "seed {seed}, {} s, {} kmirror", options.seconds, options.processes)?;
    for planned in plan(seed, length, options.processes) {
        writeln!(out, "{planned}")?;
    }
    if options.plan {
        return Ok(ExitCode::SUCCESS);
    }
    out.flush()?;
    let run = run::run(&run::Options {
        seed,
        length,
        processes: options.processes,
        rate: options.rate,
        exact: !options.at_least_once,
        transactional: options.transactions,
        source: options.source,
        target: options.target,
    })?;
    writeln!(out, "\n{}", run.text())?;
    let json = run.json().to_string();
    writeln!(out, "{json}")?;
    if let Some(file) = &options.json {
        fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let kept = run.violations().is_empty();
    if options.keep || !kept {
        cache::keep();
    }
    let verdict = if kept { "every promise was kept" } else { "a promise was broken" };
    writeln!(out, "{verdict} (seed {seed})")?;
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
