//! The exact offset map of one partition: the target offset of every source offset that is mirrored.
//!
//! Batches go as they are, so that source and target offsets grow alike for long stretches. The map keeps the points
//! where they drift apart: gaps at the source (compaction, markers, records left out) and at the target (others'
//! records, markers, what arrived twice). Between points it counts on; it never goes beyond the next point.
//!
//! Where records were sent twice, their later copies count: a reader that goes on there reads nothing again.
//!
//! Pure: knows nothing of topics, brokers or time. How it is kept is in `snapshot`.

use std::collections::VecDeque;
use std::fmt;

use super::block::{BLOCK_POINTS, Block, Point, UNKNOWN};
use super::stretch::{Landed, Runs, Settled};
use crate::ids::{SourceOffset, TargetOffset};

/// Stretches that wait to learn their target offsets, at most.
const PENDING_MAX: usize = 4096;

/// Where a source position lies at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Translation {
    /// The next record of the source is the record at this target offset, or will be.
    Exact(TargetOffset),
    /// The position lies beyond what is mirrored.
    Behind {
        /// The end of what is mirrored: what will be mirrored next lands there or behind it.
        target: TargetOffset,
        /// How many source offsets are missing.
        missing: i64,
    },
    /// It cannot be known.
    Unknown(WhyUnknown),
}

/// Why a position cannot be translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyUnknown {
    /// No record of the partition was mirrored yet.
    NothingMirrored,
    /// It was mirrored by somebody else, or by a version without a map.
    NotSeen,
    /// The map was cut to its limit.
    Forgotten,
}

impl fmt::Display for WhyUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingMirrored => "no record of the partition was mirrored yet",
            Self::NotSeen => {
                "kmirror did not mirror the records there, or the target did not tell their offsets"
            }
            Self::Forgotten => "the map no longer goes back so far (kmirror.offset.map.segments)",
        })
    }
}

/// The end of what is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// The source offset behind the last record.
    pub(super) record: i64,
    /// The same with what was left out behind it.
    pub(super) source: i64,
    /// The target offset behind the last record.
    pub(super) target: i64,
}

/// See the module's description.
#[derive(Debug, Clone)]
pub struct OffsetMap {
    pub(super) full: VecDeque<Block>,
    /// The number of the first full block; blocks are numbered from the beginning of the map.
    pub(super) first_number: u64,
    /// The points behind the full blocks, in order.
    pub(super) open: Vec<Point>,
    pub(super) end: Option<End>,
    /// What landed at target offsets that are not known yet, behind `end`.
    pending: VecDeque<Landed>,
    blocks_max: usize,
    /// Blocks from this number on changed since they were last kept.
    pub(super) changed_from: Option<u64>,
}

impl OffsetMap {
    /// An empty map that will hold about so many points at most.
    pub fn new(segments_max: usize) -> Self {
        Self {
            full: VecDeque::new(),
            first_number: 0,
            open: Vec::new(),
            end: None,
            pending: VecDeque::new(),
            blocks_max: segments_max.div_ceil(BLOCK_POINTS).max(1),
            changed_from: None,
        }
    }

    /// Holds the map to about so many points.
    pub fn limit(&mut self, segments_max: usize) {
        self.blocks_max = segments_max.div_ceil(BLOCK_POINTS).max(1);
        self.forget_oldest();
    }

    /// Mirroring goes on at `start`. What lies between the end of the map and there was mirrored unseen.
    pub fn resume(&mut self, start: SourceOffset) {
        if start.0 > self.end.map_or_else(|| self.covered(), |end| end.source) {
            self.unknown_from(self.covered());
        }
    }

    /// Takes in what became of a stretch of the source's log.
    pub fn apply(&mut self, settled: Settled) {
        match settled {
            Settled::Landed(landed) if landed.records > 0 => self.landed(landed),
            Settled::Landed(landed) => self.skipped(landed.next),
            Settled::Skipped(next) => self.skipped(next),
            Settled::CutOff(start) => {
                self.pending.clear();
                self.cut_source(start.0);
            }
        }
    }

    /// The target offset that goes with a source position: that of the first record at or behind it.
    pub fn translate(&self, position: SourceOffset) -> Translation {
        let at = position.0;
        if let Some(end) = self.end.filter(|end| at >= end.source) {
            let target = TargetOffset(end.target);
            return match at - end.source {
                0 => Translation::Exact(target),
                missing => Translation::Behind { target, missing },
            };
        }
        let Some((point, next)) = self.around(at) else {
            return match self.first_point() {
                Some(_) if self.first_number > 0 => Translation::Unknown(WhyUnknown::Forgotten),
                Some(first) if first.target != UNKNOWN => Translation::Exact(TargetOffset(first.target)),
                Some(_) => Translation::Unknown(WhyUnknown::NotSeen),
                None => Translation::Unknown(WhyUnknown::NothingMirrored),
            };
        };
        if point.target == UNKNOWN {
            return Translation::Unknown(WhyUnknown::NotSeen);
        }
        let counted = point.target.saturating_add(at - point.source);
        let bound = match next {
            Some(next) => Some(next.target).filter(|target| *target != UNKNOWN),
            None => self.end.map(|end| end.target),
        };
        Translation::Exact(TargetOffset(bound.map_or(counted, |bound| counted.min(bound))))
    }

    /// The last mirrored record whose target offset is known: its offsets on both sides.
    pub fn last_record(&self) -> Option<(SourceOffset, TargetOffset)> {
        let end = self.end?;
        (end.target > 0).then_some((SourceOffset(end.record - 1), TargetOffset(end.target - 1)))
    }

    /// The source offset up to which the map goes, and the target offset there.
    pub fn end(&self) -> Option<(SourceOffset, TargetOffset)> {
        self.end.map(|end| (SourceOffset(end.source), TargetOffset(end.target)))
    }

    /// The map of a mirror in the other direction that copied the target's records to where they came from: what is the
    /// target here is the source there.
    pub fn inverse(&self, segments_max: usize) -> Self {
        let mut inverse = Self::new(segments_max);
        let full = self.full.iter().flat_map(Block::points);
        let mut points = full.chain(self.open.iter().copied()).peekable();
        while let Some(point) = points.next() {
            if point.target == UNKNOWN {
                inverse.unknown_from(inverse.covered());
                continue;
            }
            let end = self.end.map(|end| Point { source: end.record, target: end.target });
            let Some(next) = points.peek().copied().or(end) else { continue };
            let in_target = if next.target == UNKNOWN { i64::MAX } else { next.target - point.target };
            let mut left = (next.source - point.source).min(in_target);
            let (mut source, mut target) = (point.source, point.target);
            while left > 0 {
                let records = i32::try_from(left).unwrap_or(i32::MAX);
                let count = i64::from(records);
                let runs = Runs::dense(SourceOffset(target));
                let next = SourceOffset(target.saturating_add(count));
                inverse.place(&Landed { runs, records, next, base: None }, source);
                (source, target, left) = (source.saturating_add(count), next.0, left - count);
            }
        }
        inverse
    }

    /// How many points it has, and how many bytes they take.
    pub fn size(&self) -> (usize, usize) {
        let full: usize = self.full.iter().map(|block| block.bytes.len() + size_of::<Block>()).sum();
        let points = self.full.len() * BLOCK_POINTS + self.open.len();
        (points, full + self.open.capacity() * size_of::<Point>())
    }

    fn landed(&mut self, landed: Landed) {
        if landed.base.is_none() {
            if self.pending.len() < PENDING_MAX {
                self.pending.push_back(landed);
            } else {
                self.lose_pending();
                self.unknown_from(self.covered().max(landed.next.0));
            }
            return;
        }
        if !self.pending.is_empty() {
            self.place_pending(landed.base);
        }
        if let Some(base) = landed.base {
            self.place(&landed, base.0);
        }
    }

    /// What landed unseen lies right before `base` if it fills the place between; otherwise others wrote there, too,
    /// and nobody knows which is which.
    fn place_pending(&mut self, base: Option<TargetOffset>) {
        let records: i64 = self.pending.iter().map(|landed| i64::from(landed.records)).sum();
        let fills = self.end.zip(base).is_some_and(|(end, base)| end.target + records == base.0);
        if !fills {
            return self.lose_pending();
        }
        for landed in std::mem::take(&mut self.pending) {
            let base = self.end.map_or(0, |end| end.target);
            self.place(&landed, base);
        }
    }

    fn lose_pending(&mut self) {
        let lost = std::mem::take(&mut self.pending);
        if let Some(first) = lost.front() {
            self.cut_source(first.runs.first_record.0);
            self.unknown_from(first.runs.first_record.0);
        }
    }

    fn place(&mut self, landed: &Landed, base: i64) {
        let first = landed.runs.first_record.0;
        self.cut_source(first);
        self.cut_target(base);
        let ends = landed.runs.breaks.iter().map(|(_, place)| *place).chain([landed.records]);
        for ((source, place), run_end) in landed.runs.starts().zip(ends) {
            let target = base.saturating_add(i64::from(place));
            // Gaps on both sides: without this one, counting on from before them could stop anywhere in the target's.
            if let Some(end) = self.end.filter(|end| source.0 > end.record && target > end.target) {
                self.push(Point { source: end.record, target });
            }
            // The end is always that of the last point's run.
            let goes_on = self.end.is_some_and(|end| end.record == source.0 && end.target == target);
            if !goes_on {
                self.push(Point { source: source.0, target });
            }
            let records = i64::from(run_end - place);
            let record = source.0.saturating_add(records);
            self.end = Some(End { record, source: record, target: target.saturating_add(records) });
        }
        if let Some(end) = &mut self.end {
            end.source = end.source.max(landed.next.0);
        }
        self.mark_open_changed();
    }

    fn skipped(&mut self, next: SourceOffset) {
        if !self.pending.is_empty() {
            if let Some(last) = self.pending.back_mut() {
                last.next = last.next.max(next);
            }
        } else if let Some(end) = &mut self.end {
            end.source = end.source.max(next.0);
            self.mark_open_changed();
        }
    }

    /// The source offset up to which something is said.
    fn covered(&self) -> i64 {
        self.end.map_or_else(|| self.open.last().map_or(0, |point| point.source), |end| end.record)
    }

    fn unknown_from(&mut self, source: i64) {
        self.end = None;
        self.push(Point { source, target: UNKNOWN });
        self.mark_open_changed();
    }

    fn push(&mut self, point: Point) {
        if let Some(last) = self.open.last_mut().filter(|last| last.source == point.source) {
            *last = point;
            return;
        }
        if self.open.len() == BLOCK_POINTS {
            self.mark_open_changed();
            self.full.extend(Block::encode(&self.open));
            self.open.clear();
            self.forget_oldest();
        }
        self.open.push(point);
    }

    fn forget_oldest(&mut self) {
        while self.full.len() > self.blocks_max {
            self.full.pop_front();
            self.first_number += 1;
        }
    }

    /// The number of the open block.
    pub(super) fn open_number(&self) -> u64 {
        self.first_number + self.full.len() as u64
    }

    fn mark_open_changed(&mut self) {
        let number = self.open_number();
        self.changed_from = Some(self.changed_from.map_or(number, |from| from.min(number)));
    }

    /// Forgets what is said of source offsets from `source` on.
    fn cut_source(&mut self, source: i64) {
        if self.covered() > source {
            self.cut(source, i64::MAX);
        }
        if let Some(end) = &mut self.end {
            end.source = source.max(end.record);
        }
        self.mark_open_changed();
    }

    /// Forgets what is said of target offsets from `target` on: the target's log was cut off, and offsets are given out
    /// again.
    fn cut_target(&mut self, target: i64) {
        let Some(end) = self.end.filter(|end| end.target > target) else { return };
        self.cut(i64::MAX, target);
        if let Some(cut) = &mut self.end {
            cut.source = end.source;
        }
    }

    /// Drops points that lie at these offsets or behind, and finds the end of the last run that is left.
    fn cut(&mut self, source: i64, target: i64) {
        let mut next = self.end.map(|end| Point { source: end.record, target: end.target });
        self.end = None;
        while let Some(last) =
            self.last_point().filter(|last| last.target != UNKNOWN || last.source >= source)
        {
            // Zero or less: nothing is left of it. Of a point between gaps on both sides nothing ever is.
            let mut records = (source - last.source).min(target.saturating_sub(last.target));
            if let Some(next) = next {
                records = records.min(next.source - last.source);
                records =
                    if next.target == UNKNOWN { records } else { records.min(next.target - last.target) };
            }
            if last.target != UNKNOWN && records > 0 {
                let record = last.source.saturating_add(records);
                self.end = Some(End { record, source: record, target: last.target.saturating_add(records) });
                break;
            }
            self.open.pop();
            next = Some(last);
        }
        self.mark_open_changed();
    }

    /// The last point, which is always among the open ones.
    fn last_point(&mut self) -> Option<Point> {
        if self.open.is_empty() {
            self.open = self.full.pop_back()?.points();
        }
        self.open.last().copied()
    }

    fn first_point(&self) -> Option<Point> {
        match self.full.front() {
            Some(block) => block.points().first().copied(),
            None => self.open.first().copied(),
        }
    }

    /// The last point at or before a source offset, and the one behind it.
    fn around(&self, source: i64) -> Option<(Point, Option<Point>)> {
        let at_or_before = |points: &[Point]| points.partition_point(|point| point.source <= source);
        if let behind @ 1.. = at_or_before(&self.open) {
            return Some((*self.open.get(behind - 1)?, self.open.get(behind).copied()));
        }
        let behind = self.full.partition_point(|block| block.first <= source);
        let points = self.full.get(behind.checked_sub(1)?)?.points();
        let inside = at_or_before(&points);
        let next = points.get(inside).copied().or_else(|| match self.full.get(behind) {
            Some(block) => block.points().first().copied(),
            None => self.open.first().copied(),
        });
        Some((*points.get(inside.checked_sub(1)?)?, next))
    }
}

#[cfg(test)]
mod tests;
