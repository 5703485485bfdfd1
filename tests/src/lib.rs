//! Harness for the tests and benchmarks: real Kafka, bad links, other clients as oracles.
//!
//! Blocking code on plain threads: nothing here may depend on the engine or on how it schedules its work.

pub mod artefacts;
pub mod broker;
pub mod cache;
pub mod clock;
pub mod disk;
pub mod faults;
pub mod java;
pub mod kafka;
pub mod kdc;
pub mod kmirror;
pub mod oracle;
pub mod passwords;
pub mod process;
pub mod proxy;
pub mod reaper;
pub mod scripts;
pub mod socks;
pub mod stores;
pub mod token_endpoint;
mod zookeeper;
