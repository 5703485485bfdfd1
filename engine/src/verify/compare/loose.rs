//! Records that have no partner at their place: set aside until it shows whether they stand elsewhere, were altered,
//! were removed by a log cleaner, or are missing or extra. Pure.

use std::collections::{HashMap, HashSet, VecDeque};

use super::finding::{Counts, Fields, Finding, Findings, Kind, Span, Which};
use crate::print::Print;

/// Records set aside at most. Beyond that the oldest are decided: what was moved further than so many differing
/// records is then told as missing in one place and extra in the other.
pub(super) const LOOSE_RECORDS_MAX: usize = 131_072;
/// How far ahead the altered form of a record is looked for among its neighbours.
const ALTERED_AHEAD: usize = 32;

/// How records are judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// A log cleaner works at the source: it may lack what the target still has.
    pub(super) source_compacts: bool,
    /// A log cleaner works at the target.
    pub(super) target_compacts: bool,
    /// Source records from here on need not be at the target yet.
    pub(super) required_end: i64,
}

#[derive(Debug)]
struct Loose {
    print: Print,
    /// It was found elsewhere.
    moved: bool,
    /// A later record of its key was seen.
    superseded: bool,
}

/// One place where the streams differ.
#[derive(Debug)]
struct Gap {
    missing: Vec<Loose>,
    extra: Vec<Loose>,
    /// Where the missing records would stand at the target, and the extra ones at the source.
    target_place: i64,
    source_place: i64,
}

impl Gap {
    fn of(&mut self, which: Which) -> &mut Vec<Loose> {
        match which {
            Which::Source => &mut self.missing,
            Which::Target => &mut self.extra,
        }
    }
}

/// Gap number and index in it.
type Place = (u64, usize);

/// The records set aside.
#[derive(Debug)]
pub(super) struct LooseRecords {
    rules: Rules,
    gaps: VecDeque<Gap>,
    /// The number of the first of `gaps`.
    first: u64,
    records: usize,
    missing_by_id: HashMap<u64, VecDeque<Place>>,
    extra_by_id: HashMap<u64, VecDeque<Place>>,
    /// Only kept where a cleaner works.
    missing_by_key: HashMap<u64, Vec<Place>>,
    extra_by_key: HashMap<u64, Vec<Place>>,
}

impl LooseRecords {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            gaps: VecDeque::new(),
            first: 0,
            records: 0,
            missing_by_id: HashMap::new(),
            extra_by_id: HashMap::new(),
            missing_by_key: HashMap::new(),
            extra_by_key: HashMap::new(),
        }
    }

    /// Every record that passes must be shown to [`Self::passes`]: it may supersede one that is set aside.
    pub(super) fn watches_keys(&self) -> bool {
        !self.missing_by_key.is_empty() || !self.extra_by_key.is_empty()
    }

    /// Target records are set aside that a later source record may supersede.
    pub(super) fn awaits_source(&self) -> bool {
        !self.extra_by_key.is_empty()
    }

    /// A record passed at this side.
    pub(super) fn passes(&mut self, which: Which, print: &Print) {
        self.supersede(which, print, None);
    }

    /// Marks what the record supersedes, but nothing in the gap of number `except`.
    fn supersede(&mut self, which: Which, print: &Print, except: Option<u64>) {
        // A cleaner at the target keeps what is later at the target.
        let (by_key, side) = match which {
            Which::Target => (&mut self.missing_by_key, Which::Source),
            Which::Source => (&mut self.extra_by_key, Which::Target),
        };
        let Some(places) = by_key.remove(&print.key) else { return };
        let (kept, superseded): (Vec<Place>, _) =
            places.into_iter().partition(|(gap, _)| Some(*gap) == except);
        if !kept.is_empty() {
            by_key.insert(print.key, kept);
        }
        for (gap, index) in superseded {
            if let Some(loose) = loose_at(&mut self.gaps, self.first, side, (gap, index)) {
                loose.superseded = true;
            }
        }
    }

    /// Sets aside what stands at one place of the source only and what stands there at the target only.
    pub(super) fn add(
        &mut self,
        missing: Vec<Print>,
        extra: Vec<Print>,
        places: (i64, i64),
        timestamps: bool,
        out: &mut (Counts, Findings),
    ) {
        let number = self.first + self.gaps.len() as u64;
        let (source_place, target_place) = places;
        self.records += missing.len() + extra.len();
        let loose = |print| Loose { print, moved: false, superseded: false };
        self.gaps.push_back(Gap {
            missing: Vec::with_capacity(missing.len()),
            extra: Vec::with_capacity(extra.len()),
            target_place,
            source_place,
        });
        for (which, prints) in [(Which::Target, extra), (Which::Source, missing)] {
            for print in prints {
                // One altered record must not pass for two of which each supersedes the other. What is not due yet
                // comes later than all that the target has.
                let is_later = which == Which::Source && print.offset >= self.rules.required_end;
                self.supersede(which, &print, (!is_later).then_some(number));
                let Some(gap) = self.gaps.back_mut() else { return };
                let index = gap.of(which).len();
                gap.of(which).push(loose(print));
                self.file(which, (number, index), &print, timestamps, &mut out.1, &mut out.0);
            }
        }
        while self.records > LOOSE_RECORDS_MAX {
            self.decide_oldest(timestamps, false, out);
        }
    }

    /// Finds its partner if that was set aside already, or files it to be found.
    fn file(
        &mut self,
        which: Which,
        place: Place,
        print: &Print,
        timestamps: bool,
        findings: &mut Findings,
        counts: &mut Counts,
    ) {
        let id = print.id(timestamps);
        let (mine, others, other_side) = match which {
            Which::Source => (&mut self.missing_by_id, &mut self.extra_by_id, Which::Target),
            Which::Target => (&mut self.extra_by_id, &mut self.missing_by_id, Which::Source),
        };
        let partner = others.get_mut(&id).and_then(VecDeque::pop_front);
        if others.get(&id).is_some_and(VecDeque::is_empty) {
            others.remove(&id);
        }
        let Some(partner) = partner else {
            mine.entry(id).or_default().push_back(place);
            self.watch(which, place, print);
            return;
        };
        let Some(other) = loose_at(&mut self.gaps, self.first, other_side, partner) else { return };
        other.moved = true;
        let other = other.print.offset;
        if let Some(own) = loose_at(&mut self.gaps, self.first, which, place) {
            own.moved = true;
        }
        let (source, target) = match which {
            Which::Source => (print.offset, other),
            Which::Target => (other, print.offset),
        };
        counts.out_of_order += 1;
        findings.add(Finding {
            kind: Kind::OutOfOrder,
            source: Span::at(source),
            target: Span::at(target),
            records: 1,
        });
    }

    /// Remembers a record by its key, for what may supersede it.
    fn watch(&mut self, which: Which, place: Place, print: &Print) {
        if !print.has_key {
            return;
        }
        let by_key = match which {
            Which::Source if self.rules.target_compacts => &mut self.missing_by_key,
            Which::Target if self.rules.source_compacts => &mut self.extra_by_key,
            _ => return,
        };
        let places = by_key.entry(print.key).or_default();
        if print.is_tombstone {
            // A cleaner removes a tombstone, too, some time after what it stands for: then the other side has nothing
            // of the key left that could supersede these.
            for earlier in places.drain(..) {
                if let Some(loose) = loose_at(&mut self.gaps, self.first, which, earlier) {
                    loose.superseded = true;
                }
            }
        }
        places.push(place);
    }

    /// Decides about all that is set aside. `at_the_end`: see [`Self::decide_oldest`].
    pub(super) fn decide_all(&mut self, timestamps: bool, at_the_end: bool, out: &mut (Counts, Findings)) {
        while !self.gaps.is_empty() {
            self.decide_oldest(timestamps, at_the_end, out);
        }
    }

    /// `at_the_end`: whether all that could supersede a record has been seen.
    fn decide_oldest(&mut self, timestamps: bool, at_the_end: bool, out: &mut (Counts, Findings)) {
        let Some(mut gap) = self.gaps.pop_front() else { return };
        let number = self.first;
        self.first += 1;
        self.records -= gap.missing.len() + gap.extra.len();
        self.forget(number, &gap, timestamps);
        gap.missing.retain(|loose| !loose.moved);
        gap.extra.retain(|loose| !loose.moved);
        self.leave_out_cleaned(&mut gap, at_the_end, &mut out.0);
        tell(&gap, timestamps, self.rules.required_end, out);
    }

    /// Leaves out what a cleaner may have removed on the other side. A cleaner that removes a record removes the earlier
    /// ones of its key, too: where each side has a record of one key that the other lacks, no cleaner did that.
    fn leave_out_cleaned(&self, gap: &mut Gap, at_the_end: bool, counts: &mut Counts) {
        let Rules { source_compacts, target_compacts, .. } = self.rules;
        if !source_compacts && !target_compacts {
            return;
        }
        let required_end = self.rules.required_end;
        let due = |loose: &&Loose| loose.print.offset < required_end;
        let key = |loose: &Loose| loose.print.key;
        let missing_keys: HashSet<u64> = gap.missing.iter().filter(due).map(key).collect();
        let extra_keys: HashSet<u64> = gap.extra.iter().map(key).collect();
        let removable = |loose: &Loose, on_the_other: &HashSet<u64>| {
            let print = &loose.print;
            print.has_key
                && (loose.superseded || print.is_tombstone || !at_the_end)
                && !on_the_other.contains(&print.key)
        };
        let before = gap.missing.len() + gap.extra.len();
        gap.missing.retain(|loose| !(target_compacts && removable(loose, &extra_keys)));
        gap.extra.retain(|loose| !(source_compacts && removable(loose, &missing_keys)));
        counts.compacted += (before - gap.missing.len() - gap.extra.len()) as u64;
    }

    fn forget(&mut self, number: u64, gap: &Gap, timestamps: bool) {
        let sides = [
            (&gap.missing, &mut self.missing_by_id, &mut self.missing_by_key),
            (&gap.extra, &mut self.extra_by_id, &mut self.extra_by_key),
        ];
        for (all, by_id, by_key) in sides {
            for loose in all {
                let id = loose.print.id(timestamps);
                if let Some(places) = by_id.get_mut(&id) {
                    places.retain(|(gap, _)| *gap != number);
                    if places.is_empty() {
                        by_id.remove(&id);
                    }
                }
                if let Some(places) = by_key.get_mut(&loose.print.key) {
                    places.retain(|(gap, _)| *gap != number);
                    if places.is_empty() {
                        by_key.remove(&loose.print.key);
                    }
                }
            }
        }
    }
}

fn loose_at(gaps: &mut VecDeque<Gap>, first: u64, which: Which, place: Place) -> Option<&mut Loose> {
    let at = usize::try_from(place.0.checked_sub(first)?).ok()?;
    gaps.get_mut(at)?.of(which).get_mut(place.1)
}

/// Tells what is left of a gap: pairs that are one record altered, then what is missing and what is extra.
fn tell(gap: &Gap, timestamps: bool, required_end: i64, out: &mut (Counts, Findings)) {
    let due = |loose: &&Loose| loose.print.offset < required_end;
    let missing: Vec<&Print> = gap.missing.iter().filter(due).map(|loose| &loose.print).collect();
    out.0.not_yet += (gap.missing.len() - missing.len()) as u64;
    let mut extra: &[Loose] = &gap.extra;
    let one_by_one = missing.len() == extra.len();
    // Where records without a partner would stand on the other side: behind the last one that has a partner.
    let (mut source_place, mut target_place) = (gap.source_place, gap.target_place);
    for print in missing {
        let ahead = extra.iter().take(if one_by_one { 1 } else { ALTERED_AHEAD });
        let altered = ahead
            .map(|loose| &loose.print)
            .position(|other| one_by_one || is_alike(print, other, timestamps));
        if let Some((partner, at)) = altered.and_then(|at| Some((extra.get(at)?, at))) {
            tell_extra(&extra[..at], print.offset, out);
            extra = &extra[at + 1..];
            (source_place, target_place) = (print.offset + 1, partner.print.offset + 1);
            out.0.altered += 1;
            out.1.add(altered_finding(print, &partner.print, timestamps));
        } else {
            out.0.missing += 1;
            let (source, target) = (Span::at(print.offset), Span::at(target_place));
            out.1.add(Finding { kind: Kind::Missing, source, target, records: 1 });
        }
    }
    tell_extra(extra, source_place, out);
}

fn tell_extra(extra: &[Loose], source_place: i64, (counts, findings): &mut (Counts, Findings)) {
    for loose in extra {
        counts.extra += 1;
        let (source, target) = (Span::at(source_place), Span::at(loose.print.offset));
        findings.add(Finding { kind: Kind::Extra, source, target, records: 1 });
    }
}

/// Whether they look like one record of which something was altered.
fn is_alike(source: &Print, target: &Print, timestamps: bool) -> bool {
    let same_value = !source.is_tombstone && source.value == target.value;
    (source.has_key && source.key == target.key)
        || (same_value && source.headers == target.headers)
        || (timestamps && source.timestamp == target.timestamp)
}

fn altered_finding(source: &Print, target: &Print, timestamps: bool) -> Finding {
    let fields = Fields {
        key: source.key != target.key,
        value: source.value != target.value,
        headers: source.headers != target.headers,
        timestamp: timestamps && source.timestamp != target.timestamp,
    };
    let kind = Kind::Altered(fields);
    Finding { kind, source: Span::at(source.offset), target: Span::at(target.offset), records: 1 }
}
