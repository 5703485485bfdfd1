//! Topics and their settings, the cluster's identity, who produces and who may do what: the administrative calls a
//! mirror needs.

mod acls;
mod configs;
mod producers;
mod quotas;
mod rights;
mod scram;
mod topics;

use std::sync::Arc;

pub use acls::{
    AclBinding, AclOperation, AclPermission, AclResource, PatternType, create_acls, delete_acls,
    describe_acls,
};
pub use configs::{
    ConfigChange, ConfigEntry, ConfigSource, TopicConfigs, alter_topic_configs, config_value,
    describe_topic_configs, set_topic_config,
};
pub use producers::{ActiveProducer, describe_producers};
pub use quotas::{ClientQuota, QuotaChange, QuotaEntity, alter_client_quotas, describe_client_quotas};
pub use rights::{
    GroupRights, Rights, TopicRights, cluster_rights, group_rights, may_write_transactions, topic_rights,
};
pub use scram::{ScramMechanism, ScramUser, describe_scram_users};
pub use topics::{NewPartitions, NewTopic, check_topics, create_partitions, create_topics, delete_topics};

use super::cluster::Cluster;
use super::error::ClientError;
use crate::wire::error::ErrorCode;
use crate::wire::messages::{DescribeClusterRequest, Request};

/// Why something about a topic, or another thing that is administered, was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}{}", .message.as_ref().map(|message| format!(": {message}")).unwrap_or_default())]
pub struct TopicFault {
    /// Kafka's code.
    pub code: ErrorCode,
    /// The broker's words, if it had any.
    pub message: Option<Arc<str>>,
}

impl TopicFault {
    fn check(code: i16, message: Option<&str>) -> Result<(), Self> {
        let message = message.filter(|message| !message.is_empty()).map(Arc::from);
        ErrorCode::from(code).ok().map_err(|code| Self { code, message })
    }

    /// For what a broker leaves unanswered.
    fn unanswered() -> Self {
        Self { code: ErrorCode::UnknownServerError, message: None }
    }
}

/// What a cluster says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its id.
    pub cluster_id: Arc<str>,
    /// How many brokers are up.
    pub brokers: usize,
}

/// Asks the cluster what it is. `None` where it cannot say (before Kafka 2.8); its metadata has the id, too.
///
/// # Errors
/// [`ClientError::Refused`], and what [`Cluster::call_any`] gives.
pub async fn describe_cluster(cluster: &Cluster) -> Result<Option<ClusterDescription>, ClientError> {
    let response = match cluster.call_any(DescribeClusterRequest::default()).await {
        Ok(response) => response,
        Err(error) if error.is_absent_api() => return Ok(None),
        Err(error) => return Err(error),
    };
    let code = ErrorCode::from(response.error_code);
    let message = response.error_message.as_deref();
    code.ok().map_err(|code| cluster.refused(DescribeClusterRequest::API, code, message))?;
    Ok(Some(ClusterDescription {
        cluster_id: Arc::from(response.cluster_id.as_str()),
        brokers: response.brokers.len(),
    }))
}
