//! The task that writes: whole requests, in order, in vectored writes as large as the system takes. While the broker
//! wants silence (KIP-219) it ends the request it has begun, and begins none.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};

use super::shared::{Outgoing, Shared};
use crate::net::transport::WriteHalf;

/// How many chunks one system call takes at most. Linux takes 1024; a request of one large batch has three.
const MAX_SLICES: usize = 128;
/// How many requests are taken off the queue at once.
const MAX_REQUESTS: usize = 32;
/// How long the reader has to find out why a new connection cannot be written to: a broker that refuses our certificate
/// says so (TLS 1.3 lets it do that late), and closes.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Writes what is queued until the connection breaks.
pub(super) async fn run(shared: Arc<Shared>, stream: WriteHalf, requests: mpsc::Receiver<Outgoing>) {
    let mut writer = Writer {
        shared: Arc::clone(&shared),
        stream,
        chunks: VecDeque::new(),
        open: VecDeque::new(),
        begun: false,
    };
    if let Err(error) = writer.run(requests).await {
        if !shared.has_answered() {
            sleep(LAST_WORDS).await;
        }
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
    /// Some bytes of the first of them have left.
    begun: bool,
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
                let most = self.permitted().await;
                let written = self.write_some(most).await?;
                self.advance(written);
            }
            self.stream.flush().await?;
        }
        Ok(())
    }

    /// Waits until something may leave; how many bytes at most.
    async fn permitted(&self) -> usize {
        while let Some(until) = self.shared.silent_until() {
            if let Some((_, rest)) = self.open.front().filter(|_| self.begun) {
                return *rest;
            }
            sleep_until(until).await;
        }
        usize::MAX
    }

    /// Writes at most so many bytes.
    async fn write_some(&mut self, most: usize) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let (mut used, mut room) = (0, most);
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            if room == 0 {
                break;
            }
            let bytes = chunk.get(..room).unwrap_or(chunk);
            *slice = IoSlice::new(bytes);
            room -= bytes.len();
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
                self.begun |= left > 0;
                unfinished = Some(*correlation_id);
                break;
            }
            self.begun = false;
            left -= *bytes;
            unfinished = Some(correlation_id.wrapping_add(1));
            self.open.pop_front();
        }
        if let Some(unfinished) = unfinished {
            self.shared.wrote(unfinished);
        }
    }
}
