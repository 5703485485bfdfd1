//! What a verification tells: values for whoever shows them. Knows no clusters. Pure.

use super::compare::finding::{Counts, Finding, Span};

/// What became of one flow.
#[derive(Debug)]
pub struct FlowReport {
    /// The source's alias.
    pub source: String,
    /// The target's alias.
    pub target: String,
    /// Its partitions, in the order of their topics' names and their numbers.
    pub partitions: Vec<PartitionReport>,
    /// The share of each partition that was compared; 1 for all.
    pub sample: f64,
}

/// What became of one partition.
#[derive(Debug, Default)]
pub struct PartitionReport {
    /// The topic at the source.
    pub source_topic: String,
    /// The topic at the target.
    pub target_topic: String,
    /// The partition's number, the same on both sides.
    pub partition: i32,
    /// Source offsets that were to be compared, the second one behind the last.
    pub source_range: (i64, i64),
    /// Target offsets that were read, the second one behind the last.
    pub target_range: (i64, i64),
    /// The flow's progress: source records before it must be at the target. None if the flow never wrote any; then
    /// all that the source held at the start must be there.
    pub mirrored_to: Option<i64>,
    /// How much was compared and differs.
    pub counts: Counts,
    /// What differs, the first ones.
    pub findings: Vec<Finding>,
    /// Further findings that are counted only.
    pub findings_left_out: u64,
    /// Source offsets the target no longer has, or never got by choice (`auto.offset.reset=latest`).
    pub expired_at_target: Option<Span>,
    /// Target offsets the source no longer has.
    pub expired_at_source: Option<Span>,
    /// Timestamps were compared: the target does not put its own in their place.
    pub timestamps_compared: bool,
    /// Bytes read of both sides.
    pub bytes: u64,
    /// Why it could not be compared to the end.
    pub error: Option<String>,
}

impl FlowReport {
    /// The sum over all partitions.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        self.partitions.iter().for_each(|one| sum.add(&one.counts));
        sum
    }

    /// `A->B`
    pub fn name(&self) -> String {
        format!("{}->{}", self.source, self.target)
    }
}
