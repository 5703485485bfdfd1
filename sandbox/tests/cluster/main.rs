//! A sandbox over its sockets: brokers that stop and come back, scripts, hostile bytes, and what is done to a cluster
//! without the protocol.

#![expect(clippy::unwrap_used, reason = "a test ends where something fails")]

mod brokers;
mod direct;
mod groups;
mod hostile;
mod link;
mod scripts;

use bytes::Bytes;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, ProduceRequest, TopicName};
use kmirror_protocol::wire::batch::{BatchHeader, Codec, Stamp};
use kmirror_protocol::wire::record::{NewRecord, build_batch};
use kmirror_sandbox::{Sandbox, SandboxOptions, TopicSpec};

/// A cluster with topic `t` of one partition with a replica on each broker.
async fn start(brokers: u16) -> Sandbox {
    let sandbox = Sandbox::start(SandboxOptions { brokers, ..SandboxOptions::default() }).await.unwrap();
    let replicas = i16::try_from(brokers).unwrap();
    sandbox.create_topic(&TopicSpec::new("t", 1).replication_factor(replicas)).unwrap();
    sandbox
}

/// A batch of `values`, ready to be produced.
fn batch(values: &[&'static str]) -> Bytes {
    stamped(values, Stamp::NONE)
}

fn stamped(values: &[&'static str], stamp: Stamp) -> Bytes {
    let record = |value: &&'static str| NewRecord {
        timestamp: 1000,
        value: Some(Bytes::from(*value)),
        ..NewRecord::default()
    };
    let records: Vec<_> = values.iter().map(record).collect();
    let built = build_batch(&records, Codec::Lz4).unwrap();
    [built.header.stamped(built.payload.len(), stamp).as_slice(), &built.payload].concat().into()
}

/// Offsets of the first and last record of each batch in a partition.
fn offsets(sandbox: &Sandbox, topic: &str) -> Vec<(i64, i64)> {
    let batches = sandbox.read_batches(topic, 0).unwrap();
    let headers = batches.iter().map(|batch| BatchHeader::parse(batch).unwrap());
    headers.map(|header| (header.base_offset, header.last_offset())).collect()
}

fn produce(batch: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_records(Some(batch));
    let topic = TopicProduceData::default()
        .with_name(TopicName("t".to_owned().into()))
        .with_partition_data(vec![data]);
    ProduceRequest::default().with_transactional_id(None).with_acks(-1).with_topic_data(vec![topic])
}

fn metadata() -> MetadataRequest {
    let topic = MetadataRequestTopic::default().with_name(Some(TopicName("t".to_owned().into())));
    MetadataRequest::default().with_topics(Some(vec![topic]))
}

/// Leader and leader epoch of `t`'s partition, and the brokers that are there.
fn told(response: &MetadataResponse) -> (i32, i32, Vec<i32>) {
    let partition = &response.topics[0].partitions[0];
    let brokers = response.brokers.iter().map(|broker| *broker.node_id).collect();
    (*partition.leader_id, partition.leader_epoch, brokers)
}
