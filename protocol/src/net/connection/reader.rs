//! The task that reads: frames off the socket, straight into the buffer they stay in.
//!
//! A small buffer takes the heads of frames, and whole small ones, several at a read. The rest of a larger frame is
//! read to its place in pieces as large as the socket gives, neither zeroed before nor copied after.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::time::{Instant, Sleep, sleep_until};

use super::shared::{Due, Patience, Shared};
use crate::net::error::NetError;
use crate::net::options::ConnectionOptions;
use crate::net::pool::BufferPool;
use crate::net::recognise::Spoke;
use crate::net::transport::ReadHalf;
use crate::wire::error::WireError;
use crate::wire::frame::{self, LENGTH_BYTES};
use crate::wire::throttle;

/// The size of the buffer for heads of frames.
const HEAD_BUFFER_BYTES: usize = 4096;
/// The correlation id, the least there is in a frame.
const MIN_FRAME_BYTES: usize = 4;
/// What must be seen of a frame before it can be given a place.
const HEAD_BYTES: usize = LENGTH_BYTES + MIN_FRAME_BYTES;

/// Reads responses until the connection breaks.
pub(super) async fn run(
    shared: Arc<Shared>,
    stream: ReadHalf,
    options: ConnectionOptions,
    pool: Option<Arc<BufferPool>>,
) {
    let now = Instant::now();
    let alarm = Box::pin(sleep_until(now + options.request_timeout));
    let source = Source { stream, alarm, last_read: now, options, shared: Arc::clone(&shared) };
    let mut reader = Reader { source, head: BytesMut::with_capacity(HEAD_BUFFER_BYTES), pool };
    let error = loop {
        if let Err(error) = reader.frame().await {
            break error;
        }
    };
    shared.break_with(error);
}

struct Reader {
    source: Source,
    /// Bytes read and not handed on: always the beginning of a frame.
    head: BytesMut,
    pool: Option<Arc<BufferPool>>,
}

impl Reader {
    /// Reads one frame and hands it on.
    async fn frame(&mut self) -> Result<(), NetError> {
        while self.head.len() < HEAD_BYTES {
            if self.head.capacity() - self.head.len() < HEAD_BYTES {
                self.head.reserve(HEAD_BUFFER_BYTES);
            }
            if self.source.read(&mut self.head).await? == 0 {
                return Err(self.ended_early());
            }
        }
        let (len, due) = self.check_head()?;
        self.head.advance(LENGTH_BYTES);
        let frame = match self.pool.clone() {
            Some(pool) => self.read_pooled(&pool, len).await?,
            None if len <= self.head.len() => self.head.split_to(len).freeze(),
            None => {
                let mut place = Vec::with_capacity(len);
                self.read_rest(&mut place, len).await?;
                Bytes::from(place)
            }
        };
        let body =
            frame::response_body(due.api, due.version, frame).map_err(|error| self.source.wire(error))?;
        if let Some(asked) = throttle::throttle_time_ms(due.api, due.version, &body) {
            self.source.shared.throttle(Duration::from_millis(asked.into()));
        }
        self.source.shared.deliver(body);
        Ok(())
    }

    /// The length of the frame that begins, and whose response it is.
    fn check_head(&self) -> Result<(usize, Due), NetError> {
        let mut head = &self.head[..];
        let (announced, got) = (head.get_i32(), head.get_i32());
        let shared = &self.source.shared;
        let limit = self.source.options.max_frame_bytes;
        let plausible = usize::try_from(announced).ok().filter(|len| *len >= MIN_FRAME_BYTES);
        let Some(len) = plausible.filter(|len| *len <= limit) else {
            let address = shared.address().clone();
            return Err(match plausible {
                _ if !shared.has_answered() => {
                    NetError::NotKafka { address, spoke: Spoke::recognise(&self.head) }
                }
                Some(bytes) => NetError::FrameTooLarge { address, bytes, limit },
                None => self.source.wire(WireError::Length {
                    what: "a response",
                    length: announced.into(),
                    remaining: limit,
                }),
            });
        };
        match shared.due() {
            Some(due) if due.correlation_id == got => Ok((len, due)),
            due => Err(NetError::OutOfStep {
                address: shared.address().clone(),
                expected: due.map(|due| due.correlation_id),
                got,
            }),
        }
    }

    async fn read_pooled(&mut self, pool: &Arc<BufferPool>, len: usize) -> Result<Bytes, NetError> {
        let Some(mut buffer) = pool.take(len).await else {
            return Err(NetError::FrameOverBudget {
                address: self.source.shared.address().clone(),
                bytes: len,
                budget: pool.budget(),
            });
        };
        // The broker is not to blame for the time we waited.
        self.source.last_read = Instant::now();
        self.read_rest(&mut buffer.bytes, len).await?;
        Ok(buffer.freeze())
    }

    /// Fills `place` with the `len` bytes of the frame.
    async fn read_rest(&mut self, place: &mut Vec<u8>, len: usize) -> Result<(), NetError> {
        let at_hand = len.min(self.head.len());
        place.put(self.head.split_to(at_hand));
        while place.len() < len {
            let missing = len - place.len();
            if self.source.read(&mut (&mut *place).limit(missing)).await? == 0 {
                return Err(NetError::Closed { address: self.source.shared.address().clone() });
            }
        }
        Ok(())
    }

    /// The stream ended where a frame could have begun, or within its first bytes.
    fn ended_early(&self) -> NetError {
        let shared = &self.source.shared;
        let address = shared.address().clone();
        match (shared.has_answered(), self.head.is_empty()) {
            (false, true) => shared.closed_at_once(),
            (false, false) => NetError::NotKafka { address, spoke: Spoke::recognise(&self.head) },
            (true, _) => NetError::Closed { address },
        }
    }
}

/// The socket, and the patience with it.
struct Source {
    stream: ReadHalf,
    alarm: Pin<Box<Sleep>>,
    last_read: Instant,
    options: ConnectionOptions,
    shared: Arc<Shared>,
}

impl Source {
    /// Reads what there is, at least one byte; 0 at the end of the stream.
    ///
    /// The alarm is set once for a whole timeout, and looks at who waits only when it goes off: that costs a
    /// timer a timeout instead of one a request.
    async fn read(&mut self, into: &mut impl BufMut) -> Result<usize, NetError> {
        loop {
            tokio::select! {
                biased;
                read = self.stream.read_buf(into) => {
                    self.last_read = Instant::now();
                    return read.map_err(|error| self.shared.io_failure(error));
                }
                () = &mut self.alarm => self.look_at_the_clock()?,
            }
        }
    }

    fn look_at_the_clock(&mut self) -> Result<(), NetError> {
        let ConnectionOptions { request_timeout, idle_close, .. } = self.options;
        let address = || self.shared.address().clone();
        match self.shared.patience(self.last_read, request_timeout, idle_close) {
            Patience::Until(limit) => self.alarm.as_mut().reset(limit),
            Patience::Exhausted(api) => {
                return Err(NetError::Timeout { address: address(), api, after: request_timeout });
            }
            Patience::Idle if self.shared.close_if_idle() => {
                return Err(NetError::ClosedHere { address: address() });
            }
            Patience::Idle => self.alarm.as_mut().reset(Instant::now() + request_timeout),
        }
        Ok(())
    }

    fn wire(&self, source: WireError) -> NetError {
        NetError::wire(self.shared.address(), source)
    }
}
