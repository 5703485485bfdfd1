//! How a lane keeps to its limits: not by holding back what it has, but by not fetching.

use std::sync::Arc;
use std::time::Duration;

use super::event::Slot;
use super::lane::Lane;
use super::partition::NodeId;
use crate::plan::LimitPlan;

impl Lane {
    /// Other limits count from now on; what waited for the old ones is looked at again.
    pub(crate) fn limit(&mut self, limits: Arc<LimitPlan>) {
        let waiting = self.limits.waiting();
        self.limits.change(limits, self.now);
        for topic in waiting {
            self.sync_topic(&topic, None);
        }
        self.release_topics();
    }

    /// Leaves topics that have had their share out of the broker's session.
    pub(crate) fn hold_topics(&mut self, node: NodeId) {
        for topic in self.limits.waiting() {
            self.sync_topic(&topic, Some(node));
        }
        self.await_release();
    }

    /// Topics whose turn it is are fetched again.
    pub(crate) fn release_topics(&mut self) {
        for topic in self.limits.released(self.now) {
            self.sync_topic(&topic, None);
        }
        self.await_release();
    }

    fn await_release(&mut self) {
        if let Some(wait) = self.limits.next_release(self.now) {
            self.set_limits_timer(wait);
        }
    }

    /// How long a fetch may wait at the broker: no longer than until a topic comes back that it does not ask for.
    pub(crate) fn longest_wait(&mut self) -> Duration {
        let longest = self.options.fetch_max_wait;
        self.limits.next_release(self.now).map_or(longest, |wait| longest.min(wait))
    }

    /// Brings a topic's partitions in line with what they want; only those in this broker's session, if one is named.
    fn sync_topic(&mut self, topic: &str, only: Option<NodeId>) {
        let slots: Vec<Slot> = self.slots.get(topic).into_iter().flatten().copied().flatten().collect();
        for slot in slots {
            let session_on = self.partition(slot).and_then(|partition| partition.session_on);
            if only.is_none() || session_on == only {
                self.sync_session(slot);
            }
        }
    }
}
