//! The kmirror processes under test: one properties file, started, killed, stopped and paused as a plan says.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::clock;
use crate::faults::plan::{CLOCK_OFF, Fault, MirrorFault};
use crate::faults::trouble::{Outcome, Patient};
use crate::faults::world::{Means, NUMBERED, Site, TRANSACTIONS};
use crate::kmirror::{Properties, binary};
use crate::passwords::Passwords;
use crate::process::{Process, Signal};

/// How long a process may take to obey SIGTERM while its clusters are in trouble.
const STOP_WITHIN: Duration = Duration::from_secs(60);
/// `kmirror run` gives up with this when no flow could be started in time; whoever runs it starts it again.
const NOT_STARTED: i32 = 3;
/// Shorter than many faults last, so that requests without answer are given up within a short run, too.
const REQUEST_TIMEOUT_MS: &str = "5000";

/// The clocks of a process, one after the other, in seconds that they are ahead.
const CLOCKS: [i64; 3] = [0, CLOCK_OFF, -CLOCK_OFF];

/// Two flows from one cluster: numbered records as they come, transactions as their consumers see them; both written in
/// transactions if `transactional`.
#[must_use]
pub fn properties(source: &Site, target: &Site, transactional: bool) -> Properties {
    let mut all = Properties::of("clusters = plain, committed, target\n")
        .with("plain->target.enabled", "true")
        .with("plain->target.topics", NUMBERED)
        .with("committed->target.enabled", "true")
        .with("committed->target.topics", TRANSACTIONS)
        .with("committed.consumer.isolation.level", "read_committed")
        .with("emit.heartbeats.enabled", "false")
        .with("heartbeats.replication.enabled", "false")
        .with("refresh.topics.interval.seconds", "2")
        .with("offset.flush.interval.ms", "1000")
        .with("exactly.once.source.support", if transactional { "enabled" } else { "disabled" })
        .identity();
    for client in ["plain.consumer", "committed.consumer", "target.producer"] {
        all = all.with(&format!("{client}.request.timeout.ms"), REQUEST_TIMEOUT_MS);
    }
    for (alias, site) in [("plain", source), ("committed", source), ("target", target)] {
        all = all
            .with(&format!("{alias}.bootstrap.servers"), &site.far)
            .with(&format!("{alias}.admin.request.timeout.ms"), REQUEST_TIMEOUT_MS);
        all = site.passwords.login(all, alias);
    }
    for topic in ["offset.storage", "offset-syncs.topic", "checkpoints.topic"] {
        all = all.with(&format!("{topic}.replication.factor"), "3");
    }
    Passwords::provider(all).with("replication.factor", "3")
}

/// One process after the other in the same place.
pub struct Mirror {
    place: Place,
    process: Process,
    starts: u32,
    /// How often it found its clusters out of reach at its start and was started again.
    pub gave_up: u32,
    /// What it did that it must not do.
    pub offences: Vec<String>,
}

/// What all processes in one place have in common.
struct Place {
    number: usize,
    binary: PathBuf,
    file: PathBuf,
    /// Where logs go.
    directory: PathBuf,
    /// The library that gives a process another clock, if the binary takes it.
    clocks: Option<String>,
}

impl Place {
    /// Starts a process for the `start`th time (0, 1, ...).
    fn spawn(&self, start: u32) -> Result<Process> {
        let mut command = Command::new(&self.binary);
        command.arg("run").arg(&self.file);
        if let Some(library) = &self.clocks {
            let turn = (self.number + start as usize) % CLOCKS.len();
            command.envs(clock::ahead(library, CLOCKS[turn]));
        }
        Process::spawn(&format!("kmirror-{}-{start:04}", self.number + 1), &mut command, &self.directory)
    }
}

impl Mirror {
    /// Starts process `number` (0, 1, ...) on `file`; logs go to `directory`.
    pub fn start(number: usize, file: &Path, directory: &Path, means: &Means) -> Result<Self> {
        let binary = binary()?;
        let clocks = means.clocks.clone().filter(|_| clock::goes_under(&binary));
        let place = Place { number, binary, file: file.to_owned(), directory: directory.to_owned(), clocks };
        let process = place.spawn(0)?;
        Ok(Self { place, process, starts: 1, gave_up: 0, offences: Vec::new() })
    }

    fn again(&mut self) -> Result<()> {
        self.process = self.place.spawn(self.starts)?;
        self.starts += 1;
        Ok(())
    }

    /// Ends it for good; it must obey.
    pub fn finish(&mut self) -> Result<()> {
        self.tend()?;
        self.stop();
        if self.process.stderr().contains("panicked") {
            self.offences.push(format!("it panicked\n{}", self.process.tail(30)));
        }
        Ok(())
    }

    /// The last lines it wrote.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        self.process.tail(lines)
    }

    fn stop(&mut self) {
        self.process.signal(Signal::TERM);
        match self.process.wait(STOP_WITHIN) {
            Ok(exit) if exit.code() == Some(0) => {}
            Ok(exit) => {
                self.offences.push(format!("stopped with {}\n{}", exit.status, self.process.tail(20)))
            }
            Err(error) => {
                self.offences.push(format!("{error:#}"));
                self.process.kill().ok();
            }
        }
    }
}

impl Patient for Mirror {
    fn inject(&mut self, fault: Fault) -> Result<Outcome> {
        let Fault::Mirror(number, fault) = fault else { bail!("{fault} is not for a kmirror process") };
        if number != self.place.number {
            bail!("a fault for process {number} came to process {}", self.place.number);
        }
        self.tend()?;
        match fault {
            MirrorFault::Killed => self.process.kill().map(drop)?,
            MirrorFault::Stopped => self.stop(),
            MirrorFault::Paused => self.process.signal(Signal::STOP),
        }
        Ok(Outcome::Done)
    }

    fn heal(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Mirror(_, MirrorFault::Paused) => {
                self.process.signal(Signal::CONT);
                Ok(())
            }
            _ => self.again(),
        }
    }

    fn tend(&mut self) -> Result<()> {
        let Some(exit) = self.process.exited() else { return Ok(()) };
        if exit.code() == Some(NOT_STARTED) {
            self.gave_up += 1;
        } else {
            self.offences.push(format!("ended by itself with {}\n{}", exit.status, self.process.tail(30)));
        }
        self.again()
    }
}
