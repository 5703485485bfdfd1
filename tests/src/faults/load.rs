//! The load, and the look at how far the target is behind: both librdkafka's (`load.py`, `lag.py`).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::faults::figures::Lag;
use crate::faults::world::{NUMBERED, TRANSACTIONS};
use crate::oracle;
use crate::process::{Process, Signal};

/// What was produced has to reach the source, and its coordinators to answer, once every fault is healed.
const LOAD_ENDS_WITHIN: Duration = Duration::from_secs(300);
const LOOK_ENDS_WITHIN: Duration = Duration::from_secs(30);
/// Until the first record is at the source.
const BEGINS_WITHIN: Duration = Duration::from_secs(60);

/// Producers at work.
pub struct Load {
    producer: Process,
    lag: Process,
    directory: PathBuf,
}

/// What was produced.
pub struct Produced {
    /// What `load.py` printed.
    pub ledger: Value,
    /// It, in a file.
    pub file: PathBuf,
    /// How far the target was behind.
    pub lags: Vec<Lag>,
}

impl Load {
    /// Starts it; `rate` in records a second.
    pub fn start(source: &str, target: &str, rate: u32, seed: u64, directory: &Path) -> Result<Self> {
        let (rate, seed) = (rate.to_string(), seed.to_string());
        let arguments = [source, NUMBERED, TRANSACTIONS, "--rate", &rate, "--seed", &seed];
        let producer = oracle::start("load", "load", &arguments, directory)?;
        let lag = oracle::start("lag", "lag", &[source, target, NUMBERED], directory)?;
        oracle::wait_for_offsets(source, NUMBERED, 1, BEGINS_WITHIN)
            .with_context(|| format!("the load does not begin\n{}", producer.tail(20)))?;
        Ok(Self { producer, lag, directory: directory.to_owned() })
    }

    /// Ends the load with the last record of every partition. The look goes on.
    pub fn stop(&self) -> Result<Value> {
        self.producer.signal(Signal::TERM);
        let exit = self.producer.wait(LOAD_ENDS_WITHIN)?;
        if !exit.status.success() {
            bail!("the load failed ({})\n{}", exit.status, self.producer.tail(30));
        }
        serde_json::from_str(&self.producer.stdout()).context("load.py printed no JSON")
    }

    /// Ends the look, too.
    pub fn finish(self, ledger: Value) -> Result<Produced> {
        self.lag.stop(LOOK_ENDS_WITHIN)?;
        let file = self.directory.join("ledger.json");
        fs::write(&file, ledger.to_string())?;
        let lags = self.lag.stdout().lines().filter_map(Lag::parse).collect();
        Ok(Produced { ledger, file, lags })
    }
}
