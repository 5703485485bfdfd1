//! The source's records: what was written, what became of it, and the batches it is written in.

use std::collections::BTreeMap;

use bytes::Bytes;
use kmirror_protocol::wire::batch::Codec;
use kmirror_protocol::wire::record::{NewRecord, build_batch};
use kmirror_protocol::wire::reencode::Encoded;

use crate::dice::Dice;

const TRANSACTIONAL: i16 = 0x10;
/// A record of the holed kind has a length of one byte.
const HOLED_VALUE_BYTES: usize = 20;

/// A record of the source. Its place in [`Log::records`] is its number.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) transaction: Option<usize>,
    /// It expired or was cut off: it need not be at the target.
    pub(crate) gone: bool,
}

/// A transaction of a producer in a partition.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    producer: i64,
    first: i64,
    /// Where it ended, and whether it committed.
    end: Option<(i64, bool)>,
    /// What its coordinator decided. That stands, even if the marker is cut off.
    decided: Option<bool>,
}

impl Transaction {
    pub(crate) fn committed(&self) -> Option<bool> {
        self.end.map(|(_, commits)| commits)
    }
}

/// What one source partition was written.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) records: Vec<Known>,
    /// Of what is in the log.
    pub(crate) by_offset: BTreeMap<i64, usize>,
    pub(crate) transactions: Vec<Transaction>,
    /// The open ones by producer.
    pub(crate) open: BTreeMap<i64, usize>,
    /// Its end was cut off once: what was read before may differ from what is there.
    pub(crate) was_cut_off: bool,
}

/// What is to be written.
pub(crate) struct Wanted {
    pub(crate) partition: i32,
    pub(crate) base_offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) value_bytes: u64,
    /// Compaction went through it.
    pub(crate) holes: bool,
    /// The producer of a transaction.
    pub(crate) producer: Option<i64>,
}

impl Log {
    /// Whether a reader has to see this record.
    pub(crate) fn is_due(&self, record: &Known, read_committed: bool) -> bool {
        let aborted = record.transaction.is_some_and(|one| self.transactions[one].committed() == Some(false));
        !(record.gone || (read_committed && aborted))
    }

    /// A batch of new records.
    pub(crate) fn write(&mut self, dice: &mut Dice, wanted: &Wanted) -> Bytes {
        let transaction = wanted.producer.map(|producer| {
            let next = self.transactions.len();
            let transaction = *self.open.entry(producer).or_insert(next);
            if transaction == next {
                self.transactions.push(Transaction {
                    producer,
                    first: wanted.base_offset,
                    end: None,
                    decided: None,
                });
            }
            transaction
        });
        let count = if wanted.holes { dice.between(1, 9) } else { dice.between(1, 30) } as usize;
        let kept: Vec<bool> = (0..count).map(|_| !wanted.holes || dice.chance(600)).collect();
        let size = |dice: &mut Dice| match wanted.holes {
            true => HOLED_VALUE_BYTES,
            false => dice.below(wanted.value_bytes + 1) as usize,
        };
        let mut records = Vec::new();
        for (offset, kept) in (wanted.base_offset..).zip(&kept) {
            let key = format!("{}/{}", wanted.partition, self.records.len());
            let value = vec![b'a' + (dice.below(26) as u8); size(dice)];
            let timestamp = 1_700_000_000_000 + offset;
            records.push(NewRecord {
                timestamp,
                key: Some(key.into()),
                value: Some(value.into()),
                headers: Vec::new(),
            });
            self.records.push(Known { transaction, gone: !kept });
            if *kept {
                self.by_offset.insert(offset, self.records.len() - 1);
            }
        }
        let built = match wanted.holes {
            true => holed(&records, &kept),
            false => build_batch(&records, dice.pick(&Codec::ALL)).unwrap(),
        };
        let mut header = built.header;
        header.base_offset = wanted.base_offset;
        header.last_offset_delta = count as i32 - 1;
        header.partition_leader_epoch = wanted.leader_epoch;
        if let Some(producer) = wanted.producer {
            (header.producer_id, header.producer_epoch, header.base_sequence) = (producer, 0, 0);
            header.attributes |= TRANSACTIONAL;
        }
        let header = header.with_crc_over(&built.payload);
        [&header.to_bytes()[..], &built.payload].concat().into()
    }

    /// The first offset of an open transaction, or `end`.
    pub(crate) fn stable_end(&self, end: i64) -> i64 {
        self.open.values().map(|one| self.transactions[*one].first).min().unwrap_or(end)
    }

    /// Whether a batch of these offsets is of an aborted transaction.
    pub(crate) fn is_aborted(&self, first: i64, last: i64) -> bool {
        let transaction = |number: &usize| self.records[*number].transaction;
        let of = self.by_offset.range(first..=last).next().and_then(|(_, number)| transaction(number));
        of.is_some_and(|one| self.transactions[one].committed() == Some(false))
    }

    /// The log begins at `start` now.
    pub(crate) fn expire(&mut self, start: i64) {
        let rest = self.by_offset.split_off(&start);
        for number in std::mem::replace(&mut self.by_offset, rest).into_values() {
            self.records[number].gone = true;
        }
    }

    /// The log ends at `end` now. Transactions that began behind it never were; others are open again.
    pub(crate) fn cut_off(&mut self, end: i64) {
        for number in self.by_offset.split_off(&end).into_values() {
            self.records[number].gone = true;
        }
        self.was_cut_off = true;
        self.open.clear();
        for (number, one) in self.transactions.iter_mut().enumerate() {
            one.end = one.end.filter(|(marker, _)| *marker < end);
            if one.end.is_none() && one.first < end {
                self.open.insert(one.producer, number);
            }
        }
    }

    /// How the open transaction of a producer is to end, by default as proposed; `None` if there is none.
    pub(crate) fn decide(&mut self, producer: i64, proposed: bool) -> Option<bool> {
        let number = *self.open.get(&producer)?;
        Some(*self.transactions[number].decided.get_or_insert(proposed))
    }

    /// The open transaction of a producer ended with a marker.
    pub(crate) fn ended(&mut self, producer: i64, marker: i64, commits: bool) {
        if let Some(number) = self.open.remove(&producer) {
            self.transactions[number].end = Some((marker, commits));
        }
    }
}

/// A batch of which compaction left the kept records, each at its old offset.
fn holed(all: &[NewRecord], kept: &[bool]) -> Encoded {
    let built = build_batch(all, Codec::None).unwrap();
    let (mut rest, mut payload) = (&built.payload[..], Vec::new());
    for kept in kept {
        let length = 1 + usize::from(rest[0] / 2);
        assert!(rest[0] < 128, "a length of one byte");
        if *kept {
            payload.extend_from_slice(&rest[..length]);
        }
        rest = &rest[length..];
    }
    let mut header = built.header;
    header.record_count = kept.iter().filter(|kept| **kept).count() as i32;
    header.batch_length = 49 + payload.len() as i32;
    Encoded { header, payload: payload.into(), ..built }
}
