//! A batch from records, for small internal topics and for tests.

use bytes::Bytes;

use super::RecordError;
use super::varint::{length_of, put_field, put_varint};
use super::walk::{Body, RawRecord};
use crate::wire::batch::{Codec, TimestampType};
use crate::wire::reencode::{BatchWriter, Encoded, Shape};

/// A record to be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewRecord {
    /// Milliseconds since the epoch, -1 for none.
    pub timestamp: i64,
    /// The key, if any.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Names and values in order.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// One batch of `records`, at offsets from 0.
pub fn build_batch(records: &[NewRecord], codec: Codec) -> Result<Encoded, RecordError> {
    let shape = Shape { codec, level: None, max_batch_bytes: usize::MAX, timestamps: None };
    let mut writer = BatchWriter::default();
    writer.start_unsplit(&shape)?;
    let mut body = Vec::new();
    for (record, offset) in records.iter().zip(0..) {
        body.clear();
        encode_body(record, &mut body);
        writer.push(RawRecord {
            offset,
            timestamp: record.timestamp,
            timestamp_type: TimestampType::Create,
            attributes: 0,
            body: Body::Encoded(&body),
        })?;
    }
    writer.finish()?.pop().ok_or(RecordError::Empty)
}

fn encode_body(record: &NewRecord, body: &mut Vec<u8>) {
    put_field(record.key.as_deref(), body);
    put_field(record.value.as_deref(), body);
    put_varint(length_of(&record.headers).into(), body);
    for (name, value) in &record.headers {
        put_field(Some(name), body);
        put_field(value.as_deref(), body);
    }
}
