//! What can go wrong on one connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::recognise::Spoke;
use super::sasl::SaslError;
use super::socks5::Socks5Error;
use super::tls::TlsError;
use crate::wire::api::ApiKey;
use crate::wire::error::{ErrorCode, WireError};

/// Why a connection could not be opened or used. Cheap to clone: everyone who waited on a connection learns the
/// same cause.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The host name leads nowhere.
    #[error("the host name of {address} cannot be resolved; check its spelling and DNS")]
    Resolve {
        /// Who was wanted.
        address: Address,
        /// What the resolver said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The host name exists and has no addresses.
    #[error("the host name of {address} has no addresses")]
    NoAddresses {
        /// Who was wanted.
        address: Address,
    },
    /// Nobody accepted the connection. Of several addresses, the last one tried.
    #[error("cannot connect to {address} at {peer}; is the broker running, and the port right?")]
    Connect {
        /// Who was wanted.
        address: Address,
        /// The address that was tried.
        peer: SocketAddr,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// Connecting took too long.
    #[error("no connection to {address} within {after:?}; is there a firewall in between?")]
    ConnectTimeout {
        /// Who was wanted.
        address: Address,
        /// The time it had.
        after: Duration,
    },
    /// The local address cannot be connected from.
    #[error(
        "cannot connect to {address} from {bind} (kmirror.bind.address); is that an address of this host?"
    )]
    Bind {
        /// Who was wanted.
        address: Address,
        /// The local address.
        bind: IpAddr,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The proxy does not connect us.
    #[error("no connection to {address} through the proxy {proxy} (kmirror.socks5.proxy)")]
    Proxy {
        /// Who was wanted.
        address: Address,
        /// Who was asked for it.
        proxy: Address,
        /// What it said.
        #[source]
        source: Arc<Socks5Error>,
    },
    /// The connection cannot be encrypted as configured.
    #[error("no encrypted connection with {address}")]
    Tls {
        /// Who was wanted.
        address: Address,
        /// Why.
        #[source]
        source: Arc<TlsError>,
    },
    /// Something else than Kafka answers.
    #[error("{address} does not speak Kafka: {spoke}")]
    NotKafka {
        /// Who was asked.
        address: Address,
        /// What it spoke.
        spoke: Spoke,
    },
    /// The connection was accepted, and closed before the first answer.
    #[error(
        "{address} closed the connection without an answer; a listener that wants TLS \
         (security.protocol=SSL or SASL_SSL) does that to a client that speaks plain"
    )]
    ClosedAtOnce {
        /// Who was asked.
        address: Address,
    },
    /// The broker refused something that has to work before anything else can.
    #[error("{address} refused {api}: {code}")]
    Refused {
        /// Who was asked.
        address: Address,
        /// What was asked.
        api: ApiKey,
        /// Its answer.
        code: ErrorCode,
    },
    /// The broker and we do not agree on who we are.
    #[error("authentication with {address} failed")]
    Sasl {
        /// Who was asked.
        address: Address,
        /// Why.
        #[source]
        source: Arc<SaslError>,
    },
    /// The broker closed the connection.
    #[error(
        "{address} closed the connection (a broker that stops does that, and one that wants a client to \
         authenticate)"
    )]
    Closed {
        /// Who was connected.
        address: Address,
    },
    /// Reading or writing failed.
    #[error("the connection to {address} failed")]
    Io {
        /// Who was connected.
        address: Address,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The broker stays silent.
    #[error("{address} has not answered {api} for {after:?}")]
    Timeout {
        /// Who was asked.
        address: Address,
        /// What was asked.
        api: ApiKey,
        /// How long it was silent.
        after: Duration,
    },
    /// A response announces more bytes than we accept.
    #[error("a response of {bytes} bytes from {address} is larger than the {limit} bytes allowed")]
    FrameTooLarge {
        /// Who answered.
        address: Address,
        /// What it announced.
        bytes: usize,
        /// What is accepted.
        limit: usize,
    },
    /// A response announces more bytes than the whole buffer memory holds.
    #[error(
        "a response of {bytes} bytes from {address} does not fit the {budget} bytes of buffer memory; raise the \
         budget or fetch less at once"
    )]
    FrameOverBudget {
        /// Who answered.
        address: Address,
        /// What it announced.
        bytes: usize,
        /// All the memory there is.
        budget: usize,
    },
    /// A response that answers no request, or the wrong one.
    #[error("{address} answered request {got}, expected was {expected:?}; the connection is out of step")]
    OutOfStep {
        /// Who answered.
        address: Address,
        /// The correlation id that was due, if any.
        expected: Option<i32>,
        /// The one that came.
        got: i32,
    },
    /// Bytes that are not what they should be.
    #[error("{address} and we do not understand each other")]
    Wire {
        /// Who answered.
        address: Address,
        /// What is wrong.
        #[source]
        source: WireError,
    },
    /// The broker is too old (or too new) for this API.
    #[error("{address} does not speak {api} in a version we do")]
    Unsupported {
        /// Who was asked.
        address: Address,
        /// What was wanted.
        api: ApiKey,
    },
    /// We closed the connection, because nobody used it or wanted it any more.
    #[error("the connection to {address} was closed on this side")]
    ClosedHere {
        /// Who was connected.
        address: Address,
    },
    /// The connection broke, and with it everything that waited on it.
    #[error("the connection broke")]
    Broken {
        /// Why, the same for all who waited.
        #[source]
        cause: Arc<Self>,
    },
}

impl NetError {
    /// The cause itself where the connection broke of it.
    pub fn root(&self) -> &Self {
        match self {
            Self::Broken { cause } => cause.root(),
            other => other,
        }
    }

    /// Whether security is to blame, ours or theirs: certificates, stores, versions, logins. Trying again helps only when
    /// somebody has changed something.
    pub fn is_security(&self) -> bool {
        match self.root() {
            Self::Tls { source, .. } => source.is_security(),
            Self::Sasl { source, .. } => !source.is_retriable(),
            Self::Proxy { source, .. } => source.is_security(),
            _ => false,
        }
    }

    pub(crate) fn tls(address: &Address, source: TlsError) -> Self {
        Self::Tls { address: address.clone(), source: Arc::new(source) }
    }

    pub(crate) fn sasl(address: &Address, source: SaslError) -> Self {
        Self::Sasl { address: address.clone(), source: Arc::new(source) }
    }

    pub(crate) fn wire(address: &Address, source: WireError) -> Self {
        Self::Wire { address: address.clone(), source }
    }
}
