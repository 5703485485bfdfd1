//! AddPartitionsToTxn, as clients use it (versions 0 to 3; later ones are between brokers).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::AddPartitionsToTxnRequest;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResponse, AddPartitionsToTxnTopicResult,
};

use super::{Answer, Api, Call, code_of};
use crate::state::{Cluster, TransactionalProducer};

/// First version whose clients know PRODUCER_FENCED.
const FENCED_FROM_VERSION: i16 = 2;

pub(super) struct AddPartitionsToTxn;

impl Api for AddPartitionsToTxn {
    type Request = AddPartitionsToTxnRequest;

    fn refuse(request: &AddPartitionsToTxnRequest, _: i16, code: i16) -> AddPartitionsToTxnResponse {
        each_partition(request, |_, _| code)
    }

    async fn answer(call: &Call<'_>, request: AddPartitionsToTxnRequest) -> Answer {
        let mut cluster = call.peer.shared.cluster();
        let all = || {
            request.v3_and_below_topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|partition| (topic.name.as_str().to_owned(), *partition))
            })
        };
        // One unknown partition and nothing is attempted.
        let unknown = |cluster: &Cluster, topic: &str, index| cluster.partition(topic, index).is_err();
        if all().any(|(topic, index)| unknown(&cluster, &topic, index)) {
            return call.body(&each_partition(&request, |topic, index| {
                let error = match unknown(&cluster, topic, index) {
                    true => ResponseError::UnknownTopicOrPartition,
                    false => ResponseError::OperationNotAttempted,
                };
                error.code()
            }));
        }
        let id = request.v3_and_below_transactional_id.as_str();
        let producer = TransactionalProducer {
            transactional_id: id,
            producer_id: *request.v3_and_below_producer_id,
            producer_epoch: request.v3_and_below_producer_epoch,
        };
        let added = cluster
            .check_coordinator(call.peer.broker, id)
            .and_then(|()| cluster.add_partitions(producer, all(), call.now()));
        let code = code_of(&added.map_err(|error| known_fencing(error, call.version, FENCED_FROM_VERSION)));
        call.body(&Self::refuse(&request, call.version, code))
    }
}

/// PRODUCER_FENCED, or what it was called in versions before `from_version` (KIP-588).
pub(super) fn known_fencing(error: ResponseError, version: i16, from_version: i16) -> ResponseError {
    match error {
        ResponseError::ProducerFenced if version < from_version => ResponseError::InvalidProducerEpoch,
        error => error,
    }
}

fn each_partition(
    request: &AddPartitionsToTxnRequest,
    code: impl Fn(&str, i32) -> i16,
) -> AddPartitionsToTxnResponse {
    let topics = request.v3_and_below_topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|index| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*index)
                .with_partition_error_code(code(&topic.name, *index))
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.collect())
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(topics.collect())
}
