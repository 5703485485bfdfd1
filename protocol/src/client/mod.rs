//! Clusters: metadata, retries, and the calls that the engine makes.
//!
//! Everything here goes through [`Cluster`], which knows the brokers and their connections. What to do about an
//! error code is decided in [`retry`] and nowhere else.

pub mod admin;
mod backoff;
mod by_leader;
mod cluster;
pub mod consume;
mod error;
mod flight;
pub mod groups;
mod metadata;
pub mod offsets;
pub mod retry;
pub mod send;
pub mod tail;
#[cfg(test)]
mod testing;
pub mod txn;

pub use backoff::Backoff;
pub use by_leader::TopicPartition;
pub use cluster::{Cluster, ClusterOptions, Purpose, Topics};
pub use error::ClientError;
pub use metadata::{Broker, Metadata, NodeId, Partition, Topic};
