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

    /// A new identity writes from here on, with sequences from 0. Nothing may be outstanding.
    pub fn begin_sequences(&mut self) {
        self.acknowledged_sequence = 0;
    }

    /// Takes in records that are at the target though this ledger never saw them leave: those that [`Resume::Ahead`] told
    /// of. Nothing may be outstanding.
    pub fn take_in(&mut self, landed: Landed) {
        self.acknowledged_next = landed.next;
        self.promised_next = landed.next;
        self.acknowledged_sequence = add_sequence(self.acknowledged_sequence, landed.records);
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The offset map's business, not the ledger's.
    const RUNS: Runs = Runs { first_record: SourceOffset(0), breaks: Vec::new() };

    fn offset(value: i64) -> SourceOffset {
        SourceOffset(value)
    }

    fn three_batches() -> (Ledger, Vec<Ticket>) {
        let mut ledger = Ledger::new(offset(100), 0);
        let tickets = (0..3)
            .map(|k| {
                ledger.send(offset(100 + 10 * k), offset(110 + 10 * k), 10 * k as i32, 10, RUNS).unwrap()
            })
            .collect();
        (ledger, tickets)
    }

    #[test]
    fn progress_waits_for_the_oldest() {
        let (mut ledger, tickets) = three_batches();
        assert!(!ledger.acknowledge(tickets[1], None).unwrap());
        assert_eq!(ledger.acknowledged_next(), offset(100));
        assert!(ledger.acknowledge(tickets[0], None).unwrap());
        assert_eq!(ledger.acknowledged_next(), offset(120));
        assert_eq!(ledger.acknowledge(tickets[0], None), Err(LedgerError::UnknownTicket));
    }

    #[test]
    fn a_skip_behind_an_outstanding_batch_waits_for_it() {
        let mut ledger = Ledger::new(offset(0), 0);
        let ticket = ledger.send(offset(0), offset(5), 0, 5, RUNS).unwrap();
        ledger.skip(offset(6)).unwrap();
        assert_eq!(ledger.acknowledged_next(), offset(0));
        ledger.acknowledge(ticket, Some(TargetOffset(0))).unwrap();
        assert_eq!(ledger.acknowledged_next(), offset(6));
        assert!(ledger.is_idle());
    }

    #[test]
    fn target_offsets_must_grow() {
        let (mut ledger, tickets) = three_batches();
        ledger.acknowledge(tickets[0], Some(TargetOffset(50))).unwrap();
        let error = ledger.acknowledge(tickets[1], Some(TargetOffset(59))).unwrap_err();
        assert_eq!(
            error,
            LedgerError::TargetWentBackwards { given: TargetOffset(59), last: TargetOffset(59) }
        );
    }

    #[test]
    fn settles_at_a_batch_end_inside_a_batch_and_before_the_first() {
        let (mut ledger, _) = three_batches();
        assert_eq!(ledger.settle(Some(19), None), Resume::Exactly { source: offset(120), sequence: 20 });
        let (mut ledger, _) = three_batches();
        assert_eq!(ledger.settle(Some(14), None), Resume::Exactly { source: offset(115), sequence: 15 });
        let (mut ledger, _) = three_batches();
        assert_eq!(ledger.settle(None, None), Resume::Exactly { source: offset(100), sequence: 0 });
        assert_eq!(ledger.acknowledged_next(), offset(100));
        assert!(ledger.is_idle());
    }

    #[test]
    fn what_fills_the_log_to_its_end_has_its_place_there() {
        let places = |ledger: &mut Ledger| -> Vec<Option<i64>> {
            let base = |one: Settled| match one {
                Settled::Landed(landed) => Some(landed.base.map(|base| base.0)),
                _ => None,
            };
            ledger.take_settled().filter_map(base).collect()
        };
        let (mut ledger, tickets) = three_batches();
        ledger.acknowledge(tickets[0], Some(TargetOffset(50))).unwrap();
        ledger.settle(Some(24), Some(TargetOffset(75)));
        assert_eq!(places(&mut ledger), [Some(50), Some(60), Some(70)]);
        // Somebody else's record is there, too.
        let (mut ledger, tickets) = three_batches();
        ledger.acknowledge(tickets[0], Some(TargetOffset(50))).unwrap();
        ledger.settle(Some(24), Some(TargetOffset(76)));
        assert_eq!(places(&mut ledger), [Some(50), None, None]);
        let (mut ledger, _) = three_batches();
        ledger.settle(Some(29), Some(TargetOffset(30)));
        assert_eq!(places(&mut ledger), [Some(0), Some(10), Some(20)]);
    }

    #[test]
    fn what_is_acknowledged_behind_a_hole_is_sent_again() {
        let (mut ledger, tickets) = three_batches();
        ledger.acknowledge(tickets[1], None).unwrap();
        assert_eq!(ledger.abandon(), Resume::Uncertain { source: offset(100), duplicates: 30 });
    }

    #[test]
    fn tells_a_target_that_lost_acknowledged_records() {
        let mut ledger = Ledger::new(offset(0), 0);
        let ticket = ledger.send(offset(0), offset(10), 0, 10, RUNS).unwrap();
        ledger.acknowledge(ticket, None).unwrap();
        ledger.send(offset(10), offset(20), 10, 10, RUNS).unwrap();
        assert_eq!(ledger.settle(Some(4), None), Resume::TargetLost { source: offset(10), records: 5 });
    }

    #[test]
    fn tells_a_target_that_holds_more_than_was_sent() {
        let mut ledger = Ledger::new(offset(100), 7);
        let ahead = |source, sequence, records| Resume::Ahead { source: offset(source), sequence, records };
        assert_eq!(ledger.settle(Some(6), None), Resume::Exactly { source: offset(100), sequence: 7 });
        assert_eq!(ledger.settle(Some(11), None), ahead(100, 7, 5));
        let runs = Runs::dense(offset(100));
        ledger.take_in(Landed { runs, records: 5, next: offset(106), base: None });
        assert_eq!((ledger.acknowledged_next(), ledger.acknowledged_sequence()), (offset(106), 12));
        ledger.send(offset(106), offset(110), 12, 4, RUNS).unwrap();
        assert_eq!(ledger.settle(Some(17), None), ahead(110, 16, 2));
        assert!(ledger.is_idle());
    }

    #[test]
    fn a_position_inside_a_batch_with_gaps_is_not_guessed() {
        let mut ledger = Ledger::new(offset(0), 0);
        ledger.send(offset(0), offset(100), 0, 10, RUNS).unwrap();
        assert_eq!(ledger.settle(Some(3), None), Resume::Uncertain { source: offset(0), duplicates: 4 });
    }

    #[test]
    fn sequences_wrap() {
        assert_eq!(sequence_distance(i32::MAX, 0), 1);
        assert_eq!(sequence_distance(0, i32::MAX), -1);
        let mut ledger = Ledger::new(offset(0), i32::MAX - 1);
        ledger.send(offset(0), offset(4), i32::MAX - 1, 4, RUNS).unwrap();
        assert_eq!(ledger.settle(Some(1), None), Resume::Exactly { source: offset(4), sequence: 2 });
    }

    proptest! {
        /// Any order of acknowledgements gives a contiguous, monotonic prefix that equals the naive one.
        #[test]
        fn any_order_of_acknowledgements(lengths in prop::collection::vec(1i64..50, 1..40), order in any::<u64>()) {
            let mut ledger = Ledger::new(offset(0), 0);
            let mut ends = Vec::new();
            let mut at = 0;
            for length in &lengths {
                let ticket = ledger.send(offset(at), offset(at + length), at as i32, *length as i32, RUNS).unwrap();
                at += length;
                ends.push((ticket, at));
            }
            let mut done = vec![false; ends.len()];
            let mut left: Vec<usize> = (0..ends.len()).collect();
            let mut random = order;
            let mut last = 0;
            while !left.is_empty() {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let pick = left.swap_remove((random >> 33) as usize % left.len());
                ledger.acknowledge(ends[pick].0, None).unwrap();
                done[pick] = true;
                let naive = done.iter().take_while(|done| **done).count();
                let expected = if naive == 0 { 0 } else { ends[naive - 1].1 };
                prop_assert_eq!(ledger.acknowledged_next(), offset(expected));
                prop_assert!(expected >= last);
                last = expected;
            }
            prop_assert!(ledger.is_idle());
        }

        /// Whatever prefix of dense batches the target appended, settling finds the first record it lacks.
        #[test]
        fn settling_is_exact(lengths in prop::collection::vec(1i32..50, 1..20), appended in 0i32..1000, start in any::<u16>()) {
            let start_sequence = i32::MAX - i32::from(start / 64);
            let mut ledger = Ledger::new(offset(1_000), start_sequence);
            let (mut at, mut sequence) = (1_000, start_sequence);
            for length in &lengths {
                ledger.send(offset(at), offset(at + i64::from(*length)), sequence, *length, RUNS).unwrap();
                at += i64::from(*length);
                sequence = add_sequence(sequence, *length);
            }
            let total: i32 = lengths.iter().sum();
            let appended = appended.min(total);
            let expected_sequence = if appended == 0 { start_sequence } else { add_sequence(start_sequence, appended) };
            let last = (appended > 0).then(|| add_sequence(start_sequence, appended - 1));
            let resume = ledger.settle(last, None);
            prop_assert_eq!(resume, Resume::Exactly { source: offset(1_000 + i64::from(appended)), sequence: expected_sequence });
        }
    }
}
