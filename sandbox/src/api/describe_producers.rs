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
