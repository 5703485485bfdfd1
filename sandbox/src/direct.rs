//! What a test or a demonstration does to a cluster without speaking the protocol.

use std::sync::Arc;

use bytes::Bytes;
use kmirror_protocol::wire::batch::Entries;
use kmirror_protocol::wire::compress::Decompressor;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::sandbox::{Sandbox, SandboxError};
use crate::state::entry::LogEntry;
use crate::state::producers::Producers;
use crate::state::validate::{Refusal, single_batch};
use crate::state::{Append, NewTopic};

/// A topic to be created.
#[derive(Debug, Clone, Default)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Its partitions; 0 for the cluster's default.
    pub partitions: i32,
    /// Replicas of each partition; 0 for the cluster's default.
    pub replication_factor: i16,
    /// Its settings, by Kafka's names.
    pub configs: Vec<(String, String)>,
}

impl TopicSpec {
    /// A topic with the cluster's number of replicas and no settings of its own.
    #[must_use]
    pub fn new(name: impl Into<String>, partitions: i32) -> Self {
        Self { name: name.into(), partitions, ..Self::default() }
    }

    /// The same with a setting more.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.push((name.into(), value.into()));
        self
    }

    /// The same with this number of replicas.
    #[must_use]
    pub fn replication_factor(mut self, replication_factor: i16) -> Self {
        self.replication_factor = replication_factor;
        self
    }
}

impl From<Refusal> for SandboxError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { error: refusal.error, message: refusal.message }
    }
}

impl From<kafka_protocol::ResponseError> for SandboxError {
    fn from(error: kafka_protocol::ResponseError) -> Self {
        Self::Refused { error, message: None }
    }
}

/// Produce version that direct appends are checked by: any batch is allowed that a current client may send.
const CURRENT_PRODUCE_VERSION: i16 = 11;

impl Sandbox {
    /// Creates a topic and answers its id.
    pub fn create_topic(&self, spec: &TopicSpec) -> Result<Uuid, SandboxError> {
        let or_default = |value: i32| if value == 0 { -1 } else { value };
        let new = NewTopic {
            name: spec.name.clone(),
            partitions: or_default(spec.partitions),
            replication_factor: i16::try_from(or_default(spec.replication_factor.into())).unwrap_or(-1),
            assignments: Vec::new(),
            configs: spec.configs.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect(),
        };
        Ok(self.shared.cluster().create_topic(&new)?.id)
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, name: &str) -> Result<(), SandboxError> {
        self.shared.cluster().delete_topic(name)?;
        Ok(())
    }

    /// Deletes a topic and creates it again, empty and with another id, which is answered. Settings are not kept.
    pub fn recreate_topic(&self, spec: &TopicSpec) -> Result<Uuid, SandboxError> {
        self.delete_topic(&spec.name)?;
        self.create_topic(spec)
    }

    /// Adds partitions up to `count`.
    pub fn grow_topic(&self, name: &str, count: i32) -> Result<(), SandboxError> {
        Ok(self.shared.cluster().grow_topic(name, count, &[], false)?)
    }

    /// The names of all topics.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        self.shared.cluster().topics.keys().map(|name| name.to_string()).collect()
    }

    /// The number of partitions of a topic, when it exists.
    #[must_use]
    pub fn partitions(&self, name: &str) -> Option<i32> {
        let cluster = self.shared.cluster();
        i32::try_from(cluster.topics.get(name)?.partitions.len()).ok()
    }

    /// A topic's id, when it exists.
    #[must_use]
    pub fn topic_id(&self, name: &str) -> Option<Uuid> {
        self.shared.cluster().topics.get(name).map(|topic| topic.id)
    }

    /// A topic's own settings.
    #[must_use]
    pub fn topic_configs(&self, name: &str) -> Vec<(String, String)> {
        let cluster = self.shared.cluster();
        cluster.topics.get(name).map(|topic| topic.configs.all_own()).unwrap_or_default()
    }

    /// Appends one batch (base offset 0) as a client would, with all a broker's checks, and answers its base offset.
    pub fn append(&self, topic: &str, partition: i32, batch: &Bytes) -> Result<i64, SandboxError> {
        let raw = single_batch(batch, CURRENT_PRODUCE_VERSION)?;
        let inspected = raw.inspect(Some(&mut Decompressor::default()));
        let mut cluster = self.shared.cluster();
        let leader = cluster.partition(topic, partition)?.leader.unwrap_or(-1);
        let append = Append {
            batch: &raw,
            inspected: &inspected,
            acks_all: true,
            transactional_id: None,
            frame_len: batch.len(),
            now_ms: self.shared.now_ms(),
        };
        Ok(cluster.append(leader, topic, partition, &append)?.base_offset)
    }

    /// Stores batches or older messages unchecked and unchanged at the offsets they have, which must not be below the end
    /// of the log. Offsets left out are a gap, as after compaction.
    pub fn store_verbatim(&self, topic: &str, partition: i32, records: &Bytes) -> Result<(), SandboxError> {
        let mut entries = Entries::new(records.clone());
        let mut cluster = self.shared.cluster();
        for entry in entries.by_ref() {
            cluster.store(topic, partition, LogEntry::verbatim(&entry?))?;
        }
        if entries.partial().is_some() { Err(SandboxError::Torn) } else { Ok(()) }
    }

    /// Stores any bytes as if they were the records up to `last_offset`, from the end of the log on.
    pub fn store_raw(
        &self,
        topic: &str,
        partition: i32,
        bytes: Bytes,
        last_offset: i64,
    ) -> Result<(), SandboxError> {
        let mut cluster = self.shared.cluster();
        let base_offset = cluster.partition(topic, partition)?.log.end_offset();
        Ok(cluster.store(topic, partition, LogEntry::raw(bytes, base_offset, last_offset))?)
    }

    /// Everything in a partition from its start on, as it would be fetched.
    pub fn read(&self, topic: &str, partition: i32) -> Result<Bytes, SandboxError> {
        let cluster = self.shared.cluster();
        let log = &cluster.partition(topic, partition)?.log;
        let pieces: Vec<_> = log.entries().map(LogEntry::to_bytes).collect();
        Ok(pieces.concat().into())
    }

    /// The batches of a partition one by one, each as one piece of memory.
    pub fn read_batches(&self, topic: &str, partition: i32) -> Result<Vec<Bytes>, SandboxError> {
        let cluster = self.shared.cluster();
        Ok(cluster.partition(topic, partition)?.log.entries().map(LogEntry::to_bytes).collect())
    }

    /// The log start offset of a partition.
    pub fn start_offset(&self, topic: &str, partition: i32) -> Result<i64, SandboxError> {
        Ok(self.shared.cluster().partition(topic, partition)?.log.start_offset())
    }

    /// The high watermark of a partition, which is the end of its log.
    pub fn end_offset(&self, topic: &str, partition: i32) -> Result<i64, SandboxError> {
        Ok(self.shared.cluster().partition(topic, partition)?.log.end_offset())
    }

    /// Waits until the high watermark of a partition is at least `offset`.
    pub async fn reaches(&self, topic: &str, partition: i32, offset: i64) -> Result<(), SandboxError> {
        let changed = Arc::new(Notify::new());
        loop {
            {
                let mut cluster = self.shared.cluster();
                let partition = cluster.partition_mut(topic, partition)?;
                if partition.log.end_offset() >= offset {
                    return Ok(());
                }
                partition.watch(&changed);
            }
            changed.notified().await;
        }
    }

    /// Bytes of batches in a partition.
    pub fn size(&self, topic: &str, partition: i32) -> Result<usize, SandboxError> {
        Ok(self.shared.cluster().partition(topic, partition)?.log.size())
    }

    /// The broker that leads a partition, and its epoch.
    pub fn leader(&self, topic: &str, partition: i32) -> Result<(Option<i32>, i32), SandboxError> {
        let cluster = self.shared.cluster();
        let partition = cluster.partition(topic, partition)?;
        Ok((partition.leader, partition.leader_epoch))
    }

    /// A partition's leader forgets all producers, as `producer.id.expiration.ms` makes it.
    ///
    /// # Errors
    /// When there is no such partition.
    pub fn forget_producers(&self, topic: &str, partition: i32) -> Result<(), SandboxError> {
        self.shared.cluster().partition_mut(topic, partition)?.log.producers = Producers::default();
        Ok(())
    }

    /// Makes another broker the leader under a new epoch. One that was no replica becomes one.
    pub fn move_leader(&self, topic: &str, partition: i32, broker: i32) -> Result<(), SandboxError> {
        let mut cluster = self.shared.cluster();
        if !cluster.is_up(broker) {
            return Err(SandboxError::UnknownBroker(broker));
        }
        let partition = cluster.partition_mut(topic, partition)?;
        for replicas in [&mut partition.replicas, &mut partition.in_sync] {
            if !replicas.contains(&broker) {
                replicas.push(broker);
            }
        }
        partition.elect(Some(broker));
        Ok(())
    }

    /// Cuts a log at the batch that holds `offset`, as when a replica that was behind is elected, and begins a new epoch.
    /// Answers the new end.
    pub fn truncate(&self, topic: &str, partition: i32, offset: i64) -> Result<i64, SandboxError> {
        self.shared.cluster().truncate(topic, partition, offset)?;
        self.end_offset(topic, partition)
    }

    /// Moves the log start offset up, as retention and DeleteRecords do.
    pub fn advance_start(&self, topic: &str, partition: i32, offset: i64) -> Result<(), SandboxError> {
        self.shared.cluster().advance_start(topic, partition, offset)?;
        Ok(())
    }
}
