//! Zigzag varints, as the fields of a record are written (`ByteUtils.writeVarint` and `writeVarlong`).

/// Most bytes of a 32 bit number.
pub(crate) const VARINT_LEN_MAX: usize = 5;

/// Most bytes of a 64 bit number.
pub(crate) const VARLONG_LEN_MAX: usize = 10;

/// Takes a 32 bit number off `bytes`; `None` when it breaks off or is longer than such numbers are.
#[inline]
pub(crate) fn take_varint(bytes: &mut &[u8]) -> Option<i32> {
    let raw = take_unsigned(bytes, VARINT_LEN_MAX)?;
    // Bits beyond the 32nd are dropped, as Java does.
    let low = u32::try_from(raw & u64::from(u32::MAX)).ok()?;
    Some((low >> 1).cast_signed() ^ -(low & 1).cast_signed())
}

/// Takes a 64 bit number off `bytes`; `None` when it breaks off or is longer than such numbers are.
#[inline]
pub(crate) fn take_varlong(bytes: &mut &[u8]) -> Option<i64> {
    let raw = take_unsigned(bytes, VARLONG_LEN_MAX)?;
    Some((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
}

#[inline]
fn take_unsigned(bytes: &mut &[u8], len_max: usize) -> Option<u64> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        *bytes = rest;
        return Some(first.into());
    }
    let mut value = u64::from(first & 0x7F);
    for (&byte, place) in rest.iter().zip(1..len_max) {
        value |= u64::from(byte & 0x7F) << (7 * place);
        if byte < 0x80 {
            *bytes = &rest[place..];
            return Some(value);
        }
    }
    None
}

/// Bytes that `value` takes.
#[inline]
pub(crate) fn varint_len(value: i32) -> usize {
    let zigzag = (value << 1) ^ (value >> 31);
    let bits = (32 - (zigzag | 1).leading_zeros()) as usize;
    bits.div_ceil(7)
}

/// Writes `value` to the start of `out`, which must be long enough, and returns its length.
#[inline]
pub(crate) fn put_varint(value: i32, out: &mut [u8]) -> usize {
    put_unsigned(u64::from(((value << 1) ^ (value >> 31)).cast_unsigned()), out)
}

/// Writes `value` to the start of `out`, which must be long enough, and returns its length.
#[inline]
pub(crate) fn put_varlong(value: i64, out: &mut [u8]) -> usize {
    put_unsigned(((value << 1) ^ (value >> 63)).cast_unsigned(), out)
}

#[inline]
fn put_unsigned(mut value: u64, out: &mut [u8]) -> usize {
    let mut len = 0;
    while value >= 0x80 {
        out[len] = value.to_le_bytes()[0] | 0x80;
        value >>= 7;
        len += 1;
    }
    out[len] = value.to_le_bytes()[0];
    len + 1
}

/// Bytes that a field takes with its length in front.
#[inline]
pub(crate) fn field_len(field: Option<&[u8]>) -> usize {
    field.map_or(1, |bytes| varint_len(length_of(bytes)).saturating_add(bytes.len()))
}

/// Writes a field with its length in front, -1 for null.
#[inline]
pub(crate) fn put_field(field: Option<&[u8]>, out: &mut Vec<u8>) {
    put_length(field.map_or(-1, length_of), out);
    out.extend_from_slice(field.unwrap_or_default());
}

/// Writes a count or a length.
#[inline]
pub(crate) fn put_length(length: i32, out: &mut Vec<u8>) {
    let mut bytes = [0; VARINT_LEN_MAX];
    let len = put_varint(length, &mut bytes);
    out.extend_from_slice(&bytes[..len]);
}

/// A count or length as it is written. One that does not fit makes its record too long to be written at all.
pub(crate) fn length_of<T>(items: &[T]) -> i32 {
    i32::try_from(items.len()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_encodings() {
        // From Kafka's ByteUtilsTest.
        for (value, bytes) in [
            (0, &[0x00][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7E]),
            (-64, &[0x7F]),
            (64, &[0x80, 0x01]),
            (8191, &[0xFE, 0x7F]),
            (i32::MAX, &[0xFE, 0xFF, 0xFF, 0xFF, 0x0F]),
            (i32::MIN, &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F]),
        ] {
            let mut out = [0; VARINT_LEN_MAX];
            let len = put_varint(value, &mut out);
            assert_eq!(&out[..len], bytes);
            assert_eq!(take_varint(&mut &*bytes), Some(value));
        }
        let mut out = [0; VARLONG_LEN_MAX];
        assert_eq!(put_varlong(i64::MIN, &mut out), VARLONG_LEN_MAX);
        assert_eq!(out, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]);
    }

    #[test]
    fn too_long_or_broken_off_is_refused() {
        assert_eq!(take_varint(&mut &[0x80; 6][..]), None);
        assert_eq!(take_varint(&mut &[0x80; 3][..]), None);
        assert_eq!(take_varlong(&mut &[0xFF; 11][..]), None);
        assert_eq!(take_varint(&mut &[][..]), None);
    }

    proptest! {
        #[test]
        fn numbers_come_back(int in any::<i32>(), long in any::<i64>(), shift in 0u32..64) {
            let (int, long) = (int >> (shift / 2), long >> shift);
            let mut out = [0; VARLONG_LEN_MAX + 1];
            let len = put_varint(int, &mut out);
            prop_assert_eq!(len, varint_len(int));
            let mut rest = &out[..=len];
            prop_assert_eq!(take_varint(&mut rest), Some(int));
            prop_assert_eq!(rest.len(), 1);
            let len = put_varlong(long, &mut out);
            let mut rest = &out[..=len];
            prop_assert_eq!(take_varlong(&mut rest), Some(long));
            prop_assert_eq!(rest.len(), 1);
        }
    }
}
