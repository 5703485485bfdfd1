//! Points of an offset map as bytes: a few of them for each point, in memory as in the topic that keeps them. Pure.

use bytes::Bytes;

/// Points in a full block.
pub(super) const BLOCK_POINTS: usize = 512;
/// Bytes of a varint at most.
const VARINT_BYTES_MAX: usize = 10;
/// The target offset of a point behind which nothing is known.
pub(super) const UNKNOWN: i64 = -1;

/// From `source` on, source and target offsets grow alike, beginning with `target`; with [`UNKNOWN`] nothing is known
/// from there on. Holds up to the next point, and never beyond that one's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) source: i64,
    pub(super) target: i64,
}

/// Points that do not change any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// The source offset of the first point.
    pub(super) first: i64,
    /// All points, each as its distance from the one before it, the first from zero.
    pub(super) bytes: Bytes,
}

impl Block {
    /// `None` without points.
    pub(super) fn encode(points: &[Point]) -> Option<Self> {
        let first = points.first()?.source;
        let mut bytes = Vec::with_capacity(points.len() * 4);
        let mut before = Point { source: 0, target: 0 };
        for point in points {
            put(point.source.wrapping_sub(before.source), &mut bytes);
            put(point.target.wrapping_sub(before.target), &mut bytes);
            before = *point;
        }
        Some(Self { first, bytes: bytes.into() })
    }

    /// A block out of foreign hands: `None` unless it has points, not too many, and in order.
    pub(super) fn checked(bytes: Bytes) -> Option<Self> {
        if bytes.len() > BLOCK_POINTS * 2 * VARINT_BYTES_MAX {
            return None;
        }
        let points = decode(&bytes)?;
        let in_order =
            points.windows(2).all(|pair| matches!(pair, [one, other] if one.source < other.source));
        let sound = points.iter().all(|point| point.source >= 0 && point.target >= UNKNOWN);
        let block = Self { first: points.first()?.source, bytes };
        (in_order && sound && points.len() <= BLOCK_POINTS).then_some(block)
    }

    /// The points. A block is written by [`Self::encode`] or was checked, so that none are lacking.
    pub(super) fn points(&self) -> Vec<Point> {
        decode(&self.bytes).unwrap_or_default()
    }
}

fn decode(mut bytes: &[u8]) -> Option<Vec<Point>> {
    let mut points = Vec::with_capacity(BLOCK_POINTS);
    let mut before = Point { source: 0, target: 0 };
    while !bytes.is_empty() {
        let source = before.source.wrapping_add(take(&mut bytes)?);
        let target = before.target.wrapping_add(take(&mut bytes)?);
        before = Point { source, target };
        points.push(before);
    }
    Some(points)
}

/// A signed number in zigzag, seven bits a byte.
fn put(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push((rest & 0x7f) as u8);
}

fn take(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..VARINT_BYTES_MAX).map(|place| place * 7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn points_come_back(deltas in prop::collection::vec((1i64..1 << 40, -1i64..1 << 50), 1..BLOCK_POINTS)) {
            let mut source = 0;
            let points: Vec<Point> = deltas.iter().map(|(delta, target)| {
                source += delta;
                Point { source, target: *target }
            }).collect();
            let block = Block::encode(&points).unwrap();
            prop_assert_eq!(block.points(), points);
            prop_assert_eq!(Block::checked(block.bytes.clone()), Some(block));
        }

        #[test]
        fn numbers_come_back(value in any::<i64>()) {
            let mut bytes = Vec::new();
            put(value, &mut bytes);
            prop_assert_eq!(take(&mut &bytes[..]), Some(value));
        }

        #[test]
        fn garbage_is_no_block(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(block) = Block::checked(bytes.into()) {
                prop_assert!(!block.points().is_empty());
            }
        }
    }

    #[test]
    fn what_is_out_of_order_is_no_block() {
        let points = [Point { source: 5, target: 5 }, Point { source: 5, target: 6 }];
        assert_eq!(Block::checked(Block::encode(&points).unwrap().bytes), None);
        assert_eq!(Block::checked(Bytes::new()), None);
    }
}
