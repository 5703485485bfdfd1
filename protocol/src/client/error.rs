//! What can go wrong between us and a cluster.

use std::sync::Arc;
use std::time::Duration;

use super::metadata::NodeId;
use crate::net::tls::TlsError;
use crate::net::{Address, NetError};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::record::RecordError;

/// Why a call to a cluster failed. Says which cluster, by its alias. Cheap to clone.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// None of the bootstrap servers can be used; the source is the last one's failure.
    #[error("cluster {cluster}: none of its bootstrap servers can be used ({})", list(.tried))]
    Bootstrap {
        /// The cluster's alias.
        cluster: Arc<str>,
        /// The servers that were tried.
        tried: Vec<Address>,
        /// Why the last of them could not be used.
        #[source]
        source: NetError,
    },
    /// The cluster has no bootstrap servers at all.
    #[error("cluster {cluster} has no bootstrap servers")]
    NoBootstrap {
        /// The cluster's alias.
        cluster: Arc<str>,
    },
    /// A broker could not be reached, or a call on it failed below Kafka's own errors.
    #[error("cluster {cluster}: broker {node} cannot be used{}", advertised(.source))]
    Broker {
        /// The cluster's alias.
        cluster: Arc<str>,
        /// The broker.
        node: NodeId,
        /// Why.
        #[source]
        source: NetError,
    },
    /// A broker that the metadata does not know (any more).
    #[error("cluster {cluster}: there is no broker {node}")]
    UnknownNode {
        /// The cluster's alias.
        cluster: Arc<str>,
        /// The broker.
        node: NodeId,
    },
    /// The cluster refused a whole call.
    #[error("cluster {cluster}: {api} was refused: {code}{}", words(.message))]
    Refused {
        /// The cluster's alias.
        cluster: Arc<str>,
        /// What was asked.
        api: ApiKey,
        /// The cluster's answer.
        code: ErrorCode,
        /// The broker's words, if it had any.
        message: Option<Arc<str>>,
    },
    /// The cluster refused a call for one partition.
    #[error("cluster {cluster}: {api} of {topic}-{partition} was refused: {code}")]
    Partition {
        /// The cluster's alias.
        cluster: Arc<str>,
        /// What was asked.
        api: ApiKey,
        /// The topic.
        topic: Arc<str>,
        /// The partition's number.
        partition: i32,
        /// The cluster's answer.
        code: ErrorCode,
    },
    /// The topic is not there, or not to be seen.
    #[error("cluster {cluster}: topic {topic} cannot be used: {code}")]
    Topic {
        /// The cluster's alias.
        cluster: Arc<str>,
        /// The topic.
        topic: Arc<str>,
        /// The cluster's answer.
        code: ErrorCode,
    },
    /// It took too long, retries included.
    #[error("cluster {cluster}: {doing} did not succeed within {after:?}")]
    Deadline {
        /// The cluster's alias.
        cluster: Arc<str>,
        /// What was tried.
        doing: &'static str,
        /// The time it had.
        after: Duration,
    },
    /// Records that cannot be read or written.
    #[error("cluster {cluster}: records of {topic}-{partition} are damaged")]
    Records {
        /// The cluster's alias.
        cluster: Arc<str>,
        /// The topic.
        topic: Arc<str>,
        /// The partition's number.
        partition: i32,
        /// What is wrong with them.
        #[source]
        source: Arc<RecordError>,
    },
    /// A piece of work of ours ended without a result.
    #[error("cluster {cluster}: an inner task failed; this is a defect of kmirror")]
    Inner {
        /// The cluster's alias.
        cluster: Arc<str>,
    },
}

fn list(addresses: &[Address]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

const ADVERTISED: &str = " (its address is the one in its advertised.listeners)";

/// Brokers are found where they say they are, which need not be where we can reach them.
fn advertised(error: &NetError) -> &'static str {
    match error.root() {
        NetError::Resolve { .. }
        | NetError::NoAddresses { .. }
        | NetError::Connect { .. }
        | NetError::ConnectTimeout { .. } => ADVERTISED,
        NetError::Tls { source, .. } if matches!(**source, TlsError::NameMismatch { .. }) => ADVERTISED,
        _ => "",
    }
}

fn words(message: &Option<Arc<str>>) -> String {
    message.as_ref().map(|message| format!(": {message}")).unwrap_or_default()
}

impl ClientError {
    /// The error code at its bottom, if a broker sent one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } | Self::Partition { code, .. } | Self::Topic { code, .. } => {
                Some(*code)
            }
            _ => None,
        }
    }

    /// Whether no broker could be asked because this API is not theirs.
    pub fn is_absent_api(&self) -> bool {
        matches!(self.net(), Some(NetError::Unsupported { .. }))
    }

    /// The failure of a connection at its bottom, if there is one.
    pub fn net(&self) -> Option<&NetError> {
        match self {
            Self::Bootstrap { source, .. } | Self::Broker { source, .. } => Some(source.root()),
            _ => None,
        }
    }
}
