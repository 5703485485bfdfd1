//! Connections against small servers that behave, and that do not.

mod encrypted;
mod faults;
mod flow;
mod proxied;
mod sasl;
mod silence;

use std::time::Duration;

use super::*;
use crate::net::testing::Server;

fn options() -> ConnectionOptions {
    ConnectionOptions {
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(5),
        ..ConnectionOptions::default()
    }
}

async fn open(server: &Server) -> Result<Connection, NetError> {
    Connection::open(&server.address, &options(), None).await
}

/// Sends a request with an opaque body in a version without tagged fields.
async fn ask(connection: &Connection, body: &'static [u8]) -> Result<ResponseWaiter, NetError> {
    connection.send(ApiKey::Metadata, 4, vec![Bytes::from_static(body)]).await
}
