//! What a mirror did, as a person reads it at the end. Knows the status, not how to get it.

use std::fmt::Write;
use std::time::Duration;

use kmirror_engine::flow::event::Side;
use kmirror_engine::flow::rewrite::{DropReason, ReencodeReason};
use kmirror_engine::status::{FlowStatus, PartitionState, Status};

/// Partitions listed one by one at most; the rest is counted.
const TROUBLED_SHOWN_MAX: usize = 20;

/// Totals over every partition of every flow.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) partitions: u64,
    pub(crate) synced: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) lag: u64,
    /// Source offsets between where mirroring began and where it is to end.
    pub(crate) wanted: u64,
    /// How many of them are done.
    pub(crate) done: u64,
    pub(crate) troubled: u64,
}

pub(crate) fn totals(status: &Status) -> Totals {
    let mut totals = Totals::default();
    let offsets = |count: i64| u64::try_from(count).unwrap_or(0);
    for flow in &status.flows {
        for partition in flow.partitions() {
            totals.partitions += 1;
            totals.synced += u64::from(partition.is_synced());
            totals.records += partition.records();
            totals.bytes += partition.bytes();
            totals.lag += offsets(partition.lag());
            let (start, goal) = (partition.start().0, partition.goal().0);
            let wanted = offsets(goal - start);
            totals.wanted += wanted;
            totals.done += offsets(partition.acknowledged_next().0.min(goal) - start).min(wanted);
            totals.troubled += u64::from(partition.state() != PartitionState::Running);
        }
        totals.troubled += flow.trouble().len() as u64;
    }
    totals
}

/// Some lines for each flow: how much, how fast, what went which way and why, and what is wrong.
pub(crate) fn summary(status: &Status, took: Duration) -> String {
    let mut text = String::new();
    for flow in &status.flows {
        flow_summary(&mut text, flow, took);
    }
    text
}

fn flow_summary(text: &mut String, flow: &FlowStatus, took: Duration) {
    let partitions = flow.partitions();
    let (mut records, mut bytes, mut lost) = (0, 0, 0);
    for partition in &partitions {
        records += partition.records();
        bytes += partition.bytes();
        lost += partition.lost();
    }
    let per_second = |count: u64| per_second(count, took);
    let _ = writeln!(
        text,
        "{}: {records} records, {} in {} partitions in {:.1} s ({}/s, {} records/s)",
        flow.name(),
        bytes_text(bytes),
        partitions.len(),
        took.as_secs_f64(),
        bytes_text(per_second(bytes)),
        per_second(records),
    );
    let forwarded = &flow.counters.forwarded;
    let mut way = |what: &str, why: &str, batches: u64, bytes: u64| {
        if batches > 0 {
            let _ = writeln!(text, "  {what:<12} {batches:>10} batches {:>10}  {why}", bytes_text(bytes));
        }
    };
    way("forwarded", "as they were", forwarded.batches(), forwarded.bytes());
    for reason in ReencodeReason::ALL {
        let tally = flow.counters.reencoded(reason);
        way("re-encoded", reason.name(), tally.batches(), tally.bytes());
    }
    for reason in DropReason::ALL {
        let tally = flow.counters.dropped(reason);
        way("dropped", reason.name(), tally.batches(), tally.bytes());
    }
    if lost > 0 {
        let _ = writeln!(text, "  {lost} source offsets could not be mirrored: they were deleted before");
    }
    if flow.counters.possible_duplicates() > 0 {
        let _ =
            writeln!(text, "  at most {} records may be there twice", flow.counters.possible_duplicates());
    }
    for side in [Side::Source, Side::Target] {
        let throttling = flow.throttling(side);
        if throttling.responses() > 0 {
            let _ = writeln!(
                text,
                "  throttled by quotas of the {side} for {:.1} s in {} answers",
                throttling.silence().as_secs_f64(),
                throttling.responses()
            );
        }
    }
    troubles(text, flow);
}

fn troubles(text: &mut String, flow: &FlowStatus) {
    for (about, what) in flow.trouble() {
        let _ = writeln!(text, "  {about}: {what}");
    }
    let partitions = flow.partitions();
    let troubled: Vec<_> =
        partitions.iter().filter(|partition| partition.state() != PartitionState::Running).collect();
    for partition in troubled.iter().take(TROUBLED_SHOWN_MAX) {
        let note = partition.note();
        let _ = writeln!(
            text,
            "  {} is {}: {}",
            partition.source,
            partition.state().name(),
            note.as_deref().unwrap_or("no reason given")
        );
    }
    if troubled.len() > TROUBLED_SHOWN_MAX {
        let _ = writeln!(text, "  and {} partitions more", troubled.len() - TROUBLED_SHOWN_MAX);
    }
}

pub(crate) fn per_second(count: u64, took: Duration) -> u64 {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    u64::try_from(u128::from(count) * 1000 / u128::from(millis)).unwrap_or(u64::MAX)
}

/// Bytes as people write them, in powers of 1000.
pub(crate) fn bytes_text(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    for (unit, size) in UNITS {
        if bytes >= size {
            let tenths = bytes / (size / 10);
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_people_write_them() {
        assert_eq!(bytes_text(0), "0 B");
        assert_eq!(bytes_text(999), "999 B");
        assert_eq!(bytes_text(1_000), "1.0 kB");
        assert_eq!(bytes_text(861_405_855), "861.4 MB");
    }

    #[test]
    fn a_rate_of_no_time_is_no_division_by_zero() {
        assert_eq!(per_second(5, Duration::ZERO), 5_000);
        assert_eq!(per_second(3_000, Duration::from_secs(2)), 1_500);
    }
}
