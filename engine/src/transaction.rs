//! A flow's transactions on its target: what is written into them beside records, how they end, who is fenced.
//!
//! A transaction counts only if its writer was still a member of the flow's group when it had written its progress: it
//! commits a position of the group in it, which the group's coordinator takes from nobody it has given up (KIP-447). So a
//! process that was stopped for too long can end nothing that somebody else has begun anew; and who takes a partition
//! over waits until nothing in the progress topic is undecided.
//!
//! Must not know lanes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kmirror_protocol::client::groups::Seat;
use kmirror_protocol::client::send::{self, TransactionalSender};
use kmirror_protocol::client::txn::{ProducerIdentity, TransactionalId};
use kmirror_protocol::client::{ClientError, Cluster, TopicPartition};
use kmirror_protocol::wire::record::NewRecord;
use tokio::sync::Mutex;

use crate::ids::Identity;

/// One identity, and the transaction that is open under it.
pub(crate) struct Transaction {
    cluster: Cluster,
    id: TransactionalId,
    identity: ProducerIdentity,
    own: Mutex<Own>,
}

/// What the flow itself writes.
struct Own {
    sender: TransactionalSender,
    /// Partitions of internal topics that are part of the transaction.
    joined: HashSet<TopicPartition>,
}

impl Transaction {
    /// Takes the transactional id; what was open under it is aborted.
    pub(crate) async fn begin(cluster: &Cluster, name: &str, timeout: Duration) -> Result<Self, ClientError> {
        let id = TransactionalId::new(cluster, name);
        let identity = id.init(timeout).await?;
        let sender = TransactionalSender { id: Arc::clone(id.name()), identity, sequences: HashMap::new() };
        let own = Mutex::new(Own { sender, joined: HashSet::new() });
        Ok(Self { cluster: cluster.clone(), id, identity, own })
    }

    /// The transactional id.
    pub(crate) fn name(&self) -> &Arc<str> {
        self.id.name()
    }

    /// As whom its records are written.
    pub(crate) fn identity(&self) -> Identity {
        self.identity.into()
    }

    /// Makes partitions part of the transaction.
    pub(crate) async fn join(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.id.add_partitions(self.identity, partitions).await
    }

    /// Writes records of an internal topic into it.
    async fn write(&self, topic: &Arc<str>, records: Vec<(i32, Vec<NewRecord>)>) -> Result<(), ClientError> {
        let mut own = self.own.lock().await;
        let partitions = records.iter().map(|(partition, _)| (Arc::clone(topic), *partition));
        let new: Vec<TopicPartition> = partitions.filter(|one| !own.joined.contains(one)).collect();
        if !new.is_empty() {
            self.join(&new).await?;
            own.joined.extend(new);
        }
        send::send_in_transaction(&self.cluster, topic, records, &mut own.sender).await
    }

    /// Shows by a position of its group that this process has not been given up. Nothing may be written afterwards.
    pub(crate) async fn show(&self, seat: &Seat, progress_topic: &Arc<str>) -> Result<(), ClientError> {
        let position = (Arc::clone(progress_topic), 0);
        self.id.commit_position(self.identity, seat, &position, 0).await
    }

    /// Ends it.
    pub(crate) async fn end(&self, commit: bool) -> Result<(), ClientError> {
        self.own.lock().await.joined.clear();
        self.id.end(self.identity, commit).await
    }
}

/// Aborts what a process left open under a transactional id, and keeps it from writing any more.
pub(crate) async fn fence(cluster: &Cluster, name: &str, timeout: Duration) -> Result<(), ClientError> {
    TransactionalId::new(cluster, name).init(timeout).await.map(drop)
}

/// Writes records of internal topics: in the flow's transaction if there is one.
#[derive(Clone)]
pub(crate) struct InternalWriter {
    pub(crate) cluster: Cluster,
    pub(crate) transaction: Option<Arc<Transaction>>,
}

impl InternalWriter {
    pub(crate) async fn write(
        &self,
        topic: &Arc<str>,
        records: Vec<(i32, Vec<NewRecord>)>,
    ) -> Result<(), ClientError> {
        match &self.transaction {
            Some(transaction) => transaction.write(topic, records).await,
            None => send::send_records(&self.cluster, topic, records).await,
        }
    }
}
