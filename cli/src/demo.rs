//! `kmirror demo`: two sandbox clusters in this process, a workload, a mirror between them, and a comparison record
//! by record. Needs nothing but this binary. Real Kafka is another matter: the tests are for that.

use std::io::Write;
use std::time::{Duration, Instant};

use kmirror_engine::Mirror;
use kmirror_engine::plan::{Plan, PlanArgs};
use kmirror_sandbox::{Sandbox, SandboxError, SandboxOptions};

use crate::demo_data::{self, Comparison};
use crate::exit::Exit;
use crate::progress::Progress;
use crate::summary::summary;

/// How long producers go on while the mirror runs.
const LIVE_FOR: Duration = Duration::from_secs(4);
/// The mirror has so long to catch up with what was produced last.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(8);
const LOOK_EVERY: Duration = Duration::from_millis(50);

const NEXT: &str = "
Next, with your own clusters: put this into mm2.properties (the format of MirrorMaker 2) and set the addresses,

    clusters = east, west
    east.bootstrap.servers = kafka-east:9092
    west.bootstrap.servers = kafka-west:9092
    east->west.enabled = true
    east->west.topics = .*

    kmirror plan mm2.properties                  says what would be mirrored and why, and writes nothing
    kmirror run mm2.properties                   mirrors until it is stopped
    kmirror run mm2.properties --until-synced    mirrors what is there now, then ends
";

/// Runs the demonstration.
///
/// # Errors
/// When a sandbox cannot be started or standard output is closed.
pub(crate) async fn demo() -> anyhow::Result<Exit> {
    let mut out = std::io::stdout();
    let source = Sandbox::start(options()).await?;
    let target = Sandbox::start(options()).await?;
    let text = properties(&source.bootstrap(), &target.bootstrap());
    writeln!(out, "Two clusters of three brokers run in this process. The mirror between them is told:\n")?;
    for line in text.lines() {
        writeln!(out, "    {line}")?;
    }
    let produced = demo_data::fill(&source)?;
    writeln!(
        out,
        "\n{produced} records are at the source already; producers go on while the mirror runs.\n"
    )?;
    out.flush()?;

    let plan = Plan::from_properties(&text, "demo.properties", &PlanArgs::default())?;
    let started = Instant::now();
    let mirror = Mirror::start(plan)?;
    let produced = produced + produce_for(&source, &mirror, LIVE_FOR).await?;
    let synced = catch_up(&source, &mirror).await?;
    let took = started.elapsed();
    let status = mirror.status().clone();
    let _ = mirror.stop().await;
    write!(out, "{}", summary(&status, took))?;
    if !synced {
        writeln!(out, "The mirror did not catch up within {CATCH_UP_WITHIN:?}.")?;
        return Ok(Exit::Incomplete);
    }
    report(&mut out, produced, &demo_data::compare(&source, &target)?)
}

fn report(out: &mut impl Write, produced: u64, comparison: &Comparison) -> anyhow::Result<Exit> {
    if comparison.same == produced && comparison.different.is_empty() {
        writeln!(
            out,
            "\nCompared record by record (key, value, headers, timestamp, order): all {produced} are the same."
        )?;
        write!(out, "{NEXT}")?;
        return Ok(Exit::Success);
    }
    writeln!(out, "\nThe copy differs: {} of {produced} records are the same.", comparison.same)?;
    for difference in &comparison.different {
        writeln!(out, "  {difference}")?;
    }
    Ok(Exit::Incomplete)
}

fn options() -> SandboxOptions {
    SandboxOptions { brokers: 3, auto_create: false, ..SandboxOptions::default() }
}

fn properties(source: &str, target: &str) -> String {
    format!(
        "clusters = source, target\n\
         source.bootstrap.servers = {source}\n\
         target.bootstrap.servers = {target}\n\
         source->target.enabled = true\n\
         source->target.topics = .*\n\
         replication.factor = 3\n"
    )
}

/// Produces steadily and shows the mirror at work.
async fn produce_for(source: &Sandbox, mirror: &Mirror, time: Duration) -> Result<u64, SandboxError> {
    let mut progress = Progress::start();
    let started = Instant::now();
    let (mut produced, mut round) = (0, 0);
    while started.elapsed() < time {
        produced += demo_data::produce_round(source, round)?;
        round += 1;
        progress.show(mirror.status());
        tokio::time::sleep(LOOK_EVERY).await;
    }
    progress.finish();
    Ok(produced)
}

/// Waits until the mirror has acknowledged everything the source holds.
async fn catch_up(source: &Sandbox, mirror: &Mirror) -> Result<bool, SandboxError> {
    let started = Instant::now();
    while started.elapsed() < CATCH_UP_WITHIN {
        let partitions: Vec<_> = mirror.status().flows.iter().flat_map(|flow| flow.partitions()).collect();
        let mut behind = partitions.len() < demo_data::PARTITIONS;
        for one in partitions {
            behind |=
                one.acknowledged_next().0 < source.end_offset(&one.source.topic, one.source.partition)?;
        }
        if !behind {
            return Ok(true);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(false)
}
