//! Which groups moved, and in which partitions, by what is written to `__consumer_offsets`. Pure.
//!
//! Only keys are looked at: which group and where, not where to. Kafka's `OffsetCommitKey` is version 0 or 1, the group's
//! id, topic and partition; other versions are about groups' members and are passed over. What a transaction wrote
//! counts when the transaction ends, as the coordinator tells it no sooner.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use kmirror_protocol::wire::batch::Entry;
use kmirror_protocol::wire::record::{Limits, Record, records};

use crate::ids::SourcePartition;

/// Versions of the key that are about a group's position.
const POSITION_KEYS: std::ops::RangeInclusive<i16> = 0..=1;
/// The most that one batch of the topic may decompress to. Coordinators write batches of a megabyte at most.
const LIMITS: Limits = Limits { max_decompressed_bytes: 16 << 20 };
/// Positions remembered for transactions that are not decided. A group beyond them waits for the next poll.
const UNDECIDED_MAX: usize = 10_000;

/// A group has a new position in a partition, or had its position there taken away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Move {
    pub(crate) group: Arc<str>,
    pub(crate) partition: SourcePartition,
}

/// Finds the groups that moved.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    /// Moves by the producer whose transaction they are in.
    undecided: HashMap<i64, BTreeSet<Move>>,
}

impl Moved {
    /// Takes in the next batch of the topic, and hands on what moved.
    pub(crate) fn take(&mut self, entry: &Entry, mut each: impl FnMut(Move)) {
        let transaction = match entry {
            Entry::Batch(batch) if batch.header.is_control() => {
                let decided = self.undecided.remove(&batch.header.producer_id);
                return decided.into_iter().flatten().for_each(each);
            }
            Entry::Batch(batch) => batch.header.is_transactional().then_some(batch.header.producer_id),
            _ => None,
        };
        // A batch that cannot be read says nothing; the next poll finds what it would have said.
        let Ok(records) = records(entry, &LIMITS) else { return };
        for one in records.iter().filter_map(move_of) {
            match transaction {
                None => each(one),
                Some(producer) => self.remember(producer, one),
            }
        }
    }

    fn remember(&mut self, producer: i64, one: Move) {
        let all: usize = self.undecided.values().map(BTreeSet::len).sum();
        if all < UNDECIDED_MAX {
            self.undecided.entry(producer).or_default().insert(one);
        }
    }
}

fn move_of(record: &Record) -> Option<Move> {
    let (version, rest) = record.key.as_deref()?.split_first_chunk()?;
    if !POSITION_KEYS.contains(&i16::from_be_bytes(*version)) {
        return None;
    }
    let (group, rest) = split_string(rest)?;
    let (topic, rest) = split_string(rest)?;
    let partition = i32::from_be_bytes(*rest.first_chunk()?);
    Some(Move { group, partition: SourcePartition { topic, partition } })
}

/// A string with its length before it, and what comes behind.
fn split_string(bytes: &[u8]) -> Option<(Arc<str>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (string, rest) = rest.split_at_checked(usize::try_from(i16::from_be_bytes(*length)).ok()?)?;
    Some((Arc::from(std::str::from_utf8(string).ok()?), rest))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kmirror_protocol::wire::batch::{Codec, Entries};
    use kmirror_protocol::wire::record::{NewRecord, build_batch};

    use super::*;

    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;

    fn key(version: i16, group: &str) -> Vec<u8> {
        let length = i16::try_from(group.len()).unwrap();
        let topic = b"\0\x06orders\0\0\0\x03";
        [&version.to_be_bytes()[..], &length.to_be_bytes(), group.as_bytes(), topic].concat()
    }

    fn batch(producer_id: i64, attributes: i16, keys: &[Vec<u8>]) -> Entry {
        let record =
            |key: &Vec<u8>| NewRecord { key: Some(Bytes::from(key.clone())), ..NewRecord::default() };
        let records: Vec<NewRecord> = keys.iter().map(record).collect();
        let encoded = build_batch(&records, Codec::None).unwrap();
        let mut header = encoded.header;
        header.producer_id = producer_id;
        header.attributes |= attributes;
        let header = header.with_crc_over(&encoded.payload).to_bytes();
        let bytes = [&header[..], &encoded.payload].concat();
        Entries::new(Bytes::from(bytes)).next().unwrap().unwrap()
    }

    fn moved(moved: &mut Moved, entry: &Entry) -> Vec<String> {
        let mut groups = Vec::new();
        moved.take(entry, |one| {
            assert_eq!(one.partition, SourcePartition { topic: "orders".into(), partition: 3 });
            groups.push(one.group.to_string());
        });
        groups
    }

    #[test]
    fn positions_are_told_from_the_rest() {
        let keys = [key(0, "old"), key(1, "readers"), key(2, "members"), key(3, "of-848"), Vec::new()];
        let cut = [key(1, "readers")[..6].to_vec()];
        assert_eq!(moved(&mut Moved::default(), &batch(-1, 0, &keys)), ["old", "readers"]);
        assert!(moved(&mut Moved::default(), &batch(-1, 0, &cut)).is_empty());
    }

    #[test]
    fn a_transaction_counts_when_it_ends() {
        let mut state = Moved::default();
        assert!(moved(&mut state, &batch(7, TRANSACTIONAL, &[key(1, "in-transaction")])).is_empty());
        assert_eq!(moved(&mut state, &batch(-1, 0, &[key(1, "plain")])), ["plain"]);
        let marker = |producer| batch(producer, TRANSACTIONAL | CONTROL, &[vec![0, 0, 0, 1]]);
        assert!(moved(&mut state, &marker(8)).is_empty());
        assert_eq!(moved(&mut state, &marker(7)), ["in-transaction"]);
        assert!(moved(&mut state, &marker(7)).is_empty());
    }
}
