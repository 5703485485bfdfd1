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

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};

    use super::*;
    use crate::wire::batch::Codec;
    use crate::wire::error::ErrorCode;
    use crate::wire::fetch::AbortedTransaction;
    use crate::wire::record::{NewRecord, build_batch};

    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;

    /// A batch of one record a key, at an offset.
    fn batch(base_offset: i64, producer_id: i64, attributes: i16, keys: &[&[u8]]) -> Vec<u8> {
        let record =
            |key: &&[u8]| NewRecord { key: Some(Bytes::copy_from_slice(key)), ..NewRecord::default() };
        let records: Vec<NewRecord> = keys.iter().map(record).collect();
        let encoded = build_batch(&records, Codec::None).unwrap();
        let mut header = encoded.header;
        header.base_offset = base_offset;
        header.producer_id = producer_id;
        header.attributes |= attributes;
        [&header.with_crc_over(&encoded.payload).to_bytes()[..], &encoded.payload].concat()
    }

    fn abort(offset: i64, producer_id: i64) -> Vec<u8> {
        batch(offset, producer_id, TRANSACTIONAL | CONTROL, &[&[0, 0, 0, 0]])
    }

    fn commit(offset: i64, producer_id: i64) -> Vec<u8> {
        batch(offset, producer_id, TRANSACTIONAL | CONTROL, &[&[0, 0, 0, 1]])
    }

    fn fetched(batches: &[Vec<u8>], aborted: &[(i64, i64)]) -> FetchedPartition {
        let aborted = aborted
            .iter()
            .map(|&(producer_id, first_offset)| AbortedTransaction { producer_id, first_offset })
            .collect();
        FetchedPartition {
            topic: "t".into(),
            partition: 0,
            error: ErrorCode::None,
            high_watermark: 100,
            last_stable_offset: 100,
            log_start_offset: 0,
            aborted,
            preferred_read_replica: -1,
            diverging_epoch: None,
            records: BytesMut::from(&batches.concat()[..]).freeze(),
        }
    }

    fn read(committed: &mut Committed, next: &mut i64, fetched: FetchedPartition) -> Vec<(i64, String)> {
        let mut read = Vec::new();
        let each = |record: Record| {
            read.push((record.offset, String::from_utf8(record.key.unwrap().to_vec()).unwrap()));
        };
        committed.read(fetched, next, each).unwrap();
        read
    }

    #[test]
    fn aborted_transactions_and_markers_are_left_out() {
        let batches = [
            batch(0, 7, TRANSACTIONAL, &[b"aborted"]),
            batch(1, 8, TRANSACTIONAL, &[b"committed"]),
            batch(2, -1, 0, &[b"plain"]),
            abort(3, 7),
            commit(4, 8),
            batch(5, 7, TRANSACTIONAL, &[b"later"]),
            commit(6, 7),
        ];
        let (mut committed, mut next) = (Committed::default(), 0);
        let read = read(&mut committed, &mut next, fetched(&batches, &[(7, 0)]));
        let keys: Vec<_> = read.iter().map(|(offset, key)| (*offset, key.as_str())).collect();
        assert_eq!(keys, [(1, "committed"), (2, "plain"), (5, "later")]);
        assert_eq!(next, 7, "markers move the position, too");
    }

    #[test]
    fn a_transaction_may_span_responses() {
        let (mut committed, mut next) = (Committed::default(), 0);
        let first = fetched(&[batch(0, 7, TRANSACTIONAL, &[b"a"])], &[(7, 0)]);
        assert!(read(&mut committed, &mut next, first).is_empty());
        // The broker names the transaction again, as it covers this response's offsets.
        let second = fetched(&[batch(1, 7, TRANSACTIONAL, &[b"b"]), abort(2, 7)], &[(7, 0)]);
        assert!(read(&mut committed, &mut next, second).is_empty());
        let third = fetched(&[batch(3, 7, TRANSACTIONAL, &[b"c"])], &[]);
        assert_eq!(read(&mut committed, &mut next, third), [(3, "c".to_owned())]);
    }

    #[test]
    fn records_before_the_position_are_left_out() {
        let (mut committed, mut next) = (Committed::default(), 2);
        let batches = [batch(0, -1, 0, &[b"old"]), batch(1, -1, 0, &[b"older", b"new", b"newer"])];
        let read = read(&mut committed, &mut next, fetched(&batches, &[]));
        assert_eq!(read, [(2, "new".to_owned()), (3, "newer".to_owned())]);
        assert_eq!(next, 4);
    }

    #[test]
    fn damage_is_an_error() {
        let mut damaged = batch(0, -1, 0, &[b"key"]);
        let at = damaged.len() - 3;
        damaged[at] ^= 1;
        let result = Committed::default().read(fetched(&[damaged], &[]), &mut 0, |_| {});
        assert!(matches!(result, Err(RecordError::Checksum { .. })), "{result:?}");
    }
}
