//! Shards: what processes share a flow by. A partition belongs to the shard that its topic's name and its number say, the
//! same in every process. Pure.
//!
//! So nobody has to list partitions to share them out, a topic that appears belongs to somebody at once, and what
//! members and leader tell each other is bounded whatever the number of partitions. Partitions of one topic lie in
//! different shards (up to as many as there are shards); partitions of two topics may meet in one and then move together.

use kmirror_protocol::wire::murmur2;

use crate::ids::SourcePartition;

/// How many there are. It is part of the group's protocol: another number needs another protocol name.
pub const SHARDS: u16 = 4096;
/// How far apart neighbouring partitions of a topic lie: the golden section of all shards, so that those of any part of
/// the shards are about as many as its share. Odd, so that no two partitions of a topic meet.
const STRIDE: u32 = 2531;
const WORDS: usize = SHARDS as usize / 64;
/// Bytes of a set on the wire.
pub(crate) const SHARDS_LEN: usize = SHARDS as usize / 8;

/// The shard of a partition.
pub fn shard_of(partition: &SourcePartition) -> u16 {
    let step = partition.partition.cast_unsigned().wrapping_mul(STRIDE);
    let hash = murmur2::murmur2(partition.topic.as_bytes()).wrapping_add(step);
    u16::try_from(hash % u32::from(SHARDS)).unwrap_or(0)
}

/// A set of shards.
#[derive(Clone, PartialEq, Eq)]
pub struct Shards([u64; WORDS]);

impl Shards {
    /// None of them.
    pub const NONE: Self = Self([0; WORDS]);
    /// All of them.
    pub const ALL: Self = Self([u64::MAX; WORDS]);

    /// Whether a shard is in it.
    pub fn contains(&self, shard: u16) -> bool {
        self.0.get(usize::from(shard / 64)).is_some_and(|word| word & (1 << (shard % 64)) != 0)
    }

    /// Whether a partition's shard is in it.
    pub fn has(&self, partition: &SourcePartition) -> bool {
        self.contains(shard_of(partition))
    }

    /// Adds one.
    pub fn insert(&mut self, shard: u16) {
        if let Some(word) = self.0.get_mut(usize::from(shard / 64)) {
            *word |= 1 << (shard % 64);
        }
    }

    /// Those in it, in order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..SHARDS).filter(|shard| self.contains(*shard))
    }

    /// How many are in it.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether none is in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// Whether all of it is in the other.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(ours, theirs)| ours & !theirs == 0)
    }

    /// What is in it or in the other.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.0.iter_mut().zip(&other.0).for_each(|(ours, theirs)| *ours |= theirs);
        both
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.0.iter().for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
    }

    pub(crate) fn read(bytes: &[u8; SHARDS_LEN]) -> Self {
        let mut read = Self::NONE;
        let (words, _) = bytes.as_chunks::<8>();
        read.0.iter_mut().zip(words).for_each(|(word, bytes)| *word = u64::from_be_bytes(*bytes));
        read
    }
}

impl std::fmt::Debug for Shards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} shards", self.len())
    }
}

impl FromIterator<u16> for Shards {
    fn from_iter<T: IntoIterator<Item = u16>>(shards: T) -> Self {
        let mut set = Self::NONE;
        shards.into_iter().for_each(|shard| set.insert(shard));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(topic: &str, partition: i32) -> SourcePartition {
        SourcePartition { topic: topic.into(), partition }
    }

    /// Processes of different releases must agree.
    #[test]
    fn a_partition_stays_in_its_shard() {
        assert_eq!(shard_of(&partition("orders", 0)), ORDERS_0);
        assert_eq!(shard_of(&partition("orders", 5)), (ORDERS_0 + 367) % SHARDS);
    }

    const ORDERS_0: u16 = 2716;

    #[test]
    fn partitions_of_one_topic_lie_in_different_shards() {
        let shards: Shards = (0..i32::from(SHARDS)).map(|index| shard_of(&partition("t", index))).collect();
        assert_eq!(shards, Shards::ALL);
    }

    #[test]
    fn sets() {
        let few: Shards = [0, 63, 64, 4095].into_iter().collect();
        let mut bytes = Vec::new();
        few.write(&mut bytes);
        assert_eq!(Shards::read(bytes.as_slice().try_into().unwrap()), few);
        assert_eq!(few.iter().collect::<Vec<_>>(), [0, 63, 64, 4095]);
        assert!(few.is_within(&Shards::ALL) && !Shards::ALL.is_within(&few) && Shards::NONE.is_empty());
        assert_eq!(few.with(&Shards::NONE).len(), 4);
    }
}
