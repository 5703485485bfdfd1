//! Batches whose checksum is right and whose inside is anything: what can be read comes out of re-encoding the same.
#![no_main]

use bytes::Bytes;
use kmirror_protocol::wire::batch::{BatchHeader, Codec, Entries, Entry};
use kmirror_protocol::wire::record::{Limits, Record, records};
use kmirror_protocol::wire::reencode::{Encoded, Reencoder, Shape};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { max_decompressed_bytes: 1 << 20 };

fuzz_target!(|data: &[u8]| {
    let Some((choices, rest)) = data.split_first_chunk::<8>() else { return };
    let [attributes, record_count, gap, from, target, size, timestamp, split] = choices.map(i32::from);
    let at = rest.len() * usize::try_from(split).unwrap_or_default() / 255;
    let (front, back) = rest.split_at(at);
    let mut base_offset = 1000;
    let mut blob = Vec::new();
    for payload in [front, back] {
        let header = BatchHeader {
            base_offset,
            batch_length: 49 + i32::try_from(payload.len()).unwrap(),
            partition_leader_epoch: 0,
            magic: 2,
            crc: 0,
            attributes: i16::try_from(attributes & 0x0F).unwrap(),
            last_offset_delta: record_count + gap % 4,
            base_timestamp: i64::from(timestamp) << 55,
            max_timestamp: i64::from(timestamp),
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count,
        };
        let header = header.with_crc_over(payload);
        blob.extend_from_slice(&header.to_bytes());
        blob.extend_from_slice(payload);
        base_offset = header.next_offset();
    }
    let entries: Vec<Entry> = Entries::new(Bytes::from(blob)).map(|entry| entry.unwrap()).collect();
    let codec = Codec::ALL[usize::try_from(target).unwrap() % Codec::ALL.len()];
    let shape = Shape { codec, level: None, max_batch_bytes: usize::try_from(size).unwrap() * 1024, timestamps: None };
    let from = 1000 + i64::from(from);
    let read: Result<Vec<Vec<Record>>, _> = entries.iter().map(|entry| records(entry, &LIMITS)).collect();
    let written = Reencoder::new(LIMITS).reencode(&entries, from, &shape);
    let Ok(read) = read else { return };
    let written: Vec<Record> = written.unwrap().iter().flat_map(read_back).collect();
    let read: Vec<Record> = read.into_iter().flatten().filter(|record| record.offset >= from).collect();
    assert_eq!(read.len(), written.len());
    for (read, written) in read.iter().zip(&written) {
        assert_eq!(read.timestamp, written.timestamp);
        assert_eq!((&read.key, &read.value, &read.headers), (&written.key, &written.value, &written.headers));
    }
});

fn read_back(batch: &Encoded) -> Vec<Record> {
    assert!(batch.header.is_dense());
    let blob = [&batch.header.to_bytes()[..], &batch.payload].concat();
    let entry = Entries::new(Bytes::from(blob)).next().unwrap().unwrap();
    records(&entry, &Limits { max_decompressed_bytes: usize::MAX }).unwrap()
}
