//! DeleteRecords: moves log start offsets up (KIP-107).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_request::DeleteRecordsPartition;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};

use super::{Answer, Api, Call};
use crate::state::Cluster;

/// The offset that stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;

/// A request that does not know the leader's epoch.
const NO_EPOCH: i32 = -1;

pub(super) struct DeleteRecords;

impl Api for DeleteRecords {
    type Request = DeleteRecordsRequest;

    fn refuse(request: &DeleteRecordsRequest, _: i16, code: i16) -> DeleteRecordsResponse {
        each_partition(request, |_, _| Err(code))
    }

    async fn answer(call: &Call<'_>, request: DeleteRecordsRequest) -> Answer {
        let mut cluster = call.peer.shared.cluster();
        call.body(&each_partition(&request, |topic, partition| {
            delete(&mut cluster, call.peer.broker, topic, partition).map_err(|error| error.code())
        }))
    }
}

fn delete(
    cluster: &mut Cluster,
    broker: i32,
    topic: &str,
    asked: &DeleteRecordsPartition,
) -> Result<i64, ResponseError> {
    let end_offset = cluster.led_partition(broker, topic, asked.partition_index, NO_EPOCH)?.log.end_offset();
    let offset = if asked.offset == HIGH_WATERMARK { end_offset } else { asked.offset };
    if !(0..=end_offset).contains(&offset) {
        return Err(ResponseError::OffsetOutOfRange);
    }
    cluster.advance_start(topic, asked.partition_index, offset)
}

/// `low_watermark`: the new first offset, or an error's code.
fn each_partition(
    request: &DeleteRecordsRequest,
    mut low_watermark: impl FnMut(&str, &DeleteRecordsPartition) -> Result<i64, i16>,
) -> DeleteRecordsResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let deleted = low_watermark(&topic.name, partition);
            DeleteRecordsPartitionResult::default()
                .with_partition_index(partition.partition_index)
                .with_low_watermark(deleted.unwrap_or(-1))
                .with_error_code(deleted.err().unwrap_or_default())
        });
        DeleteRecordsTopicResult::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::TopicName;
    use kafka_protocol::messages::delete_records_request::DeleteRecordsTopic;

    use super::*;
    use crate::api::testing::{Bench, ask, batch_with, produce};
    use crate::api::text;

    async fn delete(bench: &Bench, version: i16, offset: i64) -> (i16, i64) {
        let partition = DeleteRecordsPartition::default().with_offset(offset);
        let topic =
            DeleteRecordsTopic::default().with_name(TopicName(text("t"))).with_partitions(vec![partition]);
        let response = ask(bench, version, &DeleteRecordsRequest::default().with_topics(vec![topic])).await;
        let result = &response.topics[0].partitions[0];
        (result.error_code, result.low_watermark)
    }

    #[tokio::test]
    async fn the_start_moves_up_and_never_back() {
        let bench = Bench::with_topic(2);
        for _ in 0..5 {
            produce(&bench, "t", 0, batch_with(2, |_| {})).await;
        }
        assert_eq!(delete(&bench, 0, 3).await, (0, 3));
        assert_eq!(delete(&bench, 1, 1).await, (0, 3));
        let out_of_range = (ResponseError::OffsetOutOfRange.code(), -1);
        assert_eq!(delete(&bench, 2, 11).await, out_of_range);
        assert_eq!(delete(&bench, 2, -2).await, out_of_range);
        assert_eq!(delete(&bench.at(2), 2, 4).await, (ResponseError::NotLeaderOrFollower.code(), -1));
        assert_eq!(delete(&bench, 2, HIGH_WATERMARK).await, (0, 10));
        // The log goes on where it was: how a mirror fills gaps.
        assert_eq!(produce(&bench, "t", 0, batch_with(1, |_| {})).await, (0, 10));
    }
}
