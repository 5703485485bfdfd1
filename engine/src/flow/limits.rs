//! A lane's limits: what may be fetched now, which topics must wait. Pure: the time comes in.
//!
//! Bytes are counted when they were fetched, as source batches. The flow's share is reserved before a fetch is sent and
//! settled by its answer; a topic is left out of fetches after it has had more than its share, until that is paid for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bucket::Bucket;
use crate::plan::LimitPlan;

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    plan: Arc<LimitPlan>,
    flow: Option<Bucket>,
    /// The topics seen so far; none for one without a limit.
    topics: HashMap<Arc<str>, Option<TopicLimit>>,
    /// Bytes of the flow since the last [`Limits::settle`].
    unsettled: u64,
}

#[derive(Debug)]
struct TopicLimit {
    bucket: Bucket,
    waits: bool,
}

impl Limits {
    /// Other limits count from now on.
    pub(crate) fn change(&mut self, plan: Arc<LimitPlan>, now: Instant) {
        self.flow = plan.flow.map(|rate| match self.flow.take() {
            Some(mut bucket) => {
                bucket.set_rate(rate, now);
                bucket
            }
            None => Bucket::new(rate, now),
        });
        for (topic, limit) in &mut self.topics {
            *limit = plan.topic(topic).map(|rate| match limit.take() {
                Some(mut limit) => {
                    limit.bucket.set_rate(rate, now);
                    limit
                }
                None => TopicLimit { bucket: Bucket::new(rate, now), waits: false },
            });
        }
        self.plan = plan;
    }

    /// How long the flow must not fetch anything; none if it may.
    pub(crate) fn flow_waits(&mut self, now: Instant) -> Option<Duration> {
        self.flow.as_mut()?.wait(now)
    }

    /// Reserves at most so many bytes of the flow for a fetch, an equal share when `sharers` fetches are to be sent.
    /// Returns how many may be asked for, and how many [`Limits::settle`] is to be told of.
    pub(crate) fn reserve(&mut self, wanted: usize, sharers: usize, now: Instant) -> (usize, u64) {
        let Some(bucket) = &mut self.flow else { return (wanted, 0) };
        let sharers = u64::try_from(sharers.max(1)).unwrap_or(u64::MAX);
        let share = (bucket.available(now) / sharers).max(1);
        let granted = wanted.min(usize::try_from(share).unwrap_or(usize::MAX));
        let reserved = u64::try_from(granted).unwrap_or(u64::MAX);
        bucket.take(reserved);
        (granted, reserved)
    }

    /// A fetch that had so much reserved is over.
    pub(crate) fn settle(&mut self, reserved: u64) {
        let used = std::mem::take(&mut self.unsettled);
        let Some(bucket) = &mut self.flow else { return };
        if used > reserved {
            bucket.take(used - reserved);
        } else {
            bucket.put_back(reserved - used);
        }
    }

    /// Counts what was fetched of a topic.
    pub(crate) fn count(&mut self, topic: &Arc<str>, bytes: usize, now: Instant) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if bytes == 0 {
            return;
        }
        self.unsettled = self.unsettled.saturating_add(bytes);
        let Some(limit) = self.topic(topic, now) else { return };
        limit.bucket.take(bytes);
        limit.waits |= limit.bucket.available(now) == 0;
    }

    /// Whether a topic is left out of fetches.
    pub(crate) fn waits(&self, topic: &str) -> bool {
        matches!(self.topics.get(topic), Some(Some(limit)) if limit.waits)
    }

    /// The topics that are left out of fetches.
    pub(crate) fn waiting(&self) -> Vec<Arc<str>> {
        let waits = |limit: &Option<TopicLimit>| limit.as_ref().is_some_and(|limit| limit.waits);
        self.topics.iter().filter(|(_, limit)| waits(limit)).map(|(topic, _)| Arc::clone(topic)).collect()
    }

    /// The topics that need not wait any longer.
    pub(crate) fn released(&mut self, now: Instant) -> Vec<Arc<str>> {
        let mut released = Vec::new();
        for (topic, limit) in &mut self.topics {
            let Some(limit) = limit.as_mut().filter(|limit| limit.waits) else { continue };
            if limit.bucket.wait(now).is_none() {
                limit.waits = false;
                released.push(Arc::clone(topic));
            }
        }
        released
    }

    /// How long until the next topic need not wait any longer; none if none waits.
    pub(crate) fn next_release(&mut self, now: Instant) -> Option<Duration> {
        let waiting = self.topics.values_mut().flatten().filter(|limit| limit.waits);
        waiting.map(|limit| limit.bucket.wait(now).unwrap_or_default()).min()
    }

    fn topic(&mut self, topic: &Arc<str>, now: Instant) -> Option<&mut TopicLimit> {
        if self.plan.topics.is_empty() {
            return None;
        }
        if !self.topics.contains_key(topic) {
            let rate = self.plan.topic(topic);
            let limit = rate.map(|rate| TopicLimit { bucket: Bucket::new(rate, now), waits: false });
            self.topics.insert(Arc::clone(topic), limit);
        }
        self.topics.get_mut(topic)?.as_mut()
    }
}
