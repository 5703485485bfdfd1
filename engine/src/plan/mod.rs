//! The plan: what is to be mirrored from where to where and how, resolved once, validated, immutable.
//!
//! Nothing downstream of a [`Plan`] sees a key or a string value of a configuration file. Pure: knows neither clock
//! nor connection.

mod client;
mod explain;
mod flow;
mod limits;
pub mod loops;
mod security;
mod share;
mod sync;
mod transactions;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use kmirror_protocol::net::Address;

pub use client::ClientPlan;
pub use explain::{NotMirrored, Outcome, SourceTopic, TargetChange, TopicDecision, explain};
pub use flow::{AutoOffsetReset, FetchPlan, FlowPlan, Isolation, OnLost, OnRefused, ProducePlan};
pub use limits::{LimitPlan, TopicLimit};
pub use security::SecurityChange;
pub use share::SharePlan;
pub use transactions::TransactionPlan;

pub use sync::{
    AclPlan, CheckpointPlan, DeletionMode, DeletionPlan, GroupOffsetsPlan, HeartbeatPlan, OffsetSyncPlan,
    OffsetSyncsPlace, SyncPlan,
};

use crate::config::mm2;
use crate::config::problem::{ConfigErrors, Finding};
use crate::config::surroundings::Surroundings;

/// The name a configuration file gives a cluster.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterAlias(Arc<str>);

impl ClusterAlias {
    /// Takes a name as it is.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for ClusterAlias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClusterAlias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Borrow<str> for ClusterAlias {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What the program's arguments say beside the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanArgs {
    /// The target clusters that this process serves (`--clusters`); all when there is none.
    pub clusters: Option<Vec<String>>,
    /// Source and target may be the same cluster, and flows may form loops (`--allow-same-cluster`).
    pub allow_same_cluster: bool,
    /// What counts beside file and arguments: other files and the environment, already read.
    pub surroundings: Surroundings,
}

/// One cluster of the file.
#[derive(Debug, Clone)]
pub struct ClusterPlan {
    /// Its name in the file.
    pub alias: ClusterAlias,
    /// Where to ask first.
    pub bootstrap: Vec<Address>,
    /// How to connect to it for questions that belong to no flow, such as its cluster id.
    pub admin: ClientPlan,
}

/// What one process has to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The clusters that some flow of this process reads or writes.
    pub clusters: BTreeMap<ClusterAlias, ClusterPlan>,
    /// The flows that the file speaks of and whose target this process serves, in the file's order of clusters.
    /// Those that are not enabled are there to be shown, not to be run.
    pub flows: Vec<FlowPlan>,
    /// The heartbeats this process writes, in the file's order of clusters.
    pub heartbeats: Vec<HeartbeatPlan>,
    /// What the operator should know and what does not stop the mirror.
    pub findings: Vec<Finding>,
    /// The operator means it: source and target may be the same cluster, and flows may form loops.
    pub allow_same_cluster: bool,
    /// What the whole process may hold of records.
    pub buffer: BufferPlan,
}

/// Bytes of records that the process may hold (`kmirror.buffer.memory`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferPlan {
    /// As long as no source is far away.
    pub bytes: usize,
    /// Once one is found to be.
    pub far_bytes: usize,
}

impl Plan {
    /// Resolves a MirrorMaker 2 properties file.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once, each with its line, its key and a hint where there is one.
    pub fn from_properties(text: &str, file_name: &str, args: &PlanArgs) -> Result<Self, ConfigErrors> {
        mm2::read(text, file_name, args)
    }

    /// The flows to be run.
    pub fn enabled_flows(&self) -> impl Iterator<Item = &FlowPlan> {
        self.flows.iter().filter(|flow| flow.enabled)
    }
}
