//! Consumer positions: what MirrorMaker 2 writes about them, and what kmirror knows more exactly.

mod block;
mod checkpoints;
mod group_sync;
pub(crate) mod groups_job;
pub mod locate;
pub mod map;
pub mod mm2_syncs;
mod newcomers;
mod offsets_topic;
pub mod records;
pub mod snapshot;
pub mod store;
pub mod stretch;
pub mod survey;
mod syncs;
pub(crate) mod syncs_job;
pub mod topics;
