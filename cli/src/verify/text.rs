//! The report as people read it.

use std::io::Write;

use kmirror_engine::verify::compare::finding::{Finding, Kind, Span, Which};
use kmirror_engine::verify::report::{FlowReport, PartitionReport};

use super::{Flow, Report};
use crate::summary::{bytes_text, per_second};

/// Findings shown of one partition at most; `--json` has more.
const FINDINGS_SHOWN_MAX: usize = 20;

pub(super) fn write(report: &Report, out: &mut impl Write) -> anyhow::Result<()> {
    for Flow { name, result } in &report.flows {
        match result {
            Ok(flow) => write_flow(report, flow, out)?,
            Err(error) => writeln!(out, "{name}: not compared: {error}")?,
        }
    }
    Ok(())
}

fn write_flow(report: &Report, flow: &FlowReport, out: &mut impl Write) -> std::io::Result<()> {
    let counts = flow.counts();
    let bytes: u64 = flow.partitions.iter().map(|one| one.bytes).sum();
    let seconds = report.took.as_secs_f64();
    writeln!(
        out,
        "{}: {} records the same in {} partitions ({} read in {seconds:.1} s, {}/s){}",
        flow.name(),
        counts.matched,
        flow.partitions.len(),
        bytes_text(bytes),
        bytes_text(per_second(bytes, report.took)),
        if flow.sample < 1.0 { format!(", a sample of {}", flow.sample) } else { String::new() },
    )?;
    let whole = counts.whole_batches;
    writeln!(
        out,
        "  {whole} pairs of batches compared as they are, {} batches opened",
        counts.opened_batches
    )?;
    for (count, what) in [
        (counts.missing, "records missing at the target"),
        (counts.extra, "records that only the target has"),
        (counts.altered, "records altered"),
        (counts.out_of_order, "records out of order"),
        (counts.damaged, "batches damaged"),
        (counts.compacted, "records that a log cleaner removed at one side (no difference)"),
    ] {
        if count > 0 {
            writeln!(out, "  {count} {what}")?;
        }
    }
    for partition in &flow.partitions {
        write_partition(partition, out)?;
    }
    let verdict = match (counts.differences(), flow.partitions.iter().any(|one| one.error.is_some())) {
        (0, false) if flow.partitions.is_empty() => "nothing was compared",
        (0, false) => "nothing differs",
        (0, true) => "nothing differs in what could be compared",
        _ => "source and target differ",
    };
    writeln!(out, "  {verdict}")
}

fn write_partition(partition: &PartitionReport, out: &mut impl Write) -> std::io::Result<()> {
    let source = format!("{}-{}", partition.source_topic, partition.partition);
    let target = format!("{}-{}", partition.target_topic, partition.partition);
    if let Some(error) = &partition.error {
        writeln!(out, "  {source}: not compared to its end: {error}")?;
    }
    for (span, whose, other) in
        [(partition.expired_at_target, &source, "target"), (partition.expired_at_source, &target, "source")]
    {
        if let Some(span) = span {
            writeln!(out, "  {}: not compared: the {other} does not hold them (any more)", at(whose, span))?;
        }
    }
    if !partition.timestamps_compared {
        writeln!(out, "  {target}: timestamps not compared: the target has its own (LogAppendTime)")?;
    }
    for finding in partition.findings.iter().take(FINDINGS_SHOWN_MAX) {
        writeln!(out, "  {}", line(finding, &source, &target))?;
    }
    let left_out =
        partition.findings.len().saturating_sub(FINDINGS_SHOWN_MAX) as u64 + partition.findings_left_out;
    if left_out > 0 {
        writeln!(out, "  {source}: {left_out} findings more (--json lists up to 1000)")?;
    }
    Ok(())
}

fn line(finding: &Finding, source: &str, target: &str) -> String {
    let (source, target) = (at(source, finding.source), at(target, finding.target));
    let records = finding.records;
    match finding.kind {
        Kind::Missing => format!("missing: {source} ({records} records), expected at {target}"),
        Kind::Extra => format!("extra: {target} ({records} records), before {source}"),
        Kind::Altered(fields) => {
            let fields = fields.names().collect::<Vec<_>>().join(", ");
            format!("altered: {source} is {target} with another {fields}")
        }
        Kind::OutOfOrder => format!("out of order: {source} stands at {target}"),
        Kind::Damaged(Which::Source) => format!("damaged: the batch of {source}"),
        Kind::Damaged(Which::Target) => format!("damaged: the batch of {target}"),
    }
}

fn at(partition: &str, span: Span) -> String {
    if span.first == span.last {
        format!("{partition}@{}", span.first)
    } else {
        format!("{partition}@{}..{}", span.first, span.last)
    }
}
