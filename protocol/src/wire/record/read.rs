//! The records of a batch as objects, for small internal topics and for tests.

use bytes::Bytes;

use super::varint::take_varint;
use super::walk::{Body, RawRecord, walk};
use super::{Limits, RecordError};
use crate::wire::batch::{Entry, TimestampType};
use crate::wire::compress::Decompressor;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Offset in its partition.
    pub offset: i64,
    /// Milliseconds since the epoch, -1 for none.
    pub timestamp: i64,
    /// Who put the timestamp there.
    pub timestamp_type: TimestampType,
    /// The key, if any.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Names and values in order. Names may repeat and need not be UTF-8.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// The records of `entry`, once its checksum is verified.
pub fn records(entry: &Entry, limits: &Limits) -> Result<Vec<Record>, RecordError> {
    let mut records = Vec::new();
    let (first_offset, last_offset) = (entry.first_offset(), entry.last_offset());
    walk(entry, limits, &mut Decompressor::default(), &mut |raw| {
        let what = "a record's key, value or headers do not fill it";
        records.push(record(raw).ok_or(RecordError::Malformed { first_offset, last_offset, what })?);
        Ok(())
    })?;
    Ok(records)
}

fn record(raw: RawRecord<'_>) -> Option<Record> {
    let copied = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    let (key, value, headers) = match raw.body {
        Body::Plain { key, value } => (key.map(copied), value.map(copied), Vec::new()),
        Body::Encoded(mut body) => {
            let key = field(&mut body)?;
            let value = field(&mut body)?;
            (key, value, headers(body)?)
        }
    };
    let RawRecord { offset, timestamp, timestamp_type, .. } = raw;
    Some(Record { offset, timestamp, timestamp_type, key, value, headers })
}

/// The headers, which must fill `bytes`.
fn headers(mut bytes: &[u8]) -> Option<Vec<(Bytes, Option<Bytes>)>> {
    let count = usize::try_from(take_varint(&mut bytes)?).ok()?;
    // A header takes two bytes at least.
    let mut headers = Vec::with_capacity(count.min(bytes.len() / 2));
    for _ in 0..count {
        headers.push((field(&mut bytes)??, field(&mut bytes)?));
    }
    bytes.is_empty().then_some(headers)
}

/// Bytes with their length in front, -1 for null.
fn field(bytes: &mut &[u8]) -> Option<Option<Bytes>> {
    let length = take_varint(bytes)?;
    if length == -1 {
        return Some(None);
    }
    let (field, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(Some(Bytes::copy_from_slice(field)))
}
