//! DescribeProducers: what partitions remember of idempotent producers (KIP-664).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{DescribeProducersRequest, ProducerId};

use super::{Answer, Api, Call};
use crate::state::Cluster;

/// A request that does not know the leader's epoch.
const NO_EPOCH: i32 = -1;

pub(super) struct DescribeProducers;

impl Api for DescribeProducers {
    type Request = DescribeProducersRequest;

    fn refuse(request: &DescribeProducersRequest, _: i16, code: i16) -> DescribeProducersResponse {
        each_partition(request, |_, _| PartitionResponse::default().with_error_code(code))
    }

    async fn answer(call: &Call<'_>, request: DescribeProducersRequest) -> Answer {
        let cluster = call.peer.shared.cluster();
        call.body(&each_partition(&request, |topic, index| {
            describe(&cluster, call.peer.broker, topic, index)
                .unwrap_or_else(|error| PartitionResponse::default().with_error_code(error.code()))
        }))
    }
}

fn describe(
    cluster: &Cluster,
    broker: i32,
    topic: &str,
    index: i32,
) -> Result<PartitionResponse, ResponseError> {
    let log = &cluster.led_partition(broker, topic, index, NO_EPOCH)?.log;
    let producers = log.producers.iter().map(|(id, producer)| {
        ProducerState::default()
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(producer.epoch.into())
            .with_last_sequence(producer.last_sequence())
            .with_last_timestamp(producer.last_timestamp)
            .with_coordinator_epoch(producer.coordinator_epoch)
            .with_current_txn_start_offset(log.transactions.open_offset(id).unwrap_or(-1))
    });
    Ok(PartitionResponse::default().with_active_producers(producers.collect()))
}

fn each_partition(
    request: &DescribeProducersRequest,
    describe: impl Fn(&str, i32) -> PartitionResponse,
) -> DescribeProducersResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partition_indexes.iter();
        let partitions = partitions.map(|index| describe(&topic.name, *index).with_partition_index(*index));
        TopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    DescribeProducersResponse::default().with_topics(topics.collect())
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::TopicName;
    use kafka_protocol::messages::describe_producers_request::TopicRequest;

    use super::*;
    use crate::api::testing::{Bench, ask, batch_with, produce};
    use crate::api::text;

    #[tokio::test]
    async fn the_last_sequence_is_told() {
        let bench = Bench::with_topic(2);
        for sequence in [5, 8] {
            let batch = batch_with(3, |header| {
                (header.producer_id, header.producer_epoch, header.base_sequence) = (77, 2, sequence);
            });
            assert_eq!(produce(&bench, "t", 0, batch).await.0, 0);
        }
        produce(&bench, "t", 0, batch_with(1, |_| {})).await;
        let topic = |name: &str, indexes: &[i32]| {
            TopicRequest::default().with_name(TopicName(text(name))).with_partition_indexes(indexes.to_vec())
        };
        let request =
            DescribeProducersRequest::default().with_topics(vec![topic("t", &[0, 7]), topic("u", &[0])]);
        let response = ask(&bench, 0, &request).await;
        let [found, missing] = &response.topics[0].partitions[..] else { panic!("two partitions") };
        let [producer] = &found.active_producers[..] else { panic!("one producer") };
        assert_eq!((*producer.producer_id, producer.producer_epoch, producer.last_sequence), (77, 2, 10));
        assert_eq!((producer.last_timestamp, producer.current_txn_start_offset), (1000, -1));
        let unknown = ResponseError::UnknownTopicOrPartition.code();
        assert_eq!((missing.partition_index, missing.error_code), (7, unknown));
        assert_eq!(response.topics[1].partitions[0].error_code, unknown);
        let elsewhere = ask(&bench.at(2), 0, &request).await.topics[0].partitions[0].error_code;
        assert_eq!(elsewhere, ResponseError::NotLeaderOrFollower.code());
    }
    #[tokio::test]
    async fn a_truncated_log_remembers_what_is_left() {
        let bench = Bench::with_topic(1);
        let sequenced = |sequence| {
            batch_with(3, |header| {
                (header.producer_id, header.producer_epoch, header.base_sequence) = (77, 2, sequence);
            })
        };
        for sequence in [0, 3, 6] {
            produce(&bench, "t", 0, sequenced(sequence)).await;
        }
        bench.peer.shared.cluster().truncate("t", 0, 5).unwrap();
        assert_eq!(
            produce(&bench, "t", 0, sequenced(6)).await.0,
            ResponseError::OutOfOrderSequenceNumber.code()
        );
        assert_eq!(produce(&bench, "t", 0, sequenced(3)).await, (0, 3));
    }
}
