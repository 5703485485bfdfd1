//! With which sequences partitions go on that were here before, where all are written in transactions.
//!
//! Elsewhere a partition that comes back gets a new producer identity. In transactions there is one identity for all, and
//! the target remembers the last batches of it: a batch with sequences from 0 would be refused or, when it is as long as
//! the first one was, be taken for that. So the lane remembers where it was. Where it cannot know, nothing but a new
//! epoch of the identity helps, which an aborted transaction brings.

use super::event::Slot;
use super::lane::Lane;

/// How many partitions are remembered; of others that come back nothing is known.
const REMEMBERED_MAX: usize = 1_000_000;

impl Lane {
    /// The partition goes elsewhere, or is gone.
    pub(crate) fn remember_sequence(&mut self, slot: Slot) {
        if !self.is_transactional() || self.sequences.len() >= REMEMBERED_MAX {
            return;
        }
        // What is on its way may have been written, or not.
        let Some(partition) = self.partition(slot).filter(|one| one.ledger.is_idle()) else { return };
        let is_own = partition.identity == Some(self.identity);
        let next = if is_own { partition.ledger.acknowledged_sequence() } else { 0 };
        self.sequences.insert(partition.source.clone(), next);
    }

    /// The partition was here before.
    pub(crate) fn go_on_with_sequence(&mut self, slot: Slot, has_former: bool) {
        let Some(partition) = self.partition(slot) else { return };
        let source = partition.source.clone();
        match self.sequences.remove(&source) {
            Some(0) => {}
            Some(next) if !has_former => {
                if let Some(partition) = self.partition_mut(slot) {
                    partition.begin_sequences(next);
                }
            }
            _ => self.abort(format!("what was written of {source} before is not known").into()),
        }
    }
}
