//! Who mirrors what of a flow, as its clusters tell: the group's members, each partition's owner, progress and lag. Works
//! from anywhere, whether a mirror runs or not, and writes nothing. Progress is as old as `offset.flush.interval.ms` says.

use std::sync::Arc;

use kmirror_protocol::client::groups::{ClassicGroup, classic_group};
use kmirror_protocol::client::offsets::{self, OffsetSpec};
use kmirror_protocol::client::{ClientError, Metadata};
use thiserror::Error;

use super::PROTOCOL_TYPE;
use super::home::host_of;
use super::report::{Grant, Report};
use super::shards::{Shards, shard_of};
use crate::clients::{cluster, first_look};
use crate::commit::{ProgressError, WrittenProgress, read_progress};
use crate::ids::{SourceOffset, SourcePartition};
use crate::plan::{FlowPlan, Outcome, SourceTopic, explain};

/// Requests under way at once to one broker.
const IN_FLIGHT: usize = 5;

/// Why nothing can be said of a flow.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct ViewError(ViewErrorKind);

#[derive(Debug, Error)]
enum ViewErrorKind {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Progress(#[from] ProgressError),
}

impl<E: Into<ViewErrorKind>> From<E> for ViewError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// One flow.
#[derive(Debug)]
pub struct FlowView {
    /// The group its processes are in, on the target.
    pub group: Arc<str>,
    /// What its members speak: `kmirror`, or `connect` for a MirrorMaker 2; empty when there are none.
    pub protocol_type: Arc<str>,
    /// Whether the partitions are being shared out at this moment.
    pub is_moving: bool,
    /// Its processes.
    pub members: Vec<MemberView>,
    /// Its partitions, by topic and number.
    pub partitions: Vec<PartitionView>,
}

/// A process.
#[derive(Debug)]
pub struct MemberView {
    /// Its id in the group.
    pub id: Arc<str>,
    /// `kmirror.group.instance.id`
    pub instance_id: Option<Arc<str>>,
    /// Its client id.
    pub client_id: Arc<str>,
    /// The name of its host, where it told.
    pub host: Arc<str>,
    /// The address it is connected from.
    pub address: Arc<str>,
    /// Whether it runs what exactly one process runs.
    pub leads: bool,
    /// Partitions it may mirror.
    pub partitions: usize,
    /// Bytes it mirrored per second, when it last told.
    pub bytes_per_second: u64,
    /// What it was given.
    shards: Shards,
}

/// A partition.
#[derive(Debug)]
pub struct PartitionView {
    /// At the source.
    pub source: SourcePartition,
    /// The topic it is mirrored to.
    pub target_topic: Arc<str>,
    /// The place of its process in [`FlowView::members`]; none while nobody has it.
    pub owner: Option<usize>,
    /// The first source offset that is not known to be mirrored.
    pub progress: Option<SourceOffset>,
    /// The end of the source partition.
    pub end: Option<SourceOffset>,
}

impl PartitionView {
    /// Source offsets between the two.
    pub fn lag(&self) -> Option<i64> {
        Some((self.end?.0 - self.progress?.0).max(0))
    }
}

/// Looks at a flow.
///
/// # Errors
/// When a cluster does not answer, or refuses.
pub async fn look(plan: &FlowPlan) -> Result<FlowView, ViewError> {
    let source = cluster(&plan.source, &plan.source_admin, IN_FLIGHT, None);
    let target = cluster(&plan.target, &plan.target_admin, IN_FLIGHT, None);
    let (at_source, at_target) = tokio::try_join!(first_look(&source), first_look(&target))?;
    let group: Arc<str> = plan.share.group.as_str().into();
    let (described, progress) =
        tokio::join!(classic_group(&target, &group), read_progress(plan, &target, &at_target));
    let (described, progress) = (described?, progress?);
    let mut members = members(&described);
    let mut partitions = partitions(plan, &at_source, &progress);
    let places = partitions.iter().map(|one| place(&one.source));
    let ends = offsets::known_offsets(&source, places, OffsetSpec::Latest).await?;
    for partition in &mut partitions {
        partition.end = ends.get(&place(&partition.source)).map(|end| SourceOffset(end.offset));
        let shard = shard_of(&partition.source);
        partition.owner = members.iter().position(|member| member.shards.contains(shard));
        if let Some(member) = partition.owner.and_then(|owner| members.get_mut(owner)) {
            member.partitions += 1;
        }
    }
    let (is_moving, protocol_type) = (!described.is_stable && !members.is_empty(), described.protocol_type);
    let protocol_type = if members.is_empty() { "".into() } else { protocol_type };
    Ok(FlowView { group, protocol_type, is_moving, members, partitions })
}

fn place(partition: &SourcePartition) -> (Arc<str>, i32) {
    (Arc::clone(&partition.topic), partition.partition)
}

fn members(group: &ClassicGroup) -> Vec<MemberView> {
    let ours = &*group.protocol_type == PROTOCOL_TYPE;
    let view = |one: &kmirror_protocol::client::groups::ClassicMember| {
        let report = Report::decode(&one.metadata).filter(|_| ours);
        let grant = Grant::decode(&one.assignment).filter(|_| ours);
        let loads = report.as_ref().map_or(&[][..], |report| &report.loads);
        MemberView {
            id: Arc::clone(&one.id),
            instance_id: one.instance_id.clone(),
            client_id: Arc::clone(&one.client_id),
            host: report.as_ref().map_or("", |report| host_of(&report.home)).into(),
            address: one.host.trim_start_matches('/').into(),
            leads: grant.as_ref().is_some_and(|grant| grant.leads),
            partitions: 0,
            bytes_per_second: loads.iter().filter_map(|load| load.bytes_per_second).map(u64::from).sum(),
            shards: grant.map_or(Shards::NONE, |grant| grant.shards),
        }
    };
    group.members.iter().map(view).collect()
}

/// The partitions the flow mirrors.
fn partitions(plan: &FlowPlan, at_source: &Metadata, progress: &WrittenProgress) -> Vec<PartitionView> {
    let topics =
        SourceTopic::all(at_source, |topic| progress.contains_key(&SourcePartition::first_of(topic)));
    let mut partitions = Vec::new();
    for decision in explain(plan, &topics, None) {
        let Some(topic) = at_source.topics.get(decision.source_topic.as_str()) else { continue };
        let Outcome::Mirrored { target_topic, .. } = decision.outcome else { continue };
        let target_topic: Arc<str> = target_topic.into();
        partitions.extend(topic.partitions.iter().map(|one| {
            let source = SourcePartition { topic: Arc::clone(&topic.name), partition: one.index };
            let progress = progress.get(&source).map(|progress| progress.next);
            PartitionView {
                source,
                target_topic: Arc::clone(&target_topic),
                owner: None,
                progress,
                end: None,
            }
        }));
    }
    partitions.sort_by(|one, other| one.source.cmp(&other.source));
    partitions
}
