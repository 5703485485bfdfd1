//! The task that writes: whole requests, in order, in vectored writes as large as the system takes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::shared::{Outgoing, Shared};
use crate::net::transport::WriteHalf;

/// How many chunks one system call takes at most. Linux takes 1024; a request of one large batch has three.
const MAX_SLICES: usize = 128;
/// How many requests are taken off the queue at once.
const MAX_REQUESTS: usize = 32;

/// Writes what is queued until the connection breaks.
pub(super) async fn run(shared: Arc<Shared>, stream: WriteHalf, requests: mpsc::Receiver<Outgoing>) {
    let mut writer =
        Writer { shared: Arc::clone(&shared), stream, chunks: VecDeque::new(), open: VecDeque::new() };
    if let Err(error) = writer.run(requests).await {
        shared.break_with(shared.io_failure(error));
    }
}

struct Writer {
    shared: Arc<Shared>,
    stream: WriteHalf,
    /// What is still to be written; no chunk is empty.
    chunks: VecDeque<Bytes>,
    /// The requests of these chunks, and how many bytes each still has there.
    open: VecDeque<(i32, usize)>,
}

impl Writer {
    async fn run(&mut self, mut requests: mpsc::Receiver<Outgoing>) -> io::Result<()> {
        let mut taken = Vec::with_capacity(MAX_REQUESTS);
        while requests.recv_many(&mut taken, MAX_REQUESTS).await > 0 {
            for request in taken.drain(..) {
                self.open.push_back((request.correlation_id, request.chunks.iter().map(Bytes::len).sum()));
                self.chunks.extend(request.chunks.into_iter().filter(|chunk| !chunk.is_empty()));
            }
            while !self.chunks.is_empty() {
                let written = self.write_some().await?;
                self.advance(written);
            }
        }
        Ok(())
    }

    async fn write_some(&mut self) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut used = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(chunk);
            used += 1;
        }
        match self.stream.write_vectored(slices.get(..used).unwrap_or_default()).await? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            written => Ok(written),
        }
    }

    fn advance(&mut self, written: usize) {
        let mut left = written;
        while let Some(chunk) = self.chunks.front_mut() {
            if left < chunk.len() {
                chunk.advance(left);
                break;
            }
            left -= chunk.len();
            self.chunks.pop_front();
        }
        let mut left = written;
        let mut unfinished = None;
        while let Some((correlation_id, bytes)) = self.open.front_mut() {
            if left < *bytes {
                *bytes -= left;
                unfinished = Some(*correlation_id);
                break;
            }
            left -= *bytes;
            unfinished = Some(correlation_id.wrapping_add(1));
            self.open.pop_front();
        }
        if let Some(unfinished) = unfinished {
            self.shared.wrote(unfinished);
        }
    }
}
