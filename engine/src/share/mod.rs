//! Several processes on one flow: a Kafka group on the target cluster, in which they share the flow's partitions out.
//!
//! The group is MirrorMaker 2's (`<source>-mm2`) with a protocol of our own, so that a MirrorMaker 2 of the same flow and
//! kmirror keep each other out. `shards` says what is shared, `report` what is said, `assign` who gets what (these are
//! pure); `membership` is the task that is in the group. Must not know topics, lanes or progress.

pub(crate) mod assign;
pub(crate) mod home;
pub(crate) mod lease;
pub(crate) mod membership;
pub(crate) mod meter;
pub mod report;
pub mod shards;
pub mod view;
mod watching;

/// The group's protocol type: what keeps others out.
pub const PROTOCOL_TYPE: &str = "kmirror";
/// The protocol's name: another way to share out would need another one.
pub(crate) const PROTOCOL: &str = "shards-1";
