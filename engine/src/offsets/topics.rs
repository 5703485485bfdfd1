//! MirrorMaker 2's small topics of a flow: where they lie, and what is in them. Reads and writes nothing else.

use std::fmt;
use std::sync::Arc;

use kmirror_protocol::client::{ClientError, consume};
use kmirror_protocol::wire::record::Record;

use super::records::{Checkpoint, Heartbeat, OffsetSync};
use crate::clients::cluster;
use crate::plan::{ClientPlan, ClusterAlias, FlowPlan, HeartbeatPlan};
use crate::policy::HEARTBEATS_TOPIC;

/// Responses while such a topic is read hold about this much.
const READ_BYTES: usize = 1 << 20;

/// What such a topic is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InternalTopic {
    /// Where groups stand, in target offsets.
    Checkpoints,
    /// Which mirrors ran when.
    Heartbeats,
    /// Which source offset became which target offset.
    OffsetSyncs,
}

/// A topic of a cluster, and how to come to it.
#[derive(Debug, Clone)]
pub struct Place {
    /// The cluster that has it.
    pub cluster: ClusterAlias,
    /// Its name there.
    pub topic: Arc<str>,
    client: ClientPlan,
}

impl InternalTopic {
    /// Where a flow has it.
    pub fn of(self, plan: &FlowPlan) -> Place {
        let at_target = |topic: &str| Place {
            cluster: plan.target.clone(),
            topic: topic.into(),
            client: plan.target_client.clone(),
        };
        match self {
            Self::Checkpoints => at_target(&plan.sync.checkpoints_topic),
            Self::Heartbeats => at_target(HEARTBEATS_TOPIC),
            Self::OffsetSyncs if plan.sync.offset_syncs_at.on_source => Place {
                cluster: plan.source.clone(),
                topic: plan.sync.offset_syncs_at.topic.as_str().into(),
                client: plan.source_client.clone(),
            },
            Self::OffsetSyncs => at_target(&plan.sync.offset_syncs_at.topic),
        }
    }

    /// Where the heartbeats of a pair of clusters are, which need not have a flow.
    pub fn heartbeats_of(plan: &HeartbeatPlan) -> Place {
        let client = plan.target_client.clone();
        Place { cluster: plan.target.clone(), topic: HEARTBEATS_TOPIC.into(), client }
    }

    /// Understands a record of it; `None` where it is none.
    pub fn decode(self, record: &Record) -> Option<InternalRecord> {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        match self {
            Self::Checkpoints => Checkpoint::read(key, value).map(InternalRecord::Checkpoint),
            Self::Heartbeats => Heartbeat::read(key, value).map(InternalRecord::Heartbeat),
            Self::OffsetSyncs => OffsetSync::read(key, value).map(InternalRecord::OffsetSync),
        }
    }
}

/// A record of one of these topics. It is shown as MirrorMaker 2's formatters show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InternalRecord {
    /// See [`Checkpoint`].
    Checkpoint(Checkpoint),
    /// See [`Heartbeat`].
    Heartbeat(Heartbeat),
    /// See [`OffsetSync`].
    OffsetSync(OffsetSync),
}

impl fmt::Display for InternalRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint(record) => record.fmt(f),
            Self::Heartbeat(record) => record.fmt(f),
            Self::OffsetSync(record) => record.fmt(f),
        }
    }
}

/// Reads such a topic from its beginning to the end it has now, partition by partition in order.
///
/// # Errors
/// As [`consume::read_to_end`]; among them that there is no such topic.
pub async fn read(place: &Place, each: impl FnMut(i32, Record) + Send) -> Result<(), ClientError> {
    let client = cluster(&place.cluster, &place.client, 1, None);
    let read = consume::read_to_end(&client, &place.topic, READ_BYTES, each).await;
    client.close();
    read
}
