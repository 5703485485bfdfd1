//! Progress records: how far each source partition is mirrored, in the bytes Kafka Connect writes for MirrorMaker 2.
//!
//! They live in `mm2-offsets.<source>.internal` on the target cluster, so that MirrorMaker 2 and kmirror can take
//! over from each other. Formats: `OffsetStorageWriter` (key: JSON array of connector name and partition map),
//! `MirrorUtils.wrapPartition` and `wrapOffset`. Pure.

use std::sync::Arc;

use bytes::Bytes;
use kmirror_protocol::wire::record::NewRecord;
use serde_json::Value;
use uuid::Uuid;

use crate::ids::{Identity, ProducerMark, SourceOffset, SourcePartition};

/// How far a partition is mirrored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The partition at the source.
    pub partition: SourcePartition,
    /// The first source offset that is not mirrored. On the wire it is the offset of the last mirrored record.
    pub next: SourceOffset,
    /// The id of the topic this is true for. MirrorMaker 2 writes none and ignores ours.
    pub topic_id: Option<Uuid>,
    /// The leader epoch of the last mirrored record. MirrorMaker 2 writes none and ignores ours.
    pub leader_epoch: Option<i32>,
    /// The identity it is written under, and the sequence of the record at `next`. MirrorMaker 2 writes none and ignores
    /// ours.
    pub producer: Option<ProducerMark>,
    /// The transactional id that it was written under; none where nothing can be open under it any more. MirrorMaker 2
    /// writes none and ignores ours.
    pub transactional_id: Option<Arc<str>>,
}

impl Progress {
    /// Whether its writer mirrored the partition one to one and said so: what is dealt out by key has neither mark nor
    /// transactional id, nor has what MirrorMaker 2 writes.
    pub fn is_one_to_one(&self) -> bool {
        self.producer.is_some() || self.transactional_id.is_some()
    }
}

/// The key of a partition's record. `connector` is the connector's name: `MirrorSourceConnector` in MirrorMaker 2's
/// dedicated mode.
///
/// The order of the map's entries is that of Java's `HashMap` for these three names: log compaction compares keys
/// byte by byte, so another order would leave two truths in the topic.
pub fn key(connector: &str, source_alias: &str, partition: &SourcePartition) -> Bytes {
    let (connector, alias) = (Value::from(connector), Value::from(source_alias));
    let (index, topic) = (partition.partition, Value::from(&*partition.topic));
    format!(r#"[{connector},{{"cluster":{alias},"partition":{index},"topic":{topic}}}]"#).into()
}

/// A record that says: mirrored up to `progress.next`. `timestamp` is in milliseconds since the epoch.
pub fn record(connector: &str, source_alias: &str, progress: &Progress, timestamp: i64) -> NewRecord {
    let last = progress.next.0 - 1;
    let topic_id = progress.topic_id.map(|id| format!(r#","topicId":"{id}""#)).unwrap_or_default();
    let epoch = progress.leader_epoch.map(|epoch| format!(r#","leaderEpoch":{epoch}"#)).unwrap_or_default();
    let producer = progress.producer.map(producer_fields).unwrap_or_default();
    let id = progress.transactional_id.as_deref().map(Value::from);
    let id = id.map(|id| format!(r#","transactionalId":{id}"#)).unwrap_or_default();
    let value = format!(r#"{{"offset":{last}{topic_id}{epoch}{producer}{id}}}"#);
    NewRecord {
        timestamp,
        key: Some(key(connector, source_alias, &progress.partition)),
        value: Some(value.into()),
        headers: Vec::new(),
    }
}

/// Plain fields: Connect takes an offset whose values are not for none at all (`OffsetUtils.validateFormat`).
fn producer_fields(mark: ProducerMark) -> String {
    let ProducerMark { identity: Identity { producer_id, producer_epoch }, sequence } = mark;
    format!(r#","producerId":{producer_id},"producerEpoch":{producer_epoch},"sequence":{sequence}"#)
}

fn read_producer(value: &Value) -> Option<ProducerMark> {
    let field = |name| value.get(name).and_then(Value::as_i64).filter(|number| *number >= 0);
    let producer_epoch = i16::try_from(field("producerEpoch")?).ok()?;
    let identity = Identity { producer_id: field("producerId")?, producer_epoch };
    Some(ProducerMark { identity, sequence: i32::try_from(field("sequence")?).ok()? })
}

/// Something read from the progress topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// Progress of a partition of this flow's source.
    Progress(Progress),
    /// The progress of this partition was removed.
    Removed(SourcePartition),
}

/// Understands one record of the progress topic. `None` for records of other connectors, of other clusters, or of
/// no known shape: they are not ours.
pub fn read(connector: &str, source_alias: &str, key: &[u8], value: Option<&[u8]>) -> Option<Read> {
    let key: Value = serde_json::from_slice(key).ok()?;
    let [name, map] = key.as_array()?.as_slice() else { return None };
    if name.as_str()? != connector || map.get("cluster")?.as_str()? != source_alias {
        return None;
    }
    let partition = SourcePartition {
        topic: map.get("topic")?.as_str()?.into(),
        partition: i32::try_from(map.get("partition")?.as_i64()?).ok().filter(|index| *index >= 0)?,
    };
    let value: Value = match value {
        None => Value::Null,
        Some(value) => serde_json::from_slice(value).ok()?,
    };
    if value.is_null() {
        return Some(Read::Removed(partition));
    }
    let producer = read_producer(&value);
    let transactional_id: Option<Arc<str>> =
        value.get("transactionalId").and_then(Value::as_str).map(Arc::from);
    // MirrorSourceTask seeks to offset + 1; a missing or negative offset means: from the start. We write -1 with a mark
    // or a transactional id before the first record leaves.
    let first = if producer.is_some() || transactional_id.is_some() { -1 } else { 0 };
    let Some(last) =
        value.get("offset").and_then(Value::as_i64).filter(|offset| (first..i64::MAX).contains(offset))
    else {
        return Some(Read::Removed(partition));
    };
    let topic_id = value.get("topicId").and_then(Value::as_str).and_then(|id| Uuid::parse_str(id).ok());
    let epoch = value.get("leaderEpoch").and_then(Value::as_i64);
    let leader_epoch = epoch.and_then(|epoch| i32::try_from(epoch).ok()).filter(|epoch| *epoch >= 0);
    Some(Read::Progress(Progress {
        partition,
        next: SourceOffset(last + 1),
        topic_id,
        leader_epoch,
        producer,
        transactional_id,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONNECTOR: &str = "MirrorSourceConnector";

    fn partition(topic: &str, index: i32) -> SourcePartition {
        SourcePartition { topic: topic.into(), partition: index }
    }

    #[test]
    fn writes_what_connect_writes() {
        let progress = Progress {
            partition: partition("orders", 3),
            next: SourceOffset(124),
            topic_id: None,
            leader_epoch: None,
            producer: None,
            transactional_id: None,
        };
        let record = record(CONNECTOR, "us-west", &progress, 0);
        assert_eq!(
            record.key.unwrap(),
            r#"["MirrorSourceConnector",{"cluster":"us-west","partition":3,"topic":"orders"}]"#
        );
        assert_eq!(record.value.unwrap(), r#"{"offset":123}"#);
    }

    #[test]
    fn reads_any_order_of_the_map() {
        let key = br#"["MirrorSourceConnector",{"topic":"orders","cluster":"A","partition":3}]"#;
        let expected = Progress {
            partition: partition("orders", 3),
            next: SourceOffset(8),
            topic_id: None,
            leader_epoch: None,
            producer: None,
            transactional_id: None,
        };
        assert_eq!(read(CONNECTOR, "A", key, Some(br#"{"offset":7}"#)), Some(Read::Progress(expected)));
        assert_eq!(read(CONNECTOR, "A", key, None), Some(Read::Removed(partition("orders", 3))));
        assert_eq!(read(CONNECTOR, "A", key, Some(b"{}")), Some(Read::Removed(partition("orders", 3))));
        assert_eq!(read(CONNECTOR, "B", key, Some(br#"{"offset":7}"#)), None);
    }

    #[test]
    fn other_connectors_are_not_ours() {
        let key = br#"["MirrorCheckpointConnector",{"partition":0,"topic":"t","group":"g"}]"#;
        assert_eq!(read(CONNECTOR, "A", key, Some(br#"{"offset":0}"#)), None);
        assert_eq!(read(CONNECTOR, "A", b"not json", Some(b"x")), None);
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(alias in "[ -~]{1,12}", topic in "[a-zA-Z0-9._-]{1,20}", index in 0i32..9999, next in 0i64..i64::MAX, id in any::<Option<u128>>(), leader_epoch in prop::option::of(0i32..), producer in prop::option::of((0i64.., 0i16.., 0i32..)), transaction in prop::option::of("[ -~]{1,12}")) {
            let producer = producer.map(|(producer_id, producer_epoch, sequence)| ProducerMark { identity: Identity { producer_id, producer_epoch }, sequence });
            prop_assume!(next > 0 || producer.is_some() || transaction.is_some());
            let progress = Progress { partition: partition(&topic, index), next: SourceOffset(next), topic_id: id.map(Uuid::from_u128), leader_epoch, producer, transactional_id: transaction.map(Arc::from) };
            let record = record(CONNECTOR, &alias, &progress, 0);
            prop_assert_eq!(read(CONNECTOR, &alias, &record.key.unwrap(), record.value.as_deref()), Some(Read::Progress(progress)));
        }

        #[test]
        fn nothing_in_the_topic_can_hurt(key in prop::collection::vec(any::<u8>(), 0..80), value in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(CONNECTOR, "A", &key, Some(&value));
        }
    }
}
