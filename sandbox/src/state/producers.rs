//! What a partition remembers of each idempotent producer (KIP-98, Kafka's `ProducerStateManager` and
//! `ProducerAppendInfo`), and the rules a batch's epoch and sequence have to keep. Pure.

use std::collections::{BTreeMap, VecDeque};

use kafka_protocol::ResponseError;
use kmirror_protocol::wire::batch::{BatchHeader, next_sequence};

/// Batches of a producer that are recognised when they come again.
const REMEMBERED_BATCHES: usize = 5;

/// The epoch of a producer that has not written yet.
const NO_EPOCH: i16 = -1;

/// The producers of one partition by id.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    entries: BTreeMap<i64, ProducerEntry>,
}

/// One producer's last batches.
#[derive(Debug)]
pub(crate) struct ProducerEntry {
    pub(crate) epoch: i16,
    pub(crate) last_timestamp: i64,
    /// Epoch of the coordinator that wrote the last marker, -1 before the first.
    pub(crate) coordinator_epoch: i32,
    recent: VecDeque<RecentBatch>,
}

#[derive(Debug, Clone, Copy)]
struct RecentBatch {
    first_sequence: i32,
    last_sequence: i32,
    first_offset: i64,
    timestamp: i64,
}

/// What a batch's producer fields make of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sequenced {
    /// It is the next one.
    New,
    /// It is in the log already, at this offset.
    Duplicate { first_offset: i64, timestamp: i64 },
}

impl ProducerEntry {
    /// Sequence of the last record, -1 when the producer's epoch has none yet.
    pub(crate) fn last_sequence(&self) -> i32 {
        self.recent.back().map_or(-1, |batch| batch.last_sequence)
    }

    fn follows(&self, sequence: i32) -> bool {
        let last = self.last_sequence();
        next_sequence(last, 1) == sequence
    }
}

impl Producers {
    /// Whether `batch`, from a client, may be appended: the checks of `ProducerAppendInfo.maybeValidateDataBatch`.
    pub(crate) fn check(&self, batch: &BatchHeader) -> Result<Sequenced, ResponseError> {
        let Some(entry) = self.entries.get(&batch.producer_id) else { return Ok(Sequenced::New) };
        let last_sequence = next_sequence(batch.base_sequence, batch.last_offset_delta);
        if batch.producer_epoch == entry.epoch {
            let same = |recent: &&RecentBatch| {
                (recent.first_sequence, recent.last_sequence) == (batch.base_sequence, last_sequence)
            };
            if let Some(duplicate) = entry.recent.iter().find(same) {
                let RecentBatch { first_offset, timestamp, .. } = *duplicate;
                return Ok(Sequenced::Duplicate { first_offset, timestamp });
            }
        }
        let in_order = match batch.producer_epoch {
            epoch if epoch < entry.epoch => return Err(ResponseError::InvalidProducerEpoch),
            epoch if epoch > entry.epoch => batch.base_sequence == 0 || entry.epoch == NO_EPOCH,
            _ => entry.follows(batch.base_sequence),
        };
        if in_order { Ok(Sequenced::New) } else { Err(ResponseError::OutOfOrderSequenceNumber) }
    }

    /// Remembers a batch that was appended with its offsets put in.
    pub(crate) fn note_batch(&mut self, batch: &BatchHeader) {
        let entry = self.entry(batch.producer_id);
        entry.advance_to(batch.producer_epoch);
        if entry.recent.len() == REMEMBERED_BATCHES {
            entry.recent.pop_front();
        }
        entry.recent.push_back(RecentBatch {
            first_sequence: batch.base_sequence,
            last_sequence: next_sequence(batch.base_sequence, batch.last_offset_delta),
            first_offset: batch.base_offset,
            timestamp: batch.max_timestamp,
        });
        entry.last_timestamp = batch.max_timestamp;
    }

    /// Whether a marker of this epoch may be written (`ProducerAppendInfo.checkProducerEpoch`, coordinator's origin).
    pub(crate) fn check_marker(&self, producer_id: i64, epoch: i16) -> Result<(), ResponseError> {
        match self.entries.get(&producer_id) {
            Some(entry) if epoch < entry.epoch => Err(ResponseError::InvalidProducerEpoch),
            _ => Ok(()),
        }
    }

    /// Remembers a transaction marker. A higher epoch makes the sequence begin anew.
    pub(crate) fn note_marker(
        &mut self,
        producer_id: i64,
        epoch: i16,
        coordinator_epoch: i32,
        timestamp: i64,
    ) {
        let entry = self.entry(producer_id);
        entry.advance_to(epoch);
        entry.coordinator_epoch = coordinator_epoch;
        entry.last_timestamp = timestamp;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &ProducerEntry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    fn entry(&mut self, producer_id: i64) -> &mut ProducerEntry {
        self.entries.entry(producer_id).or_insert_with(|| ProducerEntry {
            epoch: NO_EPOCH,
            last_timestamp: -1,
            coordinator_epoch: -1,
            recent: VecDeque::new(),
        })
    }
}

impl ProducerEntry {
    fn advance_to(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.recent.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(epoch: i16, sequence: i32, records: i32, offset: i64) -> BatchHeader {
        BatchHeader {
            base_offset: offset,
            batch_length: 49,
            partition_leader_epoch: 0,
            magic: 2,
            crc: 0,
            attributes: 0,
            last_offset_delta: records - 1,
            base_timestamp: 0,
            max_timestamp: 11,
            producer_id: 7,
            producer_epoch: epoch,
            base_sequence: sequence,
            record_count: records,
        }
    }

    fn after(batches: &[BatchHeader]) -> Producers {
        let mut producers = Producers::default();
        for batch in batches {
            assert_eq!(producers.check(batch), Ok(Sequenced::New));
            producers.note_batch(batch);
        }
        producers
    }

    #[test]
    fn a_fresh_producer_starts_anywhere_and_goes_on_without_gaps() {
        let producers = after(&[batch(0, 1000, 5, 0), batch(0, 1005, 1, 5)]);
        assert_eq!(producers.check(&batch(0, 1006, 1, 0)), Ok(Sequenced::New));
        assert_eq!(producers.check(&batch(0, 1007, 1, 0)), Err(ResponseError::OutOfOrderSequenceNumber));
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let producers = after(&[batch(0, 2_147_483_646, 4, 0)]);
        assert_eq!(producers.check(&batch(0, 2, 1, 0)), Ok(Sequenced::New));
        let producers = after(&[batch(0, i32::MAX, 1, 0)]);
        assert_eq!(producers.check(&batch(0, 0, 1, 0)), Ok(Sequenced::New));
    }

    #[test]
    fn the_last_five_batches_are_recognised() {
        let batches: Vec<_> = (0..6).map(|n| batch(0, n * 2, 2, i64::from(n) * 2)).collect();
        let producers = after(&batches);
        assert_eq!(producers.check(&batches[0]), Err(ResponseError::OutOfOrderSequenceNumber));
        for n in 1..6 {
            let duplicate = Sequenced::Duplicate { first_offset: i64::from(n) * 2, timestamp: 11 };
            assert_eq!(producers.check(&batch(0, n * 2, 2, 0)), Ok(duplicate));
        }
        assert_eq!(producers.check(&batch(0, 10, 1, 0)), Err(ResponseError::OutOfOrderSequenceNumber));
    }

    #[test]
    fn a_higher_epoch_starts_at_zero_and_fences_the_lower() {
        let producers = after(&[batch(1, 4, 2, 0), batch(2, 0, 1, 2)]);
        assert_eq!(producers.check(&batch(1, 6, 1, 0)), Err(ResponseError::InvalidProducerEpoch));
        assert_eq!(producers.check(&batch(3, 1, 1, 0)), Err(ResponseError::OutOfOrderSequenceNumber));
    }

    #[test]
    fn a_marker_of_a_higher_epoch_resets_the_sequence() {
        let mut producers = after(&[batch(1, 4, 2, 0)]);
        producers.note_marker(7, 1, 0, 0);
        assert_eq!(producers.check(&batch(1, 6, 1, 0)), Ok(Sequenced::New));
        producers.note_marker(7, 2, 0, 0);
        assert_eq!(producers.check_marker(7, 1), Err(ResponseError::InvalidProducerEpoch));
        assert_eq!(producers.iter().next().unwrap().1.last_sequence(), -1);
        assert_eq!(producers.check(&batch(2, 6, 1, 0)), Err(ResponseError::OutOfOrderSequenceNumber));
        assert_eq!(producers.check(&batch(2, 0, 1, 0)), Ok(Sequenced::New));
    }
}
