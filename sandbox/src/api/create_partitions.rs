//! CreatePartitions (KIP-195).

use kafka_protocol::messages::CreatePartitionsRequest;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};

use super::{Answer, Api, Call, text};

pub(super) struct CreatePartitions;

impl Api for CreatePartitions {
    type Request = CreatePartitionsRequest;

    fn refuse(request: &CreatePartitionsRequest, _: i16, code: i16) -> CreatePartitionsResponse {
        let results = request.topics.iter().map(|topic| result(topic).with_error_code(code));
        CreatePartitionsResponse::default().with_results(results.collect())
    }

    async fn answer(call: &Call<'_>, request: CreatePartitionsRequest) -> Answer {
        let mut cluster = call.peer.shared.cluster();
        let results = request.topics.iter().map(|topic| {
            let assignments: Vec<Vec<i32>> = topic
                .assignments
                .iter()
                .flatten()
                .map(|assignment| assignment.broker_ids.iter().map(|id| **id).collect())
                .collect();
            let grown = cluster.grow_topic(&topic.name, topic.count, &assignments, request.validate_only);
            match grown {
                Ok(()) => result(topic),
                Err(refusal) => result(topic)
                    .with_error_code(refusal.error.code())
                    .with_error_message(refusal.message.as_deref().map(text)),
            }
        });
        let results = results.collect();
        call.body(&CreatePartitionsResponse::default().with_results(results))
    }
}

fn result(topic: &CreatePartitionsTopic) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult::default().with_name(topic.name.clone())
}
