//! DeleteTopics, by name and since version 6 by id (KIP-516).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use kafka_protocol::messages::{DeleteTopicsRequest, TopicName};

use super::{Answer, Api, Call, text};
use crate::state::Cluster;

/// First version that names topics by id, too.
const ID_FROM_VERSION: i16 = 6;

pub(super) struct DeleteTopics;

impl Api for DeleteTopics {
    type Request = DeleteTopicsRequest;

    fn refuse(request: &DeleteTopicsRequest, version: i16, code: i16) -> DeleteTopicsResponse {
        let failed = asked(request, version).into_iter().map(|topic| failed(&topic, code));
        DeleteTopicsResponse::default().with_responses(failed.collect())
    }

    async fn answer(call: &Call<'_>, request: DeleteTopicsRequest) -> Answer {
        let mut cluster = call.peer.shared.cluster();
        let responses = asked(&request, call.version)
            .into_iter()
            .map(|topic| delete(&mut cluster, &topic).unwrap_or_else(|error| failed(&topic, error.code())));
        let responses = responses.collect();
        call.body(&DeleteTopicsResponse::default().with_responses(responses))
    }
}

/// The topics in either form of the request.
fn asked(request: &DeleteTopicsRequest, version: i16) -> Vec<DeleteTopicState> {
    if version >= ID_FROM_VERSION {
        return request.topics.clone();
    }
    let named = |name: &TopicName| DeleteTopicState::default().with_name(Some(name.clone()));
    request.topic_names.iter().map(named).collect()
}

fn delete(cluster: &mut Cluster, topic: &DeleteTopicState) -> Result<DeletableTopicResult, ResponseError> {
    let name = match &topic.name {
        Some(name) => name.as_str().into(),
        None => cluster.topic_name(topic.topic_id).ok_or(ResponseError::UnknownTopicId)?,
    };
    let id = cluster.delete_topic(&name)?;
    Ok(DeletableTopicResult::default().with_name(Some(TopicName(text(&name)))).with_topic_id(id))
}

fn failed(topic: &DeleteTopicState, code: i16) -> DeletableTopicResult {
    DeletableTopicResult::default()
        .with_name(topic.name.clone())
        .with_topic_id(topic.topic_id)
        .with_error_code(code)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::api::testing::{Bench, ask};

    #[tokio::test]
    async fn by_name_and_by_id() {
        let bench = Bench::with_topic(1);
        for version in 1..=6 {
            if version > 1 {
                bench.create("t", 1);
            }
            let id = bench.peer.shared.cluster().topics["t"].id;
            let names = ["t", "u"].map(|name| TopicName(text(name)));
            let by_name = |name: &TopicName| DeleteTopicState::default().with_name(Some(name.clone()));
            let request = match version {
                6 => {
                    let ids = [id, Uuid::from_u128(9)];
                    let by_id = ids.map(|id| DeleteTopicState::default().with_name(None).with_topic_id(id));
                    let topics = by_id.into_iter().chain([by_name(&names[1])]);
                    DeleteTopicsRequest::default().with_topics(topics.collect())
                }
                _ => DeleteTopicsRequest::default().with_topic_names(names.to_vec()),
            };
            let responses = ask(&bench, version, &request).await.responses;
            assert_eq!(responses[0].error_code, 0);
            assert_eq!(responses[0].name.as_deref().map(|name| name.as_str()), Some("t"));
            let unknown = ResponseError::UnknownTopicOrPartition.code();
            assert_eq!(responses.last().unwrap().error_code, unknown);
            if version == 6 {
                assert_eq!(responses[1].error_code, ResponseError::UnknownTopicId.code());
            }
            assert!(bench.peer.shared.cluster().topics.is_empty());
        }
    }
}
