//! Other clients as oracles: the Python scripts under `tests/oracle`, which use librdkafka.
//!
//! What a mirror did is judged by what an independent client reads on both sides, never by kmirror's own code.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::Process;
use crate::scripts::{self, python};

/// Runs a script that prints one JSON document.
pub fn ask(script: &str, arguments: &[&str]) -> Result<Value> {
    let text = scripts::run(script, arguments)?;
    serde_json::from_str(&text).with_context(|| format!("{script}.py said: {text}"))
}

/// Starts a script that runs until it gets SIGTERM.
pub fn start(script: &str, name: &str, arguments: &[&str], directory: &Path) -> Result<Process> {
    Process::spawn(name, python(script)?.args(arguments), directory)
}

/// Content of one partition as a client reads it from beginning to end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionDump {
    /// Number of records.
    pub records: u64,
    /// SHA-256 over key, value, headers and timestamp of all records in order.
    pub digest: String,
    /// First and last offset; none when empty.
    pub offsets: Option<(i64, i64)>,
}

/// Content of a topic, by partition.
pub type Dump = BTreeMap<i32, PartitionDump>;

/// Reads a topic whole. `options` as `dump.py` takes them.
pub fn dump(bootstrap: &str, topic: &str, options: &[&str]) -> Result<Dump> {
    let answer = ask("dump", &[&[bootstrap, topic], options].concat())?;
    partitions(&answer)
}

/// Produces a case and returns what a reader must find. `options` as `produce.py` takes them.
pub fn produce(bootstrap: &str, topic: &str, options: &[&str]) -> Result<Dump> {
    let answer = ask("produce", &[&[bootstrap, topic], options].concat())?;
    partitions(&answer)
}

/// Reads what `produce.py` or `dump.py` printed.
pub fn partitions(answer: &Value) -> Result<Dump> {
    let partitions = answer["partitions"].as_object().context("no partitions in the answer")?;
    partitions.iter().map(|(index, partition)| Ok((index.parse()?, partition_dump(partition)?))).collect()
}

fn partition_dump(partition: &Value) -> Result<PartitionDump> {
    Ok(PartitionDump {
        records: partition["records"].as_u64().context("no record count")?,
        digest: partition["digest"].as_str().context("no digest")?.to_owned(),
        offsets: partition["first"].as_i64().zip(partition["last"].as_i64()),
    })
}

/// An error that names every partition whose records, digests or counts differ. Offsets may differ.
pub fn same_content(source: &Dump, target: &Dump) -> Result<()> {
    let mut differences = String::new();
    for index in source.keys().chain(target.keys().filter(|index| !source.contains_key(index))) {
        let show = |dump: &Dump| match dump.get(index) {
            Some(p) => format!("{} records, {}..., offsets {:?}", p.records, &p.digest[..12], p.offsets),
            None => "no such partition".to_owned(),
        };
        let content = |dump: &Dump| dump.get(index).map(|p| (p.records, p.digest.clone()));
        if content(source) != content(target) {
            writeln!(differences, "partition {index}: source {}; target {}", show(source), show(target))?;
        }
    }
    if !differences.is_empty() {
        bail!("source and target differ:\n{differences}");
    }
    Ok(())
}

/// Creates a topic; `configs` as `key=value`.
pub fn create_topic(
    bootstrap: &str,
    topic: &str,
    partitions: i32,
    replicas: i32,
    configs: &[&str],
) -> Result<()> {
    let (partitions, replicas) = (partitions.to_string(), replicas.to_string());
    let arguments = [&[bootstrap, "create", topic, &partitions, &replicas], configs].concat();
    ask("admin", &arguments).map(drop)
}

/// Deletes topics and waits until they are gone.
pub fn delete_topics(bootstrap: &str, topics: &[&str]) -> Result<()> {
    ask("admin", &[&[bootstrap, "delete"], topics].concat()).map(drop)
}

/// Grows a topic to `partitions`.
pub fn add_partitions(bootstrap: &str, topic: &str, partitions: i32) -> Result<()> {
    ask("admin", &[bootstrap, "grow", topic, &partitions.to_string()]).map(drop)
}

/// All topics with their partition counts.
pub fn topics(bootstrap: &str) -> Result<BTreeMap<String, u64>> {
    let answer = ask("admin", &[bootstrap, "topics"])?;
    let topics = answer.as_object().context("no topics in the answer")?;
    Ok(topics.iter().filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect())
}

/// Settings of a topic that are set on the topic itself.
pub fn topic_settings(bootstrap: &str, topic: &str) -> Result<BTreeMap<String, String>> {
    let answer = ask("admin", &[bootstrap, "settings", topic])?;
    let settings = answer.as_object().context("no settings in the answer")?;
    Ok(settings.iter().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect())
}

/// End offsets minus start offsets of a topic, over all partitions; 0 when there is no such topic.
pub fn offsets_held(bootstrap: &str, topic: &str) -> Result<u64> {
    ask("admin", &[bootstrap, "held", topic])?.as_u64().context("no count in the answer")
}

/// Waits until `topic` holds at least `offsets`, as [`offsets_held`] counts.
pub fn wait_for_offsets(bootstrap: &str, topic: &str, offsets: u64, within: Duration) -> Result<()> {
    let deadline = Instant::now() + within;
    loop {
        let held = offsets_held(bootstrap, topic)?;
        if held >= offsets {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{topic} holds {held} of {offsets} offsets after {within:?}");
        }
        thread::sleep(Duration::from_millis(100));
    }
}
