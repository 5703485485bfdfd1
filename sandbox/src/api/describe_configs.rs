//! DescribeConfigs: the settings of topics, and the few of brokers that mean something here (KIP-133, KIP-226, KIP-569).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Api, Call, text};
use crate::state::Cluster;
use crate::state::config::SETTINGS;
use crate::state::topic::name_fault;
use crate::state::validate::Refusal;

/// Kinds of resources (`ConfigResource.Type`).
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;

/// Where a value comes from (`DescribeConfigsResponse.ConfigSource`).
const SOURCE_TOPIC: i8 = 1;
const SOURCE_STATIC_BROKER: i8 = 4;
const SOURCE_DEFAULT: i8 = 5;

/// The kind of a value that is any text.
const STRING: i8 = 2;

pub(super) struct DescribeConfigs;

impl Api for DescribeConfigs {
    type Request = DescribeConfigsRequest;

    fn refuse(request: &DescribeConfigsRequest, _: i16, code: i16) -> DescribeConfigsResponse {
        let results = request.resources.iter().map(|asked| result(asked).with_error_code(code));
        DescribeConfigsResponse::default().with_results(results.collect())
    }

    async fn answer(call: &Call<'_>, request: DescribeConfigsRequest) -> Answer {
        let cluster = call.peer.shared.cluster();
        let results = request.resources.iter().map(|asked| {
            let described = match asked.resource_type {
                TOPIC => describe_topic(&cluster, &asked.resource_name, request.include_synonyms),
                BROKER => describe_broker(&cluster, call.peer.broker, &asked.resource_name),
                _ => Err(Refusal::new(ResponseError::InvalidRequest, "Unsupported resource type")),
            };
            match described {
                Ok(mut configs) => {
                    if let Some(keys) = &asked.configuration_keys {
                        configs.retain(|config| keys.contains(&config.name));
                    }
                    result(asked).with_configs(configs)
                }
                Err(refusal) => result(asked)
                    .with_error_code(refusal.error.code())
                    .with_error_message(refusal.message.as_deref().map(text)),
            }
        });
        call.body(&DescribeConfigsResponse::default().with_results(results.collect()))
    }
}

fn result(asked: &DescribeConfigsResource) -> DescribeConfigsResult {
    DescribeConfigsResult::default()
        .with_error_message(None)
        .with_resource_type(asked.resource_type)
        .with_resource_name(asked.resource_name.clone())
}

fn describe_topic(
    cluster: &Cluster,
    name: &str,
    synonyms: bool,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    if let Some(fault) = name_fault(name) {
        return Err(Refusal::new(ResponseError::InvalidTopicException, fault));
    }
    let topic = cluster.topics.get(name).ok_or(ResponseError::UnknownTopicOrPartition)?;
    let describe = SETTINGS.iter().map(|setting| {
        let own = topic.configs.own(setting.name);
        let source = if own.is_some() { SOURCE_TOPIC } else { SOURCE_DEFAULT };
        let described = DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(setting.name))
            .with_value(Some(text(topic.configs.value(setting.name))))
            .with_config_source(source)
            .with_config_type(setting.kind.code())
            .with_documentation(None);
        let values =
            own.map(|own| (SOURCE_TOPIC, own)).into_iter().chain([(SOURCE_DEFAULT, setting.default)]);
        let values = values.filter(|_| synonyms).map(|(source, value)| {
            DescribeConfigsSynonym::default()
                .with_name(StrBytes::from_static_str(setting.name))
                .with_value(Some(text(value)))
                .with_source(source)
        });
        described.with_synonyms(values.collect())
    });
    Ok(describe.collect())
}

fn describe_broker(
    cluster: &Cluster,
    asked_at: i32,
    name: &str,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    if name.parse() != Ok(asked_at) {
        let message = format!("Unexpected broker id, expected {asked_at}, but received {name}");
        return Err(Refusal::new(ResponseError::InvalidRequest, message));
    }
    let options = &cluster.options;
    let values = [
        ("auto.create.topics.enable", options.auto_create.to_string()),
        ("broker.id", asked_at.to_string()),
        ("default.replication.factor", options.default_replication_factor.to_string()),
        ("node.id", asked_at.to_string()),
        ("num.partitions", options.default_partitions.to_string()),
        ("socket.request.max.bytes", options.max_frame_bytes.to_string()),
    ];
    let describe = |(name, value): (&'static str, String)| {
        DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(text(&value)))
            .with_read_only(true)
            .with_config_source(SOURCE_STATIC_BROKER)
            .with_config_type(STRING)
            .with_documentation(None)
    };
    Ok(values.into_iter().map(describe).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Bench, ask};

    async fn describe(
        bench: &Bench,
        version: i16,
        kind: i8,
        name: &str,
        keys: &[&str],
    ) -> DescribeConfigsResult {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configuration_keys((!keys.is_empty()).then(|| keys.iter().map(|key| text(key)).collect()));
        let request =
            DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true);
        ask(bench, version, &request).await.results.remove(0)
    }

    #[tokio::test]
    async fn own_values_and_defaults_are_told_apart() {
        let bench = Bench::with_topic(1);
        {
            let mut cluster = bench.peer.shared.cluster();
            cluster.topics.get_mut("t").unwrap().configs.set("retention.ms", "5").unwrap();
        }
        for version in 1..=4 {
            let described = describe(&bench, version, TOPIC, "t", &["retention.ms", "segment.ms"]).await;
            let told: Vec<_> = described
                .configs
                .iter()
                .map(|config| (config.name.as_str(), config.value.as_deref(), config.config_source))
                .collect();
            let expected = [
                ("retention.ms", Some("5"), SOURCE_TOPIC),
                ("segment.ms", Some("604800000"), SOURCE_DEFAULT),
            ];
            assert_eq!(told, expected);
            assert_eq!(described.configs[0].synonyms.len(), 2);
        }
        assert_eq!(describe(&bench, 4, TOPIC, "t", &[]).await.configs.len(), SETTINGS.len());
    }

    #[tokio::test]
    async fn brokers_describe_themselves() {
        let bench = Bench::with_topic(2);
        let own = describe(&bench, 4, BROKER, "1", &["num.partitions"]).await;
        assert_eq!(own.configs[0].value.as_deref(), Some("1"));
        let other = describe(&bench, 4, BROKER, "2", &[]).await.error_code;
        assert_eq!(other, ResponseError::InvalidRequest.code());
    }

    #[tokio::test]
    async fn what_is_not_there() {
        let bench = Bench::with_topic(1);
        let code = async |kind, name| describe(&bench, 4, kind, name, &[]).await.error_code;
        assert_eq!(code(TOPIC, "u").await, ResponseError::UnknownTopicOrPartition.code());
        assert_eq!(code(TOPIC, "no topic").await, ResponseError::InvalidTopicException.code());
        assert_eq!(code(99, "t").await, ResponseError::InvalidRequest.code());
    }
}
