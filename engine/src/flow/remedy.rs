//! What is done at the target for a record that it does not take: its topic's limit is raised, or the record is
//! written to the dead-letter topic. Knows nothing of the partition's state.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kmirror_protocol::client::admin::{self, NewTopic};
use kmirror_protocol::client::{Cluster, Topics, send};
use kmirror_protocol::wire::batch::{Batch, Entry};
use kmirror_protocol::wire::error::ErrorCode;
use kmirror_protocol::wire::record::{Limits, NewRecord, records};

use super::event::{Cause, Letter, Remedied};
use crate::clock::now_ms;
use crate::error::chain;
use crate::plan::FlowPlan;

/// A raised limit is a multiple of this.
const LIMIT_STEP: usize = 1 << 20;
/// The largest batch the dead-letter topic takes: a request is at most 100 MB by default
/// (`socket.request.max.bytes`).
const LETTER_BYTES_MAX: &str = "100000000";
/// A single record may unpack to this much at most.
const UNPACKED_BYTES_MAX: usize = 256 << 20;

/// Raises `max.message.bytes` of a target topic so that it takes a batch of `bytes`.
pub(crate) async fn raise_limit(
    cluster: &Cluster,
    topic: &Arc<str>,
    bytes: usize,
) -> Result<Remedied, Cause> {
    let limit = bytes.div_ceil(LIMIT_STEP).saturating_mul(LIMIT_STEP);
    let failed = |why: String| {
        Cause::from(format!(
            "max.message.bytes of the target topic {topic} cannot be raised to {limit}: {why}"
        ))
    };
    match admin::set_topic_config(cluster, topic, "max.message.bytes", &limit.to_string()).await {
        Ok(Ok(())) => Ok(Remedied::LimitRaised(limit)),
        Ok(Err(fault)) => Err(failed(fault.to_string())),
        Err(error) => Err(failed(chain(&error))),
    }
}

/// Writes a record to the flow's dead-letter topic, which is created if it is missing. A record may stand there twice
/// when kmirror is killed right behind it.
pub(crate) async fn dead_letter(
    plan: &FlowPlan,
    target: &Cluster,
    admin: &Cluster,
    letter: Letter,
) -> Result<Remedied, Cause> {
    let topic: Arc<str> = plan.dead_letter_topic.as_str().into();
    let failed = |why: String| Cause::from(format!("the dead-letter topic {topic} cannot be written: {why}"));
    let records = new_records(plan, &letter).map_err(failed)?;
    let named = Topics::Named(vec![Arc::clone(&topic)]);
    let known = target.refresh(named).await.map_err(|error| failed(chain(&error)))?;
    if known.topics.get(&topic).is_none_or(|topic| topic.partitions.is_empty()) {
        create(plan, admin, &topic).await.map_err(failed)?;
    }
    send::send_records(target, &topic, vec![(0, records)]).await.map_err(|error| failed(chain(&error)))?;
    Ok(Remedied::DeadLettered)
}

async fn create(plan: &FlowPlan, admin: &Cluster, topic: &Arc<str>) -> Result<(), String> {
    let new = NewTopic {
        name: Arc::clone(topic),
        partitions: 1,
        replication_factor: plan.replication_factor,
        configs: vec![("max.message.bytes".to_owned(), LETTER_BYTES_MAX.to_owned())],
    };
    let answers =
        admin::create_topics(admin, &[new], plan.admin_timeout).await.map_err(|error| chain(&error))?;
    match answers.into_iter().next() {
        Some((_, Err(fault))) if fault.code != ErrorCode::TopicAlreadyExists => Err(fault.to_string()),
        _ => Ok(()),
    }
}

/// The record as it was, with where it came from and why it is here in headers behind its own. Its timestamp is a
/// header, too: the topic might refuse it as the one it was meant for did.
fn new_records(plan: &FlowPlan, letter: &Letter) -> Result<Vec<NewRecord>, String> {
    let mut bytes = BytesMut::from(&letter.header.to_bytes()[..]);
    bytes.extend_from_slice(&letter.payload);
    let batch = Batch::parse(&bytes.freeze()).map_err(|error| error.to_string())?;
    let batch = batch.ok_or("the record is cut short")?;
    let limits = Limits { max_decompressed_bytes: UNPACKED_BYTES_MAX };
    let records = records(&Entry::Batch(batch), &limits).map_err(|error| chain(&error))?;
    let origin = |timestamp: i64| {
        [
            ("kmirror.source.cluster", plan.source.to_string()),
            ("kmirror.source.topic", letter.source.topic.to_string()),
            ("kmirror.source.partition", letter.source.partition.to_string()),
            ("kmirror.source.offset", letter.offset.to_string()),
            ("kmirror.source.timestamp", timestamp.to_string()),
            ("kmirror.reason", letter.why.to_string()),
        ]
        .map(|(name, value)| (Bytes::from_static(name.as_bytes()), Some(Bytes::from(value))))
    };
    let new = |record: kmirror_protocol::wire::record::Record| NewRecord {
        timestamp: now_ms(),
        key: record.key,
        value: record.value,
        headers: record.headers.into_iter().chain(origin(record.timestamp)).collect(),
    };
    Ok(records.into_iter().map(new).collect())
}
