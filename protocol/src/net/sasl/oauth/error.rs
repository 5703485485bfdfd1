//! Why there is no token. Holds no secret: of URLs the place, of answers what RFC 6749 has them say about errors.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why there is no token. Cheap to clone: all who waited for it learn the same.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file cannot be read.
    #[error("the token file {path} cannot be read (sasl.oauthbearer.token.endpoint.url)")]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The URL of the endpoint is none.
    #[error(
        "sasl.oauthbearer.token.endpoint.url is not a URL of a token endpoint: {why}; it begins with https:// or http://"
    )]
    Url {
        /// What is wrong with it.
        why: &'static str,
    },
    /// What is configured cannot be sent.
    #[error("{option} cannot be sent to the token endpoint: it is empty")]
    Empty {
        /// Whose value it is.
        option: &'static str,
    },
    /// Nobody answers there.
    #[error("the token endpoint {endpoint} (sasl.oauthbearer.token.endpoint.url) cannot be reached")]
    Unreachable {
        /// Where it is.
        endpoint: Arc<str>,
        /// Why.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// It took too long.
    #[error("the token endpoint {endpoint} has not answered within {after:?} (sasl.login.read.timeout.ms)")]
    Timeout {
        /// Where it is.
        endpoint: Arc<str>,
        /// The time it had.
        after: Duration,
    },
    /// It gives us no token.
    #[error(
        "the token endpoint {endpoint} answered with HTTP status {status}{message}; {}", check(*status)
    )]
    Refused {
        /// Where it is.
        endpoint: Arc<str>,
        /// The HTTP status.
        status: u16,
        /// What it said of the error (RFC 6749, section 5.2), with a separator before; empty if nothing.
        message: String,
    },
    /// It answers something else.
    #[error("the answer of the token endpoint {endpoint} has no token: {why}")]
    NoToken {
        /// Where it is.
        endpoint: Arc<str>,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The token is not one that can be used.
    #[error("the token is no JSON Web Token: {why}")]
    NotJwt {
        /// What is wrong with it.
        why: &'static str,
    },
    /// A piece of work of ours ended without a result.
    #[error("an inner task failed; this is a defect of kmirror")]
    Inner,
}

/// What may be wrong when the endpoint answers with this status.
fn check(status: u16) -> &'static str {
    match status {
        400..=403 => "check clientId, clientSecret and scope",
        _ => "check sasl.oauthbearer.token.endpoint.url, and the endpoint itself",
    }
}

impl TokenError {
    /// Whether it may pass by itself. The statuses that do not are those of `HttpAccessTokenRetriever`.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                !matches!(status, 400..=406 | 407 | 409..=411 | 413..=415 | 501 | 505)
            }
            Self::Url { .. } | Self::Empty { .. } => false,
            _ => true,
        }
    }
}
