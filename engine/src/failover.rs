//! Moving over to the other cluster and back: what is missing there, and from where the mirror in the other direction
//! begins, so that it copies nothing back that came from its target.
//!
//! Must not start or stop a mirror: who moves over does that between these steps.

use std::sync::Arc;

use kmirror_protocol::client::offsets::{OffsetSpec, known_offsets};
use kmirror_protocol::client::{ClientError, Cluster, Metadata, consume};
use thiserror::Error;

use crate::clients::{cluster, first_look};
use crate::clock::now_ms;
use crate::commit::{ProgressError, ProgressStore, read_progress};
use crate::ids::{SourceOffset, SourcePartition};
use crate::offsets::map::OffsetMap;
use crate::offsets::records::Heartbeat;
use crate::offsets::store::{MapError, MapStore, read_maps};
use crate::plan::{FlowPlan, Outcome, SourceTopic, explain};
use crate::policy::HEARTBEATS_TOPIC;
use crate::progress::Progress;

/// Responses while heartbeats are read hold about this much.
const READ_BYTES: usize = 1 << 20;

/// Why something cannot be done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FailoverError {
    /// A cluster does not answer or refuses.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Progress cannot be read or written.
    #[error("the progress of flow {flow} cannot be read or written")]
    Progress {
        /// The flow.
        flow: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The offset map cannot be written.
    #[error("the offset map of flow {flow} cannot be written")]
    Map {
        /// The flow.
        flow: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl FailoverError {
    fn progress(plan: &FlowPlan, source: ProgressError) -> Self {
        Self::Progress { flow: plan.name(), source: Box::new(source) }
    }

    fn map(plan: &FlowPlan, source: MapError) -> Self {
        Self::Map { flow: plan.name(), source: Box::new(source) }
    }
}

/// How a mirrored partition stands.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionStanding {
    /// The partition at the source.
    pub source: SourcePartition,
    /// The topic at the target.
    pub target_topic: Arc<str>,
    /// Everything before this source offset is at the target.
    pub mirrored: SourceOffset,
    /// The end of the source's log; none where the source does not tell it.
    pub source_end: Option<SourceOffset>,
    /// By how many seconds the newest record at the target is older than the newest at the source, where both tell.
    pub seconds: Option<f64>,
}

impl PartitionStanding {
    /// Source offsets that are not at the target; none where the source does not tell.
    pub fn missing(&self) -> Option<i64> {
        self.source_end.map(|end| (end.0 - self.mirrored.0).max(0))
    }
}

/// A flow's partitions, by topic and index. `source_answers` says whether the source could be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Those that were mirrored.
    pub partitions: Vec<PartitionStanding>,
    /// Whether the source could be asked.
    pub source_answers: bool,
}

/// Whether the source answers within some seconds.
pub async fn source_answers(plan: &FlowPlan) -> bool {
    first_look(&cluster(&plan.source, &plan.source_admin, 1, None)).await.is_ok()
}

/// How many seconds ago a mirror of this flow wrote its last heartbeat; none if there is none.
///
/// # Errors
/// When the target cannot be asked.
pub async fn last_heartbeat(plan: &FlowPlan) -> Result<Option<f64>, FailoverError> {
    let target = cluster(&plan.target, &plan.target_admin, 1, None);
    let topic: Arc<str> = HEARTBEATS_TOPIC.into();
    if !first_look(&target).await?.topics.contains_key(&topic) {
        return Ok(None);
    }
    let mut last: Option<i64> = None;
    consume::read_to_end(&target, &topic, READ_BYTES, |_, record| {
        let heartbeat = Heartbeat::read(record.key.as_deref(), record.value.as_deref());
        let ours =
            |one: &Heartbeat| *one.source == *plan.source.as_str() && *one.target == *plan.target.as_str();
        if let Some(heartbeat) = heartbeat.filter(ours) {
            last = last.max(Some(heartbeat.timestamp));
        }
    })
    .await?;
    Ok(last.map(|at| seconds(now_ms() - at)))
}

/// How a flow stands. Works without the source, too.
///
/// # Errors
/// When the target cannot be asked.
pub async fn standing(plan: &FlowPlan) -> Result<Standing, FailoverError> {
    let source = cluster(&plan.source, &plan.source_admin, 1, None);
    let target = cluster(&plan.target, &plan.target_admin, 1, None);
    let at_target = first_look(&target).await?;
    let progress = read_progress(plan, &target, &at_target)
        .await
        .map_err(|error| FailoverError::progress(plan, error))?;
    let mut partitions: Vec<PartitionStanding> = progress
        .into_values()
        .filter(|progress| plan.decide(&progress.partition.topic).is_ok())
        .map(|progress| PartitionStanding {
            target_topic: plan.policy.target_topic(&progress.partition.topic).into(),
            source: progress.partition,
            mirrored: progress.next,
            source_end: None,
            seconds: None,
        })
        .collect();
    partitions.sort_by(|one, other| one.source.cmp(&other.source));
    let at_source = first_look(&source).await;
    if let Ok(at_source) = &at_source {
        partitions.retain(|one| at_source.topics.contains_key(&one.source.topic));
        compare_ends(&source, &target, &mut partitions).await?;
    }
    Ok(Standing { partitions, source_answers: at_source.is_ok() })
}

async fn compare_ends(
    source: &Cluster,
    target: &Cluster,
    partitions: &mut [PartitionStanding],
) -> Result<(), FailoverError> {
    let here = |one: &PartitionStanding| (Arc::clone(&one.source.topic), one.source.partition);
    let there = |one: &PartitionStanding| (Arc::clone(&one.target_topic), one.source.partition);
    let (ends, newest, copied) = tokio::try_join!(
        known_offsets(source, partitions.iter().map(here), OffsetSpec::Latest),
        known_offsets(source, partitions.iter().map(here), OffsetSpec::MaxTimestamp),
        known_offsets(target, partitions.iter().map(there), OffsetSpec::MaxTimestamp),
    )?;
    for one in partitions {
        one.source_end = ends.get(&here(one)).map(|at| SourceOffset(at.offset));
        let times = newest.get(&here(one)).zip(copied.get(&there(one)));
        let known = times.filter(|(here, there)| here.timestamp >= 0 && there.timestamp >= 0);
        let behind = known.map(|(here, there)| seconds((here.timestamp - there.timestamp).max(0)));
        // Where nothing is missing, the newest at the source may be the marker of a transaction.
        one.seconds = if one.missing() == Some(0) { Some(0.0) } else { behind };
    }
    Ok(())
}

/// Where the mirror in the other direction begins with a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReverseStart {
    /// The partition that it reads: what was the target.
    pub partition: SourcePartition,
    /// The first offset there that did not come from the other cluster; none where the map does not tell.
    pub start: Option<SourceOffset>,
    /// How far it was mirrored back already.
    pub mirrored_back: Option<SourceOffset>,
}

/// Finds where the `reverse` of `flow` begins with each topic that it would copy back to its own origin, and unless it is
/// only to be shown, writes that down as its progress, with the inverse of the flow's map. What was mirrored back already
/// is left as it is.
///
/// # Errors
/// When a cluster cannot be asked or written.
pub async fn prepare_reverse(
    flow: &FlowPlan,
    reverse: &Arc<FlowPlan>,
    writes: bool,
) -> Result<Vec<ReverseStart>, FailoverError> {
    // The reverse flow reads what this one writes.
    let read = cluster(&reverse.source, &reverse.source_client, 1, None);
    let written = cluster(&reverse.target, &reverse.target_client, 1, None);
    let (at_read, at_written) = tokio::try_join!(first_look(&read), first_look(&written))?;
    let maps = read_maps(flow, &read, &at_read).await?;
    let mirrored = read_progress(flow, &read, &at_read).await;
    let mirrored = mirrored.map_err(|error| FailoverError::progress(flow, error))?;
    let before = read_progress(reverse, &written, &at_written).await;
    let before = before.map_err(|error| FailoverError::progress(reverse, error))?;
    let (mut starts, mut due) = (Vec::new(), Vec::new());
    for partition in mirrored.into_keys().filter(|one| flow.decide(&one.topic).is_ok()) {
        let copy: Arc<str> = flow.policy.target_topic(&partition.topic).into();
        if !goes_back(reverse, &copy, &partition.topic) {
            continue;
        }
        let topic_id = at_read.topics.get(&copy).and_then(|topic| topic.id);
        let copied = SourcePartition { topic: copy, partition: partition.partition };
        let mirrored_back = before.get(&copied).map(|progress| progress.next);
        let map = maps.get(&partition).map(|kept| &kept.map);
        let start = map.and_then(OffsetMap::end).map(|(_, target)| SourceOffset(target.0));
        if let Some((next, map)) = start.zip(map).filter(|(start, _)| writes && mirrored_back < Some(*start))
        {
            let progress = Progress {
                partition: copied.clone(),
                next,
                topic_id,
                leader_epoch: None,
                producer: None,
                transactional_id: None,
            };
            due.push((progress, map.inverse(reverse.sync.offset_map_segments)));
        }
        starts.push(ReverseStart { partition: copied, start, mirrored_back });
    }
    if !due.is_empty() {
        write_starts(reverse, &written, &at_written, due).await?;
    }
    starts.sort_by(|one, other| one.partition.cmp(&other.partition));
    Ok(starts)
}

/// Writes where the reverse flow begins: maps first, as a running flow does.
async fn write_starts(
    reverse: &Arc<FlowPlan>,
    written: &Cluster,
    at_written: &Metadata,
    due: Vec<(Progress, OffsetMap)>,
) -> Result<(), FailoverError> {
    let admin = cluster(&reverse.target, &reverse.target_admin, 1, None);
    let store = ProgressStore::open(reverse, written, None, &admin, at_written).await;
    let mut store = store.map_err(|error| FailoverError::progress(reverse, error))?;
    let mut maps = MapStore::open(reverse, written, None, &admin, at_written).await?;
    let mut progress = Vec::with_capacity(due.len());
    for (one, map) in due {
        let put = maps.put(&one.partition, one.topic_id, map).await;
        put.map_err(|error| FailoverError::map(reverse, error))?;
        progress.push(one);
    }
    store.write(progress).await.map_err(|error| FailoverError::progress(reverse, error))
}

/// Whether the reverse flow would copy a topic to where it came from.
fn goes_back(reverse: &FlowPlan, copy: &str, origin: &str) -> bool {
    let topic = SourceTopic { name: copy, partitions: 1, internal: false, mirrored_before: true };
    explain(reverse, &[topic], None).into_iter().any(|decision| {
        matches!(decision.outcome, Outcome::Mirrored { target_topic, .. } if target_topic == origin)
    })
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of some years are exact")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}
