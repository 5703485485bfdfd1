//! Which leader epochs wrote the source's log, as far as it was read, and where another log parts from that.
//!
//! A broker that answers with a diverging epoch (KIP-595) or with the end of an epoch (KIP-320) tells that records
//! read before are no longer in its log: an unclean leader election cut them off. Pure.

use std::collections::VecDeque;

use kmirror_protocol::wire::fetch::EpochEnd;

use crate::ids::SourceOffset;

/// Epochs that are remembered; older ones are forgotten. A log parts from ours within the latest ones.
const EPOCHS_MAX: usize = 64;

/// The epochs of what was read, each with the first offset that was read of it; both grow.
#[derive(Debug, Default)]
pub struct EpochHistory {
    starts: VecDeque<(i32, SourceOffset)>,
}

/// Whether a log parts from what was read up to `position`, the last of it in `epoch`, given the largest epoch up to that
/// one that the log knows and where it ends there (KIP-320).
pub fn parts(shared: EpochEnd, epoch: i32, position: SourceOffset) -> bool {
    shared.epoch < epoch || shared.end_offset < position.0
}

impl EpochHistory {
    /// Records from `first` on were written in `epoch`.
    pub fn learn(&mut self, epoch: i32, first: SourceOffset) {
        if epoch < 0 || self.starts.back().is_some_and(|(last, _)| *last >= epoch) {
            return;
        }
        // A batch may begin before what is known of its first records, where the log begins inside it.
        let first = self.starts.back().map_or(first, |(_, start)| first.max(SourceOffset(start.0 + 1)));
        if self.starts.len() == EPOCHS_MAX {
            self.starts.pop_front();
        }
        self.starts.push_back((epoch, first));
    }

    /// Learns what `other` knows of the log before `end`.
    pub fn learn_all(&mut self, other: &Self, end: SourceOffset) {
        for (epoch, first) in other.starts.iter().filter(|(_, first)| *first < end) {
            self.learn(*epoch, *first);
        }
    }

    /// The epoch of the last record before `offset`, if it is remembered.
    pub fn before(&self, offset: SourceOffset) -> Option<i32> {
        self.starts.iter().rev().find(|(_, start)| *start < offset).map(|(epoch, _)| *epoch)
    }

    /// Whether the record at `offset` is of another epoch than the one before it, which is `before` where that was not read.
    pub fn begins_anew_at(&self, offset: SourceOffset, before: Option<i32>) -> bool {
        let there = self.before(SourceOffset(offset.0.saturating_add(1)));
        let here = self.before(offset).or(before);
        there.zip(here).is_some_and(|(there, here)| there != here)
    }

    /// Where a log parts from what was read up to `position`, given the largest epoch it shares with ours and where
    /// that ends in it (`KafkaRaftClient.validateFetchOffsetAndEpoch`). It is `position` where nothing differs.
    pub fn parting(&self, shared: EpochEnd, position: SourceOffset) -> SourceOffset {
        let ours =
            self.starts.iter().find(|(epoch, _)| *epoch > shared.epoch).map_or(position, |(_, at)| *at);
        ours.min(position).min(SourceOffset(shared.end_offset.max(0)))
    }

    /// The log ends at `end` now.
    pub fn truncate(&mut self, end: SourceOffset) {
        while self.starts.back().is_some_and(|(_, start)| *start >= end) {
            self.starts.pop_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(starts: &[(i32, i64)]) -> EpochHistory {
        let mut history = EpochHistory::default();
        starts.iter().for_each(|(epoch, start)| history.learn(*epoch, SourceOffset(*start)));
        history
    }

    fn parting(history: &EpochHistory, epoch: i32, end_offset: i64, position: i64) -> i64 {
        history.parting(EpochEnd { epoch, end_offset }, SourceOffset(position)).0
    }

    #[test]
    fn knows_the_epoch_of_each_offset() {
        let history = history(&[(3, 0), (3, 50), (5, 100), (4, 150)]);
        assert_eq!(history.before(SourceOffset(0)), None);
        assert_eq!(history.before(SourceOffset(100)), Some(3));
        assert_eq!(history.before(SourceOffset(101)), Some(5));
        assert_eq!(history.before(SourceOffset(900)), Some(5));
    }

    /// After a restart only the record before the position is known, with the epoch that was read last: others between
    /// may have expired.
    #[test]
    fn a_batch_that_begins_before_the_position_is_learned() {
        let mut history = history(&[(5, 4477)]);
        history.learn(8, SourceOffset(4470));
        assert_eq!(history.before(SourceOffset(4478)), Some(5));
        assert_eq!(history.before(SourceOffset(4479)), Some(8));
    }

    /// A former writer came further, into a later epoch: asking with the earlier one would look like a log cut off.
    #[test]
    fn learns_what_was_read_again_of_a_former_writer() {
        let mut known = history(&[(0, 760)]);
        known.learn_all(&history(&[(0, 761), (1, 1189), (2, 1300)]), SourceOffset(1210));
        assert_eq!(known.before(SourceOffset(1210)), Some(1));
        assert_eq!(known.before(SourceOffset(1189)), Some(0));
        assert_eq!(known.before(SourceOffset(1400)), Some(1));
        assert_eq!(parting(&known, 1, 1300, 1210), 1210);
    }

    #[test]
    fn a_log_that_lost_its_end_parts_there() {
        // Epoch 5 never reached the new leader, which went on in epoch 6 from offset 120 of epoch 3.
        let history = history(&[(3, 0), (5, 100)]);
        assert_eq!(parting(&history, 3, 120, 150), 100);
        assert_eq!(parting(&history, 5, 130, 150), 130);
        assert_eq!(parting(&history, 5, 180, 150), 150);
        // It knows no epoch of ours at all.
        assert_eq!(parting(&history, -1, -1, 150), 0);
    }

    #[test]
    fn forgets_what_was_cut_off_and_what_is_old() {
        let mut cut = history(&[(3, 0), (5, 100)]);
        cut.truncate(SourceOffset(100));
        assert_eq!(cut.before(SourceOffset(500)), Some(3));
        cut.learn(6, SourceOffset(100));
        assert_eq!(cut.before(SourceOffset(101)), Some(6));
        let many: Vec<(i32, i64)> = (0..100).map(|epoch| (epoch, i64::from(epoch) * 10)).collect();
        assert_eq!(history(&many).starts.len(), EPOCHS_MAX);
    }
}
