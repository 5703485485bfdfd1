//! Bytes to be sent in several pieces, so that large payloads go to the socket without being copied.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Pieces smaller than this are copied to the one before: a vectored write of many small pieces costs more than that.
const COPY_BELOW: usize = 8 * 1024;

/// Collects small values and large shared payloads in order.
#[derive(Debug, Default)]
pub(crate) struct ChunkWriter {
    finished: Vec<Bytes>,
    tail: BytesMut,
}

impl ChunkWriter {
    /// Where small values are written.
    pub(crate) fn tail(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    /// Adds `bytes`, sharing them when they are many.
    pub(crate) fn push(&mut self, bytes: &Bytes) {
        if bytes.len() < COPY_BELOW {
            self.tail.put_slice(bytes);
        } else {
            self.seal();
            self.finished.push(bytes.clone());
        }
    }

    /// All pieces in order.
    pub(crate) fn finish(mut self) -> Vec<Bytes> {
        self.seal();
        self.finished
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.finished.push(self.tail.split().freeze());
        }
    }
}

/// Pieces on their way to a socket, as one buffer for vectored writes.
#[derive(Debug)]
pub(crate) struct ChunkQueue {
    chunks: VecDeque<Bytes>,
    remaining: usize,
}

impl ChunkQueue {
    pub(crate) fn new(chunks: impl IntoIterator<Item = Bytes>) -> Self {
        let chunks: VecDeque<_> = chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect();
        let remaining = chunks.iter().map(Bytes::len).sum();
        Self { chunks, remaining }
    }
}

impl Buf for ChunkQueue {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.chunks.front().map_or(&[], |chunk| chunk)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut used = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(chunk);
            used += 1;
        }
        used
    }

    fn advance(&mut self, mut count: usize) {
        self.remaining -= count;
        while count > 0 {
            let Some(front) = self.chunks.front_mut() else { return };
            let step = count.min(front.len());
            front.advance(step);
            count -= step;
            if front.is_empty() {
                self.chunks.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pieces_are_shared_and_small_ones_joined() {
        let large = Bytes::from(vec![1; COPY_BELOW]);
        let mut writer = ChunkWriter::default();
        writer.tail().put_u16(7);
        writer.push(&Bytes::from_static(b"ab"));
        writer.push(&large);
        writer.tail().put_u8(9);
        let chunks = writer.finish();
        assert_eq!(chunks.iter().map(Bytes::len).collect::<Vec<_>>(), [4, COPY_BELOW, 1]);
        assert_eq!(chunks[1].as_ptr(), large.as_ptr());
    }

    #[test]
    fn a_queue_gives_all_bytes_in_order() {
        let mut queue = ChunkQueue::new(["ab", "", "cde", "f"].map(Bytes::from));
        assert_eq!((queue.remaining(), queue.chunk()), (6, b"ab".as_slice()));
        let mut slices = [IoSlice::new(&[]); 2];
        assert_eq!(queue.chunks_vectored(&mut slices), 2);
        assert_eq!(&*slices[1], b"cde");
        queue.advance(3);
        assert_eq!(queue.copy_to_bytes(3), "def");
        assert!(!queue.has_remaining());
    }
}
