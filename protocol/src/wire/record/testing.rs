//! Batches for tests, encoded by hand and apart from the code under test.

use bytes::Bytes;
use proptest::prelude::*;

use super::{Limits, NewRecord, Record, records};
use crate::wire::batch::{BatchHeader, Codec, Entries, Entry};
use crate::wire::compress::Compressor;
use crate::wire::reencode::Encoded;

pub(crate) const LIMITS: Limits = Limits { max_decompressed_bytes: 64 << 20 };

/// A zigzag varint by its definition.
pub(crate) fn varint(value: i64) -> Vec<u8> {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while rest > 0x7F {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
    bytes
}

fn field(bytes: Option<&Bytes>) -> Vec<u8> {
    bytes.map_or_else(|| varint(-1), |bytes| [&varint(bytes.len() as i64), &bytes[..]].concat())
}

/// One record as it lies in a batch.
pub(crate) fn encode_record(record: &NewRecord, timestamp_delta: i64, offset_delta: i32) -> Vec<u8> {
    let mut body = vec![0];
    body.extend(varint(timestamp_delta));
    body.extend(varint(offset_delta.into()));
    body.extend(field(record.key.as_ref()));
    body.extend(field(record.value.as_ref()));
    body.extend(varint(record.headers.len() as i64));
    for (name, value) in &record.headers {
        body.extend(field(Some(name)));
        body.extend(field(value.as_ref()));
    }
    [varint(body.len() as i64), body].concat()
}

/// What a batch is made of.
#[derive(Debug, Clone)]
pub(crate) struct BatchSpec {
    pub(crate) base_offset: i64,
    pub(crate) last_offset_delta: i32,
    /// Offset deltas and records.
    pub(crate) records: Vec<(i32, NewRecord)>,
    pub(crate) codec: Codec,
    pub(crate) append_time: Option<i64>,
}

impl BatchSpec {
    pub(crate) fn header(&self, payload: &[u8]) -> BatchHeader {
        let base_timestamp = self.records.first().map_or(0, |(_, record)| record.timestamp);
        let max_timestamp = self.records.iter().map(|(_, record)| record.timestamp).max().unwrap_or(-1);
        BatchHeader {
            base_offset: self.base_offset,
            batch_length: 49 + i32::try_from(payload.len()).unwrap(),
            partition_leader_epoch: 5,
            magic: 2,
            crc: 0,
            attributes: self.codec.bits() | self.append_time.map_or(0, |_| 0x08),
            last_offset_delta: self.last_offset_delta,
            base_timestamp,
            max_timestamp: self.append_time.unwrap_or(max_timestamp),
            producer_id: 1234,
            producer_epoch: 1,
            base_sequence: 77,
            record_count: i32::try_from(self.records.len()).unwrap(),
        }
        .with_crc_over(payload)
    }

    pub(crate) fn payload(&self) -> Vec<u8> {
        let base = self.records.first().map_or(0, |(_, record)| record.timestamp);
        let encoded: Vec<Vec<u8>> = self
            .records
            .iter()
            .map(|(delta, record)| encode_record(record, record.timestamp.wrapping_sub(base), *delta))
            .collect();
        if encoded.is_empty() {
            return Vec::new();
        }
        compressed(self.codec, &encoded.concat())
    }

    pub(crate) fn entry(&self) -> Entry {
        let payload = self.payload();
        entry(self.header(&payload), &payload)
    }

    /// The records as a consumer is to see them.
    pub(crate) fn consumed(&self) -> Vec<(i64, NewRecord)> {
        self.records
            .iter()
            .map(|(delta, record)| {
                let timestamp = self.append_time.unwrap_or(record.timestamp);
                (self.base_offset + i64::from(*delta), NewRecord { timestamp, ..record.clone() })
            })
            .collect()
    }
}

pub(crate) fn compressed(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    let (mut compressor, mut raw, mut out) = (Compressor::default(), bytes.to_vec(), Vec::new());
    compressor.start(codec, None, &mut out).unwrap();
    compressor.finish(&mut raw, &mut out).unwrap();
    out
}

pub(crate) fn entry(header: BatchHeader, payload: &[u8]) -> Entry {
    entries([&header.to_bytes()[..], payload].concat()).remove(0)
}

pub(crate) fn entries(blob: Vec<u8>) -> Vec<Entry> {
    Entries::new(Bytes::from(blob)).map(Result::unwrap).collect()
}

/// The batch as it lies in a log at `base_offset`.
pub(crate) fn appended(batch: &Encoded, base_offset: i64) -> Entry {
    entry(BatchHeader { base_offset, ..batch.header }, &batch.payload)
}

/// The records of some batches, at the offsets a broker gives them that appends one behind the other from 0.
pub(crate) fn consumed(batches: &[Encoded]) -> Vec<(i64, NewRecord)> {
    let mut all = Vec::new();
    let mut end = 0;
    for batch in batches {
        let entry = appended(batch, end);
        end = entry.last_offset() + 1;
        all.extend(records(&entry, &LIMITS).unwrap().into_iter().map(new_record));
    }
    all
}

pub(crate) fn new_record(record: Record) -> (i64, NewRecord) {
    let Record { offset, timestamp, key, value, headers, .. } = record;
    (offset, NewRecord { timestamp, key, value, headers })
}

/// A record with key and value of text.
pub(crate) fn text_record(timestamp: i64, key: &str, value: &str) -> NewRecord {
    let bytes = |text: &str| Some(Bytes::from(text.to_owned()));
    NewRecord { timestamp, key: bytes(key), value: bytes(value), headers: Vec::new() }
}

fn any_field(len_max: usize) -> impl Strategy<Value = Option<Bytes>> {
    prop_oneof![
        1 => Just(None),
        4 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Some(Bytes::from(bytes))),
        1 => (any::<u8>(), 0..len_max).prop_map(|(byte, len)| Some(Bytes::from(vec![byte; len]))),
    ]
}

/// Any record, its timestamp near those of others or wild.
pub(crate) fn any_record() -> impl Strategy<Value = NewRecord> {
    let timestamp = prop_oneof![8 => 0..100_000i64, 1 => Just(-1), 1 => any::<i64>()];
    let header = (prop::collection::vec(any::<u8>(), 0..4).prop_map(Bytes::from), any_field(100));
    (timestamp, any_field(300), any_field(20_000), prop::collection::vec(header, 0..4))
        .prop_map(|(timestamp, key, value, headers)| NewRecord { timestamp, key, value, headers })
}

pub(crate) fn any_codec() -> impl Strategy<Value = Codec> {
    prop::sample::select(Codec::ALL.to_vec())
}

/// Consecutive batches of a compacted partition: gaps inside, between and at the ends of batches, batches without
/// records, every codec, some stamped by the broker.
pub(crate) fn any_log() -> impl Strategy<Value = Vec<BatchSpec>> {
    let record = (any_record(), 1..4i32);
    let append_time = prop::option::weighted(0.2, 0..100_000i64);
    let batch = (prop::collection::vec(record, 0..12), any_codec(), append_time, 0..3i32, 0..3i64);
    prop::collection::vec(batch, 1..8).prop_map(|batches| {
        let mut base_offset = 100;
        let specs = batches.into_iter().map(|(records, codec, append_time, tail_gap, gap_before)| {
            base_offset += gap_before;
            let mut next = 0;
            let records: Vec<(i32, NewRecord)> = records
                .into_iter()
                .map(|(record, step)| {
                    next += step;
                    (next - 1, record)
                })
                .collect();
            let last_offset_delta = (next - 1 + tail_gap).max(0);
            let spec = BatchSpec { base_offset, last_offset_delta, records, codec, append_time };
            base_offset += i64::from(last_offset_delta) + 1;
            spec
        });
        specs.collect()
    })
}
