//! Where a source partition's log can be cut without cutting a transaction of its producers in two.
//!
//! A target transaction that ends in such a place holds whole source transactions only. Pure.

use std::collections::{BTreeSet, VecDeque};

use kmirror_protocol::wire::batch::Entry;

use crate::ids::SourceOffset;

/// What was read of a partition's transactions. A stretch may be read more than once.
#[derive(Debug, Default)]
pub struct Whole {
    /// Producers whose transaction has not ended where reading is.
    open: BTreeSet<i64>,
    /// Where the first of these began.
    open_since: Option<SourceOffset>,
    /// Stretches within which some transaction is always open, in order: `[first, next)`.
    tangles: VecDeque<(SourceOffset, SourceOffset)>,
}

impl Whole {
    /// Takes in the next entry of the log.
    pub fn read(&mut self, entry: &Entry) {
        let Entry::Batch(batch) = entry else { return };
        let header = &batch.header;
        if header.is_control() {
            let was_open = self.open.remove(&header.producer_id);
            if was_open && self.open.is_empty() {
                let next = SourceOffset(header.next_offset());
                self.tangles.extend(self.open_since.take().map(|first| (first, next)));
            }
        } else if header.is_transactional() {
            self.open.insert(header.producer_id);
            self.open_since.get_or_insert(SourceOffset(header.base_offset));
        }
    }

    /// Whether no transaction has records before `at` and an end behind it.
    pub fn is_between(&self, at: SourceOffset) -> bool {
        self.open_since.is_none_or(|since| since >= at)
            && !self.tangles.iter().any(|(first, next)| *first < at && at < *next)
    }

    /// Whether a transaction with records before `next` is open still, as far as was read.
    pub fn is_open_before(&self, next: SourceOffset) -> bool {
        self.open_since.is_some_and(|since| since < next)
    }

    /// Nobody asks any more about what lies before `at`.
    pub fn forget_before(&mut self, at: SourceOffset) {
        while self.tangles.front().is_some_and(|(_, next)| *next <= at) {
            self.tangles.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kmirror_protocol::wire::batch::{Codec, Entries, Stamp};
    use kmirror_protocol::wire::record::{NewRecord, build_batch};

    use super::*;

    const CONTROL_BIT: u8 = 0x20;

    /// A batch of one record of this producer's transaction, or the marker that ends it.
    fn entry(offset: i64, producer_id: i64, is_marker: bool) -> Entry {
        let record = NewRecord { key: Some(Bytes::from_static(&[0, 0, 0, 1])), ..NewRecord::default() };
        let built = build_batch(&[record], Codec::None).unwrap();
        let stamp = Stamp { producer_id, producer_epoch: 0, base_sequence: 0, transactional: true };
        let mut bytes =
            [built.header.stamped(built.payload.len(), stamp).as_slice(), &built.payload].concat();
        bytes[..8].copy_from_slice(&offset.to_be_bytes());
        if is_marker {
            bytes[22] |= CONTROL_BIT;
        }
        Entries::new(bytes.into()).next().unwrap().unwrap()
    }

    fn between(whole: &Whole, until: i64) -> Vec<i64> {
        (0..=until).filter(|at| whole.is_between(SourceOffset(*at))).collect()
    }

    #[test]
    fn cuts_lie_where_no_transaction_is_open() {
        let mut whole = Whole::default();
        // Producers 1 and 2 overlap, 3 comes behind them and is open.
        for (offset, producer, is_marker) in [
            (0, 1, false),
            (1, 2, false),
            (2, 1, true),
            (3, 2, false),
            (4, 2, true),
            (5, 3, false),
            (6, 3, false),
        ] {
            whole.read(&entry(offset, producer, is_marker));
        }
        assert_eq!(between(&whole, 8), [0, 5]);
        assert!(!whole.is_open_before(SourceOffset(5)) && whole.is_open_before(SourceOffset(6)));
        whole.read(&entry(7, 3, true));
        assert_eq!(between(&whole, 9), [0, 5, 8, 9]);
        whole.forget_before(SourceOffset(5));
        assert_eq!(whole.tangles.len(), 1);
    }

    #[test]
    fn reading_a_stretch_again_changes_nothing_in_the_end() {
        let log = [(0, 1, false), (1, 2, false), (2, 1, true), (3, 3, false), (4, 2, true), (5, 3, true)];
        for again_from in 0..log.len() {
            for read_to in again_from..=log.len() {
                let mut whole = Whole::default();
                let all = log[..read_to].iter().chain(&log[again_from..]);
                for &(offset, producer, is_marker) in all {
                    whole.read(&entry(offset, producer, is_marker));
                }
                assert_eq!(between(&whole, 7), [0, 6, 7], "{read_to}, again from {again_from}");
            }
        }
    }
}
