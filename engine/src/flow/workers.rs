//! The threads that re-encode. They are few and their own, so that slow batches never hold up the lane, and the
//! memory they work in is used again. Knows nothing of partitions: a job in, an event out.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bytes::Bytes;
use kmirror_protocol::net::BufferPool;
use kmirror_protocol::wire::batch::Entry;
use kmirror_protocol::wire::reencode::{Buffers, Limits, Reencoder, Shape};
use tokio::sync::mpsc;

use super::event::{Begin, Event, Question};

/// One batch may unpack to this much at most.
const DECOMPRESSED_BYTES_MAX: usize = 256 << 20;
/// Jobs that wait for a thread; more wait with whoever hands them over.
const JOBS_MAX: usize = 64;

/// Entries to encode again.
pub(crate) struct Job {
    /// To be given back with the result.
    pub(crate) question: Question,
    pub(crate) entries: Vec<Entry>,
    pub(crate) begin: Begin,
    pub(crate) shape: Shape,
    /// Where the result goes.
    pub(crate) reply: mpsc::Sender<Event>,
}

/// The threads, shared by all flows. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Workers {
    jobs: mpsc::Sender<Job>,
}

impl Workers {
    /// Starts the threads. Results live in buffers of the pool.
    ///
    /// # Errors
    /// When the operating system has no thread to give.
    pub(crate) fn start(count: usize, pool: &Arc<BufferPool>) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(JOBS_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..count {
            let (queue, pool) = (Arc::clone(&queue), Arc::clone(pool));
            thread::Builder::new().name(format!("reencode-{number}")).spawn(move || work(&queue, pool))?;
        }
        Ok(Self { jobs })
    }

    /// Hands a job to the next free thread.
    pub(crate) async fn hand_over(&self, job: Job) {
        // The threads live as long as `self`.
        let _ = self.jobs.send(job).await;
    }
}

fn work(queue: &Mutex<mpsc::Receiver<Job>>, pool: Arc<BufferPool>) {
    let limits = Limits { max_decompressed_bytes: DECOMPRESSED_BYTES_MAX };
    let mut reencoder = Reencoder::with_buffers(limits, Box::new(Pooled(pool)));
    loop {
        // One thread waits in the queue, the others wait for the lock: whoever comes first.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(Job { question, entries, begin, shape, reply }) = job else { return };
        let event = match begin {
            Begin::At(from) => Event::Reencoded(question, reencoder.reencode(&entries, from.0, &shape)),
            Begin::ForEach(from) => {
                let from: Vec<i64> = from.iter().map(|offset| offset.0).collect();
                Event::Dealt(question, reencoder.deal(&entries, &from, &shape))
            }
        };
        drop(entries);
        // A lane that is gone has no use for it.
        let _ = reply.blocking_send(event);
    }
}

/// Memory for re-encoded batches: the pool's.
#[derive(Debug)]
struct Pooled(Arc<BufferPool>);

impl Buffers for Pooled {
    fn empty(&mut self, len: usize) -> Vec<u8> {
        self.0.empty(len)
    }

    fn filled(&mut self, bytes: Vec<u8>) -> Bytes {
        self.0.filled(bytes)
    }
}
