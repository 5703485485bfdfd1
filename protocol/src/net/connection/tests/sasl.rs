//! Who we are: before anything else, by the configured mechanism only, and again without disturbing anybody.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Buf;
use kafka_protocol::messages::{SaslAuthenticateResponse, SaslHandshakeResponse};
use kafka_protocol::protocol::Decodable;
use tokio::time::{sleep, timeout};

use super::*;
use crate::net::sasl::{SaslError, SaslSettings};
use crate::net::testing::{Asked, Peer, Server, api_versions};
use crate::net::{Security, SecuritySettings};
use crate::secret::Secret;
use crate::wire::error::ErrorCode;
use crate::wire::messages::{SaslAuthenticateRequest, SaslHandshakeRequest, text};

fn plain(username: &str, password: &str) -> SecuritySettings {
    let sasl = SaslSettings::Plain { username: username.into(), password: Secret::new(password) };
    SecuritySettings { tls: None, sasl: Some(sasl) }
}

fn secured() -> ConnectionOptions {
    ConnectionOptions { security: Security::new(plain("alice", "secret")), ..options() }
}

async fn open_secured(server: &Server) -> Result<Connection, NetError> {
    Connection::open(&server.address, &secured(), None).await
}

fn source(error: &NetError) -> &SaslError {
    match error.root() {
        NetError::Sasl { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

async fn accept_mechanism(peer: &mut Peer, asked: &Asked) {
    assert_eq!((asked.api, asked.version), (17, 1));
    let request = SaslHandshakeRequest::decode(&mut asked.body.clone(), 1).unwrap();
    assert_eq!(&*request.mechanism, "PLAIN");
    peer.answer_message(asked, &SaslHandshakeResponse::default()).await;
}

/// The message of PLAIN.
async fn message(peer: &mut Peer) -> (Asked, Bytes) {
    let asked = peer.request().await.unwrap();
    assert_eq!((asked.api, asked.version), (36, 2), "nothing comes between");
    let mut body = asked.body.clone();
    assert_eq!(body.get_u8(), 0, "no tagged fields");
    let request = SaslAuthenticateRequest::decode(&mut body, 2).unwrap();
    (asked, request.auth_bytes)
}

/// Does all a broker does, until the session is open.
async fn accept(peer: &mut Peer, lifetime_ms: i64) {
    let asked = peer.request().await.unwrap();
    accept_mechanism(peer, &asked).await;
    let (asked, said) = message(peer).await;
    assert_eq!(said, "\0alice\0secret");
    let answer = SaslAuthenticateResponse::default().with_session_lifetime_ms(lifetime_ms);
    peer.answer_message(&asked, &answer).await;
}

#[tokio::test]
async fn nothing_is_asked_before_we_are_known() {
    let server = Server::greeting(|mut peer: Peer| async move {
        accept(&mut peer, 0).await;
        let asked = peer.request().await.unwrap();
        peer.answer(asked.correlation_id, &asked.body).await;
        let _ = peer.request().await;
    })
    .await;
    let connection = open_secured(&server).await.unwrap();
    assert_eq!(ask(&connection, b"hello").await.unwrap().await.unwrap(), "hello");
}

#[tokio::test]
async fn another_mechanism_is_never_taken() {
    static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
    let server = Server::greeting(|mut peer: Peer| async move {
        CONNECTIONS.fetch_add(1, Ordering::SeqCst);
        let asked = peer.request().await.unwrap();
        let answer = SaslHandshakeResponse::default()
            .with_error_code(ErrorCode::UnsupportedSaslMechanism.code())
            .with_mechanisms(vec![text("GSSAPI"), text("OAUTH\nBEARER")]);
        peer.answer_message(&asked, &answer).await;
        assert!(peer.request().await.is_none(), "we go");
    })
    .await;
    let error = open_secured(&server).await.unwrap_err();
    let source = source(&error);
    assert!(matches!(source, SaslError::Mechanism { .. }) && !source.is_retriable(), "{source:?}");
    assert!(source.to_string().contains("but GSSAPI, OAUTH BEARER is"), "{source}");
    assert_eq!(CONNECTIONS.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn refusals_come_with_the_brokers_words() {
    let server = Server::greeting(|mut peer: Peer| async move {
        let asked = peer.request().await.unwrap();
        accept_mechanism(&mut peer, &asked).await;
        let (asked, _) = message(&mut peer).await;
        let answer = SaslAuthenticateResponse::default()
            .with_error_code(ErrorCode::SaslAuthenticationFailed.code())
            .with_error_message(Some(text("Invalid username or password")));
        peer.answer_message(&asked, &answer).await;
    })
    .await;
    let error = open_secured(&server).await.unwrap_err();
    let said = source(&error).to_string();
    assert!(said.starts_with("PLAIN as user alice was refused: Invalid username or password ("), "{said}");
    assert!(!format!("{error:?}").contains("secret"));
}

#[tokio::test]
async fn an_open_listener_and_an_old_broker_are_named() {
    let server = Server::greeting(|mut peer: Peer| async move {
        let asked = peer.request().await.unwrap();
        let answer = SaslHandshakeResponse::default().with_error_code(ErrorCode::IllegalSaslState.code());
        peer.answer_message(&asked, &answer).await;
    })
    .await;
    let error = open_secured(&server).await.unwrap_err();
    assert!(matches!(source(&error), SaslError::NotWanted { .. }), "{error:?}");

    let server = Server::start(|mut peer: Peer| async move {
        let asked = peer.request().await.unwrap();
        peer.answer(asked.correlation_id, &api_versions(0, &[ApiKey::SaslHandshake], 3)).await;
        assert!(peer.request().await.is_none(), "no password goes out");
    })
    .await;
    let error = open_secured(&server).await.unwrap_err();
    assert!(matches!(source(&error), SaslError::TooOld), "{error:?}");
}

/// Sessions of 1.2 s, renewed after 1.1 s: callers go on all the while, and nothing of theirs comes between.
#[tokio::test]
async fn sessions_are_renewed_while_others_ask() {
    static RENEWED: AtomicUsize = AtomicUsize::new(0);
    let server = Server::greeting(|mut peer: Peer| async move {
        accept(&mut peer, 1200).await;
        while let Some(asked) = peer.request().await {
            if asked.api != ApiKey::SaslHandshake.key() {
                peer.answer(asked.correlation_id, &asked.body).await;
                continue;
            }
            accept_mechanism(&mut peer, &asked).await;
            // Time for others to push in, which `message` would notice.
            sleep(Duration::from_millis(50)).await;
            let (asked, _) = message(&mut peer).await;
            sleep(Duration::from_millis(50)).await;
            RENEWED.fetch_add(1, Ordering::SeqCst);
            let answer = SaslAuthenticateResponse::default().with_session_lifetime_ms(1200);
            peer.answer_message(&asked, &answer).await;
        }
    })
    .await;
    let connection = open_secured(&server).await.unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let connection = connection.clone();
        callers.spawn(async move {
            while RENEWED.load(Ordering::SeqCst) < 2 {
                let answer = timeout(Duration::from_secs(3), ask(&connection, b"x").await.unwrap());
                assert_eq!(answer.await.unwrap().unwrap(), "x");
                sleep(Duration::from_millis(2)).await;
            }
        });
    }
    callers.join_all().await;
    assert!(connection.is_open());
}

#[tokio::test]
async fn a_session_that_cannot_be_renewed_ends_with_the_cause() {
    let server = Server::greeting(|mut peer: Peer| async move {
        accept(&mut peer, 1200).await;
        let asked = peer.request().await.unwrap();
        accept_mechanism(&mut peer, &asked).await;
        let (asked, _) = message(&mut peer).await;
        let answer = SaslAuthenticateResponse::default()
            .with_error_code(ErrorCode::SaslAuthenticationFailed.code())
            .with_error_message(Some(text("expired")));
        peer.answer_message(&asked, &answer).await;
        let _ = peer.request().await;
    })
    .await;
    let connection = open_secured(&server).await.unwrap();
    while connection.is_open() {
        sleep(Duration::from_millis(20)).await;
    }
    let error = ask(&connection, b"x").await.unwrap_err();
    assert!(source(&error).to_string().contains("expired"), "{error:?}");
}

#[tokio::test]
async fn new_credentials_are_taken_and_another_user_gets_a_connection_of_its_own() {
    static GOT_NEW: AtomicBool = AtomicBool::new(false);
    let server = Server::greeting(|mut peer: Peer| async move {
        accept(&mut peer, 1200).await;
        let asked = peer.request().await.unwrap();
        accept_mechanism(&mut peer, &asked).await;
        let (asked, said) = message(&mut peer).await;
        assert_eq!(said, "\0alice\0changed");
        GOT_NEW.store(true, Ordering::SeqCst);
        let answer = SaslAuthenticateResponse::default().with_session_lifetime_ms(1200);
        peer.answer_message(&asked, &answer).await;
        assert!(peer.request().await.is_none(), "nobody becomes somebody else");
    })
    .await;
    let options = secured();
    let connection = Connection::open(&server.address, &options, None).await.unwrap();
    options.security.replace(plain("alice", "changed"));
    while !GOT_NEW.load(Ordering::SeqCst) {
        sleep(Duration::from_millis(20)).await;
    }
    options.security.replace(plain("bob", "other"));
    while connection.is_open() {
        sleep(Duration::from_millis(20)).await;
    }
    let error = ask(&connection, b"x").await.unwrap_err();
    assert!(matches!(error.root(), NetError::ClosedHere { .. }), "{error:?}");
}

#[tokio::test]
async fn nobody_renews_the_session_of_an_idle_connection() {
    let server = Server::greeting(|mut peer: Peer| async move {
        accept(&mut peer, 1200).await;
        assert!(peer.request().await.is_none(), "nothing more comes");
    })
    .await;
    let options = ConnectionOptions { idle_close: Some(Duration::from_millis(500)), ..secured() };
    let connection = Connection::open(&server.address, &options, None).await.unwrap();
    while connection.is_open() {
        sleep(Duration::from_millis(20)).await;
    }
}
