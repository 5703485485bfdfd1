//! OffsetForLeaderEpoch: where a leader epoch ends (KIP-101, KIP-320).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::OffsetForLeaderEpochRequest;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

use super::{Answer, Api, Call};
use crate::state::Cluster;
use crate::state::epochs::EpochEnd;

/// What stands for an epoch, and an end, that are not known.
const UNDEFINED: EpochEnd = EpochEnd { epoch: -1, end_offset: -1 };

pub(super) struct OffsetForLeaderEpoch;

impl Api for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;

    fn refuse(request: &OffsetForLeaderEpochRequest, _: i16, code: i16) -> OffsetForLeaderEpochResponse {
        each_partition(request, |_, _| (code, UNDEFINED))
    }

    async fn answer(call: &Call<'_>, request: OffsetForLeaderEpochRequest) -> Answer {
        let cluster = call.peer.shared.cluster();
        call.body(&each_partition(&request, |topic, asked| {
            match look_up(&cluster, call.peer.broker, topic, asked) {
                Ok(end) => (0, end),
                Err(error) => (error.code(), UNDEFINED),
            }
        }))
    }
}

fn look_up(
    cluster: &Cluster,
    broker: i32,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<EpochEnd, ResponseError> {
    let log = &cluster.led_partition(broker, topic, asked.partition, asked.current_leader_epoch)?.log;
    Ok(log.epochs.end_of(asked.leader_epoch, log.end_offset()).unwrap_or(UNDEFINED))
}

fn each_partition(
    request: &OffsetForLeaderEpochRequest,
    answer: impl Fn(&str, &OffsetForLeaderPartition) -> (i16, EpochEnd),
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let (code, end) = answer(&topic.topic, partition);
            EpochEndOffset::default()
                .with_error_code(code)
                .with_partition(partition.partition)
                .with_leader_epoch(end.epoch)
                .with_end_offset(end.end_offset)
        });
        OffsetForLeaderTopicResult::default()
            .with_topic(topic.topic.clone())
            .with_partitions(partitions.collect())
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}
