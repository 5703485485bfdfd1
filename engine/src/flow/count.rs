//! Finds the source position that goes with so many records at the target. Pure.
//!
//! Where the source's log has a record for each offset, counting its records is proof: none of them can have been removed
//! since they were mirrored. Where offsets are missing, some may have been, and where another leader epoch begins, the log
//! may have been cut off there and have grown again: then the records that the target holds are compared with those the
//! source has.

use std::collections::HashMap;

use kmirror_protocol::wire::batch::Entry;

use super::epochs::EpochHistory;
use super::event::{Found, Recount};
use crate::ids::{SourceOffset, TargetOffset};
use crate::offsets::stretch::{Landed, Runs};
use crate::print::Print;

/// Counts records of the source by the headers of their batches.
#[derive(Debug)]
pub struct Count {
    from: SourceOffset,
    wanted: i32,
    counted: i32,
    next: SourceOffset,
    runs: Option<Runs>,
    /// The leader epoch of what was counted last.
    epoch: Option<i32>,
    is_proof: bool,
}

impl Count {
    /// Will count `wanted` records from `from` on; the record before is of this leader epoch, where that is known.
    pub fn new(from: SourceOffset, wanted: i32, epoch: Option<i32>) -> Self {
        Self { from, wanted, counted: 0, next: from, runs: None, epoch, is_proof: true }
    }

    /// Takes in a batch that goes to the target and has a record for each offset. Batches come in order, without those
    /// that do not go there. Whether all records wanted are counted, or counting is no proof.
    pub fn take(&mut self, entry: &Entry) -> bool {
        if let Entry::Batch(batch) = entry {
            let epoch = batch.header.partition_leader_epoch;
            self.is_proof &= self.epoch.replace(epoch).is_none_or(|before| before == epoch);
        }
        if !self.is_proof {
            return true;
        }
        let first = entry.first_offset().max(self.from.0);
        let here = entry.last_offset().saturating_add(1) - first;
        let left = self.wanted - self.counted;
        if here <= 0 || left == 0 {
            return left == 0;
        }
        let place = self.counted;
        match &mut self.runs {
            None => self.runs = Some(Runs::dense(SourceOffset(first))),
            Some(runs) if first != self.next.0 => runs.breaks.push((SourceOffset(first), place)),
            Some(_) => {}
        }
        let taken = i32::try_from(here).map_or(left, |here| here.min(left));
        self.counted += taken;
        self.next = SourceOffset(first + i64::from(taken));
        self.counted == self.wanted
    }

    /// The records that were counted, if they are all that were wanted, and all of one leader epoch.
    pub fn landed(self) -> Option<Landed> {
        let runs = self.runs.filter(|_| self.is_proof && self.counted == self.wanted)?;
        Some(Landed { runs, records: self.wanted, next: self.next, base: None })
    }
}

/// Finds records of the target in the source by their content.
///
/// The target has records of the source in their order, so each record of the source is looked for behind the one found
/// last. Records that the target has and the source has no more were removed there; those that the source has and the
/// target has not were left out on the way, or come behind all that is there.
#[derive(Debug)]
pub struct Alignment {
    timestamps: bool,
    /// Where the target's records stand, by [`Print::id`].
    places: HashMap<u64, Vec<i32>>,
    records: i32,
    /// The place behind the record found last.
    at: i32,
    from: SourceOffset,
    next: SourceOffset,
    breaks: Vec<(SourceOffset, i32)>,
    /// A record of the source was not found since the last that was.
    passes_over: bool,
    /// All that was found are the first records of both sides.
    is_prefix: bool,
}

impl Alignment {
    /// The records the target holds, in order; `timestamps` says whether they keep theirs.
    pub fn new(from: SourceOffset, target: &[Print], timestamps: bool) -> Self {
        let mut places: HashMap<u64, Vec<i32>> = HashMap::with_capacity(target.len());
        for (place, print) in (0..).zip(target) {
            places.entry(print.id(timestamps)).or_default().push(place);
        }
        let records = i32::try_from(target.len()).unwrap_or(i32::MAX);
        Self {
            timestamps,
            places,
            records,
            at: 0,
            from,
            next: from,
            breaks: Vec::new(),
            passes_over: false,
            is_prefix: true,
        }
    }

    /// Takes in the next record of the source; whether all records of the target are found or passed.
    pub fn take(&mut self, print: &Print) -> bool {
        let places = self.places.get(&print.id(self.timestamps));
        let found = places.and_then(|places| places.get(places.partition_point(|place| *place < self.at)));
        self.passes_over |= found.is_none();
        if let Some(place) = found.copied() {
            self.is_prefix &= place == self.at && !self.passes_over;
            let offset = SourceOffset(print.offset);
            if place != self.at || offset != self.next {
                self.breaks.push((offset, place));
            }
            self.at = place + 1;
            self.next = SourceOffset(print.offset.saturating_add(1));
        }
        self.at == self.records
    }

    /// What this says of a former writer, with what was read of the source: its epochs, whether it `is_dense` (has a record
    /// for each offset), and where it ended. `None` where it proves nothing.
    ///
    /// In a dense log counting was no proof, as it may have been cut off and have grown again. Then the first records of both
    /// sides are the same, and the target's others were cut off where the source goes on in another epoch, or ends. Anything
    /// else is others' records among them.
    pub fn found(
        self,
        asked: &Recount,
        epochs: EpochHistory,
        is_dense: bool,
        end: SourceOffset,
    ) -> Option<Found> {
        let missing = self.records - self.at;
        // Where the target was not asked who wrote them, they may be others', behind all that there is.
        let goes_on_anew =
            epochs.begins_anew_at(self.next, asked.epoch) || (self.next >= end && !asked.by_content);
        let cut_off = if is_dense && self.is_prefix && goes_on_anew { missing } else { 0 };
        // They are the last records there.
        let base =
            asked.end.filter(|_| missing == 0).map(|end| TargetOffset(end.0 - i64::from(self.records)));
        if is_dense && !asked.by_content {
            let explains_all = self.is_prefix && missing == cut_off;
            let nothing =
                Landed { runs: Runs::dense(self.from), records: self.records, next: self.from, base: None };
            let landed = if self.at == 0 { Some(nothing) } else { self.landed(base) };
            return landed.filter(|_| explains_all).map(|landed| Found { landed, epochs, cut_off });
        }
        self.landed(base).map(|landed| Found { landed, epochs, cut_off })
    }

    /// The records that were found; none if no record of the target is at the source.
    fn landed(mut self, base: Option<TargetOffset>) -> Option<Landed> {
        if self.at == 0 {
            return None;
        }
        let runs = match self.breaks.first() {
            Some((first, 0)) => Runs { first_record: *first, breaks: self.breaks.split_off(1) },
            _ => Runs { first_record: self.from, breaks: self.breaks },
        };
        Some(Landed { runs, records: self.records, next: self.next, base })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SourcePartition;

    const FROM: SourceOffset = SourceOffset(100);

    /// A record at each offset from 100 on, by its content.
    fn log(content: &str) -> Vec<Print> {
        let print = |(offset, value): (i64, char)| Print {
            offset,
            timestamp: 0,
            key: 0,
            value: u64::from(value),
            headers: 0,
            has_key: false,
            is_tombstone: false,
        };
        (100..).zip(content.chars()).map(print).collect()
    }

    /// What comparing tells where the source has its records from 100 on in these epochs, each with its first offset: how far
    /// the former writer came, and how many records were cut off.
    fn told(target: &str, source: &str, starts: &[(i32, i64)], by_content: bool) -> Option<(i64, i32)> {
        let asked = Recount {
            source: SourcePartition::first_of(&"t".into()),
            target: ("t".into(), 0),
            from: FROM,
            epoch: Some(3),
            records: 0,
            end: None,
            read_committed: false,
            timestamps: true,
            by_content,
        };
        let mut epochs = EpochHistory::default();
        starts.iter().for_each(|(epoch, start)| epochs.learn(*epoch, SourceOffset(*start)));
        let mut alignment = Alignment::new(FROM, &log(target), true);
        let source = log(source);
        let _ = source.iter().any(|print| alignment.take(print));
        let end = SourceOffset(FROM.0 + i64::try_from(source.len()).unwrap());
        let found = alignment.found(&asked, epochs, true, end)?;
        Some((found.landed.next.0, found.cut_off))
    }

    #[test]
    fn what_was_cut_off_is_told_and_what_grew_since_is_left_to_do() {
        assert_eq!(told("abcd", "abxyz", &[(3, 100), (5, 102)], false), Some((102, 2)));
        // At the first record; and where nothing has grown yet.
        assert_eq!(told("abcd", "wxyz", &[(5, 100)], false), Some((100, 4)));
        assert_eq!(told("abcd", "ab", &[(3, 100)], false), Some((102, 2)));
        assert_eq!(told("abcd", "abxyz", &[(3, 100), (5, 102)], true), Some((102, 2)));
    }

    #[test]
    fn a_leader_that_changed_cuts_nothing_off() {
        assert_eq!(told("abcd", "abcdef", &[(3, 100), (5, 102)], false), Some((104, 0)));
    }

    /// Whatever a producer sends again after the cut, what stood between is not there.
    #[test]
    fn records_of_others_prove_nothing() {
        assert_eq!(told("xbcd", "abcd", &[(3, 100), (5, 102)], false), None);
        assert_eq!(told("abxd", "abcd", &[(3, 100), (5, 103)], false), None);
        assert_eq!(told("abcd", "abwxd", &[(3, 100), (5, 102)], false), None);
        // They may come behind all that the source has, where nobody knows who wrote them.
        assert_eq!(told("abxy", "ab", &[(3, 100)], true), Some((102, 0)));
    }
}
