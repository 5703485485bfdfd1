//! Starts a real Kafka for trying things by hand, or for one command that needs one.
//!
//! `cargo run -p kmirror-tests --example cluster -- 4.3.0 3` runs three brokers until standard input ends. With a
//! command behind it, that runs with `KMIRROR_TEST_BOOTSTRAP` set to their addresses, and all ends with it.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use kmirror_tests::kafka::{KafkaCluster, Options, Version};

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let version = arguments.next().unwrap_or_else(|| Version::V3_9_1.name().to_owned());
    let version = Version::from_name(&version).context("the version is 2.8.2, 3.9.1 or 4.3.0")?;
    let brokers = arguments.next().map_or(Ok(1), |number| number.parse())?;
    let cluster = KafkaCluster::start(version, Options { brokers, ..Options::default() })?;
    eprintln!("{} (log files in {})", cluster.bootstrap(), cluster.directory().display());
    let Some(program) = arguments.next() else {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut command = Command::new(&program);
    command.args(arguments).env("KMIRROR_TEST_BOOTSTRAP", cluster.bootstrap());
    let status = command.status().with_context(|| format!("cannot start {program}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
