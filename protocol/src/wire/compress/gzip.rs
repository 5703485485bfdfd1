//! Gzip (RFC 1952), one or several members in a row.
//!
//! Header and trailer are read and written here, so that the deflate contexts can be kept and the data goes straight
//! between payload and buffer.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::CompressError;
use super::window::Window;
use crate::wire::batch::{Codec, take};
use crate::wire::crc::Crc32;

const MAGIC: [u8; 3] = [0x1F, 0x8B, 8];

/// Magic, method deflate, no flags, no time, no extra flags, unknown system.
const HEADER: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];

/// Checksum and length behind the data.
const TRAILER_LEN: usize = 8;

const FLAG_HEADER_CRC: u8 = 0x02;
const FLAG_EXTRA: u8 = 0x04;
const FLAG_NAME: u8 = 0x08;
const FLAG_COMMENT: u8 = 0x10;

/// Bytes decompressed at a time.
const CHUNK_LEN: usize = 64 * 1024;

/// Kafka's default level (`GzipCompression`), which is zlib's.
const LEVEL_DEFAULT: i32 = 6;

#[derive(Default)]
pub(super) struct Decoder {
    context: Option<Decompress>,
    state: State,
    crc: Crc32,
}

#[derive(Default, Clone, Copy)]
enum State {
    #[default]
    Start,
    Member,
    BetweenMembers,
    Ended,
}

impl Decoder {
    pub(super) fn start(&mut self) {
        self.state = State::Start;
    }

    pub(super) fn fill(&mut self, input: &mut &[u8], window: &mut Window) -> Result<bool, CompressError> {
        match self.state {
            State::Ended => return Ok(false),
            State::Member => {}
            State::Start if input.is_empty() => return Ok(false),
            // Java takes anything else behind a member for padding.
            State::BetweenMembers if !input.starts_with(&MAGIC) => {
                self.state = State::Ended;
                return Ok(false);
            }
            State::Start | State::BetweenMembers => self.begin_member(input)?,
        }
        let Some(context) = &mut self.context else { return Ok(false) };
        let (_, room) = window.room(CHUNK_LEN, 0);
        let (read_before, written_before) = (context.total_in(), context.total_out());
        let status = context
            .decompress(input, room, FlushDecompress::None)
            .map_err(|_| damaged("it is not deflate data"))?;
        let read = usize::try_from(context.total_in() - read_before).unwrap_or(usize::MAX);
        let written = usize::try_from(context.total_out() - written_before).unwrap_or(usize::MAX);
        *input = input.get(read..).unwrap_or_default();
        self.crc.update(&room[..written]);
        window.written(Codec::Gzip, written)?;
        match status {
            Status::StreamEnd => self.end_member(input)?,
            Status::Ok | Status::BufError if read == 0 && written == 0 => {
                return Err(damaged("it breaks off"));
            }
            Status::Ok | Status::BufError => {}
        }
        Ok(true)
    }

    fn begin_member(&mut self, input: &mut &[u8]) -> Result<(), CompressError> {
        skip_header(input)?;
        match &mut self.context {
            Some(context) => context.reset(false),
            None => self.context = Some(Decompress::new(false)),
        }
        self.crc = Crc32::default();
        self.state = State::Member;
        Ok(())
    }

    fn end_member(&mut self, input: &mut &[u8]) -> Result<(), CompressError> {
        let breaks_off = || damaged("its trailer breaks off");
        let crc = take(input).map(u32::from_le_bytes).ok_or_else(breaks_off)?;
        take::<4>(input).ok_or_else(breaks_off)?;
        if crc != self.crc.value() {
            return Err(damaged("its own checksum does not go with it"));
        }
        self.state = State::BetweenMembers;
        Ok(())
    }
}

fn skip_header(input: &mut &[u8]) -> Result<(), CompressError> {
    if !input.starts_with(&MAGIC) {
        return Err(damaged("it does not begin with gzip's magic number"));
    }
    optional_fields(input).ok_or_else(|| damaged("its header breaks off"))
}

fn optional_fields(input: &mut &[u8]) -> Option<()> {
    let [_, _, _, flags, ..] = take::<{ HEADER.len() }>(input)?;
    if flags & FLAG_EXTRA != 0 {
        let len = take(input).map(u16::from_le_bytes)?;
        *input = input.get(usize::from(len)..)?;
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag != 0 {
            let end = input.iter().position(|byte| *byte == 0)?;
            *input = input.get(end + 1..)?;
        }
    }
    if flags & FLAG_HEADER_CRC != 0 {
        take::<2>(input)?;
    }
    Some(())
}

fn damaged(what: &'static str) -> CompressError {
    CompressError::Damaged { codec: Codec::Gzip, what }
}

#[derive(Default)]
pub(super) struct Encoder {
    context: Option<Compress>,
    level: i32,
    crc: Crc32,
}

impl Encoder {
    pub(super) fn start(&mut self, level: Option<i32>, out: &mut Vec<u8>) -> Result<(), CompressError> {
        // -1 is how zlib and Kafka's `compression.gzip.level` name the default.
        let level = level.filter(|level| *level != -1).unwrap_or(LEVEL_DEFAULT);
        let compression = match u32::try_from(level) {
            Ok(level @ 1..=9) => Compression::new(level),
            _ => return Err(CompressError::Level { codec: Codec::Gzip, level }),
        };
        match &mut self.context {
            Some(context) if self.level == level => context.reset(),
            _ => self.context = Some(Compress::new(compression, false)),
        }
        self.level = level;
        self.crc = Crc32::default();
        out.extend_from_slice(&HEADER);
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        self.crc.update(bytes);
        self.run(bytes, FlushCompress::None, out)
    }

    pub(super) fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), CompressError> {
        self.run(&[], FlushCompress::Sync, out)
    }

    pub(super) fn finish(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        self.crc.update(bytes);
        self.run(bytes, FlushCompress::Finish, out)?;
        let len = self.context.as_ref().map_or(0, Compress::total_in);
        let [.., a, b, c, d] = len.to_be_bytes();
        out.extend_from_slice(&self.crc.value().to_le_bytes());
        out.extend_from_slice(&[d, c, b, a]);
        Ok(())
    }

    fn run(
        &mut self,
        mut bytes: &[u8],
        flush: FlushCompress,
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        let Some(context) = &mut self.context else { return Ok(()) };
        let failed = |_| CompressError::Library { codec: Codec::Gzip, what: "deflate failed" };
        loop {
            out.reserve(bound(bytes.len()).min(CHUNK_LEN));
            let read_before = context.total_in();
            let status = context.compress_vec(bytes, out, flush).map_err(failed)?;
            let read = usize::try_from(context.total_in() - read_before).unwrap_or(usize::MAX);
            bytes = bytes.get(read..).unwrap_or_default();
            let has_room = out.len() < out.capacity();
            match (flush, status) {
                (FlushCompress::Finish, Status::StreamEnd) => return Ok(()),
                (FlushCompress::Finish, _) => {}
                _ if bytes.is_empty() && has_room => return Ok(()),
                _ => {}
            }
        }
    }
}

/// The most that `len` bytes can become, with a flush and the trailer: the fastest level spends nine bits on a byte.
pub(super) fn bound(len: usize) -> usize {
    len + len / 8 + 64 + TRAILER_LEN
}
