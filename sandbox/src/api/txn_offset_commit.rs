//! TxnOffsetCommit: a group's positions, valid once the transaction commits (KIP-447 for the member's generation).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::TxnOffsetCommitRequest;
use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestPartition;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};

use super::{Answer, Api, Call, code_of};
use crate::group::Committed;
use crate::state::Cluster;

pub(super) struct TxnOffsetCommit;

impl Api for TxnOffsetCommit {
    type Request = TxnOffsetCommitRequest;

    fn refuse(request: &TxnOffsetCommitRequest, _: i16, code: i16) -> TxnOffsetCommitResponse {
        each_partition(request, |_, _| code)
    }

    async fn answer(call: &Call<'_>, request: TxnOffsetCommitRequest) -> Answer {
        let mut cluster = call.peer.shared.cluster();
        if let Err(error) = check(&mut cluster, call, &request) {
            return call.body(&Self::refuse(&request, call.version, error.code()));
        }
        call.body(&each_partition(&request, |topic, partition| {
            code_of(&prepare(&mut cluster, &request, topic, partition))
        }))
    }
}

fn check(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: &TxnOffsetCommitRequest,
) -> Result<(), ResponseError> {
    cluster.check_group(call.peer.broker, &request.group_id)?;
    let says_nothing =
        request.generation_id < 0 && request.member_id.is_empty() && request.group_instance_id.is_none();
    match cluster.groups.get_mut(&request.group_id) {
        // Before KIP-447 a producer said nothing of the member that it commits for.
        _ if says_nothing => Ok(()),
        Some(group) => {
            let instance = request.group_instance_id.as_deref();
            group.check_committer(&request.member_id, instance, request.generation_id, call.now())
        }
        None => Err(ResponseError::IllegalGeneration),
    }
}

fn prepare(
    cluster: &mut Cluster,
    request: &TxnOffsetCommitRequest,
    topic: &str,
    partition: &TxnOffsetCommitRequestPartition,
) -> Result<(), ResponseError> {
    cluster.partition(topic, partition.partition_index)?;
    let committed = Committed {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.as_ref().map(|m| m.as_str().to_owned()).unwrap_or_default(),
    };
    committed.check()?;
    let key = (topic.to_owned(), partition.partition_index);
    cluster.groups.open(&request.group_id).offsets.prepare(*request.producer_id, key, committed);
    Ok(())
}

fn each_partition(
    request: &TxnOffsetCommitRequest,
    mut code: impl FnMut(&str, &TxnOffsetCommitRequestPartition) -> i16,
) -> TxnOffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code(&topic.name, partition))
        });
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}
