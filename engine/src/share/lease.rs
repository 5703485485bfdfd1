//! How long a process may write what it was given: until its coordinator may have given it to somebody else.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The moment until which nobody else can have been given what is ours. Monotonic time, which goes on while the process is
/// stopped (SIGSTOP): one that wakes too late finds its lease over before it sends anything.
#[derive(Debug)]
pub(crate) struct Lease(Mutex<Option<Instant>>);

impl Lease {
    /// Over already.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Whether it is not over.
    pub(crate) fn holds(&self) -> bool {
        self.lock().is_some_and(|until| Instant::now() < until)
    }

    /// A sign of life was answered: it holds until then at least.
    pub(super) fn extend(&self, until: Instant) {
        let mut lease = self.lock();
        *lease = (*lease).max(Some(until));
    }

    /// The coordinator gave us up.
    pub(super) fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
