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

    /// The pair to sync, when the mirror now ends with `end`. `flush` asks for everything that is not synced yet.
    pub(super) fn due(&self, end: Option<Pair>, lag_max: i64, flush: bool) -> Option<Pair> {
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

    /// Somebody looked; `synced` was written.
    pub(super) fn looked(&mut self, end: Option<Pair>, synced: Option<Pair>) {
        self.seen = end;
        self.synced = synced.or(self.synced);
    }
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
        state.looked(pair(10, 10), pair(10, 10));
        assert_eq!(state.due(pair(110, 110), 100, false), None);
        assert_eq!(state.due(pair(111, 111), 100, false), pair(111, 111));
    }

    #[test]
    fn a_gap_is_synced_at_once() {
        let mut state = SyncState::new(None);
        state.looked(pair(10, 10), pair(10, 10));
        assert_eq!(state.due(pair(13, 12), 100, false), pair(13, 12));
        assert_eq!(state.due(pair(5, 12), 100, false), pair(5, 12));
    }

    #[test]
    fn what_was_held_goes_with_the_flush() {
        let mut state = SyncState::new(None);
        state.looked(pair(10, 10), pair(10, 10));
        state.looked(pair(20, 20), None);
        assert_eq!(state.due(pair(20, 20), 100, false), None);
        assert_eq!(state.due(pair(20, 20), 100, true), pair(20, 20));
        state.looked(pair(20, 20), pair(20, 20));
        assert_eq!(state.due(pair(20, 20), 100, true), None);
    }
}
