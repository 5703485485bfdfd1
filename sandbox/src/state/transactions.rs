//! The transactions a partition has seen (Kafka's `TransactionIndex` and the open ones of its producers), and the control
//! batches that end them (KIP-98). Pure.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use kmirror_protocol::wire::batch::{BATCH_HEADER_LEN, BatchHeader};

/// Attribute bits of a control batch in a transaction.
const CONTROL_ATTRIBUTES: i16 = 0x30;

/// Open and aborted transactions of one partition.
#[derive(Debug, Default)]
pub(crate) struct LogTransactions {
    /// First offset of each open transaction by producer id.
    open: BTreeMap<i64, i64>,
    /// In the order of their markers.
    aborted: Vec<Aborted>,
    markers: Vec<Marker>,
}

/// An aborted transaction: its records from `first_offset` up to the marker are not to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    last_offset: i64,
}

/// The end of a transaction in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) offset: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) coordinator_epoch: i32,
    pub(crate) commit: bool,
}

impl LogTransactions {
    /// A batch of a transaction was appended at `offset`.
    pub(crate) fn open(&mut self, producer_id: i64, offset: i64) {
        self.open.entry(producer_id).or_insert(offset);
    }

    /// A marker was appended.
    pub(crate) fn close(&mut self, marker: Marker) {
        if let Some(first_offset) = self.open.remove(&marker.producer_id)
            && !marker.commit
        {
            let producer_id = marker.producer_id;
            self.aborted.push(Aborted { producer_id, first_offset, last_offset: marker.offset });
        }
        self.markers.push(marker);
    }

    pub(crate) fn first_open_offset(&self) -> Option<i64> {
        self.open.values().min().copied()
    }

    /// Where the producer's open transaction began.
    pub(crate) fn open_offset(&self, producer_id: i64) -> Option<i64> {
        self.open.get(&producer_id).copied()
    }

    /// Aborted transactions with records in `from..bound`, ordered by their first offsets.
    pub(crate) fn aborted_in(&self, from: i64, bound: i64) -> Vec<Aborted> {
        let overlaps = |aborted: &&Aborted| aborted.last_offset >= from && aborted.first_offset < bound;
        let mut found: Vec<_> = self.aborted.iter().filter(overlaps).copied().collect();
        found.sort_by_key(|aborted| aborted.first_offset);
        found
    }

    pub(crate) fn markers_before(&self, offset: i64) -> Vec<Marker> {
        self.markers.iter().filter(|marker| marker.offset < offset).copied().collect()
    }

    pub(crate) fn truncate_start(&mut self, start_offset: i64) {
        self.aborted.retain(|aborted| aborted.last_offset >= start_offset);
        self.markers.retain(|marker| marker.offset >= start_offset);
    }
}

impl Marker {
    /// The control batch that says this: one record, key (version 0, type 0 abort or 1 commit), value (version 0,
    /// coordinator epoch), as Kafka's `EndTransactionMarker`.
    pub(crate) fn batch(&self, leader_epoch: i32, timestamp: i64) -> (BatchHeader, Bytes) {
        let mut record = BytesMut::new();
        record.put_slice(&[0, 0, 0, 8, 0, 0, 0, u8::from(self.commit), 12, 0, 0]);
        record.put_i32(self.coordinator_epoch);
        record.put_u8(0);
        let mut payload = BytesMut::new();
        payload.put_u8(u8::try_from(record.len() * 2).unwrap_or(u8::MAX));
        payload.put_slice(&record);
        let payload = payload.freeze();
        let header = BatchHeader {
            base_offset: self.offset,
            batch_length: i32::try_from(BATCH_HEADER_LEN - 12 + payload.len()).unwrap_or(i32::MAX),
            partition_leader_epoch: leader_epoch,
            magic: 2,
            crc: 0,
            attributes: CONTROL_ATTRIBUTES,
            last_offset_delta: 0,
            base_timestamp: timestamp,
            max_timestamp: timestamp,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: -1,
            record_count: 1,
        };
        (header.with_crc_over(&payload), payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(offset: i64, producer_id: i64, commit: bool) -> Marker {
        Marker { offset, producer_id, producer_epoch: 0, coordinator_epoch: 0, commit }
    }

    #[test]
    fn the_oldest_open_transaction_holds_the_stable_offset() {
        let mut transactions = LogTransactions::default();
        transactions.open(1, 10);
        transactions.open(2, 20);
        transactions.open(1, 30);
        assert_eq!(transactions.first_open_offset(), Some(10));
        transactions.close(marker(40, 1, true));
        assert_eq!((transactions.first_open_offset(), transactions.open_offset(2)), (Some(20), Some(20)));
        transactions.close(marker(41, 2, false));
        assert_eq!(transactions.first_open_offset(), None);
    }

    #[test]
    fn aborted_transactions_are_told_where_they_overlap() {
        let mut transactions = LogTransactions::default();
        for (id, first, last) in [(1, 10, 30), (2, 5, 40), (3, 50, 60)] {
            transactions.open(id, first);
            transactions.close(marker(last, id, false));
        }
        let ids = |from, bound| -> Vec<_> {
            transactions.aborted_in(from, bound).iter().map(|aborted| aborted.producer_id).collect()
        };
        assert_eq!(ids(0, 100), [2, 1, 3]);
        assert_eq!(ids(31, 50), [2]);
        assert!(ids(61, 100).is_empty());
    }

    #[test]
    fn a_marker_is_a_control_batch_of_one_record() {
        let (header, payload) = marker(7, 1, true).batch(3, 99);
        assert!(header.is_control() && header.is_transactional() && header.is_dense());
        assert_eq!(header.total_len(), BATCH_HEADER_LEN + payload.len());
        assert_eq!(usize::from(payload[0]) / 2, payload.len() - 1);
        assert_eq!(payload[1..], [0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0, 0, 0]);
    }
}
