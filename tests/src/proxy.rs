//! A bad link: a TCP proxy on loopback that delays, throttles, holds, cuts or half-closes, and counts the frames that
//! clients send: four bytes of length and so many bytes, as Kafka's requests are. Beyond that it knows bytes only.
//!
//! Bytes wait in a queue with the time they are due, so a delay costs no bandwidth: what a sender may have under
//! way is bounded by [`QUEUE_BYTES`] a direction, as by the buffers of a long link.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Bytes one direction of one connection may hold back; then the sender is no longer read.
const QUEUE_BYTES: usize = 64 << 20;
/// Bytes read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// How the link treats what passes.
#[derive(Clone, Copy, Default, Debug)]
pub struct Link {
    /// Time each byte takes, each way.
    pub delay: Duration,
    /// Bytes a second, each way of each connection; none for no limit.
    pub bytes_per_second: Option<u32>,
    /// Nothing passes while true, and no end shows either: a broken route.
    pub hold: bool,
    /// Connections are closed at once while true.
    pub cut: bool,
}

/// One direction of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// From clients to the server.
    Requests,
    /// From the server to clients.
    Responses,
}

#[derive(Clone, Copy)]
struct State {
    link: Link,
    /// What flows this way is held.
    held: Option<Way>,
}

struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
    open: Mutex<HashMap<u64, Streams>>,
    connections: AtomicU64,
    requests: AtomicU64,
}

/// Both sides of an open connection.
struct Streams {
    client: TcpStream,
    upstream: TcpStream,
}

/// A running proxy; it refuses everything when dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens on `port` of loopback (0: any) and passes connections on to `upstream`.
    pub fn start(port: u16, upstream: SocketAddr, link: Link) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).context("cannot listen for the proxy")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream,
            state: Mutex::new(State { link, held: None }),
            changed: Condvar::new(),
            open: Mutex::new(HashMap::new()),
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
        });
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A connection that fails is closed, as it would be without a proxy.
                serve(&for_thread, client).ok();
            }
        });
        Ok(Self { address, shared })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how the link behaves, for open connections too.
    pub fn set(&self, link: Link) {
        *lock(&self.shared.state) = State { link, held: None };
        self.shared.changed.notify_all();
        if link.cut {
            self.close_all();
        }
    }

    /// Holds what flows one way, until the next [`Self::set`]; the other way goes on.
    pub fn hold_one_way(&self, way: Way) {
        lock(&self.shared.state).held = Some(way);
    }

    /// Ends what flows one way on every open connection, as a peer does that shuts down its sending side; the other
    /// way stays open as long as that peer likes.
    pub fn half_close(&self, way: Way) {
        for streams in lock(&self.shared.open).values() {
            let receiver = match way {
                Way::Requests => &streams.upstream,
                Way::Responses => &streams.client,
            };
            receiver.shutdown(Shutdown::Write).ok();
        }
    }

    /// The frames that clients sent so far, on all connections.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Closes every open connection once; new ones may be made.
    pub fn close_all(&self) {
        for (_, streams) in lock(&self.shared.open).drain() {
            streams.client.shutdown(Shutdown::Both).ok();
            streams.upstream.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Link { cut: true, ..Link::default() });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(shared: &Arc<Shared>, client: TcpStream) -> Result<()> {
    if lock(&shared.state).link.cut {
        return Ok(());
    }
    let upstream = TcpStream::connect(shared.upstream)?;
    for stream in [&client, &upstream] {
        stream.set_nodelay(true)?;
    }
    let streams = Streams { client: client.try_clone()?, upstream: upstream.try_clone()? };
    let connection = shared.connections.fetch_add(1, Ordering::Relaxed);
    lock(&shared.open).insert(connection, streams);
    let both = [
        direction(shared, Way::Requests, client.try_clone()?, upstream.try_clone()?),
        direction(shared, Way::Responses, upstream, client),
    ];
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        for writer in both {
            writer.join().ok();
        }
        lock(&shared.open).remove(&connection);
    });
    Ok(())
}

/// Bytes under way in one direction.
#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    chunks: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    ended: bool,
}

/// Where one direction of a connection is between frames.
#[derive(Default)]
struct Frames {
    length: Vec<u8>,
    /// Bytes of the present frame still to come.
    left: usize,
}

impl Frames {
    /// Counts the frames that begin in these bytes.
    fn count(&mut self, mut bytes: &[u8]) -> u64 {
        let mut begun = 0;
        while !bytes.is_empty() {
            if self.left == 0 {
                self.length.push(bytes[0]);
                bytes = &bytes[1..];
                if let Ok(length) = <[u8; 4]>::try_from(self.length.as_slice()) {
                    self.left = u32::from_be_bytes(length) as usize;
                    self.length.clear();
                    begun += 1;
                }
            } else {
                let here = self.left.min(bytes.len());
                self.left -= here;
                bytes = &bytes[here..];
            }
        }
        begun
    }
}

/// Passes on what comes; ends when the receiver is told that there is no more.
fn direction(shared: &Arc<Shared>, way: Way, from: TcpStream, to: TcpStream) -> JoinHandle<()> {
    let queue = Arc::new(Queue::default());
    let (reader, writer) = (Arc::clone(&queue), queue);
    let (for_reader, for_writer) = (Arc::clone(shared), Arc::clone(shared));
    let frames = (way == Way::Requests).then(Frames::default);
    thread::spawn(move || {
        read_into(&for_reader, &reader, from, frames).ok();
        lock(&reader.state).ended = true;
        reader.changed.notify_all();
    });
    thread::spawn(move || {
        write_from(&for_writer, way, &writer, &to).ok();
        to.shutdown(Shutdown::Both).ok();
        lock(&writer.state).ended = true;
        writer.changed.notify_all();
    })
}

fn read_into(shared: &Shared, queue: &Queue, mut from: TcpStream, mut frames: Option<Frames>) -> Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut free_at = Instant::now();
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        if let Some(frames) = &mut frames {
            shared.requests.fetch_add(frames.count(&buffer[..count]), Ordering::Relaxed);
        }
        let link = lock(&shared.state).link;
        let now = Instant::now();
        free_at = free_at.max(now);
        if let Some(rate) = link.bytes_per_second {
            free_at += Duration::from_secs_f64(u32::try_from(count)? as f64 / f64::from(rate.max(1)));
        }
        let mut state = lock(&queue.state);
        while state.bytes > QUEUE_BYTES && !state.ended {
            state = queue.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.ended {
            return Ok(());
        }
        state.bytes += count;
        state.chunks.push_back((free_at + link.delay, buffer[..count].to_vec()));
        queue.changed.notify_all();
    }
}

fn write_from(shared: &Shared, way: Way, queue: &Queue, mut to: &TcpStream) -> Result<()> {
    loop {
        let mut state = lock(&queue.state);
        let (due, chunk) = loop {
            if let Some(next) = state.chunks.pop_front() {
                break next;
            }
            if state.ended {
                return Ok(());
            }
            state = queue.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        wait_while_held(shared, way);
        to.write_all(&chunk)?;
        lock(&queue.state).bytes -= chunk.len();
        queue.changed.notify_all();
    }
}

fn wait_while_held(shared: &Shared, way: Way) {
    let mut state = lock(&shared.state);
    while (state.link.hold || state.held == Some(way)) && !state.link.cut {
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends everything back.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || std::io::copy(&mut &stream, &mut &stream).ok());
            }
        });
        address
    }

    #[test]
    fn a_delay_costs_time_but_no_bandwidth() {
        let delay = Duration::from_millis(25);
        let proxy = Proxy::start(0, echo(), Link { delay, ..Link::default() }).unwrap();
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        let started = Instant::now();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        let round_trip = started.elapsed();
        assert!(round_trip >= 2 * delay && round_trip < 6 * delay, "{round_trip:?}");

        // 32 MB at once: 128 round trips' worth if the proxy slept for each chunk it reads.
        let total = 32 << 20;
        let mut writing = stream.try_clone().unwrap();
        let started = Instant::now();
        let writer = thread::spawn(move || writing.write_all(&vec![7; total]).unwrap());
        let mut received = vec![0; total];
        stream.read_exact(&mut received).unwrap();
        writer.join().unwrap();
        assert!(received.iter().all(|byte| *byte == 7));
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }

    #[test]
    fn frames_are_counted_however_they_arrive() {
        let bytes = [0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 1, 9];
        for piece in 1..bytes.len() {
            let mut frames = Frames::default();
            assert_eq!(bytes.chunks(piece).map(|part| frames.count(part)).sum::<u64>(), 3, "{piece}");
        }
    }

    #[test]
    fn a_throttle_limits_the_rate() {
        let link = Link { bytes_per_second: Some(1 << 20), ..Link::default() };
        let proxy = Proxy::start(0, echo(), link).unwrap();
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        let started = Instant::now();
        stream.write_all(&[1; 512 << 10]).unwrap();
        stream.read_exact(&mut vec![0; 512 << 10]).unwrap();
        assert!(started.elapsed() > Duration::from_millis(450), "{:?}", started.elapsed());
    }

    #[test]
    fn a_held_link_shows_no_end_and_a_cut_one_does() {
        let proxy = Proxy::start(0, echo(), Link { hold: true, ..Link::default() }).unwrap();
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        stream.write_all(b"x").unwrap();
        assert!(stream.read_exact(&mut [0]).is_err());
        proxy.set(Link::default());
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.read_exact(&mut [0]).unwrap();
        proxy.set(Link { cut: true, ..Link::default() });
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
        let mut again = TcpStream::connect(proxy.address()).unwrap();
        assert!(matches!(again.read(&mut [0]), Ok(0) | Err(_)));
    }

    #[test]
    fn one_way_is_held_and_the_other_is_not() {
        let proxy = Proxy::start(0, echo(), Link::default()).unwrap();
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        proxy.hold_one_way(Way::Responses);
        stream.write_all(b"y").unwrap();
        assert!(stream.read_exact(&mut [0]).is_err());
        proxy.set(Link::default());
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.read_exact(&mut [0]).unwrap();
    }

    #[test]
    fn a_connection_can_be_half_closed_either_way() {
        // A server that goes on sending when it has read the end.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut first, _) = listener.accept().unwrap();
            assert_eq!(first.read(&mut [0]).unwrap(), 0);
            first.write_all(b"still here").unwrap();
            drop(first);
            let (mut second, _) = listener.accept().unwrap();
            second.read_exact(&mut [0; 5]).unwrap();
        });
        let proxy = Proxy::start(0, address, Link::default()).unwrap();
        let connect = || {
            let stream = TcpStream::connect(proxy.address()).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            // Until it is served there is nothing to close.
            while lock(&proxy.shared.open).is_empty() {
                thread::sleep(Duration::from_millis(1));
            }
            stream
        };
        let mut stream = connect();
        proxy.half_close(Way::Requests);
        stream.read_exact(&mut [0; 10]).unwrap();
        drop(stream);
        while !lock(&proxy.shared.open).is_empty() {
            thread::sleep(Duration::from_millis(1));
        }

        let mut stream = connect();
        proxy.half_close(Way::Responses);
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        stream.write_all(b"hello").unwrap();
        server.join().unwrap();
    }
}
