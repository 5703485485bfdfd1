//! One POST to a token endpoint, over TCP or TLS: no redirects, no cookies, no reuse, and every part of it bounded. Knows
//! nothing of tokens.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::error::TokenError;
use super::url::Url;
use crate::net::tls::Tls;

/// The largest answer that is read, head and body each. A Kafka broker takes no larger tokens
/// (`sasl.server.max.receive.size`).
const MAX_ANSWER_BYTES: usize = 512 << 10;
/// How long to wait where nothing is configured; Java would wait forever.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long each part may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// To be connected, TLS included.
    pub(super) connect: Duration,
    /// From then to the end of the answer.
    pub(super) read: Duration,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Zeroizing<Vec<u8>>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Posts a form.
///
/// # Errors
/// [`TokenError::Unreachable`], [`TokenError::Timeout`], [`TokenError::Empty`].
pub(super) async fn post(
    url: &Url,
    authorization: &str,
    form: &str,
    tls: &Tls,
    timeouts: Timeouts,
) -> Result<Answer, TokenError> {
    let late = |after| TokenError::Timeout { endpoint: url.shown(), after };
    let request = request(url, authorization, form)?;
    let stream = timeout(timeouts.connect, connect(url, tls, timeouts.connect))
        .await
        .map_err(|_| late(timeouts.connect))?;
    let stream = stream.map_err(|source| unreachable(url, source))?;
    let answer = timeout(timeouts.read, exchange(stream, request)).await.map_err(|_| late(timeouts.read))?;
    answer.map_err(|source| unreachable(url, source))
}

fn unreachable(url: &Url, source: Box<dyn Error + Send + Sync>) -> TokenError {
    TokenError::Unreachable { endpoint: url.shown(), source: Arc::from(source) }
}

fn request(url: &Url, authorization: &str, form: &str) -> Result<Request<Full<Bytes>>, TokenError> {
    let unsendable = || TokenError::Url { why: "it has characters that no URL has" };
    let mut authorization = HeaderValue::from_str(authorization).map_err(|_| unsendable())?;
    authorization.set_sensitive(true);
    Request::post(url.target())
        .header(HOST, url.authority())
        .header(ACCEPT, "application/json")
        .header(CACHE_CONTROL, "no-cache")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(AUTHORIZATION, authorization)
        .body(Full::new(Bytes::copy_from_slice(form.as_bytes())))
        .map_err(|_| unsendable())
}

async fn connect(
    url: &Url,
    tls: &Tls,
    patience: Duration,
) -> Result<Box<dyn Stream>, Box<dyn Error + Send + Sync>> {
    let stream = TcpStream::connect((url.host(), url.port())).await?;
    stream.set_nodelay(true)?;
    if !url.is_encrypted() {
        return Ok(Box::new(stream));
    }
    Ok(Box::new(tls.connect(url.host(), stream, patience).await?))
}

async fn exchange(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Box<dyn Error + Send + Sync>> {
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(MAX_ANSWER_BYTES).handshake(TokioIo::new(stream)).await?;
    let asking = async move {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await?.to_bytes();
        Ok(Answer { status, body: Zeroizing::new(body.to_vec()) })
    };
    tokio::pin!(asking);
    // The connection may end with the answer whole: then it is read all the same.
    tokio::select! {
        biased;
        answer = &mut asking => answer,
        _ = connection => asking.await,
    }
}
