//! MirrorMaker 2's offset syncs, checkpoints and heartbeats, byte for byte.
//!
//! Layouts: `OffsetSync`, `Checkpoint` and `Heartbeat` in Kafka's connect/mirror and connect/mirror-client. Numbers are
//! big-endian, a text is its length in two bytes and then UTF-8. The values of checkpoints and heartbeats begin with a
//! version, keys and offset syncs have none. Must not know which topics they lie in. Pure.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use kmirror_protocol::wire::record::NewRecord;

use crate::ids::{SourceOffset, SourcePartition, TargetOffset};

/// The only version there is of checkpoints and heartbeats.
const VERSION: i16 = 0;
/// The longest text the format can hold.
const TEXT_BYTES_MAX: usize = i16::MAX as usize;

/// The record at source offset `upstream` became the one at target offset `downstream`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetSync {
    /// The partition at the source.
    pub partition: SourcePartition,
    /// An offset of it.
    pub upstream: SourceOffset,
    /// The offset at the target of the same record.
    pub downstream: TargetOffset,
}

/// A group that stands at source offset `upstream` would stand at target offset `downstream`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The consumer group.
    pub group: Arc<str>,
    /// The topic's name at the target.
    pub topic: Arc<str>,
    /// The partition's index.
    pub partition: i32,
    /// The position that the group committed at the source: the offset of the next record it wants.
    pub upstream: SourceOffset,
    /// The position at the target that repeats what is needed so that nothing is left out.
    pub downstream: TargetOffset,
    /// The text committed with the position, empty where there is none.
    pub metadata: Arc<str>,
}

/// A mirror from `source` to `target` was running at `timestamp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The source's alias.
    pub source: Arc<str>,
    /// The target's alias.
    pub target: Arc<str>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
}

impl OffsetSync {
    /// The record of it, with a time in milliseconds since the epoch.
    pub fn to_record(&self, timestamp: i64) -> NewRecord {
        let mut key = BytesMut::new();
        put_text(&mut key, &self.partition.topic);
        key.put_i32(self.partition.partition);
        let mut value = BytesMut::new();
        value.put_i64(self.upstream.0);
        value.put_i64(self.downstream.0);
        new_record(timestamp, key, value)
    }

    /// Understands a record; `None` where it is no offset sync, or one of a place that no log has.
    pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<Self> {
        let (mut key, mut value) = (Fields(key?), Fields(value?));
        Some(Self {
            partition: SourcePartition { topic: key.text()?, partition: key.index()? },
            upstream: SourceOffset(value.offset()?),
            downstream: TargetOffset(value.offset()?),
        })
    }
}

impl Checkpoint {
    /// The record of it, with a time in milliseconds since the epoch.
    pub fn to_record(&self, timestamp: i64) -> NewRecord {
        let mut key = BytesMut::new();
        put_text(&mut key, &self.group);
        put_text(&mut key, &self.topic);
        key.put_i32(self.partition);
        let mut value = BytesMut::new();
        value.put_i16(VERSION);
        value.put_i64(self.upstream.0);
        value.put_i64(self.downstream.0);
        put_text(&mut value, &self.metadata);
        new_record(timestamp, key, value)
    }

    /// Understands a record; `None` where it is no checkpoint, one of another version, or of a place that no log has.
    pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<Self> {
        let (mut key, mut value) = (Fields(key?), Fields(value?));
        value.version()?;
        Some(Self {
            group: key.text()?,
            topic: key.text()?,
            partition: key.index()?,
            upstream: SourceOffset(value.offset()?),
            downstream: TargetOffset(value.offset()?),
            metadata: value.text()?,
        })
    }
}

impl Heartbeat {
    /// The record of it; its time is the heartbeat's.
    pub fn to_record(&self) -> NewRecord {
        let mut key = BytesMut::new();
        put_text(&mut key, &self.source);
        put_text(&mut key, &self.target);
        let mut value = BytesMut::new();
        value.put_i16(VERSION);
        value.put_i64(self.timestamp);
        new_record(self.timestamp, key, value)
    }

    /// Understands a record; `None` where it is no heartbeat, or one of another version.
    pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<Self> {
        let (mut key, mut value) = (Fields(key?), Fields(value?));
        value.version()?;
        Some(Self { source: key.text()?, target: key.text()?, timestamp: value.i64()? })
    }
}

// The lines that MirrorMaker 2's formatters print of these records.

impl fmt::Display for OffsetSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, upstream, downstream } = self;
        write!(
            f,
            "OffsetSync{{topicPartition={partition}, upstreamOffset={upstream}, downstreamOffset={downstream}}}"
        )
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, topic, partition, upstream, downstream, metadata } = self;
        write!(
            f,
            "Checkpoint{{consumerGroupId={group}, topicPartition={topic}-{partition}, \
             upstreamOffset={upstream}, downstreamOffset={downstream}, metadata={metadata}}}"
        )
    }
}

impl fmt::Display for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, target, timestamp } = self;
        write!(
            f,
            "Heartbeat{{sourceClusterAlias={source}, targetClusterAlias={target}, timestamp={timestamp}}}"
        )
    }
}

fn new_record(timestamp: i64, key: BytesMut, value: BytesMut) -> NewRecord {
    NewRecord { timestamp, key: Some(key.freeze()), value: Some(value.freeze()), headers: Vec::new() }
}

/// Writes a text. What is longer than the format can hold is cut off: brokers hand out no such names or metadata, whose
/// own length has two bytes, too.
fn put_text(bytes: &mut BytesMut, text: &str) {
    let most = text.len().min(TEXT_BYTES_MAX);
    let text = (0..=most).rev().find_map(|end| text.get(..end)).unwrap_or_default();
    bytes.put_i16(i16::try_from(text.len()).unwrap_or(0));
    bytes.put_slice(text.as_bytes());
}

/// The fields that were not read yet. As with Kafka's `Schema`, there may be more behind those that are known.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    fn offset(&mut self) -> Option<i64> {
        self.i64().filter(|offset| *offset >= 0)
    }

    fn index(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes).filter(|index| *index >= 0)
    }

    fn version(&mut self) -> Option<()> {
        (self.take().map(i16::from_be_bytes)? == VERSION).then_some(())
    }

    fn text(&mut self) -> Option<Arc<str>> {
        let length = usize::try_from(self.take().map(i16::from_be_bytes)?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok().map(Arc::from)
    }
}

#[cfg(test)]
mod tests;
