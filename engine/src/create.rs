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
    let answers = admin::create_topics(target, &topics, plan.admin_timeout).await?;
    for (name, answer) in answers {
        let new = topics.iter().find(|new| new.name == name);
        let answer = match (answer, new) {
            (Err(fault), Some(new)) if fault.code == ErrorCode::InvalidConfig => {
                create_without_refused(plan, target, new, fault).await?
            }
            (answer, _) => answer,
        };
        match answer {
            Ok(()) => info!(flow = plan.name(), topic = &*name, "topic created at the target"),
            Err(fault) if fault.code == ErrorCode::TopicAlreadyExists => {}
            Err(fault) => faults.push((name, fault)),
        }
    }
    Ok(faults)
}

/// Finds out which settings the target refuses, one by one, and creates the topic without them.
async fn create_without_refused(
    plan: &FlowPlan,
    target: &Cluster,
    topic: &NewTopic,
    fault: TopicFault,
) -> Result<Result<(), TopicFault>, ClientError> {
    let mut taken = NewTopic { configs: Vec::new(), ..topic.clone() };
    for (key, value) in &topic.configs {
        let alone = NewTopic { configs: vec![(key.clone(), value.clone())], ..topic.clone() };
        match only(admin::check_topics(target, &[alone], plan.admin_timeout).await?) {
            Err(fault) if fault.code == ErrorCode::InvalidConfig => {
                let name = &*topic.name;
                warn!(
                    flow = plan.name(),
                    topic = name,
                    "created without the source's {key}={value}: {fault}"
                );
            }
            _ => taken.configs.push((key.clone(), value.clone())),
        }
    }
    if taken.configs.len() == topic.configs.len() {
        // Each is taken alone, but not all together.
        return Ok(Err(fault));
    }
    Ok(only(admin::create_topics(target, &[taken], plan.admin_timeout).await?))
}

/// The answer about one topic.
fn only(answers: Vec<(Arc<str>, Result<(), TopicFault>)>) -> Result<(), TopicFault> {
    answers.into_iter().next().map_or(Ok(()), |(_, answer)| answer)
}
