//! The ledger of one partition: which source offsets the target has acknowledged.
//!
//! Every stretch of source offsets that leaves for the target is written down before it is sent and struck out
//! when it is acknowledged. Progress is the end of the contiguous acknowledged prefix, so it never passes a record
//! that could still be lost.
//!
//! Invariants (numbers from ARCHITECTURE.md):
//! 1. `acknowledged_next` only grows, and never passes an unacknowledged slot.
//! 2. Target offsets grow with source offsets.
//!
//! Pure: knows nothing of topics, brokers, time or bytes.

use std::collections::VecDeque;

use thiserror::Error;

use crate::ids::{SourceOffset, TargetOffset};
use crate::offsets::stretch::{Landed, Runs, Settled};

/// Names one stretch that was sent; given back with its acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// A broken invariant: a defect of ours or a target that lies. The partition must stop.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A stretch was to be sent that begins before the end of what was sent already.
    #[error("source offset {first} was to be sent again: everything before {promised} is on its way or done")]
    Overlap {
        /// Where the stretch begins.
        first: SourceOffset,
        /// Everything before this was sent already.
        promised: SourceOffset,
    },
    /// An acknowledgement for something that is not outstanding.
    #[error("an acknowledgement came for a batch that is not outstanding")]
    UnknownTicket,
    /// The target assigned an offset that does not lie behind the one before.
    #[error("the target put a batch at offset {given}, not behind {last} where the batch before it lies")]
    TargetWentBackwards {
        /// The offset assigned to this batch.
        given: TargetOffset,
        /// The highest offset acknowledged before it.
        last: TargetOffset,
    },
}

/// One stretch of source offsets on its way: `[first, next)`.
#[derive(Debug, Clone)]
struct Slot {
    first: SourceOffset,
    next: SourceOffset,
    base_sequence: i32,
    /// Zero for a stretch that was dropped: it is acknowledged from the start.
    records: i32,
    /// The source offsets of the records.
    runs: Runs,
    acknowledged: bool,
    /// The target offset of the first record, once the target told it.
    base: Option<TargetOffset>,
}

impl Slot {
    /// Whether record k of the batch is source offset `first + k`.
    fn is_dense(&self) -> bool {
        self.next.0 - self.first.0 == i64::from(self.records)
    }

    /// What is to be told of it, once it is at the target.
    fn settled(self) -> Settled {
        match self.records {
            0 => Settled::Skipped(self.next),
            records => Settled::Landed(Landed { runs: self.runs, records, next: self.next, base: self.base }),
        }
    }
}

/// Where to go on after sends whose outcome is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// The target holds exactly the records before `source`; the next record has sequence `sequence`.
    Exactly {
        /// The first source offset the target does not have.
        source: SourceOffset,
        /// Its sequence number.
        sequence: i32,
    },
    /// The target's answer cannot be matched to one source offset. Going on at `source` loses nothing and writes
    /// at most `duplicates` records twice. Needs a new producer identity.
    Uncertain {
        /// The first source offset that is not proved to be at the target.
        source: SourceOffset,
        /// At most this many records may arrive twice.
        duplicates: i64,
    },
    /// The target holds all that was sent, and `records` more under the same identity: a former process sent them after it
    /// had last written down its progress, or another process has the partition, too. They are the source's records from
    /// `source` on, whichever process sent them.
    Ahead {
        /// The source offset where they begin.
        source: SourceOffset,
        /// The sequence of the first of them.
        sequence: i32,
        /// How many they are.
        records: i32,
    },
    /// The target has fewer records of ours than it acknowledged: it lost `records` (unclean leader election,
    /// deleted log). Needs a new producer identity.
    TargetLost {
        /// The first source offset that was never acknowledged.
        source: SourceOffset,
        /// How many acknowledged records are missing at the target's end.
        records: i64,
    },
}

/// Half the sequence space: a sequence further ahead than this lies behind.
const HALF_SEQUENCE_SPACE: i64 = 1 << 30;
/// Sequence numbers wrap from `i32::MAX` to 0 (`DefaultRecordBatch.incrementSequence`).
const SEQUENCE_SPACE: i64 = 1 << 31;

/// The signed distance from sequence `from` to sequence `to` on the circle of sequence numbers.
fn sequence_distance(from: i32, to: i32) -> i64 {
    let distance = (i64::from(to) - i64::from(from)).rem_euclid(SEQUENCE_SPACE);
    if distance >= HALF_SEQUENCE_SPACE { distance - SEQUENCE_SPACE } else { distance }
}

/// See the module's description.
#[derive(Debug)]
pub struct Ledger {
    slots: VecDeque<Slot>,
    /// The ticket of `slots[0]`.
    first_ticket: u64,
    acknowledged_next: SourceOffset,
    /// The sequence of the record there.
    acknowledged_sequence: i32,
    /// The end of what was sent or dropped.
    promised_next: SourceOffset,
    last_target: Option<TargetOffset>,
    /// What became of stretches, in order, until somebody asks for it.
    settled: Vec<Settled>,
}

impl Ledger {
    /// A ledger for a partition whose records before `start` are at the target already (or not wanted). The next record
    /// gets `sequence`.
    pub fn new(start: SourceOffset, sequence: i32) -> Self {
        Self {
            slots: VecDeque::new(),
            first_ticket: 0,
            acknowledged_next: start,
            acknowledged_sequence: sequence,
            promised_next: start,
            last_target: None,
            settled: Vec::new(),
        }
    }

    /// What became of stretches since this was asked the last time, in order.
    pub fn take_settled(&mut self) -> std::vec::Drain<'_, Settled> {
        self.settled.drain(..)
    }

    /// The end of the contiguous acknowledged prefix: every source record before it is at the target, or was
    /// dropped on purpose.
    pub fn acknowledged_next(&self) -> SourceOffset {
        self.acknowledged_next
    }

    /// The sequence that the record at [`Self::acknowledged_next`] has, or will have.
    pub fn acknowledged_sequence(&self) -> i32 {
        self.acknowledged_sequence
    }

    /// Another identity writes from here on, with sequences from `first`. Nothing may be outstanding.
    pub fn begin_sequences(&mut self, first: i32) {
        self.acknowledged_sequence = first;
    }

    /// Takes in records that are at the target though this ledger never saw them leave: those that [`Resume::Ahead`] told
    /// of. Nothing may be outstanding.
    pub fn take_in(&mut self, landed: Landed) {
        self.acknowledged_next = landed.next;
        self.promised_next = landed.next;
        self.acknowledged_sequence = add_sequence(self.acknowledged_sequence, landed.records);
        self.last_target = landed.base.map(|base| TargetOffset(base.0 + i64::from(landed.records) - 1));
        self.settled.push(Settled::Landed(landed));
    }

    /// The end of what was sent or dropped: what is sent next must not begin before it.
    pub fn promised_next(&self) -> SourceOffset {
        self.promised_next
    }

    /// How many sent stretches wait for their acknowledgement.
    pub fn outstanding(&self) -> usize {
        self.slots.iter().filter(|slot| !slot.acknowledged).count()
    }

    /// Whether nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.slots.is_empty()
    }

    /// Begins anew at `start`, which may lie before what was acknowledged: the source's log was truncated.
    /// Nothing may be outstanding.
    pub fn begin_again(&mut self, start: SourceOffset) {
        self.first_ticket += self.slots.len() as u64;
        self.slots.clear();
        self.acknowledged_next = start;
        self.promised_next = start;
        self.settled.push(Settled::CutOff(start));
    }

    /// Writes down that the source offsets `[first, next)` leave as `records` records with sequences from
    /// `base_sequence`, at the source offsets that `runs` tells.
    ///
    /// # Errors
    /// [`LedgerError::Overlap`] when part of it was sent before.
    pub fn send(
        &mut self,
        first: SourceOffset,
        next: SourceOffset,
        base_sequence: i32,
        records: i32,
        runs: Runs,
    ) -> Result<Ticket, LedgerError> {
        let (acknowledged, base) = (false, None);
        self.promise(Slot { first, next, base_sequence, records, runs, acknowledged, base })
    }

    /// Writes down that the source offsets up to `next` were dropped on purpose.
    ///
    /// # Errors
    /// [`LedgerError::Overlap`] when `next` lies before what was sent already.
    pub fn skip(&mut self, next: SourceOffset) -> Result<(), LedgerError> {
        let first = self.promised_next;
        let (runs, acknowledged, base) = (Runs::dense(first), true, None);
        self.promise(Slot { first, next, base_sequence: 0, records: 0, runs, acknowledged, base })?;
        self.advance();
        Ok(())
    }

    fn promise(&mut self, slot: Slot) -> Result<Ticket, LedgerError> {
        if slot.first < self.promised_next || slot.next < slot.first {
            return Err(LedgerError::Overlap { first: slot.first, promised: self.promised_next });
        }
        self.promised_next = slot.next;
        let ticket = Ticket(self.first_ticket + self.slots.len() as u64);
        self.slots.push_back(slot);
        Ok(ticket)
    }

    /// Strikes out one stretch; `base_offset` is the target offset of its first record, where the target told it.
    /// Returns whether [`Self::acknowledged_next`] moved.
    ///
    /// # Errors
    /// [`LedgerError::UnknownTicket`], [`LedgerError::TargetWentBackwards`]: defects, never normal operation.
    pub fn acknowledge(
        &mut self,
        ticket: Ticket,
        base_offset: Option<TargetOffset>,
    ) -> Result<bool, LedgerError> {
        let index = ticket.0.checked_sub(self.first_ticket).and_then(|index| usize::try_from(index).ok());
        let slot = index.and_then(|index| self.slots.get_mut(index)).filter(|slot| !slot.acknowledged);
        let Some(slot) = slot else { return Err(LedgerError::UnknownTicket) };
        slot.acknowledged = true;
        slot.base = base_offset;
        if let Some(base) = base_offset {
            if let Some(last) = self.last_target.filter(|last| base <= *last) {
                return Err(LedgerError::TargetWentBackwards { given: base, last });
            }
            self.last_target = Some(TargetOffset(base.0 + i64::from(slot.records) - 1));
        }
        Ok(self.advance())
    }

    fn advance(&mut self) -> bool {
        let before = self.acknowledged_next;
        while self.slots.front().is_some_and(|slot| slot.acknowledged) {
            let Some(slot) = self.slots.pop_front() else { break };
            debug_assert!(slot.next >= self.acknowledged_next, "invariant 1");
            self.acknowledged_next = slot.next;
            if slot.records > 0 {
                self.acknowledged_sequence = add_sequence(slot.base_sequence, slot.records);
            }
            self.settled.push(slot.settled());
            self.first_ticket += 1;
        }
        self.acknowledged_next != before
    }

    /// Settles every outstanding stretch by what the target says it holds: `last_sequence` is the sequence of the
    /// last record of ours in the partition (`None`: the target knows no record of this producer), `end` where its log
    /// ends. Afterwards the ledger is idle and begins again at the returned source offset.
    pub fn settle(&mut self, last_sequence: Option<i32>, end: Option<TargetOffset>) -> Resume {
        let resume = self.match_sequence(last_sequence);
        if let (Resume::Exactly { sequence, .. }, Some(end)) = (&resume, end) {
            self.place(sequence_distance(self.acknowledged_sequence, *sequence), end);
        }
        if matches!(resume, Resume::TargetLost { .. }) {
            // Its log is shorter than it was: offsets are assigned a second time.
            self.last_target = None;
        }
        match resume {
            Resume::Exactly { source, sequence } | Resume::Ahead { source, sequence, .. } => {
                self.restart_at(source);
                self.acknowledged_sequence = sequence;
            }
            Resume::Uncertain { source, .. } | Resume::TargetLost { source, .. } => self.restart_at(source),
        }
        resume
    }

    /// Tells stretches where they are at the target, if the `records` that it holds of them fill its log from the record
    /// acknowledged last (from its beginning, if they are our first) to `end`: others may write there, too.
    fn place(&mut self, records: i64, end: TargetOffset) {
        let begin = end.0 - records;
        let ours = match self.last_target {
            Some(last) => begin == last.0 + 1,
            None => begin == 0 && self.acknowledged_sequence == 0,
        };
        if !ours || records == 0 {
            return;
        }
        let mut next = begin;
        for slot in self.slots.iter_mut().filter(|slot| slot.records > 0) {
            if next >= end.0 {
                break;
            }
            slot.base = Some(TargetOffset(next));
            next += i64::from(slot.records);
        }
        self.last_target = Some(TargetOffset(end.0 - 1));
    }

    /// Behind the last record of ours that the target holds, as far as that is known.
    pub(crate) fn target_end(&self) -> Option<TargetOffset> {
        self.last_target.map(|last| TargetOffset(last.0 + 1))
    }

    /// The target's log ends here. If it is shorter than it was, its offsets are assigned a second time.
    pub fn see_end(&mut self, end: TargetOffset) {
        self.last_target = self.last_target.filter(|last| *last < end);
    }

    /// Forgets every outstanding stretch, none of which is proved to be at the target.
    pub fn abandon(&mut self) -> Resume {
        // What was acknowledged behind the first that was not is sent again, too.
        let duplicates = self.slots.iter().map(|slot| i64::from(slot.records)).sum();
        let source = self.acknowledged_next;
        self.restart_at(source);
        Resume::Uncertain { source, duplicates }
    }

    fn restart_at(&mut self, source: SourceOffset) {
        self.first_ticket += self.slots.len() as u64;
        for slot in self.slots.drain(..) {
            if slot.next <= source {
                self.settled.push(slot.settled());
            } else if slot.first < source {
                // Only of records at consecutive offsets can a part be at the target, see `match_sequence`.
                let records = i32::try_from(source.0 - slot.first.0).unwrap_or(slot.records);
                self.settled.push(Slot { next: source, records, ..slot }.settled());
            }
        }
        self.acknowledged_next = self.acknowledged_next.max(source);
        self.promised_next = self.acknowledged_next;
    }

    fn match_sequence(&self, last_sequence: Option<i32>) -> Resume {
        let known = self.acknowledged_sequence;
        // None: the producer is unknown there, so that nothing outstanding is proved to be appended.
        let appended_next = last_sequence.map_or(known, next_sequence);
        let lost = sequence_distance(appended_next, known);
        if lost > 0 {
            return Resume::TargetLost { source: self.acknowledged_next, records: lost };
        }
        let mut end = (known, self.acknowledged_next);
        for slot in self.slots.iter().filter(|slot| slot.records > 0) {
            let appended = sequence_distance(slot.base_sequence, appended_next);
            if appended <= 0 {
                break;
            }
            if appended < i64::from(slot.records) {
                return if slot.is_dense() {
                    Resume::Exactly { source: SourceOffset(slot.first.0 + appended), sequence: appended_next }
                } else {
                    Resume::Uncertain { source: slot.first, duplicates: appended }
                };
            }
            end = (add_sequence(slot.base_sequence, slot.records), slot.next);
        }
        let (sequence, source) = end;
        match i32::try_from(sequence_distance(sequence, appended_next)) {
            Ok(records) if records > 0 => Resume::Ahead { source, sequence, records },
            _ => Resume::Exactly { source, sequence },
        }
    }
}

fn next_sequence(last: i32) -> i32 {
    add_sequence(last, 1)
}

fn add_sequence(base: i32, records: i32) -> i32 {
    kmirror_protocol::wire::batch::next_sequence(base, records)
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "the numbers of these tests are small")]
mod tests;
