//! An in-process, in-memory Kafka cluster for demonstrations and tests.
//!
//! [`Sandbox::start`] runs any number of brokers in the calling process, each behind a TCP port of its own. They speak
//! Kafka's protocol well enough for ordinary clients, check what they are sent as a broker does, and do what a test's
//! scripts tell them to (see [`Sandbox::control`]). Nothing is kept on disk; replication, retention by time and compaction
//! do not happen. It never stands in for Kafka where a promise about Kafka is to be proved.

mod api;
mod chunks;
mod control;
mod direct;
mod group;
mod net;
mod options;
mod sandbox;
mod shared;
mod state;
mod still;

pub use control::{ControlId, RequestInfo, Verdict};
pub use direct::TopicSpec;
pub use kafka_protocol::ResponseError;
/// Kafka's messages, for scripts that look into requests.
pub use kafka_protocol::messages;
pub use kafka_protocol::messages::ApiKey;
pub use options::{SandboxOptions, WhenFull};
pub use sandbox::{Sandbox, SandboxError};
pub use still::Still;
