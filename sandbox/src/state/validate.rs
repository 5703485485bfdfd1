//! What a broker demands of a batch that a client produces, in the broker's order (`ProduceRequest.validateRecords`,
//! `UnifiedLog.analyzeAndValidateRecords`, `LogValidator`), and what it changes before it stores it. Pure.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kmirror_protocol::wire::batch::{BATCH_HEADER_LEN, Batch, BatchHeader, Codec, Entry, TimestampType};
use kmirror_protocol::wire::compress::Decompressor;
use kmirror_protocol::wire::reencode::{Limits, Reencoder, Shape};

use super::config::AppendRules;
use super::records::{self, DECOMPRESSED_MAX, Summary};

/// First Produce version whose batches may be compressed with zstd (KIP-110).
const ZSTD_FROM_VERSION: i16 = 7;

/// Bytes in front of what a batch's length field counts.
const LENGTH_PREFIX_LEN: usize = 12;

/// Least value of the length field of anything a log can hold: a message of magic 0.
const MESSAGE_LENGTH_MIN: i32 = 14;

const LOG_APPEND_TIME_BIT: i16 = 0x08;

/// A reason to refuse a request or a part of it: Kafka's code, and words for the codes that come with some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) error: ResponseError,
    pub(crate) message: Option<String>,
}

impl Refusal {
    pub(crate) fn new(error: ResponseError, message: impl Into<String>) -> Self {
        Self { error, message: Some(message.into()) }
    }
}

impl From<ResponseError> for Refusal {
    fn from(error: ResponseError) -> Self {
        Self { error, message: None }
    }
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(ResponseError::InvalidRecord, message))
}

fn corrupt<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(ResponseError::CorruptMessage, message))
}

/// What a request's frame shows before any log is looked at: exactly one batch of magic 2.
pub(crate) fn single_batch(records: &Bytes, version: i16) -> Result<RawBatch, Refusal> {
    let Some(len) = whole_entry(records)? else {
        return invalid("Produce requests must have at least one record batch per partition");
    };
    let magic = records[16];
    if magic != 2 {
        return invalid(format!(
            "Produce requests with version {version} are only allowed to contain record batches with magic version 2"
        ));
    }
    let raw = RawBatch(records.slice(..len));
    if raw.attributes() & 0x07 == Codec::Zstd.bits() && version < ZSTD_FROM_VERSION {
        let message =
            format!("Produce requests with version {version} are not allowed to use ZStandard compression");
        return Err(Refusal::new(ResponseError::UnsupportedCompressionType, message));
    }
    if whole_entry(&records.slice(len..))?.is_some() {
        return invalid(
            "Produce requests are only allowed to contain exactly one record batch per partition",
        );
    }
    Ok(raw)
}

/// Length of the entry at the start of `records`, `None` when there is no whole one (`ByteBufferLogInputStream`).
fn whole_entry(records: &Bytes) -> Result<Option<usize>, Refusal> {
    let Some(length) = records.get(8..LENGTH_PREFIX_LEN) else { return Ok(None) };
    let length = <[u8; 4]>::try_from(length).map_or(0, i32::from_be_bytes);
    if length < MESSAGE_LENGTH_MIN {
        return corrupt(format!(
            "Record size {length} is less than the minimum record overhead ({MESSAGE_LENGTH_MIN})"
        ));
    }
    let Some(magic) = records.get(16) else { return Ok(None) };
    if *magic > 2 {
        return corrupt(format!("Invalid magic found in record: {magic}"));
    }
    let len = LENGTH_PREFIX_LEN + usize::try_from(length).unwrap_or_default();
    Ok((len <= records.len()).then_some(len))
}

/// The bytes of one entry of magic 2, not looked into yet.
#[derive(Debug, Clone)]
pub(crate) struct RawBatch(Bytes);

impl RawBatch {
    fn attributes(&self) -> i16 {
        self.0.get(21..23).and_then(|bits| bits.try_into().ok()).map_or(0, i16::from_be_bytes)
    }

    /// Whether the transactional bit is set.
    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes() & 0x10 != 0
    }

    /// The checks that need the topic's settings, and come first.
    pub(super) fn check_frame(&self, rules: &AppendRules) -> Result<(), Refusal> {
        if self.0.get(..8).is_some_and(|base_offset| base_offset != [0; 8]) {
            return invalid("The baseOffset of the record batch in the append should be 0");
        }
        if i64::try_from(self.0.len()).is_ok_and(|len| len > rules.max_message_bytes) {
            let (len, limit) = (self.0.len(), rules.max_message_bytes);
            let message = format!(
                "The record batch size in the append is {len} bytes which exceeds the maximum configured value of {limit}."
            );
            return Err(Refusal::new(ResponseError::MessageTooLarge, message));
        }
        Ok(())
    }

    /// The checks that cost a pass over the bytes: checksum, counts, and with `inspector` the records one by one.
    pub(crate) fn inspect(&self, inspector: Option<&mut Decompressor>) -> Result<Inspected, Refusal> {
        if !self.has_right_crc() {
            return corrupt("Record is corrupt: its checksum does not go with its bytes");
        }
        let Ok(Some(batch)) = Batch::parse(&self.0) else {
            return invalid("Inconsistent batch offset range and count of records");
        };
        let header = &batch.header;
        check_header(header)?;
        let summary = match inspector {
            Some(inspector) => records::summarise(header, &batch.payload(), inspector)?,
            None => Summary::of_header(header),
        };
        Ok(Inspected { batch, summary })
    }

    fn has_right_crc(&self) -> bool {
        let stored = self.0.get(17..21).and_then(|crc| crc.try_into().ok()).map(u32::from_be_bytes);
        self.0.len() >= BATCH_HEADER_LEN && stored == Some(kmirror_protocol::wire::crc::crc32c(&self.0[21..]))
    }
}

/// A batch that is in order by itself, and what its records come to.
#[derive(Debug, Clone)]
pub(crate) struct Inspected {
    pub(crate) batch: Batch,
    pub(crate) summary: Summary,
}

impl Inspected {
    /// What the topic demands of the records (`LogValidator.validateRecord`).
    pub(super) fn check(&self, rules: &AppendRules, now_ms: i64) -> Result<(), Refusal> {
        if rules.compacted && !self.summary.keyed {
            return invalid("Compacted topic cannot accept message without key");
        }
        let least = now_ms.saturating_sub(rules.timestamp_before_max_ms);
        let most = now_ms.saturating_add(rules.timestamp_after_max_ms);
        let Summary { min_timestamp, max_timestamp, .. } = self.summary;
        let outside = |timestamp: &i64| *timestamp >= 0 && !(least..=most).contains(timestamp);
        match [min_timestamp, max_timestamp].into_iter().find(outside) {
            Some(timestamp) if rules.timestamps == TimestampType::Create => {
                let message = format!(
                    "Timestamp {timestamp} of message is out of range. The timestamp should be within [{least}, {most}]"
                );
                Err(Refusal::new(ResponseError::InvalidTimestamp, message))
            }
            _ => Ok(()),
        }
    }
}

/// `LogValidator.validateBatch`.
fn check_header(header: &BatchHeader) -> Result<(), Refusal> {
    if !header.is_dense() {
        return invalid("Inconsistent batch offset range and count of records");
    }
    if header.is_control() {
        return invalid("Clients are not allowed to write control records");
    }
    if header.producer_id >= 0 && header.base_sequence < 0 {
        return invalid(format!(
            "Invalid sequence number {} in record batch with producerId",
            header.base_sequence
        ));
    }
    if header.codec().is_err() {
        return invalid("Unknown compression type");
    }
    Ok(())
}

/// The batch as it is stored, header and payload: offset and leader epoch put in, with the kind of timestamp and the codec
/// that the topic has.
pub(super) fn stored(
    inspected: &Inspected,
    rules: &AppendRules,
    base_offset: i64,
    leader_epoch: i32,
    now_ms: i64,
) -> Result<(BatchHeader, Bytes), Refusal> {
    let Inspected { batch, summary } = inspected;
    let (header, payload) = match rules.codec {
        Some(codec) if Ok(codec) != batch.header.codec() => recompress(batch, codec)?,
        _ => (batch.header, batch.payload()),
    };
    let header = BatchHeader { base_offset, partition_leader_epoch: leader_epoch, ..header };
    let (attributes, max_timestamp) = match rules.timestamps {
        TimestampType::Create => (header.attributes & !LOG_APPEND_TIME_BIT, summary.max_timestamp),
        TimestampType::LogAppend => (header.attributes | LOG_APPEND_TIME_BIT, now_ms),
    };
    let changed = BatchHeader { attributes, max_timestamp, ..header };
    // Neither offset nor epoch are under the checksum.
    let header = if changed == header { header } else { changed.with_crc_over(&payload) };
    Ok((header, payload))
}

/// `compression.type` other than the producer's makes the broker write the records anew.
fn recompress(batch: &Batch, codec: Codec) -> Result<(BatchHeader, Bytes), Refusal> {
    let limits = Limits { max_decompressed_bytes: DECOMPRESSED_MAX };
    let shape = Shape { codec, level: None, max_batch_bytes: usize::MAX, timestamps: None };
    let written = Reencoder::new(limits).reencode(&[Entry::Batch(batch.clone())], 0, &shape);
    let Ok([written]) = written.as_deref() else { return Err(ResponseError::UnknownServerError.into()) };
    let header = BatchHeader {
        batch_length: written.header.batch_length,
        attributes: batch.header.attributes & !i16::from(Codec::MASK) | codec.bits(),
        base_timestamp: written.header.base_timestamp,
        ..batch.header
    };
    Ok((header.with_crc_over(&written.payload), written.payload.clone()))
}

#[cfg(test)]
mod tests;
