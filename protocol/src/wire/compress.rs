//! The compression codecs of record batches, in the framings Kafka's brokers and clients read and write.
//!
//! Both directions stream through buffers and contexts that are kept: a [`Decompressor`] yields a payload piece by piece,
//! a [`Compressor`] takes one piece by piece. What a payload may decompress to is capped by the caller.
//! Checksums of the framings are not verified where the batch's own covers the same bytes.
//! Knows nothing of records.

mod compressor;
mod decompressor;
mod gzip;
mod lz4;
mod snappy;
mod window;
mod zstd;

pub use compressor::Compressor;
pub use decompressor::Decompressor;

use super::batch::Codec;

/// Why a payload could not be decompressed or compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressError {
    /// The bytes are not what the codec's format allows, though the batch's checksum may go with them.
    #[error("the {codec} data is damaged: {what}")]
    Damaged {
        /// The codec named by the batch.
        codec: Codec,
        /// The rule that is broken.
        what: &'static str,
    },
    /// Decompressed it is larger than allowed.
    #[error("the {codec} data decompresses to more than {limit} bytes")]
    TooLarge {
        /// The codec named by the batch.
        codec: Codec,
        /// Bytes allowed.
        limit: usize,
    },
    /// The codec has no such level (KIP-390).
    #[error("{codec} has no compression level {level}")]
    Level {
        /// The codec.
        codec: Codec,
        /// The level asked for.
        level: i32,
    },
    /// The codec's library failed on our own data.
    #[error("the {codec} library failed: {what}")]
    Library {
        /// The codec.
        codec: Codec,
        /// What the library said.
        what: &'static str,
    },
}

#[cfg(test)]
mod tests;
