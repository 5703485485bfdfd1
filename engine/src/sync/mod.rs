//! What a flow keeps in step beside its records: settings of topics, access rules, quotas, deletions.
//!
//! For each there is a pure module that compares both sides and one that asks and carries out. Must not touch records.

mod acl_round;
pub(crate) mod acls;
mod config_round;
pub(crate) mod configs;
mod deletion_round;
mod deletions;
mod job;
mod owned;
mod quotas;
mod told;

pub(crate) use job::start;
