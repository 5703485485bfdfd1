//! Tokens from an endpoint, over a real socket: one fetch for all, retries, refusals, and how much is read at most.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::net::tls::TlsSettings;
use crate::secret::Secret;

/// An endpoint whose n-th answer (from 1) is what `answer` makes of n; and how many there were.
async fn endpoint_that(answer: impl Fn(usize) -> String + Send + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"grant_type=client_credentials&scope=a+b") {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0, "a whole request");
            }
            let text = String::from_utf8(request).unwrap();
            assert!(text.starts_with("POST /token HTTP/1.1\r\n"), "{text}");
            assert!(text.contains("authorization: Basic aWQ6czNjcmV0\r\n"), "{text}");
            let reply = answer(count.fetch_add(1, Ordering::SeqCst) + 1);
            let _ = stream.write_all(reply.as_bytes()).await;
        }
    });
    (url, asked)
}

fn tokens(url: &str) -> Tokens {
    Tokens::new(&OAuthSettings {
        source: TokenSource::Endpoint {
            url: url.to_owned(),
            client_id: "id".to_owned(),
            client_secret: Secret::new("s3cret"),
            scope: Some("a b".to_owned()),
            url_encodes_header: false,
            tls: Box::new(TlsSettings::default()),
            connect_timeout: None,
            read_timeout: Some(Duration::from_millis(500)),
            retry_backoff: Duration::from_millis(10),
            retry_backoff_max: Duration::from_millis(100),
        },
        extensions: Vec::new(),
        refresh: TokenRefresh {
            window_percent: 80,
            jitter_percent: 5,
            min_period: Duration::from_secs(60),
            buffer: Duration::from_secs(300),
        },
    })
}

fn token(n: usize, lifetime_ms: i64) -> String {
    let expires = (now_ms() + lifetime_ms) / 1000;
    let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"x","exp":{expires},"n":{n}}}"#));
    let body = format!(r#"{{"access_token":"e30.{claims}.sig","token_type":"Bearer"}}"#);
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn all_who_ask_at_once_get_one_token() {
    let (url, asked) = endpoint_that(|n| token(n, 3_600_000)).await;
    let tokens = Arc::new(tokens(&url));
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let tokens = Arc::clone(&tokens);
        askers.spawn(async move { tokens.current().await.unwrap().text.clone() });
    }
    let got = askers.join_all().await;
    assert!(got.iter().all(|token| *token == got[0]));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// 2 s of life, of which at 80 % the next is fetched: whoever asks meanwhile waits for nothing.
#[tokio::test]
async fn a_token_is_fetched_anew_before_it_expires() {
    let (url, asked) = endpoint_that(|n| token(n, 3_000)).await;
    let tokens = tokens(&url);
    let first = tokens.current().await.unwrap().text.clone();
    while asked.load(Ordering::SeqCst) < 2 {
        assert_eq!(tokens.current().await.unwrap().text, first);
        sleep(Duration::from_millis(50)).await;
    }
    sleep(Duration::from_millis(200)).await;
    assert_ne!(tokens.current().await.unwrap().text, first);
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_may_not_is_told() {
    const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    const NO: &str = "HTTP/1.1 401 No\r\nContent-Length: 26\r\n\r\n{\"error\":\"invalid_client\"}";
    let (url, asked) = endpoint_that(|n| if n < 3 { BUSY.to_owned() } else { token(n, 3_600_000) }).await;
    assert!(tokens(&url).current().await.is_ok());
    assert_eq!(asked.load(Ordering::SeqCst), 3);

    let (url, asked) = endpoint_that(|_| NO.to_owned()).await;
    let error = tokens(&url).current().await.unwrap_err();
    assert!(error.to_string().contains("401: invalid_client"), "{error}");
    assert!(!error.is_retriable() && !format!("{error:?}").contains("s3cret"));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn endpoints_that_are_down_silent_or_endless_are_given_up() {
    let error = tokens("http://127.0.0.1:1/token").current().await.unwrap_err();
    assert!(matches!(error, TokenError::Unreachable { .. }), "{error:?}");
    let (url, _) = endpoint_that(|_| "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_owned()).await;
    let error = tokens(&url).current().await.unwrap_err();
    // The stream ends where the answer should go on.
    assert!(matches!(error, TokenError::Unreachable { .. } | TokenError::Timeout { .. }), "{error:?}");
    let endless = format!("HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n{}", "x".repeat(600 << 10));
    let (url, _) = endpoint_that(move |_| endless.clone()).await;
    let error = tokens(&url).current().await.unwrap_err();
    assert!(matches!(error, TokenError::Unreachable { .. }), "{error:?}");
    let (url, _) = endpoint_that(|_| "SSH-2.0-x\r\n".to_owned()).await;
    assert!(tokens(&url).current().await.is_err());
}

#[tokio::test]
async fn files_are_read_each_time() {
    let path = std::env::temp_dir().join(format!("kmirror-token-{}", std::process::id()));
    let write = |n| {
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":9999999999,"n":{n}}}"#));
        std::fs::write(&path, format!("e30.{claims}.sig\n")).unwrap();
    };
    let mut settings = OAuthSettings {
        source: TokenSource::File(path.clone()),
        extensions: Vec::new(),
        refresh: TokenRefresh {
            window_percent: 80,
            jitter_percent: 5,
            min_period: Duration::ZERO,
            buffer: Duration::ZERO,
        },
    };
    let tokens = Tokens::new(&settings);
    write(1);
    let first = tokens.current().await.unwrap().text.clone();
    write(2);
    assert_ne!(tokens.current().await.unwrap().text, first);
    std::fs::write(&path, vec![b'x'; 600 << 10]).unwrap();
    assert!(matches!(tokens.current().await, Err(TokenError::File { .. })));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(tokens.current().await, Err(TokenError::File { .. })));
    settings.source = TokenSource::Unsecured { string_claims: Vec::new(), lifetime: Duration::from_secs(1) };
    assert!(Tokens::new(&settings).current().await.is_ok());
}
