//! The records inside batches: errors, the walk over them that both re-encoding and reading use, and a small, allocating
//! access for Kafka's internal topics and for tests.
//!
//! Layout: Kafka's `DefaultRecord` (KIP-98). Headers stay as they lie: names may repeat, be no UTF-8, and have null
//! values. Must not know where batches come from or go to.

mod build;
#[cfg(test)]
mod java_tests;
mod read;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod varint;
pub(crate) mod walk;

pub use build::{NewRecord, build_batch};
pub use read::{Header, Record, RecordReader, RecordView, records};

use super::batch::BatchError;
use super::compress::CompressError;

/// Bounds on what batches off the wire may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes one batch (or one wrapper message) may decompress to.
    pub max_decompressed_bytes: usize,
}

/// Why the records of a batch could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The checksum says that the bytes are not those that were written.
    #[error(
        "batch at offsets {first_offset} to {last_offset}: its checksum does not match: damaged at the source or on the way"
    )]
    Checksum {
        /// First offset of the batch.
        first_offset: i64,
        /// Last offset of the batch.
        last_offset: i64,
    },
    /// The payload could not be decompressed.
    #[error("batch at offsets {first_offset} to {last_offset} cannot be decompressed")]
    Decompress {
        /// First offset of the batch.
        first_offset: i64,
        /// Last offset of the batch.
        last_offset: i64,
        /// What was wrong.
        #[source]
        source: CompressError,
    },
    /// The header cannot be understood.
    #[error("the header of a batch cannot be understood")]
    Header(#[source] BatchError),
    /// The records are not what their header says, though the checksum matches.
    #[error("batch at offsets {first_offset} to {last_offset} is malformed: {what}")]
    Malformed {
        /// First offset of the batch.
        first_offset: i64,
        /// Last offset of the batch.
        last_offset: i64,
        /// The rule that is broken.
        what: &'static str,
    },
    /// Transaction markers and the like are for brokers: their records must not become users' records.
    #[error(
        "batch at offsets {first_offset} to {last_offset} is a control batch, which cannot be re-encoded"
    )]
    Control {
        /// First offset of the batch.
        first_offset: i64,
        /// Last offset of the batch.
        last_offset: i64,
    },
    /// A record comes again or before its predecessor.
    #[error("record at offset {offset} where at least offset {expected} was due")]
    Order {
        /// Offset of the record.
        offset: i64,
        /// The least offset that would have been right.
        expected: i64,
    },
    /// Records could not be compressed.
    #[error("records cannot be compressed")]
    Compress(#[source] CompressError),
    /// More bytes than a batch can have.
    #[error("a batch of {bytes} bytes is larger than the format allows")]
    TooLarge {
        /// Bytes it would have.
        bytes: usize,
    },
    /// A batch without records: no broker appends one.
    #[error("a batch needs at least one record")]
    Empty,
}
