//! The records of a batch: as objects, for small internal topics and for tests, and borrowed one at a time, for whoever
//! has to look at many.

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

/// A header's name and value.
pub type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// One record, borrowed from its batch or from the buffer that is decompressed into.
#[derive(Debug, Clone)]
pub struct RecordView<'a> {
    /// Offset in its partition.
    pub offset: i64,
    /// Milliseconds since the epoch, -1 for none.
    pub timestamp: i64,
    /// Who put the timestamp there.
    pub timestamp_type: TimestampType,
    /// The key, if any.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Names and values in order.
    pub headers: Vec<Header<'a>>,
}

/// Shows records one by one, keeping the codecs' contexts from batch to batch.
#[derive(Default)]
pub struct RecordReader {
    decompressor: Decompressor,
}

impl RecordReader {
    /// Hands every record of `entry` to `each`, in order, once its checksum is verified.
    ///
    /// # Errors
    /// As [`records`]. Records in front of what is wrong have been handed over by then.
    pub fn read(
        &mut self,
        entry: &Entry,
        limits: &Limits,
        mut each: impl FnMut(RecordView<'_>),
    ) -> Result<(), RecordError> {
        let (first_offset, last_offset) = (entry.first_offset(), entry.last_offset());
        walk(entry, limits, &mut self.decompressor, &mut |raw| {
            let what = "a record's key, value or headers do not fill it";
            each(view(raw).ok_or(RecordError::Malformed { first_offset, last_offset, what })?);
            Ok(())
        })
    }
}

/// The records of `entry`, once its checksum is verified.
pub fn records(entry: &Entry, limits: &Limits) -> Result<Vec<Record>, RecordError> {
    let mut records = Vec::new();
    RecordReader::default().read(entry, limits, |view| records.push(record(&view)))?;
    Ok(records)
}

fn record(view: &RecordView<'_>) -> Record {
    let copied = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    Record {
        offset: view.offset,
        timestamp: view.timestamp,
        timestamp_type: view.timestamp_type,
        key: view.key.map(copied),
        value: view.value.map(copied),
        headers: view.headers.iter().map(|(name, value)| (copied(name), value.map(copied))).collect(),
    }
}

fn view(raw: RawRecord<'_>) -> Option<RecordView<'_>> {
    let (key, value, headers) = match raw.body {
        Body::Plain { key, value } => (key, value, Vec::new()),
        Body::Encoded(mut body) => {
            let key = field(&mut body)?;
            let value = field(&mut body)?;
            (key, value, headers(body)?)
        }
    };
    let RawRecord { offset, timestamp, timestamp_type, .. } = raw;
    Some(RecordView { offset, timestamp, timestamp_type, key, value, headers })
}

/// The headers, which must fill `bytes`.
fn headers(mut bytes: &[u8]) -> Option<Vec<Header<'_>>> {
    let count = usize::try_from(take_varint(&mut bytes)?).ok()?;
    // A header takes two bytes at least.
    let mut headers = Vec::with_capacity(count.min(bytes.len() / 2));
    for _ in 0..count {
        headers.push((field(&mut bytes)??, field(&mut bytes)?));
    }
    bytes.is_empty().then_some(headers)
}

/// Bytes with their length in front, -1 for null.
fn field<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = take_varint(bytes)?;
    if length == -1 {
        return Some(None);
    }
    let (field, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(Some(field))
}
