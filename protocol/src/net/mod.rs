//! Sockets, frames and connections: everything below one request and one response.
//!
//! Knows nothing of clusters, topics or retries: a connection that failed stays failed, whoever wants another
//! opens one.

mod address;
mod connection;
mod error;
mod facts;
pub mod kerberos;
mod keystore;
mod options;
mod pool;
mod recognise;
pub mod sasl;
mod security;
mod socks5;
#[cfg(test)]
pub(crate) mod testing;
mod throttle;
pub mod tls;
mod transport;

pub use address::{Address, AddressError};
pub use connection::{Connection, ResponseWaiter};
pub use error::NetError;
pub use facts::{ConnectionFacts, Shown, Stage, TlsFacts};
pub use keystore::KeystoreError;
pub use options::{ConnectionOptions, Route, Socks5};
pub use pool::BufferPool;
pub use recognise::Spoke;
pub use security::{Security, SecuritySettings};
pub use socks5::{Refusal, Socks5Error};
pub use throttle::Throttling;
