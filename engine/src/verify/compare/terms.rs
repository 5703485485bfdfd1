//! What a comparison is told, asks for and gives. Values only. Pure.

use super::finding::{Counts, Findings, Span, Which};

/// What is to be compared and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Source records before this do not count.
    pub source_from: i64,
    /// Source records from here on do not count.
    pub source_until: i64,
    /// Target records before this do not count.
    pub target_from: i64,
    /// Source records before this must be at the target; later ones may be.
    pub required_end: i64,
    /// The source no longer has its first records: those the target still has of them are not extra.
    pub source_starts_late: bool,
    /// The target no longer has its first records, or never got them by choice: they are not missing.
    pub target_starts_late: bool,
    /// `target_from` lies somewhere before the partner of the first source record.
    pub open_start: bool,
    /// The target may go on behind the last source record.
    pub open_end: bool,
    /// The source's log is compacted.
    pub source_compacts: bool,
    /// The target's log is compacted.
    pub target_compacts: bool,
}

impl Options {
    /// Everything on both sides, strictly.
    pub fn strict() -> Self {
        Self {
            source_from: 0,
            source_until: i64::MAX,
            target_from: 0,
            required_end: i64::MAX,
            source_starts_late: false,
            target_starts_late: false,
            open_start: false,
            open_end: false,
            source_compacts: false,
            target_compacts: false,
        }
    }
}

/// What a comparison needs to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// More of this side, or its end.
    Need(Which),
    /// Nothing: it is over.
    Done,
}

/// What a comparison came to.
#[derive(Debug)]
pub struct Outcome {
    /// How much was compared and how much differs.
    pub counts: Counts,
    /// What differs, and where.
    pub findings: Findings,
    /// Source offsets that the target no longer has, or never got by choice.
    pub expired_at_target: Option<Span>,
    /// Target offsets that the source no longer has.
    pub expired_at_source: Option<Span>,
    /// Timestamps count: the target did not put its own in their place.
    pub timestamps_compared: bool,
    /// The offsets behind the last records that were compared.
    pub source_next: i64,
    /// The same at the target.
    pub target_next: i64,
}
