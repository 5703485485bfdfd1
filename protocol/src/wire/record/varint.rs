//! Zigzag varints, as the fields of a record are written (`ByteUtils.writeVarint` and `writeVarlong`).

/// Most bytes of a 32 bit number.
pub(crate) const VARINT_LEN_MAX: usize = 5;

/// Most bytes of a 64 bit number.
const VARLONG_LEN_MAX: usize = 10;

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

/// Small numbers of either sign as small numbers without one.
#[inline]
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Bytes that `value` takes; a 32 bit number takes the same.
#[inline]
pub(crate) fn varint_len(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros();
    (bits as usize).div_ceil(7)
}

/// Appends `value` to `out`; a 32 bit number looks the same.
#[inline]
pub(crate) fn put_varint(value: i64, out: &mut Vec<u8>) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

/// Bytes that a field takes with its length in front.
#[inline]
pub(crate) fn field_len(field: Option<&[u8]>) -> usize {
    field.map_or(1, |bytes| varint_len(length_of(bytes).into()).saturating_add(bytes.len()))
}

/// Appends a field with its length in front, -1 for null.
#[inline]
pub(crate) fn put_field(field: Option<&[u8]>, out: &mut Vec<u8>) {
    put_varint(field.map_or(-1, length_of).into(), out);
    out.extend_from_slice(field.unwrap_or_default());
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
            let mut out = Vec::new();
            put_varint(value.into(), &mut out);
            assert_eq!(out, bytes);
            assert_eq!(take_varint(&mut &*bytes), Some(value));
        }
        let mut out = Vec::new();
        put_varint(i64::MIN, &mut out);
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
            let mut out = Vec::new();
            put_varint(int.into(), &mut out);
            prop_assert_eq!(out.len(), varint_len(int.into()));
            put_varint(long, &mut out);
            prop_assert_eq!(out.len(), varint_len(int.into()) + varint_len(long));
            let mut rest = out.as_slice();
            prop_assert_eq!(take_varint(&mut rest), Some(int));
            prop_assert_eq!(take_varlong(&mut rest), Some(long));
            prop_assert_eq!(rest.len(), 0);
        }
    }
}
