//! How topics are named at the target, and which topics are never mirrored.
//!
//! The rules are those of MirrorMaker 2's `DefaultReplicationPolicy` and `IdentityReplicationPolicy`, method by method,
//! plus a rename of our own in front of them. Pure: names in, names out.

mod language;
mod rename;

use std::fmt;

pub use rename::{Rename, RenameError};

use crate::plan::ClusterAlias;

/// The topic that heartbeats are written to, on every cluster.
pub const HEARTBEATS_TOPIC: &str = "heartbeats";
/// Characters a topic name may have at most (`Topic.MAX_NAME_LENGTH`).
pub const TOPIC_NAME_MAX: usize = 249;

/// Which naming scheme is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// `DefaultReplicationPolicy`: the source's alias and the separator go in front.
    Default,
    /// `IdentityReplicationPolicy`, once called `LegacyReplicationPolicy`: the name stays.
    Identity,
}

/// Which generation of MirrorMaker 2 says what an internal topic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InternalTopicRules {
    /// Up to 3.9: whatever ends in `.internal` or `-internal`.
    UpTo3,
    /// Since 4.0 (KIP-1074): only MirrorMaker's own topics.
    Since4,
}

/// Why a topic is internal to Kafka or to a mirror and therefore never mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InternalTopic {
    /// The name begins with `__` or `.`.
    Kafka,
    /// One of MirrorMaker's own topics.
    MirrorMaker,
    /// Up to 3.9 every name that ends in `.internal` or `-internal`.
    InternalSuffix,
}

impl fmt::Display for InternalTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kafka => "its name begins as those of Kafka's internal topics do (`__` or `.`)",
            Self::MirrorMaker => "its name is that of an internal topic of a mirror",
            Self::InternalSuffix => "its name ends in `internal`, as internal topics did up to Kafka 3.9",
        })
    }
}

/// The naming of one flow.
#[derive(Debug, Clone)]
pub struct ReplicationPolicy {
    /// The scheme.
    pub naming: Naming,
    /// The alias of the cluster the flow reads.
    pub source: ClusterAlias,
    /// `replication.policy.separator`
    pub separator: String,
    /// `replication.policy.internal.topic.separator.enabled` (KIP-949): the separator goes into the names of
    /// checkpoint and offset-sync topics too.
    pub separates_internal_topics: bool,
    /// Whose rules for internal topics apply.
    pub internal_topics: InternalTopicRules,
    /// A rename that comes before the scheme, for the names that its expression matches.
    pub rename: Option<Rename>,
}

impl ReplicationPolicy {
    /// What a source topic is called at the target (`formatRemoteTopic`).
    pub fn target_topic(&self, topic: &str) -> String {
        if let Some(renamed) = self.renamed(topic) {
            return renamed;
        }
        match self.naming {
            Naming::Identity if !looks_like_heartbeats(topic) => topic.to_owned(),
            _ => format!("{}{}{topic}", self.source, self.separator),
        }
    }

    /// The new name of a topic that the rename takes. Heartbeats keep their names, or they could not be told.
    fn renamed(&self, topic: &str) -> Option<String> {
        self.rename.as_ref().filter(|_| !self.is_heartbeats_topic(topic))?.apply(topic)
    }

    /// The alias of the cluster a topic was mirrored from, as its name tells it (`topicSource`).
    pub fn topic_source<'a>(&'a self, topic: &'a str) -> Option<&'a str> {
        match self.naming {
            Naming::Identity if !looks_like_heartbeats(topic) => Some(self.source.as_str()),
            _ => self.name_source(topic),
        }
    }

    /// `DefaultReplicationPolicy.topicSource`: the text before the first separator, if Java's `split` finds two parts.
    fn name_source<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let (source, rest) = topic.split_once(self.separator.as_str())?;
        // Java drops empty strings from the end of a split: what is behind must be more than separators.
        let only_separators = rest.split(self.separator.as_str()).all(str::is_empty);
        (!only_separators).then_some(source)
    }

    /// The name a topic had at the cluster it was mirrored from (`upstreamTopic`).
    pub fn upstream_topic<'a>(&self, topic: &'a str) -> Option<&'a str> {
        match self.naming {
            Naming::Identity if !looks_like_heartbeats(topic) => Some(topic),
            _ => {
                let source = self.name_source(topic)?;
                topic.get(source.len() + self.separator.len()..)
            }
        }
    }

    /// The name a topic had where it was first written (`originalTopic`).
    pub fn original_topic<'a>(&self, topic: &'a str) -> &'a str {
        let mut name = topic;
        while let Some(upstream) = self.upstream_topic(name).filter(|upstream| *upstream != name) {
            name = upstream;
        }
        name
    }

    /// Whether a topic holds heartbeats, here or mirrored (`isHeartbeatsTopic`).
    pub fn is_heartbeats_topic(&self, topic: &str) -> bool {
        self.original_topic(topic) == HEARTBEATS_TOPIC
    }

    /// Whether mirroring a topic to `target` would bring it back to where it came from (`isCycle`).
    ///
    /// MirrorMaker 2 walks back hop by hop. An alias that has the separator in it is cut to pieces on the way, and
    /// is never met: there it mirrors round and round. Here the whole alias is looked for at every hop.
    pub fn is_cycle(&self, topic: &str, target: &ClusterAlias) -> bool {
        let mut name = topic;
        while let Some(source) = self.topic_source(name) {
            let whole_alias = self.naming == Naming::Default
                && name.strip_prefix(target.as_str()).is_some_and(|rest| rest.starts_with(&self.separator));
            if source == target.as_str() || whole_alias {
                return true;
            }
            match self.upstream_topic(name) {
                Some(upstream) if upstream != name => name = upstream,
                _ => return false,
            }
        }
        false
    }

    fn internal_separator(&self) -> &str {
        if self.separates_internal_topics { &self.separator } else { "." }
    }

    /// The offset-syncs topic kept for a cluster (`offsetSyncsTopic`).
    pub fn offset_syncs_topic(&self, alias: &ClusterAlias) -> String {
        let separator = self.internal_separator();
        format!("mm2-offset-syncs{separator}{alias}{separator}internal")
    }

    /// The checkpoints topic of a cluster (`checkpointsTopic`).
    pub fn checkpoints_topic(&self, alias: &ClusterAlias) -> String {
        format!("{alias}{}", self.checkpoints_suffix())
    }

    fn checkpoints_suffix(&self) -> String {
        let separator = self.internal_separator();
        format!("{separator}checkpoints{separator}internal")
    }

    /// Whether, and why, a topic is internal (`isInternalTopic`).
    pub fn internal_topic(&self, topic: &str) -> Option<InternalTopic> {
        let internal_suffix =
            topic.strip_suffix("internal").is_some_and(|before| before.ends_with(self.internal_separator()));
        let connect_suffix = topic.ends_with("-internal") || topic.ends_with(".internal");
        if topic.starts_with("__") || topic.starts_with('.') {
            Some(InternalTopic::Kafka)
        } else if (topic.starts_with("mm2") && internal_suffix) || topic.ends_with(&self.checkpoints_suffix())
        {
            Some(InternalTopic::MirrorMaker)
        } else if self.internal_topics == InternalTopicRules::UpTo3 && (internal_suffix || connect_suffix) {
            Some(InternalTopic::InternalSuffix)
        } else {
            None
        }
    }
}

/// `IdentityReplicationPolicy` leaves every name alone but those that end like the heartbeats topic.
fn looks_like_heartbeats(topic: &str) -> bool {
    topic.ends_with(HEARTBEATS_TOPIC)
}

/// Whether a cluster would take a topic of this name (`Topic.validate`).
pub fn is_legal_topic_name(name: &str) -> bool {
    let legal_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty()
        && name != "."
        && name != ".."
        && name.len() <= TOPIC_NAME_MAX
        && name.bytes().all(legal_byte)
}

#[cfg(test)]
mod tests;
