//! What a broker demands of a batch that a client produces, in the broker's order (`ProduceRequest.validateRecords`,
//! `UnifiedLog.analyzeAndValidateRecords`, `LogValidator`), and what it changes before it stores it. Pure.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kmirror_protocol::wire::batch::{BATCH_HEADER_LEN, Batch, BatchHeader, Codec, TimestampType};

use super::config::AppendRules;

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

    /// The batch, when its frame, size, checksum and counts are in order.
    pub(crate) fn check(&self, rules: &AppendRules) -> Result<Batch, Refusal> {
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
        if !self.has_right_crc() {
            return corrupt("Record is corrupt: its checksum does not go with its bytes");
        }
        match Batch::parse(&self.0) {
            Ok(Some(batch)) => check_header(&batch.header).map(|()| batch),
            _ => invalid("Inconsistent batch offset range and count of records"),
        }
    }

    fn has_right_crc(&self) -> bool {
        let stored = self.0.get(17..21).and_then(|crc| crc.try_into().ok()).map(u32::from_be_bytes);
        self.0.len() >= BATCH_HEADER_LEN && stored == Some(kmirror_protocol::wire::crc::crc32c(&self.0[21..]))
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

/// The header as it is stored: offsets and leader epoch put in, and the kind of timestamp that the topic has.
/// `max_timestamp` is the greatest of the records'.
pub(crate) fn stored_header(
    batch: &Batch,
    base_offset: i64,
    leader_epoch: i32,
    timestamps: TimestampType,
    max_timestamp: i64,
    now_ms: i64,
) -> BatchHeader {
    let header = BatchHeader { base_offset, partition_leader_epoch: leader_epoch, ..batch.header };
    let (attributes, max_timestamp) = match timestamps {
        TimestampType::Create => (header.attributes & !LOG_APPEND_TIME_BIT, max_timestamp),
        TimestampType::LogAppend => (header.attributes | LOG_APPEND_TIME_BIT, now_ms),
    };
    if (attributes, max_timestamp) == (header.attributes, header.max_timestamp) {
        return header;
    }
    BatchHeader { attributes, max_timestamp, ..header }.with_crc_over(&batch.payload())
}
