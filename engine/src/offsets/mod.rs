//! Consumer positions: what MirrorMaker 2 writes about them, and what kmirror knows more exactly.

mod block;
pub mod map;
pub mod records;
pub mod snapshot;
pub mod store;
pub mod stretch;
mod syncs;
pub(crate) mod syncs_job;
pub mod topics;
