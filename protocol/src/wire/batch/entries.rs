//! The walk over the batches of a Fetch response's records, without copying them.

use bytes::{Buf, Bytes};

use super::header::{LENGTH_PREFIX_LEN, UNCHECKED_LEN};
use super::{BATCH_HEADER_LEN, BatchError, BatchHeader, Codec, take};
use crate::wire::crc;

/// Bytes that tell what stands at a position: offset, length, leader epoch or checksum, and the magic byte, which all
/// formats have in the same place.
const MAGIC_END: usize = 17;

/// Least value of the length field of a magic 0 message: checksum, magic, attributes, and two empty lengths.
const MESSAGE_LENGTH_MIN_V0: i32 = 14;

/// The same for magic 1, which has a timestamp.
const MESSAGE_LENGTH_MIN_V1: i32 = 22;

/// A whole magic 2 batch.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The fields of the first 61 bytes.
    pub header: BatchHeader,
    bytes: Bytes,
}

impl Batch {
    /// The batch at the start of `bytes`, which may be followed by others. `None` when it goes on behind them.
    pub fn parse(bytes: &Bytes) -> Result<Option<Self>, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        let total = header.total_len();
        Ok((total <= bytes.len()).then(|| Self { header, bytes: bytes.slice(..total) }))
    }

    /// The whole batch, header and payload.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The records, compressed as the header says.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(BATCH_HEADER_LEN..)
    }

    /// Whether the checksum goes with the bytes: a whole pass over them.
    #[must_use]
    pub fn verify_crc(&self) -> bool {
        crc::crc32c(&self.bytes[UNCHECKED_LEN..]) == self.header.crc
    }
}

/// One or more consecutive messages of magic 0 or 1, each possibly a compressed wrapper of others.
#[derive(Debug, Clone)]
pub struct LegacySet {
    bytes: Bytes,
    first_offset: i64,
    last_offset: i64,
    max_timestamp: i64,
    messages: usize,
    codec: Option<Codec>,
}

impl LegacySet {
    /// The messages as they lie in the blob.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Outer messages in the set.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// The codec of the first compressed message, [`Codec::None`] when there is none; `None` when the bits of one mean
    /// nothing.
    #[must_use]
    pub fn codec(&self) -> Option<Codec> {
        self.codec
    }
}

/// What stands between two positions of a log: a batch, or messages older than batches.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A magic 2 batch.
    Batch(Batch),
    /// Consecutive magic 0 and 1 messages.
    Legacy(LegacySet),
}

impl Entry {
    /// The first offset it covers. A compressed legacy message carries the offset of its last record only: where a set
    /// begins with one, this is that offset, and the true one comes out of re-encoding it.
    #[must_use]
    pub fn first_offset(&self) -> i64 {
        match self {
            Self::Batch(batch) => batch.header.base_offset,
            Self::Legacy(set) => set.first_offset,
        }
    }

    /// The last offset it covers.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        match self {
            Self::Batch(batch) => batch.header.last_offset(),
            Self::Legacy(set) => set.last_offset,
        }
    }

    /// Bytes it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.bytes.len(),
            Self::Legacy(set) => set.bytes.len(),
        }
    }

    /// The greatest timestamp in it by its headers, -1 when there is none.
    #[must_use]
    pub fn max_timestamp(&self) -> i64 {
        match self {
            Self::Batch(batch) => batch.header.max_timestamp,
            Self::Legacy(set) => set.max_timestamp,
        }
    }
}

/// The entries of a Fetch response's records, in order, sharing its buffer.
///
/// Brokers cut the blob where the size asked for is reached: a batch that goes on behind the end ends the walk without an
/// error, see [`partial`](Self::partial). Damage is an error and ends it as well: nothing behind it can be trusted.
#[derive(Debug, Clone)]
pub struct Entries {
    rest: Bytes,
    ended: bool,
    partial: Option<usize>,
}

impl Entries {
    /// A walk over `records`.
    #[must_use]
    pub fn new(records: Bytes) -> Self {
        Self { rest: records, ended: false, partial: None }
    }

    /// After the last entry: the bytes that the batch cut off at the end has in whole, as far as its visible part
    /// tells (the length of a header where that part is shorter than a length field).
    #[must_use]
    pub fn partial(&self) -> Option<usize> {
        self.partial
    }

    fn read(&mut self) -> Result<Option<Entry>, BatchError> {
        match Position::read(&self.rest)? {
            Position::End => Ok(None),
            Position::CutOff { whole } => {
                self.partial = Some(whole);
                Ok(None)
            }
            Position::Batch => Ok(Batch::parse(&self.rest)?.map(|batch| {
                self.rest.advance(batch.bytes.len());
                Entry::Batch(batch)
            })),
            Position::Message(first) => self.legacy_set(first).map(|set| Some(Entry::Legacy(set))),
        }
    }

    /// Collects messages up to the next batch or the end. Damage behind the first message is met by the next read.
    fn legacy_set(&mut self, first: Message) -> Result<LegacySet, BatchError> {
        let mut set = LegacySet {
            bytes: Bytes::new(),
            first_offset: first.offset,
            last_offset: first.offset,
            max_timestamp: -1,
            messages: 0,
            codec: Some(Codec::None),
        };
        let mut len = 0;
        let mut next = Ok(Position::Message(first));
        while let Ok(Position::Message(message)) = next {
            len += message.len;
            set.first_offset = set.first_offset.min(message.offset);
            set.last_offset = set.last_offset.max(message.offset);
            set.max_timestamp = set.max_timestamp.max(message.timestamp);
            set.messages += 1;
            if set.codec == Some(Codec::None) {
                set.codec = message.codec;
            }
            next = Position::read(&self.rest[len..]);
        }
        set.bytes = self.rest.split_to(len);
        Ok(set)
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.read().transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}

/// What begins at a position of a blob.
enum Position {
    End,
    /// Something that goes on behind the end and has `whole` bytes.
    CutOff {
        whole: usize,
    },
    Batch,
    Message(Message),
}

/// The frame of a magic 0 or 1 message.
struct Message {
    offset: i64,
    timestamp: i64,
    codec: Option<Codec>,
    len: usize,
}

impl Position {
    fn read(bytes: &[u8]) -> Result<Self, BatchError> {
        if bytes.is_empty() {
            return Ok(Self::End);
        }
        let mut rest = bytes;
        let Some((base_offset, length)) = offset_and_length(&mut rest) else {
            return Ok(Self::CutOff { whole: BATCH_HEADER_LEN });
        };
        let short = |minimum| BatchError::InvalidLength { base_offset, length, minimum };
        let whole = usize::try_from(length).map_err(|_| short(MESSAGE_LENGTH_MIN_V0))? + LENGTH_PREFIX_LEN;
        if length < MESSAGE_LENGTH_MIN_V0 {
            return Err(short(MESSAGE_LENGTH_MIN_V0));
        }
        if bytes.len() < whole {
            return Ok(Self::CutOff { whole });
        }
        match i8::from_be_bytes([bytes[MAGIC_END - 1]]) {
            2 => Ok(Self::Batch),
            1 if length < MESSAGE_LENGTH_MIN_V1 => Err(short(MESSAGE_LENGTH_MIN_V1)),
            0 | 1 if base_offset < 0 || base_offset == i64::MAX => {
                Err(BatchError::InvalidField { base_offset, field: "offset", value: base_offset })
            }
            magic @ (0 | 1) => {
                Ok(Self::Message(Message::read(base_offset, whole, magic, &bytes[MAGIC_END..])))
            }
            magic => Err(BatchError::UnknownMagic { base_offset, magic }),
        }
    }
}

impl Message {
    /// `fields` is what follows the magic byte.
    fn read(offset: i64, len: usize, magic: i8, mut fields: &[u8]) -> Self {
        let attributes = take::<1>(&mut fields).map_or(0, |[bits]| i16::from(bits));
        let timestamp = match magic {
            0 => -1,
            _ => take(&mut fields).map_or(-1, i64::from_be_bytes),
        };
        Self { offset, timestamp, codec: Codec::from_attributes(attributes).ok(), len }
    }
}

fn offset_and_length(rest: &mut &[u8]) -> Option<(i64, i32)> {
    Some((i64::from_be_bytes(take(rest)?), i32::from_be_bytes(take(rest)?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch(base_offset: i64, last_offset_delta: i32, payload: &[u8]) -> Vec<u8> {
        let header = BatchHeader {
            base_offset,
            batch_length: 49 + i32::try_from(payload.len()).unwrap(),
            partition_leader_epoch: 0,
            magic: 2,
            crc: 0,
            attributes: 0,
            last_offset_delta,
            base_timestamp: 5,
            max_timestamp: 9,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: 1,
        };
        [header.with_crc_over(payload).to_bytes().as_slice(), payload].concat()
    }

    fn message(offset: i64, magic: u8, timestamp: i64) -> Vec<u8> {
        let mut fields = vec![0, 0, 0, 0, magic, 0];
        if magic == 1 {
            fields.extend(timestamp.to_be_bytes());
        }
        fields.extend([255, 255, 255, 255, 0, 0, 0, 1, b'v']);
        let length = i32::try_from(fields.len()).unwrap();
        [&offset.to_be_bytes(), length.to_be_bytes().as_slice(), &fields].concat()
    }

    #[test]
    fn walks_batches_and_stops_silently_at_a_partial_one() {
        let blob = [batch(3, 0, b"abc"), batch(4, 5, b""), batch(10, 0, b"0123456789")].concat();
        let whole = batch(10, 0, b"0123456789").len();
        for cut in 1..whole {
            let mut entries = Entries::new(Bytes::from(blob[..blob.len() - cut].to_vec()));
            let offsets: Vec<_> =
                entries.by_ref().map(|entry| entry.map(|e| (e.first_offset(), e.last_offset()))).collect();
            assert_eq!(offsets, [Ok((3, 3)), Ok((4, 9))]);
            let expected = if whole - cut < LENGTH_PREFIX_LEN { BATCH_HEADER_LEN } else { whole };
            assert_eq!(entries.partial(), Some(expected), "cut by {cut}");
        }
        let mut entries = Entries::new(Bytes::from(blob));
        assert_eq!(entries.by_ref().count(), 3);
        assert_eq!(entries.partial(), None);
    }

    #[test]
    fn shares_the_buffer() {
        let blob = Bytes::from(batch(3, 0, b"abc"));
        let Some(Ok(Entry::Batch(batch))) = Entries::new(blob.clone()).next() else { panic!("no batch") };
        assert_eq!(batch.bytes().as_ptr(), blob.as_ptr());
        assert_eq!(batch.payload(), b"abc".as_slice());
        assert!(batch.verify_crc());
    }

    #[test]
    fn gathers_legacy_messages_up_to_the_next_batch() {
        let blob =
            [message(7, 0, 0), message(8, 1, 77), message(9, 1, 66), batch(10, 0, b"x"), message(11, 1, 5)];
        let entries: Vec<_> = Entries::new(Bytes::from(blob.concat())).map(Result::unwrap).collect();
        assert_eq!(entries.len(), 3);
        let Entry::Legacy(set) = &entries[0] else { panic!("not legacy") };
        assert_eq!((set.messages(), set.codec()), (3, Some(Codec::None)));
        assert_eq!(
            (entries[0].first_offset(), entries[0].last_offset(), entries[0].max_timestamp()),
            (7, 9, 77)
        );
        assert_eq!((entries[2].first_offset(), entries[2].last_offset()), (11, 11));
        assert_eq!(entries.iter().map(Entry::size).sum::<usize>(), blob.concat().len());
    }

    #[test]
    fn damage_is_an_error_and_ends_the_walk() {
        let mut negative_length = batch(4, 0, b"x");
        negative_length[8] = 0x80;
        let mut unknown_magic = batch(4, 0, b"x");
        unknown_magic[16] = 9;
        for damaged in [negative_length, unknown_magic] {
            let mut entries =
                Entries::new(Bytes::from([batch(3, 0, b"abc"), damaged, batch(5, 0, b"x")].concat()));
            assert!(entries.next().unwrap().is_ok());
            assert!(entries.next().unwrap().is_err());
            assert!(entries.next().is_none());
            assert_eq!(entries.partial(), None);
        }
    }

    #[test]
    fn damage_is_seen_by_the_checksum() {
        let mut bytes = batch(3, 0, b"abc");
        *bytes.last_mut().unwrap() ^= 1;
        let Some(Ok(Entry::Batch(batch))) = Entries::new(Bytes::from(bytes)).next() else {
            panic!("no batch")
        };
        assert!(!batch.verify_crc());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_end_the_walk(
            front in prop::collection::vec(0usize..3, 0..5),
            noise in prop::collection::vec(any::<u8>(), 0..200),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let mut blob: Vec<u8> = front.into_iter().enumerate().flat_map(|(i, kind)| {
                let offset = i64::try_from(i).unwrap();
                match kind { 2 => batch(offset, 0, b"xyz"), _ => message(offset, u8::try_from(kind).unwrap(), 1) }
            }).collect();
            blob.extend(noise);
            for (index, byte) in flips {
                if !blob.is_empty() {
                    let at = index.index(blob.len());
                    blob[at] = byte;
                }
            }
            let len = blob.len();
            let total: usize = Entries::new(Bytes::from(blob)).filter_map(Result::ok).map(|e| e.size()).sum();
            prop_assert!(total <= len);
        }
    }
}
