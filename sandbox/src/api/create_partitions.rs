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

#[cfg(test)]
mod tests {
    use kafka_protocol::ResponseError;
    use kafka_protocol::messages::create_partitions_request::CreatePartitionsAssignment;
    use kafka_protocol::messages::{BrokerId, TopicName};

    use super::*;
    use crate::api::testing::{Bench, ask};

    async fn grow(bench: &Bench, version: i16, name: &str, count: i32, replicas: &[&[i32]]) -> i16 {
        let assign = |ids: &&[i32]| {
            CreatePartitionsAssignment::default().with_broker_ids(ids.iter().copied().map(BrokerId).collect())
        };
        let topic = CreatePartitionsTopic::default()
            .with_name(TopicName(text(name)))
            .with_count(count)
            .with_assignments((!replicas.is_empty()).then(|| replicas.iter().map(assign).collect()));
        let request = CreatePartitionsRequest::default().with_topics(vec![topic]);
        ask(bench, version, &request).await.results[0].error_code
    }

    #[tokio::test]
    async fn topics_grow_by_count_or_by_assignment() {
        let bench = Bench::with_topic(2);
        for version in 0..=3 {
            assert_eq!(grow(&bench, version, "t", i32::from(version) + 2, &[]).await, 0);
        }
        assert_eq!(grow(&bench, 3, "t", 6, &[&[2, 1]]).await, 0);
        assert_eq!(bench.peer.shared.cluster().topics["t"].partitions[5].replicas, [2, 1]);
        let unknown = ResponseError::UnknownTopicOrPartition.code();
        assert_eq!(grow(&bench, 3, "u", 6, &[]).await, unknown);
        assert_eq!(grow(&bench, 3, "t", 6, &[]).await, ResponseError::InvalidPartitions.code());
        let too_few = ResponseError::InvalidReplicaAssignment.code();
        assert_eq!(grow(&bench, 3, "t", 9, &[&[1]]).await, too_few);
    }
}
