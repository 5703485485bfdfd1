//! Offsets of partitions: the first, the last, by time, and where a leader epoch ends.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::by_leader::{Answers, TopicPartition, ask_leaders};
use super::cluster::Cluster;
use super::error::ClientError;
use crate::net::{Connection, NetError};
use crate::wire::error::ErrorCode;
use crate::wire::fetch::{EpochEnd, IsolationLevel};
use crate::wire::messages::parts::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::wire::messages::parts::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use crate::wire::messages::parts::{BrokerId, TopicName};
use crate::wire::messages::{ListOffsetsRequest, OffsetForLeaderEpochRequest, Request, StrBytes};

/// Which offset to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first there is.
    Earliest,
    /// The one behind the last: the high watermark, or the last stable offset when reading committed.
    Latest,
    /// The record with the largest timestamp (KIP-734, Kafka 3.0).
    MaxTimestamp,
    /// The first whose record is at least as young as this, in milliseconds since 1970.
    Timestamp(i64),
}

impl OffsetSpec {
    const fn on_the_wire(self) -> i64 {
        match self {
            Self::Earliest => -2,
            Self::Latest => -1,
            Self::MaxTimestamp => -3,
            Self::Timestamp(timestamp) => timestamp,
        }
    }
}

/// An offset that was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetAt {
    /// The offset; -1 where no record is young enough.
    pub offset: i64,
    /// The timestamp of its record, -1 where it was not looked up by time.
    pub timestamp: i64,
    /// The leader epoch of its record, -1 if unknown.
    pub leader_epoch: i32,
}

/// Partitions with what was looked up of them.
pub type Listed = Vec<(TopicPartition, Result<OffsetAt, ErrorCode>)>;

/// Looks up offsets at the partitions' leaders, counting all records. Each partition is answered, with its offset
/// or the code it failed with in the end.
///
/// # Errors
/// [`ClientError`] only when there is no metadata to be had.
pub async fn list_offsets(
    cluster: &Cluster,
    wanted: &[(Arc<str>, i32, OffsetSpec)],
) -> Result<Listed, ClientError> {
    list_offsets_at(cluster, wanted, IsolationLevel::ReadUncommitted).await
}

/// The offsets of those partitions that tell them.
///
/// # Errors
/// As [`list_offsets`].
pub async fn known_offsets(
    cluster: &Cluster,
    partitions: impl IntoIterator<Item = TopicPartition>,
    spec: OffsetSpec,
) -> Result<HashMap<TopicPartition, OffsetAt>, ClientError> {
    let wanted: Vec<_> = partitions.into_iter().map(|(topic, index)| (topic, index, spec)).collect();
    let answers = list_offsets(cluster, &wanted).await?.into_iter();
    Ok(answers.filter_map(|(partition, answer)| Some((partition, answer.ok()?))).collect())
}

/// [`list_offsets`] at an isolation level, which says what `Latest` means.
///
/// # Errors
/// As [`list_offsets`].
pub async fn list_offsets_at(
    cluster: &Cluster,
    wanted: &[(Arc<str>, i32, OffsetSpec)],
    isolation_level: IsolationLevel,
) -> Result<Listed, ClientError> {
    let questions = wanted.iter().map(|(topic, partition, spec)| ((Arc::clone(topic), *partition), *spec));
    let ask = move |connection, questions| ask_offsets(connection, questions, isolation_level, CONSUMER);
    ask_leaders(cluster, questions.collect(), ask).await
}

/// The ends of logs: behind the last record that the leader has, whether or not its followers have it, which a consumer
/// is not told. [`OffsetAt::leader_epoch`] is the leader's own.
///
/// # Errors
/// As [`list_offsets`].
pub async fn list_log_ends(cluster: &Cluster, partitions: &[TopicPartition]) -> Result<Listed, ClientError> {
    let questions = partitions.iter().map(|partition| (partition.clone(), OffsetSpec::Latest));
    let ask = |connection, questions| {
        ask_offsets(connection, questions, IsolationLevel::ReadUncommitted, DEBUGGING_CONSUMER)
    };
    ask_leaders(cluster, questions.collect(), ask).await
}

/// Who asks (`ListOffsetsRequest.CONSUMER_REPLICA_ID`).
const CONSUMER: BrokerId = BrokerId(-1);
/// Who is shown the log as the leader has it (`ListOffsetsRequest.DEBUGGING_REPLICA_ID`).
const DEBUGGING_CONSUMER: BrokerId = BrokerId(-2);

async fn ask_offsets(
    connection: Connection,
    questions: Vec<(TopicPartition, OffsetSpec)>,
    isolation_level: IsolationLevel,
    replica_id: BrokerId,
) -> Result<Answers<OffsetAt>, NetError> {
    let version = connection.version_for(ListOffsetsRequest::API).unwrap_or_default();
    // Before version 7 this would be taken for a time.
    let (unknown, questions): (Vec<_>, Vec<_>) =
        questions.into_iter().partition(|(_, spec)| *spec == OffsetSpec::MaxTimestamp && version < 7);
    let unknown = unknown.into_iter().map(|(partition, _)| (partition, Err(ErrorCode::UnsupportedVersion)));
    let topics = by_topic(&questions, |partition, spec| {
        ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(spec.on_the_wire())
    });
    let topics = topics
        .into_iter()
        .map(|(name, partitions)| ListOffsetsTopic::default().with_name(name).with_partitions(partitions));
    // Version 1 knows no isolation level, and no transactions either.
    let request = ListOffsetsRequest::default()
        .with_replica_id(replica_id)
        .with_isolation_level(if version >= 2 { isolation_level.level() } else { 0 })
        .with_topics(topics.collect());
    let response = connection.call(request).await?;
    let names = Names::of(&questions);
    let answers = response.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| {
            let offset = OffsetAt {
                offset: partition.offset,
                timestamp: partition.timestamp,
                leader_epoch: partition.leader_epoch,
            };
            let code = ErrorCode::from(partition.error_code);
            (names.partition(&topic.name, partition.partition_index), code.ok().map(|()| offset))
        })
    });
    Ok(answers.chain(unknown).collect())
}

/// Finds where leader epochs end (KIP-320): a reader whose last record has this epoch and lies at or beyond the
/// end has read what was truncated since. Brokers before 2.1 answer `UNSUPPORTED_VERSION`.
///
/// # Errors
/// [`ClientError`] only when there is no metadata to be had.
pub async fn end_offsets_of_epochs(
    cluster: &Cluster,
    wanted: &[(Arc<str>, i32, i32)],
) -> Result<Vec<(TopicPartition, Result<EpochEnd, ErrorCode>)>, ClientError> {
    let questions = wanted.iter().map(|(topic, partition, epoch)| ((Arc::clone(topic), *partition), *epoch));
    ask_leaders(cluster, questions.collect(), ask_epochs).await
}

async fn ask_epochs(
    connection: Connection,
    questions: Vec<(TopicPartition, i32)>,
) -> Result<Answers<EpochEnd>, NetError> {
    let topics = by_topic(&questions, |partition, epoch| {
        OffsetForLeaderPartition::default().with_partition(partition).with_leader_epoch(epoch)
    });
    let topics = topics.into_iter().map(|(name, partitions)| {
        OffsetForLeaderTopic::default().with_topic(name).with_partitions(partitions)
    });
    // Version 2 has no replica id; the default, that of a debugging client, may be left out.
    let request = OffsetForLeaderEpochRequest::default().with_topics(topics.collect());
    let response = connection.call(request).await?;
    let names = Names::of(&questions);
    let answers = response.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| {
            let end = EpochEnd { epoch: partition.leader_epoch, end_offset: partition.end_offset };
            let code = ErrorCode::from(partition.error_code);
            (names.partition(&topic.topic, partition.partition), code.ok().map(|()| end))
        })
    });
    Ok(answers.collect())
}

/// Groups questions by topic, as requests want them.
pub(super) fn by_topic<Q: Copy, P>(
    questions: &[(TopicPartition, Q)],
    part: impl Fn(i32, Q) -> P,
) -> BTreeMap<TopicName, Vec<P>> {
    let mut topics: BTreeMap<TopicName, Vec<P>> = BTreeMap::new();
    for ((topic, partition), question) in questions {
        let name = TopicName(StrBytes::from_string(topic.to_string()));
        topics.entry(name).or_default().push(part(*partition, *question));
    }
    topics
}

/// The names that were asked for, so that answers share them.
pub(super) struct Names(BTreeSet<Arc<str>>);

impl Names {
    pub(super) fn of<Q>(questions: &[(TopicPartition, Q)]) -> Self {
        Self(questions.iter().map(|((topic, _), _)| Arc::clone(topic)).collect())
    }

    pub(super) fn partition(&self, name: &TopicName, partition: i32) -> TopicPartition {
        let name = name.as_str();
        let known = self.0.get(name).map(Arc::clone);
        (known.unwrap_or_else(|| Arc::from(name)), partition)
    }
}
