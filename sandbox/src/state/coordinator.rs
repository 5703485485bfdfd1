//! The coordinators' side of a cluster: who looks after what, and transactions (KIP-98, Kafka's `TransactionCoordinator`;
//! markers are written at once, so that nothing is ever seen half done). Time is handed in.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_protocol::ResponseError;
use tokio::time::Instant;

use super::Cluster;
use super::transactions::Marker;

/// Highest epoch a producer id is used with; after that it gets another id.
const EPOCH_MAX: i16 = i16::MAX - 1;

/// `transaction.max.timeout.ms`.
const TIMEOUT_MAX: Duration = Duration::from_secs(900);

/// A transactional id.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    timeout: Duration,
    stage: Stage,
    partitions: BTreeSet<(String, i32)>,
    groups: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Empty,
    Ongoing { since: Instant },
    Complete { committed: bool },
}

/// Who speaks for a transactional id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransactionalProducer<'a> {
    pub(crate) transactional_id: &'a str,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
}

impl Cluster {
    /// Whether `broker` is the one to ask about a group.
    pub(crate) fn check_group(&self, broker: i32, id: &str) -> Result<(), ResponseError> {
        if id.is_empty() { Err(ResponseError::InvalidGroupId) } else { self.check_coordinator(broker, id) }
    }

    /// Whether `broker` is the one to ask about a group or a transactional id.
    pub(crate) fn check_coordinator(&self, broker: i32, key: &str) -> Result<(), ResponseError> {
        if self.coordinator(key) == Some(broker) { Ok(()) } else { Err(ResponseError::NotCoordinator) }
    }

    /// A producer (again) begins to use a transactional id: what it left open is aborted, former ones are fenced. `known`:
    /// id and epoch by which it wants to go on (KIP-360).
    pub(crate) fn init_transactions(
        &mut self,
        id: &str,
        timeout: Duration,
        known: Option<(i64, i16)>,
        now_ms: i64,
    ) -> Result<(i64, i16), ResponseError> {
        if id.is_empty() {
            return Err(ResponseError::InvalidRequest);
        }
        if timeout.is_zero() || timeout > TIMEOUT_MAX {
            return Err(ResponseError::InvalidTransactionTimeout);
        }
        let current = self.transactions.get(id).map(|txn| (txn.producer_id, txn.producer_epoch));
        let fenced = |(producer_id, epoch)| known.is_some_and(|known| known != (producer_id, epoch));
        if current.is_some_and(fenced) {
            return Err(ResponseError::ProducerFenced);
        }
        self.abort_fencing(id, now_ms);
        let (producer_id, producer_epoch) = match self.transactions.get(id) {
            // Aborting has taken the next epoch already, if there was something to abort.
            Some(txn) if txn.producer_epoch >= EPOCH_MAX => (self.allocate_producer_id(), 0),
            Some(txn) if current == Some((txn.producer_id, txn.producer_epoch)) => {
                (txn.producer_id, txn.producer_epoch + 1)
            }
            Some(txn) => (txn.producer_id, txn.producer_epoch),
            None => (self.allocate_producer_id(), 0),
        };
        let stage = Stage::Empty;
        let (partitions, groups) = (BTreeSet::new(), BTreeSet::new());
        let txn = Transaction { producer_id, producer_epoch, timeout, stage, partitions, groups };
        self.transactions.insert(id.to_owned(), txn);
        Ok((producer_id, producer_epoch))
    }

    /// The transaction, when the producer is the one that has the id now.
    fn transaction(
        &mut self,
        producer: TransactionalProducer<'_>,
    ) -> Result<&mut Transaction, ResponseError> {
        let txn = self.transactions.get_mut(producer.transactional_id);
        let txn = txn.filter(|txn| txn.producer_id == producer.producer_id);
        let txn = txn.ok_or(ResponseError::InvalidProducerIdMapping)?;
        if txn.producer_epoch == producer.producer_epoch {
            Ok(txn)
        } else {
            Err(ResponseError::ProducerFenced)
        }
    }

    /// Makes partitions part of the producer's transaction, which begins with the first.
    pub(crate) fn add_partitions(
        &mut self,
        producer: TransactionalProducer<'_>,
        partitions: impl IntoIterator<Item = (String, i32)>,
        now: Instant,
    ) -> Result<(), ResponseError> {
        let txn = self.transaction(producer)?;
        txn.begin(now);
        txn.partitions.extend(partitions);
        Ok(())
    }

    /// Makes a group's positions part of the producer's transaction.
    pub(crate) fn add_group(
        &mut self,
        producer: TransactionalProducer<'_>,
        group: &str,
        now: Instant,
    ) -> Result<(), ResponseError> {
        let txn = self.transaction(producer)?;
        txn.begin(now);
        txn.groups.insert(group.to_owned());
        Ok(())
    }

    /// Whether the producer may write to the partition in its transaction (KIP-890).
    pub(crate) fn check_in_transaction(
        &self,
        id: &str,
        producer_id: i64,
        producer_epoch: i16,
        partition: &(String, i32),
    ) -> Result<(), ResponseError> {
        let txn = self.transactions.get(id).filter(|txn| txn.producer_id == producer_id);
        let txn = txn.ok_or(ResponseError::InvalidProducerIdMapping)?;
        if txn.producer_epoch != producer_epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        let within = matches!(txn.stage, Stage::Ongoing { .. }) && txn.partitions.contains(partition);
        if within { Ok(()) } else { Err(ResponseError::InvalidTxnState) }
    }

    /// Ends the producer's transaction.
    pub(crate) fn end_transaction(
        &mut self,
        producer: TransactionalProducer<'_>,
        commit: bool,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        match self.transaction(producer)?.stage {
            Stage::Ongoing { .. } => {
                self.write_end(producer.transactional_id, commit, now_ms);
                Ok(())
            }
            Stage::Complete { committed } if committed == commit => Ok(()),
            Stage::Complete { .. } | Stage::Empty => Err(ResponseError::InvalidTxnState),
        }
    }

    /// Lets time pass: transactions that have been open for too long are aborted.
    pub(crate) fn expire_transactions(&mut self, now: Instant, now_ms: i64) {
        let late =
            |txn: &Transaction| matches!(txn.stage, Stage::Ongoing { since } if since + txn.timeout <= now);
        let late: Vec<_> =
            self.transactions.iter().filter(|(_, txn)| late(txn)).map(|(id, _)| id.clone()).collect();
        for id in late {
            self.abort_fencing(&id, now_ms);
        }
    }

    /// Aborts an open transaction under the next epoch, so that its producer is shut out.
    fn abort_fencing(&mut self, id: &str, now_ms: i64) {
        let Some(txn) = self.transactions.get_mut(id) else { return };
        if matches!(txn.stage, Stage::Ongoing { .. }) {
            txn.producer_epoch = txn.producer_epoch.saturating_add(1);
            self.write_end(id, false, now_ms);
        }
    }

    fn write_end(&mut self, id: &str, commit: bool, now_ms: i64) {
        let Some(txn) = self.transactions.get_mut(id) else { return };
        txn.stage = Stage::Complete { committed: commit };
        let (producer_id, producer_epoch) = (txn.producer_id, txn.producer_epoch);
        let partitions = std::mem::take(&mut txn.partitions);
        for group in std::mem::take(&mut txn.groups) {
            if let Some(group) = self.groups.get_mut(&group) {
                group.offsets.finish(producer_id, commit);
            }
        }
        let marker = Marker { offset: -1, producer_id, producer_epoch, coordinator_epoch: 0, commit };
        for (topic, partition) in partitions {
            // A topic that has been deleted meanwhile needs no marker.
            if let Err(error) = self.append_marker(&topic, partition, marker, now_ms) {
                tracing::debug!(topic, partition, %error, "no transaction marker");
            }
        }
    }
}

impl Transaction {
    fn begin(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Ongoing { .. }) {
            self.stage = Stage::Ongoing { since: now };
        }
    }
}
