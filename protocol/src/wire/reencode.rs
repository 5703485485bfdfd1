//! The slow path: batches decoded and written anew, many in and few out, because they may not or should not go as they
//! are. Records stream through reused buffers; their keys, values and headers are copied in one piece and never looked at.
//!
//! Must not know why a batch came here, nor who produces the result.

mod deal;
mod writer;

use bytes::Bytes;
pub(crate) use writer::BatchWriter;
pub use writer::Buffers;

use super::batch::{BatchHeader, Codec, Entry};
use super::compress::Decompressor;
use super::record::walk::walk;
pub use super::record::{Limits, RecordError};

/// What re-encoded batches are to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How to compress them.
    pub codec: Codec,
    /// The codec's level; `None` is Kafka's default. Snappy and LZ4 have one way here.
    pub level: Option<i32>,
    /// Bytes a batch may have, header included (`max.message.bytes` of the target). A record that alone is larger
    /// comes out alone in a batch of its own.
    pub max_batch_bytes: usize,
    /// The earliest and the latest timestamp in milliseconds that the target takes; `None` for all. A record with another one comes out alone
    /// in a batch of its own. Records without a timestamp (-1) are always taken, as brokers do
    /// (`LogValidator.validateTimestamp`).
    pub timestamps: Option<(i64, i64)>,
}

/// A batch made here.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Base offset 0, no producer, and the checksum that goes with the payload: ready to be stamped.
    pub header: BatchHeader,
    /// The records, compressed as the header says.
    pub payload: Bytes,
    /// Source offset of its first record.
    pub first_record: i64,
    /// First source offset it covers: behind the batch before it, or where re-encoding began.
    pub first_offset: i64,
    /// Last source offset it covers. Of the last batch this is the last offset of the entries that went in, even where
    /// their last records had been compacted away.
    pub last_offset: i64,
    /// The records whose source offset does not follow on that of the record before them, with their places in the
    /// batch.
    pub breaks: Vec<(i64, i32)>,
    /// The single record in it has a timestamp that [`Shape::timestamps`] leaves out.
    pub untimely: bool,
}

/// Re-encodes batches, keeping buffers and codec contexts from one call to the next.
#[derive(Debug)]
pub struct Reencoder {
    limits: Limits,
    decompressor: Decompressor,
    writer: BatchWriter,
}

impl Reencoder {
    /// A re-encoder for batches within `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, decompressor: Decompressor::default(), writer: BatchWriter::default() }
    }

    /// The same, with payloads in memory from `buffers`.
    pub fn with_buffers(limits: Limits, buffers: Box<dyn Buffers>) -> Self {
        Self { limits, decompressor: Decompressor::default(), writer: BatchWriter::with_buffers(buffers) }
    }

    /// Writes the records of consecutive `entries` of one partition into as few batches as `shape` allows, leaving out
    /// those at offsets before `from`.
    ///
    /// Offsets become dense: a record's place in its batch. Timestamps, keys, values and headers stay byte for byte;
    /// records stamped by the source's broker keep that time as their own. The checksum of every input is verified
    /// first. Nothing comes out where no record is left (batches compacted to nothing); the offsets of `entries` are
    /// dealt with all the same. Control batches are refused.
    pub fn reencode(
        &mut self,
        entries: &[Entry],
        from: i64,
        shape: &Shape,
    ) -> Result<Vec<Encoded>, RecordError> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(Vec::new()) };
        let size = entries.iter().map(Entry::size).sum();
        self.writer.start(shape, size, first.first_offset().max(from))?;
        let Self { limits, decompressor, writer } = self;
        let mut expected = from;
        for entry in entries {
            refuse_control(entry)?;
            walk(entry, limits, decompressor, &mut |record| {
                if record.offset < from {
                    return Ok(());
                }
                if record.offset < expected {
                    return Err(RecordError::Order { offset: record.offset, expected });
                }
                expected = record.offset + 1;
                writer.push(record)
            })?;
        }
        let mut batches = writer.finish()?;
        if let Some(batch) = batches.last_mut() {
            batch.last_offset = batch.last_offset.max(last.last_offset());
        }
        Ok(batches)
    }
}

fn refuse_control(entry: &Entry) -> Result<(), RecordError> {
    match entry {
        Entry::Batch(batch) if batch.header.is_control() => {
            Err(RecordError::Control { first_offset: entry.first_offset(), last_offset: entry.last_offset() })
        }
        Entry::Batch(_) | Entry::Legacy(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
