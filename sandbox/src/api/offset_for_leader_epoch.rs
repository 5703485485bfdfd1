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

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::TopicName;
    use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderTopic;

    use super::*;
    use crate::api::testing::{Bench, ask, batch_with, produce};
    use crate::api::text;

    async fn end(bench: &Bench, version: i16, epoch: i32, current: i32) -> (i16, i32, i64) {
        let partition =
            OffsetForLeaderPartition::default().with_leader_epoch(epoch).with_current_leader_epoch(current);
        let topic =
            OffsetForLeaderTopic::default().with_topic(TopicName(text("t"))).with_partitions(vec![partition]);
        let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
        let response = ask(bench, version, &request).await;
        let end = &response.topics[0].partitions[0];
        (end.error_code, end.leader_epoch, end.end_offset)
    }

    #[tokio::test]
    async fn epochs_end_where_the_next_begins() {
        let bench = Bench::with_topic(1);
        for _ in 0..3 {
            produce(&bench, "t", 0, batch_with(2, |_| {})).await;
        }
        bench.peer.shared.cluster().truncate("t", 0, 4).unwrap();
        produce(&bench, "t", 0, batch_with(5, |_| {})).await;
        for version in 2..=4 {
            assert_eq!(end(&bench, version, 0, -1).await, (0, 0, 4));
            assert_eq!(end(&bench, version, 1, 1).await, (0, 1, 9));
            assert_eq!(end(&bench, version, 2, 1).await, (0, -1, -1));
        }
        assert_eq!(end(&bench, 4, 0, 0).await.0, ResponseError::FencedLeaderEpoch.code());
    }
}
