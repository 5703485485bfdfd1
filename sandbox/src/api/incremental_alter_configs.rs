//! IncrementalAlterConfigs: changes single settings of topics (KIP-339).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::IncrementalAlterConfigsRequest;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};

use super::describe_configs::TOPIC;
use super::{Answer, Api, Call, text};
use crate::state::Cluster;
use crate::state::config::{TopicConfigs, find_setting};
use crate::state::validate::Refusal;

/// What to do with a setting (`AlterConfigOp.OpType`).
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// The code of lists among the kinds of settings.
const LIST: i8 = 7;

pub(super) struct IncrementalAlterConfigs;

impl Api for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;

    fn refuse(
        request: &IncrementalAlterConfigsRequest,
        _: i16,
        code: i16,
    ) -> IncrementalAlterConfigsResponse {
        let responses = request.resources.iter().map(|resource| response(resource).with_error_code(code));
        IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
    }

    async fn answer(call: &Call<'_>, request: IncrementalAlterConfigsRequest) -> Answer {
        let mut cluster = call.peer.shared.cluster();
        let responses = request.resources.iter().map(|resource| {
            match alter(&mut cluster, resource, request.validate_only) {
                Ok(()) => response(resource),
                Err(refusal) => response(resource)
                    .with_error_code(refusal.error.code())
                    .with_error_message(refusal.message.as_deref().map(text)),
            }
        });
        let responses = responses.collect();
        call.body(&IncrementalAlterConfigsResponse::default().with_responses(responses))
    }
}

fn response(resource: &AlterConfigsResource) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse::default()
        .with_error_message(None)
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
}

/// All changes of a resource or none.
fn alter(cluster: &mut Cluster, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    if resource.resource_type != TOPIC {
        return Err(Refusal::new(
            ResponseError::InvalidRequest,
            "Only topics have settings that change here",
        ));
    }
    let name = resource.resource_name.as_str();
    let topic = cluster.topics.get_mut(name).ok_or(ResponseError::UnknownTopicOrPartition)?;
    let mut configs = topic.configs.clone();
    for change in &resource.configs {
        apply(&mut configs, change).map_err(|reason| Refusal::new(ResponseError::InvalidConfig, reason))?;
    }
    if !validate_only {
        topic.configs = configs;
    }
    Ok(())
}

fn apply(configs: &mut TopicConfigs, change: &AlterableConfig) -> Result<(), String> {
    let name = change.name.as_str();
    let setting = find_setting(name).ok_or_else(|| format!("Unknown topic config name: {name}"))?;
    let value = change.value.as_deref().unwrap_or_default();
    let is_list = setting.kind.code() == LIST;
    let mut items: Vec<_> = configs.value(name).split(',').filter(|item| !item.is_empty()).collect();
    let named = |item: &&str| value.split(',').any(|named| named == *item);
    match change.config_operation {
        SET => configs.set(name, value),
        DELETE => {
            configs.unset(name);
            Ok(())
        }
        APPEND if is_list => {
            items.retain(|item| !named(item));
            items.extend(value.split(','));
            let joined = items.join(",");
            configs.set(name, &joined)
        }
        SUBTRACT if is_list => {
            items.retain(|item| !named(item));
            let joined = items.join(",");
            configs.set(name, &joined)
        }
        APPEND | SUBTRACT => Err(format!("Config value append is not allowed for config key: {name}")),
        other => Err(format!("Unknown config operation {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Bench, ask};

    async fn alter(bench: &Bench, changes: &[(&str, i8, &str)]) -> i16 {
        let change = |(name, operation, value): &(&str, i8, &str)| {
            AlterableConfig::default()
                .with_name(text(name))
                .with_config_operation(*operation)
                .with_value(Some(text(value)))
        };
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text("t"))
            .with_configs(changes.iter().map(change).collect());
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        ask(bench, 1, &request).await.responses[0].error_code
    }

    fn value(bench: &Bench, name: &str) -> Option<String> {
        bench.peer.shared.cluster().topics["t"].configs.own(name).map(str::to_owned)
    }

    #[tokio::test]
    async fn settings_are_set_removed_and_added_to() {
        let bench = Bench::with_topic(1);
        assert_eq!(
            alter(&bench, &[("retention.ms", SET, "7"), ("cleanup.policy", APPEND, "compact")]).await,
            0
        );
        assert_eq!(value(&bench, "retention.ms").as_deref(), Some("7"));
        assert_eq!(value(&bench, "cleanup.policy").as_deref(), Some("delete,compact"));
        assert_eq!(
            alter(&bench, &[("retention.ms", DELETE, ""), ("cleanup.policy", SUBTRACT, "delete")]).await,
            0
        );
        assert_eq!(value(&bench, "retention.ms"), None);
        assert_eq!(value(&bench, "cleanup.policy").as_deref(), Some("compact"));
    }

    #[tokio::test]
    async fn one_wrong_change_and_nothing_is_changed() {
        let bench = Bench::with_topic(1);
        let invalid = ResponseError::InvalidConfig.code();
        for wrong in [("colour", SET, "red"), ("retention.ms", SET, "x"), ("retention.ms", APPEND, "1")] {
            assert_eq!(alter(&bench, &[("segment.ms", SET, "9"), wrong]).await, invalid);
        }
        assert_eq!(value(&bench, "segment.ms"), None);
    }
}
