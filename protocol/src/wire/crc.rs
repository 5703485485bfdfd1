//! The checksums of record batches (CRC-32C) and of messages before them (CRC-32).
//!
//! Besides hashing bytes this carries a checksum over a change of the bytes in front of an untouched tail, whatever the
//! length of that tail. A checksum without its start and end values is the remainder of the message, read as a polynomial
//! over GF(2), divided by the polynomial P. Changing the front by some difference D therefore changes the checksum by
//! `D * x^(8 * tail length) mod P`. The powers are looked up in tables, a byte of the length each.
//! Knows nothing of batches.

use std::array::from_fn;

/// The Castagnoli polynomial with its bits reversed, without the leading term.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// `1` as a polynomial: in the reversed order the highest bit is the coefficient of `x^0`.
const ONE: u32 = 1 << 31;

/// `x^8`: what one more byte behind it multiplies a checksum by.
const ONE_BYTE: u32 = 1 << 23;

/// Bytes of a length that are looked up. Four cover 4 GiB; Kafka's lengths are signed 32 bit numbers.
const LENGTH_BYTES: usize = 4;

/// `POWERS[k][b]` is `x^(8 * b * 256^k) mod P`.
static POWERS: [[u32; 256]; LENGTH_BYTES] = powers();

/// The CRC-32C of `bytes` (Castagnoli, as in iSCSI): what a magic 2 batch carries.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// The CRC-32 of `bytes` (IEEE, as in zip): what a message of magic 0 or 1 carries.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iso_hdlc(bytes)
}

/// A CRC-32 over bytes that come in pieces.
#[derive(Debug)]
pub struct Crc32(crc_fast::Digest);

impl Crc32 {
    /// Adds the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of the pieces so far.
    #[must_use]
    pub fn value(&self) -> u32 {
        // A 32 bit checksum in a 64 bit number.
        u32::try_from(self.0.finalize()).unwrap_or_default()
    }
}

impl Default for Crc32 {
    fn default() -> Self {
        Self(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32IsoHdlc))
    }
}

/// What the CRC-32C of a message changes by when its front changes by `difference`, `tail_len` bytes before its end.
///
/// `difference` is the exclusive or of the two fronts' CRC-32Cs, which must be equally long. The result is to be
/// exclusive-ored to the old checksum of the whole. The same function joins checksums:
/// `crc32c(a ++ b) == shift(crc32c(a), b.len()) ^ crc32c(b)`.
#[must_use]
pub fn shift(difference: u32, tail_len: u32) -> u32 {
    let digits: [usize; LENGTH_BYTES] = tail_len.to_le_bytes().map(usize::from);
    let powers: [u32; LENGTH_BYTES] = from_fn(|k| POWERS[k][digits[k]]);
    powers.into_iter().filter(|power| *power != ONE).fold(difference, multiply)
}

/// The CRC-32C of two pieces in a row, from the pieces' own.
#[must_use]
pub fn join(front_crc: u32, tail_crc: u32, tail_len: u32) -> u32 {
    shift(front_crc, tail_len) ^ tail_crc
}

/// The product of two polynomials modulo P, without branches on their bits.
const fn multiply(a: u32, b: u32) -> u32 {
    let mut product = 0;
    let mut term = b;
    let mut bit = 32;
    while bit > 0 {
        bit -= 1;
        product ^= term & 0u32.wrapping_sub((a >> bit) & 1);
        term = (term >> 1) ^ (POLYNOMIAL & 0u32.wrapping_sub(term & 1));
    }
    product
}

const fn powers() -> [[u32; 256]; LENGTH_BYTES] {
    let mut tables = [[ONE; 256]; LENGTH_BYTES];
    let mut step = ONE_BYTE;
    let mut k = 0;
    while k < LENGTH_BYTES {
        let mut b = 1;
        while b < 256 {
            tables[k][b] = multiply(tables[k][b - 1], step);
            b += 1;
        }
        step = multiply(tables[k][255], step);
        k += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn check_values_of_the_two_checksums() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
    }

    #[test]
    fn powers_of_large_lengths_follow_from_small_ones() {
        for length in [0u32, 1, 255, 256, 257, 65_535, 65_536, 16_777_216, i32::MAX as u32 - 1] {
            let once = shift(shift(0xDEAD_BEEF, length), 1);
            assert_eq!(shift(0xDEAD_BEEF, length + 1), once, "{length}");
        }
    }

    #[test]
    fn joins_checksums_over_a_long_tail() {
        let tail = vec![7u8; 3_000_000];
        let whole = [b"front".as_slice(), &tail].concat();
        assert_eq!(join(crc32c(b"front"), crc32c(&tail), 3_000_000), crc32c(&whole));
    }

    proptest! {
        #[test]
        fn carries_a_checksum_over_a_changed_front(
            fronts in prop::collection::vec(any::<(u8, u8)>(), 0..80),
            tail in prop::collection::vec(any::<u8>(), 0..2000),
        ) {
            let (old, new): (Vec<u8>, Vec<u8>) = fronts.into_iter().unzip();
            let whole = |front: &[u8]| crc32c(&[front, tail.as_slice()].concat());
            let carried = whole(&old) ^ shift(crc32c(&old) ^ crc32c(&new), u32::try_from(tail.len())?);
            prop_assert_eq!(carried, whole(&new));
        }
    }
}
