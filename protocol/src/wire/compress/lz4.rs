//! LZ4 frames, as `Lz4BlockOutputStream` writes them: independent blocks of at most 64 KiB, no checksums.
//!
//! Read more generously: blocks of any size the format has, linked blocks, checksums (skipped, the batch's own covers the
//! same bytes), and the wrong header checksum that producers of magic 0 messages wrote (KAFKA-3160). What follows the end
//! mark is ignored, as Java does. The blocks go through `lz4_flex`'s block functions straight into the window: its frame
//! decoder would copy them once more.

use lz4_flex::block::{
    CompressTable, DecompressError, compress_into_with_table, decompress_into, decompress_into_with_dict,
    get_maximum_output_size,
};

use super::CompressError;
use super::window::Window;
use crate::wire::batch::{Codec, take};

const MAGIC: u32 = 0x184D_2204;

/// Magic, version 1 with independent blocks, blocks of up to 64 KiB, and the second byte of the xxHash of these two.
const HEADER: [u8; 7] = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82];

/// Ends the blocks of a frame.
const END_MARK: [u8; 4] = [0; 4];

/// In a block's length: the block is stored, not compressed.
const STORED_BIT: u32 = 1 << 31;

/// Uncompressed bytes of the blocks written.
pub(super) const BLOCK_LEN: usize = 64 * 1024;

/// How far back linked blocks refer.
const HISTORY_LEN: usize = 64 * 1024;

/// The most an LZ4 byte can decompress to: a byte of match length adds 255.
const EXPANSION_MAX: usize = 256;

const FLAG_VERSION_MASK: u8 = 0xC0;
const FLAG_VERSION: u8 = 0x40;
const FLAG_INDEPENDENT: u8 = 0x20;
const FLAG_BLOCK_CHECKSUM: u8 = 0x10;
const FLAG_CONTENT_SIZE: u8 = 0x08;
const FLAG_DICTIONARY: u8 = 0x01;

#[derive(Default)]
pub(super) struct Decoder {
    state: State,
}

#[derive(Default, Clone, Copy)]
enum State {
    #[default]
    Start,
    Blocks(Descriptor),
    Ended,
}

#[derive(Clone, Copy)]
struct Descriptor {
    block_len_max: usize,
    block_trailer_len: usize,
    /// How much of what was written the blocks may refer to.
    history_len: usize,
}

impl Decoder {
    pub(super) fn start(&mut self) {
        self.state = State::Start;
    }

    pub(super) fn fill(&mut self, input: &mut &[u8], window: &mut Window) -> Result<bool, CompressError> {
        if matches!(self.state, State::Start) && !input.is_empty() {
            self.state = State::Blocks(descriptor(input)?);
        }
        let State::Blocks(descriptor) = self.state else { return Ok(false) };
        let more = block(descriptor, input, window)?;
        if !more {
            self.state = State::Ended;
        }
        Ok(more)
    }
}

fn descriptor(input: &mut &[u8]) -> Result<Descriptor, CompressError> {
    let breaks_off = || damaged("its header breaks off");
    if take(input).map(u32::from_le_bytes).ok_or_else(breaks_off)? != MAGIC {
        return Err(damaged("it does not begin with LZ4's magic number"));
    }
    let [flags, block_descriptor] = take(input).ok_or_else(breaks_off)?;
    if flags & FLAG_VERSION_MASK != FLAG_VERSION {
        return Err(damaged("its version is unknown"));
    }
    if flags & FLAG_DICTIONARY != 0 {
        return Err(damaged("it needs a dictionary"));
    }
    if flags & FLAG_CONTENT_SIZE != 0 {
        take::<8>(input).ok_or_else(breaks_off)?;
    }
    take::<1>(input).ok_or_else(breaks_off)?;
    let block_len_max = match block_descriptor >> 4 & 0x07 {
        size @ 4..=7 => 1 << (8 + 2 * size),
        _ => return Err(damaged("its block size is unknown")),
    };
    let block_trailer_len = if flags & FLAG_BLOCK_CHECKSUM == 0 { 0 } else { 4 };
    let history_len = if flags & FLAG_INDEPENDENT == 0 { HISTORY_LEN } else { 0 };
    Ok(Descriptor { block_len_max, block_trailer_len, history_len })
}

/// Decompresses one block; false at the end mark.
fn block(descriptor: Descriptor, input: &mut &[u8], window: &mut Window) -> Result<bool, CompressError> {
    let length = take(input).map(u32::from_le_bytes).ok_or_else(|| damaged("its end mark is missing"))?;
    let len = usize::try_from(length & !STORED_BIT).unwrap_or(usize::MAX);
    if len == 0 {
        return Ok(false);
    }
    if len > descriptor.block_len_max {
        return Err(damaged("a block is larger than its header says"));
    }
    let (block, rest) = input.split_at_checked(len).ok_or_else(|| damaged("a block breaks off"))?;
    *input =
        rest.get(descriptor.block_trailer_len..).ok_or_else(|| damaged("a block's checksum breaks off"))?;
    let history_len = descriptor.history_len;
    if length & STORED_BIT != 0 {
        if len > window.allowance() {
            return Err(window.too_large(Codec::Lz4));
        }
        window.room(len, history_len).1.copy_from_slice(block);
        window.written(Codec::Lz4, len)?;
        return Ok(true);
    }
    let want = descriptor.block_len_max.min(len.saturating_mul(EXPANSION_MAX));
    let (history, room) = window.room(want, history_len);
    let cut_short = room.len() < want;
    let decompressed = match history {
        [] => decompress_into(block, room),
        history => decompress_into_with_dict(block, room, history),
    };
    match decompressed {
        Ok(len) => window.written(Codec::Lz4, len).map(|()| true),
        Err(DecompressError::OutputTooSmall { .. }) if cut_short => Err(window.too_large(Codec::Lz4)),
        Err(_) => Err(damaged("a block is not LZ4 data")),
    }
}

fn damaged(what: &'static str) -> CompressError {
    CompressError::Damaged { codec: Codec::Lz4, what }
}

pub(super) struct Encoder {
    table: CompressTable,
    scratch: Vec<u8>,
}

impl Default for Encoder {
    fn default() -> Self {
        // The small table hashes four bytes instead of five: a third of the speed on data that is mostly digits.
        Self { table: CompressTable::large(), scratch: Vec::new() }
    }
}

impl Encoder {
    pub(super) fn start(out: &mut Vec<u8>) {
        out.extend_from_slice(&HEADER);
    }

    /// Compresses `block`, at most [`BLOCK_LEN`] bytes, or stores it when that is shorter.
    pub(super) fn block(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        if self.scratch.is_empty() {
            self.scratch = vec![0; get_maximum_output_size(BLOCK_LEN)];
        }
        let failed = |_| CompressError::Library { codec: Codec::Lz4, what: "a block did not fit" };
        let len = compress_into_with_table(block, &mut self.scratch, &mut self.table).map_err(failed)?;
        let (bit, block) = if len < block.len() { (0, &self.scratch[..len]) } else { (STORED_BIT, block) };
        // A block of 64 KiB is far below the range of the length.
        let length = u32::try_from(block.len()).unwrap_or(u32::MAX) | bit;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(block);
        Ok(())
    }

    pub(super) fn finish(out: &mut Vec<u8>) {
        out.extend_from_slice(&END_MARK);
    }
}

/// The most that `len` bytes can become, in whole or shorter blocks, with the end mark.
pub(super) fn bound(len: usize) -> usize {
    len + (len / BLOCK_LEN + 1) * 4 + END_MARK.len()
}
