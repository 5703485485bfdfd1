//! How far a broker is, by how long its full answers take. Pure: the time comes in.
//!
//! One fetch is under way to a broker at a time. Over a long way the throughput is what a fetch brings, divided by the
//! round trip: there fetches should be as large as the memory allows, and nearby so small that they stay in the caches.

use std::time::{Duration, Instant};

/// A full answer that takes longer comes from afar, or over a link that is slow: then a large one costs nothing either.
const FAR: Duration = Duration::from_millis(100);
/// So many of them in a row: a single one may have waited for memory here.
const IN_A_ROW: u32 = 3;

#[derive(Debug, Default)]
pub(crate) struct Distance {
    /// When how many bytes were asked for.
    asked: Option<(Instant, usize)>,
    slow_in_a_row: u32,
}

impl Distance {
    pub(crate) fn is_far(&self) -> bool {
        self.slow_in_a_row >= IN_A_ROW
    }

    /// A fetch leaves whose answer can have so many bytes.
    pub(crate) fn asked(&mut self, now: Instant, bytes: usize) {
        self.asked = Some((now, bytes));
    }

    /// Its answer came. One that is slow and not even half full may have waited for records, and tells nothing.
    pub(crate) fn answered(&mut self, now: Instant, bytes: usize) {
        let Some((since, asked)) = self.asked.take() else { return };
        if now.saturating_duration_since(since) <= FAR {
            self.slow_in_a_row = 0;
        } else if bytes >= asked / 2 {
            self.slow_in_a_row = self.slow_in_a_row.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_full_answers_in_a_row_tell() {
        let mut distance = Distance::default();
        let mut ask = |after: u64, bytes| {
            let now = Instant::now();
            distance.asked(now, 1000);
            distance.answered(now + Duration::from_millis(after), bytes);
            distance.is_far()
        };
        assert!(!ask(200, 900) && !ask(200, 900));
        assert!(!ask(500, 10), "a long poll");
        assert!(ask(200, 900));
        assert!(ask(500, 10), "a long poll");
        assert!(!ask(5, 900));
        assert!(!ask(200, 900));
    }
}
