//! Topics and their partitions: who leads, who follows, and whom to wake when there is something new. No clock, no sockets.

use std::sync::{Arc, Weak};

use tokio::sync::Notify;
use uuid::Uuid;

use super::config::TopicConfigs;
use super::log::Log;

/// Longest name of a topic (Kafka's `Topic.MAX_NAME_LENGTH`).
const MAX_NAME_LEN: usize = 249;

/// The topics brokers keep for themselves.
const INTERNAL: [&str; 2] = ["__consumer_offsets", "__transaction_state"];

/// A topic. A topic that is deleted and created again has another id (KIP-516).
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) configs: TopicConfigs,
    pub(crate) partitions: Vec<Partition>,
}

impl Topic {
    pub(crate) fn is_internal(&self) -> bool {
        INTERNAL.contains(&&*self.name)
    }

    pub(crate) fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn partition_mut(&mut self, index: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(index).ok()?)
    }
}

/// A partition. Its replicas share one log: what is appended has reached all that are in sync.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) replicas: Vec<i32>,
    pub(crate) in_sync: Vec<i32>,
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: i32,
    pub(crate) log: Log,
    waiting: Vec<Weak<Notify>>,
}

impl Partition {
    /// A new partition on `replicas`, led by the first of them that is `up`.
    pub(crate) fn new(replicas: Vec<i32>, up: impl Fn(i32) -> bool) -> Self {
        let in_sync: Vec<_> = replicas.iter().copied().filter(|id| up(*id)).collect();
        let leader = in_sync.first().copied();
        let mut log = Log::default();
        log.epochs.begin(0, 0);
        Self { replicas, in_sync, leader, leader_epoch: 0, log, waiting: Vec::new() }
    }

    /// Elects `leader` (`None`: nobody can) under a new epoch that begins at the end of the log.
    pub(crate) fn elect(&mut self, leader: Option<i32>) {
        self.leader = leader;
        self.leader_epoch += 1;
        if leader.is_some() {
            self.log.epochs.begin(self.leader_epoch, self.log.end_offset());
        }
        self.wake();
    }

    /// Wakes `waiter` at the next change. A waiter is kept once, and not longer than it lives.
    pub(crate) fn watch(&mut self, waiter: &Arc<Notify>) {
        self.waiting.retain(|known| known.strong_count() > 0);
        if !self.waiting.iter().any(|known| known.as_ptr() == Arc::as_ptr(waiter)) {
            self.waiting.push(Arc::downgrade(waiter));
        }
    }

    /// Wakes all who wait for a change.
    pub(crate) fn wake(&mut self) {
        for waiter in self.waiting.drain(..) {
            if let Some(waiter) = waiter.upgrade() {
                waiter.notify_one();
            }
        }
    }
}

/// Why `name` cannot be a topic's, in the broker's words (Kafka's `Topic.validate`).
pub(crate) fn name_fault(name: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c);
    match name {
        "" => Some("Topic name is invalid: the empty string is not allowed".to_owned()),
        "." | ".." => Some(format!("Topic name is invalid: '{name}' is not allowed")),
        _ if name.len() > MAX_NAME_LEN => Some(format!(
            "Topic name is invalid: the length of '{name}' is longer than the max allowed length {MAX_NAME_LEN}"
        )),
        _ if !name.chars().all(legal) => Some(format!(
            "Topic name is invalid: '{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        )),
        _ => None,
    }
}

/// Whether two names would share their metrics: a broker does not take a topic whose name differs only by `.` and `_`.
pub(crate) fn names_collide(a: &str, b: &str) -> bool {
    let unified = |c: u8| if c == b'.' { b'_' } else { c };
    a.bytes().map(unified).eq(b.bytes().map(unified))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "A.b_c-9", "...", &"x".repeat(249)] {
            assert_eq!(name_fault(good), None);
        }
        for bad in ["", ".", "..", "a b", "ä", "a/b", &"x".repeat(250)] {
            assert!(name_fault(bad).is_some(), "{bad}");
        }
        assert!(names_collide("a.b_c", "a_b.c"));
        assert!(!names_collide("a.b", "a-b"));
    }

    #[test]
    fn a_waiter_is_kept_once_and_woken_once() {
        let mut partition = Partition::new(vec![1], |_| true);
        let (first, second) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        partition.watch(&first);
        partition.watch(&first);
        partition.watch(&second);
        assert_eq!(partition.waiting.len(), 2);
        drop(second);
        partition.watch(&first);
        assert_eq!(partition.waiting.len(), 1);
        partition.wake();
        assert!(partition.waiting.is_empty());
    }

    #[test]
    fn an_election_begins_an_epoch() {
        let mut partition = Partition::new(vec![1, 2, 3], |id| id != 1);
        assert_eq!((partition.leader, partition.in_sync.as_slice()), (Some(2), [2, 3].as_slice()));
        partition.elect(Some(3));
        assert_eq!((partition.leader_epoch, partition.log.epochs.of_offset(0)), (1, Some(1)));
    }
}
