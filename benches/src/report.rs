//! Tables for people: on standard output, and appended to `benches/RESULTS.md`.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use kmirror_tests::cache::repository;
use kmirror_tests::kmirror;
use kmirror_tests::process::run;

use crate::case::Case;
use crate::latency::Latency;
use crate::measure::{Measure, median};
use crate::peer::Peer;

/// All runs of one peer on one case.
pub struct Line {
    /// Who.
    pub peer: Peer,
    /// What the runs took.
    pub runs: Vec<Measure>,
    /// Runs that failed, and why.
    pub failures: Vec<String>,
}

impl Line {
    fn median(&self, of: impl Fn(&Measure) -> f64) -> f64 {
        median(self.runs.iter().map(of).collect()).unwrap_or(f64::NAN)
    }

    /// Medians of the seconds to the first record and from there to the end.
    fn parts(&self) -> Option<(f64, f64)> {
        let parts = self.runs.iter().filter_map(|run| Some((run.first?, run.wall - run.first?)));
        let (first, rest): (Vec<f64>, Vec<f64>) = parts.unzip();
        median(first).zip(median(rest))
    }
}

/// The table of a case that copies.
#[must_use]
pub fn copies(case: &Case, bytes: u64, lines: &[Line]) -> String {
    let gigabytes = lossy(bytes) / 1e9;
    let mut out = format!("### {}: {} ({:.0} MB)\n\n", case.name, case.about, gigabytes * 1000.0);
    out.push_str(
        "| | wall s | to first record s | from there s | CPU s | CPU s/GB | peak MB | source broker CPU s \
         | target broker CPU s | CPU, times kmirror's | wall, times | memory, times | runs |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let ours = lines.iter().find(|line| line.peer == Peer::Kmirror && !line.runs.is_empty());
    for line in lines {
        copy_line(&mut out, line, ours, gigabytes);
    }
    for line in lines {
        for failure in &line.failures {
            writeln!(out, "\n{} failed: {}", line.peer.name(), failure.trim()).ok();
        }
    }
    out
}

fn copy_line(out: &mut String, line: &Line, ours: Option<&Line>, gigabytes: f64) {
    let name = line.peer.name();
    if line.runs.is_empty() {
        writeln!(out, "| {name} | not measured | | | | | | | | | | | 0 |").ok();
        return;
    }
    let (wall, cpu) = (line.median(|m| m.wall), line.median(|m| m.cpu));
    let memory = line.median(|m| m.peak_mb);
    let times = |value: f64, of: fn(&Measure) -> f64| match ours {
        Some(ours) => format!("{:.2}", value / ours.median(of)),
        None => String::new(),
    };
    let broker = |of: fn(&Measure) -> f64| match line.peer {
        Peer::Relay => String::new(),
        _ => format!("{:.2}", line.median(of)),
    };
    let [first, rest] = line
        .parts()
        .map_or_else(Default::default, |parts| [parts.0, parts.1].map(|seconds| format!("{seconds:.2}")));
    writeln!(
        out,
        "| {name} | {wall:.2} | {first} | {rest} | {cpu:.3} | {:.2} | {memory:.1} | {} | {} | {} | {} | {} | {} |",
        cpu / gigabytes,
        broker(|m| m.source_cpu),
        broker(|m| m.target_cpu),
        times(cpu, |m| m.cpu),
        times(wall, |m| m.wall),
        times(memory, |m| m.peak_mb),
        line.runs.len()
    )
    .ok();
}

/// The table of the latency case: name and all its runs, or why there are none.
#[must_use]
pub fn latencies(case: &Case, lines: &[(String, Vec<Result<Latency, String>>)]) -> String {
    let mut out = format!("### {}: {}\n\n", case.name, case.about);
    out.push_str(
        "| | median ms | 99th percentile ms | slowest ms | records | runs |\n|---|---|---|---|---|---|\n",
    );
    for (name, runs) in lines {
        let good: Vec<&Latency> = runs.iter().flatten().collect();
        let of =
            |of: fn(&Latency) -> f64| median(good.iter().map(|run| of(run)).collect()).unwrap_or(f64::NAN);
        let records: u64 = good.iter().map(|run| run.records).sum();
        let (middle, p99, max) = (of(|l| l.median), of(|l| l.p99), of(|l| l.max));
        writeln!(out, "| {name} | {middle:.2} | {p99:.2} | {max:.2} | {records} | {} |", good.len()).ok();
    }
    for (name, failure) in lines.iter().flat_map(|(name, runs)| runs.iter().map(move |run| (name, run))) {
        if let Err(failure) = failure {
            writeln!(out, "\n{name} failed: {}", failure.trim()).ok();
        }
    }
    out
}

/// Where and with what it was measured.
#[must_use]
pub fn heading(kafka: &str) -> String {
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(Path::file_name).unwrap_or_default().display();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let said = |program: &str, arguments: &[&str]| {
        run(Command::new(program).args(arguments))
            .map_or_else(|_| "?".to_owned(), |text| text.trim().to_owned())
    };
    let version = kmirror::binary().ok().and_then(|binary| run(Command::new(binary).arg("--version")).ok());
    let version = version.unwrap_or_else(|| "kmirror ?".to_owned());
    let java = said("java", &["--version"]);
    let java = java.lines().next().unwrap_or_default();
    format!(
        "## {}, `benches/{program} {}`\n\n{}; Kafka {kafka} on both sides, MirrorMaker of 3.9.1, {java}, {}. \
         {}. Load before: {}.\n\n",
        said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        arguments.join(" "),
        version.lines().next().unwrap_or_default(),
        said("go", &["version"]),
        machine(),
        fs::read_to_string("/proc/loadavg")
            .unwrap_or_default()
            .split(' ')
            .take(3)
            .collect::<Vec<_>>()
            .join(" "),
    )
}

fn machine() -> String {
    let read = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores of {}, {}, Linux {}",
        read("/proc/cpuinfo", "model name"),
        read("/proc/meminfo", "MemTotal"),
        kernel.trim()
    )
}

/// Appends to `benches/RESULTS.md`.
pub fn append(text: &str) -> Result<()> {
    let mut file =
        fs::File::options().append(true).create(true).open(repository().join("benches/RESULTS.md"))?;
    Ok(writeln!(file, "{text}")?)
}

/// For display only: exact up to 2^53.
fn lossy(number: u64) -> f64 {
    std::time::Duration::from_micros(number).as_secs_f64() * 1e6
}
