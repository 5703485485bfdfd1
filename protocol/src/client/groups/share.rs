//! Where share groups begin to read (KIP-932). The broker keeps what was acknowledged beyond that; from outside only
//! the start offset of each share-partition can be told and set.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::coordinator::ask_coordinators;
use super::offsets::group_id;
use super::{ByGroup, CommitResults, CommittedOffset};
use crate::client::cluster::Cluster;
use crate::client::error::ClientError;
use crate::net::{Connection, NetError};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::parts::TopicName;
use crate::wire::messages::parts::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use crate::wire::messages::parts::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup;
use crate::wire::messages::{AlterShareGroupOffsetsRequest, DescribeShareGroupOffsetsRequest, StrBytes};

/// Asks for the start offsets of share groups, in all their partitions; those that are not set yet are left out.
/// Brokers without share groups answer `UNSUPPORTED_VERSION`. It takes the right to describe the group.
///
/// # Errors
/// [`ClientError`] only when there is no metadata to be had.
pub async fn share_starts(
    cluster: &Cluster,
    groups: &[Arc<str>],
) -> Result<ByGroup<Vec<CommittedOffset>>, ClientError> {
    let questions = groups.iter().map(|group| (Arc::clone(group), ())).collect();
    ask_coordinators(cluster, questions, describe).await
}

async fn describe(
    connection: Connection,
    questions: Vec<(Arc<str>, ())>,
) -> Result<ByGroup<Vec<CommittedOffset>>, NetError> {
    let groups = questions.iter().map(|(group, ())| {
        DescribeShareGroupOffsetsRequestGroup::default().with_group_id(group_id(group)).with_topics(None)
    });
    let request = DescribeShareGroupOffsetsRequest::default().with_groups(groups.collect());
    let response = connection.call(request).await?;
    let answers = response.groups.iter().map(|group| {
        let starts = group.topics.iter().flat_map(|topic| {
            let name: Arc<str> = Arc::from(topic.topic_name.as_str());
            let told = topic.partitions.iter().filter(|one| one.error_code == 0 && one.start_offset >= 0);
            told.map(move |one| CommittedOffset {
                topic: Arc::clone(&name),
                partition: one.partition_index,
                offset: one.start_offset,
                leader_epoch: one.leader_epoch,
                metadata: Arc::from(""),
            })
        });
        let answer = ErrorCode::from(group.error_code).ok().map(|()| starts.collect());
        (Arc::from(group.group_id.as_str()), answer)
    });
    Ok(answers.collect())
}

/// Sets the start offsets of a share group that nobody is in; what it had acknowledged in these partitions is
/// forgotten. It takes the rights to read the group and the topics.
///
/// # Errors
/// [`ClientError::Refused`] for the whole group (`NON_EMPTY_GROUP` when somebody is in it, `UNSUPPORTED_VERSION` where
/// there are no share groups), and when there is no metadata to be had.
pub async fn set_share_starts(
    cluster: &Cluster,
    group: &Arc<str>,
    starts: &[CommittedOffset],
) -> Result<CommitResults, ClientError> {
    let questions = vec![(Arc::clone(group), Arc::<[CommittedOffset]>::from(starts))];
    let mut results = Vec::with_capacity(starts.len());
    for (_, answer) in ask_coordinators(cluster, questions, alter).await? {
        results.extend(answer.map_err(|code| cluster.refused(ApiKey::AlterShareGroupOffsets, code, None))?);
    }
    Ok(results)
}

async fn alter(
    connection: Connection,
    questions: Vec<(Arc<str>, Arc<[CommittedOffset]>)>,
) -> Result<ByGroup<CommitResults>, NetError> {
    let mut answers = Vec::with_capacity(questions.len());
    for (group, starts) in questions {
        let response = connection.call(alter_request(&group, &starts)).await?;
        let results = response.responses.iter().flat_map(|topic| {
            let name: Arc<str> = Arc::from(topic.topic_name.as_str());
            topic.partitions.iter().map(move |one| {
                ((Arc::clone(&name), one.partition_index), ErrorCode::from(one.error_code).ok())
            })
        });
        let answer = ErrorCode::from(response.error_code).ok().map(|()| results.collect());
        answers.push((group, answer));
    }
    Ok(answers)
}

fn alter_request(group: &Arc<str>, starts: &[CommittedOffset]) -> AlterShareGroupOffsetsRequest {
    let mut topics: BTreeMap<&Arc<str>, Vec<AlterShareGroupOffsetsRequestPartition>> = BTreeMap::new();
    for one in starts {
        let partition = AlterShareGroupOffsetsRequestPartition::default()
            .with_partition_index(one.partition)
            .with_start_offset(one.offset);
        topics.entry(&one.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        let name = TopicName(StrBytes::from_string(topic.to_string()));
        AlterShareGroupOffsetsRequestTopic::default().with_topic_name(name).with_partitions(partitions)
    });
    AlterShareGroupOffsetsRequest::default().with_group_id(group_id(group)).with_topics(topics.collect())
}
