//! ListOffsets: the offsets at the ends of partitions and at timestamps (KIP-79, KIP-734).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ListOffsetsRequest;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};

use super::{Answer, Api, Call};
use crate::state::Cluster;
use crate::state::log::{Log, ReadBound};
use crate::state::lookup;

/// Timestamps that ask for something else (`ListOffsetsRequest`).
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// First version with leader epochs.
const EPOCH_FROM_VERSION: i16 = 4;

pub(super) struct ListOffsets;

/// An offset and what belongs to it; -1 for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    offset: i64,
    timestamp: i64,
}

impl Api for ListOffsets {
    type Request = ListOffsetsRequest;

    fn refuse(request: &ListOffsetsRequest, _: i16, code: i16) -> ListOffsetsResponse {
        each_partition(request, |_, partition| failed(partition, code))
    }

    async fn answer(call: &Call<'_>, request: ListOffsetsRequest) -> Answer {
        let cluster = call.peer.shared.cluster();
        let bound =
            if request.isolation_level == 1 { ReadBound::LastStable } else { ReadBound::HighWatermark };
        call.body(&each_partition(&request, |topic, partition| {
            let answer = look_up(&cluster, call, topic, partition, bound);
            answer.unwrap_or_else(|error| failed(partition, error.code()))
        }))
    }
}

fn each_partition(
    request: &ListOffsetsRequest,
    answer: impl Fn(&str, &ListOffsetsPartition) -> ListOffsetsPartitionResponse,
) -> ListOffsetsResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| answer(&topic.name, partition));
        ListOffsetsTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn failed(partition: &ListOffsetsPartition, code: i16) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse::default()
        .with_partition_index(partition.partition_index)
        .with_error_code(code)
        .with_timestamp(-1)
        .with_offset(-1)
}

fn look_up(
    cluster: &Cluster,
    call: &Call<'_>,
    topic: &str,
    asked: &ListOffsetsPartition,
    bound: ReadBound,
) -> Result<ListOffsetsPartitionResponse, ResponseError> {
    let index = asked.partition_index;
    let partition = cluster.led_partition(call.peer.broker, topic, index, asked.current_leader_epoch)?;
    let found = find(&partition.log, asked.timestamp, bound)?;
    let response = ListOffsetsPartitionResponse::default()
        .with_partition_index(index)
        .with_timestamp(found.timestamp)
        .with_offset(found.offset);
    let epoch = if found.offset < partition.log.end_offset() {
        partition.log.epochs.of_offset(found.offset)
    } else {
        Some(partition.leader_epoch)
    };
    match epoch {
        Some(epoch) if call.version >= EPOCH_FROM_VERSION && found.offset >= 0 => {
            Ok(response.with_leader_epoch(epoch))
        }
        _ => Ok(response),
    }
}

fn find(log: &Log, timestamp: i64, bound: ReadBound) -> Result<Found, ResponseError> {
    let nothing = Found { offset: -1, timestamp: -1 };
    match timestamp {
        LATEST => Ok(Found { offset: log.bound(bound), ..nothing }),
        EARLIEST | EARLIEST_LOCAL => Ok(Found { offset: log.start_offset(), ..nothing }),
        LATEST_TIERED => Ok(nothing),
        MAX_TIMESTAMP => {
            let found =
                log.max_timestamp().and_then(|entry| lookup::at_or_after(entry, entry.max_timestamp, 0));
            Ok(found.map_or(nothing, |(offset, timestamp)| Found { offset, timestamp }))
        }
        negative if negative < 0 => Err(ResponseError::UnsupportedVersion),
        timestamp => {
            let entry = log.find_timestamp(timestamp);
            let found = entry.and_then(|entry| lookup::at_or_after(entry, timestamp, log.start_offset()));
            let visible = found.filter(|(offset, _)| *offset < log.bound(bound));
            Ok(visible.map_or(nothing, |(offset, timestamp)| Found { offset, timestamp }))
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::TopicName;
    use kafka_protocol::messages::list_offsets_request::ListOffsetsTopic;
    use kmirror_protocol::wire::batch::Codec;
    use kmirror_protocol::wire::record::{NewRecord, build_batch};

    use super::*;
    use crate::api::testing::{Bench, ask, joined, produce};
    use crate::api::text;

    async fn offset(bench: &Bench, version: i16, timestamp: i64) -> (i16, i64, i64) {
        let partition =
            ListOffsetsPartition::default().with_timestamp(timestamp).with_current_leader_epoch(-1);
        let topic =
            ListOffsetsTopic::default().with_name(TopicName(text("t"))).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_topics(vec![topic]);
        let response = ask(bench, version, &request).await;
        let found = &response.topics[0].partitions[0];
        (found.error_code, found.offset, found.timestamp)
    }

    /// Batches with timestamps 10, 20, 30 and 25, 15, 35, compressed.
    async fn bench() -> Bench {
        let bench = Bench::with_topic(2);
        for timestamps in [[10, 20, 30], [25, 15, 35]] {
            let record = |timestamp| NewRecord { timestamp, ..NewRecord::default() };
            let batch = build_batch(&timestamps.map(record), Codec::Zstd).unwrap();
            produce(&bench, "t", 0, joined(&batch.header, &batch.payload)).await;
        }
        bench
    }

    #[tokio::test]
    async fn ends_and_timestamps() {
        let bench = bench().await;
        for version in 1..=10 {
            assert_eq!(offset(&bench, version, LATEST).await, (0, 6, -1), "{version}");
            assert_eq!(offset(&bench, version, EARLIEST).await, (0, 0, -1));
            assert_eq!(offset(&bench, version, 11).await, (0, 1, 20));
            assert_eq!(offset(&bench, version, 31).await, (0, 5, 35));
            assert_eq!(offset(&bench, version, 36).await, (0, -1, -1));
        }
        assert_eq!(offset(&bench, 7, MAX_TIMESTAMP).await, (0, 5, 35));
        assert_eq!(offset(&bench, 8, EARLIEST_LOCAL).await, (0, 0, -1));
    }

    #[tokio::test]
    async fn records_before_the_start_are_not_found() {
        let bench = bench().await;
        bench.peer.shared.cluster().advance_start("t", 0, 2).unwrap();
        assert_eq!(offset(&bench, 9, EARLIEST).await, (0, 2, -1));
        assert_eq!(offset(&bench, 9, 0).await, (0, 2, 30));
    }

    #[tokio::test]
    async fn only_the_leader_answers() {
        let bench = bench().await;
        assert_eq!(offset(&bench.at(2), 9, LATEST).await.0, ResponseError::NotLeaderOrFollower.code());
    }
}
