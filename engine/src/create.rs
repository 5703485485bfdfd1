//! Creates topics: the target's copies, and MirrorMaker 2's small topics. A setting of a copy that the target does not
//! know, or whose value it does not take (the source may be older, newer, or configured otherwise), is left out and named;
//! the topic is created all the same.

use std::sync::Arc;
use std::time::Duration;

use kmirror_protocol::client::admin::{self, NewTopic, TopicFault};
use kmirror_protocol::client::{ClientError, Cluster, Topics};
use kmirror_protocol::wire::error::ErrorCode;
use thiserror::Error;
use tracing::{info, warn};

use crate::plan::FlowPlan;

/// Creates topics; returns those that could not be, with the reason.
pub(crate) async fn create_topics(
    plan: &FlowPlan,
    target: &Cluster,
    topics: Vec<NewTopic>,
) -> Result<Vec<(Arc<str>, TopicFault)>, ClientError> {
    let mut faults = Vec::new();
    let mut open = topics;
    while !open.is_empty() {
        let mut refused = Vec::new();
        for (name, answer) in admin::create_topics(target, &open, plan.admin_timeout).await? {
            match answer {
                Ok(()) => info!(flow = plan.name(), topic = &*name, "topic created at the target"),
                Err(fault) if fault.code == ErrorCode::TopicAlreadyExists => {}
                Err(fault) if fault.code == ErrorCode::InvalidConfig => refused.push((name, fault)),
                Err(fault) => faults.push((name, fault)),
            }
        }
        open.retain(|topic| refused.iter().any(|(name, _)| *name == topic.name));
        let Some((name, fault)) = refused.into_iter().next() else { break };
        let Some(topic) = open.iter().find(|topic| topic.name == name) else { break };
        let settings = refused_settings(plan, target, topic).await?;
        if settings.is_empty() {
            // Each is taken alone, but not all together.
            open.retain(|topic| topic.name != name);
            faults.push((name, fault));
        }
        // What one topic must not have, the others must not have either.
        for topic in &mut open {
            topic.configs.retain(|setting| !settings.contains(setting));
        }
    }
    Ok(faults)
}

/// Finds out which settings the target refuses, one by one.
async fn refused_settings(
    plan: &FlowPlan,
    target: &Cluster,
    topic: &NewTopic,
) -> Result<Vec<(String, String)>, ClientError> {
    let mut refused = Vec::new();
    for (key, value) in &topic.configs {
        let alone = NewTopic { configs: vec![(key.clone(), value.clone())], ..topic.clone() };
        let answers = admin::check_topics(target, &[alone], plan.admin_timeout).await?;
        let Err(fault) = only(answers) else { continue };
        if fault.code == ErrorCode::InvalidConfig {
            warn!(
                flow = plan.name(),
                topic = &*topic.name,
                "created without the source's {key}={value}: {fault}"
            );
            refused.push((key.clone(), value.clone()));
        }
    }
    Ok(refused)
}

/// The answer about one topic.
fn only(answers: Vec<(Arc<str>, Result<(), TopicFault>)>) -> Result<(), TopicFault> {
    answers.into_iter().next().map_or(Ok(()), |(_, answer)| answer)
}

/// One of MirrorMaker 2's topics of one partition (`MirrorUtils.createSinglePartitionCompactedTopic`).
pub(crate) struct CompactedTopic<'a> {
    /// The flow that needs it, for the log.
    pub(crate) flow: &'a str,
    pub(crate) topic: &'a Arc<str>,
    /// -1 leaves it to the cluster.
    pub(crate) replication_factor: i16,
    /// The option that says how many replicas.
    pub(crate) option: &'static str,
    pub(crate) timeout: Duration,
}

/// Why a compacted topic is not there.
#[derive(Debug, Error)]
pub(crate) enum CompactedTopicError {
    /// The cluster refused to create it.
    #[error("topic {topic} cannot be created on cluster {cluster}: {fault}{hint}")]
    Refused { topic: Arc<str>, cluster: Arc<str>, fault: TopicFault, hint: String },
    /// The cluster cannot be asked.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Sees to it that a topic of one partition with `cleanup.policy=compact` is there. One that exists is left as it is.
///
/// # Errors
/// [`CompactedTopicError`], which says what a person can do.
pub(crate) async fn create_compacted(
    admin: &Cluster,
    wanted: &CompactedTopic<'_>,
) -> Result<(), CompactedTopicError> {
    let &CompactedTopic { flow, topic, replication_factor, option, timeout } = wanted;
    // Who may not create topics may use one that somebody else made.
    let metadata = admin.refresh(Topics::Named(vec![Arc::clone(topic)])).await?;
    if metadata.topics.get(topic).is_some_and(|topic| topic.error.is_none()) {
        return Ok(());
    }
    let new = NewTopic {
        name: Arc::clone(topic),
        partitions: 1,
        replication_factor,
        configs: vec![("cleanup.policy".to_owned(), "compact".to_owned())],
    };
    match only(admin::create_topics(admin, &[new], timeout).await?) {
        Ok(()) => info!(flow, topic = &**topic, cluster = &**admin.alias(), "topic created"),
        Err(fault) if fault.code == ErrorCode::TopicAlreadyExists => {}
        Err(fault) => {
            let hint = match fault.code {
                ErrorCode::InvalidReplicationFactor => {
                    format!(" (if the cluster has fewer brokers than replicas, set {option})")
                }
                ErrorCode::TopicAuthorizationFailed | ErrorCode::ClusterAuthorizationFailed => {
                    " (the right CREATE is missing, for the topic or for the cluster)".to_owned()
                }
                _ => String::new(),
            };
            let (topic, cluster) = (Arc::clone(topic), Arc::clone(admin.alias()));
            return Err(CompactedTopicError::Refused { topic, cluster, fault, hint });
        }
    }
    Ok(())
}
