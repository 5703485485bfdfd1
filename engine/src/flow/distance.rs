//! How far a broker is, by how long its full answers take, and how large fetches from it should be. Pure: the time comes
//! in.
//!
//! One fetch is under way to a broker at a time. Over a long way the throughput is what a fetch brings, divided by the
//! round trip: there fetches should be large, and nearby so small that they stay in the caches. But a slow answer may
//! also come over a thin link, or wait for a target that is slow: a larger one would only take longer. So they are
//! doubled as long as that brings more in the same time.

use std::time::{Duration, Instant};

/// A full answer that takes longer comes from afar.
const FAR: Duration = Duration::from_millis(100);
/// So many of them in a row: a single one may have waited for memory here.
const IN_A_ROW: u32 = 3;
/// Twice the size is worth its memory if it brings at least so many times as much.
const WORTH: f64 = 1.25;
/// How many slow answers come until a larger size is tried again that brought nothing.
const AGAIN_AFTER: u32 = 100;
const DOUBLINGS_MAX: u32 = 20;

/// Slow and full answers to fetches of one size.
#[derive(Debug, Default)]
struct Seen {
    answers: u32,
    bytes: f64,
    seconds: f64,
}

#[derive(Debug, Default)]
pub(crate) struct Distance {
    /// When how many bytes were asked for.
    asked: Option<(Instant, usize)>,
    doublings: u32,
    seen: Seen,
    /// Bytes per second with one doubling less, when the last is to be judged yet.
    before: Option<f64>,
    /// Answers until more is tried.
    pause: u32,
}

impl Distance {
    /// How many bytes a fetch may bring: `near` from nearby, and from afar no more than `far`.
    pub(crate) fn fetch_bytes(&self, near: usize, far: usize) -> usize {
        near.saturating_mul(1 << self.doublings).min(far.max(near))
    }

    pub(crate) fn is_far(&self) -> bool {
        self.doublings > 0
    }

    /// A fetch leaves whose answer can have so many bytes.
    pub(crate) fn asked(&mut self, now: Instant, bytes: usize) {
        self.asked = Some((now, bytes));
    }

    /// Its answer came. One that is slow and not even half full may have waited for records, and tells nothing.
    pub(crate) fn answered(&mut self, now: Instant, bytes: usize) {
        let Some((since, asked)) = self.asked.take() else { return };
        let took = now.saturating_duration_since(since);
        if took <= FAR {
            *self = Self::default();
        } else if bytes >= asked / 2 {
            self.pause = self.pause.saturating_sub(1);
            self.seen.answers += 1;
            self.seen.bytes += bytes as f64;
            self.seen.seconds += took.as_secs_f64();
            if self.seen.answers >= IN_A_ROW {
                self.judge();
            }
        }
    }

    fn judge(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        let rate = seen.bytes / seen.seconds;
        if self.before.take().is_some_and(|before| rate < before * WORTH) {
            self.doublings -= 1;
            self.pause = AGAIN_AFTER;
        } else if self.pause == 0 {
            self.doublings = (self.doublings + 1).min(DOUBLINGS_MAX);
            self.before = Some(rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: usize = 1000;
    const FAR_MAX: usize = 8000;

    /// The sizes of fetches whose answers take `delay` and then their time at so many bytes per second.
    fn sizes(distance: &mut Distance, delay: Duration, rate: f64, fetches: usize) -> Vec<usize> {
        let fetch = |_| {
            let (now, size) = (Instant::now(), distance.fetch_bytes(NEAR, FAR_MAX));
            distance.asked(now, size);
            distance.answered(now + delay + Duration::from_secs_f64(size as f64 / rate), size);
            size
        };
        (0..fetches).map(fetch).collect()
    }

    #[test]
    fn fetches_grow_where_that_brings_more() {
        let mut distance = Distance::default();
        let mut far = |fetches| sizes(&mut distance, Duration::from_millis(200), 1e6, fetches);
        assert_eq!(far(9), [1000, 1000, 1000, 2000, 2000, 2000, 4000, 4000, 4000]);
        assert!(far(400).iter().all(|size| *size == FAR_MAX));
    }

    #[test]
    fn over_a_thin_link_they_stay_small_and_more_is_tried_now_and_then() {
        let mut distance = Distance::default();
        let thin = sizes(&mut distance, Duration::from_millis(20), 5e3, 400);
        let large = thin.iter().filter(|size| **size > NEAR).count();
        assert!((3..=12).contains(&large) && thin.iter().all(|size| *size <= 2 * NEAR), "{large}");
    }

    #[test]
    fn one_fast_answer_tells_that_it_is_near() {
        let mut distance = Distance::default();
        sizes(&mut distance, Duration::from_millis(200), 1e6, 9);
        assert!(distance.is_far());
        assert_eq!(sizes(&mut distance, Duration::from_millis(5), 1e6, 3)[1..], [NEAR; 2]);
        assert!(!distance.is_far());
    }

    #[test]
    fn a_long_poll_tells_nothing() {
        let mut distance = Distance::default();
        for _ in 0..10 {
            let now = Instant::now();
            distance.asked(now, NEAR);
            distance.answered(now + Duration::from_millis(500), NEAR / 100);
        }
        assert!(!distance.is_far());
    }
}
