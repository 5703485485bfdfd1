//! Brokers that do what a test says.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::{FetchRequest, MetadataRequest, TopicName};
use kmirror_protocol::wire::batch::{Batch, Stamp};
use kmirror_sandbox::{ApiKey, ResponseError, Verdict};

use crate::link::Link;
use crate::{batch, metadata, offsets, produce, stamped, start, told};

#[tokio::test]
async fn errors_are_answered_as_often_as_wanted_and_nothing_is_done() {
    let sandbox = start(1).await;
    let mut link = Link::open(sandbox.address(1).unwrap()).await;
    let code = ResponseError::NotEnoughReplicas.code();
    sandbox.control_once(ApiKey::Produce, move |_| Verdict::AnswerError(code));
    let refused = link.ask(9, &produce(batch(&["a"]))).await.unwrap();
    assert_eq!(refused.responses[0].partition_responses[0].error_code, code);
    assert_eq!(sandbox.end_offset("t", 0).unwrap(), 0);
    let taken = link.ask(9, &produce(batch(&["a"]))).await.unwrap();
    assert_eq!(taken.responses[0].partition_responses[0].error_code, 0);

    let always = sandbox.control(ApiKey::Metadata, |request| {
        assert_eq!((request.version, request.client_id.as_deref()), (12, Some("link")));
        let asked = request.decode::<MetadataRequest>().unwrap().topics.unwrap();
        assert_eq!(asked[0].name.as_ref().map(|name| name.as_str()), Some("t"));
        assert!(request.decode::<FetchRequest>().is_none());
        Verdict::AnswerError(5)
    });
    for _ in 0..3 {
        assert_eq!(link.ask(12, &metadata()).await.unwrap().topics[0].error_code, 5);
    }
    sandbox.release(always);
    assert_eq!(link.ask(12, &metadata()).await.unwrap().topics[0].error_code, 0);
    assert_eq!(sandbox.requests(ApiKey::Metadata), 4);
}

#[tokio::test]
async fn one_broker_stalls_the_other_does_not() {
    let sandbox = start(2).await;
    sandbox.control(ApiKey::Metadata, |request| match (request.broker, request.earlier) {
        (2, 0) => Verdict::Stall(Duration::from_millis(200)),
        _ => Verdict::Default,
    });
    let mut links =
        [Link::open(sandbox.address(1).unwrap()).await, Link::open(sandbox.address(2).unwrap()).await];
    let begin = Instant::now();
    links[1].ask(12, &metadata()).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(200));
    links[0].ask(12, &metadata()).await.unwrap();
    assert_eq!((sandbox.requests_at(1, ApiKey::Metadata), sandbox.requests_at(2, ApiKey::Metadata)), (1, 1));
}

#[tokio::test]
async fn a_lost_answer_is_of_a_request_that_was_done() {
    let sandbox = start(1).await;
    let stamp = Stamp { producer_id: 5, producer_epoch: 0, base_sequence: 0, transactional: false };
    let address = sandbox.address(1).unwrap();
    for (verdict, end) in [(Verdict::CutLink, 0), (Verdict::LoseAnswer, 2)] {
        let mut verdict = Some(verdict);
        sandbox.control_once(ApiKey::Produce, move |_| verdict.take().unwrap_or(Verdict::Default));
        let mut link = Link::open(address).await;
        assert!(link.ask(9, &produce(stamped(&["a", "b"], stamp))).await.is_none());
        assert_eq!(sandbox.end_offset("t", 0).unwrap(), end);
    }
    let again = Link::open(address).await.ask(9, &produce(stamped(&["a", "b"], stamp))).await.unwrap();
    let partition = &again.responses[0].partition_responses[0];
    assert_eq!((partition.error_code, partition.base_offset), (0, 0));
    assert_eq!(offsets(&sandbox, "t"), [(0, 1)]);
}

#[tokio::test]
async fn bytes_that_are_no_answer() {
    let sandbox = start(1).await;
    let mut link = Link::open(sandbox.address(1).unwrap()).await;
    sandbox.control_once(ApiKey::Metadata, |_| Verdict::Body(Bytes::from_static(b"body")));
    let id = link.send(12, &metadata()).await;
    let frame = link.frame().await.unwrap();
    assert_eq!(frame, [&id.to_be_bytes()[..], b"\0body"].concat());
    sandbox.control_once(ApiKey::Metadata, |_| Verdict::Raw(Bytes::from_static(b"HTTP/1.1 400\r\n\r\n")));
    link.send(12, &metadata()).await;
    sandbox.control_once(ApiKey::Metadata, |_| Verdict::CutLink);
    link.send(12, &metadata()).await;
    assert_eq!(link.rest().await, b"HTTP/1.1 400\r\n\r\n");
}

#[tokio::test]
async fn a_lie_in_an_honest_answer() {
    let sandbox = start(1).await;
    sandbox.append("t", 0, &batch(&["a", "b"])).unwrap();
    let fetch = || {
        let topic = kafka_protocol::messages::fetch_request::FetchTopic::default()
            .with_topic(TopicName("t".to_owned().into()))
            .with_partitions(vec![
                kafka_protocol::messages::fetch_request::FetchPartition::default()
                    .with_partition_max_bytes(1000),
            ]);
        FetchRequest::default().with_max_bytes(1000).with_topics(vec![topic])
    };
    sandbox.control_once(ApiKey::Fetch, |_| {
        Verdict::Edit(Box::new(|mut body| {
            *body.last_mut().unwrap() ^= 1;
            body
        }))
    });
    let mut link = Link::open(sandbox.address(1).unwrap()).await;
    for damaged in [true, false] {
        let fetched = link.ask(4, &fetch()).await.unwrap();
        let records = fetched.responses[0].partitions[0].records.clone().unwrap();
        assert_eq!(Batch::parse(&records).unwrap().unwrap().verify_crc(), !damaged);
    }
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_a_row() {
    let sandbox = start(1).await;
    sandbox.control_once(ApiKey::Produce, |_| Verdict::Stall(Duration::from_millis(100)));
    let mut link = Link::open(sandbox.address(1).unwrap()).await;
    let first = link.send(9, &produce(batch(&["a"]))).await;
    let second = link.send(12, &metadata()).await;
    let third = link.send(9, &produce(batch(&["b"]))).await;
    let base_offset = |response: kafka_protocol::messages::ProduceResponse| {
        response.responses[0].partition_responses[0].base_offset
    };
    type Produce = kafka_protocol::messages::ProduceRequest;
    assert_eq!(base_offset(link.receive::<Produce>(9, first).await.unwrap()), 0);
    let told_second = link.receive::<MetadataRequest>(12, second).await.unwrap();
    assert_eq!(told(&told_second).0, 1);
    assert_eq!(base_offset(link.receive::<Produce>(9, third).await.unwrap()), 1);
}
