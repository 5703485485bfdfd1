//! How offset maps are kept: one record for each block of points, in a compacted topic. Pure.
//!
//! The key is JSON (`{"topic":"orders","partition":3,"block":0}`), for people who look into the topic. The value, all
//! numbers big-endian: version (1 byte, 1), topic id (16 bytes, zeros where there is none), whether the end is known
//! (1 byte), then three numbers of 8 bytes: the source offset behind the last record, the same with what was left out
//! behind it, the target offset behind the last record; then the block's points. Only the end in the last block counts.
//! A block that is written again replaces itself; one that is gone gets a tombstone.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::{Buf, Bytes};
use kmirror_protocol::wire::record::NewRecord;
use serde_json::Value;
use uuid::Uuid;

use super::block::Block;
use super::map::{End, OffsetMap};
use crate::ids::SourcePartition;

const VERSION: u8 = 1;
const HEAD_LEN: usize = 1 + 16 + 1 + 3 * 8;

/// What is to be written about one map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The numbers of the blocks there are.
    pub(crate) numbers: std::ops::Range<u64>,
    /// Those that changed.
    pub(crate) blocks: Vec<(u64, Bytes)>,
}

impl OffsetMap {
    /// What changed since the last time, for a topic of this id.
    pub(crate) fn take_changes(&mut self, topic_id: Option<Uuid>) -> Option<Changes> {
        let from = self.changed_from.take()?;
        let open = self.open_number();
        let full = self.full.iter().zip(self.first_number..).filter(|(_, number)| *number >= from);
        let mut blocks: Vec<(u64, Bytes)> =
            full.map(|(block, number)| (number, value(topic_id, None, &block.bytes))).collect();
        if let Some(block) = Block::encode(&self.open) {
            blocks.push((open, value(topic_id, self.end, &block.bytes)));
        }
        // All may have been cut off: then there is no block at all.
        let next = open + u64::from(!self.open.is_empty());
        Some(Changes { numbers: self.first_number..next, blocks })
    }

    /// Writing failed: what has this number or a higher one is to be written again.
    pub(crate) fn changes_lost(&mut self, from: u64) {
        self.changed_from = Some(self.changed_from.map_or(from, |other| other.min(from)));
    }
}

fn value(topic_id: Option<Uuid>, end: Option<End>, points: &[u8]) -> Bytes {
    let mut value = Vec::with_capacity(HEAD_LEN + points.len());
    value.push(VERSION);
    value.extend_from_slice(topic_id.unwrap_or_default().as_bytes());
    value.push(u8::from(end.is_some()));
    let end = end.unwrap_or(End { record: 0, source: 0, target: 0 });
    for number in [end.record, end.source, end.target] {
        value.extend_from_slice(&number.to_be_bytes());
    }
    value.extend_from_slice(points);
    value.into()
}

/// The record that keeps a block; without a value it says that there is no such block any more.
pub(crate) fn record(
    partition: &SourcePartition,
    number: u64,
    value: Option<Bytes>,
    timestamp: i64,
) -> NewRecord {
    let topic = Value::from(&*partition.topic);
    let key = format!(r#"{{"topic":{topic},"partition":{},"block":{number}}}"#, partition.partition);
    NewRecord { timestamp, key: Some(key.into()), value, headers: Vec::new() }
}

/// The blocks of a topic, as its records tell them one after the other.
#[derive(Debug, Default)]
pub(crate) struct KeptMaps(HashMap<SourcePartition, BTreeMap<u64, Kept>>);

#[derive(Debug)]
struct Kept {
    topic_id: Option<Uuid>,
    end: Option<End>,
    block: Block,
}

impl KeptMaps {
    /// Takes in one record; what is no record of ours is passed over.
    pub(crate) fn read(&mut self, key: &[u8], value: Option<Bytes>) {
        self.read_where(key, value, |_| true);
    }

    /// The same, of some partitions only.
    pub(crate) fn read_where(
        &mut self,
        key: &[u8],
        value: Option<Bytes>,
        is_wanted: impl Fn(&SourcePartition) -> bool,
    ) {
        let Some((partition, number)) = read_key(key).filter(|(partition, _)| is_wanted(partition)) else {
            return;
        };
        let blocks = self.0.entry(partition).or_default();
        match value.and_then(read_value) {
            Some(kept) => blocks.insert(number, kept),
            None => blocks.remove(&number),
        };
    }

    /// Takes out what was kept of one partition: its map, if it has a sound one.
    pub(crate) fn take(&mut self, partition: &SourcePartition, segments_max: usize) -> Option<KeptMap> {
        restore(self.0.remove(partition)?, segments_max)
    }

    /// How many partitions something was kept of.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The maps, each with the id of the topic it is true for and the numbers of all blocks there are of it.
    pub(crate) fn maps(self, segments_max: usize) -> impl Iterator<Item = (SourcePartition, KeptMap)> {
        self.0
            .into_iter()
            .filter_map(move |(partition, blocks)| Some((partition, restore(blocks, segments_max)?)))
    }
}

/// One map that was kept.
#[derive(Debug, Clone)]
pub struct KeptMap {
    /// The id of the source topic it is true for, where that has one.
    pub topic_id: Option<Uuid>,
    /// The map.
    pub map: OffsetMap,
    /// The numbers of the blocks in the topic.
    pub(crate) numbers: std::ops::Range<u64>,
}

fn read_key(key: &[u8]) -> Option<(SourcePartition, u64)> {
    let key: Value = serde_json::from_slice(key).ok()?;
    let partition = SourcePartition {
        topic: key.get("topic")?.as_str()?.into(),
        partition: i32::try_from(key.get("partition")?.as_i64()?).ok().filter(|index| *index >= 0)?,
    };
    Some((partition, key.get("block")?.as_u64().filter(|number| *number < u64::MAX)?))
}

fn read_value(mut value: Bytes) -> Option<Kept> {
    if value.len() < HEAD_LEN || value.get_u8() != VERSION {
        return None;
    }
    let topic_id = Some(Uuid::from_u128(value.get_u128())).filter(|id| !id.is_nil());
    let has_end = value.get_u8() != 0;
    let end = End { record: value.get_i64(), source: value.get_i64(), target: value.get_i64() };
    let sound = 0 <= end.record && end.record <= end.source && 0 <= end.target;
    Some(Kept { topic_id, end: Some(end).filter(|_| has_end && sound), block: Block::checked(value)? })
}

/// The last blocks without a gap between them; what lies before a gap is forgotten.
fn restore(blocks: BTreeMap<u64, Kept>, segments_max: usize) -> Option<KeptMap> {
    let numbers = *blocks.first_key_value()?.0..*blocks.last_key_value()?.0 + 1;
    let mut map = OffsetMap::new(segments_max);
    let mut newest_first = blocks.into_iter().rev();
    let (number, open) = newest_first.next()?;
    map.open = open.block.points();
    map.end = open.end;
    map.first_number = number;
    let mut full: VecDeque<Block> = VecDeque::new();
    for (number, kept) in newest_first {
        let before = full.front().or(Some(&open.block)).is_some_and(|next| kept.block.first < next.first);
        if number + 1 != map.first_number || kept.topic_id != open.topic_id || !before {
            break;
        }
        map.first_number = number;
        full.push_front(kept.block);
    }
    map.full = full;
    map.limit(segments_max);
    Some(KeptMap { topic_id: open.topic_id, map, numbers })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_key_is_json_for_people() {
        let partition = SourcePartition { topic: "orders".into(), partition: 3 };
        let record = record(&partition, 7, None, 0);
        assert_eq!(record.key.as_deref().unwrap(), br#"{"topic":"orders","partition":3,"block":7}"#);
        assert_eq!(read_key(&record.key.unwrap()), Some((partition, 7)));
    }

    proptest! {
        #[test]
        fn nothing_in_the_topic_can_hurt(
            key in prop::collection::vec(any::<u8>(), 0..60),
            value in prop::collection::vec(any::<u8>(), 0..120),
            number in 0u64..4,
        ) {
            let mut kept = KeptMaps::default();
            kept.read(&key, Some(value.clone().into()));
            let key = format!(r#"{{"topic":"t","partition":0,"block":{number}}}"#);
            let value = [&[VERSION][..], &value].concat();
            kept.read(key.as_bytes(), Some(value.into()));
            for (_, kept) in kept.maps(10) {
                let _ = kept.map.translate(crate::ids::SourceOffset(5));
            }
        }
    }
}
