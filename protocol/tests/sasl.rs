//! Authentication against a real Kafka: `KMIRROR_TEST_SASL=host:port cargo test -p kmirror-protocol --test sasl --
//! --ignored`, with the users and mechanisms named below. What the binary does with them is tried in `tests/tests/it`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "this is all test code")]

use std::time::{Duration, Instant};

use kmirror_protocol::Secret;
use kmirror_protocol::net::sasl::{
    OAuthSettings, SaslError, SaslSettings, ScramHash, TokenRefresh, TokenSource,
};
use kmirror_protocol::net::{Connection, ConnectionOptions, NetError, Security, SecuritySettings};
use kmirror_protocol::wire::error::ErrorCode;
use kmirror_protocol::wire::messages::MetadataRequest;

fn options(sasl: SaslSettings) -> ConnectionOptions {
    let settings = SecuritySettings { tls: None, sasl: Some(sasl) };
    ConnectionOptions { security: Security::new(settings), ..ConnectionOptions::default() }
}

async fn open(options: &ConnectionOptions) -> Result<Connection, NetError> {
    let address = std::env::var("KMIRROR_TEST_SASL").expect("KMIRROR_TEST_SASL is host:port");
    Connection::open(&address.parse().unwrap(), options, None).await
}

fn plain(password: &str) -> SaslSettings {
    SaslSettings::Plain { username: "alice".into(), password: Secret::new(password) }
}

fn scram(hash: ScramHash, username: &str, password: &str) -> SaslSettings {
    SaslSettings::Scram { hash, username: username.into(), password: Secret::new(password), is_token: false }
}

fn unsecured(subject: &str, lifetime: Duration) -> SaslSettings {
    SaslSettings::OAuthBearer(OAuthSettings {
        source: TokenSource::Unsecured { string_claims: vec![("sub".into(), subject.into())], lifetime },
        extensions: vec![("traceId".into(), "123".into())],
        refresh: TokenRefresh {
            window_percent: 80,
            jitter_percent: 5,
            min_period: Duration::from_secs(60),
            buffer: Duration::from_secs(300),
        },
    })
}

fn all() -> Vec<SaslSettings> {
    vec![
        plain("alice-secret"),
        scram(ScramHash::Sha256, "bob", "bob-se,=cret"),
        scram(ScramHash::Sha512, "bob", "bob-se,=cret"),
        scram(ScramHash::Sha512, "c=a,rl", "pw"),
        unsecured("olga", Duration::from_secs(3600)),
    ]
}

#[tokio::test]
#[ignore = "needs a real Kafka"]
async fn every_mechanism_opens_a_connection() {
    for settings in all() {
        let connection = open(&options(settings)).await.unwrap();
        let metadata = connection.call(MetadataRequest::default().with_topics(Some(vec![]))).await.unwrap();
        assert!(!metadata.brokers.is_empty());
    }
}

#[tokio::test]
#[ignore = "needs a real Kafka"]
async fn refusals_say_what_is_wrong() {
    for settings in [
        plain("guess"),
        scram(ScramHash::Sha256, "bob", "guess"),
        scram(ScramHash::Sha512, "nobody", "guess"),
        unsecured("olga", Duration::ZERO),
    ] {
        let mechanism = settings.mechanism();
        let error = open(&options(settings)).await.unwrap_err();
        let NetError::Sasl { source, .. } = &error else { unreachable!("{error:?}") };
        let expected = ErrorCode::SaslAuthenticationFailed;
        assert!(
            matches!(&**source, SaslError::Refused { code, .. } if *code == expected),
            "{mechanism}: {source:?}"
        );
        assert!(!source.is_retriable() && !format!("{error:?}").contains("guess"));
    }
}

/// `KMIRROR_TEST_DELEGATION` is `ID HMAC` of a delegation token.
#[tokio::test]
#[ignore = "needs a real Kafka and a delegation token"]
async fn a_delegation_token_is_taken_as_such_only() {
    let token = std::env::var("KMIRROR_TEST_DELEGATION").expect("KMIRROR_TEST_DELEGATION is ID HMAC");
    let (id, hmac) = token.split_once(' ').unwrap();
    for hash in [ScramHash::Sha256, ScramHash::Sha512] {
        let mut settings =
            SaslSettings::Scram { hash, username: id.into(), password: Secret::new(hmac), is_token: true };
        assert!(open(&options(settings.clone())).await.is_ok());
        if let SaslSettings::Scram { is_token, .. } = &mut settings {
            *is_token = false;
        }
        assert!(open(&options(settings)).await.is_err(), "no user is called so");
    }
}

/// `KMIRROR_TEST_TOKENS` is the URL of an endpoint that signs tokens for a few seconds, which the listener takes.
#[tokio::test]
#[ignore = "needs a real Kafka and a token endpoint"]
async fn tokens_of_an_endpoint_are_taken_and_fetched_anew() {
    let SaslSettings::OAuthBearer(mut settings) = unsecured("", Duration::ZERO) else { unreachable!() };
    settings.source = TokenSource::Endpoint {
        url: std::env::var("KMIRROR_TEST_TOKENS").expect("KMIRROR_TEST_TOKENS is a URL"),
        client_id: "mirror".into(),
        client_secret: Secret::new("client-s3cret"),
        scope: Some("kafka".into()),
        url_encodes_header: false,
        tls: Box::default(),
        connect_timeout: None,
        read_timeout: None,
        retry_backoff: Duration::from_millis(100),
        retry_backoff_max: Duration::from_secs(1),
    };
    let connection = open(&options(SaslSettings::OAuthBearer(settings))).await.unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        connection.call(MetadataRequest::default().with_topics(Some(vec![]))).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The broker ends sessions after 3 s (`connections.max.reauth.ms=3000`) and closes connections that ask later.
#[tokio::test]
#[ignore = "needs a real Kafka"]
async fn sessions_are_renewed_under_load() {
    let mut running = tokio::task::JoinSet::new();
    for settings in all() {
        running.spawn(async move {
            let connection = open(&options(settings)).await.unwrap();
            let end = Instant::now() + Duration::from_secs(10);
            let mut callers = tokio::task::JoinSet::new();
            for _ in 0..8 {
                let connection = connection.clone();
                callers.spawn(async move {
                    let mut answers = 0;
                    while Instant::now() < end {
                        connection.call(MetadataRequest::default().with_topics(Some(vec![]))).await.unwrap();
                        answers += 1;
                        tokio::time::sleep(Duration::from_millis(3)).await;
                    }
                    answers
                });
            }
            callers.join_all().await.into_iter().sum::<i32>()
        });
    }
    let answers = running.join_all().await;
    assert!(answers.iter().all(|count| *count > 100), "{answers:?}");
}
