//! The rewrite of a batch's header that makes it the mirror's own batch: the whole of the shallow path.

use super::{BATCH_HEADER_LEN, BatchHeader, header};
use crate::wire::crc;

/// The producer fields that make a batch a producer's own (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The producer's id, -1 for none.
    pub producer_id: i64,
    /// The producer's epoch, -1 for none.
    pub producer_epoch: i16,
    /// Sequence number of the first record, -1 for none.
    pub base_sequence: i32,
    /// Whether the batch is part of the producer's transaction.
    pub transactional: bool,
}

impl Stamp {
    /// The fields of a producer that is not idempotent.
    pub const NONE: Self =
        Self { producer_id: -1, producer_epoch: -1, base_sequence: -1, transactional: false };
}

/// The sequence number behind `records` records that start at `base`: after `i32::MAX` comes 0, as in
/// `DefaultRecordBatch.incrementSequence`.
#[must_use]
pub fn next_sequence(base: i32, records: i32) -> i32 {
    base.checked_add(records).unwrap_or_else(|| {
        let wrapped = i64::from(base) + i64::from(records) - (i64::from(i32::MAX) + 1);
        i32::try_from(wrapped).unwrap_or_default()
    })
}

impl BatchHeader {
    /// This header made ready for a Produce request: base offset 0 (anything else makes the broker recompress the
    /// batch), leader epoch -1, the stamp put in, and the delete-horizon bit cleared.
    ///
    /// The checksum is carried over to the new header without looking at the payload of `payload_len` bytes: a payload
    /// that does not match the old header's checksum does not match the new one's either, so damage on the way stays
    /// visible at the target.
    #[must_use]
    pub fn stamped(&self, payload_len: usize, stamp: Stamp) -> [u8; BATCH_HEADER_LEN] {
        let mut stamped = Self {
            base_offset: 0,
            partition_leader_epoch: -1,
            attributes: self.attributes & !(header::TRANSACTIONAL_BIT | header::DELETE_HORIZON_BIT)
                | if stamp.transactional { header::TRANSACTIONAL_BIT } else { 0 },
            producer_id: stamp.producer_id,
            producer_epoch: stamp.producer_epoch,
            base_sequence: stamp.base_sequence,
            ..*self
        };
        let difference = crc::crc32c(&self.checked_fields()) ^ crc::crc32c(&stamped.checked_fields());
        // Batch lengths are signed 32 bit numbers, so that a payload never reaches the saturation.
        let tail_len = u32::try_from(payload_len).unwrap_or(u32::MAX);
        stamped.crc = self.crc ^ crc::shift(difference, tail_len);
        stamped.to_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(next_sequence(0, 5), 5);
        assert_eq!(next_sequence(i32::MAX - 5, 5), i32::MAX);
        assert_eq!(next_sequence(i32::MAX, 1), 0);
        // Tried against a broker: 2147483646 and 4 records give 2.
        assert_eq!(next_sequence(2_147_483_646, 4), 2);
        assert_eq!(next_sequence(i32::MAX, i32::MAX), i32::MAX - 1);
    }
}
