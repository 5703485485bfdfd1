//! Compares what a source partition and its mirror hold: two streams of batches in, counts and findings out.
//!
//! Batches that went to the target as they are are compared as wholes: checksums verified on both sides, payloads byte
//! by byte, nothing decompressed. All others are opened and compared record by record, whatever their borders and
//! codecs. Where the streams differ, both are read ahead until they go on alike again; see `align` for how, and
//! `loose` for what becomes of the records that have no partner. Pure: knows no clusters and no clock.

mod align;
pub mod finding;
mod loose;
mod side;
mod terms;

use kmirror_protocol::wire::batch::{Batch, Entry, TimestampType};

use crate::print::{Print, Printer};
use align::nearest_common;
use finding::{Counts, Finding, Findings, Kind, Span, Which};
use loose::{LooseRecords, Rules};
use side::{Damaged, Fill, Side};
pub use terms::{Options, Outcome, Step};

/// How many records of each side are looked at to find where they go on alike: first a few, then more. The last
/// number bounds the memory (about 50 bytes a record). A longer difference is passed over a window at a time, the
/// older side first.
pub const WINDOW_RECORDS: [usize; 4] = [64, 1024, 8192, 65_536];
/// Records in a row that must agree where the place to begin at is looked for.
const ANCHOR_RUN: usize = 8;

/// A comparison under way.
pub struct Comparison {
    options: Options,
    printer: Printer,
    source: Side,
    target: Side,
    loose: LooseRecords,
    out: (Counts, Findings),
    expired_at_target: Option<Span>,
    expired_at_source: Option<Span>,
    /// A common record was found, or both sides begin at their beginning.
    anchored: bool,
    /// The target has stamped records itself.
    target_stamps: bool,
}

impl Comparison {
    /// A comparison that has seen nothing yet.
    pub fn new(options: Options) -> Self {
        let Options { source_compacts, target_compacts, required_end, .. } = options;
        Self {
            options,
            printer: Printer::default(),
            source: Side::new(options.source_from, options.source_until),
            target: Side::new(options.target_from, i64::MAX),
            loose: LooseRecords::new(Rules { source_compacts, target_compacts, required_end }),
            out: (Counts::default(), Findings::default()),
            expired_at_target: None,
            expired_at_source: None,
            anchored: !(options.source_starts_late || options.target_starts_late || options.open_start),
            target_stamps: false,
        }
    }

    /// The next entry of a log. Control batches and aborted data must have been left out.
    pub fn push(&mut self, which: Which, entry: Entry) {
        self.side(which).push(entry);
    }

    /// A log ends here.
    pub fn end(&mut self, which: Which) {
        self.side(which).ended = true;
    }

    /// A log that ended goes on after all.
    pub fn go_on(&mut self, which: Which) {
        self.side(which).ended = false;
    }

    /// Nothing is at hand of either side, and neither has ended.
    pub fn wants_both(&self) -> bool {
        [&self.source, &self.target].iter().all(|side| side.is_empty() && !side.ended)
    }

    /// Source records from here on do not count.
    pub fn source_until(&self) -> i64 {
        self.options.source_until
    }

    /// Source records that must be at the target are still without a partner.
    pub fn expects_more(&self) -> bool {
        self.source.first_at_hand().is_some_and(|first| first < self.options.required_end)
    }

    fn side(&mut self, which: Which) -> &mut Side {
        match which {
            Which::Source => &mut self.source,
            Which::Target => &mut self.target,
        }
    }

    /// Compares as far as it can.
    pub fn step(&mut self) -> Step {
        loop {
            let stopped = if self.anchored { self.walk() } else { self.anchor() };
            if let Some(step) = stopped {
                return step;
            }
        }
    }

    /// Ends it: what was set aside is decided.
    pub fn finish(mut self) -> Outcome {
        let timestamps = self.timestamps();
        // Behind an open end a record may follow that made a cleaner remove others.
        self.loose.decide_all(timestamps, !self.options.open_end, &mut self.out);
        let (mut counts, findings) = self.out;
        counts.opened_batches = self.source.opened + self.target.opened;
        Outcome {
            counts,
            findings,
            expired_at_target: self.expired_at_target,
            expired_at_source: self.expired_at_source,
            timestamps_compared: timestamps,
            source_next: self.source.taken,
            target_next: self.target.taken,
        }
    }

    fn timestamps(&self) -> bool {
        !self.target_stamps
    }

    fn fill(&mut self, which: Which, count: usize) -> Fill {
        let mut damaged = Vec::new();
        let mut ignored = false;
        let filled = match which {
            Which::Source => self.source.fill(count, &mut self.printer, &mut ignored, &mut damaged),
            Which::Target => {
                self.target.fill(count, &mut self.printer, &mut self.target_stamps, &mut damaged)
            }
        };
        for batch in damaged {
            self.tell_damage(which, batch);
        }
        match (which, filled) {
            (Which::Source, Fill::Wants) if self.needs_no_source() => Fill::Ended,
            (_, filled) => filled,
        }
    }

    /// All that must be at the target was read, and the target has nothing more to be explained.
    fn needs_no_source(&self) -> bool {
        self.source.next >= self.options.required_end && self.target.is_over() && !self.loose.awaits_source()
    }

    fn tell_damage(&mut self, which: Which, batch: Damaged) {
        let span = Span { first: batch.first, last: batch.last };
        let (source, target) = match which {
            Which::Source => (span, Span::at(self.target.taken)),
            Which::Target => (Span::at(self.source.taken), span),
        };
        self.out.0.damaged += 1;
        self.out.1.add(Finding { kind: Kind::Damaged(which), source, target, records: 1 });
    }

    /// One step where the streams are known to stand at the same place.
    fn walk(&mut self) -> Option<Step> {
        if self.options.open_end && self.source.is_over() {
            return Some(Step::Done);
        }
        if self.source.at_border() && self.target.at_border() {
            if self.pass_whole_batches() {
                return None;
            }
            // Opening one side's batch before the other's is here would be in vain if they are the same.
            for (which, side) in [(Which::Source, &self.source), (Which::Target, &self.target)] {
                let needless = which == Which::Source && self.needs_no_source();
                if side.is_empty() && !side.ended && !needless {
                    return Some(Step::Need(which));
                }
            }
        }
        match (self.fill(Which::Source, 1), self.fill(Which::Target, 1)) {
            (Fill::Wants, _) => Some(Step::Need(Which::Source)),
            (_, Fill::Wants) => Some(Step::Need(Which::Target)),
            (Fill::Ended, Fill::Ended) => Some(Step::Done),
            (Fill::Ended, Fill::Enough) | (Fill::Enough, Fill::Ended) => {
                self.set_aside(usize::MAX, usize::MAX);
                None
            }
            (Fill::Enough, Fill::Enough) if self.match_heads() => None,
            (Fill::Enough, Fill::Enough) => self.resynchronise(),
        }
    }

    /// Passes over two batches that are the same byte for byte behind their headers.
    fn pass_whole_batches(&mut self) -> bool {
        if self.loose.watches_keys() {
            return false;
        }
        let (Some(source), Some(target)) = (self.source.whole_batch(), self.target.whole_batch()) else {
            return false;
        };
        if !same_batch(source, target) {
            return false;
        }
        self.target_stamps |= target.header.timestamp_type() == TimestampType::LogAppend;
        self.out.0.matched += u64::try_from(source.header.record_count).unwrap_or(0);
        self.out.0.whole_batches += 1;
        self.source.pass_batch();
        self.target.pass_batch();
        true
    }

    fn match_heads(&mut self) -> bool {
        let timestamps = self.timestamps();
        let same = match (self.source.prints.front(), self.target.prints.front()) {
            (Some(source), Some(target)) => source.same(target, timestamps),
            _ => false,
        };
        if same {
            for which in [Which::Source, Which::Target] {
                if let Some(print) = self.side(which).take_one() {
                    self.loose.passes(which, &print);
                }
            }
            self.out.0.matched += 1;
        }
        same
    }

    /// Finds where the streams go on alike and sets aside what stands before that.
    fn resynchronise(&mut self) -> Option<Step> {
        match self.common(1) {
            Common::Need(which) => return Some(Step::Need(which)),
            Common::At(source, target) => self.set_aside(source, target),
            Common::Nowhere { source_ends, target_ends } => {
                let all = usize::MAX;
                // Where one side is shown to its end, what it holds may still come on the other.
                let due = self.source.first_at_hand().is_some_and(|first| first < self.options.required_end);
                let (source, target) = match (source_ends, target_ends) {
                    (true, true) => (all, all),
                    (true, false) if self.options.open_end => (all, 0),
                    (true, false) => (0, all),
                    (false, true) if due => (all, 0),
                    (false, true) => (0, all),
                    (false, false) if self.source_is_older() => (all, 0),
                    (false, false) => (0, all),
                };
                self.set_aside(source, target);
            }
        }
        None
    }

    /// One step while the place to begin at is looked for.
    fn anchor(&mut self) -> Option<Step> {
        match self.common(ANCHOR_RUN) {
            Common::Need(which) => return Some(Step::Need(which)),
            Common::At(source, target) => {
                self.leave_source(source);
                self.leave_target(target);
                self.anchored = true;
            }
            Common::Nowhere { source_ends, target_ends } => {
                let Options { source_starts_late, target_starts_late, open_start, .. } = self.options;
                if source_ends && target_ends {
                    self.leave_source(usize::MAX);
                    self.leave_target(usize::MAX);
                    if self.source.is_over() || self.target.is_over() {
                        self.anchored = true;
                    }
                    return None;
                }
                // The last ones may begin a run that goes on behind the window.
                let window = |side: &Side| side.prints.len().saturating_sub(ANCHOR_RUN);
                let target_goes = source_ends || open_start || (source_starts_late && !target_starts_late);
                if target_ends || !(target_goes || (source_starts_late && !self.source_is_older())) {
                    self.leave_source(window(&self.source));
                } else {
                    self.leave_target(window(&self.target));
                }
            }
        }
        None
    }

    /// The nearest place where both sides go on alike, looked for in growing windows.
    fn common(&mut self, run: usize) -> Common {
        let (mut source_ends, mut target_ends) = (false, false);
        for width in WINDOW_RECORDS {
            for which in [Which::Source, Which::Target] {
                let ends = match self.fill(which, width) {
                    Fill::Wants => return Common::Need(which),
                    fill => fill == Fill::Ended,
                };
                match which {
                    Which::Source => source_ends = ends,
                    Which::Target => target_ends = ends,
                }
            }
            let timestamps = self.timestamps();
            let source = self.source.prints.make_contiguous();
            let target = self.target.prints.make_contiguous();
            let (source, target) = (&source[..width.min(source.len())], &target[..width.min(target.len())]);
            if let Some((source, target)) =
                nearest_common((source, source_ends), (target, target_ends), run, timestamps)
            {
                return Common::At(source, target);
            }
            if source_ends && target_ends {
                break;
            }
        }
        Common::Nowhere { source_ends, target_ends }
    }

    fn source_is_older(&self) -> bool {
        let first = |side: &Side| side.prints.front().map(|print| print.timestamp);
        first(&self.source) <= first(&self.target)
    }

    /// Sets records of both sides aside, as many as given or as are opened.
    fn set_aside(&mut self, source: usize, target: usize) {
        let timestamps = self.timestamps();
        let missing = self.source.take(source);
        let extra = self.target.take(target);
        let place = |prints: &[Print], side: &Side| prints.first().map_or(side.taken, |print| print.offset);
        let places = (place(&missing, &self.source), place(&extra, &self.target));
        self.loose.add(missing, extra, places, timestamps, &mut self.out);
    }

    /// Passes over source records before the place to begin at.
    fn leave_source(&mut self, count: usize) {
        if !self.options.target_starts_late {
            return self.set_aside(count, 0);
        }
        extend(&mut self.expired_at_target, &self.source.take(count));
    }

    /// Passes over target records before the place to begin at.
    fn leave_target(&mut self, count: usize) {
        if self.options.open_start {
            self.target.take(count);
        } else if self.options.source_starts_late {
            extend(&mut self.expired_at_source, &self.target.take(count));
        } else {
            self.set_aside(0, count);
        }
    }
}

/// Where two windows go on alike.
enum Common {
    At(usize, usize),
    Need(Which),
    /// Nowhere in the windows; and whether they show all there is.
    Nowhere {
        source_ends: bool,
        target_ends: bool,
    },
}

fn extend(span: &mut Option<Span>, prints: &[Print]) {
    let (Some(first), Some(last)) = (prints.first(), prints.last()) else { return };
    let known = span.get_or_insert(Span { first: first.offset, last: last.offset });
    known.last = last.offset;
}

/// Whether both hold the same records in the same bytes. A checksum that is wrong on either side makes them differ;
/// opening them then tells of the damage.
fn same_batch(source: &Batch, target: &Batch) -> bool {
    let (a, b) = (&source.header, &target.header);
    let stamped = b.timestamp_type() == TimestampType::LogAppend;
    let same_times =
        stamped || (a.timestamp_type() == b.timestamp_type() && a.base_timestamp == b.base_timestamp);
    a.record_count == b.record_count
        && same_times
        && matches!((a.codec(), b.codec()), (Ok(a), Ok(b)) if a == b)
        && source.payload() == target.payload()
        && source.verify_crc()
        && target.verify_crc()
}

/// Whether the records of both sides from these offsets on are the same, as far as a few show.
pub fn begin_alike(
    (source, source_from): (&[Entry], i64),
    (target, target_from): (&[Entry], i64),
    timestamps: bool,
) -> bool {
    let mut printer = Printer::default();
    let (source, target) = (printer.first(source, source_from), printer.first(target, target_from));
    !source.is_empty()
        && !target.is_empty()
        && source.iter().zip(&target).take(ANCHOR_RUN).all(|(source, target)| source.same(target, timestamps))
}

/// The least timestamp among the first records from `from` on; none if one has none, or if there are no records.
pub fn least_timestamp(entries: &[Entry], from: i64) -> Option<i64> {
    let first = Printer::default().first(entries, from);
    first.iter().map(|print| print.timestamp).min().filter(|timestamp| *timestamp >= 0)
}

#[cfg(test)]
mod tests;
