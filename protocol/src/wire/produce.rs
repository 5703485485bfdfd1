//! Produce, coded by hand: versions 3 to 13. Payloads go out as they came in, between chunks of framing, for one
//! vectored write.
//!
//! Pure. What the batch headers say is the caller's affair.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::api::ApiKey;
use super::batch::BATCH_HEADER_LEN;
use super::cursor::{PutWire, Reader};
use super::error::{ErrorCode, WireError};

/// The first version that names topics by id alone (KIP-516).
pub const FIRST_BY_TOPIC_ID: i16 = 13;

/// Framing bytes to reserve for a batch: its share of names and lengths, and its header.
const ENTRY_BYTES: usize = 96;
/// The least bytes a topic can take in a response: an empty name and no partitions.
const MIN_TOPIC_BYTES: usize = 2;
/// The least bytes a partition can take in a response: number, error, base offset, append time.
const MIN_PARTITION_BYTES: usize = 22;

/// The least bytes a record's error can take: its index and no text.
const MIN_RECORD_ERROR_BYTES: usize = 5;

/// One batch for one partition. A request holds at most one for each partition: brokers refuse more
/// (Kafka class `LogValidator`).
#[derive(Debug, Clone)]
pub struct ProduceEntry {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The topic's id, or nil where the cluster has none.
    pub topic_id: Uuid,
    /// The partition's number.
    pub partition: i32,
    /// The batch header as it is to be sent.
    pub header: [u8; BATCH_HEADER_LEN],
    /// What follows the header.
    pub payload: Bytes,
}

/// The answer to one Produce request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProduceResponse {
    /// How long the broker holds further requests back, having reached a quota.
    pub throttle_time_ms: i32,
    /// What became of each partition's batch.
    pub partitions: Vec<Produced>,
}

/// A topic as a response calls it: by name up to version 12, by id from version 13.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TopicRef {
    /// By name.
    Name(Arc<str>),
    /// By id.
    Id(Uuid),
}

/// What became of one partition's batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Produced {
    /// The topic.
    pub topic: TopicRef,
    /// The partition's number.
    pub partition: i32,
    /// Why it was refused, or `None`.
    pub error: ErrorCode,
    /// The offset of its first record, -1 if refused (and for a duplicate that the broker no longer has at hand).
    pub base_offset: i64,
    /// The broker's time of appending where the topic uses that, else -1.
    pub log_append_time: i64,
    /// The first offset of the log, -1 if unknown (before version 5).
    pub log_start_offset: i64,
    /// The broker's words on the error (from version 8).
    pub message: Option<String>,
}

impl Produced {
    /// Whether this is the answer to `entry`.
    pub fn answers(&self, entry: &ProduceEntry) -> bool {
        let same_topic = match &self.topic {
            TopicRef::Name(name) => *name == entry.topic,
            TopicRef::Id(id) => *id == entry.topic_id,
        };
        same_topic && self.partition == entry.partition
    }
}

/// The version to speak for these entries where `negotiated` is the highest: one with names if some topic has no id.
pub fn version(negotiated: i16, entries: &[ProduceEntry]) -> i16 {
    if entries.iter().any(|entry| entry.topic_id.is_nil()) {
        negotiated.min(FIRST_BY_TOPIC_ID - 1)
    } else {
        negotiated
    }
}

/// The body of a request: framing, payload, framing, payload and so on. All batches belong to the transaction of
/// `transactional_id`, if there is one.
///
/// `acks` is -1 for all in-sync replicas or 1 for the leader. (0 must not be sent: nothing would answer.)
///
/// # Errors
/// [`WireError::Unsendable`] for a topic without an id in a version that names topics by id (see [`version`]), and
/// for what is too long.
pub fn encode(
    version: i16,
    transactional_id: Option<&str>,
    acks: i16,
    timeout_ms: i32,
    entries: &[ProduceEntry],
) -> Result<Vec<Bytes>, WireError> {
    encode_chunks(version, transactional_id, acks, timeout_ms, entries)
        .map_err(|error| error.of(ApiKey::Produce, version))
}

fn encode_chunks(
    version: i16,
    transactional_id: Option<&str>,
    acks: i16,
    timeout_ms: i32,
    entries: &[ProduceEntry],
) -> Result<Vec<Bytes>, WireError> {
    let flexible = ApiKey::Produce.is_flexible(version);
    let mut sorted: Vec<&ProduceEntry> = entries.iter().collect();
    sorted.sort_by(|a, b| a.topic.cmp(&b.topic));
    let topics: Vec<&[&ProduceEntry]> = sorted.chunk_by(|a, b| a.topic == b.topic).collect();

    let names: usize = topics.iter().filter_map(|topic| topic.first()).map(|entry| entry.topic.len()).sum();
    let mut chunks = Chunks::with_capacity(64 + names + ENTRY_BYTES * entries.len(), 2 * entries.len() + 1);
    let out = &mut chunks.framing;
    match transactional_id {
        Some(id) => out.put_text(id, flexible)?,
        None if flexible => out.put_u8(0),
        None => out.put_i16(-1),
    }
    out.put_i16(acks);
    out.put_i32(timeout_ms);
    out.put_count("topics", topics.len(), flexible)?;
    for topic in topics {
        put_topic(&mut chunks, version, topic)?;
    }
    chunks.framing.put_no_tags(flexible);
    Ok(chunks.finish())
}

fn put_topic(chunks: &mut Chunks, version: i16, entries: &[&ProduceEntry]) -> Result<(), WireError> {
    let flexible = ApiKey::Produce.is_flexible(version);
    let Some(first) = entries.first() else { return Ok(()) };
    if version < FIRST_BY_TOPIC_ID {
        chunks.framing.put_text(&first.topic, flexible)?;
    } else if first.topic_id.is_nil() {
        return Err(WireError::Unsendable { what: format!("topic {}, which has no id,", first.topic) });
    } else {
        chunks.framing.put_slice(first.topic_id.as_bytes());
    }
    chunks.framing.put_count("partitions", entries.len(), flexible)?;
    for entry in entries {
        let out = &mut chunks.framing;
        out.put_i32(entry.partition);
        out.put_count("records", BATCH_HEADER_LEN + entry.payload.len(), flexible)?;
        out.put_slice(&entry.header);
        chunks.splice(&entry.payload);
        chunks.framing.put_no_tags(flexible);
    }
    chunks.framing.put_no_tags(flexible);
    Ok(())
}

/// Framing with foreign bytes spliced in. The framing is one allocation, cut up.
struct Chunks {
    framing: BytesMut,
    done: Vec<Bytes>,
}

impl Chunks {
    fn with_capacity(framing: usize, chunks: usize) -> Self {
        Self { framing: BytesMut::with_capacity(framing), done: Vec::with_capacity(chunks) }
    }

    fn splice(&mut self, payload: &Bytes) {
        self.done.push(self.framing.split().freeze());
        if !payload.is_empty() {
            self.done.push(payload.clone());
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        if !self.framing.is_empty() {
            self.done.push(self.framing.freeze());
        }
        self.done
    }
}

/// Takes a response apart.
///
/// # Errors
/// Any [`WireError`] for bytes that are no such response.
pub fn decode(version: i16, body: Bytes) -> Result<ProduceResponse, WireError> {
    decode_topics(version, body).map_err(|error| error.of(ApiKey::Produce, version))
}

fn decode_topics(version: i16, body: Bytes) -> Result<ProduceResponse, WireError> {
    let flexible = ApiKey::Produce.is_flexible(version);
    let mut reader = Reader::new(body);
    let mut partitions = Vec::new();
    for _ in 0..reader.array("topics", MIN_TOPIC_BYTES, flexible)? {
        let topic = if version < FIRST_BY_TOPIC_ID {
            TopicRef::Name(reader.text("a topic name", flexible)?)
        } else {
            TopicRef::Id(reader.uuid("a topic id")?)
        };
        let count = reader.array("partitions", MIN_PARTITION_BYTES, flexible)?;
        partitions.reserve(count);
        for _ in 0..count {
            partitions.push(decode_partition(&mut reader, version, topic.clone())?);
        }
        if flexible {
            reader.skip_tags()?;
        }
    }
    let throttle_time_ms = reader.i32("the throttle time")?;
    if flexible {
        reader.skip_tags()?;
    }
    reader.finish()?;
    Ok(ProduceResponse { throttle_time_ms, partitions })
}

fn decode_partition(reader: &mut Reader, version: i16, topic: TopicRef) -> Result<Produced, WireError> {
    let flexible = ApiKey::Produce.is_flexible(version);
    let mut produced = Produced {
        topic,
        partition: reader.i32("a partition number")?,
        error: reader.i16("an error code")?.into(),
        base_offset: reader.i64("a base offset")?,
        log_append_time: reader.i64("the log append time")?,
        log_start_offset: if version >= 5 { reader.i64("the log start offset")? } else { -1 },
        message: None,
    };
    if version >= 8 {
        let mut first_record_error = None;
        for _ in 0..reader.array("record errors", MIN_RECORD_ERROR_BYTES, flexible)? {
            reader.i32("a record's index")?;
            let message = reader.nullable_text("a record's error", flexible)?;
            first_record_error = first_record_error.or(message);
            if flexible {
                reader.skip_tags()?;
            }
        }
        let message = reader.nullable_text("an error message", flexible)?;
        produced.message = message.or(first_record_error).map(|text| text.to_string());
    }
    if flexible {
        reader.skip_tags()?;
    }
    Ok(produced)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::encoded as sample_response;
