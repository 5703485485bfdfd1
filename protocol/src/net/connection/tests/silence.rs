//! What a broker that throttles may count on: nothing more is sent to it until its time is over (KIP-219).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::*;
use crate::net::testing::{Peer, Server};

const SILENCE: Duration = Duration::from_millis(400);
/// A version of Metadata that obeys, and begins with the throttle time.
const OBEYING: i16 = 6;
/// The last that does not.
const OLD: i16 = 5;

async fn ask_in(connection: &Connection, version: i16, body: Vec<u8>) -> ResponseWaiter {
    connection.send(ApiKey::Metadata, version, vec![Bytes::from(body)]).await.unwrap()
}

fn silence_of(millis: u32) -> Vec<u8> {
    millis.to_be_bytes().to_vec()
}

/// Answers each request with its own first four bytes, and tells how much time lay between the last answer and
/// this request, in milliseconds.
async fn telling(mut peer: Peer, gap: Arc<AtomicU64>) {
    let mut answered = Instant::now();
    while let Some(asked) = peer.request().await {
        gap.store(u64::try_from(answered.elapsed().as_millis()).unwrap(), Ordering::SeqCst);
        answered = Instant::now();
        peer.answer(asked.correlation_id, &asked.body[..4]).await;
    }
}

#[tokio::test]
async fn nothing_is_sent_until_it_is_over_and_others_go_on() {
    let gap = Arc::new(AtomicU64::new(0));
    let for_server = Arc::clone(&gap);
    let server = Server::greeting(move |peer| telling(peer, Arc::clone(&for_server))).await;
    let options = options();
    let throttled = Connection::open(&server.address, &options, None).await.unwrap();
    let other = Connection::open(&server.address, &options, None).await.unwrap();

    ask_in(&throttled, OBEYING, silence_of(400)).await.await.unwrap();
    let next = ask_in(&throttled, OBEYING, silence_of(0)).await;
    let began = Instant::now();
    ask_in(&other, OBEYING, silence_of(0)).await.await.unwrap();
    assert!(began.elapsed() < SILENCE / 2, "another connection waits for nothing");
    next.await.unwrap();
    let waited = Duration::from_millis(gap.load(Ordering::SeqCst));
    assert!(waited >= SILENCE - Duration::from_millis(10), "{waited:?}");
    assert_eq!(options.throttling.responses(), 1);
    let counted = options.throttling.silence();
    assert!(counted > SILENCE - Duration::from_millis(10) && counted <= SILENCE, "{counted:?}");

    // Older versions: the broker has waited already.
    ask_in(&throttled, OLD, silence_of(400)).await.await.unwrap();
    ask_in(&throttled, OLD, silence_of(0)).await.await.unwrap();
    assert!(gap.load(Ordering::SeqCst) < 200);
    assert_eq!(options.throttling.responses(), 1);
}

/// What has begun to leave ends, or the broker would wait for the rest; what is behind it waits.
#[tokio::test]
async fn a_request_half_written_is_finished() {
    const LARGE: usize = 32 << 20;
    let (tell, mut told) = mpsc::channel(2);
    let server = Server::greeting(move |mut peer: Peer| {
        let tell = tell.clone();
        async move {
            let first = peer.request().await.unwrap();
            // The second has begun by now and is stuck in the socket.
            sleep(Duration::from_millis(100)).await;
            let began = Instant::now();
            peer.answer(first.correlation_id, &silence_of(1000)).await;
            sleep(Duration::from_millis(50)).await;
            for _ in 0..2 {
                let asked = peer.request().await.unwrap();
                tell.send((asked.body.len(), began.elapsed())).await.unwrap();
            }
        }
    })
    .await;
    let connection = open(&server).await.unwrap();
    let mut waiters = Vec::new();
    for body in [vec![1; 4], vec![2; LARGE], vec![3; 5]] {
        waiters.push(ask_in(&connection, OBEYING, body).await);
    }
    let (len, after) = told.recv().await.unwrap();
    assert_eq!(len, LARGE);
    assert!(after < Duration::from_millis(900), "{after:?}");
    let (len, after) = told.recv().await.unwrap();
    assert_eq!(len, 5);
    assert!(after >= Duration::from_millis(990), "{after:?}");
}

/// A broker that throttles does not read what it has been sent either: that is no silence to be blamed for.
#[tokio::test]
async fn a_request_under_way_is_not_overdue() {
    let server = Server::greeting(|mut peer: Peer| async move {
        let first = peer.request().await.unwrap();
        let second = peer.request().await.unwrap();
        peer.answer(first.correlation_id, &silence_of(1000)).await;
        sleep(Duration::from_millis(1200)).await;
        peer.answer(second.correlation_id, &silence_of(0)).await;
        sleep(Duration::from_secs(5)).await;
    })
    .await;
    let options = ConnectionOptions { request_timeout: Duration::from_millis(600), ..options() };
    let connection = Connection::open(&server.address, &options, None).await.unwrap();
    let first = ask_in(&connection, OBEYING, vec![1]).await;
    let second = ask_in(&connection, OBEYING, vec![2]).await;
    first.await.unwrap();
    second.await.unwrap();
}
