//! Which of the fetched records are committed (KIP-98): leaves out control batches and aborted transactions. Pure.

use std::collections::BTreeSet;

use crate::wire::batch::{Entries, Entry};
use crate::wire::fetch::FetchedPartition;
use crate::wire::record::{Limits, Record, RecordError, records};

/// The most that a batch of an internal topic may decompress to.
const LIMITS: Limits = Limits { max_decompressed_bytes: 64 << 20 };
/// The type of the marker that ends an aborted transaction (Kafka class `ControlRecordType`).
const ABORT: [u8; 2] = [0, 0];

/// What is known of the transactions in one partition, from one response to the next.
#[derive(Debug, Default)]
pub(super) struct Committed {
    /// The producers in whose aborted transaction we are.
    aborting: BTreeSet<i64>,
}

impl Committed {
    /// Hands on the committed records from `next` on, and moves it behind the last batch.
    pub(super) fn read(
        &mut self,
        fetched: FetchedPartition,
        next: &mut i64,
        mut each: impl FnMut(Record),
    ) -> Result<(), RecordError> {
        let mut aborted = fetched.aborted;
        aborted.sort_by_key(|transaction| transaction.first_offset);
        let mut aborted = aborted.into_iter().peekable();
        for entry in Entries::new(fetched.records) {
            let entry = entry.map_err(RecordError::Header)?;
            let last_offset = entry.last_offset();
            while let Some(begun) = aborted.next_if(|transaction| transaction.first_offset <= last_offset) {
                self.aborting.insert(begun.producer_id);
            }
            if last_offset < *next {
                continue;
            }
            if self.is_committed(&entry)? {
                for record in records(&entry, &LIMITS)? {
                    if record.offset >= *next {
                        each(record);
                    }
                }
            }
            *next = last_offset.saturating_add(1);
        }
        Ok(())
    }

    fn is_committed(&mut self, entry: &Entry) -> Result<bool, RecordError> {
        let Entry::Batch(batch) = entry else { return Ok(true) };
        if !batch.header.is_control() {
            let aborted =
                batch.header.is_transactional() && self.aborting.contains(&batch.header.producer_id);
            return Ok(!aborted);
        }
        // The key of a marker: a version, then the type.
        let marker = records(entry, &LIMITS)?.into_iter().next().and_then(|record| record.key);
        if marker.as_deref().and_then(|key| key.get(2..4)) == Some(&ABORT) {
            self.aborting.remove(&batch.header.producer_id);
        }
        Ok(false)
    }
}
