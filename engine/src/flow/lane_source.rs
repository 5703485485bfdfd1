//! What the lane does with what it fetched: answers, lost and damaged records, and the way into a partition's queue. The
//! requests are made in `lane_session`.

use std::sync::Arc;

use bytes::Bytes;
use kmirror_protocol::client::retry::{self, Action as Remedy};
use kmirror_protocol::wire::batch::{Entries, Entry};
use kmirror_protocol::wire::error::ErrorCode;
use kmirror_protocol::wire::fetch::FetchedPartition;
use kmirror_protocol::wire::record::RecordError;
use kmirror_protocol::wire::reencode::Encoded;

use super::event::{Action, Begin, Cause, Note, Question, Side, Slot, explain_code};
use super::lane::Lane;
use super::lane_link::Link;
use super::partition::{NodeId, Outgoing, Partition, Queued, Role, SourceSide};
use super::position::{LogRange, Loss, Restart, judge};
use super::rewrite::{DropReason, Step};
use crate::error::chain;
use crate::ids::SourceOffset;

impl Lane {
    pub(crate) fn source_closed(&mut self, node: NodeId, cause: &Cause) -> u32 {
        let broker = self.sources.entry(node).or_default();
        broker.link = Link::Waiting;
        broker.attempts = broker.attempts.saturating_add(1);
        let attempts = broker.attempts;
        self.reset_session(node);
        for slot in self.led_by(Side::Source, node) {
            self.report_retry(slot, Arc::clone(cause));
            if let Some(partition) = self.partition_mut(slot) {
                partition.source_attempts = partition.source_attempts.max(1);
                partition.read_from = None;
                // The next session has to be told everything.
                partition.requested = None;
            }
            self.sync_session(slot);
        }
        attempts
    }

    pub(crate) fn led_by(&self, side: Side, node: NodeId) -> Vec<Slot> {
        let leads = |slot: &usize| {
            self.partition(Slot(*slot)).is_some_and(|partition| match side {
                Side::Source => partition.source_home(self.now) == Some(node),
                Side::Target => partition.target_leader == Some(node) || partition.sending_to == Some(node),
            })
        };
        (0..self.partitions.len()).filter(leads).map(Slot).collect()
    }

    pub(crate) fn fetched(&mut self, node: NodeId, body: Bytes) {
        let Some(broker) = self.sources.get_mut(&node) else { return };
        broker.asking = false;
        broker.distance.answered(self.now, body.len());
        let reserved = std::mem::take(&mut broker.reserved);
        self.fetched_partitions(node, body);
        self.limits.settle(reserved);
        self.hold_topics(node);
    }

    fn fetched_partitions(&mut self, node: NodeId, body: Bytes) {
        let Some(broker) = self.sources.get_mut(&node) else { return };
        let response = match broker.session.accept(broker.version, body) {
            Ok(response) => response,
            Err(error) => {
                // The stream is still in step (frames are counted), only this answer makes no sense.
                let cause: Cause =
                    format!("the fetch answer of source broker {node} is malformed: {error}").into();
                for slot in self.led_by(Side::Source, node) {
                    self.hold_source(slot, Arc::clone(&cause), false);
                }
                return;
            }
        };
        if response.error != ErrorCode::None {
            // Session errors: the session has reset itself; the next request opens a new one.
            return;
        }
        let request = broker.requests;
        for fetched in response.partitions {
            if let Some(slot) = self.slot(&fetched.topic, fetched.partition) {
                self.partition_fetched(node, request, slot, fetched);
            }
        }
    }

    fn partition_fetched(&mut self, node: NodeId, request: u64, slot: Slot, fetched: FetchedPartition) {
        let Some(partition) = self.partition_mut(slot) else { return };
        let current = partition
            .requested
            .is_some_and(|(offset, since)| offset == partition.fetch_offset && request >= since);
        if !current || partition.session_on != Some(node) || !partition.wants_data() {
            return;
        }
        if fetched.error != ErrorCode::None {
            return self.fetch_failed(slot, node, fetched.error);
        }
        if let Some(shared) = fetched.diverging_epoch {
            return self.diverged(slot, shared, SourceOffset(fetched.high_watermark));
        }
        if fetched.preferred_read_replica >= 0 && fetched.preferred_read_replica != node.0 {
            return self.read_from(slot, NodeId(fetched.preferred_read_replica));
        }
        let end =
            if self.options.read_committed { fetched.last_stable_offset } else { fetched.high_watermark };
        let read_committed = self.options.read_committed;
        let keeps_whole = read_committed && self.is_transactional();
        let Some(partition) = self.partition_mut(slot) else { return };
        if end >= 0 {
            partition.status.set_high_watermark(SourceOffset(end));
        }
        partition.source_recovered();
        let mut aborted = read_committed.then(|| super::aborted::Aborted::new(&fetched.aborted));
        let mut damage = None;
        let buffered = partition.buffered;
        partition.settle_doubt();
        for entry in Entries::new(fetched.records) {
            match entry {
                Ok(entry) if entry.last_offset() < partition.fetch_offset.0 => {}
                Ok(entry) if partition.finds_damage(&entry) => {
                    let (first, last) = (entry.first_offset(), entry.last_offset());
                    damage = Some(format!(
                        "the checksum of the batch at source offsets {first} to {last} is wrong"
                    ));
                    break;
                }
                Ok(entry) => {
                    let from = partition.fetch_offset;
                    if keeps_whole {
                        partition.whole.read(&entry);
                    }
                    partition.learn_epoch(&entry);
                    partition.fetch_offset = SourceOffset(entry.last_offset() + 1);
                    partition.buffered += entry.size();
                    match aborted.as_mut().and_then(|aborted| aborted.check(&entry)) {
                        Some(reason) => partition.backlog.drop_entry(&entry, reason),
                        None => {
                            partition.backlog.push(entry, from, &partition.rules, partition.inspect_until)
                        }
                    }
                }
                Err(error) => damage = Some(chain(&error)),
            }
        }
        let (topic, bytes) =
            (Arc::clone(&partition.source.topic), partition.buffered.saturating_sub(buffered));
        self.limits.count(&topic, bytes, self.now);
        self.advance(slot);
        match damage {
            None => self.sync_session(slot),
            Some(what) => self.damaged(slot, node, &what),
        }
    }

    fn fetch_failed(&mut self, slot: Slot, node: NodeId, code: ErrorCode) {
        let cause: Cause = format!("fetching from the source failed: {}", explain_code(code, None)).into();
        if self.leave_replica(slot, node) {
            // A follower lags behind, or knows less than the leader: what it says about offsets is not the truth.
            return self.hold_source(slot, cause, false);
        }
        match retry::decide(code) {
            Remedy::ResetPosition => self.relist(slot),
            Remedy::Retry | Remedy::Done => self.hold_source(slot, cause, false),
            Remedy::RefreshAndRetry | Remedy::ResyncProducer => {
                self.hold_source(slot, cause, false);
                self.refresh(Side::Source);
                if matches!(
                    code,
                    ErrorCode::UnknownTopicOrPartition
                        | ErrorCode::UnknownTopicId
                        | ErrorCode::InconsistentTopicId
                ) {
                    self.actions.push(Action::Rediscover);
                }
            }
            Remedy::Fatal(_) => self.hold_source(slot, cause, true),
        }
    }

    fn relist(&mut self, slot: Slot) {
        let Some(partition) = self.partition_mut(slot) else { return };
        partition.source_side = SourceSide::Relisting;
        let source = partition.source.clone();
        self.actions.push(Action::List(slot, source));
        self.sync_session(slot);
    }

    pub(crate) fn listed(&mut self, slot: Slot, result: Result<LogRange, Cause>) {
        let relisting = self.partition_mut(slot).filter(|one| one.source_side == SourceSide::Relisting);
        let Some(partition) = relisting else { return };
        let range = match result {
            Ok(range) => range,
            Err(cause) => return self.hold_source(slot, cause, false),
        };
        partition.source_side = SourceSide::Fetching;
        let (next, loss) = judge(partition.fetch_offset, range);
        match loss {
            None => {}
            Some(Loss::Truncated { .. }) => return self.cut_off(slot, next, range.latest),
            Some(_) if partition.needs_identity_behind_a_gap() && !partition.is_empty() => {
                let cause = "records expired at the source; what was read before is sent first";
                return self.hold_source(slot, cause.into(), false);
            }
            Some(loss) => {
                if !self.report_loss(slot, loss) {
                    return;
                }
                let Some(partition) = self.partition_mut(slot) else { return };
                partition.status.lower_goal(range.latest);
                if partition.needs_identity_behind_a_gap() {
                    return self.begin_again(slot, Restart::BeginsAt(next));
                }
                partition.fetch_offset = next;
                partition.backlog.skip(DropReason::Lost, next, 0);
                self.advance(slot);
            }
        }
        self.sync_session(slot);
    }

    /// Tells that source records are lost; whether the partition goes on.
    pub(crate) fn report_loss(&mut self, slot: Slot, loss: Loss) -> bool {
        let stop = self.options.stop_on_lost_records;
        let Some(partition) = self.partition_mut(slot) else { return false };
        partition.status.add_lost(loss.offsets());
        let source = partition.source.clone();
        self.actions.push(Action::Note(source, Note::Lost(loss)));
        if stop {
            self.stop(slot, format!("{loss} (kmirror.on.lost.records=stop)").into());
        }
        !stop
    }

    pub(crate) fn retry_source(&mut self, slot: Slot) {
        let held = self.partition_mut(slot).filter(|one| one.source_side == SourceSide::Held);
        if let Some(partition) = held {
            partition.source_side = SourceSide::Fetching;
            self.sync_session(slot);
        }
    }

    /// After something was fetched, or encoded again.
    pub(crate) fn advance(&mut self, slot: Slot) {
        match self.partition(slot).map(|partition| &partition.role) {
            Some(Role::Reader(outlets)) => {
                let outlets = outlets.clone();
                self.advance_dealing(slot, &outlets);
            }
            _ => self.make_ready(slot),
        }
    }

    /// Moves what was fetched towards the queue, in order, up to a re-encoding that is still at work, and no further than
    /// it is needed there.
    pub(crate) fn prepare(&mut self, slot: Slot) {
        let waits = |partition: &&Partition| partition.role == Role::Whole && !partition.backlog.is_empty();
        if self.partition(slot).filter(waits).is_none() {
            return;
        }
        let status = Arc::clone(&self.status);
        let Some(partition) = self.partition_mut(slot) else { return };
        while partition.job_end.is_none() && !partition.is_prepared() {
            match partition.backlog.next_step(&partition.rules) {
                None => break,
                Some(Step::Forward(batch)) => {
                    status.counters.forwarded.add(1, batch.header.total_len() as u64);
                    partition.queue.push_back(Queued::Batch(Outgoing::forward(&batch)));
                }
                Some(Step::SetAside(batch, why)) => {
                    partition.queue.push_back(Queued::SetAside(Outgoing::forward(&batch), why));
                }
                Some(Step::Skip { reason, next, bytes }) => {
                    status.counters.dropped(reason).add(1, bytes as u64);
                    partition.buffered = partition.buffered.saturating_sub(bytes);
                    partition.queue_skip(next);
                }
                Some(Step::Reencode { reason, entries, from }) => {
                    let bytes: usize = entries.iter().map(Entry::size).sum();
                    status.counters.reencoded(reason).add(entries.len() as u64, bytes as u64);
                    let question = Question { slot, generation: partition.generation };
                    let shape = partition.shape(&entries);
                    let inspect = from < partition.inspect_until;
                    let timestamps = partition.rules.timestamps.filter(|_| inspect);
                    partition.job_end = entries.last().map(|entry| SourceOffset(entry.last_offset() + 1));
                    partition.job_bytes = bytes;
                    self.actions.push(Action::Reencode {
                        question,
                        entries,
                        begin: Begin::At(from),
                        shape,
                        timestamps,
                    });
                    break;
                }
            }
        }
    }

    pub(crate) fn reencoded(&mut self, question: Question, result: Result<Vec<Encoded>, RecordError>) {
        let (slot, now) = (question.slot, self.now);
        let Some(partition) = self.asked(question) else { return };
        let end = partition.job_end.take();
        partition.buffered = partition.buffered.saturating_sub(std::mem::take(&mut partition.job_bytes));
        match result {
            Ok(encoded) => {
                partition.queue_encoded(encoded);
                if let Some(end) = end {
                    partition.queue_skip(end);
                }
                self.advance(slot);
                self.sync_session(slot);
            }
            Err(error) => {
                let Some(node) = partition.source_home(now) else { return };
                partition.drop_buffers();
                partition.fetch_offset = partition.ledger.promised_next();
                self.damaged(slot, node, &chain(&error));
            }
        }
    }
}
