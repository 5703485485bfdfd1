//! The way of a batch from source to target: fetched, rewritten, sent, acknowledged, written down.
//!
//! `lane` owns the state and is pure; `drive` feeds it from sockets and clocks.

pub mod aborted;
mod bucket;
pub mod count;
mod distance;
pub(crate) mod drive;
pub mod epochs;
pub mod event;
pub(crate) mod held;
pub mod lane;
mod lane_deal;
mod lane_limits;
mod lane_link;
mod lane_recovery;
mod lane_release;
mod lane_replica;
mod lane_sequences;
mod lane_session;
mod lane_set_aside;
mod lane_source;
mod lane_target;
pub mod lane_transaction;
pub mod ledger;
mod limits;
pub(crate) mod link;
mod outgoing;
pub mod partition;
pub mod position;
pub(crate) mod recount;
pub(crate) mod remedy;
pub mod rewrite;
pub mod whole;
pub(crate) mod workers;
