//! Growing pauses with jitter, so that many who failed at once do not return at once.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

/// The most a pause is lengthened or shortened by, in percent (as in the Java clients).
const JITTER_PERCENT: u64 = 20;

/// Pauses that double from a first to a longest, each by up to a fifth longer or shorter.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest: longest.max(first), failures: 0 }
    }

    /// Notes another failure, and says how long to pause after it.
    pub fn failed(&mut self) -> Duration {
        let doubled = 2u32.checked_pow(self.failures).and_then(|factor| self.first.checked_mul(factor));
        self.failures = self.failures.saturating_add(1);
        jittered(doubled.map_or(self.longest, |pause| pause.min(self.longest)))
    }

    /// All is well again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Notes another failure, and pauses. Does not pause and returns `false` when that would go beyond `deadline`.
    pub async fn pause_before(&mut self, deadline: Instant) -> bool {
        let until = Instant::now() + self.failed();
        let in_time = until < deadline;
        if in_time {
            sleep_until(until).await;
        }
        in_time
    }

    /// Notes another failure, and pauses.
    pub async fn pause(&mut self) {
        sleep(self.failed()).await;
    }
}

fn jittered(pause: Duration) -> Duration {
    let percent = 100 - JITTER_PERCENT + random_below(2 * JITTER_PERCENT + 1);
    pause.mul_f64(percent as f64 / 100.0)
}

/// A number below `bound`, good enough to spread things: the standard library seeds its hashers at random.
pub(super) fn random_below(bound: u64) -> u64 {
    RandomState::new().hash_one(0u8).checked_rem(bound).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for expected in [100, 200, 400, 800, 1000, 1000] {
            let pause = backoff.failed().as_millis();
            assert!((expected * 8 / 10..=expected * 12 / 10).contains(&pause), "{pause} for {expected}");
        }
        backoff.failures = u32::MAX;
        assert!(backoff.failed() <= Duration::from_millis(1200));
        backoff.reset();
        assert!(backoff.failed() <= Duration::from_millis(120));
    }

    #[test]
    fn pauses_differ() {
        let pauses: std::collections::HashSet<Duration> =
            (0..50).map(|_| Backoff::new(Duration::from_secs(1), Duration::from_secs(1)).failed()).collect();
        assert!(pauses.len() > 5, "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_goes_beyond_the_deadline() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let start = Instant::now();
        let deadline = start + Duration::from_secs(2);
        while backoff.pause_before(deadline).await {}
        assert!(Instant::now() < deadline && start.elapsed() > Duration::from_millis(500));
    }
}
