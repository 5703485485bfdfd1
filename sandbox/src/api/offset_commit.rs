//! OffsetCommit: a group's positions.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::OffsetCommitRequest;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};

use super::{Answer, Api, Call, code_of};
use crate::group::Committed;
use crate::state::Cluster;

pub(super) struct OffsetCommit;

impl Api for OffsetCommit {
    type Request = OffsetCommitRequest;

    fn refuse(request: &OffsetCommitRequest, _: i16, code: i16) -> OffsetCommitResponse {
        each_partition(request, |_, _| code)
    }

    async fn answer(call: &Call<'_>, request: OffsetCommitRequest) -> Answer {
        let mut cluster = call.peer.shared.cluster();
        if let Err(error) = check(&mut cluster, call, &request) {
            return call.body(&Self::refuse(&request, call.version, error.code()));
        }
        call.body(&each_partition(&request, |topic, partition| {
            code_of(&commit(&mut cluster, &request.group_id, topic, partition))
        }))
    }
}

fn check(cluster: &mut Cluster, call: &Call<'_>, request: &OffsetCommitRequest) -> Result<(), ResponseError> {
    cluster.check_group(call.peer.broker, &request.group_id)?;
    let generation = request.generation_id_or_member_epoch;
    match cluster.groups.get_mut(&request.group_id) {
        Some(group) => {
            let instance = request.group_instance_id.as_deref();
            group.check_committer(&request.member_id, instance, generation, call.now())
        }
        None if generation < 0 => Ok(()),
        None => Err(ResponseError::IllegalGeneration),
    }
}

fn commit(
    cluster: &mut Cluster,
    group: &str,
    topic: &str,
    partition: &OffsetCommitRequestPartition,
) -> Result<(), ResponseError> {
    cluster.partition(topic, partition.partition_index)?;
    let committed = Committed {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.as_ref().map(|m| m.as_str().to_owned()).unwrap_or_default(),
    };
    committed.check()?;
    cluster.groups.open(group).offsets.commit((topic.to_owned(), partition.partition_index), committed);
    Ok(())
}

fn each_partition(
    request: &OffsetCommitRequest,
    mut code: impl FnMut(&str, &OffsetCommitRequestPartition) -> i16,
) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code(&topic.name, partition))
        });
        OffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}
