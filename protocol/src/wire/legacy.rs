//! Messages of magic 0 and 1, from before KIP-98: each has a frame of its own, and a compressed one wraps others.
//!
//! Rules: Kafka's `LegacyRecord` and `AbstractLegacyRecordBatch`.
//! - Magic 0 has no timestamp; inside its wrappers are absolute offsets.
//! - Magic 1 has one (KIP-32); inside its wrappers are relative offsets (KIP-31), and a wrapper stamped by the broker
//!   passes its timestamp to all inside.

use super::batch::{Codec, LegacySet, TimestampType, take};
use super::compress::Decompressor;
use super::crc;
use super::record::walk::{Body, RawRecord};
use super::record::{Limits, RecordError};

/// Bytes of a message's frame up to what its checksum covers: offset, length, checksum.
const UNCHECKED_LEN: usize = 16;

/// In the attributes of magic 1: the timestamp is the broker's.
const LOG_APPEND_TIME_BIT: u8 = 0x08;

/// The timestamp of records that have none.
const NO_TIMESTAMP: i64 = -1;

/// Hands every record of `set` to `sink`, in order, once its message's checksum is verified.
pub(crate) fn walk(
    set: &LegacySet,
    limits: &Limits,
    decompressor: &mut Decompressor,
    sink: &mut impl FnMut(RawRecord<'_>) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let mut bytes = &set.bytes()[..];
    while let Some(message) = Message::take(&mut bytes)? {
        match message.codec()? {
            Codec::None => sink(message.record(message.offset)?)?,
            codec => {
                let wrapped = message.value.ok_or_else(|| message.malformed("a wrapper has no value"))?;
                let (first_offset, last_offset) = (message.offset, message.offset);
                let whole = decompressor
                    .whole(codec, wrapped, limits.max_decompressed_bytes)
                    .map_err(|source| RecordError::Decompress { first_offset, last_offset, source })?;
                unwrap(&message, whole, sink)?;
            }
        }
    }
    Ok(())
}

/// Hands over the records inside `wrapper`, whose value decompressed to `whole`.
fn unwrap(
    wrapper: &Message<'_>,
    whole: &[u8],
    sink: &mut impl FnMut(RawRecord<'_>) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let offset_of_first = base_offset(wrapper, whole)?;
    let mut bytes = whole;
    while let Some(mut message) = Message::take(&mut bytes)? {
        if message.magic != wrapper.magic {
            return Err(wrapper.malformed("a message inside a wrapper has another magic"));
        }
        if message.codec()? != Codec::None {
            return Err(wrapper.malformed("a message inside a wrapper is compressed itself"));
        }
        if wrapper.timestamp_type() == TimestampType::LogAppend {
            (message.timestamp, message.attributes) = (wrapper.timestamp, wrapper.attributes);
        }
        let offset = offset_of_first
            .checked_add(message.offset)
            .filter(|offset| *offset >= 0)
            .ok_or_else(|| wrapper.malformed("an offset inside a wrapper is out of range"))?;
        sink(message.record(offset)?)?;
    }
    Ok(())
}

/// What to add to the offsets inside `wrapper`. The wrapper has the offset of its last message, so that those of magic 1
/// can only be told once the last is found.
fn base_offset(wrapper: &Message<'_>, whole: &[u8]) -> Result<i64, RecordError> {
    let mut bytes = whole;
    let mut last = None;
    while let Some(message) = Message::take_frame(&mut bytes) {
        last = Some(message?.offset);
    }
    let last = last.ok_or_else(|| wrapper.malformed("a wrapper is empty"))?;
    // Some versions of librdkafka left the offset of wrappers at 0 (as in Kafka's DeepRecordsIterator).
    if wrapper.magic == 0 || wrapper.offset == 0 {
        return Ok(0);
    }
    if last < 0 || last > wrapper.offset {
        return Err(wrapper.malformed("the offsets inside a wrapper are larger than its own"));
    }
    Ok(wrapper.offset - last)
}

struct Message<'a> {
    offset: i64,
    magic: u8,
    attributes: u8,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

/// A message by its frame alone.
struct Frame<'a> {
    offset: i64,
    crc: u32,
    checked: &'a [u8],
}

impl<'a> Message<'a> {
    /// Takes the next whole message off `bytes` and verifies it; `None` at the end, or where one breaks off: brokers and
    /// old producers cut sets at a size, and Java passes over the rest.
    fn take(bytes: &mut &'a [u8]) -> Result<Option<Self>, RecordError> {
        let Some(frame) = Self::take_frame(bytes) else { return Ok(None) };
        let Frame { offset, crc, checked } = frame?;
        if crc::crc32(checked) != crc {
            return Err(RecordError::Checksum { first_offset: offset, last_offset: offset });
        }
        Self::parse(offset, checked)
            .map(Some)
            .ok_or_else(|| malformed(offset, "a message is not what its lengths say"))
    }

    fn take_frame(bytes: &mut &'a [u8]) -> Option<Result<Frame<'a>, RecordError>> {
        let mut rest = *bytes;
        let offset = i64::from_be_bytes(take(&mut rest)?);
        let length = i32::from_be_bytes(take(&mut rest)?);
        let crc = u32::from_be_bytes(take(&mut rest)?);
        let Some(checked_len) = usize::try_from(length).ok().and_then(|length| length.checked_sub(4)) else {
            return Some(Err(malformed(offset, "a message's length is too small")));
        };
        let whole = UNCHECKED_LEN.checked_add(checked_len)?;
        let checked = bytes.get(UNCHECKED_LEN..whole)?;
        *bytes = &bytes[whole..];
        Some(Ok(Frame { offset, crc, checked }))
    }

    fn parse(offset: i64, mut fields: &'a [u8]) -> Option<Self> {
        let [magic, attributes] = take(&mut fields)?;
        let timestamp = match magic {
            0 => NO_TIMESTAMP,
            1 => i64::from_be_bytes(take(&mut fields)?),
            _ => return None,
        };
        let key = field(&mut fields)?;
        let value = field(&mut fields)?;
        fields.is_empty().then_some(Self { offset, magic, attributes, timestamp, key, value })
    }

    fn codec(&self) -> Result<Codec, RecordError> {
        Codec::from_attributes(self.attributes.into()).map_err(|_| self.malformed("its codec is unknown"))
    }

    fn timestamp_type(&self) -> TimestampType {
        match self.magic {
            1 if self.attributes & LOG_APPEND_TIME_BIT != 0 => TimestampType::LogAppend,
            _ => TimestampType::Create,
        }
    }

    fn record(&self, offset: i64) -> Result<RawRecord<'a>, RecordError> {
        if offset == i64::MAX {
            return Err(self.malformed("its offset is out of range"));
        }
        Ok(RawRecord {
            offset,
            timestamp: self.timestamp,
            timestamp_type: self.timestamp_type(),
            // None of magic 1's attributes means anything in a record of magic 2.
            attributes: 0,
            body: Body::Plain { key: self.key, value: self.value },
        })
    }

    fn malformed(&self, what: &'static str) -> RecordError {
        malformed(self.offset, what)
    }
}

fn malformed(offset: i64, what: &'static str) -> RecordError {
    RecordError::Malformed { first_offset: offset, last_offset: offset, what }
}

/// Bytes with a 32 bit length in front, -1 for null.
fn field<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = i32::from_be_bytes(take(bytes)?);
    if length == -1 {
        return Some(None);
    }
    let (field, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(Some(field))
}

#[cfg(test)]
mod tests;
