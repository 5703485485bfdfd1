//! Records dealt out to the partitions of a topic by their keys, as Kafka's default partitioner does.
//!
//! Must not know where the partitions' batches go.

use super::{Encoded, Reencoder, Shape, refuse_control};
use crate::wire::batch::{Entry, TimestampType};
use crate::wire::murmur2::{murmur2, partition_for_key};
use crate::wire::record::RecordError;
use crate::wire::record::varint::{put_field, take_varint};
use crate::wire::record::walk::{Body, RawRecord, walk};

/// The records for one partition, decoded.
#[derive(Debug, Default)]
struct Hand {
    records: Vec<Held>,
    /// Their bodies in the encoding of magic 2, one behind the other.
    bodies: Vec<u8>,
}

#[derive(Debug)]
struct Held {
    offset: i64,
    timestamp: i64,
    timestamp_type: TimestampType,
    attributes: u8,
    body_end: usize,
}

impl Reencoder {
    /// Deals the records of consecutive `entries` out to as many partitions as `from` has items, and writes each
    /// partition's share into as few batches as `shape` allows. Records at offsets before its item of `from` are left
    /// out of a partition.
    ///
    /// A record with a key goes where Java's default partitioner puts it (murmur2 of the key). Records without a key
    /// stay together by batch, in a partition that the batch's base offset decides: the same one whenever they are
    /// dealt out again.
    pub fn deal(
        &mut self,
        entries: &[Entry],
        from: &[i64],
        shape: &Shape,
    ) -> Result<Vec<Vec<Encoded>>, RecordError> {
        let mut hands: Vec<Hand> = from.iter().map(|_| Hand::default()).collect();
        let partitions = u32::try_from(from.len()).unwrap_or(u32::MAX);
        for entry in entries {
            refuse_control(entry)?;
            let (first_offset, last_offset) = (entry.first_offset(), entry.last_offset());
            let keyless =
                (murmur2(&first_offset.to_be_bytes()) & 0x7fff_ffff).checked_rem(partitions).unwrap_or(0);
            walk(entry, &self.limits, &mut self.decompressor, &mut |record| {
                let what = "a record's key does not fit into it";
                let malformed = RecordError::Malformed { first_offset, last_offset, what };
                let key = key_of(record.body).ok_or(malformed)?;
                let place = key.map_or(keyless, |key| partition_for_key(key, partitions)) as usize;
                if let (Some(hand), Some(from)) = (hands.get_mut(place), from.get(place))
                    && record.offset >= *from
                {
                    hand.take(record);
                }
                Ok(())
            })?;
        }
        hands.iter().map(|hand| self.write_hand(hand, shape)).collect()
    }

    fn write_hand(&mut self, hand: &Hand, shape: &Shape) -> Result<Vec<Encoded>, RecordError> {
        let Some(first) = hand.records.first() else { return Ok(Vec::new()) };
        self.writer.start(shape, hand.bodies.len(), first.offset)?;
        let mut start = 0;
        for held in &hand.records {
            self.writer.push(RawRecord {
                offset: held.offset,
                timestamp: held.timestamp,
                timestamp_type: held.timestamp_type,
                attributes: held.attributes,
                body: Body::Encoded(hand.bodies.get(start..held.body_end).unwrap_or_default()),
            })?;
            start = held.body_end;
        }
        self.writer.finish()
    }
}

impl Hand {
    fn take(&mut self, record: RawRecord<'_>) {
        match record.body {
            Body::Encoded(body) => self.bodies.extend_from_slice(body),
            Body::Plain { key, value } => {
                put_field(key, &mut self.bodies);
                put_field(value, &mut self.bodies);
                // No headers.
                self.bodies.push(0);
            }
        }
        let RawRecord { offset, timestamp, timestamp_type, attributes, .. } = record;
        let body_end = self.bodies.len();
        self.records.push(Held { offset, timestamp, timestamp_type, attributes, body_end });
    }
}

/// The key of a record, `Some(None)` where it has none; `None` where the record is malformed.
fn key_of(body: Body<'_>) -> Option<Option<&[u8]>> {
    match body {
        Body::Plain { key, .. } => Some(key),
        Body::Encoded(mut body) => {
            let length = take_varint(&mut body)?;
            match usize::try_from(length) {
                Ok(length) => body.get(..length).map(Some),
                Err(_) => (length == -1).then_some(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::batch::{Batch, Codec};
    use crate::wire::record::{Limits, NewRecord, build_batch, records};

    const LIMITS: Limits = Limits { max_decompressed_bytes: 1 << 20 };
    const SHAPE: Shape = Shape { codec: Codec::Lz4, level: None, max_batch_bytes: 1 << 20, timestamps: None };

    fn entry_at(base_offset: i64, keys: &[Option<&'static str>]) -> Entry {
        let records: Vec<NewRecord> = keys
            .iter()
            .map(|key| NewRecord {
                key: key.map(Bytes::from),
                value: Some("v".into()),
                ..NewRecord::default()
            })
            .collect();
        let built = build_batch(&records, Codec::Zstd).unwrap();
        let mut bytes = [&built.header.to_bytes()[..], &built.payload].concat();
        bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
        Entry::Batch(Batch::parse(&bytes.into()).unwrap().unwrap())
    }

    fn keys(encoded: &[Encoded]) -> Vec<Option<Bytes>> {
        let read = |one: &Encoded| {
            let bytes = [&one.header.to_bytes()[..], &one.payload].concat();
            records(&Entry::Batch(Batch::parse(&bytes.into()).unwrap().unwrap()), &LIMITS).unwrap()
        };
        encoded.iter().flat_map(read).map(|record| record.key).collect()
    }

    #[test]
    fn keys_keep_their_order_in_their_partition() {
        let entry = entry_at(7, &[Some("abc"), Some("foobar"), Some(""), Some("abc")]);
        let dealt = Reencoder::new(LIMITS).deal(&[entry], &[0, 0, 0], &SHAPE).unwrap();
        for (place, share) in dealt.iter().enumerate() {
            let expected: Vec<_> = ["abc", "foobar", "", "abc"]
                .into_iter()
                .filter(|key| partition_for_key(key.as_bytes(), 3) as usize == place)
                .map(|key| Some(Bytes::from(key)))
                .collect();
            assert_eq!(keys(share), expected);
        }
        let offsets: Vec<(i64, i64)> =
            dealt.iter().flatten().map(|one| (one.first_offset, one.last_offset)).collect();
        assert!(offsets.iter().all(|(first, last)| (7..=10).contains(first) && (7..=10).contains(last)));
    }

    #[test]
    fn records_without_a_key_stay_together_and_what_is_there_already_is_left_out() {
        let entry = entry_at(20, &[None, None, None]);
        let mut reencoder = Reencoder::new(LIMITS);
        let dealt = reencoder.deal(std::slice::from_ref(&entry), &[0; 5], &SHAPE).unwrap();
        let shares: Vec<usize> = dealt.iter().map(|share| keys(share).len()).collect();
        assert_eq!(shares.iter().sum::<usize>(), 3);
        assert_eq!(shares.iter().filter(|share| **share > 0).count(), 1);
        let again = reencoder.deal(&[entry], &[22; 5], &SHAPE).unwrap();
        let place = shares.iter().position(|share| *share > 0).unwrap();
        assert_eq!(keys(&again[place]).len(), 1);
        assert_eq!(again[place][0].first_offset, 22);
    }
}
