//! CreateTopics (KIP-4, KIP-525 for what was created, KIP-516 for ids).

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use kafka_protocol::messages::{CreateTopicsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Api, Call, text};
use crate::state::config::SETTINGS;
use crate::state::topic::Topic;
use crate::state::validate::Refusal;
use crate::state::{Cluster, NewTopic};

/// DescribeConfigs' numbers for where a value comes from.
const SOURCE_TOPIC: i8 = 1;
const SOURCE_DEFAULT: i8 = 5;

pub(super) struct CreateTopics;

impl Api for CreateTopics {
    type Request = CreateTopicsRequest;

    fn refuse(request: &CreateTopicsRequest, _: i16, code: i16) -> CreateTopicsResponse {
        let topics = request.topics.iter().map(|topic| failed(&topic.name, code, None));
        CreateTopicsResponse::default().with_topics(topics.collect())
    }

    async fn answer(call: &Call<'_>, request: CreateTopicsRequest) -> Answer {
        let mut cluster = call.peer.shared.cluster();
        let topics = request.topics.iter().map(|asked| {
            create(&mut cluster, asked, request.validate_only).unwrap_or_else(|refusal| {
                failed(&asked.name, refusal.error.code(), refusal.message.as_deref())
            })
        });
        let topics = topics.collect();
        call.body(&CreateTopicsResponse::default().with_topics(topics))
    }
}

fn create(
    cluster: &mut Cluster,
    asked: &CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, Refusal> {
    let mut assignments = asked.assignments.clone();
    assignments.sort_by_key(|assignment| assignment.partition_index);
    let new = NewTopic {
        name: asked.name.as_str().to_owned(),
        partitions: asked.num_partitions,
        replication_factor: asked.replication_factor,
        assignments: assignments
            .iter()
            .map(|assignment| assignment.broker_ids.iter().map(|id| **id).collect())
            .collect(),
        configs: asked
            .configs
            .iter()
            .map(|config| {
                (config.name.as_str().to_owned(), config.value.as_ref().map(|v| v.as_str().to_owned()))
            })
            .collect(),
    };
    if validate_only {
        cluster.plan_topic(&new).map(|topic| describe(&topic))
    } else {
        cluster.create_topic(&new).map(describe)
    }
}

fn describe(topic: &Topic) -> CreatableTopicResult {
    let configs = SETTINGS.iter().map(|setting| {
        let own = topic.configs.own(setting.name);
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(setting.name))
            .with_value(Some(text(topic.configs.value(setting.name))))
            .with_config_source(if own.is_some() { SOURCE_TOPIC } else { SOURCE_DEFAULT })
    });
    let replicas = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
    CreatableTopicResult::default()
        .with_name(TopicName(text(&topic.name)))
        .with_topic_id(topic.id)
        .with_num_partitions(i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX))
        .with_replication_factor(i16::try_from(replicas).unwrap_or(i16::MAX))
        .with_configs(Some(configs.collect()))
}

fn failed(name: &TopicName, code: i16, message: Option<&str>) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(name.clone())
        .with_configs(None)
        .with_error_code(code)
        .with_error_message(message.map(text))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
}

#[cfg(test)]
mod tests {
    use kafka_protocol::ResponseError;
    use kafka_protocol::messages::create_topics_request::CreatableTopicConfig;

    use super::*;
    use crate::api::testing::{Bench, ask};

    fn wanted(name: &str, partitions: i32) -> CreatableTopic {
        CreatableTopic::default()
            .with_name(TopicName(text(name)))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
    }

    #[tokio::test]
    async fn each_topic_has_its_own_answer_in_every_version() {
        let bench = Bench::with_topic(1);
        for version in 2..=7 {
            let name = format!("new{version}");
            let config =
                CreatableTopicConfig::default().with_name(text("retention.ms")).with_value(Some(text("5")));
            let topics = vec![wanted(&name, 3).with_configs(vec![config]), wanted("t", 1), wanted("", 1)];
            let response = ask(&bench, version, &CreateTopicsRequest::default().with_topics(topics)).await;
            let codes: Vec<_> = response.topics.iter().map(|topic| topic.error_code).collect();
            let errors = [ResponseError::TopicAlreadyExists, ResponseError::InvalidTopicException];
            assert_eq!(codes, [0, errors[0].code(), errors[1].code()]);
            if version >= 5 {
                let made = &response.topics[0];
                assert_eq!((made.num_partitions, made.replication_factor), (3, 1));
                let configs = made.configs.as_ref().unwrap();
                let own: Vec<_> =
                    configs.iter().filter(|config| config.config_source == SOURCE_TOPIC).collect();
                assert_eq!((own.len(), own[0].name.as_str()), (1, "retention.ms"));
            }
            assert_eq!(bench.peer.shared.cluster().topics[name.as_str()].partitions.len(), 3);
        }
    }

    #[tokio::test]
    async fn validation_alone_creates_nothing() {
        let bench = Bench::with_topic(1);
        let request =
            CreateTopicsRequest::default().with_topics(vec![wanted("u", 2)]).with_validate_only(true);
        let response = ask(&bench, 7, &request).await;
        assert_eq!((response.topics[0].error_code, response.topics[0].num_partitions), (0, 2));
        assert!(!bench.peer.shared.cluster().topics.contains_key("u"));
    }
}
