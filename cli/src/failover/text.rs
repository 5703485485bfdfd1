//! The report as people read it, with what is to be done next.

use std::io::Write;

use kmirror_engine::failover::{PartitionStanding, ReverseStart};
use kmirror_engine::offsets::locate::Located;

use super::Report;

/// Partitions and groups named one by one at most; `--json` has all.
const NAMED_MAX: usize = 20;

pub(super) fn write(report: &Report, out: &mut impl Write) -> anyhow::Result<()> {
    let dry = if report.dry_run { " (dry run: nothing is written)" } else { "" };
    writeln!(out, "{}{dry}", report.flow)?;
    write_records(report, out)?;
    write_groups(report, out)?;
    write_reverse(report, out)?;
    write_next(report, out)
}

fn write_records(report: &Report, out: &mut impl Write) -> anyhow::Result<()> {
    match report.drained {
        Some(true) => writeln!(out, "  records: mirrored to the end")?,
        Some(false) => writeln!(out, "  records: NOT all could be mirrored, see the log")?,
        None => {}
    }
    let partitions = &report.standing.partitions;
    if !report.standing.source_answers {
        writeln!(
            out,
            "  records: the source does not answer, what it has beyond these offsets is not at the target"
        )?;
        for one in partitions.iter().take(NAMED_MAX) {
            writeln!(out, "    {} is at the target up to offset {}", one.source, one.mirrored)?;
        }
        return Ok(());
    }
    let missing: Vec<&PartitionStanding> = partitions.iter().filter(|one| one.missing() != Some(0)).collect();
    if missing.is_empty() {
        writeln!(out, "  records: nothing is missing at the target, {} partitions", partitions.len())?;
    }
    for one in missing.iter().take(NAMED_MAX) {
        let offsets = one.missing().map_or_else(|| "?".to_owned(), |missing| missing.to_string());
        let seconds = one.seconds.map(|seconds| format!(", {seconds:.1} s")).unwrap_or_default();
        writeln!(
            out,
            "    {}: {offsets} offsets are missing at the target, from {}{seconds}",
            one.source, one.mirrored
        )?;
    }
    if missing.len() > NAMED_MAX {
        writeln!(out, "    and {} more partitions", missing.len() - NAMED_MAX)?;
    }
    Ok(())
}

fn write_groups(report: &Report, out: &mut impl Write) -> anyhow::Result<()> {
    let groups = match &report.groups {
        Ok(groups) => groups,
        Err(error) => {
            writeln!(
                out,
                "  groups: not to be seen ({error}); at the target they stand where they were set last"
            )?;
            return Ok(());
        }
    };
    let positions = || groups.groups.iter().flat_map(|group| group.positions.iter());
    let count = |wanted: fn(&Located) -> bool| positions().filter(|one| wanted(&one.located)).count();
    writeln!(
        out,
        "  groups: {} with {} positions: {} exact, {} beyond what is mirrored, {} as MirrorMaker 2 knows them, {} unknown",
        groups.groups.len(),
        positions().count(),
        count(|located| matches!(located, Located::Exact(_))),
        count(|located| matches!(located, Located::Behind { .. })),
        count(|located| matches!(located, Located::LikeMm2(_))),
        count(|located| matches!(located, Located::Unknown(_))),
    )?;
    for note in &groups.notes {
        writeln!(out, "    note: {note}")?;
    }
    for (group, applied) in report.applied.iter().take(NAMED_MAX) {
        match applied {
            Ok(applied) if !applied.set.is_empty() => {
                writeln!(out, "    {group}: {} positions set", applied.set.len())?;
            }
            Ok(applied) => {
                let why = applied.left_alone.as_deref().unwrap_or("nothing to set");
                writeln!(out, "    {group}: {why}")?;
            }
            Err(error) => writeln!(out, "    {group}: not set: {error}")?,
        }
        let refused = applied.iter().flat_map(|applied| &applied.refused);
        for (topic, partition, code) in refused {
            writeln!(out, "    {group}: {topic}-{partition} refused: {code}")?;
        }
    }
    Ok(())
}

fn write_reverse(report: &Report, out: &mut impl Write) -> anyhow::Result<()> {
    let reverse = &report.reverse;
    if let Some(error) = &report.unprepared {
        return Ok(writeln!(out, "  {reverse}: not prepared: {error}; kmirror failback does it later")?);
    }
    if report.starts.is_empty() {
        return Ok(writeln!(out, "  {reverse}: would copy nothing back, its topics have other names")?);
    }
    let verb = if report.dry_run { "would begin" } else { "begins" };
    writeln!(out, "  {reverse}: {verb} behind what came from its target:")?;
    for one in report.starts.iter().take(NAMED_MAX) {
        let ReverseStart { partition, start, mirrored_back } = one;
        match (start, mirrored_back) {
            (_, Some(back)) if start.is_none_or(|start| *back >= start) => {
                writeln!(out, "    {partition}: mirrored back to offset {back} already")?;
            }
            (Some(start), _) => writeln!(out, "    {partition}: at offset {start}")?,
            (None, _) => writeln!(
                out,
                "    {partition}: NOT KNOWN, kmirror did not mirror it; {reverse} would copy all of it back"
            )?,
        }
    }
    Ok(())
}

fn write_next(report: &Report, out: &mut impl Write) -> anyhow::Result<()> {
    let (flow, reverse) = (&report.flow, &report.reverse);
    writeln!(out, "next:")?;
    if report.dry_run {
        writeln!(out, "  stop producers at the source, stop the mirror, and say this without --dry-run")?;
        return Ok(());
    }
    writeln!(out, "  1. point producers and consumers at the target of {flow}")?;
    writeln!(out, "  2. in the file, set {flow}.enabled = false and {reverse}.enabled = true")?;
    writeln!(out, "  3. start the mirror: it brings new records back from there")?;
    Ok(())
}
