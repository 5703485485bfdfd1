//! Reads and writes a flow's progress on the target cluster. What the records look like is in `progress`.

use std::collections::HashMap;
use std::sync::Arc;

use kmirror_protocol::client::consume::ReadTo;
use kmirror_protocol::client::{ClientError, Cluster, Metadata, Topics, admin, consume};
use kmirror_protocol::wire::error::ErrorCode;
use kmirror_protocol::wire::murmur2;
use kmirror_protocol::wire::record::NewRecord;
use thiserror::Error;
use tracing::{debug, info};

use crate::clock::now_ms;
use crate::ids::SourcePartition;
use crate::plan::FlowPlan;
use crate::progress::{self, Progress, Read};
use crate::transaction::{InternalWriter, Transaction};

/// Responses while progress is read hold about this much.
const READ_BYTES: usize = 1 << 20;
/// Records written in one go.
const RECORDS_PER_WRITE: usize = 4096;

/// Why progress cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum ProgressError {
    /// The target refused to create the topic.
    #[error(
        "the progress topic {topic} cannot be created on cluster {cluster}: {fault} \
         (if the cluster has fewer brokers than replicas, set offset.storage.replication.factor)"
    )]
    Create {
        /// The topic.
        topic: String,
        /// The target's alias.
        cluster: String,
        /// What the broker said.
        fault: String,
    },
    /// It cannot be read.
    #[error("the progress topic {topic} cannot be read")]
    Read {
        /// The topic.
        topic: String,
        /// Why.
        #[source]
        source: ClientError,
    },
    /// It cannot be written.
    #[error(
        "the progress topic {topic} cannot be written; mirroring goes on, a restart would repeat records"
    )]
    Write {
        /// The topic.
        topic: String,
        /// Why.
        #[source]
        source: ClientError,
    },
    /// A cluster cannot be asked.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// One flow's progress topic, and what was written to it last.
pub(crate) struct ProgressStore {
    cluster: Cluster,
    writer: InternalWriter,
    alias: Arc<str>,
    connector: String,
    topic: Arc<str>,
    partitions: u32,
    written: WrittenProgress,
    /// How far the topic was read.
    read: ReadTo,
}

impl ProgressStore {
    /// Creates the topic if it is missing, and reads it. `target` is what the target cluster was just seen to hold.
    pub(crate) async fn open(
        plan: &FlowPlan,
        cluster: &Cluster,
        transaction: Option<&Arc<Transaction>>,
        admin: &Cluster,
        target: &Metadata,
    ) -> Result<Self, ProgressError> {
        let topic: Arc<str> = plan.progress_topic.as_str().into();
        let known = target.topics.contains_key(&topic);
        if !known {
            create(plan, admin, &topic).await?;
        }
        let (mut written, mut read) = (HashMap::new(), ReadTo::new());
        read_topic(plan, cluster, &topic, &mut written, &mut read).await?;
        if known {
            info!(flow = plan.name(), topic = &*topic, partitions = written.len(), "progress read");
        }
        let partitions = partition_count(cluster, &topic).await?;
        let (alias, connector) = (plan.source.shared(), plan.connector_name.clone());
        let writer = InternalWriter { cluster: cluster.clone(), transaction: transaction.cloned() };
        Ok(Self { cluster: cluster.clone(), writer, alias, connector, topic, partitions, written, read })
    }

    /// Waits until nothing in the topic belongs to a transaction that is not decided.
    pub(crate) async fn is_decided(&self) -> Result<(), ClientError> {
        consume::wait_until_decided(&self.cluster, &self.topic).await
    }

    /// The transactional ids under which partitions were written last.
    pub(crate) fn transactional_ids<'a>(
        &'a self,
        is_ours: impl Fn(&SourcePartition) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Arc<str>> {
        let ours = self.written.values().filter(move |one| is_ours(&one.partition));
        ours.filter_map(|one| one.transactional_id.as_ref())
    }

    /// The one it is written under from now on, if any.
    pub(crate) fn transactional_id(&self) -> Option<Arc<str>> {
        self.writer.transaction.as_ref().map(|transaction| Arc::clone(transaction.name()))
    }

    /// The topic.
    pub(crate) fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// Reads what others wrote since.
    pub(crate) async fn refresh(&mut self, plan: &FlowPlan) -> Result<(), ProgressError> {
        read_topic(plan, &self.cluster, &self.topic, &mut self.written, &mut self.read).await
    }

    /// How far a partition was mirrored.
    pub(crate) fn get(&self, partition: &SourcePartition) -> Option<&Progress> {
        self.written.get(partition)
    }

    /// Writes down what changed since the last time.
    pub(crate) async fn write(&mut self, progress: Vec<Progress>) -> Result<(), ProgressError> {
        let writer = self.writer.clone();
        self.write_as(&writer, progress).await
    }

    /// The same, beside any transaction.
    pub(crate) async fn claim(&mut self, progress: Vec<Progress>) -> Result<(), ProgressError> {
        let writer = InternalWriter { transaction: None, ..self.writer.clone() };
        self.write_as(&writer, progress).await
    }

    async fn write_as(
        &mut self,
        writer: &InternalWriter,
        progress: Vec<Progress>,
    ) -> Result<(), ProgressError> {
        let changed = |one: &Progress| self.get(&one.partition) != Some(one);
        let changed: Vec<Progress> = progress.into_iter().filter(changed).collect();
        for chunk in changed.chunks(RECORDS_PER_WRITE) {
            self.write_chunk(writer, chunk).await?;
        }
        Ok(())
    }

    async fn write_chunk(
        &mut self,
        writer: &InternalWriter,
        chunk: &[Progress],
    ) -> Result<(), ProgressError> {
        let now = now_ms();
        let records = chunk.iter().map(|one| progress::record(&self.connector, &self.alias, one, now));
        send_by_key(writer, &self.topic, self.partitions, records)
            .await
            .map_err(|source| ProgressError::Write { topic: self.topic.to_string(), source })?;
        debug!(topic = &*self.topic, partitions = chunk.len(), "progress written");
        for one in chunk {
            self.written.insert(one.partition.clone(), one.clone());
        }
        Ok(())
    }
}

/// Takes back the progress of partitions.
pub(crate) async fn remove_progress(
    plan: &FlowPlan,
    cluster: &Cluster,
    partitions: impl Iterator<Item = &SourcePartition>,
) -> Result<(), ClientError> {
    let topic: Arc<str> = plan.progress_topic.as_str().into();
    let now = now_ms();
    let removed = partitions.map(|partition| {
        let key = progress::key(&plan.connector_name, plan.source.as_str(), partition);
        NewRecord { timestamp: now, key: Some(key), value: None, headers: Vec::new() }
    });
    let writer = InternalWriter { cluster: cluster.clone(), transaction: None };
    send_by_key(&writer, &topic, partition_count(cluster, &topic).await?, removed).await
}

async fn partition_count(cluster: &Cluster, topic: &Arc<str>) -> Result<u32, ClientError> {
    let metadata = cluster.current(Topics::Named(vec![Arc::clone(topic)])).await?;
    let partitions = metadata.topics.get(topic).map_or(0, |topic| topic.partitions.len());
    Ok(u32::try_from(partitions).unwrap_or(u32::MAX).max(1))
}

/// Each record goes where Kafka Connect's producer puts its key.
async fn send_by_key(
    writer: &InternalWriter,
    topic: &Arc<str>,
    partitions: u32,
    records: impl Iterator<Item = NewRecord>,
) -> Result<(), ClientError> {
    let mut by_partition: HashMap<i32, Vec<NewRecord>> = HashMap::new();
    for record in records {
        let key = record.key.as_deref().unwrap_or_default();
        let partition = murmur2::partition_for_key(key, partitions);
        by_partition.entry(i32::try_from(partition).unwrap_or(0)).or_default().push(record);
    }
    writer.write(topic, by_partition.into_iter().collect()).await
}

/// How far each partition is mirrored.
pub(crate) type WrittenProgress = HashMap<SourcePartition, Progress>;

/// Reads a flow's progress and changes nothing; nothing is read where there is no progress topic.
pub(crate) async fn read_progress(
    plan: &FlowPlan,
    cluster: &Cluster,
    target: &Metadata,
) -> Result<WrittenProgress, ProgressError> {
    let topic: Arc<str> = plan.progress_topic.as_str().into();
    if !target.topics.contains_key(&topic) {
        return Ok(HashMap::new());
    }
    let mut written = HashMap::new();
    read_topic(plan, cluster, &topic, &mut written, &mut ReadTo::new()).await?;
    Ok(written)
}

async fn read_topic(
    plan: &FlowPlan,
    cluster: &Cluster,
    topic: &Arc<str>,
    written: &mut WrittenProgress,
    read: &mut ReadTo,
) -> Result<(), ProgressError> {
    let alias = plan.source.shared();
    consume::read_on(cluster, topic, READ_BYTES, read, |_, record| {
        let Some(key) = &record.key else { return };
        match progress::read(&plan.connector_name, &alias, key, record.value.as_deref()) {
            Some(Read::Progress(progress)) => {
                written.insert(progress.partition.clone(), progress);
            }
            Some(Read::Removed(partition)) => {
                written.remove(&partition);
            }
            None => {}
        }
    })
    .await
    .map_err(|source| ProgressError::Read { topic: topic.to_string(), source })
}

async fn create(plan: &FlowPlan, admin: &Cluster, topic: &Arc<str>) -> Result<(), ProgressError> {
    let mut configs = plan.progress_topic_configs.clone();
    configs.insert("cleanup.policy".to_owned(), "compact".to_owned());
    let new = admin::NewTopic {
        name: Arc::clone(topic),
        partitions: plan.progress_partitions,
        replication_factor: plan.progress_replication_factor,
        configs: configs.into_iter().collect(),
    };
    let answers = admin::create_topics(admin, &[new], plan.admin_timeout).await?;
    for (_, answer) in answers {
        match answer {
            Ok(()) => info!(flow = plan.name(), topic = &**topic, "progress topic created"),
            Err(fault) if fault.code == ErrorCode::TopicAlreadyExists => {}
            Err(fault) => {
                let (topic, cluster) = (topic.to_string(), plan.target.to_string());
                return Err(ProgressError::Create { topic, cluster, fault: fault.to_string() });
            }
        }
    }
    Ok(())
}
