//! What callers, reader and writer of a connection share: who waits for what, and whether it is broken.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::net::address::Address;
use crate::net::error::NetError;
use crate::net::options::ConnectionOptions;
use crate::net::throttle::{THROTTLE_MAX, Throttling};
use crate::net::tls::TlsError;
use crate::net::transport::Encryption;
use crate::wire::api::ApiKey;
use crate::wire::frame;

/// More requests in flight than anybody asks for.
const MOST_PLACES: usize = 1 << 20;

/// A whole frame on its way to the writer.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) correlation_id: i32,
    pub(super) chunks: Vec<Bytes>,
}

/// The heart of a connection.
#[derive(Debug)]
pub(super) struct Shared {
    address: Address,
    client_id: Arc<str>,
    places: Arc<Semaphore>,
    /// How many places there are.
    all_places: u32,
    throttling: Arc<Throttling>,
    encryption: Option<Encryption>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next_correlation_id: i32,
    /// Those who wait, in the order of their requests, which is that of the responses.
    in_flight: VecDeque<InFlight>,
    queue: mpsc::Sender<Outgoing>,
    broken: Option<Arc<NetError>>,
    last_request: Instant,
    /// Whether a response has ever come.
    answered: bool,
    /// Until then the broker wants to hear nothing (KIP-219).
    silent_until: Option<Instant>,
}

#[derive(Debug)]
struct InFlight {
    correlation_id: i32,
    api: ApiKey,
    version: i16,
    /// When it was queued, then when its last bytes left.
    since: Instant,
    written: bool,
    answer: oneshot::Sender<Result<Bytes, NetError>>,
    _place: Option<OwnedSemaphorePermit>,
}

/// The request whose response is due.
pub(super) struct Due {
    pub(super) correlation_id: i32,
    pub(super) api: ApiKey,
    pub(super) version: i16,
}

/// What the clock says about a silent connection.
pub(super) enum Patience {
    /// Look again then.
    Until(Instant),
    /// The request that is due has waited too long.
    Exhausted(ApiKey),
    /// Nothing is due, and nothing was for long.
    Idle,
}

impl Shared {
    pub(super) fn new(
        address: Address,
        options: &ConnectionOptions,
        encryption: Option<Encryption>,
        queue: mpsc::Sender<Outgoing>,
    ) -> Self {
        let state = State {
            next_correlation_id: 0,
            in_flight: VecDeque::new(),
            queue,
            broken: None,
            last_request: Instant::now(),
            answered: false,
            silent_until: None,
        };
        let all_places = u32::try_from(options.max_in_flight.clamp(1, MOST_PLACES)).unwrap_or(1);
        Self {
            address,
            client_id: Arc::clone(&options.client_id),
            places: Arc::new(Semaphore::new(options.max_in_flight.clamp(1, MOST_PLACES))),
            all_places,
            throttling: Arc::clone(&options.throttling),
            encryption,
            state: Mutex::new(state),
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place among the requests in flight.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, NetError> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.map_err(|_| self.broken_or_closed())
    }

    /// Waits for all places: until every request in flight is answered and nobody else can send one. Those who come later
    /// wait behind, in order.
    pub(super) async fn alone(&self) -> Result<OwnedSemaphorePermit, NetError> {
        let places = Arc::clone(&self.places).acquire_many_owned(self.all_places).await;
        places.map_err(|_| self.broken_or_closed())
    }

    /// Queues a request and notes who waits for its response, both at once, so that their orders agree. Only who is
    /// [alone](Self::alone) may do without a place; it does not keep the connection from being idle.
    pub(super) fn submit(
        &self,
        place: Option<OwnedSemaphorePermit>,
        api: ApiKey,
        version: i16,
        body: Vec<Bytes>,
    ) -> Result<oneshot::Receiver<Result<Bytes, NetError>>, NetError> {
        let (answer, waiter) = oneshot::channel();
        let body_len = body.iter().map(Bytes::len).sum();
        let mut state = self.lock();
        if let Some(cause) = &state.broken {
            return Err(NetError::Broken { cause: Arc::clone(cause) });
        }
        let correlation_id = state.next_correlation_id;
        let head = frame::request_head(api, version, correlation_id, &self.client_id, body_len)
            .map_err(|source| NetError::wire(&self.address, source))?;
        let mut chunks = Vec::with_capacity(body.len() + 1);
        chunks.push(head);
        chunks.extend(body);
        // A place is held, and the queue has as many: it is full or closed only when the connection is broken.
        if state.queue.try_send(Outgoing { correlation_id, chunks }).is_err() {
            return Err(NetError::ClosedHere { address: self.address.clone() });
        }
        let since = Instant::now();
        state.next_correlation_id = correlation_id.wrapping_add(1);
        if place.is_some() {
            state.last_request = since;
        }
        state.in_flight.push_back(InFlight {
            correlation_id,
            api,
            version,
            since,
            written: false,
            answer,
            _place: place,
        });
        Ok(waiter)
    }

    /// Notes that bytes left: all of every request before `unfinished`, and some of that one. The patience with
    /// a request begins when it has left, however long the requests before it took to send.
    pub(super) fn wrote(&self, unfinished: i32) {
        let now = Instant::now();
        let mut state = self.lock();
        let Some(first) = state.in_flight.front().map(|first| first.correlation_id) else { return };
        let finished = usize::try_from(unfinished.wrapping_sub(first)).unwrap_or(0);
        for request in state.in_flight.iter_mut().take(finished).rev().take_while(|request| !request.written)
        {
            request.written = true;
            request.since = now;
        }
        if let Some(writing) = state.in_flight.get_mut(finished) {
            writing.since = now;
        }
    }

    /// The request whose response comes next.
    pub(super) fn due(&self) -> Option<Due> {
        self.lock().in_flight.front().map(|first| Due {
            correlation_id: first.correlation_id,
            api: first.api,
            version: first.version,
        })
    }

    /// Hands the response that was due to the one who waits, who may be gone.
    pub(super) fn deliver(&self, body: Bytes) {
        let mut state = self.lock();
        state.answered = true;
        let first = state.in_flight.pop_front();
        drop(state);
        if let Some(first) = first {
            let _ = first.answer.send(Ok(body));
        }
    }

    /// A response asked for so much silence from now on.
    pub(super) fn throttle(&self, asked: Duration) {
        let now = Instant::now();
        let until = now + asked.min(THROTTLE_MAX);
        let mut state = self.lock();
        let before = state.silent_until.map_or(now, |before| before.max(now));
        if until > before {
            state.silent_until = Some(until);
        }
        drop(state);
        self.throttling.add(until.saturating_duration_since(before));
    }

    /// When the next request may leave, if not now.
    pub(super) fn silent_until(&self) -> Option<Instant> {
        let mut state = self.lock();
        state.silent_until = state.silent_until.filter(|until| *until > Instant::now());
        state.silent_until
    }

    /// Whether a response has ever come: before, the other side may be anything.
    pub(super) fn has_answered(&self) -> bool {
        self.lock().answered
    }

    /// What a failure of the socket means. A TLS server that reads plain text resets the connection.
    pub(super) fn io_failure(&self, error: io::Error) -> NetError {
        if let Some(source) = self.encryption.and_then(|encryption| encryption.explain(&error)) {
            return NetError::tls(&self.address, source);
        }
        let hung_up = matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
        if hung_up && !self.has_answered() {
            self.closed_at_once()
        } else {
            NetError::Io { address: self.address.clone(), source: Arc::new(error) }
        }
    }

    /// The connection was closed before the first answer.
    pub(super) fn closed_at_once(&self) -> NetError {
        match self.encryption {
            Some(_) => NetError::tls(&self.address, TlsError::ClosedAtOnce),
            None => NetError::ClosedAtOnce { address: self.address.clone() },
        }
    }

    /// How long a reader that last read something at `last_read` should go on waiting. The clock of a request
    /// stands still while others before it are read: only silence counts.
    pub(super) fn patience(
        &self,
        last_read: Instant,
        request_timeout: Duration,
        idle_close: Option<Duration>,
    ) -> Patience {
        let now = Instant::now();
        let state = self.lock();
        // A request that is queued while the alarm is set must be noticed in time.
        let look_again = now + request_timeout;
        if let Some(first) = state.in_flight.front() {
            // A broker that asks for silence reads nothing for as long.
            let heard = state.silent_until.map_or(last_read, |until| last_read.max(until));
            let limit = first.since.max(heard) + request_timeout;
            return if now >= limit { Patience::Exhausted(first.api) } else { Patience::Until(limit) };
        }
        match idle_close.map(|idle| state.last_request.max(last_read) + idle) {
            Some(limit) if now >= limit => Patience::Idle,
            Some(limit) => Patience::Until(limit.min(look_again)),
            None => Patience::Until(look_again),
        }
    }

    /// Breaks the connection: all who wait, and all who come, learn this cause. The first cause stays.
    pub(super) fn break_with(&self, cause: NetError) {
        let mut state = self.lock();
        if state.broken.is_some() {
            return;
        }
        let cause = Arc::new(cause);
        state.broken = Some(Arc::clone(&cause));
        let waiting = std::mem::take(&mut state.in_flight);
        drop(state);
        self.places.close();
        for request in waiting {
            let _ = request.answer.send(Err(NetError::Broken { cause: Arc::clone(&cause) }));
        }
    }

    /// Whether nobody has asked anything for so long.
    pub(super) fn is_idle_for(&self, long: Duration) -> bool {
        let state = self.lock();
        state.in_flight.is_empty() && state.last_request.elapsed() >= long
    }

    /// Breaks the connection for idleness, unless a request has come meanwhile.
    pub(super) fn close_if_idle(&self) -> bool {
        let mut state = self.lock();
        let idle = state.in_flight.is_empty() && state.broken.is_none();
        if idle {
            state.broken = Some(Arc::new(NetError::ClosedHere { address: self.address.clone() }));
            self.places.close();
        }
        idle
    }

    /// Why the connection is broken, if it is.
    pub(super) fn broken(&self) -> Option<Arc<NetError>> {
        self.lock().broken.clone()
    }

    /// The error for one whose wait was cut short.
    pub(super) fn broken_or_closed(&self) -> NetError {
        match self.broken() {
            Some(cause) => NetError::Broken { cause },
            None => NetError::ClosedHere { address: self.address.clone() },
        }
    }
}

/// Ends the tasks of a connection when nobody can use it any more.
#[derive(Debug)]
pub(super) struct Closer {
    shared: Arc<Shared>,
    tasks: [AbortHandle; 2],
    /// The task that keeps it authenticated, where sessions end.
    session: OnceLock<AbortHandle>,
}

impl Closer {
    pub(super) fn new(shared: Arc<Shared>, tasks: [AbortHandle; 2]) -> Self {
        Self { shared, tasks, session: OnceLock::new() }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// A third task, which ends with the others.
    pub(super) fn keep_session(&self, task: AbortHandle) {
        let _ = self.session.set(task);
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.shared.break_with(NetError::ClosedHere { address: self.shared.address.clone() });
        for task in self.tasks.iter().chain(self.session.get()) {
            task.abort();
        }
    }
}
