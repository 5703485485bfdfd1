//! A payload, compressed piece by piece.

use super::{CompressError, gzip, lz4, snappy, zstd};
use crate::wire::batch::Codec;

/// Bytes handed to the codecs without blocks of their own at a time: what stays in the processor's second cache.
const CHUNK_LEN: usize = 64 * 1024;

/// Compresses one payload after the other, keeping its contexts.
///
/// Uncompressed bytes collect in a buffer of the caller's and are taken from its front a block at a time.
#[derive(Default)]
pub struct Compressor {
    codec: Codec,
    gzip: gzip::Encoder,
    snappy: snappy::Encoder,
    lz4: lz4::Encoder,
    zstd: zstd::Encoder,
    /// Bytes taken whose compressed form may still be inside the codec's context.
    held: usize,
    /// The codec's context has begun its stream.
    begun: bool,
}

impl Compressor {
    /// Begins a payload at the end of `out`. `level` is the codec's own scale (KIP-390) and means nothing to snappy and
    /// LZ4, which have one way here; `None` is Kafka's default.
    pub fn start(
        &mut self,
        codec: Codec,
        level: Option<i32>,
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        (self.codec, self.held, self.begun) = (codec, 0, false);
        match codec {
            Codec::None => {}
            Codec::Gzip => self.gzip.start(level, out)?,
            Codec::Snappy => snappy::Encoder::start(out),
            Codec::Lz4 => lz4::Encoder::start(out),
            Codec::Zstd => self.zstd.start(level)?,
        }
        Ok(())
    }

    /// Uncompressed bytes worth handing over at once.
    #[must_use]
    pub fn block_len(&self) -> usize {
        match self.codec {
            Codec::None => usize::MAX,
            Codec::Gzip | Codec::Zstd => CHUNK_LEN,
            Codec::Snappy => snappy::BLOCK_LEN,
            Codec::Lz4 => lz4::BLOCK_LEN,
        }
    }

    /// Takes whole blocks off the front of `raw`.
    pub fn take_blocks(&mut self, raw: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), CompressError> {
        let block_len = self.block_len();
        let mut blocks = raw.chunks_exact(block_len);
        for block in blocks.by_ref() {
            self.block(block, out)?;
        }
        let taken = raw.len() - blocks.remainder().len();
        raw.drain(..taken);
        Ok(())
    }

    fn block(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        self.begun = true;
        match self.codec {
            Codec::None => out.extend_from_slice(block),
            Codec::Snappy => self.snappy.block(block, out)?,
            Codec::Lz4 => self.lz4.block(block, out)?,
            Codec::Gzip => {
                self.gzip.write(block, out)?;
                self.held += block.len();
            }
            Codec::Zstd => {
                self.zstd.write(block, out)?;
                self.held += block.len();
            }
        }
        Ok(())
    }

    /// Takes all of `raw` and brings everything taken so far into `out`, so that its length is exact.
    pub fn flush(&mut self, raw: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), CompressError> {
        self.take_blocks(raw, out)?;
        if !raw.is_empty() {
            self.block(raw, out)?;
            raw.clear();
        }
        self.begun = true;
        match self.codec {
            Codec::Gzip => self.gzip.flush(out)?,
            Codec::Zstd => self.zstd.flush(out)?,
            Codec::None | Codec::Snappy | Codec::Lz4 => {}
        }
        self.held = 0;
        Ok(())
    }

    /// Takes all of `raw` and ends the payload.
    pub fn finish(&mut self, raw: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), CompressError> {
        self.take_blocks(raw, out)?;
        match self.codec {
            Codec::Gzip => self.gzip.finish(raw, out)?,
            Codec::Zstd => {
                if !self.begun {
                    self.zstd.announce(raw.len())?;
                }
                self.zstd.finish(raw, out)?;
            }
            Codec::None | Codec::Snappy | Codec::Lz4 if raw.is_empty() => {}
            Codec::None | Codec::Snappy | Codec::Lz4 => self.block(raw, out)?,
        }
        if self.codec == Codec::Lz4 {
            lz4::Encoder::finish(out);
        }
        raw.clear();
        Ok(())
    }

    /// Bytes taken whose compressed form may not be in the output yet.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    /// The most that what was taken and not flushed, and `raw_len` bytes more, can add to the output until its end.
    #[must_use]
    pub fn bound(&self, raw_len: usize) -> usize {
        let len = self.held.saturating_add(raw_len);
        match self.codec {
            Codec::None => len,
            Codec::Gzip => gzip::bound(len),
            Codec::Snappy => snappy::bound(len),
            Codec::Lz4 => lz4::bound(len),
            Codec::Zstd => zstd::bound(len),
        }
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").field("codec", &self.codec).finish_non_exhaustive()
    }
}
