//! Finds the source position that goes with so many records at the target. Pure.
//!
//! Where the source's log has a record for each offset, counting its records is proof: none of them can have been removed
//! since they were mirrored. Where offsets are missing, some may have been, and where another leader epoch begins, the log
//! may have been cut off there and have grown again: then the records that the target holds are compared with those the
//! source has.

use std::collections::HashMap;

use kmirror_protocol::wire::batch::Entry;

use crate::ids::SourceOffset;
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

    /// Whether all is of one leader epoch; a log that has others may have been cut off.
    pub fn is_proof(&self) -> bool {
        self.is_proof
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
}

impl Alignment {
    /// The records the target holds, in order; `timestamps` says whether they keep theirs.
    pub fn new(from: SourceOffset, target: &[Print], timestamps: bool) -> Self {
        let mut places: HashMap<u64, Vec<i32>> = HashMap::with_capacity(target.len());
        for (place, print) in (0..).zip(target) {
            places.entry(print.id(timestamps)).or_default().push(place);
        }
        let records = i32::try_from(target.len()).unwrap_or(i32::MAX);
        Self { timestamps, places, records, at: 0, from, next: from, breaks: Vec::new() }
    }

    /// Takes in the next record of the source; whether all records of the target are found or passed.
    pub fn take(&mut self, print: &Print) -> bool {
        let places = self.places.get(&print.id(self.timestamps));
        let found = places.and_then(|places| places.get(places.partition_point(|place| *place < self.at)));
        if let Some(place) = found.copied() {
            let offset = SourceOffset(print.offset);
            if place != self.at || offset != self.next {
                self.breaks.push((offset, place));
            }
            self.at = place + 1;
            self.next = SourceOffset(print.offset.saturating_add(1));
        }
        self.at == self.records
    }

    /// Records of the target behind the one found last.
    pub fn missing(&self) -> i32 {
        self.records - self.at
    }

    /// The records that were found; none if no record of the target is at the source.
    pub fn landed(mut self) -> Option<Landed> {
        if self.at == 0 {
            return None;
        }
        let runs = match self.breaks.first() {
            Some((first, 0)) => Runs { first_record: *first, breaks: self.breaks.split_off(1) },
            _ => Runs { first_record: self.from, breaks: self.breaks },
        };
        Some(Landed { runs, records: self.records, next: self.next, base: None })
    }
}
