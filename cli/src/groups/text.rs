//! The report as people read it.

use std::io::Write;

use kmirror_engine::offsets::survey::{Applied, GroupReport, Position};

use super::Flow;

const HEADS: [&str; 8] =
    ["TOPIC-PARTITION", "STANDS AT", "LAG", "TARGET", "WOULD STAND AT", "STANDS AT", "READ AGAIN", ""];

pub(super) fn write(flows: &[Flow], out: &mut impl Write) -> anyhow::Result<()> {
    for flow in flows {
        let Ok(report) = &flow.result else { continue };
        writeln!(out, "{}", flow.name)?;
        for note in &report.notes {
            writeln!(out, "  note: {note}")?;
        }
        if report.groups.is_empty() {
            writeln!(out, "  no group has a position in a topic that is mirrored")?;
        }
        for group in &report.groups {
            write_group(group, out)?;
        }
        match &flow.applied {
            Some(Ok(applied)) => write_applied(applied, out)?,
            Some(Err(error)) => writeln!(out, "  not set: {error}")?,
            None => {}
        }
    }
    Ok(())
}

fn write_group(group: &GroupReport, out: &mut impl Write) -> anyhow::Result<()> {
    let target = group.target.map_or_else(|| "not to be seen".to_owned(), |target| target.state.to_string());
    writeln!(
        out,
        "\n  {} ({}; at the source {}, at the target {target})",
        group.group,
        group.kind.name(),
        group.source_state
    )?;
    let rows: Vec<[String; 8]> = group.positions.iter().map(row).collect();
    let heads = HEADS.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&heads]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEADS.len()).map(width).collect();
    for row in [&heads].into_iter().chain(&rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(out, "    {}", line.trim_end())?;
    }
    Ok(())
}

fn row(position: &Position) -> [String; 8] {
    let number = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    [
        position.partition.to_string(),
        position.source.to_string(),
        number(position.lag()),
        format!("{}-{}", position.target_topic, position.partition.partition),
        number(position.located.target().map(|target| target.0)),
        number(position.target_committed),
        number(position.read_again()),
        position.located.to_string(),
    ]
}

fn write_applied(applied: &Applied, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out)?;
    for (topic, partition, offset) in &applied.set {
        writeln!(out, "  set: {topic}-{partition} to {offset}")?;
    }
    for (topic, partition, code) in &applied.refused {
        writeln!(out, "  refused: {topic}-{partition}: {code}")?;
    }
    if let Some(why) = &applied.left_alone {
        writeln!(out, "  not set: {why}")?;
    }
    Ok(())
}
