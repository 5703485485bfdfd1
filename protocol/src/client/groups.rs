//! Consumer groups: which there are, in which state, where they stand, and setting where they stand.
//!
//! Must not know mirroring. Every call is bounded by the cluster's deadline; what concerns one group fails for that
//! group alone.

pub(super) mod coordinator;
mod describe;
mod list;
mod member;
mod members;
mod offsets;
mod share;

use std::fmt;
use std::sync::Arc;

use super::error::ClientError;
use crate::wire::error::ErrorCode;

pub use describe::describe_groups;
pub use list::list_groups;
pub use member::{GroupMember, Joined, MemberError, Membership, Seat};
pub use members::{ClassicGroup, ClassicMember, classic_group};
pub use offsets::{commit_offsets, committed_offsets};
pub use share::{set_share_starts, share_starts};

/// What came of a question about each of many groups.
pub type ByGroup<T> = Vec<(Arc<str>, Result<T, ErrorCode>)>;

/// The protocol a group's members speak with its coordinator (Kafka class `GroupType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupKind {
    /// JoinGroup and SyncGroup, or nobody but somebody who commits.
    Classic,
    /// KIP-848.
    Consumer,
    /// KIP-932: records are shared out one by one; the group has start offsets instead of positions.
    Share,
    /// KIP-1071. Its positions are those of any other group.
    Streams,
    /// One that came after Kafka 4.3.
    Unknown,
}

impl GroupKind {
    /// By Kafka's name; brokers before 3.8 give none and have classic groups (and, in 3.7, untold ones of KIP-848).
    fn from_name(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "" | "classic" => Self::Classic,
            "consumer" => Self::Consumer,
            "share" => Self::Share,
            "streams" => Self::Streams,
            _ => Self::Unknown,
        }
    }

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
            Self::Share => "share",
            Self::Streams => "streams",
            Self::Unknown => "unknown",
        }
    }
}

/// What a group is doing (Kafka class `GroupState`), as far as it matters to somebody outside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupState {
    /// Nobody is in it.
    Empty,
    /// It is being removed, or is not there.
    Dead,
    /// It has members: stable, rebalancing, assigning or reconciling.
    Active,
    /// The broker does not tell (before Kafka 2.6, when groups are listed).
    Untold,
}

impl GroupState {
    fn from_name(name: &str) -> Self {
        match name {
            "Empty" => Self::Empty,
            "Dead" => Self::Dead,
            "" | "Unknown" => Self::Untold,
            _ => Self::Active,
        }
    }

    /// Whether nobody is in it, so that positions may be set from outside.
    pub fn is_idle(self) -> bool {
        matches!(self, Self::Empty | Self::Dead)
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::Dead => "absent",
            Self::Active => "active",
            Self::Untold => "of unknown state",
        })
    }
}

/// A group that a broker named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its id.
    pub id: Arc<str>,
    /// `consumer`, `connect` and the like; empty for one that only commits.
    pub protocol_type: Arc<str>,
    /// Its kind.
    pub kind: GroupKind,
    /// Its state.
    pub state: GroupState,
}

/// The groups of a cluster that we may see.
#[derive(Debug, Default)]
pub struct GroupListing {
    /// In the order of their ids.
    pub groups: Vec<ListedGroup>,
    /// Why some are missing: a broker that did not answer in time.
    pub incomplete: Option<ClientError>,
}

impl ListedGroup {
    /// Whether it has positions, or start offsets: Connect's groups and others of a protocol of their own have none.
    pub fn has_positions(&self) -> bool {
        match self.kind {
            GroupKind::Classic => matches!(&*self.protocol_type, "" | "consumer"),
            GroupKind::Consumer | GroupKind::Streams | GroupKind::Share => true,
            GroupKind::Unknown => false,
        }
    }
}

/// What a coordinator says of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescribedGroup {
    /// Its kind; classic for one that is not there.
    pub kind: GroupKind,
    /// Its state; dead for one that is not there.
    pub state: GroupState,
}

/// Where a group stands in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
    /// The offset of the next record it will read.
    pub offset: i64,
    /// The leader epoch of the record before it, -1 if unknown.
    pub leader_epoch: i32,
    /// What the committer wrote beside it.
    pub metadata: Arc<str>,
}

/// What came of setting positions: for each partition, `Ok` or the reason it was refused.
pub type CommitResults = Vec<((Arc<str>, i32), Result<(), ErrorCode>)>;
