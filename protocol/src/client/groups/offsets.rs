//! Where groups stand, and setting where they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::coordinator::ask_coordinators;
use super::{ByGroup, CommitResults, CommittedOffset};
use crate::client::cluster::Cluster;
use crate::client::error::ClientError;
use crate::client::retry::{Action, decide};
use crate::net::{Connection, NetError};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::parts::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::wire::messages::parts::offset_fetch_request::OffsetFetchRequestGroup;
use crate::wire::messages::parts::{GroupId, TopicName};
use crate::wire::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, StrBytes,
};

/// First version of OffsetFetch that asks for several groups (KIP-709).
const SEVERAL_FROM_VERSION: i16 = 8;
/// Partitions whose positions are set in one request: far below what a coordinator can append in one batch.
const PARTITIONS_PER_COMMIT: usize = 1000;
/// The generation of one who is no member.
const NO_GENERATION: i32 = -1;

/// Asks where groups stand, in all partitions that each has committed. It takes the right to describe the group; the
/// partitions of topics that we may not describe are not told. Commits of transactions under way do not count yet.
///
/// # Errors
/// [`ClientError`] only when there is no metadata to be had.
pub async fn committed_offsets(
    cluster: &Cluster,
    groups: &[Arc<str>],
) -> Result<ByGroup<Vec<CommittedOffset>>, ClientError> {
    let questions = groups.iter().map(|group| (Arc::clone(group), ())).collect();
    ask_coordinators(cluster, questions, fetch).await
}

async fn fetch(
    connection: Connection,
    questions: Vec<(Arc<str>, ())>,
) -> Result<ByGroup<Vec<CommittedOffset>>, NetError> {
    if connection.require(ApiKey::OffsetFetch)? >= SEVERAL_FROM_VERSION {
        let groups = questions.iter().map(|(group, ())| {
            OffsetFetchRequestGroup::default().with_group_id(group_id(group)).with_topics(None)
        });
        let request = OffsetFetchRequest::default().with_groups(groups.collect());
        return Ok(answers_of(&connection.call(request).await?));
    }
    let mut asked = JoinSet::new();
    for (group, ()) in questions {
        let connection = connection.clone();
        let request = OffsetFetchRequest::default().with_group_id(group_id(&group)).with_topics(None);
        asked.spawn(async move {
            let response = connection.call(request).await?;
            Ok::<_, NetError>((group, answer_of(&response)))
        });
    }
    let mut answers = Vec::new();
    while let Some(answer) = asked.join_next().await {
        answers.extend(answer.ok().transpose()?);
    }
    Ok(answers)
}

fn answers_of(response: &OffsetFetchResponse) -> ByGroup<Vec<CommittedOffset>> {
    let mut names = BTreeSet::new();
    let groups = response.groups.iter().map(|group| {
        let partitions = group.topics.iter().flat_map(|topic| {
            let name = shared(&mut names, topic.name.as_str());
            topic.partitions.iter().map(move |partition| {
                committed(
                    &name,
                    partition.partition_index,
                    (partition.committed_offset, partition.committed_leader_epoch),
                    partition.metadata.as_deref(),
                    partition.error_code,
                )
            })
        });
        let answer = ErrorCode::from(group.error_code).ok().and_then(|()| collect(partitions));
        (Arc::from(group.group_id.as_str()), answer)
    });
    groups.collect()
}

fn answer_of(response: &OffsetFetchResponse) -> Result<Vec<CommittedOffset>, ErrorCode> {
    ErrorCode::from(response.error_code).ok()?;
    let mut names = BTreeSet::new();
    collect(response.topics.iter().flat_map(|topic| {
        let name = shared(&mut names, topic.name.as_str());
        topic.partitions.iter().map(move |partition| {
            committed(
                &name,
                partition.partition_index,
                (partition.committed_offset, partition.committed_leader_epoch),
                partition.metadata.as_deref(),
                partition.error_code,
            )
        })
    }))
}

/// Partitions that have failed fail the group if that may pass; those we may not see are left out.
fn collect(
    partitions: impl Iterator<Item = Result<CommittedOffset, ErrorCode>>,
) -> Result<Vec<CommittedOffset>, ErrorCode> {
    let mut all = Vec::new();
    for partition in partitions {
        match partition {
            Ok(committed) => all.push(committed),
            Err(code) if concerns_group(code) => return Err(code),
            Err(_) => {}
        }
    }
    Ok(all)
}

fn committed(
    topic: &Arc<str>,
    partition: i32,
    (offset, leader_epoch): (i64, i32),
    metadata: Option<&str>,
    code: i16,
) -> Result<CommittedOffset, ErrorCode> {
    ErrorCode::from(code).ok()?;
    let (topic, metadata) = (Arc::clone(topic), Arc::from(metadata.unwrap_or_default()));
    Ok(CommittedOffset { topic, partition, offset, leader_epoch, metadata })
}

/// Whether a partition's code says that its coordinator cannot answer now, for any partition.
fn concerns_group(code: ErrorCode) -> bool {
    let topic_is_gone = matches!(code, ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId);
    matches!(decide(code), Action::Retry | Action::RefreshAndRetry) && !topic_is_gone
}

/// Sets positions of groups as somebody who is no member of them, as `kafka-consumer-groups --reset-offsets` does. The
/// coordinator refuses each partition of a group that has members with `UNKNOWN_MEMBER_ID`. It takes the rights to
/// read the group and the topics.
///
/// # Errors
/// [`ClientError`] only when there is no metadata to be had.
pub async fn commit_offsets(
    cluster: &Cluster,
    positions: Vec<(Arc<str>, Vec<CommittedOffset>)>,
) -> Result<ByGroup<CommitResults>, ClientError> {
    let questions = positions.into_iter().map(|(group, offsets)| (group, Arc::from(offsets))).collect();
    ask_coordinators(cluster, questions, commit).await
}

async fn commit(
    connection: Connection,
    questions: Vec<(Arc<str>, Arc<[CommittedOffset]>)>,
) -> Result<ByGroup<CommitResults>, NetError> {
    let mut asked = JoinSet::new();
    for (group, offsets) in questions {
        let connection = connection.clone();
        asked.spawn(async move {
            let mut results = Ok(Vec::with_capacity(offsets.len()));
            for chunk in offsets.chunks(PARTITIONS_PER_COMMIT) {
                let response = connection.call(commit_request(&group, chunk)).await?;
                results = results.and_then(|mut all: CommitResults| {
                    all.extend(results_of(&response)?);
                    Ok(all)
                });
            }
            Ok::<_, NetError>((group, results))
        });
    }
    let mut answers = Vec::new();
    while let Some(answer) = asked.join_next().await {
        answers.extend(answer.ok().transpose()?);
    }
    Ok(answers)
}

fn commit_request(group: &Arc<str>, offsets: &[CommittedOffset]) -> OffsetCommitRequest {
    let mut topics: BTreeMap<&Arc<str>, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for one in offsets {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(one.partition)
            .with_committed_offset(one.offset)
            .with_committed_leader_epoch(one.leader_epoch)
            .with_committed_metadata(Some(StrBytes::from_string(one.metadata.to_string())));
        topics.entry(&one.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        let name = TopicName(StrBytes::from_string(topic.to_string()));
        OffsetCommitRequestTopic::default().with_name(name).with_partitions(partitions)
    });
    OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(NO_GENERATION)
        .with_topics(topics.collect())
}

fn results_of(response: &OffsetCommitResponse) -> Result<CommitResults, ErrorCode> {
    let mut results = Vec::new();
    for topic in &response.topics {
        let name: Arc<str> = Arc::from(topic.name.as_str());
        for partition in &topic.partitions {
            let code = ErrorCode::from(partition.error_code);
            if concerns_group(code) {
                return Err(code);
            }
            results.push(((Arc::clone(&name), partition.partition_index), code.ok()));
        }
    }
    Ok(results)
}

pub(super) fn group_id(group: &Arc<str>) -> GroupId {
    GroupId(StrBytes::from_string(group.to_string()))
}

/// One allocation for each name, however many groups speak of it.
fn shared(names: &mut BTreeSet<Arc<str>>, name: &str) -> Arc<str> {
    if let Some(known) = names.get(name) {
        return Arc::clone(known);
    }
    let new: Arc<str> = Arc::from(name);
    names.insert(Arc::clone(&new));
    new
}
