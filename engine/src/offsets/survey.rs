//! Where the groups of a flow stand on both sides, and setting one of them by hand. Works beside a running mirror and
//! without one: it reads the map that is kept on the target, which is some seconds old.

mod report;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use kmirror_protocol::client::groups::{
    CommittedOffset, GroupKind, GroupState, commit_offsets, committed_offsets, describe_groups, list_groups,
    set_share_starts, share_starts,
};
use kmirror_protocol::client::offsets::{OffsetSpec, known_offsets};
use kmirror_protocol::client::{ClientError, Cluster, Metadata, consume};
use kmirror_protocol::wire::error::ErrorCode;
use thiserror::Error;

use super::group_sync::{Place, Wanted, due, may_be_set};
use super::locate::Located;
use super::map::{Translation, WhyUnknown};
use super::mm2_syncs::Mm2Syncs;
use super::snapshot::KeptMap;
use super::store::read_maps;
use crate::clients::{cluster, first_look};
use crate::ids::{SourceOffset, SourcePartition};
use crate::plan::FlowPlan;
pub use report::{Applied, GroupReport, GroupsReport, Position};

/// Requests about groups under way at once to one broker.
const IN_FLIGHT: usize = 20;
/// Responses while topics are read hold about this much.
const READ_BYTES: usize = 1 << 20;

/// Why nothing can be said of a flow's groups.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SurveyError {
    /// A cluster does not answer, or refuses.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The source has no such group, or we may not see it.
    #[error(
        "cluster {cluster} has no positions of group {group} in topics that are mirrored (or the right DESCRIBE for it \
         is missing)"
    )]
    NoSuchGroup {
        /// The source's alias.
        cluster: Arc<str>,
        /// The group.
        group: Arc<str>,
    },
}

/// Looks where the groups of a flow stand: those that `groups` takes, or only the one named, whatever `groups` says.
///
/// # Errors
/// [`SurveyError`]; what concerns single groups is told in the report.
pub async fn survey(plan: &FlowPlan, only: Option<&str>) -> Result<GroupsReport, SurveyError> {
    Surveyor::new(plan).survey(only).await
}

/// Sets groups at the target to where they stand at the source, those that nobody is in there; tells of each what became
/// of it, or why the target could not be asked.
pub async fn apply(plan: &FlowPlan, groups: &[GroupReport]) -> Vec<Result<Applied, ClientError>> {
    let surveyor = Surveyor::new(plan);
    let mut applied = Vec::with_capacity(groups.len());
    for group in groups {
        applied.push(surveyor.apply(group).await);
    }
    applied
}

struct Surveyor<'a> {
    plan: &'a FlowPlan,
    source: Cluster,
    target: Cluster,
}

/// What is known of offsets on both sides.
struct Known {
    maps: HashMap<SourcePartition, KeptMap>,
    syncs: Mm2Syncs,
}

impl<'a> Surveyor<'a> {
    fn new(plan: &'a FlowPlan) -> Self {
        Self {
            plan,
            source: cluster(&plan.source, &plan.source_admin, IN_FLIGHT, None),
            target: cluster(&plan.target, &plan.target_admin, IN_FLIGHT, None),
        }
    }

    async fn survey(&self, only: Option<&str>) -> Result<GroupsReport, SurveyError> {
        let mut notes = Vec::new();
        first_look(&self.source).await?;
        let at_target = first_look(&self.target).await?;
        let known = self.read_known(&at_target, &mut notes).await?;
        let mut groups = self.groups(only, &mut notes).await?;
        for group in &mut groups {
            for position in &mut group.positions {
                let exact = known
                    .maps
                    .get(&position.partition)
                    .map_or(Translation::Unknown(WhyUnknown::NothingMirrored), |kept| {
                        kept.map.translate(position.source)
                    });
                position.located = Located::find(exact, &known.syncs, &position.partition, position.source);
            }
        }
        self.look_at_target(&mut groups).await?;
        self.look_at_logs(&mut groups).await?;
        Ok(GroupsReport { groups, notes })
    }

    async fn read_known(&self, at_target: &Metadata, notes: &mut Vec<String>) -> Result<Known, SurveyError> {
        let maps = read_maps(self.plan, &self.target, at_target).await?;
        let place = &self.plan.sync.offset_syncs_at;
        let from = if place.on_source { &self.source } else { &self.target };
        let mut syncs = Mm2Syncs::default();
        let topic: Arc<str> = place.topic.as_str().into();
        let read = consume::read_to_end(from, &topic, READ_BYTES, |_, record| {
            syncs.read(record.key.as_deref(), record.value.as_deref());
        });
        match read.await {
            Ok(()) => {}
            Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {}
            Err(error) if error.code() == Some(ErrorCode::TopicAuthorizationFailed) => notes.push(format!(
                "positions that kmirror did not mirror itself are unknown: reading {topic} takes the right READ for it \
                 on cluster {}",
                from.alias()
            )),
            Err(error) => return Err(error.into()),
        }
        Ok(Known { maps, syncs })
    }

    /// The groups and where they stand at the source.
    async fn groups(
        &self,
        only: Option<&str>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<GroupReport>, SurveyError> {
        let listing = list_groups(&self.source).await?;
        if let Some(error) = &listing.incomplete {
            notes.push(format!("some groups may be missing: {}", crate::error::chain(error)));
        }
        let takes = |id: &str| match only {
            Some(only) => id == only,
            None => self.plan.sync.groups.decide(id).is_in(),
        };
        let listed: BTreeMap<Arc<str>, (GroupKind, GroupState)> = listing
            .groups
            .into_iter()
            .filter(|group| takes(&group.id))
            .map(|group| (group.id, (group.kind, group.state)))
            .collect();
        let of_kind = |shares: bool| -> Vec<Arc<str>> {
            let kept = listed.iter().filter(|(_, (kind, _))| (*kind == GroupKind::Share) == shares);
            kept.map(|(id, _)| Arc::clone(id)).collect()
        };
        let mut read = committed_offsets(&self.source, &of_kind(false)).await?;
        read.extend(share_starts(&self.source, &of_kind(true)).await?);
        let mut groups = Vec::new();
        for (group, answer) in read {
            let (kind, source_state) =
                listed.get(&group).copied().unwrap_or((GroupKind::Unknown, GroupState::Untold));
            match answer {
                Ok(positions) => {
                    let mut positions: Vec<Position> =
                        positions.iter().filter_map(|one| self.position(one)).collect();
                    positions.sort_by(|a, b| a.partition.cmp(&b.partition));
                    if !positions.is_empty() {
                        groups.push(GroupReport { group, kind, source_state, target: None, positions });
                    }
                }
                Err(code) => notes.push(format!("group {group} cannot be read at the source: {code}")),
            }
        }
        if let (Some(only), true) = (only, groups.is_empty()) {
            let cluster = Arc::clone(self.source.alias());
            return Err(SurveyError::NoSuchGroup { cluster, group: only.into() });
        }
        groups.sort_by(|a, b| a.group.cmp(&b.group));
        Ok(groups)
    }

    fn position(&self, one: &CommittedOffset) -> Option<Position> {
        let (target_topic, _) = self.plan.decide(&one.topic).ok()?;
        (one.offset >= 0).then(|| Position {
            partition: SourcePartition { topic: Arc::clone(&one.topic), partition: one.partition },
            source: SourceOffset(one.offset),
            source_end: None,
            metadata: Arc::clone(&one.metadata),
            target_topic: target_topic.into(),
            located: Located::Unknown(WhyUnknown::NotSeen),
            target_committed: None,
            target_start: None,
        })
    }

    async fn look_at_target(&self, groups: &mut [GroupReport]) -> Result<(), ClientError> {
        let ids: Vec<Arc<str>> = groups.iter().map(|group| Arc::clone(&group.group)).collect();
        let described: HashMap<_, _> = describe_groups(&self.target, &ids).await?.into_iter().collect();
        for group in groups.iter_mut() {
            group.target = described.get(&group.group).and_then(|answer| answer.ok());
        }
        let shares = |group: &GroupReport| group.target.is_some_and(|target| target.kind == GroupKind::Share);
        let of_kind = |wanted: bool| -> Vec<Arc<str>> {
            let kept = groups.iter().filter(|group| shares(group) == wanted);
            kept.map(|group| Arc::clone(&group.group)).collect()
        };
        let mut stands = committed_offsets(&self.target, &of_kind(false)).await?;
        stands.extend(share_starts(&self.target, &of_kind(true)).await?);
        let stands: HashMap<Arc<str>, HashMap<Place, i64>> = stands
            .into_iter()
            .filter_map(|(group, answer)| {
                let places = answer.ok()?.into_iter().map(|one| ((one.topic, one.partition), one.offset));
                Some((group, places.collect()))
            })
            .collect();
        for group in groups {
            let stands = stands.get(&group.group);
            for position in &mut group.positions {
                let place = (Arc::clone(&position.target_topic), position.partition.partition);
                position.target_committed = stands.and_then(|places| places.get(&place)).copied();
            }
        }
        Ok(())
    }

    /// The end of each log at the source, and the beginning of each at the target.
    async fn look_at_logs(&self, groups: &mut [GroupReport]) -> Result<(), ClientError> {
        let positions = || groups.iter().flat_map(|group| &group.positions);
        let source: BTreeSet<Place> =
            positions().map(|one| (Arc::clone(&one.partition.topic), one.partition.partition)).collect();
        let target: BTreeSet<Place> =
            positions().map(|one| (Arc::clone(&one.target_topic), one.partition.partition)).collect();
        let ends = known_offsets(&self.source, source, OffsetSpec::Latest).await?;
        let starts = known_offsets(&self.target, target, OffsetSpec::Earliest).await?;
        for position in groups.iter_mut().flat_map(|group| &mut group.positions) {
            let index = position.partition.partition;
            position.source_end =
                ends.get(&(Arc::clone(&position.partition.topic), index)).map(|at| at.offset);
            position.target_start =
                starts.get(&(Arc::clone(&position.target_topic), index)).map(|at| at.offset);
        }
        Ok(())
    }

    async fn apply(&self, group: &GroupReport) -> Result<Applied, ClientError> {
        let shares = group.kind == GroupKind::Share;
        let mut applied = Applied::default();
        match group.target {
            Some(target) if may_be_set(target, shares) => {}
            Some(target) => {
                applied.left_alone = Some(format!(
                    "the group at the target is {} ({}); only one that nobody is in can be set",
                    target.state,
                    target.kind.name()
                ));
                return Ok(applied);
            }
            None => {
                applied.left_alone =
                    Some("the right DESCRIBE for the group is missing at the target".to_owned());
                return Ok(applied);
            }
        }
        let positions = self.to_set(group);
        if positions.is_empty() {
            applied.left_alone = Some("nothing is to be set".to_owned());
            return Ok(applied);
        }
        let offsets: HashMap<Place, i64> =
            positions.iter().map(|one| ((Arc::clone(&one.topic), one.partition), one.offset)).collect();
        let results = if shares {
            set_share_starts(&self.target, &group.group, &positions).await?
        } else {
            let answers = commit_offsets(&self.target, vec![(Arc::clone(&group.group), positions)]).await?;
            let mut results = Vec::new();
            for (_, answer) in answers {
                match answer {
                    Ok(answer) => results.extend(answer),
                    Err(code) => results.extend(offsets.keys().map(|place| (place.clone(), Err(code)))),
                }
            }
            results
        };
        for ((topic, partition), result) in results {
            let place = (topic, partition);
            match result {
                Ok(()) => {
                    let offset = offsets.get(&place).copied().unwrap_or(-1);
                    applied.set.push((place.0, partition, offset));
                }
                Err(code) => applied.refused.push((place.0, partition, code)),
            }
        }
        applied.set.sort();
        Ok(applied)
    }

    fn to_set(&self, group: &GroupReport) -> Vec<CommittedOffset> {
        let place = |one: &Position| (Arc::clone(&one.target_topic), one.partition.partition);
        let there = || group.positions.iter().filter(|one| one.target_start.is_some());
        let wanted: Vec<Wanted> = there()
            .filter_map(|one| {
                Some(Wanted {
                    place: place(one),
                    target: one.located.target()?,
                    exact: matches!(one.located, Located::Exact(_)),
                    metadata: Arc::clone(&one.metadata),
                })
            })
            .collect();
        let current: Vec<CommittedOffset> = there()
            .filter_map(|one| {
                let (topic, partition) = place(one);
                let (offset, metadata) = (one.target_committed?, Arc::from(""));
                Some(CommittedOffset { topic, partition, offset, leader_epoch: -1, metadata })
            })
            .collect();
        let starts: HashMap<Place, i64> =
            there().filter_map(|one| Some((place(one), one.target_start?))).collect();
        let may_go_back = self.plan.sync.group_offsets.is_some_and(|plan| plan.may_go_back);
        due(&wanted, &current, &starts, may_go_back)
    }
}
