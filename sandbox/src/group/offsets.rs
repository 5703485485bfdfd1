//! What a group has committed, at once and in transactions that are still open (`GroupMetadata`'s offsets).

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use tokio::time::Instant;

use super::{Group, Phase};

/// Longest metadata of a committed offset (`offset.metadata.max.bytes`).
const METADATA_MAX_LEN: usize = 4096;

/// Topic and partition.
pub(crate) type OffsetKey = (String, i32);

/// A committed position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
}

/// The positions of a group.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    committed: BTreeMap<OffsetKey, Committed>,
    /// By the producer whose transaction they are part of.
    in_transactions: BTreeMap<i64, BTreeMap<OffsetKey, Committed>>,
}

impl Committed {
    /// Whether it may be stored.
    pub(crate) fn check(&self) -> Result<(), ResponseError> {
        if self.metadata.len() > METADATA_MAX_LEN {
            Err(ResponseError::OffsetMetadataTooLarge)
        } else {
            Ok(())
        }
    }
}

impl Offsets {
    pub(crate) fn commit(&mut self, key: OffsetKey, committed: Committed) {
        self.committed.insert(key, committed);
    }

    /// Holds a position until its transaction ends.
    pub(crate) fn prepare(&mut self, producer_id: i64, key: OffsetKey, committed: Committed) {
        self.in_transactions.entry(producer_id).or_default().insert(key, committed);
    }

    /// A transaction has ended.
    pub(crate) fn finish(&mut self, producer_id: i64, commit: bool) {
        let prepared = self.in_transactions.remove(&producer_id).unwrap_or_default();
        if commit {
            self.committed.extend(prepared);
        }
    }

    pub(crate) fn get(&self, key: &OffsetKey) -> Option<&Committed> {
        self.committed.get(key)
    }

    /// Whether an open transaction may change the position.
    pub(crate) fn is_unstable(&self, key: &OffsetKey) -> bool {
        self.in_transactions.values().any(|prepared| prepared.contains_key(key))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OffsetKey, &Committed)> {
        self.committed.iter()
    }

    pub(super) fn forget_topic(&mut self, topic: &str) {
        self.committed.retain(|(of, _), _| of != topic);
        for prepared in self.in_transactions.values_mut() {
            prepared.retain(|(of, _), _| of != topic);
        }
    }
}

impl Group {
    /// Whether somebody may commit: a member of the current generation, or anybody without one while the group is empty.
    pub(crate) fn check_committer(
        &mut self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        let anonymous = generation < 0 && id.is_empty() && instance.is_none();
        match (anonymous, self.phase) {
            (_, Phase::Empty) if generation < 0 => Ok(()),
            (true, _) => Err(ResponseError::UnknownMemberId),
            (false, phase) => {
                self.current_member(id, instance, generation)?.touch(now);
                if phase == Phase::CompletingRebalance {
                    Err(ResponseError::RebalanceInProgress)
                } else {
                    Ok(())
                }
            }
        }
    }
}
