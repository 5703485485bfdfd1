//! One broker's connection on the data path: requests in, events out, in order. Knows nothing of what is in them.

use std::collections::VecDeque;

use bytes::Bytes;
use kmirror_protocol::client::{Cluster, Purpose};
use kmirror_protocol::net::{Connection, NetError, ResponseWaiter};
use kmirror_protocol::wire::api::ApiKey;
use tokio::sync::mpsc;

use super::event::{Event, LinkEvent, LinkVersions, Side};
use super::partition::NodeId;
use crate::error::chain;

/// One request.
#[derive(Debug)]
pub(crate) struct LinkRequest {
    pub(crate) version: i16,
    /// The body in pieces.
    pub(crate) body: Vec<Bytes>,
}

/// Connects, then carries requests and answers until the connection or the lane's interest ends. Tells exactly one
/// [`LinkEvent::Closed`].
pub(crate) async fn run(
    cluster: Cluster,
    side: Side,
    node: NodeId,
    purpose: Purpose,
    requests: mpsc::Receiver<LinkRequest>,
    events: mpsc::Sender<Event>,
) {
    let closed = match cluster.connection(node, purpose).await {
        Err(error) => chain(&error),
        Ok(connection) => match carry(&connection, side, node, requests, &events).await {
            Ok(()) => return,
            Err(error) => format!("{side} broker {node} of cluster {}: {}", cluster.alias(), chain(&error)),
        },
    };
    let _ = events.send(Event::Link(side, node, LinkEvent::Closed(closed.into()))).await;
}

async fn carry(
    connection: &Connection,
    side: Side,
    node: NodeId,
    mut requests: mpsc::Receiver<LinkRequest>,
    events: &mpsc::Sender<Event>,
) -> Result<(), NetError> {
    let version = |api| connection.version_for(api).unwrap_or(-1);
    let versions = LinkVersions { fetch: version(ApiKey::Fetch), produce: version(ApiKey::Produce) };
    let api = match side {
        Side::Source => ApiKey::Fetch,
        Side::Target => ApiKey::Produce,
    };
    if events.send(Event::Link(side, node, LinkEvent::Opened(versions))).await.is_err() {
        return Ok(());
    }
    let mut waiting = VecDeque::new();
    loop {
        tokio::select! {
            answer = oldest(&mut waiting), if !waiting.is_empty() => {
                waiting.pop_front();
                let event = Event::Link(side, node, LinkEvent::Answer(answer?));
                if events.send(event).await.is_err() {
                    return Ok(());
                }
            }
            request = requests.recv() => match request {
                Some(request) => waiting.push_back(connection.send(api, request.version, request.body).await?),
                None => return Ok(()),
            },
        }
    }
}

/// The answer to the oldest request; brokers answer in order.
async fn oldest(waiting: &mut VecDeque<ResponseWaiter>) -> Result<Bytes, NetError> {
    match waiting.front_mut() {
        Some(waiter) => waiter.await,
        None => std::future::pending().await,
    }
}
