//! Fetch: records out of logs, waiting for them when there are none (KIP-74 sizes, KIP-98 isolation, KIP-227 sessions,
//! KIP-320 epochs, KIP-392 replicas, KIP-516 topic ids, KIP-595 diverging epochs, KIP-951 the new leader).

mod encode;
mod read;

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use tokio::time::Instant;

use super::{Answer, Api, Call};
use crate::state::Cluster;
use crate::state::log::ReadBound;
use crate::state::sessions::{FetchFrom, FetchKey, SessionRequest, SessionView, Sessions, TopicRef};

/// First version in which topics are named by their ids.
const TOPIC_ID_FROM_VERSION: i16 = 13;

/// First version with sessions, and with an error code for the whole answer.
const SESSION_FROM_VERSION: i16 = 7;

/// Most bytes of records in an answer (`fetch.max.bytes` of a broker).
const MAX_BYTES: usize = 55 << 20;

pub(super) struct Fetch;

/// What of a request holds for all of its partitions.
#[derive(Debug, Clone)]
struct Limits {
    max_wait: Duration,
    min_bytes: usize,
    max_bytes: usize,
    bound: ReadBound,
    rack: String,
}

impl Api for Fetch {
    type Request = FetchRequest;

    fn refuse(request: &FetchRequest, version: i16, code: i16) -> FetchResponse {
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                PartitionData::default()
                    .with_partition_index(partition.partition)
                    .with_error_code(code)
                    .with_high_watermark(-1)
            });
            FetchableTopicResponse::default()
                .with_topic(topic.topic.clone())
                .with_topic_id(topic.topic_id)
                .with_partitions(partitions.collect())
        });
        let response = FetchResponse::default();
        // A request that goes on with a session names no partitions: it fails as a whole.
        if version >= SESSION_FROM_VERSION {
            response.with_error_code(code)
        } else {
            response.with_responses(topics.collect())
        }
    }

    async fn answer(call: &Call<'_>, request: FetchRequest) -> Answer {
        let limits = Limits::of(&request);
        let deadline = Instant::now() + limits.max_wait;
        let view = match open_session(call, request) {
            Ok(view) => view,
            Err(error) => return Answer::Body(encode::failed(call.version, error.code())),
        };
        loop {
            let last = !call.peer.waits || Instant::now() >= deadline;
            if let Some(body) = read_once(call, &view, &limits, last) {
                return Answer::Body(body);
            }
            // Both ends of the wait lead to another read; which of them came does not matter.
            let _ = tokio::time::timeout_at(deadline, call.peer.waker.notified()).await;
        }
    }
}

impl Limits {
    fn of(request: &FetchRequest) -> Self {
        let bytes = |count: i32| usize::try_from(count).unwrap_or_default();
        let max_bytes = bytes(request.max_bytes).min(MAX_BYTES);
        Self {
            max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or_default()),
            min_bytes: bytes(request.min_bytes).min(max_bytes),
            max_bytes,
            bound: if request.isolation_level == 1 {
                ReadBound::LastStable
            } else {
                ReadBound::HighWatermark
            },
            rack: request.rack_id.as_str().to_owned(),
        }
    }
}

fn open_session(call: &Call<'_>, request: FetchRequest) -> Result<SessionView, ResponseError> {
    let uses_ids = call.version >= TOPIC_ID_FROM_VERSION;
    let name = |name: &str, id| if uses_ids { TopicRef::Id(id) } else { TopicRef::Name(name.into()) };
    let named = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(move |partition| {
            let key = FetchKey { topic: name(&topic.topic, topic.topic_id), partition: partition.partition };
            let from = FetchFrom {
                offset: partition.fetch_offset,
                current_leader_epoch: partition.current_leader_epoch,
                last_fetched_epoch: partition.last_fetched_epoch,
                max_bytes: partition.partition_max_bytes,
            };
            (key, from)
        })
    });
    let forgotten = request.forgotten_topics_data.iter().flat_map(|topic| {
        let topic_ref = name(&topic.topic, topic.topic_id);
        topic
            .partitions
            .iter()
            .map(move |partition| FetchKey { topic: topic_ref.clone(), partition: *partition })
    });
    let session = SessionRequest {
        id: request.session_id,
        epoch: request.session_epoch,
        uses_ids,
        named: named.collect(),
        forgotten: forgotten.collect(),
    };
    let mut cluster = call.peer.shared.cluster();
    match cluster.brokers.get_mut(&call.peer.broker) {
        Some(broker) => broker.sessions.open(session),
        None => Err(ResponseError::UnknownServerError),
    }
}

/// Reads all partitions once. `None`: there is not enough yet, and the waker is set to tell of more.
fn read_once(call: &Call<'_>, view: &SessionView, limits: &Limits, last: bool) -> Option<Vec<Bytes>> {
    let mut cluster = call.peer.shared.cluster();
    // Out of the cluster meanwhile: what is read stays borrowed from it until the answer is written.
    let broker = cluster.brokers.get_mut(&call.peer.broker);
    let mut sessions = broker.map(|broker| mem::take(&mut broker.sessions)).unwrap_or_default();
    let mut pass = read::pass(&cluster, call, view, limits);
    let body = (pass.is_enough || last).then(|| {
        select_news(&mut sessions, view, &mut pass.partitions);
        encode::body(&cluster, call.version, view.id, &pass.partitions)
    });
    drop(pass);
    if let Some(broker) = cluster.brokers.get_mut(&call.peer.broker) {
        broker.sessions = sessions;
    }
    if body.is_none() {
        watch(&mut cluster, call, view);
    }
    body
}

/// Leaves out of an incremental answer what the client knows already.
fn select_news(sessions: &mut Sessions, view: &SessionView, partitions: &mut Vec<read::PartitionRead<'_>>) {
    if view.id == 0 {
        return;
    }
    partitions.retain(|partition| {
        let news =
            sessions.has_news(view.id, partition.key, partition.high_watermark, partition.log_start_offset);
        if partition.error != 0 {
            sessions.forget_told(view.id, partition.key);
        }
        if partition.records_len > 0 {
            sessions.gave_records(view.id, partition.key);
        }
        news || !view.incremental || partition.is_telling()
    });
}

fn watch(cluster: &mut Cluster, call: &Call<'_>, view: &SessionView) {
    for (key, _) in &view.partitions {
        let name = match &key.topic {
            TopicRef::Name(name) => Some(Arc::clone(name)),
            TopicRef::Id(id) => cluster.topic_name(*id),
        };
        if let Some(Ok(partition)) = name.map(|name| cluster.partition_mut(&name, key.partition)) {
            partition.watch(&call.peer.waker);
        }
    }
}

#[cfg(test)]
mod tests;
