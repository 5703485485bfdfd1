//! Re-encoding against batches encoded by hand.

use proptest::prelude::*;

use super::*;
use crate::wire::batch::{Entries, Stamp};
use crate::wire::record::testing::{
    BatchSpec, LIMITS, any_codec, any_log, any_record, appended, consumed, encode_record, entry, new_record,
    text_record, varint,
};
use crate::wire::record::{NewRecord, build_batch, records};

const ROOMY: Shape = Shape { codec: Codec::None, level: None, max_batch_bytes: 1 << 20, timestamps: None };

fn reencode(entries: &[Entry], from: i64, shape: &Shape) -> Result<Vec<Encoded>, RecordError> {
    Reencoder::new(LIMITS).reencode(entries, from, shape)
}

/// A batch of one record.
fn single(base_offset: i64, codec: Codec) -> BatchSpec {
    let record = text_record(1000 - base_offset, &format!("key {base_offset}"), "a value, a value, a value");
    BatchSpec { base_offset, last_offset_delta: 0, records: vec![(0, record)], codec, append_time: None }
}

fn contents(consumed: Vec<(i64, NewRecord)>) -> Vec<NewRecord> {
    consumed.into_iter().map(|(_, record)| record).collect()
}

#[test]
fn many_small_batches_become_one() {
    let specs: Vec<BatchSpec> = (5..1005).map(|offset| single(offset, Codec::None)).collect();
    let entries: Vec<Entry> = specs.iter().map(BatchSpec::entry).collect();
    for codec in Codec::ALL {
        let batches = reencode(&entries, 0, &Shape { codec, ..ROOMY }).unwrap();
        assert_eq!(batches.len(), 1);
        assert_eq!((batches[0].first_offset, batches[0].last_offset), (5, 1004));
        let header = batches[0].header;
        assert!(header.is_dense());
        assert_eq!((header.record_count, header.base_offset, header.producer_id), (1000, 0, -1));
        assert_eq!((header.base_timestamp, header.max_timestamp), (995, 995));
        assert_eq!(header.codec(), Ok(codec));
        let expected: Vec<_> = specs.iter().flat_map(BatchSpec::consumed).map(|(o, r)| (o - 5, r)).collect();
        assert_eq!(consumed(&batches), expected);
    }
}

#[test]
fn what_comes_out_can_be_stamped() {
    let batches =
        reencode(&[single(7, Codec::Gzip).entry()], 0, &Shape { codec: Codec::Lz4, ..ROOMY }).unwrap();
    let stamp = Stamp { producer_id: 9, producer_epoch: 2, base_sequence: 3, transactional: false };
    let stamped = batches[0].header.stamped(batches[0].payload.len(), stamp);
    let Entry::Batch(batch) = entry(BatchHeader::parse(&stamped).unwrap(), &batches[0].payload) else {
        panic!("no batch")
    };
    assert!(batch.verify_crc());
    assert_eq!(batch.header.producer_id, 9);
}

#[test]
fn records_before_the_position_stay_out() {
    let records = (0..10).map(|i| (i, text_record(i.into(), "k", &i.to_string()))).collect();
    let spec =
        BatchSpec { base_offset: 40, last_offset_delta: 9, records, codec: Codec::Zstd, append_time: None };
    let batches = reencode(&[spec.entry()], 47, &ROOMY).unwrap();
    assert_eq!(contents(consumed(&batches)), contents(spec.consumed().split_off(7)));
    assert_eq!((batches[0].first_offset, batches[0].last_offset), (47, 49));
    assert_eq!(batches[0].header.base_timestamp, 7);
    assert!(reencode(&[spec.entry()], 50, &ROOMY).unwrap().is_empty());
}

#[test]
fn append_time_becomes_the_records_own() {
    let records = vec![(0, text_record(5, "a", "1")), (1, text_record(900, "b", "2"))];
    let spec = BatchSpec {
        base_offset: 0,
        last_offset_delta: 1,
        records,
        codec: Codec::None,
        append_time: Some(12_345),
    };
    let batches = reencode(&[spec.entry()], 0, &ROOMY).unwrap();
    let timestamps: Vec<i64> = contents(consumed(&batches)).iter().map(|record| record.timestamp).collect();
    assert_eq!(timestamps, [12_345, 12_345]);
    assert_eq!((batches[0].header.attributes, batches[0].header.max_timestamp), (0, 12_345));
}

#[test]
fn batches_compacted_to_nothing_cover_their_offsets() {
    let empty = |base_offset, codec| BatchSpec {
        base_offset,
        last_offset_delta: 9,
        records: Vec::new(),
        codec,
        append_time: None,
    };
    for codec in Codec::ALL {
        let entries = [empty(0, codec).entry(), single(10, codec).entry(), empty(11, codec).entry()];
        let batches = reencode(&entries, 0, &ROOMY).unwrap();
        assert_eq!(batches.len(), 1);
        assert_eq!((batches[0].first_offset, batches[0].last_offset), (0, 20));
        assert_eq!(batches[0].header.record_count, 1);
        assert!(reencode(&entries[..1], 0, &ROOMY).unwrap().is_empty());
    }
    assert!(reencode(&[], 0, &ROOMY).unwrap().is_empty());
}

#[test]
fn a_record_larger_than_a_batch_comes_out_alone() {
    let value = "x".repeat(5000);
    let records =
        vec![(0, text_record(1, "a", "1")), (1, text_record(2, "b", &value)), (2, text_record(3, "c", "3"))];
    let spec =
        BatchSpec { base_offset: 0, last_offset_delta: 2, records, codec: Codec::None, append_time: None };
    let batches = reencode(&[spec.entry()], 0, &Shape { max_batch_bytes: 1000, ..ROOMY }).unwrap();
    let counts: Vec<i32> = batches.iter().map(|batch| batch.header.record_count).collect();
    assert_eq!(counts, [1, 1, 1]);
    assert_eq!(contents(consumed(&batches)), contents(spec.consumed()));
}

#[test]
fn batches_are_filled_by_their_compressed_size() {
    let value = "a rather compressible value, ".repeat(20);
    let records: Vec<_> = (0..20_000).map(|i| (i, text_record(i.into(), &i.to_string(), &value))).collect();
    let spec = BatchSpec {
        base_offset: 0,
        last_offset_delta: 19_999,
        records,
        codec: Codec::None,
        append_time: None,
    };
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let shape = Shape { codec, level: None, max_batch_bytes: 64 * 1024, timestamps: None };
        let batches = reencode(&[spec.entry()], 0, &shape).unwrap();
        let sizes: Vec<usize> = batches.iter().map(|batch| batch.header.total_len()).collect();
        assert!(sizes.iter().all(|size| *size <= shape.max_batch_bytes), "{codec}: {sizes:?}");
        let full = &sizes[..sizes.len() - 1];
        assert!(full.iter().all(|size| *size > shape.max_batch_bytes * 4 / 5), "{codec}: {sizes:?}");
        assert_eq!(contents(consumed(&batches)), contents(spec.consumed()));
    }
}

#[test]
fn one_batch_never_collects_more_than_a_consumer_can_hold() {
    let value = "0".repeat(100_000);
    let records: Vec<_> = (0..400).map(|i| (i, text_record(0, "k", &value))).collect();
    let spec =
        BatchSpec { base_offset: 0, last_offset_delta: 399, records, codec: Codec::Zstd, append_time: None };
    let batches = reencode(&[spec.entry()], 0, &Shape { codec: Codec::Zstd, ..ROOMY }).unwrap();
    let counts: Vec<i32> = batches.iter().map(|batch| batch.header.record_count).collect();
    assert_eq!(counts, [167, 167, 66]);
}

#[test]
fn a_reencoder_is_fit_for_use_after_an_error() {
    let mut reencoder = Reencoder::new(LIMITS);
    let shape = Shape { codec: Codec::Lz4, ..ROOMY };
    let good = [single(0, Codec::Zstd).entry(), single(1, Codec::Zstd).entry()];
    let again = [single(0, Codec::Zstd).entry(), single(0, Codec::Zstd).entry()];
    let order = reencoder.reencode(&again, 0, &shape).map(|batches| batches.len());
    assert_eq!(order, Err(RecordError::Order { offset: 0, expected: 1 }));
    let batches = reencoder.reencode(&good, 0, &shape).unwrap();
    assert_eq!((batches.len(), batches[0].header.record_count), (1, 2));
}

#[test]
fn control_batches_are_refused() {
    let spec = single(40, Codec::None);
    let payload = spec.payload();
    let header = BatchHeader { attributes: 0x30, ..spec.header(&payload) }.with_crc_over(&payload);
    let refused = reencode(&[entry(header, &payload)], 0, &ROOMY);
    assert_eq!(refused.map(|b| b.len()), Err(RecordError::Control { first_offset: 40, last_offset: 40 }));
}

#[test]
fn a_reencoder_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&Reencoder::new(LIMITS));
}

#[test]
fn damage_names_the_offsets() {
    let spec = single(40, Codec::None);
    let mut payload = spec.payload();
    let header = spec.header(&payload);
    *payload.last_mut().unwrap() ^= 1;
    let damaged = reencode(&[single(39, Codec::None).entry(), entry(header, &payload)], 0, &ROOMY);
    assert_eq!(damaged.map(|b| b.len()), Err(RecordError::Checksum { first_offset: 40, last_offset: 40 }));
}

#[test]
fn headers_that_lie_about_their_records_are_found_out() {
    let spec = single(40, Codec::None);
    let record =
        |timestamp_delta, offset_delta| encode_record(&spec.records[0].1, timestamp_delta, offset_delta);
    let two = [record(0, 0), record(0, 1)].concat();
    let lies: [(&str, i32, Vec<u8>); 8] = [
        ("a record too few", 2, record(0, 0)),
        ("a record too many", 1, two.clone()),
        ("it breaks off", 2, two[..two.len() - 1].to_vec()),
        ("offset behind the batch", 1, record(0, 6)),
        ("offset before the batch", 1, record(0, -1)),
        ("offsets going back", 2, [record(0, 1), record(0, 0)].concat()),
        ("a negative length", 1, varint(-5)),
        ("a length without end", 1, vec![0x80; 12]),
    ];
    for (lie, record_count, payload) in lies {
        for codec in Codec::ALL {
            let spec = BatchSpec { codec, last_offset_delta: 5, ..spec.clone() };
            let payload = crate::wire::record::testing::compressed(codec, &payload);
            let header = BatchHeader { record_count, ..spec.header(&payload) }.with_crc_over(&payload);
            let refused = reencode(&[entry(header, &payload)], 0, &ROOMY);
            assert!(matches!(refused, Err(RecordError::Malformed { .. })), "{lie} with {codec}: {refused:?}");
        }
    }
}

#[test]
fn a_bomb_is_refused() {
    let record = text_record(0, "k", &"0".repeat(3 << 20));
    let spec = BatchSpec {
        base_offset: 0,
        last_offset_delta: 0,
        records: vec![(0, record)],
        codec: Codec::Zstd,
        append_time: None,
    };
    let refused =
        Reencoder::new(Limits { max_decompressed_bytes: 1 << 20 }).reencode(&[spec.entry()], 0, &ROOMY);
    assert!(matches!(refused, Err(RecordError::Decompress { .. })));
}

#[test]
fn a_built_batch_is_read_back() {
    let records: Vec<NewRecord> = (0..300).map(|i| text_record(i, "key", "value")).collect();
    for codec in Codec::ALL {
        let batch = build_batch(&records, codec).unwrap();
        assert_eq!(contents(consumed(&[batch])), records);
    }
    assert_eq!(build_batch(&[], Codec::None).map(|_| ()), Err(RecordError::Empty));
}

#[test]
fn a_built_batch_has_the_bytes_of_the_java_producer() {
    let batch = build_batch(&[text_record(1_700_000_000_000, "k", "v")], Codec::None).unwrap();
    assert_eq!(batch.payload, [0x10, 0, 0, 0, 2, b'k', 2, b'v', 0].as_slice());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Invariants of the slow path: every record from the position on, once, in order and unchanged; batches dense, of the
    /// shape, and covering the offsets of the input without gap or overlap.
    #[test]
    fn any_log_comes_out_the_same(
        log in any_log(),
        skip in 0..20i64,
        codec in any_codec(),
        max_batch_bytes in prop::sample::select(vec![200usize, 3_000, 100_000, 1 << 20]),
    ) {
        let entries: Vec<Entry> = log.iter().map(BatchSpec::entry).collect();
        let from = 98 + skip;
        let batches = reencode(&entries, from, &Shape { codec, level: None, max_batch_bytes, timestamps: None }).unwrap();
        let expected: Vec<(i64, NewRecord)> =
            log.iter().flat_map(BatchSpec::consumed).filter(|(offset, _)| *offset >= from).collect();
        prop_assert_eq!(batches.is_empty(), expected.is_empty());
        prop_assert_eq!(contents(consumed(&batches)), contents(expected.clone()));

        let mut covered_to = entries[0].first_offset().max(from) - 1;
        let mut offsets = expected.iter().map(|(offset, _)| *offset);
        for batch in &batches {
            prop_assert!(batch.header.is_dense());
            prop_assert!(batch.header.total_len() <= max_batch_bytes || batch.header.record_count == 1);
            prop_assert_eq!(batch.first_offset, covered_to + 1);
            covered_to = batch.last_offset;
            for offset in offsets.by_ref().take(usize::try_from(batch.header.record_count)?) {
                prop_assert!((batch.first_offset..=batch.last_offset).contains(&offset));
            }
        }
        if !batches.is_empty() {
            prop_assert_eq!(covered_to, entries.last().unwrap().last_offset());
        }
    }

    #[test]
    fn any_records_come_back_from_a_built_batch(
        new in prop::collection::vec(any_record(), 1..20),
        codec in any_codec(),
    ) {
        let batch = build_batch(&new, codec).unwrap();
        let read: Vec<_> = records(&appended(&batch, 0), &LIMITS).unwrap().into_iter().map(new_record).collect();
        prop_assert_eq!(contents(read), new);
    }

    /// A checksum that matches is no promise about what it covers.
    #[test]
    fn arbitrary_payloads_with_a_right_checksum_never_panic(
        log in any_log(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        counts in any::<(i32, i32)>(),
        keep_counts in any::<bool>(),
        noise in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let spec = &log[0];
        let mut payload = [spec.payload(), noise].concat();
        for (index, byte) in flips {
            if !payload.is_empty() {
                let at = index.index(payload.len());
                payload[at] = byte;
            }
        }
        let mut header = spec.header(&payload);
        if !keep_counts {
            (header.record_count, header.last_offset_delta) = counts;
            header = header.with_crc_over(&payload);
        }
        let blob = [&header.to_bytes()[..], &payload].concat();
        for entry in Entries::new(Bytes::from(blob)).map_while(Result::ok) {
            let _ = records(&entry, &LIMITS);
            let _ = reencode(&[entry], 0, &Shape { codec: Codec::Lz4, ..ROOMY });
        }
    }
}
