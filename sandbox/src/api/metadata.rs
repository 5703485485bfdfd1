//! Metadata: the brokers, and who leads what (KIP-516 for topics by id).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, TopicName};
use uuid::Uuid;

use super::{Answer, Api, Call, text};
use crate::state::topic::{Partition, Topic, name_fault};
use crate::state::{Cluster, NewTopic};

/// First version in which "all topics" is null rather than an empty list.
const NULL_FOR_ALL_FROM_VERSION: i16 = 1;

/// First version in which the client says whether topics may be created.
const AUTO_CREATE_FROM_VERSION: i16 = 4;

pub(super) struct Metadata;

impl Api for Metadata {
    type Request = MetadataRequest;

    fn refuse(request: &MetadataRequest, version: i16, code: i16) -> MetadataResponse {
        let topics = request.topics.iter().flatten().map(|topic| fault(topic, code));
        let response = MetadataResponse::default().with_topics(topics.collect());
        // Version 13 has a code for the whole answer.
        if version >= 13 { response.with_error_code(code) } else { response }
    }

    async fn answer(call: &Call<'_>, request: MetadataRequest) -> Answer {
        let mut cluster = call.peer.shared.cluster();
        let asked = request
            .topics
            .as_deref()
            .filter(|topics| call.version >= NULL_FOR_ALL_FROM_VERSION || !topics.is_empty());
        let may_create = call.version < AUTO_CREATE_FROM_VERSION || request.allow_auto_topic_creation;
        let topics = match asked {
            Some(asked) => {
                asked.iter().map(|topic| describe_asked(&mut cluster, topic, may_create)).collect()
            }
            None => cluster.topics.values().map(|topic| describe(&cluster, topic)).collect(),
        };
        let brokers = cluster.live_brokers().map(|(id, broker)| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(id))
                .with_host(text(&broker.address.ip().to_string()))
                .with_port(broker.address.port().into())
                .with_rack(broker.rack.as_deref().map(text))
        });
        let response = MetadataResponse::default()
            .with_brokers(brokers.collect())
            .with_cluster_id(Some(text(&cluster.id)))
            .with_controller_id(BrokerId(cluster.controller().unwrap_or(-1)))
            .with_topics(topics);
        call.body(&response)
    }
}

fn fault(topic: &MetadataRequestTopic, code: i16) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(code)
        .with_name(topic.name.clone())
        .with_topic_id(topic.topic_id)
}

fn describe_asked(
    cluster: &mut Cluster,
    asked: &MetadataRequestTopic,
    may_create: bool,
) -> MetadataResponseTopic {
    let Some(name) = asked.name.as_deref() else {
        return match cluster.topic_by_id(asked.topic_id) {
            Some(topic) => describe(cluster, topic),
            None => fault(asked, ResponseError::UnknownTopicId.code()),
        };
    };
    if let Some(topic) = cluster.topics.get(&**name) {
        return describe(cluster, topic);
    }
    if name_fault(name).is_some() {
        return fault(asked, ResponseError::InvalidTopicException.code());
    }
    if may_create && cluster.options.auto_create {
        let new = NewTopic {
            name: name.as_str().to_owned(),
            partitions: -1,
            replication_factor: -1,
            ..NewTopic::default()
        };
        if let Err(refusal) = cluster.create_topic(&new) {
            return fault(asked, refusal.error.code());
        }
    }
    // Also when it has just been created: a broker has the controller create it and lets the client ask again.
    fault(asked, ResponseError::UnknownTopicOrPartition.code()).with_topic_id(Uuid::nil())
}

fn describe(cluster: &Cluster, topic: &Topic) -> MetadataResponseTopic {
    let partitions =
        (0..).zip(&topic.partitions).map(|(index, partition)| describe_partition(cluster, index, partition));
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(&topic.name))))
        .with_topic_id(topic.id)
        .with_is_internal(topic.is_internal())
        .with_partitions(partitions.collect())
}

fn describe_partition(cluster: &Cluster, index: i32, partition: &Partition) -> MetadataResponsePartition {
    let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
    let offline = partition.replicas.iter().copied().filter(|id| !cluster.is_up(*id)).map(BrokerId).collect();
    let code = if partition.leader.is_none() { ResponseError::LeaderNotAvailable.code() } else { 0 };
    MetadataResponsePartition::default()
        .with_error_code(code)
        .with_partition_index(index)
        .with_leader_id(BrokerId(partition.leader.unwrap_or(-1)))
        .with_leader_epoch(partition.leader_epoch)
        .with_replica_nodes(ids(&partition.replicas))
        .with_isr_nodes(ids(&partition.in_sync))
        .with_offline_replicas(offline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Bench, ask};
    use crate::options::SandboxOptions;

    fn asking(name: &str) -> MetadataRequest {
        let topic = MetadataRequestTopic::default().with_name(Some(TopicName(text(name))));
        MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true)
    }

    #[tokio::test]
    async fn all_topics_and_none() {
        let bench = Bench::with_topic(3);
        for version in 0..=13 {
            let all = MetadataRequest::default()
                .with_topics((version == 0).then(Vec::new))
                .with_allow_auto_topic_creation(true);
            let response = ask(&bench, version, &all).await;
            assert_eq!((response.brokers.len(), response.topics.len()), (3, 1), "version {version}");
            assert_eq!(response.topics[0].partitions[0].leader_id, 1);
        }
        let none = MetadataRequest::default().with_topics(Some(Vec::new()));
        assert!(ask(&bench, 12, &none).await.topics.is_empty());
    }

    #[tokio::test]
    async fn unknown_topics_are_created_when_allowed_and_told_next_time() {
        let bench = Bench::with_topic(1);
        let first = ask(&bench, 12, &asking("new")).await;
        assert_eq!(first.topics[0].error_code, ResponseError::UnknownTopicOrPartition.code());
        let second = ask(&bench, 12, &asking("new")).await;
        assert_eq!((second.topics[0].error_code, second.topics[0].partitions.len()), (0, 1));
        for request in [asking("other").with_allow_auto_topic_creation(false), asking("bad name")] {
            ask(&bench, 12, &request).await;
            assert_ne!(ask(&bench, 12, &request).await.topics[0].error_code, 0);
        }
        let closed = Bench::new(SandboxOptions { auto_create: false, ..SandboxOptions::default() });
        ask(&closed, 12, &asking("new")).await;
        assert_ne!(ask(&closed, 12, &asking("new")).await.topics[0].error_code, 0);
    }

    #[tokio::test]
    async fn topics_are_found_by_id() {
        let bench = Bench::with_topic(1);
        let id = bench.peer.shared.cluster().topics["t"].id;
        let by_id = |id| {
            let topic = MetadataRequestTopic::default().with_topic_id(id).with_name(None);
            MetadataRequest::default().with_topics(Some(vec![topic]))
        };
        assert_eq!(
            ask(&bench, 12, &by_id(id)).await.topics[0].name.as_deref().map(|n| n.as_str()),
            Some("t")
        );
        let unknown = ask(&bench, 12, &by_id(Uuid::from_u128(1))).await;
        assert_eq!(unknown.topics[0].error_code, ResponseError::UnknownTopicId.code());
    }

    #[tokio::test]
    async fn partitions_without_a_leader_say_so() {
        let bench = Bench::with_topic(2);
        bench.peer.shared.cluster().broker_stopped(1);
        let response = ask(&bench.at(2), 12, &asking("t")).await;
        let partition = &response.topics[0].partitions[0];
        assert_eq!(
            (partition.error_code, *partition.leader_id),
            (ResponseError::LeaderNotAvailable.code(), -1)
        );
        assert_eq!(partition.offline_replicas, [BrokerId(1)]);
        assert_eq!((response.brokers.len(), *response.controller_id), (1, 2));
    }
}
