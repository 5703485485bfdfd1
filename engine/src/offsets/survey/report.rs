//! What a survey of a flow's groups found. Pure.

use std::sync::Arc;

use kmirror_protocol::client::groups::{DescribedGroup, GroupKind, GroupState};
use kmirror_protocol::wire::error::ErrorCode;

use crate::ids::{SourceOffset, SourcePartition};
use crate::offsets::locate::Located;

/// The groups of a flow.
#[derive(Debug)]
pub struct GroupsReport {
    /// Those with a position in a topic that is mirrored, in the order of their ids.
    pub groups: Vec<GroupReport>,
    /// What may be missing from the list, and why.
    pub notes: Vec<String>,
}

/// One group.
#[derive(Debug)]
pub struct GroupReport {
    /// Its id, on both sides.
    pub group: Arc<str>,
    /// Its kind at the source.
    pub kind: GroupKind,
    /// Its state at the source.
    pub source_state: GroupState,
    /// What it is at the target; none where that may not be known.
    pub target: Option<DescribedGroup>,
    /// Where it stands, partition by partition.
    pub positions: Vec<Position>,
}

/// Where a group stands in a partition.
#[derive(Debug)]
pub struct Position {
    /// The partition at the source.
    pub partition: SourcePartition,
    /// Where the group stands there.
    pub source: SourceOffset,
    /// The end of the source's log.
    pub source_end: Option<i64>,
    /// What the group wrote beside its position.
    pub metadata: Arc<str>,
    /// The topic at the target.
    pub target_topic: Arc<str>,
    /// Where that position lies there.
    pub located: Located,
    /// Where the group stands at the target.
    pub target_committed: Option<i64>,
    /// The first offset of the target's log.
    pub target_start: Option<i64>,
}

impl Position {
    /// How many source offsets the group has not read yet.
    pub fn lag(&self) -> Option<i64> {
        Some((self.source_end? - self.source.0).max(0))
    }

    /// How many target offsets would be read again if the group moved over now: from where it stands at the target, or
    /// else from the first record there, up to where it stands at the source. Negative for what would be left out.
    pub fn read_again(&self) -> Option<i64> {
        let committed = self.target_committed.filter(|offset| *offset >= 0);
        let begins =
            committed.map_or(self.target_start, |offset| Some(offset.max(self.target_start.unwrap_or(0))))?;
        let stands = self.located.target()?.0.max(self.target_start.unwrap_or(0));
        Some(stands - begins)
    }
}

/// What became of setting a group at the target.
#[derive(Debug, Default)]
pub struct Applied {
    /// Positions that were set.
    pub set: Vec<(Arc<str>, i32, i64)>,
    /// Positions that were refused, and why.
    pub refused: Vec<(Arc<str>, i32, ErrorCode)>,
    /// Why none was to be set.
    pub left_alone: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TargetOffset;

    fn position(target: i64, committed: Option<i64>, start: i64) -> Position {
        Position {
            partition: SourcePartition { topic: "t".into(), partition: 0 },
            source: SourceOffset(70),
            source_end: Some(100),
            metadata: "".into(),
            target_topic: "a.t".into(),
            located: Located::Exact(TargetOffset(target)),
            target_committed: committed,
            target_start: Some(start),
        }
    }

    #[test]
    fn what_is_read_again_counts_from_where_the_group_begins() {
        assert_eq!(position(50, Some(50), 0).read_again(), Some(0));
        assert_eq!(position(50, Some(45), 0).read_again(), Some(5));
        assert_eq!(position(50, Some(60), 0).read_again(), Some(-10), "records would be left out");
        assert_eq!(position(50, None, 20).read_again(), Some(30), "from the first record there is");
        assert_eq!(position(50, Some(-1), 20).read_again(), Some(30));
        assert_eq!(position(50, Some(10), 80).read_again(), Some(0), "both expired");
        assert_eq!(position(50, None, 0).lag(), Some(30));
    }
}
