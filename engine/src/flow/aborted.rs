//! Leaves out the data of aborted transactions, as a `read_committed` consumer does (KIP-98). Pure.

use std::collections::HashSet;

use kmirror_protocol::wire::batch::Entry;
use kmirror_protocol::wire::fetch::AbortedTransaction;
use kmirror_protocol::wire::record::{Limits, records};

use super::rewrite::DropReason;

/// The aborted transactions of one fetched stretch of a log.
#[derive(Debug)]
pub struct Aborted {
    /// Not begun yet, the latest first.
    ahead: Vec<AbortedTransaction>,
    /// Producers whose transaction at this place of the log was aborted.
    open: HashSet<i64>,
}

/// The type of an abort marker in a control record's key (`ControlRecordType.ABORT`).
const ABORT: [u8; 2] = [0, 0];
/// A control record is a few bytes.
const CONTROL_LIMITS: Limits = Limits { max_decompressed_bytes: 4 << 10 };

impl Aborted {
    /// From the list in a Fetch response.
    pub fn new(transactions: &[AbortedTransaction]) -> Self {
        let mut ahead = transactions.to_vec();
        ahead.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        Self { ahead, open: HashSet::new() }
    }

    /// Takes the next entry of the log; tells whether it is aborted data.
    pub fn check(&mut self, entry: &Entry) -> Option<DropReason> {
        let Entry::Batch(batch) = entry else { return None };
        while self.ahead.last().is_some_and(|next| next.first_offset <= entry.last_offset()) {
            self.open.extend(self.ahead.pop().map(|transaction| transaction.producer_id));
        }
        let header = &batch.header;
        if header.is_control() {
            if is_abort_marker(entry) {
                self.open.remove(&header.producer_id);
            }
            return None;
        }
        (header.is_transactional() && self.open.contains(&header.producer_id)).then_some(DropReason::Aborted)
    }
}

fn is_abort_marker(entry: &Entry) -> bool {
    let Ok(records) = records(entry, &CONTROL_LIMITS) else { return false };
    records.first().and_then(|record| record.key.as_ref()).is_some_and(|key| key.get(2..4) == Some(&ABORT))
}
