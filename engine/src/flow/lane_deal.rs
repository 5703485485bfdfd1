//! Source partitions whose records are dealt out over the target's partitions by key.
//!
//! Such a partition has one state that reads (the reader) and one for each target partition that sends (its outlets).
//! An outlet has a producer identity of its own, since every other source partition writes to the same target
//! partitions, and a ledger of its own: what belongs to other outlets is passed over in it. The partition is mirrored
//! as far as the slowest of its outlets is. When one of them has to send again, all drop what they have not sent and
//! the reader begins again at the first record that any of them lacks; each leaves out what it has.
//!
//! After a crash the outlets that were ahead of the slowest repeat what they were ahead: order holds for each key, and
//! nothing is lost, but records may be there twice. A clean stop sends all that was dealt out.

use kmirror_protocol::wire::batch::Entry;
use kmirror_protocol::wire::produce::ProduceEntry;
use kmirror_protocol::wire::record::RecordError;
use kmirror_protocol::wire::reencode::Encoded;

use super::event::{Action, Begin, Question, Slot};
use super::lane::Lane;
use super::partition::{Assignment, Partition, Role, TargetSide};
use super::position::Restart;
use super::rewrite::Step;
use crate::error::chain;
use crate::ids::SourceOffset;

/// How the outlets of a reader stand.
pub(crate) struct DealtOut {
    /// All of them take records.
    pub(crate) ready: bool,
    /// Bytes in their queues.
    pub(crate) buffered: usize,
}

impl Lane {
    /// Adds a reader at `slot` and its outlets behind it.
    pub(crate) fn assign_dealt(&mut self, slot: Slot, assignment: &Assignment, count: i32) {
        let mut reader = Partition::new(assignment.clone(), self.identity);
        let outlets: Vec<Slot> = (1..).zip(0..count).map(|(step, _)| Slot(slot.0 + step)).collect();
        reader.role = Role::Reader(outlets.clone());
        reader.tell_running();
        self.partitions.push(Some(reader));
        for (outlet, target_partition) in outlets.into_iter().zip(0..) {
            let mut partition = Partition::new(assignment.clone(), self.identity);
            partition.role = Role::Outlet(slot);
            partition.target_partition = target_partition;
            self.partitions.push(Some(partition));
            self.renew(outlet);
        }
    }

    /// The outlets of a reader; none of any other.
    fn outlets(&self, slot: Slot) -> &[Slot] {
        match self.partition(slot).map(|partition| &partition.role) {
            Some(Role::Reader(outlets)) => outlets,
            _ => &[],
        }
    }

    /// The slot that reads for this one.
    pub(crate) fn reader_of(&self, slot: Slot) -> Slot {
        match self.partition(slot).map(|partition| &partition.role) {
            Some(Role::Outlet(reader)) => *reader,
            _ => slot,
        }
    }

    pub(crate) fn dealt_out(&self, slot: Slot) -> DealtOut {
        let outlets = self.outlets(slot).iter().filter_map(|outlet| self.partition(*outlet));
        outlets.fold(DealtOut { ready: true, buffered: 0 }, |all, outlet| DealtOut {
            ready: all.ready && outlet.target_side == TargetSide::Sending && !outlet.stopped,
            buffered: all.buffered + outlet.buffered,
        })
    }

    /// Whether an outlet could send more.
    pub(crate) fn outlets_have_more(&self) -> bool {
        self.partitions.iter().flatten().any(|partition| {
            matches!(partition.role, Role::Outlet(_))
                && !partition.queue.is_empty()
                && partition.target_side == TargetSide::Sending
                && !partition.stopped
                && partition.target_leader.is_some()
        })
    }

    /// Whether a request already holds a batch for the same target partition: it may hold one only.
    /// Of several the broker keeps the last, and answers once. Where some share their target partitions all are looked at: a
    /// partition that is mirrored one to one may meet an outlet.
    pub(crate) fn meets_another(&self, slot: Slot, entries: &[ProduceEntry]) -> bool {
        let partition = self.partition(slot).filter(|_| self.shares_targets);
        partition.is_some_and(|partition| {
            entries.iter().any(|entry| {
                entry.partition == partition.target_partition && entry.topic == partition.target_topic
            })
        })
    }

    /// Puts down how far the source partition is mirrored: as far as its slowest outlet.
    /// In a transaction that is done when it ends.
    pub(crate) fn publish(&mut self, slot: Slot, records: u64, bytes: u64) {
        if self.is_transactional() {
            return self.publish_later(slot, records, bytes);
        }
        if let Some(partition) = self.partition(slot) {
            partition.status.count(records, bytes);
        }
        self.publish_now(slot);
    }

    /// The same, now.
    pub(crate) fn publish_now(&mut self, slot: Slot) {
        if let Some(partition) = self.partition_mut(slot) {
            partition.tell_settled();
            partition.whole.forget_before(partition.ledger.acknowledged_next());
        }
        let Some(partition) = self.partition(slot) else { return };
        let reader = self.reader_of(slot);
        let outlets = self.outlets(reader).iter().filter_map(|outlet| self.partition(*outlet));
        let slowest = outlets.map(|outlet| outlet.ledger.acknowledged_next()).min();
        let next = slowest.unwrap_or_else(|| partition.ledger.acknowledged_next());
        let mark = partition.mark().filter(|_| !self.is_transactional());
        partition.status.set_acknowledged(next, mark);
    }

    /// The end of what left for the target.
    pub(crate) fn promised_next(&self, slot: Slot) -> SourceOffset {
        let outlets = self.outlets(slot).iter().filter_map(|outlet| self.partition(*outlet));
        let furthest = outlets.map(|outlet| outlet.ledger.promised_next()).max();
        let own = self.partition(slot).map(|partition| partition.ledger.promised_next());
        furthest.or(own).unwrap_or(SourceOffset(0))
    }

    /// The source's log was cut off at `at`: all that sent records behind it begin again there.
    pub(crate) fn begin_all_again(&mut self, slot: Slot, at: SourceOffset) {
        let outlets = self.outlets(slot).to_vec();
        if outlets.is_empty() {
            return self.begin_again(slot, Restart::CutOff(at));
        }
        for outlet in outlets {
            if self.promised_next(outlet) > at {
                self.begin_again(outlet, Restart::CutOff(at));
            }
        }
        self.read_again(slot);
    }

    /// An outlet lacks records that were dealt out: its reader begins again with the first that any outlet lacks.
    pub(crate) fn read_again(&mut self, slot: Slot) {
        let reader = self.reader_of(slot);
        let outlets = self.outlets(reader).to_vec();
        let mut from: Option<SourceOffset> = None;
        for outlet in outlets {
            let Some(outlet) = self.partition_mut(outlet) else { continue };
            // Not `drop_buffers`: an answer that another outlet waits for stays good.
            outlet.queue.clear();
            outlet.buffered = 0;
            let lacks = outlet.ledger.promised_next();
            from = Some(from.map_or(lacks, |from| from.min(lacks)));
        }
        if let (Some(from), Some(reader)) = (from, self.partition_mut(reader)) {
            reader.drop_buffers();
            reader.fetch_offset = from;
        }
    }

    /// Has the next records dealt out.
    pub(crate) fn advance_dealing(&mut self, slot: Slot, outlets: &[Slot]) {
        while let Some(partition) = self.partition_mut(slot).filter(|one| one.job_end.is_none()) {
            match partition.backlog.next_step(&partition.rules) {
                None => return,
                Some(Step::Skip { reason, next, bytes }) => {
                    partition.buffered = partition.buffered.saturating_sub(bytes);
                    self.status.counters.dropped(reason).add(1, bytes as u64);
                    self.pass_all(outlets, next);
                }
                Some(Step::Reencode { reason, entries, .. }) => {
                    let bytes: usize = entries.iter().map(Entry::size).sum();
                    self.status.counters.reencoded(reason).add(entries.len() as u64, bytes as u64);
                    self.deal(slot, outlets, entries, bytes);
                }
                Some(Step::Forward(batch) | Step::SetAside(batch, _)) => {
                    let bytes = batch.header.total_len();
                    self.deal(slot, outlets, vec![Entry::Batch(batch)], bytes);
                }
            }
        }
    }

    fn deal(&mut self, slot: Slot, outlets: &[Slot], entries: Vec<Entry>, bytes: usize) {
        let from: Vec<SourceOffset> = outlets.iter().map(|outlet| self.promised_next(*outlet)).collect();
        let first = SourceOffset(entries.first().map_or(0, Entry::first_offset));
        let outlets = || outlets.iter().filter_map(|outlet| self.partition(*outlet));
        // What one target partition refused, the others would refuse as well.
        let largest = outlets().map(|outlet| outlet.rules.max_batch_bytes).min();
        let inspecting = outlets().find(|outlet| first < outlet.inspect_until);
        let timestamps = inspecting.and_then(|outlet| outlet.rules.timestamps);
        let Some(partition) = self.partition_mut(slot) else { return };
        let question = Question { slot, generation: partition.generation };
        let mut shape = partition.shape(&entries);
        shape.max_batch_bytes = largest.unwrap_or(shape.max_batch_bytes);
        partition.job_end = entries.last().map(|entry| SourceOffset(entry.last_offset() + 1));
        partition.job_bytes = bytes;
        let begin = Begin::ForEach(from);
        self.actions.push(Action::Reencode { question, entries, begin, shape, timestamps });
    }

    pub(crate) fn dealt(&mut self, question: Question, result: Result<Vec<Vec<Encoded>>, RecordError>) {
        let (slot, now) = (question.slot, self.now);
        let Some(partition) = self.asked(question) else { return };
        let end = partition.job_end.take();
        partition.buffered = partition.buffered.saturating_sub(std::mem::take(&mut partition.job_bytes));
        let home = partition.source_home(now);
        let outlets = self.outlets(slot).to_vec();
        match result {
            Ok(shares) => {
                for (outlet, share) in outlets.iter().zip(shares) {
                    if let Some(outlet) = self.partition_mut(*outlet) {
                        outlet.queue_encoded(share);
                    }
                }
                if let Some(end) = end {
                    self.pass_all(&outlets, end);
                }
                self.advance(slot);
                self.sync_session(slot);
            }
            Err(error) => {
                self.read_again(slot);
                if let Some(node) = home {
                    self.damaged(slot, node, &chain(&error));
                }
            }
        }
    }

    /// Nothing before `next` is left to come for these outlets.
    fn pass_all(&mut self, outlets: &[Slot], next: SourceOffset) {
        for outlet in outlets {
            if let Some(partition) =
                self.partition_mut(*outlet).filter(|one| one.ledger.promised_next() < next)
            {
                partition.queue_skip(next);
            }
            self.make_ready(*outlet);
        }
    }

    /// A stopped outlet stops its whole source partition.
    pub(crate) fn stop_reader_of(&mut self, slot: Slot) {
        let reader = self.reader_of(slot);
        if let Some(partition) = self.partition_mut(reader).filter(|_| reader != slot) {
            partition.stopped = true;
            partition.drop_buffers();
        }
    }

    /// Takes back the outlets of a reader that is taken back.
    pub(crate) fn revoke_outlets(&mut self, slot: Slot) {
        for outlet in self.outlets(slot).to_vec() {
            if let Some(partition) = self.partitions.get_mut(outlet.0) {
                *partition = None;
            }
        }
    }
}
