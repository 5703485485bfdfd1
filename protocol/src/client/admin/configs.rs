//! The settings of topics.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::TopicFault;
use crate::client::cluster::Cluster;
use crate::client::error::ClientError;
use crate::client::retry::{Action, decide};
use crate::wire::error::ErrorCode;
use crate::wire::messages::parts::describe_configs_request::DescribeConfigsResource;
use crate::wire::messages::parts::describe_configs_response::DescribeConfigsResourceResult;
use crate::wire::messages::parts::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use crate::wire::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest, StrBytes};

/// The number of topics among resources (Kafka class `ConfigResource`).
const TOPIC: i8 = 2;
/// The numbers of operations (Kafka class `AlterConfigOp.OpType`).
const SET: i8 = 0;
const DELETE: i8 = 1;
/// How many topics one request is about at most: an answer holds some forty settings of each, and a controller writes
/// at most 10,000 changes in one go.
const TOPICS_A_REQUEST: usize = 200;
/// How long a topic that is not there may take to appear.
const STRAGGLERS: Duration = Duration::from_secs(2);

/// A setting of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its key.
    pub name: Arc<str>,
    /// Its value; none where it is sensitive.
    pub value: Option<Arc<str>>,
    /// Where it was set.
    pub source: ConfigSource,
    /// Whether the value is kept secret.
    pub sensitive: bool,
    /// Whether it cannot be changed.
    pub read_only: bool,
}

/// The value of a setting, if the topic's settings tell it.
pub fn config_value<'a>(config: &'a [ConfigEntry], name: &str) -> Option<&'a str> {
    config.iter().find(|entry| *entry.name == *name)?.value.as_deref()
}

/// Where a setting comes from (Kafka class `DescribeConfigsResponse.ConfigSource`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set for the topic.
    Topic,
    /// Set for all brokers or one, while they ran.
    DynamicBroker,
    /// Set in a broker's file.
    StaticBroker,
    /// Kafka's default.
    Default,
    /// A source of later versions, or none.
    Other(i8),
}

impl From<i8> for ConfigSource {
    fn from(source: i8) -> Self {
        match source {
            1 => Self::Topic,
            2 | 3 => Self::DynamicBroker,
            4 => Self::StaticBroker,
            5 => Self::Default,
            other => Self::Other(other),
        }
    }
}

/// The settings of topics, or why they are not told.
pub type TopicConfigs = Vec<(Arc<str>, Result<Vec<ConfigEntry>, TopicFault>)>;

/// Looks up all settings of topics. Each topic is answered, in their order.
///
/// # Errors
/// [`ClientError`] when no broker can be asked.
pub async fn describe_topic_configs(
    cluster: &Cluster,
    topics: &[Arc<str>],
) -> Result<TopicConfigs, ClientError> {
    let mut done = Vec::with_capacity(topics.len());
    for part in topics.chunks(TOPICS_A_REQUEST) {
        let mut answers = describe_some(cluster, part).await?;
        for topic in part {
            let missing = || Err(TopicFault { code: ErrorCode::UnknownTopicOrPartition, message: None });
            done.push((Arc::clone(topic), answers.remove(topic).unwrap_or_else(missing)));
        }
    }
    Ok(done)
}

/// A change of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    /// The setting's key.
    pub name: Arc<str>,
    /// The value it is to have; none when the topic shall have no value of its own any more.
    pub value: Option<Arc<str>>,
}

/// Changes settings of topics (IncrementalAlterConfigs, KIP-339): of one topic all or none. Each topic is answered, in
/// their order. Brokers before 2.3 have no such request. It takes ALTER_CONFIGS on the topics.
///
/// # Errors
/// [`ClientError`] when no broker can be asked.
pub async fn alter_topic_configs(
    cluster: &Cluster,
    topics: &[(Arc<str>, Vec<ConfigChange>)],
) -> Result<Vec<(Arc<str>, Result<(), TopicFault>)>, ClientError> {
    let mut done = Vec::with_capacity(topics.len());
    for part in topics.chunks(TOPICS_A_REQUEST) {
        let resources = part.iter().map(|(topic, changes)| alterable(topic, changes));
        let request = IncrementalAlterConfigsRequest::default().with_resources(resources.collect());
        let response = cluster.call_controller(request).await?;
        let mut answers: HashMap<&str, Result<(), TopicFault>> = response
            .responses
            .iter()
            .map(|one| {
                let fault = TopicFault::check(one.error_code, one.error_message.as_deref());
                (one.resource_name.as_str(), fault)
            })
            .collect();
        done.extend(part.iter().map(|(topic, _)| {
            let answer = answers.remove(&**topic).unwrap_or_else(|| Err(TopicFault::unanswered()));
            (Arc::clone(topic), answer)
        }));
    }
    Ok(done)
}

fn alterable(topic: &Arc<str>, changes: &[ConfigChange]) -> AlterConfigsResource {
    let text = |text: &Arc<str>| StrBytes::from_string(text.to_string());
    let configs = changes.iter().map(|change| {
        AlterableConfig::default()
            .with_name(text(&change.name))
            .with_config_operation(if change.value.is_some() { SET } else { DELETE })
            .with_value(change.value.as_ref().map(text))
    });
    AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(topic))
        .with_configs(configs.collect())
}

/// Sets one setting of a topic, see [`alter_topic_configs`].
///
/// # Errors
/// [`ClientError`] when no broker can be asked; the fault when the topic's setting is refused.
pub async fn set_topic_config(
    cluster: &Cluster,
    topic: &Arc<str>,
    name: &str,
    value: &str,
) -> Result<Result<(), TopicFault>, ClientError> {
    let change = ConfigChange { name: name.into(), value: Some(value.into()) };
    let answers = alter_topic_configs(cluster, &[(Arc::clone(topic), vec![change])]).await?;
    Ok(answers.into_iter().next().map_or_else(|| Err(TopicFault::unanswered()), |(_, answer)| answer))
}

type Described = HashMap<Arc<str>, Result<Vec<ConfigEntry>, TopicFault>>;

/// Topics that fail for now are asked for again, for a little while: they must not hold up the others.
async fn describe_some(cluster: &Cluster, topics: &[Arc<str>]) -> Result<Described, ClientError> {
    let patience = cluster.deadline().min(Instant::now() + STRAGGLERS);
    let mut backoff = cluster.backoff();
    let mut described = HashMap::new();
    let mut open = topics.to_vec();
    loop {
        let mut passing = Vec::new();
        for (topic, answer) in ask(cluster, &open).await? {
            let action = answer.as_ref().err().map(|fault| decide(fault.code));
            if matches!(action, Some(Action::Retry | Action::RefreshAndRetry)) {
                passing.push(Arc::clone(&topic));
            }
            described.insert(topic, answer);
        }
        if passing.is_empty() || !backoff.pause_before(patience).await {
            return Ok(described);
        }
        open = passing;
    }
}

async fn ask(cluster: &Cluster, topics: &[Arc<str>]) -> Result<Described, ClientError> {
    let resources = topics.iter().map(|topic| {
        DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(StrBytes::from_string(topic.to_string()))
            .with_configuration_keys(None)
    });
    let request = DescribeConfigsRequest::default().with_resources(resources.collect());
    let response = cluster.call_any(request).await?;
    let described = response.results.iter().map(|result| {
        let fault = TopicFault::check(result.error_code, result.error_message.as_deref());
        let entries = fault.map(|()| result.configs.iter().map(entry).collect());
        (Arc::from(result.resource_name.as_str()), entries)
    });
    Ok(described.collect())
}

fn entry(config: &DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        name: Arc::from(config.name.as_str()),
        value: config.value.as_ref().map(|value| Arc::from(value.as_str())),
        source: config.config_source.into(),
        sensitive: config.is_sensitive,
        read_only: config.read_only,
    }
}
