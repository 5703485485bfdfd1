//! Speaks the Kafka protocol. Layers, strictly downward: `client` -> `net` -> `wire`.
//!
//! `wire` is pure: bytes and values in, values out. `net` owns sockets. `client` knows clusters.

pub mod client;
pub mod net;
mod secret;
pub mod wire;

pub use secret::Secret;
