//! What can be set about a connection.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::security::Security;
use super::throttle::Throttling;
use crate::secret::Secret;

/// How to open and use a connection. The defaults are those of the Java clients where they have the option.
#[derive(Debug, Clone)]
pub struct ConnectionOptions {
    /// How we call ourselves in request logs and quotas.
    pub client_id: Arc<str>,
    /// How long finding the address and each attempt to connect may take (`socket.connection.setup.timeout.ms`).
    pub connect_timeout: Duration,
    /// How long the broker may stay silent while a request waits (`request.timeout.ms`).
    pub request_timeout: Duration,
    /// How many requests may wait for their responses at once.
    pub max_in_flight: usize,
    /// The largest response frame to accept, in bytes.
    pub max_frame_bytes: usize,
    /// After how long without a request to close (`connections.max.idle.ms`); `None` for never.
    pub idle_close: Option<Duration>,
    /// The socket's send buffer in bytes; `None` leaves it to the operating system, which adapts it.
    pub send_buffer: Option<u32>,
    /// The socket's receive buffer in bytes; `None` leaves it to the operating system, which adapts it.
    pub receive_buffer: Option<u32>,
    /// How it is secured.
    pub security: Security,
    /// Which way it goes.
    pub route: Route,
    /// Where it is counted that brokers asked for silence.
    pub throttling: Arc<Throttling>,
}

/// Which way a connection takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// The local address to connect from (`kmirror.bind.address`).
    pub bind: Option<IpAddr>,
    /// A SOCKS5 proxy to go through (`kmirror.socks5.proxy`); it resolves the brokers' names.
    pub proxy: Option<Socks5>,
}

/// A SOCKS5 proxy (RFC 1928).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socks5 {
    /// Where it is.
    pub address: Address,
    /// User name and password (RFC 1929), where it wants them.
    pub login: Option<(String, Secret)>,
}

/// Default for [`ConnectionOptions::max_frame_bytes`]: metadata of the largest clusters takes tens of megabytes,
/// a Fetch response what was asked for plus one batch.
const MAX_FRAME_BYTES: usize = 128 << 20;

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            client_id: "kmirror".into(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            max_in_flight: 5,
            max_frame_bytes: MAX_FRAME_BYTES,
            idle_close: Some(Duration::from_secs(540)),
            send_buffer: None,
            receive_buffer: None,
            security: Security::default(),
            route: Route::default(),
            throttling: Arc::default(),
        }
    }
}
