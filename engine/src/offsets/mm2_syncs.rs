//! What MirrorMaker 2's offset syncs say of positions that kmirror did not mirror itself. Pure.
//!
//! A sync is one pair of offsets of the same record. Between two of them nobody knows how many records were left out,
//! so a position behind a sync is taken for the one right behind it (`OffsetSyncStore.translateDownstream`): some
//! records are read again, none is missed. That is all MirrorMaker 2 knows, and as good as these translations are.

use std::collections::HashMap;

use super::records::OffsetSync;
use crate::ids::{SourceOffset, SourcePartition, TargetOffset};

/// Pairs kept of one partition. MirrorMaker 2 keeps 64, the newer the denser; so does [`Mm2Syncs`] with more of them.
const PAIRS_MAX: usize = 512;

/// The offset syncs of a flow.
#[derive(Debug, Default)]
pub struct Mm2Syncs(HashMap<SourcePartition, Vec<(SourceOffset, TargetOffset)>>);

impl Mm2Syncs {
    /// Takes in the next record of the topic; records that are no offset syncs are passed over.
    pub fn read(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) {
        if let Some(sync) = OffsetSync::read(key, value) {
            self.insert(sync);
        }
    }

    /// Takes in a sync. One that goes back, on either side, says that a topic was made anew: what was known before it
    /// is worth nothing then.
    pub fn insert(&mut self, sync: OffsetSync) {
        let pairs = self.0.entry(sync.partition).or_default();
        let (upstream, downstream) = (sync.upstream, sync.downstream);
        match pairs.last() {
            Some(last) if upstream < last.0 || downstream < last.1 => pairs.clear(),
            Some(last) if upstream == last.0 => {
                pairs.pop();
            }
            _ => {}
        }
        pairs.push((upstream, downstream));
        if pairs.len() > PAIRS_MAX {
            thin_out(pairs);
        }
    }

    /// Where a position would lie by the newest sync at or before it; none if there is no such sync.
    pub fn translate(&self, partition: &SourcePartition, position: SourceOffset) -> Option<TargetOffset> {
        let pairs = self.0.get(partition)?;
        let behind = pairs.partition_point(|(upstream, _)| *upstream <= position);
        let (upstream, downstream) = pairs.get(behind.checked_sub(1)?)?;
        Some(if *upstream == position { *downstream } else { TargetOffset(downstream.0.saturating_add(1)) })
    }

    /// How many partitions have syncs.
    pub fn partitions(&self) -> usize {
        self.0.len()
    }
}

/// Leaves out every other pair of the older half.
fn thin_out(pairs: &mut Vec<(SourceOffset, TargetOffset)>) {
    let half = pairs.len() / 2;
    let mut at = 0;
    pairs.retain(|_| {
        at += 1;
        at > half || at % 2 == 1
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> SourcePartition {
        SourcePartition { topic: "orders".into(), partition: 0 }
    }

    fn syncs(pairs: &[(i64, i64)]) -> Mm2Syncs {
        let mut syncs = Mm2Syncs::default();
        for (upstream, downstream) in pairs {
            let (upstream, downstream) = (SourceOffset(*upstream), TargetOffset(*downstream));
            syncs.insert(OffsetSync { partition: partition(), upstream, downstream });
        }
        syncs
    }

    fn translated(syncs: &Mm2Syncs, position: i64) -> Option<i64> {
        syncs.translate(&partition(), SourceOffset(position)).map(|target| target.0)
    }

    /// The cases of MirrorMaker 2's own `OffsetSyncStoreTest`.
    #[test]
    fn the_newest_sync_before_a_position_counts() {
        let syncs = syncs(&[(100, 200), (150, 251)]);
        assert_eq!(translated(&syncs, 5), None, "before the first sync nothing is known");
        assert_eq!(translated(&syncs, 100), Some(200));
        assert_eq!(translated(&syncs, 149), Some(201));
        assert_eq!(translated(&syncs, 150), Some(251));
        assert_eq!(translated(&syncs, 1_000_000), Some(252));
    }

    #[test]
    fn a_sync_that_goes_back_begins_anew() {
        let mut syncs = syncs(&[(100, 200), (150, 251), (3, 260)]);
        assert_eq!(translated(&syncs, 150), Some(261));
        assert_eq!(translated(&syncs, 2), None);
        let (upstream, downstream) = (SourceOffset(9), TargetOffset(1));
        syncs.insert(OffsetSync { partition: partition(), upstream, downstream });
        assert_eq!(translated(&syncs, 8), None, "the target's log was made anew, too");
    }

    #[test]
    fn a_repeated_sync_counts_as_it_came_last() {
        assert_eq!(translated(&syncs(&[(7, 8), (7, 9)]), 7), Some(9));
    }

    #[test]
    fn what_is_left_out_only_makes_positions_earlier() {
        let pairs: Vec<(i64, i64)> = (0..100_000).map(|n| (n * 10, n * 9)).collect();
        let syncs = syncs(&pairs);
        assert!(syncs.0[&partition()].len() <= PAIRS_MAX);
        for position in (0..1_000_000).step_by(777) {
            let exact = position / 10 * 9 + i64::from(position % 10 > 0);
            let found = translated(&syncs, position).unwrap();
            assert!(found <= exact, "{position}: {found} lies behind {exact}");
        }
        assert_eq!(translated(&syncs, 999_990), Some(899_991), "the newest stays");
    }

    #[test]
    fn other_records_are_passed_over() {
        let mut syncs = Mm2Syncs::default();
        syncs.read(None, None);
        syncs.read(Some(b"\0"), Some(b"x"));
        assert_eq!(syncs.partitions(), 0);
    }
}
