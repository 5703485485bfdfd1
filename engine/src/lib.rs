//! The mirroring engine: a validated `Plan` in, mirrored clusters out.

pub mod check;
mod clients;
mod clock;
mod commit;
pub mod config;
mod control;
mod create;
mod discovery;
mod error;
mod expiry;
pub mod failover;
pub mod filter;
pub mod flow;
mod heartbeat;
pub mod ids;
mod jobs;
pub mod metrics;
mod mirror;
pub mod offsets;
pub mod plan;
pub mod policy;
pub mod print;
pub mod progress;
mod read;
mod rules;
mod running;
pub mod share;
pub mod status;
mod sync;
mod transaction;
pub mod verify;

pub use clients::cluster;
pub use control::Refusal;
pub use error::chain;
pub use mirror::Mirror;
