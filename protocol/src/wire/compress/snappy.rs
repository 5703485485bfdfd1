//! Snappy: raw blocks in the framing of the xerial Java library, which Kafka's Java classes write and expect, or one raw
//! block without framing, which some clients write and Java reads.
//!
//! Framing: `82 "SNAPPY" 00`, version and compatible version as 32 bit numbers, then blocks with their length in front.
//! The header may come again in the middle, where streams were joined.

use super::CompressError;
use super::window::Window;
use crate::wire::batch::{Codec, take};

/// What the xerial framing starts with.
const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";

/// The whole header: magic, version 1, readable since version 1.
const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// Uncompressed bytes of a block, as `SnappyOutputStream` has them.
pub(super) const BLOCK_LEN: usize = 32 * 1024;

/// The most a snappy byte can decompress to: three bytes name a copy of 64.
const EXPANSION_MAX: usize = 22;

#[derive(Default)]
pub(super) struct Decoder {
    raw: snap::raw::Decoder,
    state: State,
}

#[derive(Default, Clone, Copy)]
enum State {
    #[default]
    Start,
    Blocks,
    Ended,
}

impl Decoder {
    pub(super) fn start(&mut self) {
        self.state = State::Start;
    }

    pub(super) fn fill(&mut self, input: &mut &[u8], window: &mut Window) -> Result<bool, CompressError> {
        if matches!(self.state, State::Start) {
            self.state = if input.starts_with(&MAGIC) { State::Blocks } else { State::Ended };
            if matches!(self.state, State::Ended) && !input.is_empty() {
                return self.block(std::mem::take(input), window);
            }
        }
        match self.state {
            State::Start | State::Ended => Ok(false),
            State::Blocks => self.framed(input, window),
        }
    }

    fn framed(&mut self, input: &mut &[u8], window: &mut Window) -> Result<bool, CompressError> {
        while input.starts_with(&MAGIC) {
            *input = input.get(HEADER.len()..).ok_or_else(|| damaged("its header breaks off"))?;
        }
        if input.is_empty() {
            return Ok(false);
        }
        let len =
            take(input).map(i32::from_be_bytes).ok_or_else(|| damaged("a block's length breaks off"))?;
        let len = usize::try_from(len).map_err(|_| damaged("a block's length is negative"))?;
        let (block, rest) = input.split_at_checked(len).ok_or_else(|| damaged("a block breaks off"))?;
        *input = rest;
        self.block(block, window)
    }

    fn block(&mut self, block: &[u8], window: &mut Window) -> Result<bool, CompressError> {
        let not_snappy = |_| damaged("a block is not snappy data");
        let len = snap::raw::decompress_len(block).map_err(not_snappy)?;
        if len > block.len().saturating_mul(EXPANSION_MAX) {
            return Err(damaged("a block claims to be larger than its data can be"));
        }
        if len > window.allowance() {
            return Err(window.too_large(Codec::Snappy));
        }
        let (_, room) = window.room(len, 0);
        let len = self.raw.decompress(block, room).map_err(not_snappy)?;
        window.written(Codec::Snappy, len)?;
        Ok(true)
    }
}

fn damaged(what: &'static str) -> CompressError {
    CompressError::Damaged { codec: Codec::Snappy, what }
}

pub(super) struct Encoder {
    raw: snap::raw::Encoder,
    scratch: Vec<u8>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { raw: snap::raw::Encoder::new(), scratch: Vec::new() }
    }
}

impl Encoder {
    pub(super) fn start(out: &mut Vec<u8>) {
        out.extend_from_slice(&HEADER);
    }

    /// Compresses `block`, at most [`BLOCK_LEN`] bytes.
    pub(super) fn block(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        if self.scratch.is_empty() {
            self.scratch = vec![0; snap::raw::max_compress_len(BLOCK_LEN)];
        }
        let failed = |_| CompressError::Library { codec: Codec::Snappy, what: "a block did not fit" };
        let len = self.raw.compress(block, &mut self.scratch).map_err(failed)?;
        // A compressed block of 32 KiB is far below the range of the length.
        out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(&self.scratch[..len]);
        Ok(())
    }
}

/// The most that `len` bytes can become, in whole or shorter blocks.
pub(super) fn bound(len: usize) -> usize {
    let blocks = len / BLOCK_LEN + 1;
    len + len / 6 + blocks * 36
}
