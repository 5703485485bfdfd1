//! How often and how long brokers asked for silence, over the connections that share one tally.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The longest silence that is kept: beyond it a broker's quotas make no sense, and the connection is tried instead.
pub(super) const THROTTLE_MAX: Duration = Duration::from_secs(3600);

/// Throttling as it was obeyed (KIP-219).
#[derive(Debug, Default)]
pub struct Throttling {
    responses: AtomicU64,
    millis: AtomicU64,
}

impl Throttling {
    /// Responses that asked for silence.
    pub fn responses(&self) -> u64 {
        self.responses.load(Ordering::Relaxed)
    }

    /// The time for which connections had to be silent, added up over connections.
    pub fn silence(&self) -> Duration {
        Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }

    pub(super) fn add(&self, silence: Duration) {
        let millis = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
        self.responses.fetch_add(1, Ordering::Relaxed);
        self.millis.fetch_add(millis, Ordering::Relaxed);
    }
}
