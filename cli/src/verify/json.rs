//! The report as programs read it. The names of fields and codes do not change.

use std::io::Write;

use kmirror_engine::verify::compare::finding::{Counts, Finding, Kind, Span};
use kmirror_engine::verify::report::PartitionReport;
use serde_json::{Value, json};

use super::{Flow, Report};
use crate::exit::Exit;
use crate::json::print;

pub(super) fn write(report: &Report, out: &mut impl Write) -> anyhow::Result<()> {
    let value = json!({
        "file": report.file,
        "seconds": report.took.as_secs_f64(),
        "equal": super::exit(report) == Exit::Success,
        "flows": report.flows.iter().map(flow).collect::<Vec<_>>(),
    });
    print(&value, out)
}

fn flow(flow: &Flow) -> Value {
    match &flow.result {
        Err(error) => json!({ "flow": flow.name, "error": error, "partitions": [] }),
        Ok(report) => json!({
            "flow": flow.name,
            "source": report.source,
            "target": report.target,
            "error": null,
            "sample": report.sample,
            "counts": counts(&report.counts()),
            "partitions": report.partitions.iter().map(partition).collect::<Vec<_>>(),
        }),
    }
}

fn counts(counts: &Counts) -> Value {
    json!({
        "matched": counts.matched,
        "missing": counts.missing,
        "extra": counts.extra,
        "altered": counts.altered,
        "out_of_order": counts.out_of_order,
        "damaged_batches": counts.damaged,
        "compacted": counts.compacted,
        "not_mirrored_yet": counts.not_yet,
        "whole_batches": counts.whole_batches,
        "opened_batches": counts.opened_batches,
    })
}

fn partition(report: &PartitionReport) -> Value {
    let source = format!("{}-{}", report.source_topic, report.partition);
    let target = format!("{}-{}", report.target_topic, report.partition);
    let findings: Vec<Value> = report.findings.iter().map(|one| finding(one, &source, &target)).collect();
    json!({
        "source_topic": report.source_topic,
        "target_topic": report.target_topic,
        "partition": report.partition,
        "source_start_offset": report.source_range.0,
        "source_end_offset": report.source_range.1,
        "target_start_offset": report.target_range.0,
        "target_end_offset": report.target_range.1,
        "mirrored_to": report.mirrored_to,
        "counts": counts(&report.counts),
        "expired_at_target": report.expired_at_target.map(|span| range(&source, span)),
        "expired_at_source": report.expired_at_source.map(|span| range(&target, span)),
        "timestamps_compared": report.timestamps_compared,
        "bytes": report.bytes,
        "findings": findings,
        "findings_left_out": report.findings_left_out,
        "error": report.error,
    })
}

fn finding(finding: &Finding, source: &str, target: &str) -> Value {
    let fields = match finding.kind {
        Kind::Altered(fields) => Some(fields.names().collect::<Vec<_>>()),
        _ => None,
    };
    json!({
        "kind": finding.kind.code(),
        "source": range(source, finding.source),
        "target": range(target, finding.target),
        "records": finding.records,
        "fields": fields,
    })
}

/// `topic-partition@offset` of the first record, and the offsets as numbers.
fn range(partition: &str, span: Span) -> Value {
    json!({ "at": format!("{partition}@{}", span.first), "offset": span.first, "last_offset": span.last })
}
