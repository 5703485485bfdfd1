//! Brokers that stop, come back, and give leadership away.

use std::time::Duration;

use kafka_protocol::ResponseError;
use kmirror_sandbox::{Sandbox, SandboxError, SandboxOptions};
use tokio::net::TcpStream;

use crate::link::Link;
use crate::{batch, metadata, produce, start, told};

#[tokio::test]
async fn a_stopped_broker_is_gone_and_others_lead() {
    let sandbox = start(3).await;
    let (address, second) = (sandbox.address(1).unwrap(), sandbox.address(2).unwrap());
    let (mut first, mut second) = (Link::open(address).await, Link::open(second).await);
    assert_eq!(told(&first.ask(12, &metadata()).await.unwrap()), (1, 0, vec![1, 2, 3]));
    sandbox.stop_broker(1).await.unwrap();
    assert!(first.rest().await.is_empty(), "cut");
    assert!(TcpStream::connect(address).await.is_err(), "not listening");
    assert_eq!(told(&second.ask(12, &metadata()).await.unwrap()), (2, 1, vec![2, 3]));
    let produced = second.ask(9, &produce(batch(&["a"]))).await.unwrap();
    assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);

    sandbox.start_broker(1).await.unwrap();
    let mut first = Link::open(address).await;
    assert_eq!(told(&first.ask(12, &metadata()).await.unwrap()), (2, 1, vec![1, 2, 3]));
    sandbox.move_leader("t", 0, 1).unwrap();
    assert_eq!(told(&first.ask(12, &metadata()).await.unwrap()), (1, 2, vec![1, 2, 3]));
    let refused = second.ask(9, &produce(batch(&["b"]))).await.unwrap();
    let code = refused.responses[0].partition_responses[0].error_code;
    assert_eq!(code, ResponseError::NotLeaderOrFollower.code());
    assert_eq!(sandbox.end_offset("t", 0).unwrap(), 1);
}

#[tokio::test]
async fn the_last_replica_takes_its_partitions_with_it() {
    let sandbox = Sandbox::start(SandboxOptions { brokers: 2, ..SandboxOptions::default() }).await.unwrap();
    sandbox.create_topic(&kmirror_sandbox::TopicSpec::new("t", 1)).unwrap();
    sandbox.append("t", 0, &batch(&["a"])).unwrap();
    sandbox.stop_broker(1).await.unwrap();
    let mut second = Link::open(sandbox.address(2).unwrap()).await;
    assert_eq!(told(&second.ask(12, &metadata()).await.unwrap()).0, -1);
    assert!(matches!(sandbox.append("t", 0, &batch(&["b"])), Err(SandboxError::Refused { .. })));
    sandbox.start_broker(1).await.unwrap();
    assert_eq!(told(&second.ask(12, &metadata()).await.unwrap()).0, 1);
    assert_eq!(sandbox.append("t", 0, &batch(&["b"])).unwrap(), 1);
}

#[tokio::test]
async fn stopping_does_not_wait_for_requests_that_wait() {
    use kafka_protocol::messages::FetchRequest;
    let sandbox = start(1).await;
    let mut link = Link::open(sandbox.address(1).unwrap()).await;
    let request = FetchRequest::default().with_max_wait_ms(60_000).with_min_bytes(1).with_max_bytes(1);
    let topic = kafka_protocol::messages::fetch_request::FetchTopic::default()
        .with_topic(kafka_protocol::messages::TopicName("t".to_owned().into()))
        .with_partitions(vec![Default::default()]);
    link.send(4, &request.with_topics(vec![topic])).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    tokio::time::timeout(Duration::from_secs(5), sandbox.stop_broker(1)).await.unwrap().unwrap();
    assert_eq!(link.rest().await, b"");
    assert!(matches!(sandbox.stop_broker(1).await, Err(SandboxError::UnknownBroker(1))));
}

#[tokio::test]
async fn a_dropped_sandbox_closes_its_ports() {
    let sandbox = start(2).await;
    let (first, second) = (sandbox.address(1).unwrap(), sandbox.address(2).unwrap());
    assert_eq!(sandbox.bootstrap(), format!("{first},{second}"));
    drop(sandbox);
    for _ in 0..100 {
        if TcpStream::connect(first).await.is_err() && TcpStream::connect(second).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("still listening");
}
