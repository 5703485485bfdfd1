//! Starts a real Kafka for trying things by hand: `cargo run -p kmirror-tests --example cluster -- 3.9.1 1`.
//! Prints the bootstrap address and runs until standard input ends.

use anyhow::{Context, Result};
use kmirror_tests::kafka::{KafkaCluster, Options, Version};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let version = arguments.next().unwrap_or_else(|| Version::V3_9_1.name().to_owned());
    let version = Version::from_name(&version).context("the version is 3.9.1 or 4.3.0")?;
    let brokers = arguments.next().map_or(Ok(1), |number| number.parse())?;
    let cluster = KafkaCluster::start(version, Options { brokers, ..Options::default() })?;
    eprintln!("{} (log files in {})", cluster.bootstrap(), cluster.directory().display());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}
