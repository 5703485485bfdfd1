//! Which parts of a partition a sample takes. Pure.
//!
//! A partition's source offsets are cut into stretches of one length. Each stretch is taken or not by a hash of the
//! seed, the partition and its number. Within a stretch everything is compared; at its borders the streams are aligned
//! by content, so that a sample never tells of differences that a full comparison would not.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Source offsets of one stretch.
pub(super) const STRETCH_OFFSETS: i64 = 10_000;

/// The stretches `[from, until)` of `[from, until)` that a sample of `rate` takes; at least one if there is anything,
/// neighbours as one. A rate of 1 takes all.
pub(super) fn stretches(
    (from, until): (i64, i64),
    rate: f64,
    seed: u64,
    partition: (&str, i32),
) -> Vec<(i64, i64)> {
    if rate >= 1.0 || from >= until {
        return vec![(from, until)];
    }
    let mut taken: Vec<(i64, i64)> = Vec::new();
    let mut least: Option<(f64, (i64, i64))> = None;
    let mut start = from;
    while start < until {
        let end = start.saturating_add(STRETCH_OFFSETS).min(until);
        let chance = chance(seed, partition, start);
        if least.is_none_or(|(known, _)| chance < known) {
            least = Some((chance, (start, end)));
        }
        if chance < rate {
            match taken.last_mut().filter(|last| last.1 == start) {
                Some(last) => last.1 = end,
                None => taken.push((start, end)),
            }
        }
        start = end;
    }
    if taken.is_empty() { least.map(|(_, stretch)| stretch).into_iter().collect() } else { taken }
}

/// A number in [0, 1) that depends on nothing else.
fn chance(seed: u64, partition: (&str, i32), start: i64) -> f64 {
    let mut hasher = DefaultHasher::new();
    (seed, partition, start).hash(&mut hasher);
    // The 53 bits that a float holds exactly.
    (hasher.finish() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_is_one_stretch() {
        assert_eq!(stretches((5, 1_000_000), 1.0, 7, ("t", 0)), [(5, 1_000_000)]);
        assert_eq!(stretches((5, 5), 0.1, 7, ("t", 0)), [(5, 5)]);
    }

    #[test]
    fn a_sample_has_about_the_size_asked_for() {
        for rate in [0.01, 0.1, 0.5] {
            let taken = stretches((0, 100_000_000), rate, 7, ("t", 0));
            let offsets: i64 = taken.iter().map(|(from, until)| until - from).sum();
            let share = offsets as f64 / 100_000_000.0;
            assert!((share / rate - 1.0).abs() < 0.3, "{share} instead of {rate}");
        }
        assert_ne!(stretches((0, 1_000_000), 0.1, 7, ("t", 0)), stretches((0, 1_000_000), 0.1, 8, ("t", 0)));
    }

    proptest! {
        #[test]
        fn stretches_are_in_order_and_inside(from in 0i64..50_000, len in 1i64..500_000, rate in 0.001f64..1.0, seed in any::<u64>()) {
            let taken = stretches((from, from + len), rate, seed, ("t", 3));
            prop_assert!(!taken.is_empty());
            prop_assert!(taken.iter().all(|(start, end)| from <= *start && start < end && *end <= from + len));
            prop_assert!(taken.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
