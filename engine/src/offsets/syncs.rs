//! When an offset sync is due for a partition (`OffsetSyncWriter.PartitionState`): which source offset became which target
//! offset, for those who translate by MirrorMaker 2's rules. Pure.
//!
//! MirrorMaker 2 decides at each acknowledged record; here somebody looks at the end of the mirror now and then. What lay
//! between two looks is not synced, as little as what MirrorMaker 2 leaves out while ten syncs are under way.

use crate::ids::{SourceOffset, TargetOffset};

/// A record's offsets on both sides.
pub(super) type Pair = (SourceOffset, TargetOffset);

/// What was synced of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SyncState {
    /// The last record when somebody looked last.
    seen: Option<Pair>,
    /// The last one that was synced in this run.
    synced: Option<Pair>,
}

impl SyncState {
    /// `end` is the last record mirrored before this run: it was synced then.
    pub(super) fn new(end: Option<Pair>) -> Self {
        Self { seen: end, synced: None }
    }

    /// What there is to remember, when the mirror now ends with `end`; nothing if nothing happened. `flush` asks for
    /// everything that is not synced yet.
    pub(super) fn look(&self, end: Option<Pair>, lag_max: i64, flush: bool) -> Option<Look> {
        let due = self.due(end, lag_max, flush);
        (end != self.seen || due.is_some()).then_some(Look { end, due })
    }

    /// The pair to sync.
    fn due(&self, end: Option<Pair>, lag_max: i64, flush: bool) -> Option<Pair> {
        let end = end.filter(|end| Some(*end) != self.synced)?;
        if Some(end) == self.seen {
            // Nothing new since the last look; it may have been held then.
            return Some(end).filter(|_| flush && self.synced.is_some());
        }
        let Some(synced) = self.synced else { return Some(end) };
        // A translation by the last sync gives the offset behind it.
        let stale = end.1.0 - (synced.1.0 + 1) >= lag_max;
        let drifted = self.seen.is_none_or(|seen| end.0.0 - seen.0.0 != end.1.0 - seen.1.0);
        let backwards = self.seen.is_some_and(|seen| end.1 < seen.1 || end.0 < seen.0);
        Some(end).filter(|_| stale || drifted || backwards || flush)
    }

    /// What was due has been written.
    pub(super) fn looked(&mut self, look: Look) {
        self.seen = look.end;
        self.synced = look.due.or(self.synced);
    }
}

/// A look at a partition where something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// The last record.
    end: Option<Pair>,
    /// What is to be synced.
    pub(super) due: Option<Pair>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(source: i64, target: i64) -> Option<Pair> {
        Some((SourceOffset(source), TargetOffset(target)))
    }

    #[test]
    fn the_first_record_is_synced_at_once_and_then_every_lag_max() {
        let mut state = SyncState::new(pair(9, 9));
        assert_eq!(state.due(pair(9, 9), 100, true), None, "the last run synced it");
        assert_eq!(state.due(pair(10, 10), 100, false), pair(10, 10));
        state.looked(Look { end: pair(10, 10), due: pair(10, 10) });
        assert_eq!(state.due(pair(110, 110), 100, false), None);
        assert_eq!(state.due(pair(111, 111), 100, false), pair(111, 111));
    }

    #[test]
    fn where_nothing_happened_there_is_nothing_to_remember() {
        let mut state = SyncState::new(pair(9, 9));
        assert_eq!(state.look(pair(9, 9), 100, true), None);
        let look = state.look(pair(10, 10), 100, false).unwrap();
        assert_eq!(look.due, pair(10, 10));
        state.looked(look);
        assert_eq!(state.look(pair(10, 10), 100, true), None);
    }

    #[test]
    fn a_gap_is_synced_at_once() {
        let mut state = SyncState::new(None);
        state.looked(Look { end: pair(10, 10), due: pair(10, 10) });
        assert_eq!(state.due(pair(13, 12), 100, false), pair(13, 12));
        assert_eq!(state.due(pair(5, 12), 100, false), pair(5, 12));
    }

    #[test]
    fn what_was_held_goes_with_the_flush() {
        let mut state = SyncState::new(None);
        state.looked(Look { end: pair(10, 10), due: pair(10, 10) });
        state.looked(Look { end: pair(20, 20), due: None });
        assert_eq!(state.due(pair(20, 20), 100, false), None);
        assert_eq!(state.due(pair(20, 20), 100, true), pair(20, 20));
        state.looked(Look { end: pair(20, 20), due: pair(20, 20) });
        assert_eq!(state.due(pair(20, 20), 100, true), None);
    }
}
