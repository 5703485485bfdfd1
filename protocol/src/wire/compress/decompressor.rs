//! A payload, decompressed piece by piece.

use super::window::Window;
use super::{CompressError, gzip, lz4, snappy, zstd};
use crate::wire::batch::Codec;

/// Decompresses one payload after the other, keeping its buffer and its contexts.
#[derive(Default)]
pub struct Decompressor {
    window: Window,
    codec: Codec,
    gzip: gzip::Decoder,
    snappy: snappy::Decoder,
    lz4: lz4::Decoder,
    zstd: zstd::Decoder,
}

impl Decompressor {
    /// Begins a payload of `codec` that may decompress to `limit` bytes.
    pub fn start(&mut self, codec: Codec, limit: usize) -> Result<(), CompressError> {
        self.window.reset(limit);
        self.codec = codec;
        match codec {
            Codec::None => Ok(()),
            Codec::Gzip => {
                self.gzip.start();
                Ok(())
            }
            Codec::Snappy => {
                self.snappy.start();
                Ok(())
            }
            Codec::Lz4 => {
                self.lz4.start();
                Ok(())
            }
            Codec::Zstd => self.zstd.start(),
        }
    }

    /// Decompresses the next piece of `input`, which it advances, behind what is still unread. Returns false when the
    /// payload has ended; a payload that breaks off is an error.
    pub fn fill(&mut self, input: &mut &[u8]) -> Result<bool, CompressError> {
        match self.codec {
            Codec::None => self.copy(input),
            Codec::Gzip => self.gzip.fill(input, &mut self.window),
            Codec::Snappy => self.snappy.fill(input, &mut self.window),
            Codec::Lz4 => self.lz4.fill(input, &mut self.window),
            Codec::Zstd => self.zstd.fill(input, &mut self.window),
        }
    }

    fn copy(&mut self, input: &mut &[u8]) -> Result<bool, CompressError> {
        let (_, room) = self.window.room(input.len(), 0);
        let len = room.len();
        room.copy_from_slice(&input[..len]);
        *input = &input[len..];
        self.window.written(Codec::None, len)?;
        Ok(len > 0)
    }

    /// What is decompressed and not yet consumed.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.window.unread()
    }

    /// Gives back the first `len` unread bytes.
    pub fn consume(&mut self, len: usize) {
        self.window.consume(len);
    }

    /// Decompresses the whole of `input` at once, to at most `limit` bytes.
    pub fn whole(&mut self, codec: Codec, mut input: &[u8], limit: usize) -> Result<&[u8], CompressError> {
        self.start(codec, limit)?;
        while self.fill(&mut input)? {}
        Ok(self.unread())
    }
}

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decompressor").field("codec", &self.codec).finish_non_exhaustive()
    }
}
