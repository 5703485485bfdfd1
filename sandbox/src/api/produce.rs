//! Produce: batches into logs (KIP-98, KIP-110, KIP-467 for error messages, KIP-951 for the new leader).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{BrokerId, ProduceRequest};

use super::{Answer, Api, Call, text};
use crate::shared::lock;
use crate::state::validate::{Inspected, RawBatch, Refusal, single_batch};
use crate::state::{Append, Appended, Cluster};

/// First version in which topics are named by their ids (KIP-516).
const TOPIC_ID_FROM_VERSION: i16 = 13;

/// First version with the new leader in the answer (KIP-951).
const LEADER_FROM_VERSION: i16 = 10;

/// First version with error messages (KIP-467).
const MESSAGE_FROM_VERSION: i16 = 8;

pub(super) struct Produce;

impl Api for Produce {
    type Request = ProduceRequest;

    fn refuse(request: &ProduceRequest, _: i16, code: i16) -> ProduceResponse {
        each_partition(request, |_, partition| failed(partition, code))
    }

    async fn answer(call: &Call<'_>, request: ProduceRequest) -> Answer {
        let response = apply(call, &request);
        if request.acks != 0 {
            return call.body(&response);
        }
        // A producer that wants no answer learns of an error by losing its connection.
        match response
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses)
            .find(|p| p.error_code != 0)
        {
            Some(failed) => Answer::HangUp(format!("error {} without acknowledgement", failed.error_code)),
            None => Answer::Silence,
        }
    }
}

fn apply(call: &Call<'_>, request: &ProduceRequest) -> ProduceResponse {
    if !(-1..=1).contains(&request.acks) {
        return Produce::refuse(request, call.version, ResponseError::InvalidRequiredAcks.code());
    }
    let batches: Vec<_> = request
        .topic_data
        .iter()
        .flat_map(|topic| &topic.partition_data)
        .map(|partition| open_batch(call, partition))
        .collect();
    let transactional = batches.iter().flatten().any(|(batch, _)| batch.is_transactional());
    if transactional && request.transactional_id.is_none() {
        return Produce::refuse(
            request,
            call.version,
            ResponseError::TransactionalIdAuthorizationFailed.code(),
        );
    }
    let mut cluster = call.peer.shared.cluster();
    let mut appending = Appending { call, request, batches: batches.into_iter(), cluster: &mut cluster };
    let topics = request.topic_data.iter().map(|topic| appending.topic(topic)).collect();
    let mut response = ProduceResponse::default().with_responses(topics);
    if call.version >= LEADER_FROM_VERSION {
        response.node_endpoints = appending.endpoints(&response);
    }
    response
}

/// A produced batch, and what a look into it has shown: found before the cluster is locked.
type Opened = (RawBatch, Result<Inspected, Refusal>);

fn open_batch(call: &Call<'_>, partition: &PartitionProduceData) -> Result<Opened, Refusal> {
    let batch = single_batch(&partition.records.clone().unwrap_or_default(), call.version)?;
    let mut inspector = call.peer.inspector.as_ref().map(|inspector| lock(inspector));
    let inspected = batch.inspect(inspector.as_deref_mut());
    Ok((batch, inspected))
}

/// Goes through a request partition by partition.
struct Appending<'a, B> {
    call: &'a Call<'a>,
    request: &'a ProduceRequest,
    /// The batch of each partition in the order of the request.
    batches: B,
    cluster: &'a mut Cluster,
}

impl<B: Iterator<Item = Result<Opened, Refusal>>> Appending<'_, B> {
    fn topic(&mut self, topic: &TopicProduceData) -> TopicProduceResponse {
        let name = match self.call.version {
            TOPIC_ID_FROM_VERSION.. => self.cluster.topic_name(topic.topic_id),
            _ => Some(topic.name.as_str().into()),
        };
        let partitions = topic.partition_data.iter().map(|partition| {
            let batch = self.batches.next().unwrap_or_else(|| Err(ResponseError::InvalidRecord.into()));
            let appended = match &name {
                Some(name) => batch.and_then(|batch| self.append(name, partition.index, &batch)),
                None => Err(ResponseError::UnknownTopicId.into()),
            };
            match appended {
                Ok(appended) => succeeded(partition, appended),
                Err(refusal) => self.refused(name.as_deref().unwrap_or_default(), partition, refusal),
            }
        });
        let partitions = partitions.collect();
        TopicProduceResponse::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partition_responses(partitions)
    }

    fn append(
        &mut self,
        topic: &str,
        partition: i32,
        (batch, inspected): &Opened,
    ) -> Result<Appended, Refusal> {
        let append = Append {
            batch,
            inspected,
            acks_all: self.request.acks == -1,
            transactional_id: self.request.transactional_id.as_deref().map(|id| id.as_str()),
            frame_len: self.call.frame_len,
            now_ms: self.call.peer.shared.now_ms(),
        };
        self.cluster.append(self.call.peer.broker, topic, partition, &append)
    }

    fn refused(
        &self,
        topic: &str,
        partition: &PartitionProduceData,
        refusal: Refusal,
    ) -> PartitionProduceResponse {
        let mut response = failed(partition, refusal.error.code());
        if self.call.version >= MESSAGE_FROM_VERSION {
            response.error_message = refusal.message.as_deref().map(text);
        }
        if self.call.version >= LEADER_FROM_VERSION
            && refusal.error == ResponseError::NotLeaderOrFollower
            && let Ok(partition) = self.cluster.partition(topic, partition.index)
        {
            response.current_leader = LeaderIdAndEpoch::default()
                .with_leader_id(BrokerId(partition.leader.unwrap_or(-1)))
                .with_leader_epoch(partition.leader_epoch);
        }
        response
    }

    /// Where to find the leaders that the response tells of.
    fn endpoints(&self, response: &ProduceResponse) -> Vec<NodeEndpoint> {
        let told = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        let leaders: Vec<i32> = told.map(|partition| *partition.current_leader.leader_id).collect();
        let named = self.cluster.live_brokers().filter(|(id, _)| leaders.contains(id));
        let endpoint = |(id, broker): (i32, &crate::state::brokers::Broker)| {
            NodeEndpoint::default()
                .with_node_id(BrokerId(id))
                .with_host(text(&broker.address.ip().to_string()))
                .with_port(broker.address.port().into())
                .with_rack(broker.rack.as_deref().map(text))
        };
        named.map(endpoint).collect()
    }
}

fn each_partition(
    request: &ProduceRequest,
    answer: impl Fn(&TopicProduceData, &PartitionProduceData) -> PartitionProduceResponse,
) -> ProduceResponse {
    let topics = request.topic_data.iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|partition| answer(topic, partition));
        TopicProduceResponse::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partition_responses(partitions.collect())
    });
    ProduceResponse::default().with_responses(topics.collect())
}

fn failed(partition: &PartitionProduceData, code: i16) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_index(partition.index)
        .with_error_code(code)
        .with_base_offset(-1)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(-1)
}

fn succeeded(partition: &PartitionProduceData, appended: Appended) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_index(partition.index)
        .with_base_offset(appended.base_offset)
        .with_log_append_time_ms(appended.log_append_time)
        .with_log_start_offset(appended.log_start_offset)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::api::testing::{Bench, ask, ask_raw, batch_with, frame, produce, produce_request};
    use crate::options::{SandboxOptions, WhenFull};

    fn code(error: ResponseError) -> i16 {
        error.code()
    }

    fn sequenced(epoch: i16, sequence: i32, records: i32) -> Bytes {
        batch_with(records, |header| {
            (header.producer_id, header.producer_epoch, header.base_sequence) = (7, epoch, sequence);
        })
    }

    #[tokio::test]
    async fn offsets_are_assigned_in_every_version() {
        let bench = Bench::with_topic(1);
        let id = bench.peer.shared.cluster().topics["t"].id;
        for version in 3..=13 {
            let mut request = produce_request("t", 0, batch_with(2, |_| {}));
            request.topic_data[0].topic_id = id;
            let response = ask(&bench, version, &request).await;
            let partition = &response.responses[0].partition_responses[0];
            assert_eq!(
                (partition.error_code, partition.base_offset),
                (0, i64::from(version - 3) * 2),
                "{version}"
            );
        }
        assert_eq!(bench.peer.shared.cluster().topics["t"].partitions[0].log.end_offset(), 22);
    }

    #[tokio::test]
    async fn a_duplicate_has_the_offset_of_the_original() {
        let bench = Bench::with_topic(1);
        assert_eq!(produce(&bench, "t", 0, sequenced(0, 1000, 3)).await, (0, 0));
        assert_eq!(produce(&bench, "t", 0, sequenced(0, 1003, 3)).await, (0, 3));
        assert_eq!(produce(&bench, "t", 0, sequenced(0, 1000, 3)).await, (0, 0));
        let out_of_order = (code(ResponseError::OutOfOrderSequenceNumber), -1);
        assert_eq!(produce(&bench, "t", 0, sequenced(0, 1007, 3)).await, out_of_order);
        assert_eq!(produce(&bench, "t", 0, sequenced(1, 0, 1)).await, (0, 6));
        let fenced = (code(ResponseError::InvalidProducerEpoch), -1);
        assert_eq!(produce(&bench, "t", 0, sequenced(0, 1006, 1)).await, fenced);
    }

    #[tokio::test]
    async fn only_the_leader_appends_and_others_name_it() {
        let bench = Bench::with_topic(2);
        let response = ask(&bench.at(2), 10, &produce_request("t", 0, batch_with(1, |_| {}))).await;
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, code(ResponseError::NotLeaderOrFollower));
        assert_eq!((*partition.current_leader.leader_id, response.node_endpoints.len()), (1, 1));
        let unknown = code(ResponseError::UnknownTopicOrPartition);
        assert_eq!(produce(&bench, "t", 1, batch_with(1, |_| {})).await.0, unknown);
        assert_eq!(produce(&bench, "u", 0, batch_with(1, |_| {})).await.0, unknown);
    }

    #[tokio::test]
    async fn acknowledgements() {
        let bench = Bench::with_topic(1);
        let good = |acks| produce_request("t", 0, batch_with(1, |_| {})).with_acks(acks);
        let response = ask(&bench, 9, &good(2)).await;
        let refused = response.responses[0].partition_responses[0].error_code;
        assert_eq!(refused, code(ResponseError::InvalidRequiredAcks));
        assert_eq!(ask_raw(&bench, frame(9, &good(0))).await, Err("silence".to_owned()));
        let bad = produce_request("u", 0, batch_with(1, |_| {})).with_acks(0);
        assert!(ask_raw(&bench, frame(9, &bad)).await.unwrap_err().contains("without acknowledgement"));
    }

    #[tokio::test]
    async fn too_few_in_sync() {
        let bench = Bench::with_topic(1);
        {
            let mut cluster = bench.peer.shared.cluster();
            cluster.topics.get_mut("t").unwrap().configs.set("min.insync.replicas", "2").unwrap();
        }
        let refused = (code(ResponseError::NotEnoughReplicas), -1);
        assert_eq!(produce(&bench, "t", 0, batch_with(1, |_| {})).await, refused);
        let one = produce_request("t", 0, batch_with(1, |_| {})).with_acks(1);
        assert_eq!(ask(&bench, 9, &one).await.responses[0].partition_responses[0].error_code, 0);
    }

    #[tokio::test]
    async fn a_transactional_batch_needs_its_transaction() {
        let bench = Bench::with_topic(1);
        let batch = || {
            batch_with(1, |header| {
                (header.attributes, header.producer_id, header.producer_epoch, header.base_sequence) =
                    (0x10, 7, 0, 0);
            })
        };
        let unnamed = code(ResponseError::TransactionalIdAuthorizationFailed);
        assert_eq!(produce(&bench, "t", 0, batch()).await.0, unnamed);
        let request = produce_request("t", 0, batch()).with_transactional_id(Some(text("x").into()));
        let response = ask(&bench, 9, &request).await;
        let refused = response.responses[0].partition_responses[0].error_code;
        assert_eq!(refused, code(ResponseError::InvalidProducerIdMapping));
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        for when_full in [WhenFull::DropOldest, WhenFull::Refuse] {
            let options = SandboxOptions { memory_bytes: 10_000, when_full, ..SandboxOptions::default() };
            let bench = Bench::new(options);
            bench.create("t", 2);
            let mut codes = Vec::new();
            for n in 0..200 {
                codes.push(produce(&bench, "t", i32::from(n > 20), batch_with(10, |_| {})).await.0);
            }
            let cluster = bench.peer.shared.cluster();
            let logs = || cluster.topics["t"].partitions.iter().map(|partition| &partition.log);
            assert!(logs().map(|log| log.footprint()).sum::<usize>() <= 10_000);
            match when_full {
                WhenFull::DropOldest => {
                    assert!(codes.iter().all(|code| *code == 0));
                    assert!(logs().all(|log| log.start_offset() > 0));
                }
                WhenFull::Refuse => {
                    assert_eq!(codes.last(), Some(&ResponseError::KafkaStorageError.code()));
                    assert!(logs().all(|log| log.start_offset() == 0));
                }
            }
        }
    }

    #[tokio::test]
    async fn ids_of_topics_that_are_gone_are_unknown() {
        let bench = Bench::with_topic(1);
        let mut request = produce_request("t", 0, batch_with(1, |_| {}));
        request.topic_data[0].topic_id = uuid::Uuid::from_u128(5);
        let response = ask(&bench, 13, &request).await;
        let refused = response.responses[0].partition_responses[0].error_code;
        assert_eq!(refused, code(ResponseError::UnknownTopicId));
    }
}
