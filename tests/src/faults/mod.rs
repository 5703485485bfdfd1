//! Faults, tried for real: clusters, links and kmirror processes troubled by a plan under load, then judged.
//!
//! `plan` decides from a seed alone what happens when; `run` carries it out, one thread a [`plan::Lane`]; librdkafka
//! produces the load and judges what the target holds (`tests/oracle`); `figures` adds up.

pub mod figures;
pub mod fleet;
pub mod load;
pub mod plan;
pub mod run;
pub mod trouble;
pub mod world;
