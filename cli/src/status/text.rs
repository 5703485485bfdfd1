//! The report as people read it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use kmirror_engine::share::view::{FlowView, PartitionView};

use super::Flow;

pub(super) fn write(flows: &[Flow], partitions: bool, out: &mut impl Write) -> anyhow::Result<()> {
    for flow in flows {
        let Ok(view) = &flow.result else { continue };
        writeln!(out, "{}", flow.name)?;
        write_members(view, out)?;
        let rows = if partitions { by_partition(view) } else { by_topic(view) };
        write_table(rows, out)?;
    }
    Ok(())
}

fn write_members(view: &FlowView, out: &mut impl Write) -> anyhow::Result<()> {
    match (view.members.is_empty(), &*view.protocol_type) {
        (true, _) => writeln!(out, "  nobody mirrors it (group {} is empty)", view.group)?,
        (false, "kmirror") => {}
        (false, "connect") => writeln!(out, "  a MirrorMaker 2 mirrors it (group {})", view.group)?,
        (false, other) => writeln!(out, "  group {} is used by {other}", view.group)?,
    }
    if view.is_moving {
        writeln!(out, "  its processes are just sharing it out")?;
    }
    let mut rows: Vec<Vec<String>> =
        vec![["", "HOST", "CLIENT ID", "PARTITIONS", "BYTES/S", ""].map(str::to_owned).to_vec()];
    for (number, member) in (1..).zip(&view.members) {
        let host = if member.host.is_empty() { &member.address } else { &member.host };
        rows.push(vec![
            format!("#{number}"),
            host.to_string(),
            member.client_id.to_string(),
            member.partitions.to_string(),
            member.bytes_per_second.to_string(),
            if member.leads { "runs what one process runs" } else { "" }.to_owned(),
        ]);
    }
    if view.members.is_empty() { Ok(()) } else { write_table(rows, out) }
}

fn by_partition(view: &FlowView) -> Vec<Vec<String>> {
    let heads = ["TOPIC-PARTITION", "TARGET TOPIC", "PROCESS", "PROGRESS", "SOURCE END", "LAG"];
    let row = |one: &PartitionView| {
        vec![
            one.source.to_string(),
            one.target_topic.to_string(),
            process(one),
            number(one.progress.map(|progress| progress.0)),
            number(one.end.map(|end| end.0)),
            number(one.lag()),
        ]
    };
    std::iter::once(heads.map(str::to_owned).to_vec()).chain(view.partitions.iter().map(row)).collect()
}

fn by_topic(view: &FlowView) -> Vec<Vec<String>> {
    let heads = ["TOPIC", "TARGET TOPIC", "PARTITIONS", "PROCESSES", "LAG"];
    let mut topics: BTreeMap<&str, Vec<&PartitionView>> = BTreeMap::new();
    for one in &view.partitions {
        topics.entry(&one.source.topic).or_default().push(one);
    }
    let row = |(topic, partitions): (&str, Vec<&PartitionView>)| {
        let processes: BTreeSet<String> = partitions.iter().map(|one| process(one)).collect();
        // A partition without progress has all of it to go, and how much that is nobody knows yet.
        let lag: Option<i64> = partitions.iter().map(|one| one.lag()).sum();
        vec![
            topic.to_owned(),
            partitions.first().map_or_else(String::new, |one| one.target_topic.to_string()),
            partitions.len().to_string(),
            processes.into_iter().collect::<Vec<_>>().join(" "),
            number(lag),
        ]
    };
    std::iter::once(heads.map(str::to_owned).to_vec()).chain(topics.into_iter().map(row)).collect()
}

fn process(partition: &PartitionView) -> String {
    partition.owner.map_or_else(|| "-".to_owned(), |owner| format!("#{}", owner + 1))
}

fn number(value: Option<i64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn write_table(rows: Vec<Vec<String>>, out: &mut impl Write) -> anyhow::Result<()> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    writeln!(out)?;
    Ok(())
}
