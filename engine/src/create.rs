//! Creates the target's topics. A setting that the target does not know, or whose value it does not take (the source may
//! be older, newer, or configured otherwise), is left out and named; the topic is created all the same.

use std::sync::Arc;

use kmirror_protocol::client::admin::{self, NewTopic, TopicFault};
use kmirror_protocol::client::{ClientError, Cluster};
use kmirror_protocol::wire::error::ErrorCode;
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
        let Some((name, Err(fault))) = answers.into_iter().next() else { continue };
        if fault.code == ErrorCode::InvalidConfig {
            warn!(flow = plan.name(), topic = &*name, "created without the source's {key}={value}: {fault}");
            refused.push((key.clone(), value.clone()));
        }
    }
    Ok(refused)
}
