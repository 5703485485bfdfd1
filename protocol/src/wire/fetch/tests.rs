//! Bytes against the message crate in every version, and the session against KIP-227.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_response::{
    self as kp, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use kafka_protocol::messages::{self, BrokerId, FetchRequest, ProducerId, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::*;
use crate::wire::api::ApiKey;
use crate::wire::error::WireError;

fn topic(name: &str, id: u128) -> TopicKey {
    TopicKey { name: name.into(), id: Uuid::from_u128(id) }
}

fn at(fetch_offset: i64) -> FetchPosition {
    FetchPosition {
        fetch_offset,
        current_leader_epoch: 3,
        last_fetched_epoch: 2,
        log_start_offset: -1,
        max_bytes: 1 << 20,
    }
}

fn params() -> FetchParams {
    FetchParams {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 4 << 20,
        isolation_level: IsolationLevel::ReadCommitted,
        rack: "r1".into(),
    }
}

fn parse(version: i16, body: Bytes) -> FetchRequest {
    let mut body = body;
    let request = FetchRequest::decode(&mut body, version).unwrap();
    assert!(body.is_empty(), "version {version} leaves bytes over");
    request
}

/// The partitions of a request with their positions, and those it forgets.
type Listed = (Vec<(String, i32, i64)>, Vec<(String, i32)>);

fn listed(version: i16, body: Bytes) -> Listed {
    let name =
        |name: &TopicName, id: Uuid| if version < 13 { name.to_string() } else { id.as_u128().to_string() };
    let request = parse(version, body);
    let wanted = request.topics.iter().flat_map(|topic| {
        let name = name(&topic.topic, topic.topic_id);
        topic.partitions.iter().map(move |p| (name.clone(), p.partition, p.fetch_offset))
    });
    let forgotten = request.forgotten_topics_data.iter().flat_map(|topic| {
        let name = name(&topic.topic, topic.topic_id);
        topic.partitions.iter().map(move |p| (name.clone(), *p))
    });
    (wanted.collect(), forgotten.collect())
}

fn empty_answer(version: i16, session_id: i32, error: ErrorCode) -> Bytes {
    let mut out = BytesMut::new();
    messages::FetchResponse::default()
        .with_session_id(if version >= 7 { session_id } else { 0 })
        .with_error_code(if version >= 7 { error.code() } else { 0 })
        .encode(&mut out, version)
        .unwrap();
    out.freeze()
}

#[test]
fn requests_are_read_by_the_message_crate_in_every_version() {
    for version in ApiKey::Fetch.versions() {
        let mut session = FetchSession::new();
        session.set(&topic("a", 1), 0, at(10));
        session.set(&topic("a", 1), 5, at(50));
        session.set(&topic("b", 2), 1, at(70));
        let request = parse(version, session.build(version, &params()).unwrap());

        assert_eq!(request.replica_id, BrokerId(-1));
        assert_eq!((request.max_wait_ms, request.min_bytes, request.max_bytes), (500, 1, 4 << 20));
        assert_eq!(request.isolation_level, 1);
        assert_eq!(&*request.rack_id, if version >= 11 { "r1" } else { "" });
        assert_eq!(request.topics.len(), 2);
        let first = &request.topics[0];
        assert_eq!(&**first.topic, if version < 13 { "a" } else { "" });
        assert_eq!(first.topic_id.as_u128(), if version < 13 { 0 } else { 1 });
        let partition = &first.partitions[1];
        assert_eq!((partition.partition, partition.fetch_offset), (5, 50));
        assert_eq!(partition.partition_max_bytes, 1 << 20);
        assert_eq!(partition.current_leader_epoch, if version >= 9 { 3 } else { -1 });
        assert_eq!(partition.last_fetched_epoch, if version >= 12 { 2 } else { -1 });
        assert_eq!(partition.log_start_offset, -1);
    }
}

/// A response with every field that the version has, and some that no reader wants.
fn full_answer(version: i16) -> messages::FetchResponse {
    let mut data = PartitionData::default()
        .with_partition_index(5)
        .with_error_code(0)
        .with_high_watermark(100)
        .with_last_stable_offset(90)
        .with_aborted_transactions(Some(vec![
            kp::AbortedTransaction::default().with_producer_id(ProducerId(7)).with_first_offset(60),
        ]))
        .with_records(Some(Bytes::from_static(b"records")));
    if version >= 5 {
        data = data.with_log_start_offset(4);
    }
    if version >= 11 {
        data = data.with_preferred_read_replica(BrokerId(2));
    }
    if version >= 12 {
        data = data
            .with_diverging_epoch(EpochEndOffset::default().with_epoch(1).with_end_offset(33))
            .with_current_leader(LeaderIdAndEpoch::default().with_leader_id(BrokerId(1)).with_leader_epoch(4))
            .with_unknown_tagged_field(9, Bytes::from_static(b"later"));
    }
    let failed = PartitionData::default().with_partition_index(6).with_error_code(6).with_records(None);
    let mut topic = FetchableTopicResponse::default().with_partitions(vec![data, failed]);
    if version < 13 {
        topic = topic.with_topic(TopicName(StrBytes::from_static_str("a")));
    } else {
        topic = topic.with_topic_id(Uuid::from_u128(1));
    }
    let mut answer = messages::FetchResponse::default().with_throttle_time_ms(12).with_responses(vec![topic]);
    if version >= 7 {
        answer = answer.with_session_id(44);
    }
    if version >= 16 {
        let endpoint = NodeEndpoint::default()
            .with_node_id(BrokerId(1))
            .with_host(StrBytes::from_static_str("h"))
            .with_port(9);
        answer = answer.with_node_endpoints(vec![endpoint]);
    }
    answer
}

/// A response for topic `a`, for the tests of all APIs.
pub(crate) fn sample_response(version: i16) -> Bytes {
    encoded(&full_answer(version), version)
}

fn encoded(answer: &messages::FetchResponse, version: i16) -> Bytes {
    let mut out = BytesMut::new();
    answer.encode(&mut out, version).unwrap();
    out.freeze()
}

fn asking(version: i16) -> FetchSession {
    let mut session = FetchSession::new();
    session.set(&topic("a", 1), 5, at(50));
    session.build(version, &params()).unwrap();
    session
}

#[test]
fn responses_of_the_message_crate_are_read_in_every_version() {
    for version in ApiKey::Fetch.versions() {
        let body = encoded(&full_answer(version), version);
        let answer = asking(version).accept(version, body.clone()).unwrap();
        assert_eq!(answer.throttle_time_ms, 12);
        assert_eq!(answer.partitions.len(), 2);
        let read = &answer.partitions[0];
        assert_eq!((&*read.topic, read.partition, read.error), ("a", 5, ErrorCode::None));
        assert_eq!((read.high_watermark, read.last_stable_offset), (100, 90));
        assert_eq!(read.log_start_offset, if version >= 5 { 4 } else { -1 });
        assert_eq!(read.aborted, [AbortedTransaction { producer_id: 7, first_offset: 60 }]);
        assert_eq!(read.preferred_read_replica, if version >= 11 { 2 } else { -1 });
        assert_eq!(read.diverging_epoch, (version >= 12).then_some(EpochEnd { epoch: 1, end_offset: 33 }));
        assert_eq!(read.records, "records");
        let within = body.as_ptr_range();
        assert!(within.contains(&read.records.as_ptr()), "records are not copied");
        assert_eq!(answer.partitions[1].error, ErrorCode::NotLeaderOrFollower);
        assert!(answer.partitions[1].records.is_empty());
        assert_eq!(answer.partitions[1].diverging_epoch, None);
    }
}

#[test]
fn cut_and_overlong_responses_are_errors_and_restart_the_session() {
    for version in ApiKey::Fetch.versions() {
        let body = encoded(&full_answer(version), version);
        for len in 0..body.len() {
            let mut session = asking(version);
            assert!(session.accept(version, body.slice(..len)).is_err(), "version {version} cut at {len}");
            assert!(!session.is_incremental());
        }
        let mut longer = BytesMut::from(&body[..]);
        longer.extend_from_slice(&[0]);
        let error = asking(version).accept(version, longer.freeze()).unwrap_err();
        let WireError::In { source, .. } = error else { panic!("{error:?}") };
        assert_eq!(*source, WireError::LeftOver { bytes: 1 });
    }
}

#[test]
fn a_topic_that_was_not_asked_for_is_an_error() {
    for version in [4, 12, 13] {
        let mut session = FetchSession::new();
        session.set(&topic("other", 9), 5, at(0));
        session.build(version, &params()).unwrap();
        assert!(session.accept(version, encoded(&full_answer(version), version)).is_err());
    }
}

#[test]
fn a_session_tells_only_what_changed() {
    for version in [7, 12, 17] {
        let (a, b) = (topic("1", 1), topic("2", 2));
        let mut session = FetchSession::new();
        session.set(&a, 0, at(0));
        session.set(&a, 1, at(0));
        session.set(&b, 0, at(0));
        assert_eq!(listed(version, session.build(version, &params()).unwrap()).0.len(), 3);
        session.accept(version, empty_answer(version, 44, ErrorCode::None)).unwrap();
        assert!(session.is_incremental());

        session.set(&a, 1, at(7));
        session.set(&a, 0, at(0));
        session.remove(&b, 0);
        let body = session.build(version, &params()).unwrap();
        let request = parse(version, body.clone());
        assert_eq!((request.session_id, request.session_epoch), (44, 1));
        assert_eq!(listed(version, body), (vec![("1".into(), 1, 7)], vec![("2".into(), 0)]));
        session.accept(version, empty_answer(version, 44, ErrorCode::None)).unwrap();

        let body = session.build(version, &params()).unwrap();
        assert_eq!(parse(version, body.clone()).session_epoch, 2);
        assert_eq!(listed(version, body), (vec![], vec![]));
    }
}

#[test]
fn a_partition_wanted_again_before_it_was_forgotten_stays() {
    let a = topic("1", 1);
    let mut session = FetchSession::new();
    session.set(&a, 0, at(0));
    session.build(17, &params()).unwrap();
    session.accept(17, empty_answer(17, 44, ErrorCode::None)).unwrap();
    session.remove(&a, 0);
    session.set(&a, 0, at(5));
    assert_eq!(listed(17, session.build(17, &params()).unwrap()), (vec![("1".into(), 0, 5)], vec![]));
}

#[test]
fn a_recreated_topic_replaces_the_old_one() {
    for version in [12, 17] {
        let mut session = FetchSession::new();
        session.set(&topic("t", 1), 0, at(100));
        session.set(&topic("t", 1), 1, at(100));
        session.build(version, &params()).unwrap();
        session.accept(version, empty_answer(version, 44, ErrorCode::None)).unwrap();
        session.set(&topic("t", 2), 0, at(0));
        assert_eq!(session.len(), 1);
        let (wanted, forgotten) = listed(version, session.build(version, &params()).unwrap());
        if version < 13 {
            assert_eq!(wanted, [("t".into(), 0, 0)]);
            assert_eq!(forgotten, [("t".into(), 1)], "partition 0 must not be forgotten: removals come last");
        } else {
            assert_eq!(wanted, [("2".into(), 0, 0)]);
            assert_eq!(forgotten, [("1".into(), 0), ("1".into(), 1)]);
        }
    }
}

#[test]
fn an_answer_may_speak_of_a_topic_removed_meanwhile() {
    for version in ApiKey::Fetch.versions() {
        let mut session = asking(version);
        session.remove(&topic("a", 1), 5);
        session.set(&topic("a", 2), 0, at(0));
        session.accept(version, encoded(&full_answer(version), version)).unwrap();
    }
}

#[test]
fn lost_sessions_begin_anew() {
    for (error, id) in [
        (ErrorCode::FetchSessionIdNotFound, 0),
        (ErrorCode::InvalidFetchSessionEpoch, 44),
        (ErrorCode::FetchSessionTopicIdError, 44),
    ] {
        let mut session = FetchSession::new();
        session.set(&topic("a", 1), 0, at(0));
        session.set(&topic("a", 1), 1, at(0));
        session.build(17, &params()).unwrap();
        session.accept(17, empty_answer(17, 44, ErrorCode::None)).unwrap();
        session.build(17, &params()).unwrap();
        assert_eq!(session.accept(17, empty_answer(17, 0, error)).unwrap().error, error);
        let request = parse(17, session.build(17, &params()).unwrap());
        assert_eq!((request.session_id, request.session_epoch), (id, 0));
        assert_eq!(request.topics[0].partitions.len(), 2, "everything is listed again");
    }
}

#[test]
fn an_unanswered_request_begins_the_session_anew() {
    let mut session = FetchSession::new();
    session.set(&topic("a", 1), 0, at(0));
    session.build(17, &params()).unwrap();
    session.accept(17, empty_answer(17, 44, ErrorCode::None)).unwrap();
    session.set(&topic("a", 1), 0, at(9));
    session.build(17, &params()).unwrap();
    let body = session.build(17, &params()).unwrap();
    assert_eq!(parse(17, body.clone()).session_epoch, 0);
    assert_eq!(listed(17, body).0, [("1".into(), 0, 9)]);
}

#[test]
fn without_sessions_every_request_is_full_and_begins_elsewhere() {
    for (version, id) in [(4, 44), (7, 0), (17, 0)] {
        let mut session = FetchSession::new();
        session.set(&topic("1", 1), 0, at(0));
        session.set(&topic("2", 2), 0, at(0));
        for first in ["1", "2", "1"] {
            let (wanted, _) = listed(version, session.build(version, &params()).unwrap());
            assert_eq!(wanted.len(), 2);
            assert_eq!(wanted[0].0, first);
            session.accept(version, empty_answer(version, id, ErrorCode::None)).unwrap();
            assert!(!session.is_incremental() || version < 7);
        }
    }
}

#[test]
fn a_topic_without_id_keeps_to_names() {
    let (with, without) = (topic("a", 1), topic("b", 0));
    let mut session = FetchSession::new();
    session.set(&with, 0, at(0));
    assert_eq!(session.version(17), 17);
    session.set(&without, 0, at(0));
    assert_eq!((session.version(17), session.version(9)), (12, 9));
    assert!(session.build(17, &params()).is_err());
    let request = parse(12, session.build(12, &params()).unwrap());
    assert_eq!(request.topics.len(), 2);
    session.accept(12, empty_answer(12, 44, ErrorCode::None)).unwrap();
    session.remove(&without, 0);
    assert_eq!(session.version(17), 17);
    let request = parse(17, session.build(17, &params()).unwrap());
    assert_eq!((request.session_id, request.session_epoch), (44, 0), "the session by names is closed");
}

#[test]
fn the_epoch_wraps_to_one() {
    let mut session = FetchSession::new();
    session.set(&topic("a", 1), 0, at(0));
    session.build(17, &params()).unwrap();
    session.accept(17, empty_answer(17, 44, ErrorCode::None)).unwrap();
    session.set_epoch_for_test(i32::MAX);
    session.build(17, &params()).unwrap();
    session.accept(17, empty_answer(17, 44, ErrorCode::None)).unwrap();
    assert_eq!(parse(17, session.build(17, &params()).unwrap()).session_epoch, 1);
}
