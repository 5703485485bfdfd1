//! What a log holds at a position: a batch, or bytes that a test put there as they are. Pure.

use bytes::{BufMut, Bytes};
use kmirror_protocol::wire::batch::{BATCH_HEADER_LEN, BatchHeader, Entry};

use crate::chunks::ChunkWriter;

/// Payloads smaller than this are copied when they are stored, so that they do not keep the request they came in.
const COPY_BELOW: usize = 64 * 1024;

/// Bookkeeping of an entry besides its payload, for the memory limit.
const OVERHEAD: usize = 160;

/// A piece of a log that is read as a whole.
#[derive(Debug, Clone)]
pub(crate) struct LogEntry {
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) leader_epoch: i32,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    /// The header apart from its payload: it changes on the way into the log, and the payload can stay where it is.
    Batch { header: BatchHeader, payload: Bytes },
    /// Messages of magic 0 or 1, or a batch kept with whatever is wrong with it.
    Raw(Bytes),
}

impl LogEntry {
    /// A batch with its offsets and leader epoch put in. `payload` is shared when it is most of `frame_len`, the buffer
    /// it lies in, and copied otherwise.
    pub(crate) fn batch(header: BatchHeader, payload: &Bytes, frame_len: usize) -> Self {
        let share = payload.len() >= COPY_BELOW && payload.len() >= frame_len / 4;
        let payload = if share { payload.clone() } else { Bytes::copy_from_slice(payload) };
        Self {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
            leader_epoch: header.partition_leader_epoch,
            content: Content::Batch { header, payload },
        }
    }

    /// An entry of a blob with the offsets it has.
    pub(crate) fn verbatim(entry: &Entry) -> Self {
        let (content, leader_epoch) = match entry {
            Entry::Batch(batch) => {
                let content = Content::Batch { header: batch.header, payload: batch.payload() };
                (content, batch.header.partition_leader_epoch)
            }
            Entry::Legacy(set) => (Content::Raw(set.bytes().clone()), -1),
        };
        Self {
            base_offset: entry.first_offset(),
            last_offset: entry.last_offset(),
            max_timestamp: entry.max_timestamp(),
            leader_epoch,
            content,
        }
    }

    /// Any bytes, to be served as if they were the records of these offsets.
    pub(crate) fn raw(bytes: Bytes, base_offset: i64, last_offset: i64) -> Self {
        Self { base_offset, last_offset, max_timestamp: -1, leader_epoch: -1, content: Content::Raw(bytes) }
    }

    /// The header, when it is a batch.
    pub(crate) fn header(&self) -> Option<&BatchHeader> {
        match &self.content {
            Content::Batch { header, .. } => Some(header),
            Content::Raw(_) => None,
        }
    }

    /// Header and payload, when it is a batch.
    pub(crate) fn parts(&self) -> Option<(&BatchHeader, &Bytes)> {
        match &self.content {
            Content::Batch { header, payload } => Some((header, payload)),
            Content::Raw(_) => None,
        }
    }

    /// Bytes on the wire.
    pub(crate) fn len(&self) -> usize {
        match &self.content {
            Content::Batch { payload, .. } => BATCH_HEADER_LEN + payload.len(),
            Content::Raw(bytes) => bytes.len(),
        }
    }

    /// Bytes of memory, about.
    pub(crate) fn footprint(&self) -> usize {
        self.len() + OVERHEAD
    }

    pub(crate) fn write(&self, out: &mut ChunkWriter) {
        match &self.content {
            Content::Batch { header, payload } => {
                out.tail().put_slice(&header.to_bytes());
                out.push(payload);
            }
            Content::Raw(bytes) => out.push(bytes),
        }
    }

    /// The entry as one piece of memory.
    pub(crate) fn to_bytes(&self) -> Bytes {
        match &self.content {
            Content::Batch { header, payload } => [header.to_bytes().as_slice(), payload].concat().into(),
            Content::Raw(bytes) => bytes.clone(),
        }
    }
}
