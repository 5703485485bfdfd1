//! The buffer a payload is decompressed into: what was written and not yet read, in one piece, with some of what was read
//! kept in front of it for codecs that refer back.

use super::CompressError;
use crate::wire::batch::Codec;

/// A buffer that grew beyond this for one payload is given back before the next.
const KEEP_MAX: usize = 4 << 20;

/// Bytes decompressed and not yet read. `start..end` of `bytes` is unread; all of `bytes` is initialised once, so that
/// decoders can write into plain slices.
#[derive(Debug, Default)]
pub(super) struct Window {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes the payload may still decompress to.
    allowance: usize,
    limit: usize,
}

impl Window {
    /// Empties it for a payload that may decompress to `limit` bytes.
    pub(super) fn reset(&mut self, limit: usize) {
        if self.bytes.len() > KEEP_MAX {
            self.bytes = Vec::new();
        }
        (self.start, self.end, self.allowance, self.limit) = (0, 0, limit, limit);
    }

    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Marks the first `len` unread bytes as read.
    pub(super) fn consume(&mut self, len: usize) {
        self.start = self.end.min(self.start + len);
    }

    /// Up to `want` bytes to write to, fewer when the allowance ends (one more than it, so that overrunning it is seen),
    /// and the last `history` bytes written in front of them.
    pub(super) fn room(&mut self, want: usize, history: usize) -> (&[u8], &mut [u8]) {
        let want = want.min(self.allowance.saturating_add(1));
        if self.bytes.len() - self.end < want {
            self.make_room(want, history);
        }
        let (written, free) = self.bytes.split_at_mut(self.end);
        let history = &written[written.len().saturating_sub(history)..];
        (history, &mut free[..want])
    }

    /// Moves what is still needed to the front, then grows by what is missing.
    fn make_room(&mut self, want: usize, history: usize) {
        let needed = self.start.min(self.end.saturating_sub(history));
        self.bytes.copy_within(needed..self.end, 0);
        self.start -= needed;
        self.end -= needed;
        if self.bytes.len() - self.end < want {
            self.bytes.resize(self.end + want, 0);
        }
    }

    /// Accounts for `len` bytes written to the start of the [`room`](Self::room).
    pub(super) fn written(&mut self, codec: Codec, len: usize) -> Result<(), CompressError> {
        self.allowance = self.allowance.checked_sub(len).ok_or_else(|| self.too_large(codec))?;
        self.end += len;
        Ok(())
    }

    pub(super) fn too_large(&self, codec: Codec) -> CompressError {
        CompressError::TooLarge { codec, limit: self.limit }
    }

    /// Bytes the payload may still decompress to.
    pub(super) fn allowance(&self) -> usize {
        self.allowance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(window: &mut Window, bytes: &[u8], history: usize) {
        let (_, room) = window.room(bytes.len(), history);
        room[..bytes.len()].copy_from_slice(bytes);
        window.written(Codec::Lz4, bytes.len()).unwrap();
    }

    #[test]
    fn keeps_unread_bytes_and_history_when_it_moves_them() {
        let mut window = Window::default();
        window.reset(100);
        write(&mut window, b"abcdef", 3);
        window.consume(5);
        write(&mut window, b"ghijkl", 3);
        assert_eq!(window.unread(), b"fghijkl");
        assert_eq!(window.room(1, 3).0, b"jkl");
        window.consume(7);
        assert_eq!(window.unread(), b"");
        assert_eq!(window.room(50, 3).0, b"jkl");
    }

    #[test]
    fn an_overrun_is_an_error() {
        let mut window = Window::default();
        window.reset(10);
        assert_eq!(window.room(64, 0).1.len(), 11);
        assert_eq!(window.written(Codec::Gzip, 10), Ok(()));
        assert_eq!(window.room(64, 0).1.len(), 1);
        assert_eq!(
            window.written(Codec::Gzip, 1),
            Err(CompressError::TooLarge { codec: Codec::Gzip, limit: 10 })
        );
    }
}
