//! Whether what is at the target is right, record by record as it arrives, and whether progress is true.

use std::collections::{BTreeMap, BTreeSet};

use kmirror_protocol::wire::batch::Entries;
use kmirror_protocol::wire::record::{Limits, records};
use kmirror_sandbox::Still;

use crate::log::Log;
use crate::world::TARGET_TOPIC;

const LIMITS: Limits = Limits { max_decompressed_bytes: 16 << 20 };

/// What one target partition holds.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// The end of what was looked at.
    end: i64,
    /// How often each record is there, by its number.
    times: BTreeMap<usize, u32>,
    last: Option<usize>,
    /// Records that were there until the log was cut off: whether and where they come again is left open.
    lost: BTreeSet<usize>,
    /// Records there more than once, and the first of them.
    pub(crate) repeated: u64,
    pub(crate) first_repeated: Option<usize>,
    /// Progress was found true up to here, by mirror.
    checked: BTreeMap<u64, i64>,
}

impl Held {
    pub(crate) fn has(&self, number: usize) -> bool {
        self.times.contains_key(&number)
    }

    /// Looks at what is new: everything before a record that is due has to be there before it (invariant 2, and nothing
    /// left out).
    pub(crate) fn look(&mut self, target: &Still, partition: i32, log: &Log, read_committed: bool) -> bool {
        let end = target.direct().end_offset(TARGET_TOPIC, partition).unwrap();
        if end <= self.end {
            return false;
        }
        let from = std::mem::replace(&mut self.end, end);
        for entry in Entries::new(target.read_from(TARGET_TOPIC, partition, from).unwrap()) {
            for record in records(&entry.unwrap(), &LIMITS).unwrap() {
                let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                let (of, number) = key.split_once('/').unwrap();
                assert_eq!(of, partition.to_string(), "a record of another partition");
                self.arrived(number.parse().unwrap(), partition, log, read_committed);
            }
        }
        true
    }

    fn arrived(&mut self, number: usize, partition: i32, log: &Log, read_committed: bool) {
        let times = self.times.entry(number).or_default();
        *times += 1;
        if *times > 1 {
            self.repeated += 1;
            self.first_repeated.get_or_insert(number);
            return;
        }
        if read_committed {
            let transaction = log.records[number].transaction;
            let committed = transaction.is_none_or(|one| log.transactions[one].committed() == Some(true));
            assert!(committed || log.was_cut_off, "{partition}/{number} is of no committed transaction");
        }
        let first = self.last.map_or(0, |last| last + 1);
        if number < first && self.lost.contains(&number) {
            return;
        }
        assert!(number >= first, "{partition}/{number} comes behind {:?}: order", self.last);
        for skipped in first..number {
            let due = log.is_due(&log.records[skipped], read_committed);
            assert!(!due, "{partition}/{number} arrived, {partition}/{skipped} before it did not");
        }
        self.last = Some(number);
    }

    /// The target's log was cut off: what is there is looked at anew.
    pub(crate) fn recount(&mut self, target: &Still, partition: i32) -> Vec<usize> {
        let before = std::mem::take(&mut self.times);
        self.end = target.direct().end_offset(TARGET_TOPIC, partition).unwrap();
        for entry in Entries::new(target.read_from(TARGET_TOPIC, partition, 0).unwrap()) {
            for record in records(&entry.unwrap(), &LIMITS).unwrap() {
                let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                *self.times.entry(key.split_once('/').unwrap().1.parse().unwrap()).or_default() += 1;
            }
        }
        self.last = self.times.last_key_value().map(|(number, _)| *number);
        self.repeated = self.times.values().map(|times| u64::from(times - 1)).sum();
        let lost: Vec<usize> = before.into_keys().filter(|number| !self.times.contains_key(number)).collect();
        self.lost.extend(&lost);
        lost
    }

    /// Everything before `next` is at the target (invariant 1).
    pub(crate) fn check_progress(&mut self, mirror: u64, next: i64, log: &Log, read_committed: bool) {
        let from = self.checked.insert(mirror, next).unwrap_or(0);
        if log.was_cut_off {
            return;
        }
        assert!(next >= from, "progress went back from {from} to {next}");
        self.check_range(from, next, log, read_committed);
    }

    pub(crate) fn check_range(&self, from: i64, next: i64, log: &Log, read_committed: bool) {
        for (offset, number) in log.by_offset.range(from..next) {
            let due = log.is_due(&log.records[*number], read_committed);
            assert!(
                !due || self.has(*number),
                "record {number} at source offset {offset} is lost: progress is {next}"
            );
        }
    }
}
