//! What we may do: asked without doing it. Brokers tell operations as a field of bits (KIP-430, Kafka 2.3); about
//! groups and transactional ids a request that cannot have an effect is refused or not.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::AclOperation;
use crate::client::cluster::{Cluster, Topics};
use crate::client::error::ClientError;
use crate::client::groups::coordinator::ask_coordinators;
use crate::client::txn::{ProducerIdentity, TransactionalId};
use crate::net::NetError;
use crate::wire::error::ErrorCode;
use crate::wire::messages::parts::metadata_request::MetadataRequestTopic;
use crate::wire::messages::parts::{GroupId, TopicName};
use crate::wire::messages::{DescribeClusterRequest, HeartbeatRequest, MetadataRequest, text};

/// How many topics one request asks about.
const TOPICS_A_REQUEST: usize = 500;
/// What brokers say where they tell nothing.
const UNTOLD: i32 = i32::MIN;

/// The operations that are allowed on one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights(i32);

impl Rights {
    /// From a broker's field of bits; `None` where it told nothing.
    fn told(bits: i32) -> Option<Self> {
        (bits != UNTOLD).then_some(Self(bits))
    }

    /// Whether an operation is among them.
    pub fn hold(self, operation: AclOperation) -> bool {
        u32::try_from(operation.code())
            .ok()
            .and_then(|bit| self.0.checked_shr(bit))
            .is_some_and(|bits| bits & 1 == 1)
    }
}

/// What a broker tells about a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicRights {
    /// What is allowed.
    Told(Rights),
    /// Not even DESCRIBE: whether it exists is not told either.
    Hidden,
    /// It does not exist; what would be allowed if it did, where the broker tells that.
    Absent(Option<Rights>),
    /// The broker does not tell (before Kafka 2.3), or cannot now.
    Untold,
}

/// What we may do with topics.
///
/// # Errors
/// What [`Cluster::call_any`] gives.
pub async fn topic_rights(
    cluster: &Cluster,
    topics: &[Arc<str>],
) -> Result<BTreeMap<Arc<str>, TopicRights>, ClientError> {
    let mut all = BTreeMap::new();
    for topics in topics.chunks(TOPICS_A_REQUEST) {
        let named = |name: &Arc<str>| MetadataRequestTopic::default().with_name(Some(TopicName(text(name))));
        let request = MetadataRequest::default()
            .with_topics(Some(topics.iter().map(named).collect()))
            .with_allow_auto_topic_creation(false)
            .with_include_topic_authorized_operations(true);
        let response = match cluster.call_any(request).await {
            Ok(response) => response,
            // The question cannot be put in the versions that brokers before 2.3 speak.
            Err(error) if matches!(error.net(), Some(NetError::Wire { .. })) => return Ok(untold(topics)),
            Err(error) => return Err(error),
        };
        for topic in response.topics {
            let Some(name) = topic.name else { continue };
            let told = Rights::told(topic.topic_authorized_operations);
            let rights = match ErrorCode::from(topic.error_code) {
                ErrorCode::TopicAuthorizationFailed => TopicRights::Hidden,
                ErrorCode::UnknownTopicOrPartition => TopicRights::Absent(told),
                _ => told.map_or(TopicRights::Untold, TopicRights::Told),
            };
            all.insert(Arc::from(name.0.as_str()), rights);
        }
    }
    Ok(all)
}

fn untold(topics: &[Arc<str>]) -> BTreeMap<Arc<str>, TopicRights> {
    topics.iter().map(|topic| (Arc::clone(topic), TopicRights::Untold)).collect()
}

/// What we may do with the cluster itself; `None` where it does not tell (before Kafka 2.8, where another API told).
///
/// # Errors
/// What [`Cluster::call_any`] gives.
pub async fn cluster_rights(cluster: &Cluster) -> Result<Option<Rights>, ClientError> {
    let request = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
    match cluster.call_any(request).await {
        Ok(response) => Ok(Rights::told(response.cluster_authorized_operations)),
        Err(error) if error.is_absent_api() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What we may do with a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupRights {
    /// Nothing: we are not told where it is (DESCRIBE).
    Hidden,
    /// Not be a member (READ).
    Seen,
    /// No refusal was heard.
    Unrefused,
}

/// What we may do with the groups: a heartbeat of a member that is not there does not do anything, and is refused all the
/// same.
///
/// # Errors
/// [`ClientError`] when there is no metadata to be had.
pub async fn group_rights(
    cluster: &Cluster,
    groups: &[Arc<str>],
) -> Result<BTreeMap<Arc<str>, GroupRights>, ClientError> {
    cluster.current(Topics::None).await?;
    let questions = groups.iter().map(|group| (Arc::clone(group), ())).collect();
    let answers = ask_coordinators(cluster, questions, |connection, questions| async move {
        let mut answers = Vec::with_capacity(questions.len());
        for (group, ()) in questions {
            let request = HeartbeatRequest::default()
                .with_group_id(GroupId(text(&group)))
                .with_member_id(text("kmirror-check"));
            let code = ErrorCode::from(connection.call(request).await?.error_code);
            let refused = code == ErrorCode::GroupAuthorizationFailed;
            answers.push((group, Ok(if refused { GroupRights::Seen } else { GroupRights::Unrefused })));
        }
        Ok(answers)
    })
    .await?;
    let rights = |answer| match answer {
        Ok(rights) => rights,
        Err(ErrorCode::GroupAuthorizationFailed) => GroupRights::Hidden,
        Err(_) => GroupRights::Unrefused,
    };
    Ok(answers.into_iter().map(|(group, answer)| (group, rights(answer))).collect())
}

/// Whether we may write under a transactional id: ending a transaction of a producer that cannot be is refused for
/// that, or for the lack of the right.
///
/// # Errors
/// What the coordinator's answer says beyond that, and [`ClientError`] when it cannot be asked.
pub async fn may_write_transactions(cluster: &Cluster, id: &str) -> Result<bool, ClientError> {
    let nobody = ProducerIdentity { id: -1, epoch: -1 };
    match TransactionalId::new(cluster, id).end(nobody, false).await {
        Err(error) if error.code() == Some(ErrorCode::TransactionalIdAuthorizationFailed) => Ok(false),
        Err(error) if error.code().is_none() => Err(error),
        _ => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_operations() {
        // Kafka's `Utils.to32BitField` of READ (3) and DESCRIBE_CONFIGS (10).
        let rights = Rights::told(1 << 3 | 1 << 10).unwrap();
        assert!(rights.hold(AclOperation::Read) && rights.hold(AclOperation::DescribeConfigs));
        assert!(!rights.hold(AclOperation::Write) && !rights.hold(AclOperation::Other(-1)));
        assert_eq!(Rights::told(i32::MIN), None);
    }
}
