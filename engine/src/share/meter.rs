//! Measures what shards cost: bytes mirrored per second, lately. The time is handed in.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::report::ShardLoad;
use super::shards::shard_of;
use crate::ids::SourcePartition;
use crate::status::PartitionStatus;

/// About so far back the past counts.
const LATELY: Duration = Duration::from_secs(30);

/// Rates are told when they are known for about ten seconds: the first ones are catching up, and would mislead.
const WORTH_TELLING: f64 = 0.3;
/// Nothing is measured over less.
const SHORTEST: Duration = Duration::from_millis(10);

/// Remembers what was mirrored at the last look.
#[derive(Debug)]
pub(crate) struct Meter {
    looked: Instant,
    known: HashMap<SourcePartition, Measured>,
}

#[derive(Debug, Clone, Copy)]
struct Measured {
    bytes: u64,
    /// What is known of the rate, and how much that is worth: 1 when it is known for long.
    per_second: f64,
    worth: f64,
}

impl Measured {
    /// With what came since, over so many seconds, which are this share of what counts.
    fn with(self, bytes: u64, seconds: f64, share: f64) -> Self {
        let now = bytes.saturating_sub(self.bytes) as f64 / seconds;
        let mix = |old: f64, new: f64| old + (new - old) * share;
        Self { bytes, per_second: mix(self.per_second, now), worth: mix(self.worth, 1.0) }
    }

    fn rate(self) -> Option<f64> {
        (self.worth >= WORTH_TELLING).then(|| self.per_second / self.worth)
    }
}

impl Meter {
    /// Nothing was mirrored yet.
    pub(crate) fn new(now: Instant) -> Self {
        Self { looked: now, known: HashMap::new() }
    }

    /// What the shards of these partitions cost.
    pub(crate) fn look(&mut self, partitions: &[Arc<PartitionStatus>], now: Instant) -> Vec<ShardLoad> {
        let elapsed = now - std::mem::replace(&mut self.looked, now);
        let seconds = elapsed.max(SHORTEST).as_secs_f64();
        let share = (seconds / LATELY.as_secs_f64()).min(1.0);
        let mut known = HashMap::with_capacity(partitions.len());
        let mut loads: BTreeMap<u16, (u16, Option<f64>)> = BTreeMap::new();
        for status in partitions {
            let bytes = status.bytes();
            let before = self.known.get(&status.source);
            let measured = before.map_or(Measured { bytes, per_second: 0.0, worth: 0.0 }, |before| {
                before.with(bytes, seconds, share)
            });
            known.insert(status.source.clone(), measured);
            let load = loads.entry(shard_of(&status.source)).or_insert((0, Some(0.0)));
            load.0 = load.0.saturating_add(1);
            load.1 = load.1.zip(measured.rate()).map(|(sum, rate)| sum + rate);
        }
        self.known = known;
        let told = |(shard, (partitions, rate)): (u16, (u16, Option<f64>))| ShardLoad {
            shard,
            partitions,
            bytes_per_second: rate.map(whole),
        };
        loads.into_iter().map(told).collect()
    }
}

/// A rate as it is told; beyond four gigabytes it does not matter any more.
fn whole(per_second: f64) -> u32 {
    let bounded = per_second.clamp(0.0, f64::from(u32::MAX - 1));
    // Bounded just now, and never negative.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = bounded as u32;
    whole
}
