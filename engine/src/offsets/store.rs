//! Keeps a flow's offset maps on the target cluster and reads them back. What the records look like is in `snapshot`.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use kmirror_protocol::client::consume::ReadTo;
use kmirror_protocol::client::{ClientError, Cluster, Metadata, Topics, consume};
use kmirror_protocol::wire::error::ErrorCode;
use kmirror_protocol::wire::record::NewRecord;
use tracing::{debug, info};
use uuid::Uuid;

use super::map::OffsetMap;
use super::snapshot::{self, Changes, KeptMap, KeptMaps};
use crate::clock::now_ms;
use crate::create::{CompactedTopic, CompactedTopicError, create_compacted};
use crate::flow::position::is_same_topic;
use crate::ids::SourcePartition;
use crate::plan::FlowPlan;
use crate::status::PartitionStatus;
use crate::transaction::{InternalWriter, Transaction};

/// Responses while maps are read hold about this much.
const READ_BYTES: usize = 4 << 20;
/// Records written in one go.
const RECORDS_PER_WRITE: usize = 2048;

/// Why maps are not kept. Mirroring goes on with them in memory, and they are kept as soon as that can be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MapError {
    #[error(
        "the offset map cannot be kept; after a restart older positions of groups would not be known exactly"
    )]
    Create(#[from] CompactedTopicError),
    #[error("the offset map cannot be written to topic {topic}; it is kept in memory")]
    Write {
        topic: Arc<str>,
        #[source]
        source: ClientError,
    },
}

impl MapError {
    /// Whether the target does not let us: nothing was written, and a transaction is what it was.
    pub(crate) fn is_refused(&self) -> bool {
        match self {
            Self::Create(_) => true,
            Self::Write { source, .. } => source.code() == Some(ErrorCode::TopicAuthorizationFailed),
        }
    }
}

/// One flow's maps in their topic.
pub(crate) struct MapStore {
    cluster: Cluster,
    writer: InternalWriter,
    admin: Cluster,
    plan: Arc<FlowPlan>,
    topic: Arc<str>,
    /// The topic is known to be there.
    exists: bool,
    /// What the topic has of partitions that are not handed out.
    kept: KeptMaps,
    /// How far the topic was read.
    read: ReadTo,
    /// The numbers of the blocks that the topic has of partitions that are handed out.
    written: HashMap<SourcePartition, Range<u64>>,
}

impl MapStore {
    /// Reads what there is. The topic is created when there is something to write. `target` is what the target cluster was
    /// just seen to hold.
    pub(crate) async fn open(
        plan: &Arc<FlowPlan>,
        cluster: &Cluster,
        transaction: Option<&Arc<Transaction>>,
        admin: &Cluster,
        target: &Metadata,
    ) -> Result<Self, ClientError> {
        let topic: Arc<str> = plan.sync.offset_map_topic.as_str().into();
        let exists = target.topics.contains_key(&topic);
        let writer = InternalWriter { cluster: cluster.clone(), transaction: transaction.cloned() };
        let (cluster, admin, plan) = (cluster.clone(), admin.clone(), Arc::clone(plan));
        let (kept, read, written) = (KeptMaps::default(), ReadTo::new(), HashMap::new());
        let mut store = Self { cluster, writer, admin, plan, topic, exists, kept, read, written };
        if exists {
            store.refresh().await?;
            let (flow, topic, partitions) = (store.plan.name(), &*store.topic, store.kept.len());
            info!(flow, topic, partitions, "offset map read");
        }
        Ok(store)
    }

    /// Waits until nothing in the topic belongs to a transaction that is not decided.
    pub(crate) async fn is_decided(&self) -> Result<(), ClientError> {
        if self.exists { consume::wait_until_decided(&self.cluster, &self.topic).await } else { Ok(()) }
    }

    /// Reads what others wrote since, of partitions that are not handed out here.
    pub(crate) async fn refresh(&mut self) -> Result<(), ClientError> {
        if !self.exists {
            // Others may have made it.
            let known = self.cluster.refresh(Topics::Named(vec![Arc::clone(&self.topic)])).await?;
            self.exists = known.topics.get(&self.topic).is_some_and(|topic| topic.error.is_none());
        }
        if !self.exists {
            return Ok(());
        }
        let Self { cluster, topic, kept, read, written, .. } = self;
        consume::read_on(cluster, topic, READ_BYTES, read, |_, record| {
            if let Some(key) = &record.key {
                kept.read_where(key, record.value, |partition| !written.contains_key(partition));
            }
        })
        .await
    }

    /// The map of a partition of a topic with this id, if one was kept. From now on it is ours.
    pub(crate) fn take(&mut self, partition: &SourcePartition, topic_id: Option<Uuid>) -> Option<OffsetMap> {
        let kept = self.kept.take(partition, self.plan.sync.offset_map_segments);
        let numbers = kept.as_ref().map(|kept| kept.numbers.clone()).unwrap_or_default();
        self.written.insert(partition.clone(), numbers);
        kept.filter(|kept| is_same_topic(kept.topic_id, topic_id)).map(|kept| kept.map)
    }

    /// These partitions are somebody else's now. What the topic has of them is read again before any is taken again:
    /// others write it, and of ours only what changed was read.
    pub(crate) fn give_back(&mut self, partitions: &HashSet<SourcePartition>) {
        self.written.retain(|partition, _| !partitions.contains(partition));
        if !partitions.is_empty() {
            (self.kept, self.read) = (KeptMaps::default(), ReadTo::new());
        }
    }

    /// Writes down what changed of the maps since the last time.
    pub(crate) async fn keep(
        &mut self,
        partitions: impl Iterator<Item = (Arc<PartitionStatus>, Option<Uuid>)>,
    ) -> Result<(), MapError> {
        let mut records = Vec::new();
        let mut taken: Vec<(Arc<PartitionStatus>, u64)> = Vec::new();
        for (status, topic_id) in partitions {
            let Some(changes) = status.offset_map().take_changes(topic_id) else { continue };
            taken.push((Arc::clone(&status), changes.blocks.first().map_or(0, |(number, _)| *number)));
            records.extend(self.records(&status.source, changes));
        }
        let written = self.write(&records).await;
        if written.is_err() {
            for (status, from) in taken {
                status.offset_map().changes_lost(from);
            }
        }
        written
    }

    /// Writes a whole map in the place of what there was.
    pub(crate) async fn put(
        &mut self,
        partition: &SourcePartition,
        topic_id: Option<Uuid>,
        mut map: OffsetMap,
    ) -> Result<(), MapError> {
        if !self.written.contains_key(partition) {
            let _ = self.take(partition, topic_id);
        }
        map.changes_lost(0);
        let changes = map.take_changes(topic_id);
        let records: Vec<NewRecord> =
            changes.into_iter().flat_map(|changes| self.records(partition, changes)).collect();
        self.write(&records).await
    }

    /// The records that bring the topic to what a map has become.
    fn records(&mut self, partition: &SourcePartition, changes: Changes) -> Vec<NewRecord> {
        let Changes { numbers, blocks } = changes;
        let known = self.written.insert(partition.clone(), numbers.clone()).unwrap_or_default();
        let now = now_ms();
        let gone = known.filter(|number| !numbers.contains(number));
        let tombstones = gone.map(|number| snapshot::record(partition, number, None, now));
        let kept =
            blocks.into_iter().map(|(number, value)| snapshot::record(partition, number, Some(value), now));
        tombstones.chain(kept).collect()
    }

    async fn write(&mut self, records: &[NewRecord]) -> Result<(), MapError> {
        if records.is_empty() {
            return Ok(());
        }
        if !self.exists {
            let wanted = CompactedTopic {
                flow: &self.plan.name(),
                topic: &self.topic,
                replication_factor: self.plan.sync.offset_map_replication_factor,
                option: "offset-syncs.topic.replication.factor",
                timeout: self.plan.admin_timeout,
            };
            create_compacted(&self.admin, &wanted).await?;
            self.exists = true;
        }
        for chunk in records.chunks(RECORDS_PER_WRITE) {
            self.writer
                .write(&self.topic, vec![(0, chunk.to_vec())])
                .await
                .map_err(|source| MapError::Write { topic: Arc::clone(&self.topic), source })?;
        }
        debug!(topic = &*self.topic, records = records.len(), "offset map written");
        Ok(())
    }
}

/// Reads the maps that a flow keeps on its target cluster; none where it keeps none.
///
/// # Errors
/// [`ClientError`] when the topic cannot be read.
pub async fn read_maps(
    plan: &FlowPlan,
    cluster: &Cluster,
    target: &Metadata,
) -> Result<HashMap<SourcePartition, KeptMap>, ClientError> {
    let topic: Arc<str> = plan.sync.offset_map_topic.as_str().into();
    if !target.topics.contains_key(&topic) {
        return Ok(HashMap::new());
    }
    let mut kept = KeptMaps::default();
    consume::read_to_end(cluster, &topic, READ_BYTES, |_, record| {
        if let Some(key) = &record.key {
            kept.read(key, record.value);
        }
    })
    .await?;
    Ok(kept.maps(plan.sync.offset_map_segments).collect())
}
