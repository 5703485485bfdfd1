//! How long a process may write what it was given: until its coordinator may have given it to somebody else.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The moment until which nobody else can have been given what is ours. Monotonic time, which goes on while the process is
/// stopped (SIGSTOP): one that wakes too late finds its lease over before it sends anything.
///
/// One that was given up joins again and is soon a member as before, when the flow may be busy and not have heard of it yet:
/// what it then still has is somebody else's. So the lease holds again only when the flow has let go of everything.
#[derive(Debug)]
pub(crate) struct Lease(Mutex<Terms>);

#[derive(Debug)]
struct Terms {
    until: Option<Instant>,
    /// How often everything was lost.
    losses: u32,
    /// How many of these losses the flow has drawn the consequences of.
    heeded: u32,
}

impl Lease {
    /// Over already.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Terms { until: None, losses: 0, heeded: 0 }))
    }

    /// Whether it is not over.
    pub(crate) fn holds(&self) -> bool {
        let terms = self.lock();
        terms.losses == terms.heeded && terms.until.is_some_and(|until| Instant::now() < until)
    }

    /// A sign of life was answered: it holds until then at least.
    pub(super) fn extend(&self, until: Instant) {
        let mut terms = self.lock();
        terms.until = terms.until.max(Some(until));
    }

    /// The coordinator gave us up. Everything was lost so often, this time included where there was anything.
    pub(super) fn end(&self, losses: u32) {
        let mut terms = self.lock();
        (terms.until, terms.losses) = (None, losses);
    }

    /// So many losses are known to the flow, which has let go of what it had before them.
    pub(crate) fn heed(&self, losses: u32) {
        self.lock().heeded = losses;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Terms> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_holds_again_when_what_was_lost_is_let_go_of() {
        let lease = Lease::new();
        let soon = Instant::now() + Duration::from_secs(60);
        assert!(!lease.holds());
        lease.extend(soon);
        assert!(lease.holds());
        lease.end(1);
        lease.extend(soon);
        assert!(!lease.holds(), "a member again, but nothing was let go of");
        lease.heed(1);
        assert!(lease.holds());
        lease.end(2);
        lease.extend(soon);
        lease.heed(1);
        assert!(!lease.holds(), "that was the loss before");
    }
}
