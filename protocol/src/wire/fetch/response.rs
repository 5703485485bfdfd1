//! The layout of a Fetch response in each version. Fields of no use to a reader (who leads now, where brokers
//! are, snapshots) are passed over.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::{AbortedTransaction, EpochEnd, FIRST_BY_TOPIC_ID, FIRST_WITH_SESSIONS, FetchedPartition};
use crate::wire::api::ApiKey;
use crate::wire::cursor::Reader;
use crate::wire::error::{ErrorCode, WireError};

/// The least bytes a topic can take: an empty name and no partitions.
const MIN_TOPIC_BYTES: usize = 2;
/// The least bytes a partition can take: number, error, high watermark, last stable offset.
const MIN_PARTITION_BYTES: usize = 22;
/// A producer id and an offset.
const ABORTED_BYTES: usize = 16;
/// The tag of a partition's diverging epoch.
const DIVERGING_EPOCH_TAG: u32 = 0;

/// A response with the topics' names put in.
pub(super) struct Response {
    pub(super) throttle_time_ms: i32,
    pub(super) error: ErrorCode,
    pub(super) session_id: i32,
    pub(super) partitions: Vec<FetchedPartition>,
}

/// What a response may call a topic.
pub(super) enum TopicRef<'a> {
    Name(&'a str),
    Id(Uuid),
}

/// Takes a response apart; `resolve` knows the topics that were asked for.
pub(super) fn decode(
    version: i16,
    body: Bytes,
    mut resolve: impl FnMut(TopicRef<'_>) -> Option<Arc<str>>,
) -> Result<Response, WireError> {
    let flexible = ApiKey::Fetch.is_flexible(version);
    let mut reader = Reader::new(body);
    let mut response = Response {
        throttle_time_ms: reader.i32("the throttle time")?,
        error: ErrorCode::None,
        session_id: 0,
        partitions: Vec::new(),
    };
    if version >= FIRST_WITH_SESSIONS {
        response.error = reader.i16("the error code")?.into();
        response.session_id = reader.i32("the session id")?;
    }
    for _ in 0..reader.array("topics", MIN_TOPIC_BYTES, flexible)? {
        let topic = topic(&mut reader, version, &mut resolve)?;
        let count = reader.array("partitions", MIN_PARTITION_BYTES, flexible)?;
        response.partitions.reserve(count);
        for _ in 0..count {
            response.partitions.push(partition(&mut reader, version, &topic)?);
        }
        if flexible {
            reader.skip_tags()?;
        }
    }
    if flexible {
        reader.skip_tags()?;
    }
    reader.finish()?;
    Ok(response)
}

fn topic(
    reader: &mut Reader,
    version: i16,
    resolve: &mut impl FnMut(TopicRef<'_>) -> Option<Arc<str>>,
) -> Result<Arc<str>, WireError> {
    if version >= FIRST_BY_TOPIC_ID {
        let id = reader.uuid("a topic id")?;
        return resolve(TopicRef::Id(id)).ok_or_else(|| WireError::UnexpectedTopic { topic: id.to_string() });
    }
    let raw = reader.text_bytes("a topic name", ApiKey::Fetch.is_flexible(version))?;
    let name = std::str::from_utf8(&raw).map_err(|_| WireError::Text { what: "a topic name" })?;
    resolve(TopicRef::Name(name)).ok_or_else(|| WireError::UnexpectedTopic { topic: name.to_owned() })
}

fn partition(reader: &mut Reader, version: i16, topic: &Arc<str>) -> Result<FetchedPartition, WireError> {
    let flexible = ApiKey::Fetch.is_flexible(version);
    let mut read = FetchedPartition {
        topic: Arc::clone(topic),
        partition: reader.i32("a partition number")?,
        error: reader.i16("an error code")?.into(),
        high_watermark: reader.i64("the high watermark")?,
        last_stable_offset: reader.i64("the last stable offset")?,
        log_start_offset: if version >= 5 { reader.i64("the log start offset")? } else { -1 },
        aborted: Vec::new(),
        preferred_read_replica: -1,
        diverging_epoch: None,
        records: Bytes::new(),
    };
    let count = reader.array("aborted transactions", ABORTED_BYTES, flexible)?;
    read.aborted.reserve_exact(count);
    for _ in 0..count {
        read.aborted.push(AbortedTransaction {
            producer_id: reader.i64("a producer id")?,
            first_offset: reader.i64("a first offset")?,
        });
        if flexible {
            reader.skip_tags()?;
        }
    }
    if version >= 11 {
        read.preferred_read_replica = reader.i32("the preferred read replica")?;
    }
    read.records = reader.nullable_bytes("records", flexible)?.unwrap_or_default();
    if flexible {
        reader.tags(|tag, field| {
            if tag == DIVERGING_EPOCH_TAG {
                read.diverging_epoch = diverging_epoch(field)?;
            }
            Ok(())
        })?;
    }
    Ok(read)
}

/// The default value (-1, -1) of the field says as much as its absence.
fn diverging_epoch(field: Bytes) -> Result<Option<EpochEnd>, WireError> {
    let mut reader = Reader::new(field);
    let end = EpochEnd { epoch: reader.i32("an epoch")?, end_offset: reader.i64("an end offset")? };
    reader.skip_tags()?;
    reader.finish()?;
    Ok((end.epoch >= 0 || end.end_offset >= 0).then_some(end))
}
