//! The lane's half that fetches: one incremental fetch session (KIP-227) per source broker, one request at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kmirror_protocol::client::retry::{self, Action as Remedy};
use kmirror_protocol::wire::batch::{Entries, Entry};
use kmirror_protocol::wire::error::ErrorCode;
use kmirror_protocol::wire::fetch::{
    FetchParams, FetchPosition, FetchSession, FetchedPartition, IsolationLevel::ReadCommitted,
    IsolationLevel::ReadUncommitted, TopicKey,
};
use kmirror_protocol::wire::record::RecordError;
use kmirror_protocol::wire::reencode::Encoded;
use uuid::Uuid;

use super::distance::Distance;
use super::event::{Action, Begin, Cause, Note, Question, Side, Slot, explain_code};
use super::lane::{Lane, LaneOptions};
use super::lane_link::Link;
use super::partition::{NodeId, Outgoing, Queued, Role, SourceSide};
use super::position::{LogRange, Loss, judge};
use super::rewrite::{DropReason, Planner, Step};
use crate::error::chain;
use crate::ids::SourceOffset;

/// A broker that records are fetched from.
#[derive(Debug, Default)]
pub(crate) struct SourceBroker {
    pub(crate) link: Link,
    pub(crate) attempts: u32,
    session: FetchSession,
    /// Partitions in the session.
    members: usize,
    /// Partitions left out because enough of them is buffered.
    held_back: usize,
    /// The version of the last request.
    version: i16,
    /// How many requests were sent; the last one is unanswered while `asking`.
    requests: u64,
    asking: bool,
    /// Bytes of the flow's limit that are reserved for the answer.
    reserved: u64,
    distance: Distance,
}

impl SourceBroker {
    fn may_be_asked(&self) -> bool {
        self.link.version().is_some() && !self.asking && self.members > 0
    }

    fn fetch_bytes(&self, options: &LaneOptions) -> usize {
        self.distance.fetch_bytes(options.fetch_max_bytes, options.far_fetch_max_bytes)
    }

    /// How many bytes of one partition a fetch may bring.
    fn partition_bytes(&self, options: &LaneOptions) -> usize {
        if !self.distance.is_far() {
            return options.fetch_max_partition_bytes;
        }
        // Each gets its share: with one that took all, the others would have nothing to send.
        (self.fetch_bytes(options) / self.members.max(1)).max(options.fetch_max_partition_bytes)
    }
}

/// How long a fetch may wait at the broker while partitions are left out of it: they should not have to wait
/// for the others' silence once there is room for them.
const WAIT_WHILE_HELD_BACK: Duration = Duration::from_millis(10);
/// A partition with this many fetches' worth of data buffered is not fetched.
const BUFFERED_FETCHES_MAX: usize = 2;
/// Fetches are not worth sending for less memory than this.
const CREDIT_MIN_BYTES: usize = 256 << 10;

impl Lane {
    pub(crate) fn pump_sources(&mut self) {
        if self.draining {
            return;
        }
        let mut sharers = self.sources.values().filter(|broker| broker.may_be_asked()).count();
        if sharers == 0 {
            return;
        }
        if let Some(wait) = self.limits.flow_waits(self.now) {
            return self.set_limits_timer(wait);
        }
        let longest_wait = self.longest_wait();
        let mut credit = self.credit;
        let options = &self.options;
        let mut starved = false;
        for (node, broker) in self.sources.iter_mut().filter(|(_, broker)| broker.may_be_asked()) {
            let Some(negotiated) = broker.link.version() else { continue };
            if credit < options.fetch_max_bytes.min(CREDIT_MIN_BYTES) {
                starved = true;
                continue;
            }
            let most = broker.fetch_bytes(options);
            if most > options.memory_bytes / 2 && !std::mem::replace(&mut self.has_grown, true) {
                self.actions.push(Action::GrowMemory);
            }
            // Not the last of it: room for an answer is rounded up, and one that has to wait for memory waits long.
            let wanted = most.min(credit - credit / 8);
            let (bytes, reserved) = self.limits.reserve(wanted, sharers, self.now);
            sharers -= 1;
            broker.reserved = reserved;
            credit -= bytes;
            let due = bytes.min(broker.members.saturating_mul(options.fetch_max_partition_bytes));
            broker.distance.asked(self.now, due);
            let wait = if broker.held_back > 0 { WAIT_WHILE_HELD_BACK } else { longest_wait };
            broker.version = broker.session.version(negotiated);
            let built = broker.session.build(
                broker.version,
                &FetchParams {
                    max_wait_ms: clamp_i32(wait.as_millis()),
                    min_bytes: options.fetch_min_bytes,
                    max_bytes: clamp_i32(bytes as u128),
                    isolation_level: if options.read_committed { ReadCommitted } else { ReadUncommitted },
                    rack: Arc::clone(&options.rack),
                },
            );
            // It can fail only for a topic name that no broker takes: nothing to ask for then.
            let Ok(body) = built else { continue };
            broker.asking = true;
            broker.requests += 1;
            let (side, node, version) = (Side::Source, *node, broker.version);
            self.actions.push(Action::Send { side, node, version, body: vec![body] });
        }
        if starved {
            self.set_memory_timer();
        }
    }

    /// Brings a partition's place in the fetch sessions in line with what it wants.
    pub(crate) fn sync_session(&mut self, slot: Slot) {
        let slot = self.reader_of(slot);
        self.validate(slot);
        let dealt = self.dealt_out(slot);
        let draining = self.draining;
        let Some(partition) = self.partitions.get_mut(slot.0).and_then(Option::as_mut) else { return };
        let now = self.now;
        let broker = partition.source_home(now).and_then(|node| self.sources.get(&node));
        let max_bytes = broker
            .map_or(self.options.fetch_max_partition_bytes, |broker| broker.partition_bytes(&self.options));
        // What is on its way still counts; then the topic waits.
        let on_its_way =
            partition.session_on.and_then(|node| self.sources.get(&node)).is_some_and(|one| one.asking);
        let limited = !on_its_way && self.limits.waits(&partition.source.topic);
        let wants = partition.wants_data() && dealt.ready && !draining && !limited;
        let full = partition.buffered + dealt.buffered >= BUFFERED_FETCHES_MAX * max_bytes;
        let home = partition.source_home(now).filter(|_| wants && !full);
        let key = TopicKey {
            name: Arc::clone(&partition.source.topic),
            id: partition.topic_id.unwrap_or(Uuid::nil()),
        };
        let index = partition.source.partition;
        if let Some(node) = partition.session_on.filter(|node| Some(*node) != home) {
            let broker = self.sources.entry(node).or_default();
            broker.session.remove(&key, index);
            broker.members -= 1;
            partition.session_on = None;
            partition.requested = None;
        }
        let held_on = partition.source_home(now).filter(|_| wants && full);
        if partition.held_on != held_on {
            if let Some(node) = partition.held_on {
                self.sources.entry(node).or_default().held_back -= 1;
            }
            if let Some(node) = held_on {
                self.sources.entry(node).or_default().held_back += 1;
            }
            partition.held_on = held_on;
        }
        let Some(node) = home else { return };
        let broker = self.sources.entry(node).or_default();
        if partition.session_on.is_none() {
            broker.members += 1;
            partition.session_on = Some(node);
        }
        if partition.requested.is_none_or(|(offset, _)| offset != partition.fetch_offset) {
            partition.requested = Some((partition.fetch_offset, broker.requests + 1));
            let position = FetchPosition {
                fetch_offset: partition.fetch_offset.0,
                current_leader_epoch: partition.source_leader_epoch,
                last_fetched_epoch: partition.status.epoch_before(partition.fetch_offset).unwrap_or(-1),
                log_start_offset: -1,
                max_bytes: clamp_i32(max_bytes as u128),
            };
            broker.session.set(&key, index, position);
        }
    }

    /// After a new connection: the broker knows nothing of the old session.
    pub(crate) fn reset_session(&mut self, node: NodeId) {
        if let Some(broker) = self.sources.get_mut(&node) {
            broker.session.reset();
            broker.asking = false;
            let reserved = std::mem::take(&mut broker.reserved);
            self.limits.settle(reserved);
        }
    }

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
        let mut planner = Planner::new(partition.rules, partition.inspect_until);
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
                        Some(reason) => planner.drop_entry(&entry, reason),
                        None => planner.push(entry, from),
                    }
                }
                Err(error) => damage = Some(chain(&error)),
            }
        }
        partition.steps.extend(planner.finish());
        let (topic, bytes) =
            (Arc::clone(&partition.source.topic), partition.buffered.saturating_sub(buffered));
        self.limits.count(&topic, bytes, self.now);
        self.advance_steps(slot);
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
                    return self.begin_again(slot, next);
                }
                partition.fetch_offset = next;
                partition.steps.push_back(Step::Skip { reason: DropReason::Lost, next, bytes: 0 });
                self.advance_steps(slot);
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

    /// Moves fetched steps towards the queue, in order, up to a re-encoding that is still at work.
    pub(crate) fn advance_steps(&mut self, slot: Slot) {
        let status = Arc::clone(&self.status);
        let Some(partition) = self.partition_mut(slot) else { return };
        if let Role::Reader(outlets) = &partition.role {
            let outlets = outlets.clone();
            return self.advance_dealing(slot, &outlets);
        }
        while partition.job_end.is_none() {
            match partition.steps.pop_front() {
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
                    partition.queue.push_back(Queued::Skip(next));
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
        self.make_ready(slot);
    }

    pub(crate) fn reencoded(&mut self, question: Question, result: Result<Vec<Encoded>, RecordError>) {
        let (slot, now) = (question.slot, self.now);
        let Some(partition) = self.asked(question) else { return };
        let end = partition.job_end.take();
        partition.buffered = partition.buffered.saturating_sub(std::mem::take(&mut partition.job_bytes));
        match result {
            Ok(encoded) => {
                partition.queue_encoded(encoded);
                partition.queue.extend(end.map(Queued::Skip));
                self.advance_steps(slot);
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

pub(crate) fn clamp_i32(value: u128) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
