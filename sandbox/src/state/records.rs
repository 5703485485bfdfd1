//! A look at the records inside a batch, as a broker takes one of every batch it appends (`LogValidator`): their number,
//! offsets, timestamps, and whether they have keys. Pure.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kmirror_protocol::wire::batch::{BatchHeader, Codec, TimestampType};
use kmirror_protocol::wire::compress::Decompressor;

use super::validate::Refusal;

/// Bytes a batch may decompress to.
pub(super) const DECOMPRESSED_MAX: usize = 256 << 20;

/// Most bytes of the varint in front of a record.
const LENGTH_LEN_MAX: usize = 5;

/// What the log has to know of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordView {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) has_key: bool,
}

/// What a whole batch comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) min_timestamp: i64,
    pub(crate) max_timestamp: i64,
    /// Whether all records have keys.
    pub(crate) keyed: bool,
}

impl Summary {
    /// What the header alone tells.
    pub(super) fn of_header(header: &BatchHeader) -> Self {
        let max_timestamp = header.max_timestamp;
        Self { min_timestamp: max_timestamp, max_timestamp, keyed: true }
    }
}

/// Looks through a produced batch with base offset 0. What is wrong comes with the code that a broker has for it: with a
/// record that is not where its place in a compressed batch says, the broker fails unexpectedly; in a batch that is not
/// compressed it does not notice.
pub(crate) fn summarise(
    header: &BatchHeader,
    payload: &Bytes,
    decompressor: &mut Decompressor,
) -> Result<Summary, Refusal> {
    let mut summary = Summary { min_timestamp: i64::MAX, max_timestamp: -1, keyed: true };
    let (mut count, mut misplaced) = (0, false);
    each_record(header, payload, decompressor, |record| {
        misplaced |= record.offset != header.base_offset + i64::from(count);
        count += 1;
        summary.min_timestamp = summary.min_timestamp.min(record.timestamp);
        summary.max_timestamp = summary.max_timestamp.max(record.timestamp);
        summary.keyed &= record.has_key;
    })?;
    if count != header.record_count {
        let message = format!(
            "Incorrect declared batch size: {count} records where {} are declared",
            header.record_count
        );
        return Err(Refusal::new(ResponseError::InvalidRecord, message));
    }
    if misplaced && header.codec() != Ok(Codec::None) {
        return Err(ResponseError::UnknownServerError.into());
    }
    Ok(summary)
}

/// Hands every record of a batch to `sink`.
pub(crate) fn each_record(
    header: &BatchHeader,
    payload: &Bytes,
    decompressor: &mut Decompressor,
    mut sink: impl FnMut(RecordView),
) -> Result<(), Refusal> {
    let codec = header.codec().map_err(|_| ResponseError::InvalidRecord)?;
    let left = if codec == Codec::None {
        payload.len() - walk(header, payload, &mut sink)?
    } else {
        let unreadable = |_| Refusal::from(ResponseError::UnknownServerError);
        let mut input: &[u8] = payload;
        decompressor.start(codec, DECOMPRESSED_MAX).map_err(unreadable)?;
        while decompressor.fill(&mut input).map_err(unreadable)? {
            let walked = walk(header, decompressor.unread(), &mut sink)?;
            decompressor.consume(walked);
        }
        decompressor.unread().len()
    };
    if left > 0 {
        let message = "Incorrect declared batch size: bytes are left that are no record";
        return Err(Refusal::new(ResponseError::InvalidRecord, message));
    }
    Ok(())
}

/// The whole records at the start of `bytes`; answers the bytes they take.
fn walk(header: &BatchHeader, bytes: &[u8], sink: &mut impl FnMut(RecordView)) -> Result<usize, Refusal> {
    let mut rest = bytes;
    loop {
        let mut body = rest;
        let Some(length) = varint(&mut body) else {
            // Not there yet, unless there is more than any length takes.
            let torn = rest.len() < LENGTH_LEN_MAX;
            return if torn { Ok(bytes.len() - rest.len()) } else { malformed() };
        };
        let Ok(length) = usize::try_from(length) else { return malformed() };
        let Some((record, behind)) = body.split_at_checked(length) else {
            return Ok(bytes.len() - rest.len());
        };
        sink(view(header, record).map_or_else(malformed, Ok)?);
        rest = behind;
    }
}

fn malformed<T>() -> Result<T, Refusal> {
    Err(Refusal::new(ResponseError::InvalidRecord, "Found invalid record structure"))
}

/// Kafka's `DefaultRecord`: attributes, timestamp delta, offset delta, key, value, headers.
fn view(header: &BatchHeader, mut record: &[u8]) -> Option<RecordView> {
    let rest = &mut record;
    *rest = rest.get(1..)?;
    let timestamp_delta = varint(rest)?;
    let offset_delta = varint(rest)?;
    let has_key = skip_field(rest)?;
    skip_field(rest)?;
    for _ in 0..varint(rest)? {
        if !skip_field(rest)? {
            return None;
        }
        skip_field(rest)?;
    }
    let timestamp = match header.timestamp_type() {
        TimestampType::Create => header.base_timestamp.saturating_add(timestamp_delta),
        TimestampType::LogAppend => header.max_timestamp,
    };
    let offset = header.base_offset.saturating_add(offset_delta);
    rest.is_empty().then_some(RecordView { offset, timestamp, has_key })
}

/// Skips bytes with their length in front; whether they are there, or null.
fn skip_field(bytes: &mut &[u8]) -> Option<bool> {
    let length = varint(bytes)?;
    if length == -1 {
        return Some(false);
    }
    *bytes = bytes.get(usize::try_from(length).ok()?..)?;
    Some(true)
}

/// A zigzag number of up to 64 bits.
fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            *bytes = &bytes[place + 1..];
            return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use kmirror_protocol::wire::compress::Compressor;
    use kmirror_protocol::wire::record::{NewRecord, build_batch};

    use super::*;
    use crate::api::testing::batch;

    fn records() -> Vec<NewRecord> {
        let record = |n: i64| NewRecord {
            timestamp: 500 + (n * 7919) % 300,
            key: (n != 40).then(|| format!("key {n}").into()),
            value: (n % 3 != 0).then(|| vec![7; 3000].into()),
            headers: vec![("h".into(), None), ("h".into(), Some("v".into()))],
        };
        (0..100).map(record).collect()
    }

    #[test]
    fn every_codec_is_looked_into() {
        let records = records();
        for codec in Codec::ALL {
            let batch = build_batch(&records, codec).unwrap();
            let summary = summarise(&batch.header, &batch.payload, &mut Decompressor::default()).unwrap();
            assert_eq!(summary.max_timestamp, records.iter().map(|record| record.timestamp).max().unwrap());
            assert_eq!(summary.min_timestamp, records.iter().map(|record| record.timestamp).min().unwrap());
            assert!(!summary.keyed);
            let mut offsets = Vec::new();
            let header = BatchHeader { base_offset: 70, ..batch.header };
            each_record(&header, &batch.payload, &mut Decompressor::default(), |record| {
                offsets.push(record.offset)
            })
            .unwrap();
            assert_eq!(offsets, (70..170).collect::<Vec<_>>(), "{codec}");
        }
    }

    #[test]
    fn counts_and_bytes_have_to_agree() {
        let (header, payload) = batch(4);
        let code = |header: &BatchHeader, payload: &Bytes| {
            summarise(header, payload, &mut Decompressor::default())
                .map(|_| ())
                .map_err(|refusal| refusal.error)
        };
        assert_eq!(code(&header, &payload), Ok(()));
        let five = BatchHeader { record_count: 5, last_offset_delta: 4, ..header };
        assert_eq!(code(&five, &payload), Err(ResponseError::InvalidRecord));
        assert_eq!(code(&header, &payload.slice(..payload.len() - 1)), Err(ResponseError::InvalidRecord));
        let garbage = BatchHeader { attributes: Codec::Lz4.bits(), ..header };
        assert_eq!(code(&garbage, &payload), Err(ResponseError::UnknownServerError));
    }

    #[test]
    fn misplaced_records_are_noticed_in_compressed_batches_only() {
        let (header, payload) = batch(4);
        let mut moved = payload.to_vec();
        moved[3 * 7 + 3] += 2;
        let moved = Bytes::from(moved);
        assert!(summarise(&header, &moved, &mut Decompressor::default()).is_ok());
        let (mut frame, mut compressor) = (Vec::new(), Compressor::default());
        compressor.start(Codec::Lz4, None, &mut frame).unwrap();
        compressor.finish(&mut moved.to_vec(), &mut frame).unwrap();
        let header = BatchHeader { attributes: Codec::Lz4.bits(), ..header };
        let refusal = summarise(&header, &frame.into(), &mut Decompressor::default()).unwrap_err();
        assert_eq!(refusal.error, ResponseError::UnknownServerError);
    }
}
