//! Keeps a flow's offset maps on the target cluster and reads them back. What the records look like is in `snapshot`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use kmirror_protocol::client::{ClientError, Cluster, Metadata, consume, send};
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

/// One flow's maps in their topic.
pub(crate) struct MapStore {
    cluster: Cluster,
    admin: Cluster,
    plan: Arc<FlowPlan>,
    topic: Arc<str>,
    /// The topic is known to be there.
    exists: bool,
    /// What was read and not handed out yet.
    read: HashMap<SourcePartition, KeptMap>,
    /// The numbers of the blocks that the topic has.
    written: HashMap<SourcePartition, Range<u64>>,
}

impl MapStore {
    /// Reads what there is. The topic is created when there is something to write. `target` is what the target cluster was
    /// just seen to hold.
    pub(crate) async fn open(
        plan: &Arc<FlowPlan>,
        cluster: &Cluster,
        admin: &Cluster,
        target: &Metadata,
    ) -> Result<Self, ClientError> {
        let topic: Arc<str> = plan.sync.offset_map_topic.as_str().into();
        let exists = target.topics.contains_key(&topic);
        let read = read_maps(plan, cluster, target).await?;
        if exists {
            info!(flow = plan.name(), topic = &*topic, partitions = read.len(), "offset map read");
        }
        let written =
            read.iter().map(|(partition, kept)| (partition.clone(), kept.numbers.clone())).collect();
        let (cluster, admin, plan) = (cluster.clone(), admin.clone(), Arc::clone(plan));
        Ok(Self { cluster, admin, plan, topic, exists, read, written })
    }

    /// The map of a partition of a topic with this id, if one was kept. Each is handed out once.
    pub(crate) fn take(&mut self, partition: &SourcePartition, topic_id: Option<Uuid>) -> Option<OffsetMap> {
        let kept = self.read.remove(partition)?;
        is_same_topic(kept.topic_id, topic_id).then_some(kept.map)
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
            send::send_records(&self.cluster, &self.topic, vec![(0, chunk.to_vec())])
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
