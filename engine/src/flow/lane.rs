//! A lane: the one owner of the state of a flow's partitions.
//!
//! Events go in through [`Lane::apply`], actions come out through [`Lane::take_actions`]; in between everything is
//! synchronous. The lane reads no socket, no clock and no log: `flow::drive` gives it the time and does what it
//! asks. Connections are in `lane_link`, fetching in `lane_session` and `lane_source`, producing in `lane_target`, what
//! happens after a failed send in `lane_recovery`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kmirror_protocol::client::Metadata;

use super::event::{Action, Cause, Event, Note, Question, Side, Slot};
use super::lane_link::side_of;
use super::lane_session::SourceBroker;
use super::lane_target::TargetBroker;
use super::lane_transaction::{LaneTransaction, TransactionOptions};
use super::limits::Limits;
use super::partition::{Assignment, NodeId, Partition, Role, SourceSide, TargetSide, backoff};
use crate::ids::{Identity, SourcePartition};
use crate::plan::OnRefused;
use crate::status::{FlowStatus, PartitionState, PartitionStatus};

/// What a lane has to know of the plan.
#[derive(Debug, Clone)]
pub struct LaneOptions {
    /// `fetch.max.wait.ms`.
    pub fetch_max_wait: Duration,
    /// `fetch.min.bytes`.
    pub fetch_min_bytes: i32,
    /// `fetch.max.bytes`, bounded by the memory budget.
    pub fetch_max_bytes: usize,
    /// What a fetch from a far broker may bring.
    pub far_fetch_max_bytes: usize,
    /// The memory budget as long as no source broker is far away.
    pub memory_bytes: usize,
    /// `max.partition.fetch.bytes`.
    pub fetch_max_partition_bytes: usize,
    /// `isolation.level=read_committed`.
    pub read_committed: bool,
    /// `client.rack`.
    pub rack: Arc<str>,
    /// `acks`.
    pub acks: i16,
    /// `request.timeout.ms` of the producer: how long the broker may wait for its replicas.
    pub produce_timeout: Duration,
    /// `max.request.size`.
    pub max_request_bytes: usize,
    /// Produce requests in flight to one broker.
    pub max_in_flight: usize,
    /// First pause after a failure.
    pub retry_backoff: Duration,
    /// Longest pause after repeated failures.
    pub retry_backoff_max: Duration,
    /// Whether a partition stops when source records are lost, instead of going on and reporting it.
    pub stop_on_lost_records: bool,
    /// What happens to records that the target does not take.
    pub on_refused: OnRefused,
    /// How it writes in transactions, if it does.
    pub transaction: Option<TransactionOptions>,
}

/// The pause before something is tried again that a person has to mend (a missing right, an invalid topic).
const PAUSE_FOR_A_PERSON: Duration = Duration::from_secs(30);
/// How long to wait for memory before looking again: another flow may have returned some without our knowing.
const PAUSE_FOR_MEMORY: Duration = Duration::from_millis(5);

/// See the module's description.
#[derive(Debug)]
pub struct Lane {
    pub(crate) options: LaneOptions,
    pub(crate) status: Arc<FlowStatus>,
    pub(crate) identity: Identity,
    /// Bytes of the memory budget that were free when the lane was last asked to pump.
    pub(crate) credit: usize,
    pub(crate) now: Instant,
    pub(crate) draining: bool,
    /// Several partitions may write to one target partition.
    pub(crate) shares_targets: bool,
    pub(crate) partitions: Vec<Option<Partition>>,
    pub(crate) slots: HashMap<Arc<str>, Vec<Option<Slot>>>,
    /// Brokers in order, so that the same events lead to the same actions.
    pub(crate) sources: BTreeMap<NodeId, SourceBroker>,
    pub(crate) targets: BTreeMap<NodeId, TargetBroker>,
    pub(crate) actions: Vec<Action>,
    /// Partitions that are to be let go as soon as nothing of them is in flight.
    pub(crate) releasing: Vec<Arc<PartitionStatus>>,
    timers: BinaryHeap<Reverse<(Instant, Timer)>>,
    pub(crate) metadata: [Option<Arc<Metadata>>; 2],
    pub(super) refreshing: [bool; 2],
    pub(crate) limits: Limits,
    pub(crate) transaction: LaneTransaction,
    /// With which sequence partitions go on that are not here any more, in transactions.
    pub(crate) sequences: HashMap<SourcePartition, i32>,
    /// More memory was asked for.
    pub(crate) has_grown: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Try again to fetch a partition.
    Source(Slot),
    /// Try again to send a partition.
    Target(Slot),
    /// Look again whether there is memory to fetch into.
    Memory,
    /// Look again whether a limit allows to fetch.
    Limits,
    /// Connect again to a broker.
    Reconnect(bool, NodeId),
    /// Ask again who leads.
    Refresh(bool),
    /// Look again whether the transaction can be ended.
    Closing,
}

impl Lane {
    /// A lane without partitions. `identity` is the producer id of all partitions until one needs its own.
    pub fn new(options: LaneOptions, identity: Identity, status: Arc<FlowStatus>, now: Instant) -> Self {
        Self {
            options,
            status,
            identity,
            credit: 0,
            now,
            draining: false,
            shares_targets: false,
            partitions: Vec::new(),
            slots: HashMap::new(),
            sources: BTreeMap::new(),
            targets: BTreeMap::new(),
            actions: Vec::new(),
            releasing: Vec::new(),
            timers: BinaryHeap::new(),
            metadata: [None, None],
            refreshing: [false; 2],
            limits: Limits::default(),
            transaction: LaneTransaction::default(),
            sequences: HashMap::new(),
            has_grown: false,
        }
    }

    /// Changes the state by what happened.
    pub fn apply(&mut self, now: Instant, event: Event) {
        self.now = now;
        match event {
            Event::Assign(assignments) => {
                assignments.into_iter().for_each(|one| self.assign(one));
                self.refresh(Side::Source);
                self.refresh(Side::Target);
            }
            Event::Revoke(partitions) => partitions.iter().for_each(|one| self.revoke(one)),
            Event::Release(partitions) => self.release(partitions),
            Event::Metadata(side, metadata) => self.learn(side, metadata),
            Event::RefreshFailed(side, cause) => self.refresh_failed(side, &cause),
            Event::Link(side, node, event) => self.link_event(side, node, event),
            Event::Reencoded(question, result) => self.reencoded(question, result),
            Event::Dealt(question, result) => self.dealt(question, result),
            Event::Listed(slot, result) => self.listed(slot, result),
            Event::EpochEnd(slot, epoch, result) => self.validated(slot, epoch, result),
            Event::SetAside(question, result) => self.was_set_aside(question, result),
            Event::Described(question, described) => self.described(question, described),
            Event::Recounted(question, result) => self.recounted(question, result),
            Event::Renewed(question, result) => self.renewed(question, result),
            Event::Limits(limits) => self.limit(limits),
            Event::Joined(slots, result) => self.joined(slots, result),
            Event::NotJoined(slot, cause, code) => self.not_joined(slot, cause, code),
            Event::Close => self.close(),
            Event::Reopen => self.reopen(),
            Event::Tick => {}
            Event::Drain => self.drain(),
        }
        self.fire_timers();
        self.finish_releases();
        self.finish_closing();
    }

    /// Sends and fetches whatever may be now; `credit` is the free part of the memory budget in bytes.
    pub fn pump(&mut self, credit: usize) {
        self.credit = credit;
        self.pump_transaction();
        self.pump_targets();
        self.pump_sources();
    }

    /// What is to be done, in order.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// When [`Event::Tick`] is due at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// After [`Event::Drain`]: whether nothing is in flight.
    pub fn is_drained(&self) -> bool {
        self.draining
            && self.is_transaction_drained()
            && !self.outlets_have_more()
            && self.targets.values().all(|broker| broker.in_flight() == 0)
    }

    fn drain(&mut self) {
        self.draining = true;
        if self.is_transactional() {
            return self.close();
        }
        for index in 0..self.partitions.len() {
            let slot = Slot(index);
            // What was dealt out already is sent: progress ends where all outlets are.
            let partition = self.partition_mut(slot).filter(|one| !matches!(one.role, Role::Outlet(_)));
            if let Some(partition) = partition {
                partition.drop_buffers();
            }
            self.sync_session(slot);
        }
    }

    fn assign(&mut self, assignment: Assignment) {
        if self.is_transactional() && (assignment.shared_target || assignment.deal_to.is_some()) {
            return refuse(&assignment);
        }
        let index = usize::try_from(assignment.source.partition).unwrap_or(0);
        let places = self.slots.entry(Arc::clone(&assignment.source.topic)).or_default();
        if places.len() <= index {
            places.resize(index + 1, None);
        }
        if places[index].is_some() {
            return;
        }
        let slot = Slot(self.partitions.len());
        places[index] = Some(slot);
        self.shares_targets |= assignment.shared_target || assignment.deal_to.is_some();
        match assignment.deal_to {
            None => {
                let former = assignment.former.clone();
                let was_here = assignment.was_here;
                let renews = was_here || assignment.shared_target || assignment.unclaimed;
                let mut partition = Partition::new(assignment, self.identity);
                partition.identity_is_its_own = former.is_none() && !renews;
                self.partitions.push(Some(partition));
                if was_here && self.is_transactional() {
                    self.go_on_with_sequence(slot, former.is_some());
                }
                match former {
                    Some(former) => self.take_over(slot, former.holds),
                    None if self.is_transactional() => {}
                    None if renews => self.renew(slot),
                    None => {}
                }
            }
            Some(count) => self.assign_dealt(slot, &assignment, count),
        }
    }

    pub(crate) fn revoke(&mut self, source: &SourcePartition) {
        let Some(slot) = self.slot(&source.topic, source.partition) else { return };
        self.remember_sequence(slot);
        if let Some(partition) = self.partition_mut(slot) {
            partition.stopped = true;
            partition.drop_buffers();
        }
        self.sync_session(slot);
        self.revoke_outlets(slot);
        let index = usize::try_from(source.partition).ok();
        let places = self.slots.get_mut(&source.topic);
        if let Some(place) = index.and_then(|index| places?.get_mut(index)) {
            *place = None;
        }
        self.partitions[slot.0] = None;
    }

    pub(crate) fn slot(&self, topic: &str, partition: i32) -> Option<Slot> {
        let index = usize::try_from(partition).ok()?;
        self.slots.get(topic)?.get(index).copied().flatten()
    }

    pub(crate) fn partition(&self, slot: Slot) -> Option<&Partition> {
        self.partitions.get(slot.0)?.as_ref()
    }

    pub(crate) fn partition_mut(&mut self, slot: Slot) -> Option<&mut Partition> {
        self.partitions.get_mut(slot.0)?.as_mut()
    }

    /// The partition, if the question is still about its present state.
    pub(crate) fn asked(&mut self, question: Question) -> Option<&mut Partition> {
        self.partition_mut(question.slot).filter(|partition| partition.generation == question.generation)
    }

    pub(crate) fn set_timer(&mut self, after: Duration, timer: Timer) {
        self.timers.push(Reverse((self.now + after, timer)));
    }

    pub(crate) fn set_memory_timer(&mut self) {
        if !self.timers.iter().any(|Reverse((_, timer))| *timer == Timer::Memory) {
            self.set_timer(PAUSE_FOR_MEMORY, Timer::Memory);
        }
    }

    pub(crate) fn set_limits_timer(&mut self, after: Duration) {
        let at = self.now + after;
        let sooner =
            |Reverse((when, timer)): &Reverse<(Instant, Timer)>| *timer == Timer::Limits && *when <= at;
        if !self.timers.iter().any(sooner) {
            self.timers.push(Reverse((at, Timer::Limits)));
        }
    }

    fn fire_timers(&mut self) {
        while self.timers.peek().is_some_and(|Reverse((at, _))| *at <= self.now) {
            let Some(Reverse((_, timer))) = self.timers.pop() else { return };
            match timer {
                Timer::Source(slot) => self.retry_source(slot),
                Timer::Target(slot) => self.retry_target(slot),
                Timer::Memory | Timer::Closing => {}
                Timer::Limits => self.release_topics(),
                Timer::Reconnect(source, node) => self.reconnect(side_of(source), node),
                Timer::Refresh(source) => self.actions.push(Action::Refresh(side_of(source))),
            }
        }
    }

    /// Tells person and status that a partition is in trouble, once per cause.
    pub(crate) fn report_retry(&mut self, slot: Slot, cause: Cause) {
        let Some(partition) = self.partition_mut(slot) else { return };
        let told = partition.status.note().is_some_and(|note| note == cause);
        partition.retrying(&cause);
        let source = partition.source.clone();
        if !told {
            self.actions.push(Action::Note(source, Note::Retrying(cause)));
        }
    }

    pub(crate) fn stop(&mut self, slot: Slot, cause: Cause) {
        let Some(partition) = self.partition_mut(slot) else { return };
        partition.stopped = true;
        partition.drop_buffers();
        partition.status.set_state(PartitionState::Stopped, Some(Arc::clone(&cause)));
        let source = partition.source.clone();
        self.actions.push(Action::Note(source, Note::Stopped(cause)));
        self.stop_reader_of(slot);
        self.sync_session(slot);
    }

    /// The pause before the next attempt after so many failures in a row.
    fn pause(&self, attempts: u32, for_a_person: bool) -> Duration {
        if for_a_person {
            return PAUSE_FOR_A_PERSON;
        }
        backoff(attempts, self.options.retry_backoff, self.options.retry_backoff_max)
    }

    pub(crate) fn hold_source(&mut self, slot: Slot, cause: Cause, for_a_person: bool) {
        let Some(partition) = self.partition_mut(slot) else { return };
        partition.source_side = SourceSide::Held;
        let attempts = partition.source_attempts;
        partition.source_attempts = attempts.saturating_add(1);
        let pause = self.pause(attempts, for_a_person);
        self.set_timer(pause, Timer::Source(slot));
        self.report_retry(slot, cause);
        self.sync_session(slot);
    }

    pub(crate) fn hold_target(&mut self, slot: Slot, cause: Cause, for_a_person: bool) {
        let Some(partition) = self.partition_mut(slot) else { return };
        partition.target_side = TargetSide::Held;
        let attempts = partition.target_attempts;
        partition.target_attempts = attempts.saturating_add(1);
        let pause = self.pause(attempts, for_a_person);
        self.set_timer(pause, Timer::Target(slot));
        self.report_retry(slot, cause);
    }
}

/// One identity writes a target partition with one row of sequences.
fn refuse(assignment: &Assignment) {
    let why = "its records would be dealt out over target partitions that others write to, too; that is not done in \
               transactions (exactly.once.source.support)";
    assignment.status.set_state(PartitionState::Stopped, Some(why.into()));
}

/// Slots waiting for their turn.
pub(crate) type Ready = VecDeque<Slot>;
