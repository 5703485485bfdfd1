//! A cluster of small servers whose answers the test decides.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, CreateTopicsResponse, MetadataResponse, TopicName};
use tokio::time::sleep;

use super::{Cluster, ClusterOptions};
use crate::net::Address;
use crate::net::testing::{Peer, Server};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::StrBytes;

/// What every server of a cluster answers, and how often it was asked.
#[derive(Default)]
pub(super) struct Script {
    pub(super) cluster_id: Mutex<String>,
    pub(super) brokers: Mutex<BTreeMap<i32, Address>>,
    /// The leaders of the partitions of topic "t".
    pub(super) leaders: Mutex<Vec<i32>>,
    pub(super) delay: Duration,
    /// What the next requests to create a topic are answered; `None` hangs up.
    pub(super) creations: Mutex<VecDeque<Option<ErrorCode>>>,
    pub(super) metadata_requests: AtomicUsize,
    pub(super) connections: AtomicUsize,
}

impl Script {
    fn metadata(&self) -> MetadataResponse {
        let brokers = self.brokers.lock().unwrap();
        let brokers = brokers.iter().map(|(id, address)| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(*id))
                .with_host(StrBytes::from_string(address.host.clone()))
                .with_port(address.port.into())
        });
        let leaders = self.leaders.lock().unwrap();
        let partitions = leaders.iter().zip(0..).map(|(leader, index)| {
            MetadataResponsePartition::default().with_partition_index(index).with_leader_id(BrokerId(*leader))
        });
        let topic = MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_static_str("t"))))
            .with_partitions(partitions.collect());
        MetadataResponse::default()
            .with_brokers(brokers.collect())
            .with_cluster_id(Some(StrBytes::from_string(self.cluster_id.lock().unwrap().clone())))
            .with_controller_id(BrokerId(1))
            .with_topics(vec![topic])
    }

    pub(super) async fn server(self: &Arc<Self>) -> Server {
        let script = Arc::clone(self);
        Server::greeting(move |peer| serve(Arc::clone(&script), peer)).await
    }

    /// A server that is in the metadata as this broker.
    pub(super) async fn broker(self: &Arc<Self>, id: i32) -> Server {
        let server = self.server().await;
        self.brokers.lock().unwrap().insert(id, server.address.clone());
        server
    }

    pub(super) fn asked(&self) -> usize {
        self.metadata_requests.load(Ordering::SeqCst)
    }
}

async fn serve(script: Arc<Script>, mut peer: Peer) {
    script.connections.fetch_add(1, Ordering::SeqCst);
    while let Some(asked) = peer.request().await {
        if asked.api == ApiKey::Metadata.key() {
            script.metadata_requests.fetch_add(1, Ordering::SeqCst);
            sleep(script.delay).await;
            peer.answer_message(&asked, &script.metadata()).await;
        }
        if asked.api == ApiKey::CreateTopics.key() {
            let next = script.creations.lock().unwrap().pop_front();
            match next.unwrap_or(Some(ErrorCode::None)) {
                Some(code) => peer.answer_message(&asked, &created(code)).await,
                None => return,
            }
        }
    }
}

pub(super) fn script() -> Arc<Script> {
    Arc::new(Script { cluster_id: Mutex::new("one".into()), ..Script::default() })
}

pub(super) fn options(bootstrap: &[&Server]) -> ClusterOptions {
    let bootstrap = bootstrap.iter().map(|server| server.address.clone()).collect();
    ClusterOptions { api_timeout: Duration::from_millis(500), ..ClusterOptions::new("a", bootstrap) }
}

pub(super) fn cluster(bootstrap: &Server) -> Cluster {
    Cluster::new(options(&[bootstrap]), None)
}

/// Topic "t" was created, or not.
fn created(code: ErrorCode) -> CreateTopicsResponse {
    let topic = CreatableTopicResult::default()
        .with_name(TopicName(StrBytes::from_static_str("t")))
        .with_error_code(code.code());
    CreateTopicsResponse::default().with_topics(vec![topic])
}
