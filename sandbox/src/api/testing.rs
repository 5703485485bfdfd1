//! Asks the APIs without sockets, for the tests of this module's files.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ApiKey, ProduceRequest, RequestHeader, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, Request};
use kmirror_protocol::wire::batch::BatchHeader;

use super::{Outcome, Peer, respond};
use crate::options::SandboxOptions;
use crate::shared::Shared;
use crate::state::{Cluster, NewTopic};

/// A cluster without sockets, asked at its broker 1 unless told otherwise.
pub(crate) struct Bench {
    pub(crate) peer: Peer,
}

impl Bench {
    /// Without other wishes all versions there are can be asked.
    pub(crate) fn new(mut options: SandboxOptions) -> Self {
        if options.versions.is_empty() {
            let all = [ApiKey::Produce, ApiKey::Metadata, ApiKey::ListOffsets];
            options.versions.extend(all.map(|api| (api, 0, i16::MAX)));
        }
        options.strict_frames = true;
        let address = |n: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, 9000 + n));
        let addresses: Vec<_> = (1..=options.brokers).map(address).collect();
        let shared = Arc::new(Shared::new(Cluster::new(options, &addresses)));
        Self { peer: Peer::new(1, shared) }
    }

    /// A bench with `brokers` brokers and topic `t` of one partition.
    pub(crate) fn with_topic(brokers: u16) -> Self {
        let bench = Self::new(SandboxOptions { brokers, ..SandboxOptions::default() });
        bench.create("t", 1);
        bench
    }

    pub(crate) fn create(&self, name: &str, partitions: i32) {
        let new =
            NewTopic { name: name.to_owned(), partitions, replication_factor: -1, ..NewTopic::default() };
        self.peer.shared.cluster().create_topic(&new).unwrap();
    }

    pub(crate) fn at(&self, broker: i32) -> Self {
        let shared = Arc::clone(&self.peer.shared);
        Self { peer: Peer::new(broker, shared) }
    }
}

/// Sends a request as a frame and reads the answer, to the last byte.
pub(crate) async fn ask<R: Request>(bench: &Bench, version: i16, request: &R) -> R::Response {
    let answer = ask_raw(bench, frame(version, request)).await.expect("an answer");
    read_answer::<R>(version, answer)
}

pub(crate) fn read_answer<R: Request>(version: i16, mut answer: Bytes) -> R::Response {
    assert_eq!(answer.get_i32(), 77, "correlation id");
    let api = ApiKey::try_from(R::KEY).unwrap();
    if api.response_header_version(version) >= 1 {
        assert_eq!(answer.get_u8(), 0, "no tagged fields in the header");
    }
    let response = R::Response::decode(&mut answer, version).unwrap();
    assert!(answer.is_empty(), "all of the answer is read");
    response
}

pub(crate) fn frame<R: Request>(version: i16, request: &R) -> Bytes {
    let api = ApiKey::try_from(R::KEY).unwrap();
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(77)
        .with_client_id(Some("bench".into()));
    let mut frame = BytesMut::new();
    header.encode(&mut frame, api.request_header_version(version)).unwrap();
    request.encode(&mut frame, version).unwrap();
    frame.freeze()
}

/// The answer to a frame; the error is why the broker hung up or kept silent.
pub(crate) async fn ask_raw(bench: &Bench, frame: Bytes) -> Result<Bytes, String> {
    match respond(&bench.peer, frame).await {
        Outcome::Send(chunks) => Ok(chunks.concat().into()),
        Outcome::SendAsIs(bytes) => Ok(bytes),
        Outcome::Silence => Err("silence".to_owned()),
        Outcome::HangUp(reason) => Err(reason),
    }
}

/// A batch of `records` records with empty values, as a producer without idempotence sends it.
pub(crate) fn batch(records: i32) -> (BatchHeader, Bytes) {
    let payload: Vec<u8> = (0..records)
        .flat_map(|delta| {
            assert!(delta < 64, "a varint of one byte");
            [12, 0, 0, u8::try_from(delta * 2).unwrap(), 1, 0, 0]
        })
        .collect();
    let header = BatchHeader {
        base_offset: 0,
        batch_length: 49 + i32::try_from(payload.len()).unwrap(),
        partition_leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: 0,
        last_offset_delta: records - 1,
        base_timestamp: 1000,
        max_timestamp: 1000,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: records,
    };
    (header.with_crc_over(&payload), payload.into())
}

/// `batch` with other header fields and a checksum that goes with them.
pub(crate) fn batch_with(records: i32, change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let (mut header, payload) = batch(records);
    change(&mut header);
    joined(&header.with_crc_over(&payload), &payload)
}

pub(crate) fn joined(header: &BatchHeader, payload: &Bytes) -> Bytes {
    [header.to_bytes().as_slice(), payload].concat().into()
}

/// Produces `records` to a partition with `acks=all`; answers code and base offset.
pub(crate) async fn produce(bench: &Bench, topic: &str, partition: i32, records: Bytes) -> (i16, i64) {
    let response = ask(bench, 9, &produce_request(topic, partition, records)).await;
    let partition = &response.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

pub(crate) fn produce_request(topic: &str, partition: i32, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(records));
    let topic =
        TopicProduceData::default().with_name(TopicName(super::text(topic))).with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(-1)
        .with_timeout_ms(1000)
        .with_topic_data(vec![topic])
}
