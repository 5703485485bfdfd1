//! The memory for large responses: a budget, and buffers that are used again.
//!
//! A reader takes credit before it takes bytes off its socket. Where there is none it waits, the socket fills up,
//! and the broker stops sending: that is how back-pressure reaches it.
//!
//! Invariant: the buffers handed out and the idle ones together never exceed the budget.
//!
//! What is made of received bytes (re-encoded batches) must not wait for credit: the bytes it was made of may hold
//! the last of it. Such memory is [counted](BufferPool::filled) at once; what goes over the budget is a debt, and
//! readers get no credit until it is paid back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Credit is counted in units of so many bytes.
const UNIT: usize = 1024;
/// Buffers up to this size are allocated as needed: keeping them gains nothing.
const SMALLEST_KEPT: usize = 64 << 10;
/// Sizes are rounded up by at most one part in so many, so that buffers fit the next response, too.
const SIZES_PER_DOUBLING: usize = 8;

/// A budget of bytes, shared by any number of connections.
#[derive(Debug)]
pub struct BufferPool {
    budget: AtomicUsize,
    credit: Arc<Semaphore>,
    idle: Mutex<Vec<Vec<u8>>>,
    waiting: AtomicUsize,
    /// Units that were charged beyond the budget.
    debt: Mutex<usize>,
}

impl BufferPool {
    /// A pool of `budget_bytes` in all.
    pub fn new(budget_bytes: usize) -> Arc<Self> {
        let units = (budget_bytes / UNIT).min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            budget: AtomicUsize::new(units * UNIT),
            credit: Arc::new(Semaphore::new(units)),
            idle: Mutex::new(Vec::new()),
            waiting: AtomicUsize::new(0),
            debt: Mutex::new(0),
        })
    }

    /// All the bytes there are.
    pub fn budget(&self) -> usize {
        self.budget.load(Ordering::Relaxed)
    }

    /// From now on there are at least `budget_bytes` in all.
    pub fn grow(&self, budget_bytes: usize) {
        let units = (budget_bytes / UNIT).min(Semaphore::MAX_PERMITS);
        let before = self.budget.fetch_max(units * UNIT, Ordering::Relaxed) / UNIT;
        self.release(units.saturating_sub(before));
    }

    /// The bytes that are free.
    pub fn available(&self) -> usize {
        self.credit.available_permits() * UNIT
    }

    /// How many readers wait for credit.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// An empty buffer with room for `len` bytes, an idle one if one fits. It counts once it is
    /// [filled](Self::filled); until then only a handful of workers may hold one each.
    pub fn empty(&self, len: usize) -> Vec<u8> {
        let size = self.size_for(len).unwrap_or(len);
        let found = self.take_idle(size);
        found.unwrap_or_else(|| Vec::with_capacity(size))
    }

    /// Counts a buffer as memory in use; it is idle again when the last slice of the bytes is dropped. Never waits;
    /// may go into debt.
    pub fn filled(self: &Arc<Self>, bytes: Vec<u8>) -> Bytes {
        let units = bytes.capacity().div_ceil(UNIT);
        let mut debt = self.debt.lock().unwrap_or_else(PoisonError::into_inner);
        *debt += units - self.credit.forget_permits(units);
        drop(debt);
        Buffer { bytes, units, pool: Arc::clone(self) }.freeze()
    }

    fn take_idle(&self, size: usize) -> Option<Vec<u8>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = idle.iter().enumerate().rev().filter(|(_, buffer)| buffer.capacity() >= size);
        let (at, _) = fitting
            .min_by_key(|(_, buffer)| buffer.capacity())
            .filter(|(_, buffer)| size > SMALLEST_KEPT && buffer.capacity() <= size.saturating_mul(2))?;
        Some(idle.swap_remove(at))
    }

    /// Takes back units that are no longer in use: debt is paid first.
    fn release(&self, units: usize) {
        let mut debt = self.debt.lock().unwrap_or_else(PoisonError::into_inner);
        let paid = units.min(*debt);
        *debt -= paid;
        drop(debt);
        self.credit.add_permits(units - paid);
    }

    /// An empty buffer for `len` bytes, once there is credit; first come, first served. `None` if `len` exceeds
    /// the budget.
    pub(super) async fn take(self: &Arc<Self>, len: usize) -> Option<Buffer> {
        let size = self.size_for(len)?;
        let units = u32::try_from(size / UNIT).ok()?;
        let immediate = Arc::clone(&self.credit).try_acquire_many_owned(units).ok();
        let credit = match immediate {
            Some(credit) => credit,
            None => {
                let _waiting = Waiting::new(&self.waiting);
                Arc::clone(&self.credit).acquire_many_owned(units).await.ok()?
            }
        };
        let (bytes, credit) = self.buffer(size, credit);
        let units = credit.num_permits();
        credit.forget();
        Some(Buffer { bytes, units, pool: Arc::clone(self) })
    }

    fn size_for(&self, len: usize) -> Option<usize> {
        if len > self.budget() {
            return None;
        }
        let step = if len <= SMALLEST_KEPT {
            UNIT
        } else {
            len.checked_next_power_of_two()? / SIZES_PER_DOUBLING / 2
        };
        Some(len.max(1).checked_next_multiple_of(step.max(UNIT))?.min(self.budget()))
    }

    /// The idle buffer that fits best, of equals the one used last (its memory may still be in the cache), if its
    /// surplus can be paid for, or else a new one. Idle ones that no longer fit the budget go.
    fn buffer(&self, size: usize, mut credit: OwnedSemaphorePermit) -> (Vec<u8>, OwnedSemaphorePermit) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = idle.iter().enumerate().rev().filter(|(_, buffer)| buffer.capacity() >= size);
        let best =
            fitting.min_by_key(|(_, buffer)| buffer.capacity()).map(|(at, buffer)| (at, buffer.capacity()));
        let mut found = None;
        if let Some((at, capacity)) = best.filter(|_| size > SMALLEST_KEPT) {
            let surplus = u32::try_from((capacity - size).div_ceil(UNIT)).unwrap_or(u32::MAX);
            if let Ok(more) = Arc::clone(&self.credit).try_acquire_many_owned(surplus) {
                credit.merge(more);
                found = Some(idle.swap_remove(at));
            }
        }
        let mut kept: usize = idle.iter().map(Vec::capacity).sum();
        while kept > self.available() {
            kept -= idle.pop().map_or(kept, |buffer| buffer.capacity());
        }
        drop(idle);
        (found.unwrap_or_else(|| Vec::with_capacity(size)), credit)
    }

    fn give_back(&self, mut bytes: Vec<u8>) {
        if (SMALLEST_KEPT + 1..=self.budget()).contains(&bytes.capacity()) {
            bytes.clear();
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
        }
    }
}

/// Counts one who waits, for as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A buffer of the pool. Its credit returns when the last of the bytes made of it is dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    units: usize,
    pool: Arc<BufferPool>,
}

impl Buffer {
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    /// The buffer is idle before its credit is free, so whoever gets the credit finds it.
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.bytes));
        self.pool.release(self.units);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MIB: usize = 1 << 20;

    #[tokio::test]
    async fn credit_returns_with_the_last_slice() {
        let pool = BufferPool::new(4 * MIB);
        let mut buffer = pool.take(MIB).await.unwrap();
        buffer.bytes.extend_from_slice(b"0123456789");
        let bytes = buffer.freeze();
        let slice = bytes.slice(2..4);
        drop(bytes);
        assert_eq!(pool.available(), 3 * MIB);
        assert_eq!(slice, "23");
        drop(slice);
        assert_eq!(pool.available(), 4 * MIB);
    }

    #[tokio::test]
    async fn buffers_are_used_again() {
        let pool = BufferPool::new(4 * MIB);
        let first = pool.take(MIB).await.unwrap();
        let place = first.bytes.as_ptr();
        drop(first);
        let second = pool.take(MIB - 4000).await.unwrap();
        assert_eq!(second.bytes.as_ptr(), place);
        assert!(second.bytes.is_empty());
    }

    #[tokio::test]
    async fn one_who_finds_no_credit_waits() {
        let pool = BufferPool::new(2 * MIB);
        let first = pool.take(MIB + 1).await.unwrap();
        let other = Arc::clone(&pool);
        let waiter = tokio::spawn(async move { other.take(MIB).await.unwrap().bytes.capacity() });
        while pool.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(!waiter.is_finished());
        drop(first);
        assert!(waiter.await.unwrap() >= MIB);
        assert_eq!((pool.waiting(), pool.available()), (0, 2 * MIB));
    }

    #[tokio::test]
    async fn it_grows_and_never_shrinks() {
        let pool = BufferPool::new(MIB);
        let first = pool.take(MIB).await.unwrap();
        pool.grow(3 * MIB);
        pool.grow(2 * MIB);
        assert_eq!((pool.budget(), pool.available()), (3 * MIB, 2 * MIB));
        assert!(pool.take(2 * MIB).await.is_some());
        drop(first);
        assert_eq!(pool.available(), 3 * MIB);
    }

    #[tokio::test]
    async fn more_than_the_budget_is_refused() {
        let pool = BufferPool::new(MIB);
        assert!(pool.take(MIB + 1).await.is_none());
        assert!(pool.take(MIB).await.is_some());
    }

    #[tokio::test]
    async fn debt_is_paid_before_anybody_gets_credit() {
        let pool = BufferPool::new(2 * MIB);
        let buffer = pool.take(MIB).await.unwrap();
        let first = pool.filled(vec![1; 3 * MIB]);
        assert_eq!((pool.available(), first.len()), (0, 3 * MIB));
        drop(buffer);
        assert_eq!(pool.available(), 0);
        let second = pool.filled(vec![2; MIB]);
        drop(first);
        assert_eq!(pool.available(), MIB);
        let place = second.as_ptr();
        drop(second);
        assert_eq!(pool.available(), 2 * MIB);
        let again = pool.empty(MIB - 1);
        assert_eq!(again.as_ptr(), place, "what was dropped is used again");
    }

    /// The invariant, over many sizes: what is idle never exceeds what is not handed out, and what is handed out
    /// is paid for.
    #[tokio::test]
    async fn used_and_idle_buffers_stay_within_the_budget() {
        let pool = BufferPool::new(8 * MIB);
        let mut held = std::collections::VecDeque::new();
        let mut seed: usize = 12_345;
        for _ in 0..2_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let len = (seed >> 33) % (3 * MIB);
            while pool.available() < 2 * len + UNIT {
                held.pop_front();
            }
            let buffer = pool.take(len).await.unwrap();
            assert!(buffer.bytes.capacity() >= len);
            held.push_back(buffer);
            let used: usize = held.iter().map(|buffer| buffer.bytes.capacity()).sum();
            let idle: usize = pool.idle.lock().unwrap().iter().map(Vec::capacity).sum();
            assert!(used + idle <= pool.budget(), "{used} + {idle}");
            assert!(pool.available() <= pool.budget() - used);
        }
    }
}
