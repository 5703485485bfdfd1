//! Newtypes that keep the two sides of a mirror apart.
//!
//! The worst mistake a mirror can make is to take a source offset for a target offset. These types make it a
//! compile error. They know nothing of clusters or connections.

use std::fmt;
use std::sync::Arc;

/// A log offset in a partition of the source cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceOffset(pub i64);

/// A log offset in a partition of the target cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetOffset(pub i64);

impl fmt::Display for SourceOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TargetOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A topic partition of the source cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePartition {
    /// The topic's name at the source.
    pub topic: Arc<str>,
    /// The partition's index.
    pub partition: i32,
}

impl SourcePartition {
    /// The one that every topic has.
    pub(crate) fn first_of(topic: &Arc<str>) -> Self {
        Self { topic: Arc::clone(topic), partition: 0 }
    }
}

/// A producer id with its epoch, as `InitProducerId` gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The producer id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
}

impl Identity {
    /// The same producer id with the next epoch. Whoever holds an idempotent producer may raise it (KIP-360); from its first
    /// batch on, a partition refuses what comes under earlier ones (`ProducerAppendInfo.checkProducerEpoch`).
    pub fn raised(self) -> Option<Self> {
        Some(Self { producer_epoch: self.producer_epoch.checked_add(1)?, ..self })
    }
}

/// What ties a source position to the target: the identity that a partition is written under, and the sequence that the
/// record at the position gets. Whoever writes a partition under a mark gives each record the same sequence, so that the
/// end of the partition says how far the former writer came, and two writers at once leave every record once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerMark {
    /// The identity.
    pub identity: Identity,
    /// The sequence of the record that comes next.
    pub sequence: i32,
}

impl fmt::Display for SourcePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
