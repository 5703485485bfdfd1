//! OffsetFetch: a group's positions (KIP-447 stable ones, KIP-709 several groups at once).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{GroupId, OffsetFetchRequest, TopicName};

use super::{Answer, Api, Call, text};
use crate::group::{Group, OffsetKey};
use crate::state::Cluster;

/// First version that asks for several groups.
const SEVERAL_FROM_VERSION: i16 = 8;
/// First version with an error code for the whole answer.
const ERROR_FROM_VERSION: i16 = 2;

pub(super) struct OffsetFetch;

impl Api for OffsetFetch {
    type Request = OffsetFetchRequest;

    fn refuse(request: &OffsetFetchRequest, version: i16, code: i16) -> OffsetFetchResponse {
        if version >= SEVERAL_FROM_VERSION {
            let failed = |group: &OffsetFetchRequestGroup| {
                OffsetFetchResponseGroup::default()
                    .with_group_id(group.group_id.clone())
                    .with_error_code(code)
            };
            return OffsetFetchResponse::default().with_groups(request.groups.iter().map(failed).collect());
        }
        if version >= ERROR_FROM_VERSION {
            return OffsetFetchResponse::default().with_error_code(code);
        }
        let topics = request.topics.iter().flatten().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|index| {
                let nothing = OffsetFetchResponsePartitions::default().with_committed_offset(-1);
                single(nothing.with_partition_index(*index).with_error_code(code))
            });
            OffsetFetchResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        OffsetFetchResponse::default().with_topics(topics.collect())
    }

    async fn answer(call: &Call<'_>, request: OffsetFetchRequest) -> Answer {
        let cluster = call.peer.shared.cluster();
        let stable = request.require_stable;
        if call.version >= SEVERAL_FROM_VERSION {
            let groups = request.groups.iter().map(|asked| {
                let names = asked.topics.as_ref().map(|topics| {
                    topics.iter().flat_map(|topic| keys(&topic.name, &topic.partition_indexes)).collect()
                });
                group(&cluster, call, &asked.group_id, names, stable)
            });
            return call.body(&OffsetFetchResponse::default().with_groups(groups.collect()));
        }
        let names = request.topics.as_ref().map(|topics| {
            topics.iter().flat_map(|topic| keys(&topic.name, &topic.partition_indexes)).collect()
        });
        let found = group(&cluster, call, &request.group_id, names, stable);
        if found.error_code != 0 {
            return call.body(&Self::refuse(&request, call.version, found.error_code));
        }
        let topics = found.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.into_iter().map(single);
            OffsetFetchResponseTopic::default().with_name(topic.name).with_partitions(partitions.collect())
        });
        call.body(&OffsetFetchResponse::default().with_topics(topics.collect()))
    }
}

fn keys(topic: &str, partitions: &[i32]) -> Vec<OffsetKey> {
    partitions.iter().map(|partition| (topic.to_owned(), *partition)).collect()
}

/// The positions of a group; without `names` all of them.
fn group(
    cluster: &Cluster,
    call: &Call<'_>,
    id: &GroupId,
    names: Option<Vec<OffsetKey>>,
    stable: bool,
) -> OffsetFetchResponseGroup {
    let response = OffsetFetchResponseGroup::default().with_group_id(id.clone());
    if let Err(error) = cluster.check_group(call.peer.broker, id) {
        return response.with_error_code(error.code());
    }
    let group = cluster.groups.get(id);
    let keys = names.unwrap_or_else(|| {
        group.map(|group| group.offsets.iter().map(|(key, _)| key.clone()).collect()).unwrap_or_default()
    });
    let topics = keys.chunk_by(|a, b| a.0 == b.0).map(|keys| {
        let name = keys.first().map(|key| key.0.as_str()).unwrap_or_default();
        let partitions = keys.iter().map(|key| position(group, key, stable));
        OffsetFetchResponseTopics::default()
            .with_name(TopicName(text(name)))
            .with_partitions(partitions.collect())
    });
    response.with_topics(topics.collect())
}

fn position(group: Option<&Group>, key: &OffsetKey, stable: bool) -> OffsetFetchResponsePartitions {
    let nothing =
        OffsetFetchResponsePartitions::default().with_partition_index(key.1).with_committed_offset(-1);
    if stable && group.is_some_and(|group| group.offsets.is_unstable(key)) {
        return nothing.with_error_code(ResponseError::UnstableOffsetCommit.code());
    }
    match group.and_then(|group| group.offsets.get(key)) {
        Some(committed) => nothing
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(text(&committed.metadata))),
        None => nothing,
    }
}

/// The same as it is said of a single group.
fn single(partition: OffsetFetchResponsePartitions) -> OffsetFetchResponsePartition {
    OffsetFetchResponsePartition::default()
        .with_partition_index(partition.partition_index)
        .with_committed_offset(partition.committed_offset)
        .with_committed_leader_epoch(partition.committed_leader_epoch)
        .with_metadata(partition.metadata)
        .with_error_code(partition.error_code)
}
