//! How one client connects to one cluster, and how patient it is.

use std::time::Duration;

use kmirror_protocol::net::{Address, Route, Security};

/// The settings of one client: one role (consumer, producer or admin) of one flow at one cluster.
#[derive(Debug, Clone)]
pub struct ClientPlan {
    /// `bootstrap.servers`
    pub bootstrap: Vec<Address>,
    /// `client.id`, with the flow and the role behind it as MirrorMaker 2 has them.
    pub client_id: String,
    /// `request.timeout.ms`
    pub request_timeout: Duration,
    /// `socket.connection.setup.timeout.ms`
    pub connect_timeout: Duration,
    /// `reconnect.backoff.ms`
    pub reconnect_backoff: Duration,
    /// `reconnect.backoff.max.ms`
    pub reconnect_backoff_max: Duration,
    /// `retry.backoff.ms`
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`
    pub retry_backoff_max: Duration,
    /// `metadata.max.age.ms`
    pub metadata_max_age: Duration,
    /// `connections.max.idle.ms`; none when connections are kept for ever.
    pub idle_close: Option<Duration>,
    /// `send.buffer.bytes`; none leaves it to the operating system.
    pub send_buffer: Option<usize>,
    /// `receive.buffer.bytes`; none leaves it to the operating system.
    pub receive_buffer: Option<usize>,
    /// `security.protocol` and all that goes with it. Clients of a cluster that are secured alike share it, with the
    /// stores, tokens and tickets it has brought; it may be replaced while they run.
    pub security: Security,
    /// `kmirror.bind.address`, `kmirror.socks5.*`
    pub route: Route,
}
