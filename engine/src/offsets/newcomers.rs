//! Which committed positions tell of partitions that the flow should mirror and does not know yet. Pure.
//!
//! A look at the topics may change nothing: the topic is in trouble, or was deleted after somebody read it. So each
//! partition calls for one look at once, and for further ones after growing pauses only.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ids::SourcePartition;

/// The pause before a partition calls for a second look, which doubles with each.
const PAUSE_MIN: Duration = Duration::from_secs(10);
/// The longest pause; that of the regular looks by default.
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// Partitions remembered that called for a look. One beyond them waits for the next regular one.
const TRIED_MAX: usize = 10_000;
/// Topics remembered that are not mirrored. With more than these they are found out anew.
const LEFT_OUT_MAX: usize = 10_000;

/// What became of the partitions that positions told of.
#[derive(Debug, Default)]
pub(crate) struct Newcomers {
    tried: HashMap<SourcePartition, Tried>,
    left_out: HashSet<Arc<str>>,
}

#[derive(Debug)]
struct Tried {
    again: Instant,
    pause: Duration,
}

impl Newcomers {
    /// Whether a position in this partition calls for a look at the topics. `is_known` says that the partition is
    /// mirrored, `is_wanted` whether its topic should be.
    pub(crate) fn call_for_a_look(
        &mut self,
        partition: &SourcePartition,
        now: Instant,
        is_known: bool,
        is_wanted: impl FnOnce(&str) -> bool,
    ) -> bool {
        if is_known {
            self.tried.remove(partition);
            return false;
        }
        if self.left_out.contains(&partition.topic) {
            return false;
        }
        if let Some(tried) = self.tried.get_mut(partition) {
            let due = now >= tried.again;
            if due {
                tried.pause = (tried.pause * 2).min(PAUSE_MAX);
                tried.again = now + tried.pause;
            }
            return due;
        }
        if !is_wanted(&partition.topic) {
            self.leave_out(&partition.topic);
            return false;
        }
        if self.tried.len() == TRIED_MAX {
            self.tried.retain(|_, tried| now < tried.again);
        }
        let has_room = self.tried.len() < TRIED_MAX;
        if has_room {
            self.tried.insert(partition.clone(), Tried { again: now + PAUSE_MIN, pause: PAUSE_MIN });
        }
        has_room
    }

    fn leave_out(&mut self, topic: &Arc<str>) {
        if self.left_out.len() == LEFT_OUT_MAX {
            self.left_out.clear();
        }
        self.left_out.insert(Arc::clone(topic));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(topic: &str, partition: i32) -> SourcePartition {
        SourcePartition { topic: topic.into(), partition }
    }

    fn orders(topic: &str) -> bool {
        topic == "orders"
    }

    #[test]
    fn only_what_is_wanted_and_unknown_calls_for_a_look() {
        let (mut newcomers, now) = (Newcomers::default(), Instant::now());
        assert!(!newcomers.call_for_a_look(&partition("orders", 0), now, true, orders));
        assert!(newcomers.call_for_a_look(&partition("orders", 1), now, false, orders));
        assert!(!newcomers.call_for_a_look(&partition("bills", 0), now, false, orders));
        let asked_again = |_: &str| panic!("the filter is asked once for a topic");
        assert!(!newcomers.call_for_a_look(&partition("bills", 1), now, false, asked_again));
    }

    #[test]
    fn what_a_look_does_not_change_calls_less_and_less() {
        let (mut newcomers, begin) = (Newcomers::default(), Instant::now());
        let calls: Vec<u64> = (0..3600)
            .filter(|second| {
                let now = begin + Duration::from_secs(*second);
                newcomers.call_for_a_look(&partition("orders", 0), now, false, orders)
            })
            .collect();
        assert_eq!(calls, [0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030]);
        // Mirrored in between, and created anew: that is news.
        let later = begin + Duration::from_secs(3600);
        assert!(!newcomers.call_for_a_look(&partition("orders", 0), later, true, orders));
        assert!(newcomers.call_for_a_look(&partition("orders", 0), later, false, orders));
    }

    #[test]
    fn only_so_many_are_remembered() {
        let (mut newcomers, begin) = (Newcomers::default(), Instant::now());
        let many = i32::try_from(TRIED_MAX).unwrap();
        let mut call =
            |index, now| newcomers.call_for_a_look(&partition("orders", index), now, false, orders);
        assert!((0..many).all(|index| call(index, begin)));
        assert!(!call(many, begin));
        assert!(call(many, begin + PAUSE_MIN), "those whose pause is over make room");
        let mut newcomers = Newcomers::default();
        for index in 0..=LEFT_OUT_MAX {
            newcomers.call_for_a_look(&partition(&format!("other {index}"), 0), begin, false, orders);
        }
        assert_eq!(newcomers.left_out.len(), 1);
    }
}
