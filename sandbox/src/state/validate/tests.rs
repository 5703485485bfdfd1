//! Batches a broker takes, and those it does not, with the codes that brokers of 3.9.1 and 4.3.0 have given.

use kmirror_protocol::wire::record::{NewRecord, build_batch};

use super::*;
use crate::api::testing::{batch, batch_with, joined};
use crate::state::config::TopicConfigs;

const NOW: i64 = 1_800_000_000_000;

fn rules(configs: &[(&str, &str)]) -> AppendRules {
    let mut topic = TopicConfigs::default();
    for (name, value) in configs {
        topic.set(name, value).unwrap();
    }
    topic.append_rules()
}

/// All checks in the order of an append.
fn check(records: &Bytes, rules: &AppendRules) -> Result<Inspected, ResponseError> {
    let checked = || {
        let raw = single_batch(records, 8)?;
        raw.check_frame(rules)?;
        let inspected = raw.inspect(Some(&mut Decompressor::default()))?;
        inspected.check(rules, NOW)?;
        Ok(inspected)
    };
    checked().map_err(|refusal: Refusal| refusal.error)
}

fn code(records: &Bytes) -> Option<ResponseError> {
    check(records, &rules(&[])).err()
}

#[test]
fn an_ordinary_batch_is_taken() {
    assert_eq!(code(&batch_with(4, |_| {})), None);
}

#[test]
fn exactly_one_batch_of_magic_2() {
    let one = batch_with(1, |_| {});
    assert_eq!(code(&Bytes::new()), Some(ResponseError::InvalidRecord));
    assert_eq!(code(&one.slice(..one.len() - 1)), Some(ResponseError::InvalidRecord));
    assert_eq!(code(&[one.clone(), one.clone()].concat().into()), Some(ResponseError::InvalidRecord));
    for (magic, error) in [(1, ResponseError::InvalidRecord), (3, ResponseError::CorruptMessage)] {
        let mut other = one.to_vec();
        other[16] = magic;
        assert_eq!(code(&other.into()), Some(error));
    }
    let mut short = one.to_vec();
    short[8..12].copy_from_slice(&13i32.to_be_bytes());
    assert_eq!(code(&short.into()), Some(ResponseError::CorruptMessage));
}

#[test]
fn fields_a_client_must_not_choose() {
    let invalid = Some(ResponseError::InvalidRecord);
    assert_eq!(code(&batch_with(1, |header| header.base_offset = 1)), invalid);
    assert_eq!(code(&batch_with(1, |header| header.attributes = 0x20)), invalid, "control");
    assert_eq!(code(&batch_with(1, |header| header.producer_id = 7)), invalid, "no sequence");
    assert_eq!(code(&batch_with(1, |header| header.attributes = 0x05)), invalid, "codec");
    // The broker puts these right by itself, or does not care.
    assert_eq!(code(&batch_with(1, |header| header.attributes = 0x48)), None);
    assert_eq!(code(&batch_with(1, |header| header.max_timestamp = 5)), None);
    assert_eq!(code(&batch_with(1, |header| header.partition_leader_epoch = 9)), None);
}

#[test]
fn counts_have_to_be_dense() {
    let invalid = Some(ResponseError::InvalidRecord);
    assert_eq!(code(&batch_with(4, |header| header.last_offset_delta = 4)), invalid);
    assert_eq!(code(&batch_with(4, |header| header.record_count = 3)), invalid);
    assert_eq!(
        code(&batch_with(4, |header| (header.last_offset_delta, header.record_count) = (4, 5))),
        invalid
    );
    assert_eq!(code(&batch_with(0, |header| header.last_offset_delta = 0)), invalid, "empty");
}

#[test]
fn damage_and_size() {
    let mut damaged = batch_with(1, |_| {}).to_vec();
    damaged[65] ^= 1;
    assert_eq!(code(&damaged.into()), Some(ResponseError::CorruptMessage));
    let batch = batch_with(4, |_| {});
    let limit = |bytes: usize| rules(&[("max.message.bytes", &bytes.to_string())]);
    assert!(check(&batch, &limit(batch.len())).is_ok());
    assert_eq!(check(&batch, &limit(batch.len() - 1)).err(), Some(ResponseError::MessageTooLarge));
}

#[test]
fn zstd_came_with_version_7() {
    let zstd = batch_with(1, |header| header.attributes = 4);
    let refusal = single_batch(&zstd, 6).unwrap_err();
    assert_eq!(refusal.error, ResponseError::UnsupportedCompressionType);
    assert!(single_batch(&zstd, 7).is_ok());
}

#[test]
fn what_topics_demand() {
    let compacted = rules(&[("cleanup.policy", "compact")]);
    assert_eq!(check(&batch_with(1, |_| {}), &compacted).err(), Some(ResponseError::InvalidRecord), "no key");
    let strict = rules(&[("message.timestamp.before.max.ms", "1000")]);
    assert_eq!(check(&batch_with(1, |_| {}), &strict).err(), Some(ResponseError::InvalidTimestamp));
    assert!(check(&batch_with(1, |header| header.base_timestamp = NOW - 5), &strict).is_ok());
    let early = rules(&[("message.timestamp.after.max.ms", "1000")]);
    let tomorrow = batch_with(1, |header| header.base_timestamp = NOW + 86_400_000);
    assert_eq!(check(&tomorrow, &early).err(), Some(ResponseError::InvalidTimestamp));
    let stamped =
        rules(&[("message.timestamp.after.max.ms", "1000"), ("message.timestamp.type", "LogAppendTime")]);
    assert!(check(&tomorrow, &stamped).is_ok());
}

#[test]
fn offsets_and_timestamps_are_put_in() {
    let store = |records: &Bytes, rules: &AppendRules| {
        let (header, payload) = stored(&check(records, rules).unwrap(), rules, 90, 3, NOW).unwrap();
        let parsed = Batch::parse(&joined(&header, &payload)).unwrap().unwrap();
        assert!(parsed.verify_crc());
        parsed.header
    };
    let header = store(&batch_with(2, |_| {}), &rules(&[]));
    assert_eq!((header.base_offset, header.partition_leader_epoch, header.max_timestamp), (90, 3, 1000));
    let wrong = batch_with(2, |header| header.max_timestamp = 5);
    assert_eq!(store(&wrong, &rules(&[])).max_timestamp, 1000);
    let stamped = store(&batch_with(2, |_| {}), &rules(&[("message.timestamp.type", "LogAppendTime")]));
    assert_eq!((stamped.timestamp_type(), stamped.max_timestamp), (TimestampType::LogAppend, NOW));
    // A batch with the broker's time at its source keeps that time in its header, as a broker does it.
    let mirrored = batch_with(2, |header| (header.attributes, header.max_timestamp) = (0x08, 777));
    let header = store(&mirrored, &rules(&[]));
    assert_eq!((header.timestamp_type(), header.max_timestamp), (TimestampType::Create, 777));
}

#[test]
fn the_topic_s_codec_wins() {
    let record = NewRecord { timestamp: 1000, value: Some(vec![1; 5000].into()), ..NewRecord::default() };
    let source = build_batch(&[record.clone(), record], Codec::Lz4).unwrap();
    let sent = BatchHeader { producer_id: 7, producer_epoch: 1, base_sequence: 3, ..source.header };
    let sent = joined(&sent.with_crc_over(&source.payload), &source.payload);
    let rules = rules(&[("compression.type", "zstd")]);
    let (header, payload) = stored(&check(&sent, &rules).unwrap(), &rules, 5, 0, NOW).unwrap();
    assert_eq!((header.codec(), header.producer_id, header.base_sequence), (Ok(Codec::Zstd), 7, 3));
    let stored = joined(&header, &payload);
    assert!(Batch::parse(&stored).unwrap().unwrap().verify_crc());
    let summary =
        records::summarise(&BatchHeader { base_offset: 0, ..header }, &payload, &mut Decompressor::default());
    assert_eq!(summary.unwrap().max_timestamp, 1000);
}

#[test]
fn nothing_read_off_the_wire_panics() {
    let (header, payload) = batch(3);
    let whole = joined(&header, &payload);
    for len in 0..whole.len() {
        let _ = check(&whole.slice(..len), &rules(&[]));
    }
    for position in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.to_vec();
            flipped[position] ^= 1 << bit;
            let raw = single_batch(&flipped.clone().into(), 8);
            let _ = raw.map(|raw| raw.inspect(Some(&mut Decompressor::default())));
            // With a checksum that goes with it, so that the records are reached.
            if let Ok(header) = BatchHeader::parse(&flipped) {
                let tail = Bytes::from(flipped).slice(61..);
                let _ = records::summarise(&header, &tail, &mut Decompressor::default());
            }
        }
    }
}
