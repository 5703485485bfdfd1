//! What happens to a partition after a send that failed or whose outcome is unknown.
//!
//! There is one way for all of it. Everything buffered is dropped (it is still at the source), the answers to the
//! requests in flight are awaited, and then the partition's leader is asked for the last sequence it holds of our
//! producer (DescribeProducers, KIP-664). The ledger knows which source offset that sequence was, so fetching goes
//! on at exactly the next record. This needs no buffered copy of what was sent, and holds for any number of
//! requests in flight, where the broker's own duplicate detection ends at five batches.
//!
//! A request that is still in the broker's socket when it is asked may be appended after the answer. Then the
//! sequence that we use next is taken: the broker answers OUT_OF_ORDER_SEQUENCE_NUMBER, we ask again and skip what
//! arrived. The sequence acts as a compare-and-swap on the end of the partition; nothing is written twice.
//!
//! A target that cannot tell (before Kafka 2.8, or without READ on the topic) gets a new producer identity and the
//! unacknowledged records again: nothing is lost, and the possible duplicates are counted.

use std::sync::Arc;

use kmirror_protocol::client::retry::{self, Action as Remedy};
use kmirror_protocol::wire::error::ErrorCode;

use super::event::{Action, Cause, Described, Found, Note, Question, Recount, Side, Slot, explain_code};
use super::lane::Lane;
use super::lane_target::Sent;
use super::ledger::Resume;
use super::partition::{Partition, Role, TargetSide};
use super::position::{Loss, Restart};
use crate::ids::{Identity, SourceOffset, TargetOffset};
use crate::offsets::map::Translation;

impl Lane {
    /// The target refused a batch.
    pub(crate) fn refused(&mut self, sent: &Sent, code: ErrorCode, message: Option<&str>) {
        let slot = sent.slot();
        let Some(partition) = self.partition_mut(slot) else { return };
        if partition.target_side != TargetSide::Sending {
            // Whatever followed the first refusal is refused too (its sequence is out of order).
            return self.after_answer(slot);
        }
        let cause: Cause = format!("the target refused a batch: {}", explain_code(code, message)).into();
        match code {
            ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => return self.too_large(sent, cause),
            ErrorCode::InvalidTimestamp => return self.untimely(slot, cause),
            ErrorCode::CorruptMessage => {
                partition.doubt_what_was_sent();
                return self.target_failed(slot, cause, false);
            }
            _ => {}
        }
        let remedy = retry::decide(code);
        if remedy == Remedy::RefreshAndRetry {
            self.refresh(Side::Target);
        }
        if code == ErrorCode::UnknownTopicOrPartition {
            self.actions.push(Action::Rediscover);
        }
        self.target_failed(slot, cause, matches!(remedy, Remedy::Fatal(_)));
    }

    /// Batches of several records are split from now on; a single record is set aside when it comes again.
    fn too_large(&mut self, sent: &Sent, cause: Cause) {
        let slot = sent.slot();
        let Some(partition) = self.partition_mut(slot) else { return };
        let limit = if sent.records() <= 1 { sent.bytes() - 1 } else { sent.bytes() / 2 };
        partition.rules.max_batch_bytes = partition.rules.max_batch_bytes.min(limit);
        self.target_failed(slot, cause, false);
    }

    /// Stops sending a partition until its state at the target is clear.
    pub(crate) fn target_failed(&mut self, slot: Slot, cause: Cause, for_a_person: bool) {
        let Some(partition) = self.partition_mut(slot) else { return };
        if partition.stopped || partition.target_side != TargetSide::Sending {
            return self.after_answer(slot);
        }
        partition.drop_buffers();
        partition.acknowledged_at = None;
        partition.target_side = TargetSide::Draining;
        partition.drained_cause = Some((cause, for_a_person));
        self.sync_session(slot);
        self.after_answer(slot);
    }

    /// The source's log is another: goes on there when it is known what became of all that is in flight.
    pub(crate) fn begin_again(&mut self, slot: Slot, restart: Restart) {
        let Some(partition) = self.partition_mut(slot) else { return };
        partition.begin_again_at = Some(match (partition.begin_again_at, restart) {
            (Some(Restart::CutOff(before)), Restart::CutOff(at)) => Restart::CutOff(at.min(before)),
            _ => restart,
        });
        partition.drop_buffers();
        partition.target_side = TargetSide::Draining;
        self.after_answer(slot);
    }

    /// After each answer: a partition that waits for its last one goes on to the next stage of recovery.
    pub(crate) fn after_answer(&mut self, slot: Slot) {
        let Some(partition) = self.partition_mut(slot) else { return };
        if partition.outstanding > 0 {
            return;
        }
        match partition.target_side {
            TargetSide::Draining => match partition.drained_cause.take() {
                Some((cause, for_a_person)) => self.hold_target(slot, cause, for_a_person),
                None if partition.ledger.is_idle() => self.resume(slot),
                // Their connection is gone. What lies before the place to begin again may not have arrived.
                None => self.hold_target(slot, "what became of the last requests is not known".into(), false),
            },
            // The leader may have moved while batches were in flight to the old one.
            _ => self.make_ready(slot),
        }
    }

    /// A partition's pause is over.
    pub(crate) fn retry_target(&mut self, slot: Slot) {
        let held = self.partition_mut(slot).filter(|one| one.target_side == TargetSide::Held);
        let Some(partition) = held else { return };
        if partition.target_leader.is_none() {
            self.refresh(Side::Target);
            return self.hold_target(slot, "the target partition has no leader".into(), false);
        }
        let Some(identity) = partition.identity else { return self.renew(slot) };
        if partition.ledger.is_idle() && partition.unproven.is_none() {
            return self.resume(slot);
        }
        partition.target_side = TargetSide::Asking;
        let question = Question { slot, generation: partition.generation };
        let topic = Arc::clone(&partition.target_topic);
        let (min_in_sync, partition) = (partition.rules.min_in_sync, partition.target_partition);
        self.status.counters.add_recovery();
        self.actions.push(Action::Describe { question, topic, partition, identity, min_in_sync });
    }

    pub(crate) fn described(&mut self, question: Question, described: Described) {
        let slot = question.slot;
        let (transactional, shares_targets) = (self.is_transactional(), self.shares_targets);
        let Some(partition) = self.asked(question).filter(|one| one.target_side == TargetSide::Asking) else {
            return;
        };
        if let Some(end) = described.end() {
            partition.ledger.see_end(end);
        }
        if !matches!(described, Described::Failed(_)) {
            partition.target_end = described.end();
        }
        // Brokers go by the timestamps of records (`ProducerStateManager.isProducerExpired`): one that restarts, or looks
        // through its producers every ten minutes, forgets at once who writes records of long ago. So what was sent last
        // may be there. Only while a transaction is open nobody in it is forgotten: there the target lost what it had
        // acknowledged, and the transaction cannot count.
        //
        // If nobody else writes there, the first batch may be, too, once the log has grown.
        let end_tells = !transactional && partition.role == Role::Whole;
        let has_grown = partition.begun_at.zip(described.end()).is_some_and(|(begun, end)| begun < end);
        let is_forgotten =
            partition.ledger.acknowledged_sequence() > 0 || end_tells && !shares_targets && has_grown;
        match described {
            Described::Failed(cause) => {
                self.refresh(Side::Target);
                self.hold_target(slot, cause, false);
            }
            Described::LastSequence(last, end) => {
                let resume = partition.ledger.settle(Some(last), end);
                self.resume_by(slot, resume, end);
            }
            Described::Nothing(end) if partition.unproven.is_some() => {
                let never_sent = partition.ledger.acknowledged_sequence() == 0;
                self.judge_by_end(slot, end, never_sent);
            }
            Described::CannotTell(_, end) if partition.unproven.is_some() => {
                self.judge_by_end(slot, end, false);
            }
            Described::Nothing(end) if is_forgotten && end_tells => {
                partition.ledger.abandon();
                partition.next_sequence = partition.ledger.acknowledged_sequence();
                partition.unproven = Some(0);
                self.judge_by_end(slot, end, false);
            }
            Described::Nothing(_) if !is_forgotten => {
                let resume = partition.ledger.settle(None, None);
                self.resume_by(slot, resume, None);
            }
            Described::Nothing(_) | Described::CannotTell(..) => {
                let resume = partition.ledger.abandon();
                self.resume_by(slot, resume, None);
            }
        }
    }

    /// Goes on under the identity of a former writer, of whom the target `holds` this.
    pub(crate) fn take_over(&mut self, slot: Slot, holds: Described) {
        let Some(partition) = self.partition_mut(slot) else { return };
        partition.unproven = Some(0);
        partition.target_side = TargetSide::Asking;
        let question = Question { slot, generation: partition.generation };
        self.described(question, holds);
    }

    /// The target remembers nothing of a former writer, or does not tell. Its log's end tells how many records it has
    /// behind the last one that the offset map knows; a broker that remembers nothing takes any sequence, so that the
    /// identity stays.
    fn judge_by_end(&mut self, slot: Slot, end: TargetOffset, never_sent: bool) {
        let Some(partition) = self.partition_mut(slot) else { return };
        let known = {
            let map = partition.status.offset_map();
            let begun = partition.begun_at.filter(|_| partition.ledger.acknowledged_sequence() == 0);
            match (begun, map.translate(partition.ledger.acknowledged_next())) {
                (Some(at), _) | (None, Translation::Exact(at)) => Some((at, true)),
                _ => map.end().map(|(_, at)| (at, false)),
            }
        };
        let more = known.map_or(if never_sent { 0 } else { end.0 }, |(at, _)| end.0 - at.0);
        let proved = known.is_some_and(|(_, exact)| exact);
        match i32::try_from(more) {
            Ok(0) => self.is_proved(slot),
            Ok(records) if records > 0 && proved => self.recount(slot, records, Some(end), true),
            _ if more < 0 => self.target_lost(slot, -more, Some(end)),
            _ => {
                // What a former writer left in a socket comes between there and our first batch, which tells.
                let shares_targets = self.shares_targets;
                if let Some(partition) = self.partition_mut(slot).filter(|_| !shares_targets) {
                    partition.given_up_at = partition.given_up_at.or(Some(end));
                }
                self.cannot_prove(slot, more);
            }
        }
    }

    /// Has the records of the source found that the target holds behind those of the ledger, up to `end`. More may come
    /// meanwhile: what was still in a socket.
    fn recount(&mut self, slot: Slot, records: i32, end: Option<TargetOffset>, by_content: bool) {
        let read_committed = self.options.read_committed;
        let Some(partition) = self.partition_mut(slot) else { return };
        partition.unproven = Some(records);
        partition.target_side = TargetSide::Asking;
        let question = Question { slot, generation: partition.generation };
        let from = partition.ledger.acknowledged_next();
        let recount = Recount {
            source: partition.source.clone(),
            target: (Arc::clone(&partition.target_topic), partition.target_partition),
            from,
            epoch: partition.status.epoch_before(from),
            records,
            end,
            read_committed,
            timestamps: partition.rules.keeps_create_time,
            by_content,
        };
        self.actions.push(Action::Recount(question, recount));
    }

    pub(crate) fn recounted(&mut self, question: Question, result: Result<Option<Found>, Cause>) {
        let slot = question.slot;
        let Some(partition) = self.asked(question).filter(|one| one.target_side == TargetSide::Asking) else {
            return;
        };
        let records = i64::from(partition.unproven.unwrap_or(0));
        match result {
            Ok(Some(found)) => self.take_in(slot, found),
            Ok(None) => self.cannot_prove(slot, records),
            Err(cause) => self.hold_target(slot, cause, false),
        }
    }

    /// What a former writer sent was read again. Its epochs are known as if it had been fetched, or the next fetch would
    /// carry the epoch of the last progress, and look as if the log had been cut off where that ends.
    fn take_in(&mut self, slot: Slot, Found { landed, epochs, cut_off }: Found) {
        let from = landed.next;
        let loss = Loss::Truncated { from, to: SourceOffset(from.0 + i64::from(cut_off)) };
        if cut_off > 0 && !self.report_loss(slot, loss) {
            return;
        }
        let Some(partition) = self.partition_mut(slot) else { return };
        partition.status.epochs().learn_all(&epochs, from);
        partition.ledger.take_in(landed);
        partition.given_up_at = partition.given_up_at.and_then(|_| partition.ledger.target_end());
        partition.next_sequence = partition.ledger.acknowledged_sequence();
        self.is_proved(slot);
    }

    fn is_proved(&mut self, slot: Slot) {
        if self.is_of_a_former(slot) {
            return self.renew(slot);
        }
        let Some(partition) = self.partition_mut(slot) else { return };
        partition.unproven = None;
        partition.recovered = true;
        let (source, next) = (partition.source.clone(), partition.ledger.acknowledged_next());
        self.actions.push(Action::Note(source, Note::Resumed(next)));
        self.resume(slot);
    }

    /// Goes on at the last progress: nothing is lost, and at most so many records arrive twice.
    fn cannot_prove(&mut self, slot: Slot, duplicates: i64) {
        let Some(partition) = self.partition_mut(slot) else { return };
        partition.unproven = None;
        let source = partition.ledger.acknowledged_next();
        self.resume_by(slot, Resume::Uncertain { source, duplicates }, None);
    }

    /// Goes on as the ledger found; `end` is where the target's log ends, if that is known.
    fn resume_by(&mut self, slot: Slot, resume: Resume, end: Option<TargetOffset>) {
        let (is_transactional, is_of_a_former) = (self.is_transactional(), self.is_of_a_former(slot));
        let Some(partition) = self.partition_mut(slot) else { return };
        match resume {
            Resume::Exactly { sequence, .. } => {
                partition.next_sequence = sequence;
                partition.given_up_at = None;
                self.is_proved(slot);
            }
            Resume::Ahead { sequence, records, .. } => {
                partition.next_sequence = sequence;
                self.recount(slot, records, end, false);
            }
            Resume::Uncertain { duplicates, .. } => {
                // What an aborted transaction holds nobody reads.
                if duplicates > 0 && (!is_transactional || is_of_a_former) {
                    self.possible_duplicates(slot, duplicates);
                }
                self.renew(slot);
            }
            Resume::TargetLost { records, .. } => self.target_lost(slot, records, end),
        }
    }

    /// The target's log was cut off, and ends at `end`. With the records it has lost track of their producer, so that a late
    /// request may be appended now; what comes before the next batch is told then.
    fn target_lost(&mut self, slot: Slot, records: i64, end: Option<TargetOffset>) {
        let shares_targets = self.shares_targets;
        let Some(partition) = self.partition_mut(slot) else { return };
        // Where others write, too, what comes before tells nothing.
        partition.given_up_at =
            partition.given_up_at.into_iter().chain(end).min().filter(|_| !shares_targets);
        let source = partition.source.clone();
        self.actions.push(Action::Note(source, Note::TargetLost(records)));
        self.renew(slot);
    }

    pub(crate) fn possible_duplicates(&mut self, slot: Slot, records: i64) {
        let Some(source) = self.partition(slot).map(|partition| partition.source.clone()) else { return };
        self.status.counters.add_possible_duplicates(records.unsigned_abs());
        self.actions.push(Action::Note(source, Note::PossibleDuplicates(records)));
    }

    /// What a former writer wrote is accounted for, and in transactions nobody goes on under another identity.
    fn is_of_a_former(&self, slot: Slot) -> bool {
        let is_foreign = |one: &Partition| one.identity.is_some_and(|identity| identity != self.identity);
        self.is_transactional() && self.partition(slot).is_some_and(is_foreign)
    }

    pub(crate) fn renew(&mut self, slot: Slot) {
        let own = self.identity;
        if self.is_of_a_former(slot) {
            if let Some(partition) = self.partition_mut(slot) {
                partition.unproven = None;
                partition.identity = Some(own);
                partition.begin_sequences(0);
            }
            return self.resume(slot);
        }
        if self.is_transactional() {
            return self.abort("the target cannot tell what it holds of the transaction".into());
        }
        let shares_targets = self.shares_targets;
        let Some(partition) = self.partition_mut(slot) else { return };
        // What is written down below has to be where it really begins.
        partition.take_restart();
        if partition.recovered && !shares_targets {
            partition.given_up_at = partition.given_up_at.or_else(|| partition.ledger.target_end());
        }
        if let Some(identity) = partition.identity.take().filter(|_| partition.identity_is_its_own) {
            partition.raised = identity.raised();
        }
        let raised = partition.raised;
        partition.begun_at = partition.target_end;
        partition.acknowledged_at = None;
        partition.unproven = None;
        partition.target_side = TargetSide::Renewing;
        let question = Question { slot, generation: partition.generation };
        let claim = (partition.role == Role::Whole)
            .then(|| (partition.source.clone(), partition.ledger.acknowledged_next()));
        self.actions.push(Action::Renew { question, raised, claim });
        // From here on the former mark is not true any more.
        self.publish(slot, 0, 0);
    }

    pub(crate) fn renewed(&mut self, question: Question, result: Result<Identity, Cause>) {
        let slot = question.slot;
        let Some(partition) = self.asked(question).filter(|one| one.target_side == TargetSide::Renewing)
        else {
            return;
        };
        match result {
            Ok(identity) => {
                partition.identity = Some(identity);
                partition.identity_is_its_own = true;
                partition.raised = None;
                partition.recovered = false;
                partition.begin_sequences(0);
                self.resume(slot);
            }
            Err(cause) => self.hold_target(slot, cause, false),
        }
    }

    /// Fetches and sends again, from the first source offset that is not at the target.
    fn resume(&mut self, slot: Slot) {
        let Some(partition) = self.partition_mut(slot) else { return };
        if partition.take_restart() {
            return self.renew(slot);
        }
        partition.fetch_offset = partition.ledger.acknowledged_next();
        partition.target_side = TargetSide::Sending;
        self.publish(slot, 0, 0);
        self.read_again(slot);
        self.sync_session(slot);
    }
}
