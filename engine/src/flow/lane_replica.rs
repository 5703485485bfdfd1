//! The lane's choice of the replica it reads, and what follows when a replica's log is not what was read before.
//!
//! Ordinarily the leader is read. It may name a nearer replica (KIP-392, `client.rack`); and where a batch is
//! damaged, the other replicas are tried before the partition stops. A leader whose log lacks records that were read
//! from the last one (an unclean election) tells so by a diverging epoch in its answer (KIP-595), or, before Fetch
//! version 12, when asked where the epoch of the last record read ends (KIP-320).

use std::time::Duration;

use kmirror_protocol::wire::batch::Entry;
use kmirror_protocol::wire::fetch::EpochEnd;

use super::epochs;
use super::event::{Action, Cause, Side, Slot};
use super::lane::Lane;
use super::partition::{Doubt, NodeId, OtherReplica, Partition, SourceSide, TargetSide};
use super::position::Loss;
use crate::ids::SourceOffset;

/// The first version of Fetch that carries the last fetched epoch.
const FIRST_WITH_LAST_EPOCH: i16 = 12;
/// A replica is read for this long; then the leader is asked again (Java's `metadata.max.age.ms`).
const READ_REPLICA_FOR: Duration = Duration::from_secs(300);
/// Damaged records are fetched at least this often before the partition stops: the damage may be the link's.
const DAMAGE_ATTEMPTS_MIN: usize = 3;

impl Partition {
    /// Whether the entry is to be verified, and wrong.
    pub(crate) fn finds_damage(&self, entry: &Entry) -> bool {
        let doubtful = self.doubt.as_ref().is_some_and(|doubt| entry.first_offset() < doubt.until.0);
        match entry {
            Entry::Batch(batch) => doubtful && !batch.verify_crc(),
            // Old formats are re-encoded, which verifies them.
            Entry::Legacy(_) => false,
        }
    }

    /// Forgets a doubt that was about records the target has accepted since.
    pub(crate) fn settle_doubt(&mut self) {
        let acknowledged = self.ledger.acknowledged_next();
        self.doubt.take_if(|doubt| doubt.until <= acknowledged);
    }

    pub(crate) fn learn_epoch(&self, entry: &Entry) {
        if let Entry::Batch(batch) = entry {
            let first = SourceOffset(batch.header.base_offset);
            self.status.epochs().learn(batch.header.partition_leader_epoch, first);
        }
    }
}

impl Lane {
    /// Reads a partition from this replica from now on.
    pub(crate) fn read_from(&mut self, slot: Slot, node: NodeId) {
        let until = self.now + READ_REPLICA_FOR;
        let Some(partition) = self.partition_mut(slot) else { return };
        partition.read_from = Some(OtherReplica { node, until });
        self.open(Side::Source, node);
        self.sync_session(slot);
    }

    /// Goes back to the leader; whether `node` was another replica.
    pub(crate) fn leave_replica(&mut self, slot: Slot, node: NodeId) -> bool {
        let Some(partition) = self.partition_mut(slot) else { return false };
        partition.read_from = None;
        partition.source_leader != Some(node)
    }

    /// `node` gave damaged records: tries the other replicas, then stops the partition.
    pub(crate) fn damaged(&mut self, slot: Slot, node: NodeId, what: &str) {
        let replicas = self.replicas(slot);
        let Some(partition) = self.partition_mut(slot) else { return };
        let until = SourceOffset(partition.fetch_offset.0 + 1);
        let doubt = partition.doubt.get_or_insert(Doubt { until, tried: Vec::new() });
        doubt.tried.push(node);
        let next = replicas.into_iter().find(|replica| !doubt.tried.contains(replica));
        if next.is_none() && doubt.tried.len() >= DAMAGE_ATTEMPTS_MIN {
            let brokers: Vec<String> = doubt.tried.iter().map(ToString::to_string).collect();
            let text = format!(
                "the source's records are damaged: {what}; read from brokers {}. Repair the log at the source or \
                 delete the records there (kafka-delete-records.sh), then start kmirror again",
                brokers.join(", ")
            );
            return self.stop(slot, text.into());
        }
        let next = next.or(partition.source_leader).unwrap_or(node);
        let cause: Cause =
            format!("damaged records from source broker {node}: {what}; broker {next} is next").into();
        self.hold_source(slot, cause, false);
        self.read_from(slot, next);
    }

    /// Who holds a copy of a source partition.
    fn replicas(&self, slot: Slot) -> Vec<NodeId> {
        let known = self.partition(slot).and_then(|partition| {
            let metadata = self.metadata[Side::Source as usize].as_ref()?;
            metadata.partition(&partition.source.topic, partition.source.partition)
        });
        known.map(|known| known.in_sync_replicas.clone()).unwrap_or_default()
    }

    /// Has a new leader's log compared with what was read, where its answers to Fetch do not do that by themselves.
    pub(crate) fn validate(&mut self, slot: Slot) {
        let Some(partition) = self.partition(slot).filter(|one| one.unvalidated && one.wants_data()) else {
            return;
        };
        let broker = partition.source_leader.and_then(|leader| self.sources.get(&leader));
        let Some(version) = broker.and_then(|broker| broker.link.version()) else { return };
        let epoch = partition.status.epoch_before(partition.fetch_offset);
        let source = partition.source.clone();
        let Some(partition) = self.partition_mut(slot) else { return };
        partition.unvalidated = false;
        if let Some(epoch) = epoch.filter(|_| version < FIRST_WITH_LAST_EPOCH) {
            partition.source_side = SourceSide::Validating;
            self.actions.push(Action::EpochEnd(slot, source, epoch));
        }
    }

    /// The leader told where `epoch`, that of the last record read, ends in its log.
    pub(crate) fn validated(&mut self, slot: Slot, epoch: i32, result: Result<Option<EpochEnd>, Cause>) {
        let validating = self.partition_mut(slot).filter(|one| one.source_side == SourceSide::Validating);
        let Some(partition) = validating else { return };
        let position = partition.fetch_offset;
        match result {
            Ok(Some(end)) if epochs::parts(end, epoch, position) => {
                partition.source_side = SourceSide::Fetching;
                self.diverged(slot, end, position);
            }
            Ok(_) => {
                partition.source_side = SourceSide::Fetching;
                self.sync_session(slot);
            }
            Err(cause) => {
                partition.unvalidated = true;
                self.hold_source(slot, cause, false);
            }
        }
    }

    /// The leader's log parts from what was read.
    pub(crate) fn diverged(&mut self, slot: Slot, shared: EpochEnd, end: SourceOffset) {
        let Some(partition) = self.partition_mut(slot) else { return };
        let parting = partition.status.epochs().parting(shared, partition.fetch_offset);
        if parting < partition.fetch_offset {
            return self.cut_off(slot, parting, end);
        }
        let cause = format!("the source says that its log parts at epoch {}, but not where", shared.epoch);
        self.hold_source(slot, cause.into(), false);
    }

    /// What was read from `at` on is no longer in the source's log, which goes on there with other records and ends
    /// at `end`.
    pub(crate) fn cut_off(&mut self, slot: Slot, at: SourceOffset, end: SourceOffset) {
        let Some(partition) = self.partition_mut(slot) else { return };
        partition.status.epochs().truncate(at);
        partition.status.lower_goal(end.max(at));
        let sent = self.promised_next(slot);
        let Some(partition) = self.partition_mut(slot) else { return };
        if at >= sent {
            // Nothing of it has left for the target. While that is asked what it holds nothing is buffered: to drop that
            // nothing would make its answer one about the past, and nobody would ask again.
            if matches!(partition.target_side, TargetSide::Sending | TargetSide::SettingAside) {
                partition.drop_buffers();
                partition.target_side = TargetSide::Sending;
            }
            partition.fetch_offset = sent;
            self.read_again(slot);
            return self.sync_session(slot);
        }
        if self.report_loss(slot, Loss::Truncated { from: at, to: sent }) {
            self.begin_all_again(slot, at);
            self.sync_session(slot);
        }
    }
}
