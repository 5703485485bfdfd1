//! Sockets, frames and connections: everything below one request and one response.
//!
//! Knows nothing of clusters, topics or retries: a connection that failed stays failed, whoever wants another
//! opens one.

mod address;
mod connection;
mod error;
mod options;
mod pool;
mod recognise;
#[cfg(test)]
pub(crate) mod testing;
mod throttle;
mod transport;

pub use address::{Address, AddressError};
pub use connection::{Connection, ResponseWaiter};
pub use error::NetError;
pub use options::ConnectionOptions;
pub use pool::BufferPool;
pub use recognise::Spoke;
pub use throttle::Throttling;
