//! SASL: who we are to a broker. The conversation is the same for all mechanisms (`net::connection::authenticate`); each
//! mechanism has a file, and is pure: what it needs from elsewhere, it has before the first message.
//!
//! Only the mechanism that is configured is ever used: a broker can refuse it, not choose another.

mod aws;
mod error;
mod oauth;
mod oauthbearer;
mod plain;
pub(crate) mod random;
mod scram;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zeroize::Zeroizing;

pub use aws::{AwsError, AwsSettings};
pub use error::SaslError;
use error::hint;
pub(super) use error::quoted;
pub use oauth::TokenError;

use crate::net::kerberos::{self, Kerberos, KerberosSettings};
use crate::net::tls::TlsSettings;
use crate::secret::Secret;

/// Who we are. Names and meanings are those of Java's clients (`SaslConfigs`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaslSettings {
    /// `PLAIN` (RFC 4616): the password goes to the broker as it is. That this happens in the clear with
    /// SASL_PLAINTEXT is the operator's choice.
    Plain {
        /// Who.
        username: String,
        /// Proof.
        password: Secret,
    },
    /// `SCRAM-SHA-256`, `SCRAM-SHA-512` (RFC 5802, RFC 7677)
    Scram {
        /// Which.
        hash: ScramHash,
        /// Who, or the id of a delegation token.
        username: String,
        /// Proof, or the HMAC of a delegation token.
        password: Secret,
        /// It is a delegation token (KIP-48, `tokenauth=true`).
        is_token: bool,
    },
    /// `OAUTHBEARER` (RFC 7628, KIP-255, KIP-768)
    OAuthBearer(OAuthSettings),
    /// `GSSAPI` (RFC 4752) with Kerberos 5
    Gssapi(KerberosSettings),
    /// `AWS_MSK_IAM`
    AwsMskIam(AwsSettings),
}

/// The hash of SCRAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScramHash {
    /// SHA-256
    Sha256,
    /// SHA-512
    Sha512,
}

/// Where tokens come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthSettings {
    /// Where tokens come from.
    pub source: TokenSource,
    /// `extension_NAME` in JAAS (KIP-342).
    pub extensions: Vec<(String, String)>,
    /// `sasl.login.refresh.*`
    pub refresh: TokenRefresh,
}

/// Where tokens come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// A token endpoint, asked with client credentials (`sasl.oauthbearer.token.endpoint.url`).
    Endpoint {
        /// `http://` or `https://`.
        url: String,
        /// `clientId`, `sasl.oauthbearer.client.credentials.client.id`
        client_id: String,
        /// `clientSecret`, `sasl.oauthbearer.client.credentials.client.secret`
        client_secret: Secret,
        /// `scope`, `sasl.oauthbearer.scope`
        scope: Option<String>,
        /// `sasl.oauthbearer.header.urlencode`
        url_encodes_header: bool,
        /// Of the endpoint (`ssl.*` in JAAS).
        tls: Box<TlsSettings>,
        /// `sasl.login.connect.timeout.ms`
        connect_timeout: Option<Duration>,
        /// `sasl.login.read.timeout.ms`
        read_timeout: Option<Duration>,
        /// `sasl.login.retry.backoff.ms`
        retry_backoff: Duration,
        /// `sasl.login.retry.backoff.max.ms`
        retry_backoff_max: Duration,
    },
    /// A file that holds the token (`file:` as the endpoint's URL), read anew when it changes.
    File(PathBuf),
    /// Made here, unsigned, for tests (`OAuthBearerUnsecuredLoginCallbackHandler`).
    Unsecured {
        /// `unsecuredLoginStringClaim_NAME`; the subject is the claim `sub`.
        string_claims: Vec<(String, String)>,
        /// `unsecuredLoginLifetimeSeconds`
        lifetime: Duration,
    },
}

/// When a token is fetched anew (`sasl.login.refresh.*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRefresh {
    /// `sasl.login.refresh.window.factor` in percent.
    pub window_percent: u8,
    /// `sasl.login.refresh.window.jitter` in percent.
    pub jitter_percent: u8,
    /// `sasl.login.refresh.min.period.seconds`
    pub min_period: Duration,
    /// `sasl.login.refresh.buffer.seconds`
    pub buffer: Duration,
}

impl SaslSettings {
    /// The name of the mechanism, as brokers know it.
    pub fn mechanism(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "PLAIN",
            Self::Scram { hash, .. } => hash.mechanism(),
            Self::OAuthBearer(_) => oauthbearer::MECHANISM,
            Self::Gssapi(_) => "GSSAPI",
            Self::AwsMskIam(_) => aws::MECHANISM,
        }
    }

    /// Who we say we are, where that is configured here.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Plain { username, .. } | Self::Scram { username, .. } => Some(username),
            Self::OAuthBearer(_) | Self::AwsMskIam(_) => None,
            Self::Gssapi(settings) => settings.principal.as_deref(),
        }
    }

    /// Whether a session of the one can go on with the other: a broker lets nobody become somebody else.
    pub(super) fn is_same_user(&self, other: &Self) -> bool {
        self == other
            || (self.mechanism() == other.mechanism() && self.user().is_some() && self.user() == other.user())
    }
}

/// Hears each line as a broker's message in each mechanism, and all of it as a token. For fuzzing.
#[doc(hidden)]
pub fn hear_everything(bytes: &[u8]) {
    let password = Secret::new("pencil");
    let mut scram = scram::Scram::new(ScramHash::Sha256, "user", &password, false, "nonce".to_owned());
    let mut bearer = oauthbearer::OAuthBearer::new(&Secret::new("a.b.c"), &[]).ok();
    for line in bytes.split(|byte| *byte == b'\n') {
        let _ = scram.next(line);
        let _ = bearer.as_mut().map(|bearer| bearer.next(line));
    }
    oauth::read_as_token(&String::from_utf8_lossy(bytes));
}

/// SASL at work: the settings and what they brought, tokens and tickets.
#[derive(Debug)]
pub struct Sasl {
    settings: SaslSettings,
    means: Means,
    /// Whether it was told that a protection level protects nothing.
    has_warned: AtomicBool,
}

/// What is kept from one exchange to the next.
#[derive(Debug)]
enum Means {
    None,
    Tokens(oauth::Tokens),
    Kerberos(Box<Kerberos>),
}

impl Sasl {
    /// Asks nobody yet.
    pub fn new(settings: SaslSettings) -> Self {
        let means = match &settings {
            SaslSettings::Plain { .. } | SaslSettings::Scram { .. } | SaslSettings::AwsMskIam(_) => {
                Means::None
            }
            SaslSettings::OAuthBearer(settings) => Means::Tokens(oauth::Tokens::new(settings)),
            SaslSettings::Gssapi(settings) => Means::Kerberos(Box::new(Kerberos::new(settings.clone()))),
        };
        Self { settings, means, has_warned: AtomicBool::new(false) }
    }

    /// What is configured.
    pub fn settings(&self) -> &SaslSettings {
        &self.settings
    }

    /// Forgets what was shown to the broker on `host`, which refused it: the key of its ticket may be out of date.
    pub(super) async fn forget(&self, host: &str) {
        if let Means::Kerberos(kerberos) = &self.means {
            kerberos.forget(host).await;
        }
    }

    /// An exchange with the broker on `host` came to its end: warns, once, of what it promised in vain.
    pub(super) fn ended(&self, exchange: &Exchange, host: &str) {
        if exchange.has_unused_layer() && !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                broker = host,
                "the broker insists on a protection level of GSSAPI (javax.security.sasl.qop), which in Kafka protects \
                 nothing; what protects data is security.protocol=SASL_SSL"
            );
        }
    }

    /// Begins an exchange with the broker on `host`: with the token or the ticket it takes, which may have to be got.
    ///
    /// # Errors
    /// Any [`SaslError`] but a broker's.
    pub(super) async fn begin(&self, host: &str) -> Result<Exchange, SaslError> {
        match (&self.settings, &self.means) {
            (SaslSettings::Plain { username, password }, _) => {
                plain::message(username, password).map(Exchange::Plain)
            }
            (SaslSettings::Scram { hash, username, password, is_token }, _) => {
                let nonce = random::nonce()?;
                let scram = scram::Scram::new(*hash, username, password, *is_token, nonce);
                Ok(Exchange::Scram(scram))
            }
            (SaslSettings::OAuthBearer(settings), Means::Tokens(tokens)) => {
                let token = tokens.current().await.map_err(SaslError::Token)?;
                let exchange = oauthbearer::OAuthBearer::new(&token.text, &settings.extensions)?;
                Ok(Exchange::OAuthBearer(exchange))
            }
            (SaslSettings::AwsMskIam(settings), _) => {
                aws::message(settings, host).await.map(Exchange::Aws).map_err(SaslError::Aws)
            }
            (_, Means::Kerberos(kerberos)) => match kerberos.exchange(host).await {
                Ok(exchange) => Ok(Exchange::Gssapi(Box::new(exchange))),
                Err(error) => Err(SaslError::Kerberos(Arc::new(error))),
            },
            (settings, _) => Err(SaslError::Challenge {
                mechanism: settings.mechanism(),
                what: "it has no means of its own",
            }),
        }
    }
}

/// What to do with what the broker said.
pub(super) enum Step {
    /// Answer so.
    Send(Zeroizing<Vec<u8>>),
    /// It is over: both are content.
    Done,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Send(_) => "Send([hidden])",
            Self::Done => "Done",
        })
    }
}

/// One exchange of one mechanism.
pub(super) enum Exchange {
    Plain(Zeroizing<Vec<u8>>),
    /// Answered with the number of the request, which nobody needs.
    Aws(Zeroizing<Vec<u8>>),
    Scram(scram::Scram),
    OAuthBearer(oauthbearer::OAuthBearer),
    Gssapi(Box<kerberos::Exchange>),
}

impl Exchange {
    /// What to send first.
    pub(super) fn first(&mut self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Plain(message) | Self::Aws(message) => message.clone(),
            Self::Scram(scram) => scram.first(),
            Self::OAuthBearer(exchange) => exchange.first(),
            Self::Gssapi(exchange) => Zeroizing::new(exchange.first()),
        }
    }

    /// Who we say we are, where not the configuration but the exchange knows.
    pub(super) fn user(&self) -> Option<Arc<str>> {
        match self {
            Self::Gssapi(exchange) => Some(exchange.principal().into()),
            _ => None,
        }
    }

    fn has_unused_layer(&self) -> bool {
        matches!(self, Self::Gssapi(exchange) if exchange.has_unused_layer())
    }

    /// What to look at when the broker refuses.
    pub(super) fn hint(&self, mechanism: &str) -> Arc<str> {
        match self {
            Self::Gssapi(exchange) => exchange.hint().into(),
            _ => hint(mechanism).into(),
        }
    }

    /// What to answer.
    ///
    /// # Errors
    /// Why not to go on: what the broker said is not what the mechanism has it say.
    pub(super) fn next(&mut self, challenge: &[u8]) -> Result<Step, SaslError> {
        match self {
            Self::Plain(_) if challenge.is_empty() => Ok(Step::Done),
            Self::Aws(_) if !challenge.is_empty() => Ok(Step::Done),
            Self::Aws(_) => {
                Err(SaslError::Challenge { mechanism: aws::MECHANISM, what: "an answer that is empty" })
            }
            Self::Plain(_) => {
                Err(SaslError::Challenge { mechanism: "PLAIN", what: "an answer where there is none" })
            }
            Self::Scram(scram) => scram.next(challenge),
            Self::OAuthBearer(exchange) => exchange.next(challenge),
            Self::Gssapi(exchange) => match exchange.next(challenge) {
                Ok(kerberos::Step::Send(message)) => Ok(Step::Send(Zeroizing::new(message))),
                Ok(kerberos::Step::Done) => Ok(Step::Done),
                Err(error) => Err(SaslError::Kerberos(Arc::new(error))),
            },
        }
    }
}
