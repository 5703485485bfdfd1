//! The layout of a Fetch request in each version.

use bytes::{BufMut, Bytes, BytesMut};

use super::{FIRST_BY_TOPIC_ID, FIRST_WITH_SESSIONS, FetchParams, FetchPosition, TopicKey};
use crate::wire::api::ApiKey;
use crate::wire::cursor::PutWire;
use crate::wire::error::WireError;

/// Bytes to reserve for a partition: the most it takes is 33, its share of a topic's name comes on top.
const PARTITION_BYTES: usize = 48;

/// A partition to ask for. `None` where the session is told to forget it.
pub(super) struct Asked<'a> {
    pub(super) topic: &'a TopicKey,
    pub(super) partition: i32,
    pub(super) position: Option<FetchPosition>,
}

/// One request: what to read, what to forget, and whose next request this is.
pub(super) struct Request<'a> {
    pub(super) params: &'a FetchParams,
    pub(super) session_id: i32,
    pub(super) session_epoch: i32,
    pub(super) wanted: Vec<Asked<'a>>,
    pub(super) forgotten: Vec<Asked<'a>>,
}

/// The body of the request. Partitions of one topic should stand together.
pub(super) fn encode(version: i16, request: &Request<'_>) -> Result<Bytes, WireError> {
    let flexible = ApiKey::Fetch.is_flexible(version);
    let params = request.params;
    let mut out =
        BytesMut::with_capacity(64 + PARTITION_BYTES * (request.wanted.len() + request.forgotten.len()));
    if version < 15 {
        out.put_i32(-1); // the replica id of one who is none
    }
    out.put_i32(params.max_wait_ms);
    out.put_i32(params.min_bytes);
    out.put_i32(params.max_bytes);
    out.put_i8(params.isolation_level.level());
    if version >= FIRST_WITH_SESSIONS {
        out.put_i32(request.session_id);
        out.put_i32(request.session_epoch);
    }
    put_topics(&mut out, version, &request.wanted)?;
    if version >= FIRST_WITH_SESSIONS {
        put_topics(&mut out, version, &request.forgotten)?;
    }
    if version >= 11 {
        out.put_text(&params.rack, flexible)?;
    }
    out.put_no_tags(flexible);
    Ok(out.freeze())
}

fn put_topics(out: &mut BytesMut, version: i16, asked: &[Asked<'_>]) -> Result<(), WireError> {
    let flexible = ApiKey::Fetch.is_flexible(version);
    let topics: Vec<&[Asked<'_>]> = asked.chunk_by(|a, b| a.topic == b.topic).collect();
    out.put_count("topics", topics.len(), flexible)?;
    for partitions in topics {
        let Some(topic) = partitions.first().map(|first| first.topic) else { continue };
        if version < FIRST_BY_TOPIC_ID {
            out.put_text(&topic.name, flexible)?;
        } else if topic.id.is_nil() {
            return Err(WireError::Unsendable { what: format!("topic {}, which has no id,", topic.name) });
        } else {
            out.put_slice(topic.id.as_bytes());
        }
        out.put_count("partitions", partitions.len(), flexible)?;
        for asked in partitions {
            out.put_i32(asked.partition);
            if let Some(position) = asked.position {
                put_position(out, version, position);
            }
        }
        out.put_no_tags(flexible);
    }
    Ok(())
}

fn put_position(out: &mut BytesMut, version: i16, position: FetchPosition) {
    if version >= 9 {
        out.put_i32(position.current_leader_epoch);
    }
    out.put_i64(position.fetch_offset);
    if version >= 12 {
        out.put_i32(position.last_fetched_epoch);
    }
    if version >= 5 {
        out.put_i64(position.log_start_offset);
    }
    out.put_i32(position.max_bytes);
    out.put_no_tags(ApiKey::Fetch.is_flexible(version));
}
