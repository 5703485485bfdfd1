//! Fetching metadata: from a few brokers we know, else from the bootstrap servers.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Cluster, Inner, Purpose, Topics};
use crate::client::backoff::random_below;
use crate::client::error::ClientError;
use crate::client::metadata::{Metadata, NodeId};
use crate::net::{Connection, NetError};
use crate::wire::error::ErrorCode;
use crate::wire::messages::parts::TopicName;
use crate::wire::messages::parts::metadata_request::MetadataRequestTopic;
use crate::wire::messages::{MetadataRequest, MetadataResponse, Request, StrBytes};

/// How many brokers are asked one after the other before that is given up.
const BROKERS_TO_TRY: usize = 3;

/// A few brokers, beginning with a random one, so that their burden is shared.
pub(super) fn some_brokers(metadata: &Metadata) -> Vec<NodeId> {
    let count = metadata.brokers.len();
    let start = usize::try_from(random_below(u64::try_from(count).unwrap_or(u64::MAX))).unwrap_or(0);
    metadata.brokers.keys().cycle().skip(start).take(count.min(BROKERS_TO_TRY)).copied().collect()
}

/// Fetches metadata and makes it the current one.
pub(super) async fn fetch(inner: &Arc<Inner>, topics: Topics) -> Result<Arc<Metadata>, ClientError> {
    let response = match ask_brokers(inner, &topics).await {
        Some(response) => response,
        None => ask_bootstrap(inner, &topics).await?,
    };
    let mut state = inner.state();
    let mut known = state.metadata.as_ref().map(|(metadata, _)| Arc::clone(metadata)).unwrap_or_default();
    if !known_cluster(&known, &response) {
        let cluster = &inner.options.alias;
        tracing::warn!(%cluster, "the bootstrap servers lead to another cluster than before");
        known = Arc::new(Metadata { generation: known.generation, ..Metadata::default() });
    }
    let metadata = Arc::new(known.updated(&response, topics == Topics::All));
    state.slots.retain(|(node, _), _| metadata.brokers.contains_key(node));
    state.metadata = Some((Arc::clone(&metadata), Instant::now()));
    Ok(metadata)
}

async fn ask_brokers(inner: &Arc<Inner>, topics: &Topics) -> Option<MetadataResponse> {
    let known = inner.state().metadata.as_ref().map(|(metadata, _)| Arc::clone(metadata))?;
    let cluster = Cluster { inner: Arc::clone(inner) };
    for node in some_brokers(&known) {
        let answer = match cluster.connection(node, Purpose::General).await {
            Ok(connection) => {
                ask(&connection, topics).await.map_err(|source| inner.broker_error(node, source))
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(response) if known_cluster(&known, &response) => return Some(response),
            Ok(_) => {
                let cluster = &inner.options.alias;
                tracing::warn!(%cluster, %node, "a broker answers for another cluster and is ignored");
            }
            Err(error) => {
                let cause = error.net().map(ToString::to_string).unwrap_or_default();
                tracing::debug!(%error, %cause, "no metadata from a broker we know");
            }
        }
    }
    None
}

/// An address may have been given to a broker of another cluster; its metadata must not be mixed with ours.
fn known_cluster(known: &Metadata, response: &MetadataResponse) -> bool {
    match (&known.cluster_id, &response.cluster_id) {
        (Some(known), Some(theirs)) => **known == *theirs.as_str(),
        _ => true,
    }
}

async fn ask_bootstrap(inner: &Inner, topics: &Topics) -> Result<MetadataResponse, ClientError> {
    let cluster = || Arc::clone(&inner.options.alias);
    let mut failure = None;
    for address in &inner.options.bootstrap {
        let answer = match Connection::open(address, &inner.options.connection, None).await {
            Ok(connection) => ask(&connection, topics).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(response) => return Ok(response),
            Err(error) => {
                tracing::debug!(cluster = %inner.options.alias, %address, %error, "bootstrap server fails");
                failure = Some(error);
            }
        }
    }
    Err(match failure {
        Some(source) => {
            ClientError::Bootstrap { cluster: cluster(), tried: inner.options.bootstrap.clone(), source }
        }
        None => ClientError::NoBootstrap { cluster: cluster() },
    })
}

async fn ask(connection: &Connection, topics: &Topics) -> Result<MetadataResponse, NetError> {
    let topics = match topics {
        Topics::All => None,
        Topics::None => Some(Vec::new()),
        Topics::Named(names) => Some(names.iter().map(|name| named(name)).collect()),
    };
    let request = MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(false);
    let response = connection.call(request).await?;
    match ErrorCode::from(response.error_code) {
        ErrorCode::None => Ok(response),
        code => {
            Err(NetError::Refused { address: connection.address().clone(), api: MetadataRequest::API, code })
        }
    }
}

fn named(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
}
