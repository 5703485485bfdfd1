//! Messages of magic 0 and 1, encoded by hand after `LegacyRecord`.

use bytes::Bytes;
use proptest::prelude::*;

use crate::wire::batch::{Codec, Entries, Entry, TimestampType};
use crate::wire::crc;
use crate::wire::record::testing::{LIMITS, compressed, consumed, entries};
use crate::wire::record::{Record, RecordError, records};
use crate::wire::reencode::{Reencoder, Shape};

const LOG_APPEND: u8 = 0x08;

#[derive(Clone)]
struct Spec {
    offset: i64,
    magic: u8,
    attributes: u8,
    timestamp: i64,
    key: Option<&'static [u8]>,
    value: Option<Vec<u8>>,
}

fn spec(offset: i64, magic: u8, timestamp: i64, value: &str) -> Spec {
    Spec {
        offset,
        magic,
        attributes: 0,
        timestamp,
        key: Some(b"key"),
        value: Some(value.as_bytes().to_vec()),
    }
}

impl Spec {
    fn encode(&self) -> Vec<u8> {
        let field = |bytes: Option<&[u8]>| match bytes {
            None => (-1i32).to_be_bytes().to_vec(),
            Some(bytes) => [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat(),
        };
        let mut checked = vec![self.magic, self.attributes];
        if self.magic > 0 {
            checked.extend(self.timestamp.to_be_bytes());
        }
        checked.extend(field(self.key));
        checked.extend(field(self.value.as_deref()));
        let length = u32::try_from(checked.len() + 4).unwrap();
        let crc = crc::crc32(&checked).to_be_bytes();
        [&self.offset.to_be_bytes()[..], &length.to_be_bytes(), &crc, &checked].concat()
    }
}

fn wrapper(offset: i64, magic: u8, timestamp: i64, codec: Codec, inner: &[Spec]) -> Spec {
    let set: Vec<u8> = inner.iter().flat_map(Spec::encode).collect();
    let attributes = u8::try_from(codec.bits()).unwrap();
    Spec { offset, magic, attributes, timestamp, key: None, value: Some(compressed(codec, &set)) }
}

fn read(blob: Vec<u8>) -> Result<Vec<Record>, RecordError> {
    let sets = entries(blob);
    assert_eq!(sets.len(), 1);
    records(&sets[0], &LIMITS)
}

fn offsets_and_times(records: &[Record]) -> Vec<(i64, i64)> {
    records.iter().map(|record| (record.offset, record.timestamp)).collect()
}

#[test]
fn plain_messages_of_both_magics() {
    let mut tombstone = spec(9, 1, 60, "");
    (tombstone.key, tombstone.value) = (None, None);
    let mut stamped = spec(10, 1, 70, "stamped");
    stamped.attributes = LOG_APPEND;
    let records =
        read([spec(7, 0, 0, "old"), spec(8, 1, 50, "new"), tombstone, stamped].map(|s| s.encode()).concat());
    let records = records.unwrap();
    assert_eq!(offsets_and_times(&records), [(7, -1), (8, 50), (9, 60), (10, 70)]);
    assert_eq!(records[0].key.as_deref(), Some(&b"key"[..]));
    assert_eq!(records[1].value.as_deref(), Some(&b"new"[..]));
    assert_eq!((&records[2].key, &records[2].value), (&None, &None));
    let types: Vec<TimestampType> = records.iter().map(|record| record.timestamp_type).collect();
    assert_eq!(types[2..], [TimestampType::Create, TimestampType::LogAppend]);
}

#[test]
fn wrappers_of_magic_1_have_relative_offsets() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4] {
        // Compacted inside: offset 2 is gone.
        let inner = [spec(0, 1, 10, "a"), spec(1, 1, 11, "b"), spec(3, 1, 12, "c")];
        let records = read(wrapper(103, 1, 12, codec, &inner).encode()).unwrap();
        assert_eq!(offsets_and_times(&records), [(100, 10), (101, 11), (103, 12)]);
    }
}

#[test]
fn wrappers_of_magic_0_have_absolute_offsets() {
    let inner = [spec(100, 0, 0, "a"), spec(102, 0, 0, "b")];
    let records = read(wrapper(102, 0, 0, Codec::Gzip, &inner).encode()).unwrap();
    assert_eq!(offsets_and_times(&records), [(100, -1), (102, -1)]);
}

#[test]
fn a_wrapper_stamped_by_the_broker_stamps_what_is_inside() {
    let mut stamped = wrapper(101, 1, 999, Codec::Snappy, &[spec(0, 1, 10, "a"), spec(1, 1, 11, "b")]);
    stamped.attributes |= LOG_APPEND;
    let records = read(stamped.encode()).unwrap();
    assert_eq!(offsets_and_times(&records), [(100, 999), (101, 999)]);
    assert_eq!(records[0].timestamp_type, TimestampType::LogAppend);
}

#[test]
fn a_wrapper_at_offset_0_of_old_librdkafka() {
    let inner = [spec(0, 1, 10, "a"), spec(1, 1, 11, "b")];
    let records = read(wrapper(0, 1, 11, Codec::Gzip, &inner).encode()).unwrap();
    assert_eq!(offsets_and_times(&records), [(0, 10), (1, 11)]);
}

#[test]
fn a_message_cut_off_inside_a_wrapper_is_passed_over() {
    let set = [spec(0, 1, 10, "a").encode(), spec(1, 1, 11, "b").encode()].concat();
    let mut cut = wrapper(5, 1, 11, Codec::Gzip, &[]);
    cut.value = Some(compressed(Codec::Gzip, &set[..set.len() - 3]));
    assert_eq!(offsets_and_times(&read(cut.encode()).unwrap()), [(5, 10)]);
}

#[test]
fn wrappers_that_break_the_rules() {
    let nested = wrapper(1, 1, 0, Codec::Gzip, &[spec(0, 1, 0, "a")]);
    let mut no_value = wrapper(5, 1, 0, Codec::Gzip, &[]);
    no_value.value = None;
    let mut unknown_codec = spec(5, 1, 0, "a");
    unknown_codec.attributes = 6;
    let cases = [
        ("nested", wrapper(5, 1, 0, Codec::Gzip, &[nested])),
        ("other magic", wrapper(5, 1, 0, Codec::Gzip, &[spec(0, 0, 0, "a")])),
        ("empty", wrapper(5, 1, 0, Codec::Gzip, &[])),
        ("no value", no_value),
        ("offsets beyond its own", wrapper(5, 1, 0, Codec::Gzip, &[spec(6, 1, 0, "a")])),
        ("negative offset", wrapper(5, 0, 0, Codec::Gzip, &[spec(-6, 0, 0, "a")])),
        ("unknown codec", unknown_codec),
    ];
    for (case, spec) in cases {
        let refused = read(spec.encode());
        assert!(
            matches!(refused, Err(RecordError::Malformed { first_offset: 5, last_offset: 5, .. })),
            "{case}: {refused:?}"
        );
    }
}

#[test]
fn damage_is_seen_by_the_checksum() {
    for damaged in [spec(5, 0, 0, "abc"), wrapper(5, 1, 0, Codec::Gzip, &[spec(0, 1, 0, "abc")])] {
        let mut bytes = damaged.encode();
        let at = bytes.len() - 2;
        bytes[at] ^= 4;
        assert_eq!(read(bytes), Err(RecordError::Checksum { first_offset: 5, last_offset: 5 }));
    }
}

#[test]
fn becomes_a_batch_with_dense_offsets_and_the_same_records() {
    let inner = [spec(0, 1, 30, "b"), spec(4, 1, 20, "c")];
    let blob = [spec(40, 0, 0, "a"), wrapper(46, 1, 30, Codec::Lz4, &inner), spec(50, 1, 5, "d")];
    let sets = entries(blob.iter().flat_map(Spec::encode).collect());
    let expected = records(&sets[0], &LIMITS).unwrap();
    let shape = Shape { codec: Codec::Zstd, level: None, max_batch_bytes: 1 << 20, timestamps: None };
    let batches = Reencoder::new(LIMITS).reencode(&sets, 0, &shape).unwrap();
    assert_eq!(batches.len(), 1);
    assert_eq!((batches[0].first_offset, batches[0].last_offset), (40, 50));
    assert_eq!((batches[0].header.base_timestamp, batches[0].header.max_timestamp), (-1, 30));
    let read = consumed(&batches);
    assert_eq!(read.len(), expected.len());
    for ((offset, record), (place, expected)) in read.iter().zip((0..).zip(&expected)) {
        assert_eq!(*offset, place);
        assert_eq!(
            (record.timestamp, &record.key, &record.value),
            (expected.timestamp, &expected.key, &expected.value)
        );
    }
}

#[test]
fn a_position_inside_a_wrapper() {
    let inner = [spec(0, 1, 10, "a"), spec(1, 1, 11, "b"), spec(2, 1, 12, "c")];
    let sets = entries(wrapper(102, 1, 12, Codec::Gzip, &inner).encode());
    let shape = Shape { codec: Codec::None, level: None, max_batch_bytes: 1 << 20, timestamps: None };
    let mut reencoder = Reencoder::new(LIMITS);
    let from_inside = reencoder.reencode(&sets, 101, &shape).unwrap();
    assert_eq!((from_inside[0].first_offset, from_inside[0].last_offset), (101, 102));
    assert_eq!(from_inside[0].header.record_count, 2);
    let from_start = reencoder.reencode(&sets, 0, &shape).unwrap();
    assert_eq!((from_start[0].first_offset, from_start[0].last_offset), (100, 102));
}

proptest! {
    #[test]
    fn damaged_sets_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
        repair in any::<bool>(),
        codec in prop::sample::select(vec![Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd]),
    ) {
        let damage = |bytes: &mut Vec<u8>| {
            for (index, byte) in &flips {
                let at = index.index(bytes.len());
                bytes[at] = *byte;
            }
        };
        let mut set: Vec<u8> = [spec(0, 1, 10, "a"), spec(1, 1, 11, "b")].iter().flat_map(Spec::encode).collect();
        if repair {
            damage(&mut set);
        }
        let mut outer = wrapper(9, 1, 3, codec, &[]);
        outer.value = Some(compressed(codec, &set));
        let mut blob = [spec(7, 0, 0, "z").encode(), outer.encode()].concat();
        if !repair {
            damage(&mut blob);
        }
        for entry in Entries::new(Bytes::from(blob)).map_while(Result::ok) {
            if let Entry::Legacy(_) = &entry {
                let _ = records(&entry, &LIMITS);
            }
        }
    }
}
