//! Zstandard frames (KIP-110), with or without their content's size, one or several in a row.

use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, InBuffer, OutBuffer, ResetDirective, max_c_level, min_c_level,
};

use super::CompressError;
use super::window::Window;
use crate::wire::batch::Codec;

/// Bytes decompressed at a time: a block of the format.
const CHUNK_LEN: usize = 128 * 1024;

/// Kafka's default level (`ZstdCompression`).
const LEVEL_DEFAULT: i32 = 3;

#[derive(Default)]
pub(super) struct Decoder {
    context: Option<DCtx<'static>>,
    /// A frame has begun and not ended.
    inside_frame: bool,
}

impl Decoder {
    pub(super) fn start(&mut self) -> Result<(), CompressError> {
        self.inside_frame = false;
        match &mut self.context {
            Some(context) => {
                context.reset(ResetDirective::SessionOnly).map_err(library)?;
            }
            None => self.context = Some(DCtx::try_create().ok_or(OUT_OF_MEMORY)?),
        }
        Ok(())
    }

    pub(super) fn fill(&mut self, input: &mut &[u8], window: &mut Window) -> Result<bool, CompressError> {
        let Some(context) = &mut self.context else { return Ok(false) };
        if input.is_empty() && !self.inside_frame {
            return Ok(false);
        }
        let mut source = InBuffer::around(input);
        let (_, room) = window.room(CHUNK_LEN, 0);
        let mut target = OutBuffer::around(room);
        let hint = context
            .decompress_stream(&mut target, &mut source)
            .map_err(|_| damaged("it is not Zstandard data"))?;
        let (read, written) = (source.pos(), target.pos());
        *input = &input[read..];
        self.inside_frame = hint != 0;
        if read == 0 && written == 0 {
            return Err(damaged("it breaks off"));
        }
        window.written(Codec::Zstd, written)?;
        Ok(true)
    }
}

fn damaged(what: &'static str) -> CompressError {
    CompressError::Damaged { codec: Codec::Zstd, what }
}

const OUT_OF_MEMORY: CompressError = CompressError::Library { codec: Codec::Zstd, what: "out of memory" };

fn library(code: usize) -> CompressError {
    CompressError::Library { codec: Codec::Zstd, what: zstd::zstd_safe::get_error_name(code) }
}

#[derive(Default)]
pub(super) struct Encoder {
    context: Option<CCtx<'static>>,
    level: Option<i32>,
}

impl Encoder {
    pub(super) fn start(&mut self, level: Option<i32>) -> Result<(), CompressError> {
        let level = level.unwrap_or(LEVEL_DEFAULT);
        if !(min_c_level()..=max_c_level()).contains(&level) {
            return Err(CompressError::Level { codec: Codec::Zstd, level });
        }
        let context = match &mut self.context {
            Some(context) => {
                context.reset(ResetDirective::SessionOnly).map_err(library)?;
                context
            }
            None => self.context.insert(CCtx::try_create().ok_or(OUT_OF_MEMORY)?),
        };
        if self.level != Some(level) {
            context.set_parameter(CParameter::CompressionLevel(level)).map_err(library)?;
            self.level = Some(level);
        }
        Ok(())
    }

    /// Tells the size of a frame of which nothing has been written, which makes short ones cheaper.
    pub(super) fn announce(&mut self, len: usize) -> Result<(), CompressError> {
        let Some(context) = &mut self.context else { return Ok(()) };
        context.set_pledged_src_size(u64::try_from(len).ok()).map_err(library)?;
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        self.run(bytes, ZSTD_EndDirective::ZSTD_e_continue, out)
    }

    pub(super) fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), CompressError> {
        self.run(&[], ZSTD_EndDirective::ZSTD_e_flush, out)
    }

    pub(super) fn finish(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        self.run(bytes, ZSTD_EndDirective::ZSTD_e_end, out)
    }

    fn run(
        &mut self,
        bytes: &[u8],
        directive: ZSTD_EndDirective,
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        let Some(context) = &mut self.context else { return Ok(()) };
        let whole = !matches!(directive, ZSTD_EndDirective::ZSTD_e_continue);
        let mut source = InBuffer::around(bytes);
        loop {
            out.reserve(bound(bytes.len() - source.pos()).min(CHUNK_LEN));
            let position = out.len();
            let mut target = OutBuffer::around_pos(out, position);
            let remaining = context.compress_stream2(&mut target, &mut source, directive).map_err(library)?;
            if source.pos() == bytes.len() && (!whole || remaining == 0) {
                return Ok(());
            }
        }
    }
}

/// The most that `len` bytes can become, with the frame's header and end.
pub(super) fn bound(len: usize) -> usize {
    len + len / 128 + 512
}
