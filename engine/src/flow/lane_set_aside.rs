//! What happens to a record that the target does not take whatever batch it comes in: too large, or with a timestamp
//! that the topic refuses.
//!
//! Such a record waits at the front of its partition's queue until nothing before it is in flight, so that order and
//! progress stay true. Then the operator's choice is carried out: the topic's limit is raised, or the record goes to
//! the dead-letter topic, or the partition stops.

use super::event::{Action, Cause, Letter, Note, Question, Remedied, Slot};
use super::lane::Lane;
use super::partition::{Queued, TargetSide};
use super::rewrite::{DropReason, Refused};

/// How much nearer to our own clock timestamps must lie after the target refused one that we thought it takes: its
/// clock differs from ours.
const CLOCK_STEP_MS: i64 = 60_000;

impl Lane {
    /// Deals with the refused record at the front of the queue, if it is its turn.
    pub(crate) fn set_aside(&mut self, slot: Slot) {
        let choice = self.options.on_refused;
        let Some(partition) = self.partition_mut(slot) else { return };
        if partition.outstanding > 0 || partition.target_side != TargetSide::Sending || partition.stopped {
            return;
        }
        let Some(Queued::SetAside(outgoing, why)) = partition.queue.front() else { return };
        let question = Question { slot, generation: partition.generation };
        let (offset, why) = (outgoing.runs.first_record, *why);
        let action = match why {
            Refused::TooLarge { bytes, .. } if choice.raises_limit => {
                Action::RaiseLimit { question, topic: partition.target_topic.clone(), bytes }
            }
            _ if choice.dead_letters => {
                let (header, payload) = (outgoing.header, outgoing.payload.clone());
                let source = partition.source.clone();
                Action::DeadLetter { question, letter: Letter { source, offset, header, payload, why } }
            }
            _ => {
                let text = format!(
                    "the target does not take the record at source offset {offset}: {why}. Change the target topic, \
                     or set kmirror.on.refused.records=dead-letter (or kmirror.raise.max.message.bytes=true for \
                     records that are too large), and start kmirror again"
                );
                return self.stop(slot, text.into());
            }
        };
        partition.target_side = TargetSide::SettingAside;
        self.actions.push(action);
        self.sync_session(slot);
    }

    /// The operator's choice was carried out, or could not be.
    pub(crate) fn was_set_aside(&mut self, question: Question, result: Result<Remedied, Cause>) {
        let slot = question.slot;
        let asked = self.asked(question).filter(|one| one.target_side == TargetSide::SettingAside);
        let Some(partition) = asked else { return };
        let remedied = match result {
            Ok(remedied) => remedied,
            Err(cause) => {
                partition.drop_buffers();
                return self.hold_target(slot, cause, true);
            }
        };
        partition.target_side = TargetSide::Sending;
        let Some(Queued::SetAside(outgoing, why)) = partition.queue.pop_front() else {
            // Another outlet of its reader began again, and so will this.
            return self.sync_session(slot);
        };
        let source = partition.source.clone();
        let note = match remedied {
            Remedied::LimitRaised(bytes) => {
                partition.rules.max_batch_bytes = bytes;
                partition.queue.push_front(Queued::Batch(outgoing));
                Note::LimitRaised(bytes)
            }
            Remedied::DeadLettered => {
                let size = outgoing.size();
                partition.buffered = partition.buffered.saturating_sub(size);
                partition.queue.push_front(Queued::Skip(outgoing.next));
                self.status.counters.dropped(DropReason::DeadLettered).add(1, size as u64);
                Note::DeadLettered(outgoing.runs.first_record, why)
            }
        };
        self.actions.push(Action::Note(source, note));
        self.make_ready(slot);
        self.sync_session(slot);
    }

    /// The target refused a timestamp: what is near is looked at record by record from now on.
    pub(crate) fn untimely(&mut self, slot: Slot, cause: Cause) {
        let Some(partition) = self.partition_mut(slot) else { return };
        let inspected = partition.inspect_until > partition.ledger.acknowledged_next();
        partition.inspect_until = partition.inspect_until.max(partition.ledger.promised_next());
        match &mut partition.rules.timestamps {
            Some(rules) if inspected => {
                rules.before_ms = rules.before_ms.saturating_sub(CLOCK_STEP_MS);
                rules.after_ms = rules.after_ms.saturating_sub(CLOCK_STEP_MS);
                self.target_failed(slot, cause, false);
            }
            Some(_) => self.target_failed(slot, cause, false),
            None => self.target_failed(slot, cause, true),
        }
    }
}
