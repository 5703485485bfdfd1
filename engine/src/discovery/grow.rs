//! Adds the partitions that topics of the target lack, and tells a refusal from what passes.
//!
//! Only where the target refuses for good are records dealt out by key. All else passes: a broker that restarts, an
//! answer that was lost, another process that added the same partitions in the same moment. Then what the target lacks
//! waits, and it is tried again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kmirror_protocol::client::admin::{self, NewPartitions, TopicFault};
use kmirror_protocol::client::{ClientError, Topics};
use kmirror_protocol::wire::error::ErrorCode;
use tracing::{info, warn};

use super::{Discovery, Wanted, partition_count};
use crate::plan::TargetChange;

/// So many answers in a row that may be a refusal are one.
const REFUSALS_MIN: u32 = 5;

impl Discovery {
    /// Adds partitions; returns the topics that cannot have theirs now, with the reason.
    pub(super) async fn add_partitions(
        &mut self,
        wanted: &mut [Wanted],
    ) -> Result<HashMap<Arc<str>, String>, ClientError> {
        let mut totals: BTreeMap<Arc<str>, i32> = BTreeMap::new();
        for one in wanted.iter().filter(|one| matches!(one.change, Some(TargetChange::AddPartitions { .. })))
        {
            let total = totals.entry(Arc::clone(&one.target_topic)).or_default();
            *total = partition_count(&one.source).max(*total);
        }
        let growing: Vec<NewPartitions> = totals
            .iter()
            .map(|(topic, total)| NewPartitions { topic: Arc::clone(topic), total: *total })
            .collect();
        if growing.is_empty() {
            self.refusals.clear();
            return Ok(HashMap::new());
        }
        let mut refused: BTreeMap<Arc<str>, TopicFault> = BTreeMap::new();
        for (topic, answer) in
            admin::create_partitions(&self.target, &growing, self.plan.admin_timeout).await?
        {
            match answer {
                Ok(()) => info!(flow = self.plan.name(), topic = &*topic, "partitions added at the target"),
                Err(fault) => drop(refused.insert(topic, fault)),
            }
        }
        if !refused.is_empty() {
            self.look_again(wanted, &mut refused).await?;
        }
        Ok(self.settle_refusals(wanted, &refused))
    }

    /// Whatever was answered, the partitions may be there: because our own answer was lost, or because another process
    /// added them.
    async fn look_again(
        &self,
        wanted: &mut [Wanted],
        refused: &mut BTreeMap<Arc<str>, TopicFault>,
    ) -> Result<(), ClientError> {
        let metadata = self.target.refresh(Topics::Named(refused.keys().cloned().collect())).await?;
        let mut short: BTreeMap<Arc<str>, TopicFault> = BTreeMap::new();
        for one in wanted {
            let Some(fault) = refused.get(&one.target_topic) else { continue };
            let topic = metadata.topics.get(&one.target_topic).filter(|topic| topic.error.is_none());
            let Some(TargetChange::AddPartitions { from }) = one.change else { continue };
            let from = topic.map_or(from, |topic| partition_count(topic));
            if from < partition_count(&one.source) {
                one.change = Some(TargetChange::AddPartitions { from });
                short.insert(Arc::clone(&one.target_topic), fault.clone());
            } else {
                one.change = Some(TargetChange::Nothing { partitions: from });
            }
        }
        for topic in refused.keys().filter(|topic| !short.contains_key(*topic)) {
            info!(flow = self.plan.name(), topic = &**topic, "partitions were added at the target meanwhile");
        }
        *refused = short;
        Ok(())
    }

    /// Has records dealt out where the target refuses for good, and what it lacks wait elsewhere.
    fn settle_refusals(
        &mut self,
        wanted: &mut [Wanted],
        refused: &BTreeMap<Arc<str>, TopicFault>,
    ) -> HashMap<Arc<str>, String> {
        let before = std::mem::take(&mut self.refusals);
        let mut faults = HashMap::new();
        for (topic, fault) in refused {
            let in_a_row = before.get(topic).map_or(1, |count| count.saturating_add(1));
            if fault.code == ErrorCode::InvalidPartitions {
                self.refusals.insert(Arc::clone(topic), in_a_row);
            }
            // Brokers may not tell a topic's partitions at the moment: over none nothing can be dealt out.
            let untold = Some(TargetChange::AddPartitions { from: 0 });
            let is_told = !wanted.iter().any(|one| one.target_topic == *topic && one.change == untold);
            let lasts = is_told && is_refusal(fault.code, in_a_row);
            if !lasts {
                let what = format!("partitions cannot be added to the target topic: {fault}");
                faults.insert(Arc::clone(topic), what);
            }
            for one in wanted.iter_mut().filter(|one| one.target_topic == *topic) {
                let Some(TargetChange::AddPartitions { from }) = one.change else { continue };
                if !lasts {
                    one.waiting_from = Some(from);
                    continue;
                }
                one.deal_to = Some(from);
                if self.told.insert(format!("dealt {topic}")) {
                    warn!(
                        flow = self.plan.name(),
                        topic = &*one.source.name,
                        "the target adds no partitions to {topic} ({fault}): records of partitions that are not mirrored \
                         one to one go to its {from} partitions by their keys"
                    );
                }
            }
        }
        faults
    }
}

/// Whether the target will go on saying no; `in_a_row` is how often it said the same.
fn is_refusal(code: ErrorCode, in_a_row: u32) -> bool {
    match code {
        ErrorCode::PolicyViolation | ErrorCode::UnsupportedVersion => true,
        // What Redpanda says when it has no room for more partitions, and every cluster for a moment when somebody else added
        // them.
        ErrorCode::InvalidPartitions => in_a_row >= REFUSALS_MIN,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lasts_is_a_refusal() {
        assert!(is_refusal(ErrorCode::PolicyViolation, 1));
        assert!(is_refusal(ErrorCode::UnsupportedVersion, 1));
        let doubtful: Vec<u32> =
            (1..8).filter(|times| is_refusal(ErrorCode::InvalidPartitions, *times)).collect();
        assert_eq!(doubtful, [5, 6, 7]);
        let passing = [
            ErrorCode::InvalidReplicationFactor,
            ErrorCode::UnknownServerError,
            ErrorCode::RequestTimedOut,
            ErrorCode::TopicAuthorizationFailed,
        ];
        assert!(passing.iter().all(|code| !is_refusal(*code, 100)));
    }
}
