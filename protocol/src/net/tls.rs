//! TLS: from stores and options to a rustls configuration, loaded anew when files change. Opens no sockets.

use std::path::PathBuf;

use crate::secret::Secret;

/// How connections are encrypted. Names and meanings are those of Java's clients (`SslConfigs`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Whom we trust (`ssl.truststore.*`); the system's roots where there is none.
    pub trust: Option<Store>,
    /// Who we are (`ssl.keystore.*`), for brokers that want to know.
    pub identity: Option<Store>,
    /// What the key within the key store is encrypted with (`ssl.key.password`); the store's password where there is none.
    pub key_password: Option<Secret>,
    /// Whether the broker's certificate must be for the name it was connected by
    /// (`ssl.endpoint.identification.algorithm`: `https` or empty).
    pub checks_host_name: bool,
    /// `ssl.enabled.protocols`; all there are where it is empty.
    pub versions: Vec<TlsVersion>,
    /// `ssl.cipher.suites`, named as Java names them; all there are where it is empty.
    pub cipher_suites: Vec<String>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// `TLSv1.2`
    Tls12,
    /// `TLSv1.3`
    Tls13,
}

/// Certificates, or certificates and a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Where its bytes are.
    pub place: StorePlace,
    /// What it was said to be (`ssl.truststore.type`); what its bytes are decides.
    pub kind: Option<StoreKind>,
    /// `ssl.truststore.password`, `ssl.keystore.password`.
    pub password: Option<Secret>,
}

/// Where a store's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// In a file (`ssl.truststore.location`, `ssl.keystore.location`).
    File(PathBuf),
    /// In the configuration itself, as PEM (`ssl.truststore.certificates`, `ssl.keystore.certificate.chain`).
    Inline {
        /// One or more certificates.
        certificates: Secret,
        /// The key of the first (`ssl.keystore.key`).
        key: Option<Secret>,
    },
}

/// A format of stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// Java's own.
    Jks,
    /// PKCS #12.
    Pkcs12,
    /// Text with certificates and keys.
    Pem,
}

/// TLS at work: the settings and what was loaded for them.
#[derive(Debug)]
pub struct Tls {
    settings: TlsSettings,
}

impl Tls {
    /// Loads nothing yet.
    pub fn new(settings: TlsSettings) -> Self {
        Self { settings }
    }

    /// What is configured.
    pub fn settings(&self) -> &TlsSettings {
        &self.settings
    }
}

/// Stands in for what is written elsewhere.
#[derive(Debug, thiserror::Error)]
#[error("TLS is not there yet")]
pub struct TlsError;

impl Tls {
    /// Stands in for what is written elsewhere.
    pub(crate) async fn connect(
        &self,
        _: &str,
        _: tokio::net::TcpStream,
        _: std::time::Duration,
    ) -> Result<tokio::net::TcpStream, TlsError> {
        Err(TlsError)
    }
}
