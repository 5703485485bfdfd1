//! Servers that are not there, not Kafka, or not well.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;

use super::*;
use crate::net::recognise::Spoke;
use crate::net::testing::{Peer, Server};

const FOREVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_closed_port_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
    drop(listener);
    let error = Connection::open(&address, &options(), None).await.unwrap_err();
    assert!(matches!(error, NetError::Connect { .. }), "{error:?}");
    assert!(error.to_string().contains(&address.to_string()));
}

#[tokio::test]
async fn an_unknown_host_is_named() {
    let address = Address::new("no-such-host.invalid", 9092);
    let error = Connection::open(&address, &options(), None).await.unwrap_err();
    assert!(matches!(error, NetError::Resolve { .. }), "{error:?}");
}

async fn answering(answer: &'static [u8]) -> NetError {
    let server = Server::start(move |mut peer: Peer| async move {
        peer.request().await;
        peer.write(answer).await;
        sleep(Duration::from_millis(50)).await;
    })
    .await;
    open(&server).await.unwrap_err().root().clone()
}

#[tokio::test]
async fn what_is_not_kafka_is_recognised() {
    let http = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    for (answer, expected) in [
        (&http[..], Spoke::Http),
        (&[0x15, 3, 3, 0, 2, 2, 80], Spoke::Tls),
        (b"SSH-2.0-OpenSSH\r\n", Spoke::Unknown { first_bytes: "SSH-2.0-OpenSSH\\r".into() }),
        (
            b"\x00\x00\x00\x01\xff\xff\xff\xff",
            Spoke::Unknown { first_bytes: "\\x00\\x00\\x00\\x01\\xff\\xff\\xff\\xff".into() },
        ),
        (
            b"\xff\xff\xff\xff\0\0\0\0",
            Spoke::Unknown { first_bytes: "\\xff\\xff\\xff\\xff\\x00\\x00\\x00\\x00".into() },
        ),
        (b"hi", Spoke::Unknown { first_bytes: "hi".into() }),
    ] {
        let error = answering(answer).await;
        let NetError::NotKafka { spoke, .. } = error else { panic!("{error:?}") };
        assert_eq!(spoke, expected);
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_at_once_may_want_tls() {
    for read_first in [true, false] {
        let server = Server::start(move |mut peer: Peer| async move {
            if read_first {
                peer.request().await;
            }
        })
        .await;
        let error = open(&server).await.unwrap_err();
        assert!(matches!(error.root(), NetError::ClosedAtOnce { .. }), "{error:?}");
        assert!(error.root().to_string().contains("SSL"));
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.request().await;
        sleep(FOREVER).await;
    })
    .await;
    let options = ConnectionOptions { request_timeout: Duration::from_millis(80), ..options() };
    let error = Connection::open(&server.address, &options, None).await.unwrap_err();
    assert!(matches!(error.root(), NetError::Timeout { api: ApiKey::ApiVersions, .. }), "{error:?}");
}

/// All who wait learn one cause, and so does who comes later.
async fn all_learn_one_cause(server: &Server, options: ConnectionOptions) -> NetError {
    const WAITERS: usize = 20;
    let options = ConnectionOptions { max_in_flight: WAITERS / 2, ..options };
    let connection = Connection::open(&server.address, &options, None).await.unwrap();
    let mut waiters = tokio::task::JoinSet::new();
    for _ in 0..WAITERS {
        let connection = connection.clone();
        waiters.spawn(async move { ask(&connection, b"?").await?.await });
    }
    let mut causes = Vec::new();
    while let Some(result) = waiters.join_next().await {
        let NetError::Broken { cause } = result.unwrap().unwrap_err() else { panic!("not broken") };
        causes.push(cause);
    }
    assert_eq!(causes.len(), WAITERS);
    assert!(causes.iter().all(|cause| Arc::ptr_eq(cause, &causes[0])));
    assert!(!connection.is_open());
    let NetError::Broken { cause } = ask(&connection, b"?").await.unwrap_err() else { panic!("not broken") };
    assert!(Arc::ptr_eq(&cause, &causes[0]));
    (*cause).clone()
}

#[tokio::test]
async fn a_broker_that_stalls_breaks_the_connection() {
    let server =
        Server::greeting(|mut peer: Peer| async move { while peer.request().await.is_some() {} }).await;
    let options = ConnectionOptions { request_timeout: Duration::from_millis(100), ..options() };
    let cause = all_learn_one_cause(&server, options).await;
    assert!(matches!(cause, NetError::Timeout { api: ApiKey::Metadata, .. }), "{cause:?}");
}

#[tokio::test]
async fn a_frame_cut_short_breaks_the_connection() {
    let server = Server::greeting(|mut peer: Peer| async move {
        let asked = peer.request().await.unwrap();
        peer.write(&[&100i32.to_be_bytes()[..], &asked.correlation_id.to_be_bytes(), b"half"].concat()).await;
        sleep(Duration::from_millis(50)).await;
    })
    .await;
    let cause = all_learn_one_cause(&server, options()).await;
    assert!(matches!(cause, NetError::Closed { .. } | NetError::Io { .. }), "{cause:?}");
}

#[tokio::test]
async fn an_answer_to_another_question_breaks_the_connection() {
    let server = Server::greeting(|mut peer: Peer| async move {
        let asked = peer.request().await.unwrap();
        peer.answer(asked.correlation_id + 7, b"").await;
        sleep(FOREVER).await;
    })
    .await;
    let cause = all_learn_one_cause(&server, options()).await;
    assert!(matches!(cause, NetError::OutOfStep { expected: Some(1), got: 8, .. }), "{cause:?}");
}

#[tokio::test]
async fn an_answer_nobody_asked_for_breaks_the_connection() {
    let server = Server::greeting(|mut peer: Peer| async move {
        peer.answer(0, b"hello").await;
        sleep(FOREVER).await;
    })
    .await;
    let connection = open(&server).await.unwrap();
    while connection.is_open() {
        sleep(Duration::from_millis(1)).await;
    }
    let error = ask(&connection, b"?").await.unwrap_err();
    assert!(matches!(error.root(), NetError::OutOfStep { expected: None, got: 0, .. }), "{error:?}");
}

#[tokio::test]
async fn frames_beyond_the_limit_are_refused() {
    for (announced, limit) in [(i32::MAX, 128 << 20), (1001, 1000), (-1, 1000), (3, 1000)] {
        let server = Server::greeting(move |mut peer: Peer| async move {
            let asked = peer.request().await.unwrap();
            peer.write(&[announced.to_be_bytes(), asked.correlation_id.to_be_bytes()].concat()).await;
            sleep(FOREVER).await;
        })
        .await;
        let options = ConnectionOptions { max_frame_bytes: limit, ..options() };
        let connection = Connection::open(&server.address, &options, None).await.unwrap();
        let error = ask(&connection, b"?").await.unwrap().await.unwrap_err();
        match error.root() {
            NetError::FrameTooLarge { bytes, .. } => assert!(*bytes > limit),
            NetError::Wire { .. } => assert!(announced < 4),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_no_message_does_not_break_the_connection() {
    let server = Server::greeting(|mut peer: Peer| async move {
        while let Some(asked) = peer.request().await {
            peer.answer(asked.correlation_id, b"\0garbage").await;
        }
    })
    .await;
    let connection = open(&server).await.unwrap();
    let error = connection.call(messages::MetadataRequest::default()).await.unwrap_err();
    assert!(matches!(error, NetError::Wire { .. }), "{error:?}");
    assert!(connection.is_open(), "the frames themselves are in order");
}
