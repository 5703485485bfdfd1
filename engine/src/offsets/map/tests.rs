use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::super::snapshot::{self, KeptMaps};
use super::super::stretch::Runs;
use super::*;
use crate::ids::SourcePartition;

const SEGMENTS_MAX: usize = 1 << 20;

fn exact(target: i64) -> Translation {
    Translation::Exact(TargetOffset(target))
}

fn dense(first: i64, records: i32, base: i64) -> Settled {
    landed(Runs::dense(SourceOffset(first)), records, first + i64::from(records), Some(base))
}

fn landed(runs: Runs, records: i32, next: i64, base: Option<i64>) -> Settled {
    let base = base.map(TargetOffset);
    Settled::Landed(Landed { runs, records, next: SourceOffset(next), base })
}

fn map_of(settled: impl IntoIterator<Item = Settled>) -> OffsetMap {
    let mut map = OffsetMap::new(SEGMENTS_MAX);
    settled.into_iter().for_each(|one| map.apply(one));
    map
}

fn at(map: &OffsetMap, position: i64) -> Translation {
    map.translate(SourceOffset(position))
}

#[test]
fn batches_in_line_are_one_segment() {
    let map = map_of((0..1000).map(|batch| dense(batch * 100, 100, batch * 100 + 7)));
    assert_eq!(map.size().0, 1);
    assert_eq!(at(&map, 77_569), exact(77_576));
    assert_eq!(at(&map, 100_000), exact(100_007));
    assert_eq!(at(&map, 100_005), Translation::Behind { target: TargetOffset(100_007), missing: 5 });
}

#[test]
fn nothing_is_said_before_anything_was_mirrored() {
    assert_eq!(at(&OffsetMap::new(1), 0), Translation::Unknown(WhyUnknown::NothingMirrored));
}

#[test]
fn positions_before_the_first_record_lead_to_it() {
    let map = map_of([dense(50, 10, 0)]);
    assert_eq!((at(&map, 0), at(&map, 50), at(&map, 51)), (exact(0), exact(0), exact(1)));
}

#[test]
fn gaps_on_both_sides_lead_to_the_next_record() {
    let map = map_of([dense(0, 10, 0), dense(15, 10, 15)]);
    assert_eq!(
        (at(&map, 9), at(&map, 10), at(&map, 12), at(&map, 15)),
        (exact(9), exact(15), exact(15), exact(15))
    );
}

#[test]
fn what_others_mirrored_is_unknown() {
    let mut map = map_of([dense(0, 10, 0)]);
    map.resume(SourceOffset(20));
    map.apply(dense(20, 10, 30));
    assert_eq!(at(&map, 9), exact(9));
    assert_eq!(at(&map, 15), Translation::Unknown(WhyUnknown::NotSeen));
    assert_eq!((at(&map, 20), at(&map, 29), at(&map, 30)), (exact(30), exact(39), exact(40)));
}

#[test]
fn an_unseen_acknowledgement_is_known_by_the_next_if_nobody_else_wrote() {
    let unseen = || landed(Runs::dense(SourceOffset(10)), 5, 15, None);
    let map = map_of([dense(0, 10, 0), unseen(), dense(15, 5, 15)]);
    assert_eq!((at(&map, 12), map.size().0), (exact(12), 1));
    let map = map_of([dense(0, 10, 0), unseen(), dense(15, 5, 16)]);
    assert_eq!(at(&map, 12), Translation::Unknown(WhyUnknown::NotSeen));
    assert_eq!(at(&map, 15), exact(16));
}

#[test]
fn the_inverse_leads_back() {
    let mut map = map_of([dense(0, 10, 5), dense(20, 10, 20)]);
    map.resume(SourceOffset(40));
    map.apply(dense(40, 5, 50));
    let inverse = map.inverse(SEGMENTS_MAX);
    assert_eq!(
        (at(&inverse, 5), at(&inverse, 14), at(&inverse, 25), at(&inverse, 52)),
        (exact(0), exact(9), exact(25), exact(42))
    );
    assert_eq!(at(&inverse, 40), Translation::Unknown(WhyUnknown::NotSeen));
    assert_eq!(inverse.end(), Some((SourceOffset(55), TargetOffset(45))));
}

#[test]
fn a_map_at_its_limit_forgets_the_oldest() {
    let mut map = OffsetMap::new(2 * BLOCK_POINTS);
    for batch in 0..10 * BLOCK_POINTS as i64 {
        map.apply(dense(batch * 2, 1, batch));
    }
    assert!(map.size().0 <= 3 * BLOCK_POINTS);
    assert_eq!(at(&map, 5), Translation::Unknown(WhyUnknown::Forgotten));
    assert_eq!(at(&map, 2 * (10 * BLOCK_POINTS as i64 - 1)), exact(10 * BLOCK_POINTS as i64 - 1));
}

#[test]
fn ten_million_segments_are_small_and_soon_read() {
    let mut map = OffsetMap::new(20_000_000);
    for record in 0..10_000_000 {
        map.apply(dense(record * 3, 1, record));
    }
    let (points, bytes) = map.size();
    assert_eq!(points, 10_000_000);
    assert!(bytes < 60 << 20, "{bytes}");

    let partition = SourcePartition { topic: "t".into(), partition: 0 };
    let blocks = map.take_changes(None).unwrap().blocks.into_iter();
    let kept: Vec<_> =
        blocks.map(|(number, value)| snapshot::record(&partition, number, Some(value), 0)).collect();
    let begun = std::time::Instant::now();
    let mut read = KeptMaps::default();
    kept.into_iter().for_each(|record| read.read(&record.key.unwrap(), record.value));
    let (_, read) = read.maps(20_000_000).next().unwrap();
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    for map in [&map, &read.map] {
        assert_eq!(at(map, 3 * 7_654_321 + 1), exact(7_654_322));
    }
}

/// The same thing record by record.
#[derive(Debug, Default)]
struct Naive {
    records: BTreeMap<i64, i64>,
    /// Source offset and target offset behind what is mirrored.
    end: Option<(i64, i64)>,
}

impl Naive {
    fn land(&mut self, runs: &Runs, records: i32, next: i64, base: i64) {
        self.records.retain(|source, target| *source < runs.first_record.0 && *target < base);
        let starts: Vec<(SourceOffset, i32)> = runs.starts().collect();
        for place in 0..records {
            let (source, start) = starts.iter().rev().find(|(_, start)| *start <= place).unwrap();
            self.records.insert(source.0 + i64::from(place - start), base + i64::from(place));
        }
        self.end = Some((next, base + i64::from(records)));
    }

    fn cut_off(&mut self, at: i64) {
        self.records.retain(|source, _| *source < at);
        self.end = self.records.last_key_value().map(|(_, target)| (at, target + 1));
    }

    fn translate(&self, position: i64) -> Translation {
        if let Some((_, target)) = self.records.range(position..).next() {
            return exact(*target);
        }
        match self.end {
            Some((source, target)) if position <= source => exact(target),
            Some((source, target)) => {
                Translation::Behind { target: TargetOffset(target), missing: position - source }
            }
            None => Translation::Unknown(WhyUnknown::NothingMirrored),
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Records land: a gap at the source before them, one at the target, and gaps between them.
    Land {
        source_gap: i64,
        target_gap: i64,
        runs: Vec<(i64, i32)>,
        left_out: i64,
    },
    Skip(i64),
    /// The source's log was cut off so far before the end.
    CutOff(i64),
    /// What lies so far before the end is sent again.
    Repeat(i64),
    /// The target lost so many offsets.
    TargetCut(i64),
    /// The map is kept, its topic compacted, and read again.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let gap = || prop_oneof![3 => Just(0i64), 1 => 1i64..5];
    prop_oneof![
        8 => (gap(), gap(), prop::collection::vec((1i64..4, 1i32..5), 1..6), gap())
            .prop_map(|(source_gap, target_gap, runs, left_out)| Step::Land { source_gap, target_gap, runs, left_out }),
        1 => (1i64..4).prop_map(Step::Skip),
        1 => (0i64..30).prop_map(Step::CutOff),
        1 => (0i64..30).prop_map(Step::Repeat),
        1 => (0i64..20).prop_map(Step::TargetCut),
        2 => Just(Step::Restart),
    ]
}

/// A compacted topic: the last value of each key.
#[derive(Debug, Default)]
struct Topic(BTreeMap<Bytes, Option<Bytes>>, u64);

impl Topic {
    fn restart(&mut self, mut map: OffsetMap) -> OffsetMap {
        let partition = SourcePartition { topic: "t".into(), partition: 0 };
        if let Some(changes) = map.take_changes(None) {
            let gone = changes.numbers.end..self.1;
            self.1 = changes.numbers.end;
            let blocks = changes.blocks.into_iter().map(|(number, value)| (number, Some(value)));
            for (number, value) in blocks.chain(gone.map(|number| (number, None))) {
                let record = snapshot::record(&partition, number, value, 0);
                self.0.insert(record.key.unwrap(), record.value);
            }
        }
        let mut kept = KeptMaps::default();
        self.0.iter().for_each(|(key, value)| kept.read(key, value.clone()));
        kept.maps(SEGMENTS_MAX).next().map_or_else(|| OffsetMap::new(SEGMENTS_MAX), |(_, kept)| kept.map)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn the_map_is_the_naive_map(steps in prop::collection::vec(step(), 1..400)) {
        let (mut map, mut naive, mut topic) = (OffsetMap::new(SEGMENTS_MAX), Naive::default(), Topic::default());
        let (mut source, mut target) = (100_i64, 5_i64);
        for step in steps {
            match &step {
                Step::Land { source_gap, target_gap, runs, left_out } => {
                    let first = source + *source_gap;
                    let (mut offset, mut place, mut breaks) = (first, 0, Vec::new());
                    for (at, (gap, records)) in runs.iter().enumerate() {
                        if at > 0 {
                            offset += gap;
                            breaks.push((SourceOffset(offset), place));
                        }
                        offset += i64::from(*records);
                        place += records;
                    }
                    let runs = Runs { first_record: SourceOffset(first), breaks };
                    source = offset + *left_out;
                    let base = target + *target_gap;
                    target = base + i64::from(place);
                    naive.land(&runs, place, source, base);
                    map.apply(landed(runs, place, source, Some(base)));
                }
                &Step::Skip(offsets) => {
                    source += offsets;
                    naive.end = naive.end.map(|(end, target)| (end.max(source), target));
                    map.apply(Settled::Skipped(SourceOffset(source)));
                }
                &Step::CutOff(back) => {
                    source = (source - back).max(0);
                    naive.cut_off(source);
                    map.apply(Settled::CutOff(SourceOffset(source)));
                }
                &Step::Repeat(back) => source = (source - back).max(0),
                &Step::TargetCut(back) => target = (target - back).max(0),
                Step::Restart => map = topic.restart(map),
            }
            // Until something lands again, the map does not know of these.
            if !matches!(step, Step::Repeat(_) | Step::TargetCut(_)) && naive.end.is_some_and(|(_, end)| end == target) {
                let mut before = i64::MIN;
                for position in (source - 60).max(0)..source + 3 {
                    let translation = map.translate(SourceOffset(position));
                    prop_assert_eq!(&translation, &naive.translate(position), "{}", position);
                    let (Translation::Exact(at) | Translation::Behind { target: at, .. }) = translation else { continue };
                    prop_assert!(at.0 >= before && at.0 <= target, "monotonic, and never past the end");
                    before = at.0;
                }
            }
        }
        // Back and forth again, every record is where it was. What is between them may be told otherwise.
        let there_and_back = map.inverse(SEGMENTS_MAX).inverse(SEGMENTS_MAX);
        for record in naive.records.keys() {
            let record = SourceOffset(*record);
            prop_assert_eq!(map.translate(record), there_and_back.translate(record), "{}", record);
        }
    }
}
