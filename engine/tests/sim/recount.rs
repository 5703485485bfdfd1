//! How far a former writer came, found as the engine's `recount` does, with the engine's own counting and comparing.

use bytes::Bytes;
use kmirror_engine::flow::count::{Alignment, Count};
use kmirror_engine::flow::epochs::{self, EpochHistory};
use kmirror_engine::flow::event::{Found, Recount};
use kmirror_engine::ids::SourceOffset;
use kmirror_engine::print::Print;
use kmirror_protocol::wire::batch::{Entries, Entry};

use crate::world::{SOURCE_TOPIC, TARGET_TOPIC, World};

/// So many records of the source more than the target holds are looked at.
const LEFT_OUT_MAX: usize = 10_000;

impl World {
    pub(crate) fn recount(&mut self, asked: &Recount) -> Option<Found> {
        let end = asked.epoch.and_then(|epoch| Some((epoch, self.epoch_end(asked.source.partition, epoch)?)));
        if end.is_some_and(|(epoch, end)| end.epoch >= 0 && epochs::parts(end, epoch, asked.from)) {
            return None;
        }
        let earliest = self.source.direct().start_offset(SOURCE_TOPIC, asked.source.partition).unwrap();
        let first = earliest.max(asked.from.0);
        let (entries, gaps) = self.entries_that_count(asked, first);
        let is_dense = first == asked.from.0 && !gaps;
        if is_dense && !asked.by_content {
            let mut count = Count::new(asked.from, asked.records, asked.epoch);
            entries.iter().any(|entry| count.take(entry));
            if let Some(landed) = count.landed() {
                return Some(Found { landed, epochs: epochs_of(&entries), cut_off: 0 });
            }
        }
        let end = self.source.direct().end_offset(SOURCE_TOPIC, asked.source.partition).unwrap();
        let alignment = self.compare(asked, &entries, first)?;
        alignment.found(asked, epochs_of(&entries), is_dense, SourceOffset(end))
    }

    /// What a reader gets from the source, and whether offsets are missing.
    fn entries_that_count(&self, asked: &Recount, first: i64) -> (Vec<Entry>, bool) {
        let partition = asked.source.partition;
        let log = &self.logs[usize::try_from(partition).unwrap()];
        let mut end = self.source.direct().end_offset(SOURCE_TOPIC, partition).unwrap();
        if asked.read_committed {
            end = log.stable_end(end);
        }
        let bytes = self.source.read_from(SOURCE_TOPIC, partition, first).unwrap();
        let (mut next, mut gaps, mut entries) = (first, false, Vec::new());
        for entry in parse(bytes).into_iter().filter(|entry| entry.first_offset() < end) {
            let Entry::Batch(batch) = &entry else { panic!("all are batches") };
            gaps |= entry.first_offset() > next || !batch.header.is_dense();
            next = entry.last_offset() + 1;
            let aborted = log.is_aborted(entry.first_offset(), entry.last_offset());
            if !batch.header.is_control()
                && batch.header.record_count > 0
                && !(asked.read_committed && aborted)
            {
                entries.push(entry);
            }
        }
        (entries, gaps)
    }

    fn compare(&mut self, asked: &Recount, entries: &[Entry], first: i64) -> Option<Alignment> {
        let partition = asked.target.1;
        let end = asked.end?.0;
        let from = (end - i64::from(asked.records)).max(0);
        let held = parse(self.target.read_from(TARGET_TOPIC, partition, from).unwrap());
        let held = self.prints(&held, from, end);
        if i32::try_from(held.len()) != Ok(asked.records) {
            return None;
        }
        let mut alignment = Alignment::new(asked.from, &held, asked.timestamps);
        let prints = self.prints(entries, first, i64::MAX);
        let _ = prints.iter().take(held.len() + LEFT_OUT_MAX).any(|print| alignment.take(print));
        Some(alignment)
    }

    fn prints(&mut self, entries: &[Entry], from: i64, to: i64) -> Vec<Print> {
        let mut prints = Vec::new();
        for entry in entries {
            self.printer.prints(entry, from, to, &mut prints).unwrap();
        }
        prints
    }
}

fn epochs_of(entries: &[Entry]) -> EpochHistory {
    let mut epochs = EpochHistory::default();
    for entry in entries {
        let Entry::Batch(batch) = entry else { panic!("all are batches") };
        epochs.learn(batch.header.partition_leader_epoch, SourceOffset(batch.header.base_offset));
    }
    epochs
}

fn parse(bytes: Bytes) -> Vec<Entry> {
    Entries::new(bytes).map(Result::unwrap).collect()
}
