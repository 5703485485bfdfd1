//! `benches/scale`: many topics and groups on real Kafka, kmirror and MirrorMaker 2 in turn. Tells how long it takes until
//! everything is there, and what a minute without records costs: requests, CPU, memory.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use kmirror_benches::measure::{PeakMemory, cpu_seconds};
use kmirror_benches::report;
use kmirror_tests::artefacts::Version;
use kmirror_tests::cache::scratch;
use kmirror_tests::java;
use kmirror_tests::kafka::{KafkaCluster, Options};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::Process;
use kmirror_tests::proxy::{Link, Proxy};

/// Many topics and groups: how long it takes, what it costs. Appends to benches/RESULTS.md.
#[derive(Parser)]
#[command(name = "benches/scale")]
struct Arguments {
    /// Topics at the source.
    #[arg(long, default_value_t = 5000)]
    topics: u32,
    /// Partitions of each.
    #[arg(long, default_value_t = 3)]
    partitions: u32,
    /// Consumer groups, each with a position in every partition of a topic.
    #[arg(long, default_value_t = 2000)]
    groups: u32,
    /// Who is measured.
    #[arg(long, value_delimiter = ',', default_value = "kmirror,mm2")]
    peers: Vec<String>,
    /// Seconds that a peer may take until everything is there.
    #[arg(long, default_value_t = 600)]
    limit: u64,
    /// Do not append to benches/RESULTS.md.
    #[arg(long)]
    dry: bool,
}

/// Every interval of a flow.
const INTERVAL: &str = "20";
/// What is measured once everything is there: three rounds of everything.
const WINDOW: Duration = Duration::from_secs(60);
/// Heap of MirrorMaker 2.
const HEAP_MB: u32 = 2048;

struct Measured {
    records_s: f64,
    groups_s: f64,
    start_cpu_s: f64,
    start_requests: u64,
    minute_cpu_s: f64,
    minute_requests: u64,
    peak_mb: f64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let version = Version::V3_9_1;
    let options = || Options { heap_mb: 1536, ..Options::bench() }.behind_proxy();
    let source = KafkaCluster::start(version, options())?;
    let numbers =
        [arguments.topics.to_string(), arguments.partitions.to_string(), arguments.groups.to_string()];
    eprintln!("loading {} topics and {} groups", arguments.topics, arguments.groups);
    oracle::ask("scale", &[&source.bootstrap(), "load", &numbers[0], &numbers[1], &numbers[2]])?;
    let to_source = source.proxies(Link::default())?;
    let mut text = report::heading(version.name());
    writeln!(
        text,
        "scale: {} topics with {} partitions, {} groups; every interval {INTERVAL} s",
        numbers[0], numbers[1], numbers[2]
    )?;
    writeln!(
        text,
        "\n| peer | records there | groups there | CPU until then | requests until then | CPU in a quiet minute | requests in a quiet minute | peak memory |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|---|")?;
    for peer in &arguments.peers {
        // A target of its own: thousands of topics of the one before would count for the next.
        let target = KafkaCluster::start(version, options())?;
        let to_target = target.proxies(Link::default())?;
        let requests = || to_source.iter().chain(&to_target).map(Proxy::requests).sum();
        match measure(peer, &arguments, (&source, &target), requests) {
            Ok(m) => writeln!(
                text,
                "| {peer} | {:.1} s | {:.1} s | {:.2} s | {} | {:.2} s | {} | {:.0} MB |",
                m.records_s,
                m.groups_s,
                m.start_cpu_s,
                m.start_requests,
                m.minute_cpu_s,
                m.minute_requests,
                m.peak_mb
            )?,
            Err(error) => writeln!(text, "| {peer} | {error:#} |")?,
        }
    }
    std::io::stdout().write_all(text.as_bytes())?;
    if !arguments.dry {
        report::append(&text)?;
    }
    Ok(())
}

fn measure(
    peer: &str,
    arguments: &Arguments,
    (source, target): (&KafkaCluster, &KafkaCluster),
    requests: impl Fn() -> u64,
) -> Result<Measured> {
    let requests_before = requests();
    let directory = scratch(peer)?;
    let (alias, started) = (format!("{peer}-scale"), Instant::now());
    let process = start(peer, &alias, source, target, &directory)?;
    let memory = PeakMemory::of(process.pid());
    let (prefix, checkpoints) = (format!("{alias}.scale-"), format!("{alias}.checkpoints.internal"));
    let wanted = u64::from(arguments.topics * arguments.partitions * 2);
    let positions = u64::from(arguments.groups * arguments.partitions);
    let (mut records_s, mut groups_s) = (None, None);
    while records_s.is_none() || groups_s.is_none() {
        if started.elapsed().as_secs() > arguments.limit {
            bail!("not there within {} s (records {records_s:?}, groups {groups_s:?})", arguments.limit);
        }
        if let Some(exit) = process.exited() {
            bail!("ended with {}: {}", exit.status, process.tail(5));
        }
        if records_s.is_none() {
            let held = oracle::ask("scale", &[&target.bootstrap(), "held", &prefix])?;
            let offsets = held["offsets"].as_u64().context("no offsets")?;
            records_s = (offsets >= wanted).then(|| started.elapsed().as_secs_f64());
        } else {
            let found = oracle::ask("scale", &[&target.bootstrap(), "checkpoints", &checkpoints])?;
            groups_s =
                (found.as_u64().context("no count")? >= positions).then(|| started.elapsed().as_secs_f64());
        }
        thread::sleep(Duration::from_millis(500));
    }
    let (start_cpu_s, start_requests) = (cpu_seconds(process.pid())?, requests() - requests_before);
    thread::sleep(WINDOW);
    let (minute_cpu_s, minute_requests) =
        (cpu_seconds(process.pid())? - start_cpu_s, requests() - requests_before - start_requests);
    let peak_mb = memory.megabytes();
    process.stop(Duration::from_secs(60))?;
    let (records_s, groups_s) = (records_s.unwrap_or_default(), groups_s.unwrap_or_default());
    Ok(Measured { records_s, groups_s, start_cpu_s, start_requests, minute_cpu_s, minute_requests, peak_mb })
}

fn start(
    peer: &str,
    alias: &str,
    source: &KafkaCluster,
    target: &KafkaCluster,
    directory: &std::path::Path,
) -> Result<Process> {
    let (from, to) = (source.bootstrap_of("FAR"), target.bootstrap_of("FAR"));
    let mut properties = Properties::plain_flow((alias, &from), ("target", &to), "scale-.*")
        .with("groups", "scale-.*")
        .with("sync.group.offsets.enabled", "true")
        .with("sync.topic.acls.enabled", "false");
    for what in
        ["refresh.topics", "refresh.groups", "emit.checkpoints", "sync.group.offsets", "sync.topic.configs"]
    {
        properties = properties.with(&format!("{what}.interval.seconds"), INTERVAL);
    }
    match peer {
        "kmirror" => {
            let file = properties.write(directory)?;
            let mut command = Command::new(kmirror::binary()?);
            command.arg("run").arg(file);
            Process::spawn("kmirror", &mut command, directory)
        }
        "mm2" => {
            let file = directory.join("mm2.properties");
            fs::write(&file, properties.with("tasks.max", "4").text())?;
            java::mirror_maker_2(Version::V3_9_1, &file, &java::server_flags(HEAP_MB), directory)
        }
        other => bail!("no such peer: {other}"),
    }
}
