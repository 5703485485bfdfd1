//! What is known of a connection once it is open, and how far one came that could not be opened. Values only.

use std::net::SocketAddr;
use std::time::Duration;

use super::error::NetError;
use super::tls::Moment;

/// The steps of opening a connection, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Finding addresses for the host name.
    Name,
    /// Connecting to one of them.
    Connect,
    /// Asking the proxy for the broker.
    Proxy,
    /// Encrypting.
    Tls,
    /// Asking for the versions of Kafka's APIs.
    Kafka,
    /// Authenticating.
    Sasl,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Name, Self::Connect, Self::Proxy, Self::Tls, Self::Kafka, Self::Sasl];

    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tls => "TLS",
            Self::Kafka => "Kafka",
            Self::Sasl => "SASL",
        }
    }
}

/// An open connection, as it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// The address that answered: the broker's, or the proxy's.
    pub peer: SocketAddr,
    /// How it is encrypted, if it is.
    pub tls: Option<TlsFacts>,
    /// How many APIs the broker and we have in common.
    pub apis: usize,
    /// After what time the broker wants to be told again who we are (KIP-368), if ever.
    pub session: Option<Duration>,
}

/// How a connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// The version of TLS.
    pub version: String,
    /// The cipher suite.
    pub suite: String,
    /// The broker's certificate, and those that it showed beside it.
    pub chain: Vec<Shown>,
}

/// A certificate that a broker showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Whose it is.
    pub subject: String,
    /// Until when it is valid.
    pub not_after: Moment,
}

impl NetError {
    /// The step that failed; the last one for what happens on an open connection.
    pub fn stage(&self) -> Stage {
        match self.root() {
            Self::Resolve { .. } | Self::NoAddresses { .. } => Stage::Name,
            Self::Connect { .. } | Self::ConnectTimeout { .. } | Self::Bind { .. } => Stage::Connect,
            Self::Proxy { .. } => Stage::Proxy,
            Self::Tls { .. } => Stage::Tls,
            Self::Sasl { .. } => Stage::Sasl,
            _ => Stage::Kafka,
        }
    }
}
