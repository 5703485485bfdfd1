//! A small token endpoint (RFC 6749, section 4.4): signs tokens that brokers check by its keys, counts, and can fail.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use sha2::Sha256;

use crate::stores::Stores;

/// What it signs with. Brokers want 256 bits at least.
const KEY: &[u8] = b"kmirror-kmirror-kmirror-kmirror-kmirror-key";
const KEY_ID: &str = "k1";
/// The one client it knows.
pub const CLIENT: (&str, &str) = ("mirror", "client-s3cret");

/// Serves until it is dropped, and a little longer.
pub struct TokenEndpoint {
    url: String,
    port: u16,
    state: Arc<State>,
}

struct State {
    lifetime: Duration,
    given: AtomicUsize,
    is_down: AtomicBool,
    is_over: AtomicBool,
}

impl TokenEndpoint {
    /// Gives out tokens that live for `lifetime`, unencrypted.
    pub fn start(lifetime: Duration) -> Result<Self> {
        Self::start_with(lifetime, None)
    }

    /// The same over TLS, with the certificate `broker` of `stores`.
    pub fn start_tls(lifetime: Duration, stores: &Stores) -> Result<Self> {
        Self::start_with(lifetime, Some(Arc::new(stores.server()?)))
    }

    fn start_with(lifetime: Duration, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State {
            lifetime,
            given: AtomicUsize::new(0),
            is_down: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{port}/token");
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.is_over.load(Ordering::SeqCst) {
                    return;
                }
                // Who does not ask to the end gets nothing; the next one may.
                let _ = serve(stream, tls.clone(), &shared);
            }
        });
        Ok(Self { url, port, state })
    }

    /// Where to ask.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many tokens it gave out.
    #[must_use]
    pub fn given(&self) -> usize {
        self.state.given.load(Ordering::SeqCst)
    }

    /// Answers with status 503 from now on, or no longer.
    pub fn set_down(&self, is_down: bool) {
        self.state.is_down.store(is_down, Ordering::SeqCst);
    }

    /// What brokers check its tokens by (RFC 7517).
    #[must_use]
    pub fn keys() -> String {
        let key = URL_SAFE_NO_PAD.encode(KEY);
        json!({"keys": [{"kty": "oct", "kid": KEY_ID, "alg": "HS256", "k": key}]}).to_string()
    }
}

impl Drop for TokenEndpoint {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::SeqCst);
        // So that it looks.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, state: &State) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    match tls {
        Some(config) => answer(StreamOwned::new(ServerConnection::new(config)?, stream), state),
        None => answer(stream, state),
    }
}

fn answer(mut stream: impl Read + Write, state: &State) -> Result<()> {
    let (authorization, form) = request(&mut stream)?;
    let known = format!("Basic {}", STANDARD.encode(format!("{}:{}", CLIENT.0, CLIENT.1)));
    let (status, body) = if state.is_down.load(Ordering::SeqCst) {
        ("503 Service Unavailable", String::new())
    } else if authorization != known || !form.starts_with("grant_type=client_credentials") {
        ("401 Unauthorized", json!({"error": "invalid_client", "error_description": "unknown"}).to_string())
    } else {
        state.given.fetch_add(1, Ordering::SeqCst);
        let token = token(state.lifetime)?;
        let seconds = state.lifetime.as_secs();
        ("200 OK", json!({"access_token": token, "token_type": "Bearer", "expires_in": seconds}).to_string())
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    Ok(stream.flush()?)
}

/// The header `Authorization` and the body.
fn request(stream: impl Read) -> Result<(String, String)> {
    let mut reader = BufReader::new(stream);
    let (mut authorization, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => value.clone_into(&mut authorization),
            "content-length" => length = value.parse()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((authorization, String::from_utf8(body)?))
}

fn token(lifetime: Duration) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let header = json!({"alg": "HS256", "kid": KEY_ID}).to_string();
    let claims =
        json!({"sub": CLIENT.0, "iat": now, "exp": now + lifetime.as_secs(), "scope": "kafka"}).to_string();
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mac = Hmac::<Sha256>::new_from_slice(KEY).context("a key of any length will do")?;
    let signature = mac.chain_update(&signed).finalize().into_bytes();
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
