//! `kmirror checkpoints`, `heartbeats` and `offset-syncs`: the records of MirrorMaker 2's small topics, line by line. Writes
//! nothing to any cluster.

mod json;

use std::io::{self, Write};

use anyhow::bail;
use kmirror_engine::chain;
use kmirror_engine::offsets::topics::{InternalTopic, Place, read};
use kmirror_engine::plan::{FlowPlan, Plan};
use kmirror_protocol::wire::record::Record;
use tracing::{error, info, warn};

use crate::args::InternalArguments;
use crate::exit::Exit;
use crate::file::plan_or_exit;

/// Writes the records and says how the process ends.
///
/// # Errors
/// When the file cannot be read, names no such flow, or the records cannot be written.
pub(crate) async fn show(
    kind: InternalTopic,
    arguments: &InternalArguments,
    mut out: impl Write + Send,
) -> anyhow::Result<Exit> {
    let plan = match plan_or_exit(&arguments.file)? {
        Ok(plan) => plan,
        Err(exit) => return Ok(exit),
    };
    let mut exit = Exit::Success;
    for place in places(&plan, kind, arguments.flow.as_deref())? {
        info!(cluster = place.cluster.as_str(), topic = &*place.topic, "reading");
        let mut written = Ok(());
        let lines = |partition, record| {
            if written.is_ok() {
                written = write_line(&place, kind, partition, &record, arguments.json, &mut out);
            }
        };
        if let Err(why) = read(&place, lines).await {
            error!("{}", chain(&why));
            exit = Exit::StartFailed;
        }
        written?;
    }
    out.flush()?;
    Ok(exit)
}

/// The topics of the flow of that name, enabled or not, or else of all that are enabled; each once. Heartbeats are also
/// those of pairs without a flow.
fn places(plan: &Plan, kind: InternalTopic, name: Option<&str>) -> anyhow::Result<Vec<Place>> {
    let is_meant = |flow: &&FlowPlan| name.map_or(flow.enabled, |name| flow.name() == name);
    let mut found: Vec<Place> = plan.flows.iter().filter(is_meant).map(|flow| kind.of(flow)).collect();
    if kind == InternalTopic::Heartbeats {
        let pairs = plan.heartbeats.iter().filter(|pair| name.is_none_or(|name| pair.name() == name));
        found.extend(pairs.map(InternalTopic::heartbeats_of));
    }
    if let Some(name) = name.filter(|_| found.is_empty()) {
        let known: Vec<String> = plan.flows.iter().map(FlowPlan::name).collect();
        bail!("the file has no flow {name}; it has {}", known.join(", "));
    }
    let mut places: Vec<Place> = Vec::new();
    for place in found {
        if !places.iter().any(|known| known.cluster == place.cluster && known.topic == place.topic) {
            places.push(place);
        }
    }
    Ok(places)
}

fn write_line(
    place: &Place,
    kind: InternalTopic,
    partition: i32,
    record: &Record,
    as_json: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let Some(decoded) = kind.decode(record) else {
        warn!("{}-{partition}@{} is no record of this kind: left out", place.topic, record.offset);
        return Ok(());
    };
    if as_json { json::write(place, partition, record, &decoded, out) } else { writeln!(out, "{decoded}") }
}

#[cfg(test)]
mod tests;
