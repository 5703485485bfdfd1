//! How long a record takes through a mirror, measured by clients on both sides with one clock.

use anyhow::{Context, Result, ensure};
use kmirror_tests::oracle;

/// Milliseconds from producing to receiving.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// The middle.
    pub median: f64,
    /// 99 of 100 are faster.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
    /// How many were counted.
    pub records: u64,
}

/// Produces to one (bootstrap, topic) and receives from the other for that many seconds.
pub fn measure(source: &(String, String), target: &(String, String), seconds: u32) -> Result<Latency> {
    let seconds = seconds.to_string();
    let arguments = [&source.0, &target.0, &source.1, &target.1, "--seconds", &seconds];
    let answer = oracle::ask("latency", &arguments.map(AsRef::as_ref))?;
    let number = |key: &str| answer[key].as_f64().with_context(|| format!("no {key} in {answer}"));
    ensure!(answer["lost"] == 0, "{} records were lost", answer["lost"]);
    Ok(Latency {
        median: number("median")?,
        p99: number("p99")?,
        max: number("max")?,
        records: answer["records"].as_u64().context("no count")?,
    })
}
