//! How each peer is built and started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use kmirror_tests::artefacts::Version;
use kmirror_tests::cache::{self, repository};
use kmirror_tests::java::{self, MIRROR_MAKER_1, java};
use kmirror_tests::kmirror;
use kmirror_tests::process::{Process, run};

/// Who copies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// This project.
    Kmirror,
    /// MirrorMaker 2 of Kafka 3.9.1, tuned.
    MirrorMaker2,
    /// MirrorMaker 1 of Kafka 3.9.1, tuned alike.
    MirrorMaker1,
    /// A relay on librdkafka.
    Librdkafka,
    /// A relay on franz-go.
    FranzGo,
    /// The floor: a relay of bytes that knows no Kafka.
    Relay,
}

/// All of them, in the order of the table.
pub const PEERS: [Peer; 6] =
    [Peer::Kmirror, Peer::MirrorMaker2, Peer::MirrorMaker1, Peer::Librdkafka, Peer::FranzGo, Peer::Relay];

impl Peer {
    /// Name on the command line and in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kmirror => "kmirror",
            Self::MirrorMaker2 => "mm2",
            Self::MirrorMaker1 => "mm1",
            Self::Librdkafka => "librdkafka",
            Self::FranzGo => "franz-go",
            Self::Relay => "relay",
        }
    }

    /// True when it makes its target topic itself.
    #[must_use]
    pub fn creates_topics(self) -> bool {
        matches!(self, Self::Kmirror | Self::MirrorMaker2)
    }

    /// True when it is set up here to come through TLS.
    #[must_use]
    pub fn encrypts(self) -> bool {
        matches!(self, Self::Kmirror | Self::MirrorMaker2 | Self::Relay)
    }

    /// The topic it copies `topic` to, in run number `run`.
    #[must_use]
    pub fn target_topic(self, topic: &str, run: u32) -> String {
        match self {
            Self::Kmirror | Self::MirrorMaker2 => format!("{}.{topic}", self.source_alias(run)),
            // It knows no other name.
            Self::MirrorMaker1 => topic.to_owned(),
            Self::Librdkafka | Self::FranzGo | Self::Relay => format!("{}-{run}.{topic}", self.name()),
        }
    }

    /// A source alias of its own for each run, so that no run finds the progress of another.
    fn source_alias(self, run: u32) -> String {
        format!("{}-{run}", self.name())
    }
}

/// Programs that were built or found before measuring.
#[derive(Default, Debug)]
pub struct Programs {
    librdkafka: PathBuf,
    franz_go: PathBuf,
}

impl Programs {
    /// Builds what the peers need. The result tells which could not be had, and why.
    pub fn prepare(peers: &[Peer]) -> (Self, Vec<(Peer, anyhow::Error)>) {
        let (mut programs, mut missing) = (Self::default(), Vec::new());
        for peer in peers {
            let prepared = match peer {
                Peer::Kmirror => kmirror::binary().map(drop),
                Peer::MirrorMaker2 | Peer::MirrorMaker1 | Peer::Relay => Ok(()),
                Peer::Librdkafka => build_librdkafka().map(|program| programs.librdkafka = program),
                Peer::FranzGo => build_franz_go().map(|program| programs.franz_go = program),
            };
            if let Err(error) = prepared {
                missing.push((*peer, error));
            }
        }
        (programs, missing)
    }
}

fn build_librdkafka() -> Result<PathBuf> {
    eprintln!("building the librdkafka relay");
    let target = cache::root().join("peers/librdkafka");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(repository().join("benches/peers/librdkafka"));
    cargo.args(["build", "-q", "--release", "--locked", "--target-dir"]).arg(&target);
    run(&mut cargo).context("a C compiler and make are needed")?;
    Ok(target.join("release/relay-librdkafka"))
}

fn build_franz_go() -> Result<PathBuf> {
    eprintln!("building the franz-go relay");
    let program = cache::root().join("peers/relay-franz-go");
    let mut go = Command::new("go");
    go.current_dir(repository().join("benches/peers/franz-go")).args(["build", "-o"]).arg(&program).arg(".");
    run(&mut go).context("Go 1.26 or later is needed (https://go.dev)")?;
    Ok(program)
}

/// One copy to be made.
pub struct Job<'a> {
    /// Addresses of the source.
    pub source: String,
    /// Addresses of the target.
    pub target: String,
    /// Topic at the source.
    pub topic: &'a str,
    /// Codec the peers compress with.
    pub codec: &'a str,
    /// Records after which to end; 0 for never.
    pub records: u64,
    /// The authority's certificate, where the clusters are to be reached through TLS.
    pub trust: Option<String>,
    /// Number of the run.
    pub run: u32,
}

/// Starts a peer on a job; its files and logs go into `directory`.
pub fn start(peer: Peer, programs: &Programs, job: &Job<'_>, directory: &Path) -> Result<Process> {
    match peer {
        Peer::Kmirror => start_kmirror(job, directory),
        Peer::MirrorMaker2 => {
            let file = directory.join("mm2.properties");
            // Tuned for throughput where that is measured; for latency it is quicker as it comes.
            let flow = flow(peer, job);
            fs::write(&file, if job.records > 0 { tuned(&flow, peer, job) } else { flow })?;
            java::mirror_maker_2(Version::V3_9_1, &file, &java::server_flags(2048), directory)
        }
        Peer::MirrorMaker1 => start_mirror_maker_1(job, directory),
        Peer::Librdkafka => relay(peer, &programs.librdkafka, job, directory),
        Peer::FranzGo => relay(peer, &programs.franz_go, job, directory),
        Peer::Relay => anyhow::bail!("the relay copies no topics"),
    }
}

fn start_kmirror(job: &Job<'_>, directory: &Path) -> Result<Process> {
    // As it comes: nothing is tuned.
    let file = directory.join("mm2.properties");
    fs::write(&file, flow(Peer::Kmirror, job))?;
    let mut command = Command::new(kmirror::binary()?);
    command.arg("run").arg(file);
    if job.records > 0 {
        command.arg("--until-synced");
    }
    Process::spawn("kmirror", &mut command, directory)
}

fn flow(peer: Peer, job: &Job<'_>) -> String {
    let alias = peer.source_alias(job.run);
    let properties =
        kmirror::Properties::plain_flow((&alias, &job.source), ("target", &job.target), job.topic);
    let Some(trust) = &job.trust else { return properties.text().to_owned() };
    let encrypted = |properties: kmirror::Properties, alias: &str| {
        properties
            .with(&format!("{alias}.security.protocol"), "SSL")
            .with(&format!("{alias}.ssl.truststore.type"), "PEM")
            .with(&format!("{alias}.ssl.truststore.location"), trust)
    };
    encrypted(encrypted(properties, &alias), "target").text().to_owned()
}

fn tuned(flow: &str, peer: Peer, job: &Job<'_>) -> String {
    let alias = peer.source_alias(job.run);
    format!(
        "{flow}tasks.max = 8\n{alias}.consumer.max.partition.fetch.bytes = 4194304\n\
         target.producer.batch.size = 524288\ntarget.producer.linger.ms = 20\n\
         target.producer.compression.type = {}\n",
        job.codec
    )
}

fn start_mirror_maker_1(job: &Job<'_>, directory: &Path) -> Result<Process> {
    let (consumer, producer) = (directory.join("consumer.properties"), directory.join("producer.properties"));
    fs::write(
        &consumer,
        format!(
            "bootstrap.servers={}\ngroup.id=mm1-{}\nauto.offset.reset=earliest\nmax.partition.fetch.bytes=4194304\n",
            job.source, job.run
        ),
    )?;
    fs::write(
        &producer,
        format!(
            "bootstrap.servers={}\nbatch.size=524288\nlinger.ms=20\ncompression.type={}\n",
            job.target, job.codec
        ),
    )?;
    let mut command = java(Version::V3_9_1, "WARN")?;
    command.args(java::server_flags(512)).arg(MIRROR_MAKER_1);
    command.arg("--consumer.config").arg(consumer).arg("--producer.config").arg(producer);
    command.args(["--include", job.topic]);
    Process::spawn("mirror-maker-1", &mut command, directory)
}

fn relay(peer: Peer, program: &Path, job: &Job<'_>, directory: &Path) -> Result<Process> {
    let mut command = Command::new(program);
    command.args([&job.source, &job.target, job.topic, &peer.target_topic(job.topic, job.run), job.codec]);
    command.arg(job.records.to_string());
    Process::spawn(peer.name(), &mut command, directory)
}
