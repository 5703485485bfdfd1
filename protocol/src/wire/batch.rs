//! Record batches as they lie in a Fetch response and go into a Produce request: the 61 bytes of header, the payload
//! behind them that is left alone, and the walk over a blob of batches.
//!
//! Layout: Kafka's `DefaultRecordBatch` (magic 2, since KIP-98) and `LegacyRecord` (magic 0 and 1).
//! Must not know what is inside a payload: that is [`record`](super::record), [`legacy`](super::legacy) and
//! [`reencode`](super::reencode).

mod codec;
mod entries;
mod header;
mod stamp;

pub use codec::{Codec, TimestampType};
pub use entries::{Batch, Entries, Entry, LegacySet};
pub use header::{BATCH_HEADER_LEN, BatchHeader};
pub use stamp::{Stamp, next_sequence};

/// What is wrong with a batch's frame: damage, or a format newer than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Fewer bytes than a header has.
    #[error("a batch header needs {needed} bytes and there are {available}")]
    Truncated {
        /// Bytes a header has.
        needed: usize,
        /// Bytes there are.
        available: usize,
    },
    /// A magic byte other than 0, 1 or 2 (or other than 2 where only a batch can stand).
    #[error(
        "batch at offset {base_offset}: unknown magic {magic}: damaged, or a format newer than this program"
    )]
    UnknownMagic {
        /// The offset in front of it.
        base_offset: i64,
        /// The byte found.
        magic: i8,
    },
    /// A length too small for the fixed fields.
    #[error(
        "batch at offset {base_offset}: length {length} is less than the {minimum} bytes of its fixed fields"
    )]
    InvalidLength {
        /// The offset in front of it.
        base_offset: i64,
        /// The length field's value.
        length: i32,
        /// What the fixed fields need.
        minimum: i32,
    },
    /// A field holds what no broker writes.
    #[error("batch at offset {base_offset}: field {field} holds {value}, which no broker writes")]
    InvalidField {
        /// The offset in front of it.
        base_offset: i64,
        /// Kafka's name of the field.
        field: &'static str,
        /// What it holds.
        value: i64,
    },
    /// Compression codec bits without a meaning.
    #[error("batch at offset {base_offset}: unknown compression codec {codec}")]
    UnknownCodec {
        /// The offset in front of it.
        base_offset: i64,
        /// The codec bits.
        codec: u8,
    },
}

/// Takes the first `N` bytes off `bytes`.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}
