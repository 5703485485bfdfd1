//! Bytes against the message crate in every version.

use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{self, BrokerId, ProduceRequest, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::*;

fn entry(topic: &str, id: u128, partition: i32, payload: &'static [u8]) -> ProduceEntry {
    ProduceEntry {
        topic: topic.into(),
        topic_id: Uuid::from_u128(id),
        partition,
        header: [u8::try_from(partition).unwrap(); BATCH_HEADER_LEN],
        payload: Bytes::from_static(payload),
    }
}

#[test]
fn requests_are_read_by_the_message_crate_in_every_version() {
    let entries = [
        entry("b", 2, 3, b"three"),
        entry("a", 1, 0, b"zero"),
        entry("b", 2, 4, b""),
        entry("a", 1, 200, &[9; 300]),
    ];
    for version in ApiKey::Produce.versions() {
        let chunks = encode(version, None, -1, 30_000, &entries).unwrap();
        let mut body = Bytes::from(chunks.concat());
        let request = ProduceRequest::decode(&mut body, version).unwrap();
        assert!(body.is_empty(), "version {version}");
        assert_eq!((request.acks, request.timeout_ms), (-1, 30_000));
        assert_eq!(request.transactional_id, None);
        assert_eq!(request.topic_data.len(), 2);
        for entry in &entries {
            let by_name = |name: &TopicName| version < 13 && name.as_str() == &*entry.topic;
            let topic = request
                .topic_data
                .iter()
                .find(|t| by_name(&t.name) || (version >= 13 && t.topic_id == entry.topic_id))
                .unwrap();
            let partition = topic.partition_data.iter().find(|p| p.index == entry.partition).unwrap();
            let records = partition.records.as_ref().unwrap();
            assert_eq!(records[..BATCH_HEADER_LEN], entry.header);
            assert_eq!(records[BATCH_HEADER_LEN..], entry.payload[..]);
        }
    }
}

#[test]
fn payloads_are_not_copied() {
    let payload = Bytes::from(vec![7; 1000]);
    let entries = [ProduceEntry { payload: payload.clone(), ..entry("a", 1, 0, b"") }];
    let chunks = encode(9, None, 1, 1, &entries).unwrap();
    assert!(chunks.iter().any(|chunk| chunk.as_ptr() == payload.as_ptr()));
}

#[test]
fn a_topic_without_id_keeps_to_names() {
    let entries = [entry("a", 1, 0, b"x"), entry("b", 0, 0, b"x")];
    assert_eq!(version(13, &entries), 12);
    assert_eq!(version(9, &entries), 9);
    assert_eq!(version(13, &entries[..1]), 13);
    assert!(encode(13, None, -1, 1, &entries).is_err());
}

fn answer(version: i16) -> messages::ProduceResponse {
    let mut partition = PartitionProduceResponse::default()
        .with_index(3)
        .with_error_code(87)
        .with_base_offset(1234)
        .with_log_append_time_ms(55);
    if version >= 5 {
        partition = partition.with_log_start_offset(11);
    }
    if version >= 8 {
        partition = partition
            .with_record_errors(vec![
                BatchIndexAndErrorMessage::default()
                    .with_batch_index(1)
                    .with_batch_index_error_message(Some(StrBytes::from_static_str("first"))),
            ])
            .with_error_message(Some(StrBytes::from_static_str("refused")));
    }
    if version >= 10 {
        let leader = LeaderIdAndEpoch::default().with_leader_id(BrokerId(2)).with_leader_epoch(7);
        partition = partition.with_current_leader(leader);
    }
    let fine = PartitionProduceResponse::default().with_index(4);
    let mut topic = TopicProduceResponse::default().with_partition_responses(vec![partition, fine]);
    if version < 13 {
        topic = topic.with_name(TopicName(StrBytes::from_static_str("a")));
    } else {
        topic = topic.with_topic_id(Uuid::from_u128(1));
    }
    let mut answer =
        messages::ProduceResponse::default().with_responses(vec![topic]).with_throttle_time_ms(9);
    if version >= 10 {
        let endpoint = NodeEndpoint::default().with_node_id(BrokerId(2)).with_port(9);
        answer = answer.with_node_endpoints(vec![endpoint]);
    }
    answer
}

pub(crate) fn encoded(version: i16) -> Bytes {
    let mut out = BytesMut::new();
    answer(version).encode(&mut out, version).unwrap();
    out.freeze()
}

#[test]
fn responses_of_the_message_crate_are_read_in_every_version() {
    for version in ApiKey::Produce.versions() {
        let read = decode(version, encoded(version)).unwrap();
        assert_eq!(read.throttle_time_ms, 9);
        let [refused, fine] = &read.partitions[..] else { panic!("{read:?}") };
        assert_eq!(refused.error, ErrorCode::InvalidRecord);
        assert_eq!((refused.partition, refused.base_offset, refused.log_append_time), (3, 1234, 55));
        assert_eq!(refused.log_start_offset, if version >= 5 { 11 } else { -1 });
        assert_eq!(refused.message.as_deref(), (version >= 8).then_some("refused"));
        assert_eq!((fine.partition, fine.error), (4, ErrorCode::None));
        assert!(refused.answers(&entry("a", 1, 3, b"")));
        assert!(!refused.answers(&entry("a", 1, 4, b"")) && !refused.answers(&entry("b", 2, 3, b"")));
    }
}

#[test]
fn cut_and_overlong_responses_are_errors() {
    for version in ApiKey::Produce.versions() {
        let body = encoded(version);
        for len in 0..body.len() {
            assert!(decode(version, body.slice(..len)).is_err(), "version {version} cut at {len}");
        }
        let mut longer = BytesMut::from(&body[..]);
        longer.put_u8(0);
        assert!(decode(version, longer.freeze()).is_err());
    }
}
