//! What a healthy connection promises: order, bounds, whole frames, back-pressure.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::*;
use crate::net::testing::{Peer, Server, api_versions};
use crate::wire::error::ErrorCode;

/// Answers every request with its own body.
async fn echo(mut peer: Peer) {
    while let Some(asked) = peer.request().await {
        peer.answer(asked.correlation_id, &asked.body).await;
    }
}

#[tokio::test]
async fn the_versions_in_common_are_known() {
    let server = Server::start(|mut peer: Peer| async move {
        let asked = peer.request().await.unwrap();
        let answer = api_versions(0, &[ApiKey::Fetch, ApiKey::ApiVersions], 3);
        peer.answer(asked.correlation_id, &answer).await;
        echo(peer).await;
    })
    .await;
    let connection = open(&server).await.unwrap();
    assert_eq!(connection.version_for(ApiKey::Fetch), Some(17));
    assert_eq!(connection.version_for(ApiKey::DescribeProducers), None);
    let error = connection.call(messages::DescribeProducersRequest::default()).await.unwrap_err();
    assert!(matches!(error, NetError::Unsupported { api: ApiKey::DescribeProducers, .. }));
}

#[tokio::test]
async fn brokers_that_refuse_the_newest_handshake_are_asked_again() {
    // Since 2.4 a broker says what it speaks instead; before, it says nothing. ApiVersions 0 to 3 is what we
    // announce here, so 3 is asked for again and must be answered then.
    for (named, second) in [(&[ApiKey::ApiVersions][..], 3), (&[], 0)] {
        let server = Server::start(move |mut peer: Peer| async move {
            let asked = peer.request().await.unwrap();
            assert_eq!(asked.version, 3);
            let refusal = api_versions(ErrorCode::UnsupportedVersion.code(), named, 0);
            peer.answer(asked.correlation_id, &refusal).await;
            let asked = peer.request().await.unwrap();
            assert_eq!(asked.version, second);
            peer.answer(asked.correlation_id, &api_versions(0, &[ApiKey::Fetch], second)).await;
            echo(peer).await;
        })
        .await;
        assert_eq!(open(&server).await.unwrap().version_for(ApiKey::Fetch), Some(17));
    }
}

#[tokio::test]
async fn other_refusals_end_the_handshake() {
    let server = Server::start(|mut peer: Peer| async move {
        let asked = peer.request().await.unwrap();
        peer.answer(
            asked.correlation_id,
            &api_versions(ErrorCode::ClusterAuthorizationFailed.code(), &[], 3),
        )
        .await;
        echo(peer).await;
    })
    .await;
    let error = open(&server).await.unwrap_err();
    assert!(
        matches!(error, NetError::Refused { code: ErrorCode::ClusterAuthorizationFailed, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn every_caller_gets_its_own_answer() {
    let server = Server::greeting(echo).await;
    let connection = open(&server).await.unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for n in 0u32..200 {
        let connection = connection.clone();
        callers.spawn(async move {
            let body = vec![Bytes::copy_from_slice(&n.to_be_bytes())];
            let answer = connection.send(ApiKey::Metadata, 4, body).await.unwrap().await.unwrap();
            assert_eq!(answer[..], n.to_be_bytes());
        });
    }
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn no_more_requests_are_in_flight_than_allowed() {
    let seen = Arc::new(AtomicUsize::new(0));
    let (count, (release, gate)) = (Arc::clone(&seen), mpsc::channel::<()>(1));
    let gate = Arc::new(tokio::sync::Mutex::new(gate));
    let server = Server::greeting(move |mut peer: Peer| {
        let (count, gate) = (Arc::clone(&count), Arc::clone(&gate));
        async move {
            let mut due = Vec::new();
            for _ in 0..3 {
                due.push(peer.request().await.unwrap());
                count.fetch_add(1, Ordering::SeqCst);
            }
            gate.lock().await.recv().await;
            for asked in due {
                peer.answer(asked.correlation_id, b"").await;
            }
            echo(peer).await;
        }
    })
    .await;
    let options = ConnectionOptions { max_in_flight: 3, ..options() };
    let connection = Connection::open(&server.address, &options, None).await.unwrap();
    let mut waiters = Vec::new();
    for _ in 0..3 {
        waiters.push(ask(&connection, b"x").await.unwrap());
    }
    assert!(timeout(Duration::from_millis(50), ask(&connection, b"x")).await.is_err(), "there is no place");
    assert_eq!(seen.load(Ordering::SeqCst), 3);
    release.send(()).await.unwrap();
    ask(&connection, b"x").await.unwrap().await.unwrap();
}

#[tokio::test]
async fn an_answer_nobody_waits_for_any_more_is_passed_over() {
    let server = Server::greeting(echo).await;
    let connection = open(&server).await.unwrap();
    drop(ask(&connection, b"first").await.unwrap());
    assert_eq!(ask(&connection, b"second").await.unwrap().await.unwrap(), "second");
}

/// A caller that gives up while its request is half written tears no frame: the request arrives whole, and so
/// does the next.
#[tokio::test]
async fn giving_up_in_the_middle_of_a_write_tears_no_frame() {
    const LARGE: usize = 32 << 20;
    let (release, gate) = mpsc::channel::<()>(1);
    let gate = Arc::new(tokio::sync::Mutex::new(gate));
    let server = Server::greeting(move |mut peer: Peer| {
        let gate = Arc::clone(&gate);
        async move {
            gate.lock().await.recv().await;
            echo(peer_checked(&mut peer, LARGE).await.map(|()| peer).unwrap()).await;
        }
    })
    .await;
    let connection = open(&server).await.unwrap();
    let caller = tokio::spawn({
        let connection = connection.clone();
        async move { connection.send(ApiKey::Metadata, 4, vec![Bytes::from(vec![7; LARGE])]).await?.await }
    });
    sleep(Duration::from_millis(50)).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    let next = ask(&connection, b"next").await.unwrap();
    release.send(()).await.unwrap();
    assert_eq!(next.await.unwrap(), "next");
}

async fn peer_checked(peer: &mut Peer, large: usize) -> Option<()> {
    let asked = peer.request().await?;
    assert!(asked.body.len() == large && asked.body.iter().all(|byte| *byte == 7));
    peer.answer(asked.correlation_id, b"nobody reads this").await;
    Some(())
}

#[tokio::test]
async fn bodies_of_many_chunks_arrive_whole() {
    let server = Server::greeting(echo).await;
    let connection = open(&server).await.unwrap();
    let chunks: Vec<Bytes> =
        (0..3000u32).map(|n| Bytes::from(vec![n.to_be_bytes()[3]; (n % 997) as usize])).collect();
    let whole = chunks.concat();
    let answer = connection.send(ApiKey::Metadata, 4, chunks).await.unwrap().await.unwrap();
    assert!(answer == whole);
}

#[tokio::test]
async fn large_frames_arrive_whole_with_and_without_a_pool() {
    let body: Vec<u8> =
        (0..5_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24).to_be_bytes()[3]).collect();
    let body = Bytes::from(body);
    let server = Server::greeting(echo).await;
    for pool in [None, Some(BufferPool::new(8 << 20))] {
        let connection = Connection::open(&server.address, &options(), pool.clone()).await.unwrap();
        for _ in 0..3 {
            let answer =
                connection.send(ApiKey::Metadata, 4, vec![body.clone()]).await.unwrap().await.unwrap();
            assert!(answer == body);
        }
        assert!(pool.is_none_or(|pool| pool.available() == pool.budget()), "all credit has returned");
    }
}

/// Who keeps its response keeps the next one in the socket; that is no silence of the broker's.
#[tokio::test]
async fn without_credit_nothing_is_read_and_nobody_is_blamed() {
    let server = Server::greeting(echo).await;
    let pool = BufferPool::new(1 << 20);
    let options = ConnectionOptions { request_timeout: 5 * PACE, ..options() };
    let connection = Connection::open(&server.address, &options, Some(Arc::clone(&pool))).await.unwrap();
    let body = Bytes::from(vec![1; 700_000]);
    let held = connection.send(ApiKey::Metadata, 4, vec![body.clone()]).await.unwrap().await.unwrap();
    let mut next = connection.send(ApiKey::Metadata, 4, vec![body.clone()]).await.unwrap();
    assert!(timeout(12 * PACE, &mut next).await.is_err());
    assert_eq!(pool.waiting(), 1);
    drop(held);
    assert!(next.await.unwrap() == body);
}

#[tokio::test]
async fn a_frame_that_no_budget_can_hold_is_refused() {
    let server = Server::greeting(echo).await;
    let pool = BufferPool::new(1 << 20);
    let connection = Connection::open(&server.address, &options(), Some(pool)).await.unwrap();
    let body = Bytes::from(vec![1; 2 << 20]);
    let error = connection.send(ApiKey::Metadata, 4, vec![body]).await.unwrap().await.unwrap_err();
    assert!(matches!(error.root(), NetError::FrameOverBudget { .. }), "{error:?}");
}

/// A slow broker is not a silent one: what takes longer than the timeout as a whole, but never pauses so long,
/// arrives.
#[tokio::test]
async fn slow_answers_arrive() {
    let server = Server::greeting(|mut peer: Peer| async move {
        let asked = peer.request().await.unwrap();
        peer.write(&[24i32.to_be_bytes(), asked.correlation_id.to_be_bytes()].concat()).await;
        for byte in 0..20 {
            sleep(PACE).await;
            peer.write(&[byte]).await;
        }
        echo(peer).await;
    })
    .await;
    let options = ConnectionOptions { request_timeout: 10 * PACE, ..options() };
    let connection = Connection::open(&server.address, &options, None).await.unwrap();
    assert_eq!(ask(&connection, b"?").await.unwrap().await.unwrap().len(), 20);
}

/// How long the slow servers pause: a tenth of the patience with them, which no busy machine should exhaust.
const PACE: Duration = Duration::from_millis(100);

/// The same the other way: a large request on a slow link is not overdue while it is being written.
#[tokio::test]
async fn slow_writes_are_not_overdue() {
    const PIECE: usize = 256 << 10;
    let server = Server::greeting(|mut peer: Peer| async move {
        socket2::SockRef::from(&peer.stream).set_recv_buffer_size(PIECE / 2).unwrap();
        let mut taken = vec![0; PIECE];
        let mut left: usize = 20 * PIECE + 21;
        while left > 0 {
            let part = left.min(PIECE);
            peer.stream.read_exact(&mut taken[..part]).await.unwrap();
            left -= part;
            sleep(PACE).await;
        }
        peer.answer(1, b"done").await;
        sleep(Duration::from_secs(5)).await;
    })
    .await;
    let options = ConnectionOptions { request_timeout: 10 * PACE, send_buffer: Some(64 << 10), ..options() };
    let connection = Connection::open(&server.address, &options, None).await.unwrap();
    let body = vec![Bytes::from(vec![1; 20 * PIECE])];
    assert_eq!(connection.send(ApiKey::Metadata, 4, body).await.unwrap().await.unwrap(), "done");
}

#[tokio::test]
async fn an_idle_connection_closes_itself() {
    let server = Server::greeting(echo).await;
    let options = ConnectionOptions {
        request_timeout: Duration::from_secs(2),
        idle_close: Some(8 * PACE),
        ..options()
    };
    let connection = Connection::open(&server.address, &options, None).await.unwrap();
    for _ in 0..10 {
        sleep(PACE).await;
        ask(&connection, b"x").await.unwrap().await.unwrap();
    }
    let closed = async {
        while connection.is_open() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), closed).await.unwrap();
    let error = ask(&connection, b"x").await.unwrap_err();
    assert!(matches!(error.root(), NetError::ClosedHere { .. }), "{error:?}");
}

#[tokio::test]
async fn the_last_clone_closes_the_connection() {
    let (gone, mut seen) = mpsc::channel(1);
    let server = Server::greeting(move |mut peer: Peer| {
        let gone = gone.clone();
        async move {
            while peer.request().await.is_some() {}
            let _ = gone.send(()).await;
        }
    })
    .await;
    let connection = open(&server).await.unwrap();
    let clone = connection.clone();
    drop(connection);
    assert!(timeout(Duration::from_millis(50), seen.recv()).await.is_err());
    drop(clone);
    timeout(Duration::from_secs(5), seen.recv()).await.unwrap();
}

#[tokio::test]
async fn all_addresses_of_a_host_are_tried() {
    // "localhost" may be ::1 first, where nobody listens on this port.
    let server = Server::greeting(echo).await;
    let address = Address::new("localhost", server.address.port);
    let connection = Connection::open(&address, &options(), None).await.unwrap();
    assert_eq!(connection.address(), &address);
}

#[tokio::test]
async fn ipv6_works_where_there_is_any() {
    let serve = |mut peer: Peer| async move {
        peer.greet().await;
        echo(peer).await;
    };
    if let Ok(server) = Server::bind("[::1]:0".parse().unwrap(), serve).await {
        assert_eq!(server.address.to_string(), format!("[::1]:{}", server.address.port));
        open(&server).await.unwrap();
    }
}
