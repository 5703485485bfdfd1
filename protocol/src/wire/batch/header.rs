//! The 61 bytes in front of the records of a magic 2 batch, as values.

use super::{BatchError, Codec, TimestampType, take};
use crate::wire::crc;

/// Length of a batch's header, up to and including the record count.
pub const BATCH_HEADER_LEN: usize = 61;

/// Bytes in front of what `batch_length` counts: base offset and the length itself.
pub(super) const LENGTH_PREFIX_LEN: usize = 12;

/// The header's bytes that the checksum covers: attributes to record count.
const CHECKED_FIELDS_LEN: usize = 40;

/// Bytes in front of what the checksum covers.
pub(super) const UNCHECKED_LEN: usize = BATCH_HEADER_LEN - CHECKED_FIELDS_LEN;

/// The least `batch_length` there can be: a header without records.
const BATCH_LENGTH_MIN: i32 = 49;

/// The only magic this layout has.
const MAGIC: i8 = 2;

const LOG_APPEND_TIME_BIT: i16 = 0x08;
pub(super) const TRANSACTIONAL_BIT: i16 = 0x10;
const CONTROL_BIT: i16 = 0x20;
/// The base timestamp field holds when tombstones of the batch may go (KIP-534).
pub(super) const DELETE_HORIZON_BIT: i16 = 0x40;

/// The header of a magic 2 batch, by Kafka's names of its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record the batch was produced with (it may have been compacted away).
    pub base_offset: i64,
    /// Bytes behind this field.
    pub batch_length: i32,
    /// Leader epoch of the partition when it was appended, -1 from a producer. Not covered by the checksum.
    pub partition_leader_epoch: i32,
    /// Format version: 2.
    pub magic: i8,
    /// CRC-32C of everything behind this field.
    pub crc: u32,
    /// Codec, kind of timestamp, transactional, control and delete-horizon bits.
    pub attributes: i16,
    /// Offset of the last record the batch was produced with, less the base offset.
    pub last_offset_delta: i32,
    /// What the records' timestamp deltas are relative to, in milliseconds.
    pub base_timestamp: i64,
    /// Greatest timestamp of the records, or when they were appended.
    pub max_timestamp: i64,
    /// Producer's id, or -1.
    pub producer_id: i64,
    /// Producer's epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// Records in the batch.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, and refuses what no broker writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let header = Self::read(bytes)
            .ok_or(BatchError::Truncated { needed: BATCH_HEADER_LEN, available: bytes.len() })?;
        header.check()?;
        Ok(header)
    }

    fn read(mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        Some(Self {
            base_offset: i64::from_be_bytes(take(rest)?),
            batch_length: i32::from_be_bytes(take(rest)?),
            partition_leader_epoch: i32::from_be_bytes(take(rest)?),
            magic: i8::from_be_bytes(take(rest)?),
            crc: u32::from_be_bytes(take(rest)?),
            attributes: i16::from_be_bytes(take(rest)?),
            last_offset_delta: i32::from_be_bytes(take(rest)?),
            base_timestamp: i64::from_be_bytes(take(rest)?),
            max_timestamp: i64::from_be_bytes(take(rest)?),
            producer_id: i64::from_be_bytes(take(rest)?),
            producer_epoch: i16::from_be_bytes(take(rest)?),
            base_sequence: i32::from_be_bytes(take(rest)?),
            record_count: i32::from_be_bytes(take(rest)?),
        })
    }

    fn check(&self) -> Result<(), BatchError> {
        let base_offset = self.base_offset;
        let invalid = |field, value| Err(BatchError::InvalidField { base_offset, field, value });
        if self.magic != MAGIC {
            return Err(BatchError::UnknownMagic { base_offset, magic: self.magic });
        }
        if self.batch_length < BATCH_LENGTH_MIN {
            let (length, minimum) = (self.batch_length, BATCH_LENGTH_MIN);
            return Err(BatchError::InvalidLength { base_offset, length, minimum });
        }
        // The next offset must be a number, too: the position behind the last batch.
        if base_offset < 0 || base_offset > i64::MAX - i64::from(i32::MAX) - 1 {
            return invalid("base_offset", base_offset);
        }
        if self.last_offset_delta < 0 {
            return invalid("last_offset_delta", self.last_offset_delta.into());
        }
        // Offsets are distinct, so that there are never more records than offsets.
        if self.record_count < 0 || i64::from(self.record_count) > i64::from(self.last_offset_delta) + 1 {
            return invalid("record_count", self.record_count.into());
        }
        Ok(())
    }

    /// The header as it lies in front of the records.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BATCH_HEADER_LEN] {
        let mut bytes = [0; BATCH_HEADER_LEN];
        bytes[..8].copy_from_slice(&self.base_offset.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        bytes[16..17].copy_from_slice(&self.magic.to_be_bytes());
        bytes[17..21].copy_from_slice(&self.crc.to_be_bytes());
        bytes[UNCHECKED_LEN..].copy_from_slice(&self.checked_fields());
        bytes
    }

    /// The part of the header that the checksum covers.
    pub(crate) fn checked_fields(&self) -> [u8; CHECKED_FIELDS_LEN] {
        let mut bytes = [0; CHECKED_FIELDS_LEN];
        bytes[..2].copy_from_slice(&self.attributes.to_be_bytes());
        bytes[2..6].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        bytes[6..14].copy_from_slice(&self.base_timestamp.to_be_bytes());
        bytes[14..22].copy_from_slice(&self.max_timestamp.to_be_bytes());
        bytes[22..30].copy_from_slice(&self.producer_id.to_be_bytes());
        bytes[30..32].copy_from_slice(&self.producer_epoch.to_be_bytes());
        bytes[32..36].copy_from_slice(&self.base_sequence.to_be_bytes());
        bytes[36..].copy_from_slice(&self.record_count.to_be_bytes());
        bytes
    }

    /// This header with the checksum that goes with `payload` behind it.
    #[must_use]
    pub fn with_crc_over(self, payload: &[u8]) -> Self {
        let tail_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let crc = crc::join(crc::crc32c(&self.checked_fields()), crc::crc32c(payload), tail_len);
        Self { crc, ..self }
    }

    /// How the records are compressed.
    pub fn codec(&self) -> Result<Codec, BatchError> {
        Codec::from_attributes(self.attributes)
            .map_err(|codec| BatchError::UnknownCodec { base_offset: self.base_offset, codec })
    }

    /// Whose timestamps the records have.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.has(LOG_APPEND_TIME_BIT) { TimestampType::LogAppend } else { TimestampType::Create }
    }

    /// A batch of transaction markers or other records meant for brokers and clients, not for users.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.has(CONTROL_BIT)
    }

    /// Part of a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.has(TRANSACTIONAL_BIT)
    }

    /// The log cleaner noted when the batch's tombstones may go (KIP-534).
    #[must_use]
    pub fn has_delete_horizon(&self) -> bool {
        self.has(DELETE_HORIZON_BIT)
    }

    fn has(&self, bit: i16) -> bool {
        self.attributes & bit != 0
    }

    /// Offset of the last record the batch was produced with.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(self.last_offset_delta.into())
    }

    /// Offset behind the batch.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Bytes of the whole batch, header included.
    #[must_use]
    pub fn total_len(&self) -> usize {
        LENGTH_PREFIX_LEN.saturating_add(usize::try_from(self.batch_length).unwrap_or_default())
    }

    /// Every offset of the batch has its record: a broker appends only such batches.
    #[must_use]
    pub fn is_dense(&self) -> bool {
        self.record_count > 0 && self.last_offset_delta == self.record_count - 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::batch::Stamp;

    /// "value" without a key at offset 0, as any producer writes it; checksum computed by the bitwise definition.
    const ONE_RECORD: [u8; 12] = [22, 0, 0, 0, 1, 10, b'v', b'a', b'l', b'u', b'e', 0];

    fn header() -> BatchHeader {
        BatchHeader {
            base_offset: 41,
            batch_length: BATCH_LENGTH_MIN + 12,
            partition_leader_epoch: 3,
            magic: 2,
            crc: 0,
            attributes: 0,
            last_offset_delta: 0,
            base_timestamp: 1_700_000_000_000,
            max_timestamp: 1_700_000_000_000,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: 1,
        }
        .with_crc_over(&ONE_RECORD)
    }

    /// CRC-32C by its definition, bit by bit.
    fn crc_by_definition(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 * (crc & 1)))
        })
    }

    #[test]
    fn fields_lie_where_kafka_puts_them() {
        let bytes = header().to_bytes();
        assert_eq!(bytes[..8], 41i64.to_be_bytes());
        assert_eq!(bytes[16], 2);
        assert_eq!(bytes[17..21], header().crc.to_be_bytes());
        assert_eq!(bytes[57..61], 1i32.to_be_bytes());
        let covered = [&bytes[21..], ONE_RECORD.as_slice()].concat();
        assert_eq!(header().crc, crc_by_definition(&covered));
        assert_eq!(BatchHeader::parse(&bytes), Ok(header()));
        assert_eq!(header().total_len(), 73);
    }

    #[test]
    fn refuses_what_no_broker_writes() {
        let parse = |header: BatchHeader| BatchHeader::parse(&header.to_bytes()).is_ok();
        assert!(parse(header()));
        assert!(parse(BatchHeader { record_count: 0, batch_length: 49, ..header() }), "compacted to nothing");
        assert!(!parse(BatchHeader { magic: 3, ..header() }));
        assert!(!parse(BatchHeader { batch_length: 48, ..header() }));
        assert!(!parse(BatchHeader { batch_length: i32::MIN, ..header() }));
        assert!(!parse(BatchHeader { base_offset: -1, ..header() }));
        assert!(!parse(BatchHeader { base_offset: i64::MAX, ..header() }));
        assert!(!parse(BatchHeader { last_offset_delta: -1, ..header() }));
        assert!(!parse(BatchHeader { record_count: 2, ..header() }));
        assert!(!parse(BatchHeader { record_count: -1, ..header() }));
        assert!(BatchHeader::parse(&header().to_bytes()[..60]).is_err());
    }

    #[test]
    fn a_gap_is_not_dense() {
        assert!(header().is_dense());
        assert!(!BatchHeader { last_offset_delta: 1, ..header() }.is_dense());
        assert!(!BatchHeader { record_count: 0, last_offset_delta: -1, ..header() }.is_dense());
    }

    proptest! {
        #[test]
        fn a_stamp_changes_its_own_fields_and_keeps_the_checksum_right(
            payload in prop::collection::vec(any::<u8>(), 0..3000),
            bits in 0i16..0x80,
            producer in any::<(i64, i16, i32)>(),
            stamp in any::<(i64, i16, i32, bool)>(),
            damage in any::<bool>(),
        ) {
            let original = BatchHeader {
                attributes: bits,
                producer_id: producer.0,
                producer_epoch: producer.1,
                base_sequence: producer.2,
                batch_length: BATCH_LENGTH_MIN + i32::try_from(payload.len())?,
                ..header()
            }
            .with_crc_over(&payload);
            let original = BatchHeader { crc: original.crc ^ u32::from(damage), ..original };
            let (producer_id, producer_epoch, base_sequence) = (stamp.0, stamp.1, stamp.2);
            let stamp = Stamp { producer_id, producer_epoch, base_sequence, transactional: stamp.3 };
            let bytes = original.stamped(payload.len(), stamp);
            let stamped = BatchHeader::parse(&bytes)?;
            let expected = BatchHeader {
                base_offset: 0,
                partition_leader_epoch: -1,
                attributes: (bits & !0x50) | if stamp.transactional { 0x10 } else { 0 },
                producer_id: stamp.producer_id,
                producer_epoch: stamp.producer_epoch,
                base_sequence: stamp.base_sequence,
                crc: stamped.crc,
                ..original
            };
            prop_assert_eq!(stamped, expected);
            let direct = crc_by_definition(&[&bytes[21..], payload.as_slice()].concat());
            prop_assert_eq!(stamped.crc == direct, !damage);
        }

        #[test]
        fn any_61_bytes_parse_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(header) = BatchHeader::parse(&bytes) {
                prop_assert_eq!(&header.to_bytes()[..], &bytes[..BATCH_HEADER_LEN]);
            }
        }
    }
}
