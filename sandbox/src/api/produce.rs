//! Produce: batches into logs (KIP-98, KIP-110, KIP-467 for error messages, KIP-951 for the new leader).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{BrokerId, ProduceRequest};

use super::{Answer, Api, Call, text};
use crate::shared::now_ms;
use crate::state::validate::{RawBatch, Refusal, single_batch};
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
        .map(|partition| single_batch(&partition.records.clone().unwrap_or_default(), call.version))
        .collect();
    let transactional = batches.iter().flatten().any(RawBatch::is_transactional);
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

/// Goes through a request partition by partition.
struct Appending<'a, B> {
    call: &'a Call<'a>,
    request: &'a ProduceRequest,
    /// The batch of each partition in the order of the request.
    batches: B,
    cluster: &'a mut Cluster,
}

impl<B: Iterator<Item = Result<RawBatch, Refusal>>> Appending<'_, B> {
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

    fn append(&mut self, topic: &str, partition: i32, batch: &RawBatch) -> Result<Appended, Refusal> {
        let append = Append {
            batch,
            acks_all: self.request.acks == -1,
            transactional_id: self.request.transactional_id.as_deref().map(|id| id.as_str()),
            frame_len: self.call.frame_len,
            now_ms: now_ms(),
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
