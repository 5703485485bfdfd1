//! SASL: who we are to a broker. The conversation is the same for all mechanisms; each has a file.

use std::path::PathBuf;
use std::time::Duration;

use crate::net::kerberos::KerberosSettings;
use crate::net::tls::TlsSettings;
use crate::secret::Secret;

/// Who we are. Names and meanings are those of Java's clients (`SaslConfigs`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaslSettings {
    /// `PLAIN` (RFC 4616)
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
            Self::Scram { hash: ScramHash::Sha256, .. } => "SCRAM-SHA-256",
            Self::Scram { hash: ScramHash::Sha512, .. } => "SCRAM-SHA-512",
            Self::OAuthBearer(_) => "OAUTHBEARER",
            Self::Gssapi(_) => "GSSAPI",
        }
    }
}

/// SASL at work: the settings and what they brought, tokens and tickets.
#[derive(Debug)]
pub struct Sasl {
    settings: SaslSettings,
}

impl Sasl {
    /// Asks nobody yet.
    pub fn new(settings: SaslSettings) -> Self {
        Self { settings }
    }

    /// What is configured.
    pub fn settings(&self) -> &SaslSettings {
        &self.settings
    }
}
