//! Runs the kmirror binary as a user would: a properties file, flags, signals, an exit code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::cache::{repository, scratch};
use crate::kafka::KafkaCluster;
use crate::process::{Exit, Process, run};

/// The binary under test: `KMIRROR_BIN`, or what `cargo build -p kmirror` makes.
pub fn binary() -> Result<PathBuf> {
    static BINARY: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    let found = BINARY.get_or_init(|| find_binary().map_err(|error| format!("{error:#}")));
    found.clone().map_err(|error| anyhow!("no kmirror binary: {error}"))
}

fn find_binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("KMIRROR_BIN").map(PathBuf::from) {
        if !path.is_file() {
            bail!("KMIRROR_BIN is {}, which is no file", path.display());
        }
        return Ok(path);
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(repository()).args(["build", "-q", "-p", "kmirror", "--message-format=json"]);
    let messages = run(&mut cargo)?;
    let executable = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executable.context("cargo named no executable")
}

/// A properties file in MirrorMaker 2's grammar, being written.
#[derive(Clone, Debug)]
pub struct Properties(String);

impl Properties {
    /// One flow `source->target` with topics chosen by `topics`, replication factor 1, no heartbeats written or mirrored
    /// (tests share clusters), and everything else as it comes.
    #[must_use]
    pub fn plain_flow(source: (&str, &str), target: (&str, &str), topics: &str) -> Self {
        let ((from, from_bootstrap), (to, to_bootstrap)) = (source, target);
        let text = format!(
            "clusters = {from}, {to}\n{from}.bootstrap.servers = {from_bootstrap}\n\
             {to}.bootstrap.servers = {to_bootstrap}\n{from}->{to}.enabled = true\n{from}->{to}.topics = {topics}\n\
             replication.factor = 1\noffset.storage.replication.factor = 1\nstatus.storage.replication.factor = 1\n\
             config.storage.replication.factor = 1\noffset-syncs.topic.replication.factor = 1\n\
             checkpoints.topic.replication.factor = 1\nheartbeats.topic.replication.factor = 1\n\
             emit.heartbeats.enabled = false\nheartbeats.replication.enabled = false\n"
        );
        Self(text)
    }

    /// A file that begins with this text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The same, quick to notice changes and to write progress.
    #[must_use]
    pub fn flow(source: (&str, &str), target: (&str, &str), topics: &str) -> Self {
        let plain = Self::plain_flow(source, target, topics);
        plain.with("refresh.topics.interval.seconds", "1").with("offset.flush.interval.ms", "1000")
    }

    /// The flow between two clusters, see [`Self::flow`].
    #[must_use]
    pub fn between(source: (&str, &KafkaCluster), target: (&str, &KafkaCluster), topics: &str) -> Self {
        Self::flow((source.0, &source.1.bootstrap()), (target.0, &target.1.bootstrap()), topics)
    }

    /// Adds a line.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.0.push_str(&format!("{key} = {value}\n"));
        self
    }

    /// Keeps topic names as they are.
    #[must_use]
    pub fn identity(self) -> Self {
        self.with("replication.policy.class", "org.apache.kafka.connect.mirror.IdentityReplicationPolicy")
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Writes the file into `directory`.
    pub fn write(&self, directory: &Path) -> Result<PathBuf> {
        let path = directory.join("mm2.properties");
        fs::write(&path, &self.0).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

/// Starts `kmirror <arguments>`.
pub fn start(arguments: &[&str]) -> Result<Process> {
    Process::spawn("kmirror", Command::new(binary()?).args(arguments), &scratch("kmirror")?)
}

/// Starts `kmirror run` on the properties, with further arguments.
pub fn start_run(properties: &Properties, arguments: &[&str]) -> Result<Process> {
    let directory = scratch("kmirror")?;
    let file = properties.write(&directory)?;
    let mut command = Command::new(binary()?);
    command.arg("run").arg(file).args(arguments);
    Process::spawn("kmirror", &mut command, &directory)
}

/// Runs `kmirror run --until-synced` to its end, which must be a success.
pub fn run_until_synced(properties: &Properties, within: Duration) -> Result<Finished> {
    let process = start_run(properties, &["--until-synced"])?;
    let exit = process.wait(within)?;
    if exit.code() != Some(0) {
        bail!("kmirror ended with {}\n{}", exit.status, process.tail(40));
    }
    Ok(Finished { exit, stdout: process.stdout(), stderr: process.stderr() })
}

/// Runs `kmirror <arguments>` to its end, whatever that is.
pub fn finish(arguments: &[&str], within: Duration) -> Result<Finished> {
    let process = start(arguments)?;
    let exit = process.wait(within)?;
    Ok(Finished { exit, stdout: process.stdout(), stderr: process.stderr() })
}

/// What a finished run left.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub exit: Exit,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}
