//! A token bucket: so many bytes a second, what was not used saved for a second. Pure: the time comes in.
//!
//! Invariant: over any time, no more is taken than rate x time + burst, except by what was [taken](Bucket::take)
//! beyond what was there; that is a debt, and is paid before anything is there again.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// Unused time is saved for so long.
pub(crate) const BURST: Duration = Duration::from_secs(1);
/// It pays to wait for so much, rather than to take a few bytes at a time.
const PORTION: Duration = Duration::from_millis(100);
/// Tokens are billionths of a byte: then no time is lost to rounding.
const TOKENS_PER_BYTE: i128 = 1_000_000_000;

#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    /// Bytes a second, which is tokens a nanosecond.
    rate: NonZeroU64,
    tokens: i128,
    at: Instant,
}

impl Bucket {
    /// An empty bucket.
    pub(crate) fn new(rate: NonZeroU64, now: Instant) -> Self {
        Self { rate, tokens: 0, at: now }
    }

    /// Changes the rate; debts stay.
    pub(crate) fn set_rate(&mut self, rate: NonZeroU64, now: Instant) {
        self.fill(now);
        self.rate = rate;
        self.tokens = self.tokens.min(self.tokens_of(BURST));
    }

    /// What may be taken, in bytes.
    pub(crate) fn available(&mut self, now: Instant) -> u64 {
        self.fill(now);
        u64::try_from(self.tokens.max(0) / TOKENS_PER_BYTE).unwrap_or(u64::MAX)
    }

    /// Takes bytes, if need be on credit.
    pub(crate) fn take(&mut self, bytes: u64) {
        self.tokens = self.tokens.saturating_sub(i128::from(bytes).saturating_mul(TOKENS_PER_BYTE));
    }

    /// Puts back what was taken and not used.
    pub(crate) fn put_back(&mut self, bytes: u64) {
        let tokens = self.tokens.saturating_add(i128::from(bytes).saturating_mul(TOKENS_PER_BYTE));
        self.tokens = tokens.min(self.tokens_of(BURST));
    }

    /// How long until a portion worth taking is there; none if it is.
    pub(crate) fn wait(&mut self, now: Instant) -> Option<Duration> {
        self.fill(now);
        let missing = self.tokens_of(PORTION).max(TOKENS_PER_BYTE) - self.tokens;
        let rate = i128::from(self.rate.get());
        let nanos = (missing.max(0).saturating_add(rate - 1)) / rate;
        (nanos > 0).then(|| Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        self.at = self.at.max(now);
        self.tokens = self.tokens.saturating_add(self.tokens_of(passed)).min(self.tokens_of(BURST));
    }

    fn tokens_of(&self, time: Duration) -> i128 {
        let nanos = i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
        nanos.saturating_mul(i128::from(self.rate.get()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(bytes: u64) -> NonZeroU64 {
        NonZeroU64::new(bytes).unwrap()
    }

    /// The most that may be taken in this time: rate x time + burst.
    fn most(rate: u64, time: Duration) -> u128 {
        u128::from(rate) * (time + BURST).as_nanos() / 1_000_000_000
    }

    proptest! {
        /// Over every stretch of time, not only from the beginning.
        #[test]
        fn never_more_than_rate_times_time_and_burst(
            bytes in 1u64..10_000_000_000,
            steps in prop::collection::vec((0u64..3_000_000, 0u64..50_000_000, 0u64..100), 1..60),
        ) {
            let start = Instant::now();
            let (mut now, mut bucket) = (start, Bucket::new(rate(bytes), start));
            let mut taken: Vec<(Instant, u64)> = Vec::new();
            for (micros, wanted, unused) in steps {
                now += Duration::from_micros(micros);
                let some = bucket.available(now).min(wanted);
                bucket.take(some);
                let back = some / 100 * unused;
                bucket.put_back(back);
                taken.push((now, some - back));
            }
            for (from, (since, _)) in taken.iter().enumerate() {
                let mut sum = 0u128;
                for (at, some) in &taken[from..] {
                    sum += u128::from(*some);
                    prop_assert!(sum <= most(bytes, *at - *since));
                }
            }
        }

        /// What is taken on credit is paid for: the mean stays.
        #[test]
        fn debts_are_paid(bytes in 1_000u64..1_000_000_000, pieces in prop::collection::vec(1u64..20_000_000, 1..40)) {
            let start = Instant::now();
            let (mut now, mut bucket) = (start, Bucket::new(rate(bytes), start));
            let mut sum = 0u128;
            for piece in pieces {
                now += bucket.wait(now).unwrap_or_default();
                prop_assert!(bucket.wait(now).is_none());
                bucket.take(piece);
                prop_assert!(sum <= most(bytes, now - start));
                sum += u128::from(piece);
            }
        }

        /// One who waits as told, and takes what is there, gets the rate within two percent.
        #[test]
        fn the_rate_is_reached(bytes in 1_000u64..10_000_000_000, answer_micros in 0u64..800_000) {
            let start = Instant::now();
            let (mut now, mut bucket) = (start, Bucket::new(rate(bytes), start));
            let mut sum = 0u128;
            while now - start < Duration::from_secs(100) {
                now += bucket.wait(now).unwrap_or_default();
                let some = bucket.available(now);
                bucket.take(some);
                sum += u128::from(some);
                now += Duration::from_micros(answer_micros);
            }
            let whole = u128::from(bytes) * (now - start).as_nanos() / 1_000_000_000;
            prop_assert!(sum * 100 >= whole * 98, "{sum} of {whole}");
        }
    }

    #[test]
    fn another_rate_counts_from_then_on() {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate(1000), start);
        let later = start + Duration::from_secs(5);
        assert_eq!(bucket.available(later), 1000);
        bucket.set_rate(rate(100), later);
        assert_eq!(bucket.available(later), 100);
        bucket.take(1100);
        bucket.set_rate(rate(2000), later);
        assert_eq!(bucket.available(later + Duration::from_millis(500)), 0);
        assert_eq!(bucket.available(later + Duration::from_millis(600)), 200);
    }

    #[test]
    fn one_byte_a_second_comes() {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate(1), start);
        assert_eq!(bucket.wait(start), Some(Duration::from_secs(1)));
        assert_eq!(bucket.available(start + Duration::from_secs(1)), 1);
    }
}
