//! One partition on its way from source to target: position, what is buffered, what is in flight.
//!
//! Owned by the lane; knows nothing of brokers' connections or of other partitions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use kmirror_protocol::client::NodeId;
use kmirror_protocol::client::txn::ProducerIdentity;
use kmirror_protocol::wire::batch::{Codec, Entry};
use kmirror_protocol::wire::reencode::{Encoded, Shape};
use uuid::Uuid;

use super::event::Described;
use super::event::{Cause, Slot};
use super::lane_transaction::Joined;
use super::ledger::Ledger;
pub(crate) use super::outgoing::{Outgoing, Queued};
use super::position::Restart;
use super::rewrite::{Backlog, TargetRules};
use super::whole::Whole;
use crate::ids::{Identity, ProducerMark, SourceOffset, SourcePartition, TargetOffset};
use crate::status::{PartitionState, PartitionStatus};

/// What the control task hands to a lane: mirror this partition from here.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The partition at the source.
    pub source: SourcePartition,
    /// The source topic's id, where the broker has topic ids (KIP-516).
    pub topic_id: Option<Uuid>,
    /// The topic it is mirrored to, partition for partition.
    pub target_topic: Arc<str>,
    /// The first source offset to mirror.
    pub start: SourceOffset,
    /// How it was written before; `None` where that is not known, and where nothing was.
    pub former: Option<Former>,
    /// Whether it was handed out before: the target may remember our last sequence there.
    pub was_here: bool,
    /// Nobody could write down that it is written under the flow's identity.
    pub unclaimed: bool,
    /// Where the target's log ends, before anything is written under an identity that nobody has used there; `None` where
    /// that is not known, and where others may write, too.
    pub target_end: Option<TargetOffset>,
    /// What the target topic demands of batches.
    pub rules: TargetRules,
    /// Over how many target partitions its records are dealt out by key; `None`: partition for partition.
    pub deal_to: Option<i32>,
    /// Whether other source partitions go to its target partitions, too: it then needs a producer identity of its own.
    pub shared_target: bool,
    /// Where its numbers go.
    pub status: Arc<PartitionStatus>,
}

/// What is known of those who wrote a partition before us.
#[derive(Debug, Clone)]
pub struct Former {
    /// What they wrote down with the progress that we start at.
    pub mark: ProducerMark,
    /// What the target says it holds of them.
    pub holds: Described,
}

/// How fetching stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceSide {
    Fetching,
    /// Failed; a timer will try again.
    Held,
    /// The position was out of range; the log's range is being asked.
    Relisting,
    /// The leader is being asked where the epoch of the last record read ends.
    Validating,
}

/// How producing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetSide {
    Sending,
    /// Failed; the answers to other requests in flight are awaited first, since they tell what arrived.
    Draining,
    /// Failed; a timer will try again.
    Held,
    /// The target is being asked what it holds.
    Asking,
    /// A new producer identity is on its way.
    Renewing,
    /// What the target does not take is being dealt with, see `lane_set_aside`.
    SettingAside,
}

/// A replica that is read instead of the leader.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OtherReplica {
    pub(crate) node: NodeId,
    /// Then the leader is asked again.
    pub(crate) until: Instant,
}

/// Records that may be damaged at the source.
#[derive(Debug)]
pub(crate) struct Doubt {
    /// Checksums are verified up to here.
    pub(crate) until: SourceOffset,
    /// The brokers that gave damaged records.
    pub(crate) tried: Vec<NodeId>,
}

impl From<ProducerIdentity> for Identity {
    fn from(identity: ProducerIdentity) -> Self {
        Self { producer_id: identity.id, producer_epoch: identity.epoch }
    }
}

/// For how long after an acknowledgement the target is sure to remember our producer.
const REMEMBERED_FOR: Duration = Duration::from_secs(10);

/// How many batches are prepared beforehand.
const PREPARED: usize = 2;

/// What part of the way from one source partition it is the state of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// All of it: partition for partition.
    Whole,
    /// The half that reads, where records are dealt out by key; its outlets send.
    Reader(Vec<Slot>),
    /// The half that sends to one target partition, fed by this reader.
    Outlet(Slot),
}

#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) role: Role,
    pub(crate) source: SourcePartition,
    /// The partition's number at the target.
    pub(crate) target_partition: i32,
    pub(crate) topic_id: Option<Uuid>,
    pub(crate) target_topic: Arc<str>,
    pub(crate) rules: TargetRules,
    pub(crate) status: Arc<PartitionStatus>,

    pub(crate) source_leader: Option<NodeId>,
    pub(crate) source_leader_epoch: i32,
    /// A replica that is read instead of the leader for the time being.
    pub(crate) read_from: Option<OtherReplica>,
    /// The leader changed, and its log has not been compared with what was read of the last one's.
    pub(crate) unvalidated: bool,
    /// The target or we found damage in what the source gave.
    pub(crate) doubt: Option<Doubt>,
    /// The target refused timestamps: up to here they are looked at one by one.
    pub(crate) inspect_until: SourceOffset,
    /// The broker whose fetch session holds this partition.
    pub(crate) session_on: Option<NodeId>,
    pub(crate) source_side: SourceSide,
    /// The next source offset to fetch.
    pub(crate) fetch_offset: SourceOffset,
    /// The offset that the fetch session asks for, and the number of the first request that asks for it: an
    /// answer to an earlier request may lie anywhere in the log and is not for us.
    pub(crate) requested: Option<(SourceOffset, u64)>,
    /// The broker whose session leaves this partition out because enough of it is buffered.
    pub(crate) held_on: Option<NodeId>,
    pub(crate) source_attempts: u32,

    /// What was fetched and has not been prepared.
    pub(crate) backlog: Backlog,
    /// A re-encoding is at work; what lies behind waits. Holds where its input ends.
    pub(crate) job_end: Option<SourceOffset>,
    /// The size of its input.
    pub(crate) job_bytes: usize,
    pub(crate) queue: VecDeque<Queued>,
    /// Bytes in `backlog`, in the re-encoding at work, and in `queue`.
    pub(crate) buffered: usize,

    pub(crate) target_leader: Option<NodeId>,
    /// The broker that in-flight batches went to. Another one is used only when none are in flight: order.
    pub(crate) sending_to: Option<NodeId>,
    pub(crate) target_side: TargetSide,
    pub(crate) identity: Option<Identity>,
    pub(crate) next_sequence: i32,
    /// On its target partition nobody else uses this producer id, nor ever has: its epoch may be raised.
    pub(crate) identity_is_its_own: bool,
    /// The identity that is asked for, until it is written down.
    pub(crate) raised: Option<Identity>,
    /// What the target holds is to be found out before anything is sent: a former writer, or another one, may have put
    /// so many records there (as far as is known) that the ledger has not seen leave.
    pub(crate) unproven: Option<i32>,
    /// Something was sent again, or by a former writer, under this identity: requests from before may still come out of
    /// some socket.
    pub(crate) recovered: bool,
    pub(crate) outstanding: u32,
    /// When the target last acknowledged a batch under this identity, see [`Partition::may_send`].
    pub(crate) acknowledged_at: Option<Instant>,
    pub(crate) ledger: Ledger,
    /// Where its log can be cut between the transactions of its producers.
    pub(crate) whole: Whole,
    /// Whether it is part of the transaction that is open.
    pub(crate) joined: Joined,
    /// The source's log is another: where to begin again as soon as it is known what became of all that is in flight.
    pub(crate) begin_again_at: Option<Restart>,
    pub(crate) target_attempts: u32,
    /// Why it is draining, and whether a person has to mend it.
    pub(crate) drained_cause: Option<(Cause, bool)>,
    /// Where the target's log ended when it was looked at last.
    pub(crate) target_end: Option<TargetOffset>,
    /// Where the target's log ended before the first batch under this identity.
    pub(crate) begun_at: Option<TargetOffset>,
    /// Where the target's log ended when what was under way was given up, until the next batch is there: what comes between
    /// may be there twice.
    pub(crate) given_up_at: Option<TargetOffset>,
    /// The target broker in whose queue of ready partitions it stands: at most one, and once.
    pub(crate) ready_on: Option<NodeId>,

    /// Grows whenever buffers are dropped: an answer or timer from before is stale.
    pub(crate) generation: u32,
    pub(crate) stopped: bool,
}

impl Partition {
    pub(crate) fn new(assignment: Assignment, identity: Identity) -> Self {
        let Assignment { source, topic_id, target_topic, start, rules, status, former, target_end, .. } =
            assignment;
        let mark = former.map_or(ProducerMark { identity, sequence: 0 }, |former| former.mark);
        Self {
            role: Role::Whole,
            target_partition: source.partition,
            source,
            topic_id,
            target_topic,
            rules,
            status,
            source_leader: None,
            source_leader_epoch: -1,
            read_from: None,
            unvalidated: true,
            doubt: None,
            inspect_until: SourceOffset(0),
            session_on: None,
            source_side: SourceSide::Fetching,
            fetch_offset: start,
            requested: None,
            held_on: None,
            source_attempts: 0,
            backlog: Backlog::default(),
            job_end: None,
            job_bytes: 0,
            queue: VecDeque::new(),
            buffered: 0,
            target_leader: None,
            sending_to: None,
            target_side: TargetSide::Sending,
            identity: Some(mark.identity),
            identity_is_its_own: false,
            raised: None,
            next_sequence: mark.sequence,
            unproven: None,
            recovered: false,
            outstanding: 0,
            acknowledged_at: None,
            ledger: Ledger::new(start, mark.sequence),
            whole: Whole::default(),
            joined: Joined::No,
            begin_again_at: None,
            target_attempts: 0,
            drained_cause: None,
            target_end,
            begun_at: target_end,
            given_up_at: None,
            ready_on: None,
            generation: 0,
            stopped: false,
        }
    }

    /// Whether more of it should be fetched, as far as the partition itself goes.
    pub(crate) fn wants_data(&self) -> bool {
        !self.stopped
            && self.source_side == SourceSide::Fetching
            && self.target_side == TargetSide::Sending
            && self.source_leader.is_some()
    }

    /// The broker to read from: the leader, unless another replica was named.
    pub(crate) fn source_home(&self, now: Instant) -> Option<NodeId> {
        let leader = self.source_leader?;
        Some(self.read_from.filter(|replica| now < replica.until).map_or(leader, |replica| replica.node))
    }

    /// Whether its next batch may leave now.
    ///
    /// A broker that remembers nothing of a producer takes any first sequence. So this could happen: the first
    /// batch is refused (the leader is not ready), the second, on its way already, is taken; the records of the
    /// first are missing, and no sequence tells. Therefore a batch joins others in flight only if the target is
    /// known to remember our last sequence. It may forget a silent producer (retention, `producer.id.expiration.ms`).
    pub(crate) fn may_send(&self, now: Instant) -> bool {
        let remembered = self.acknowledged_at.is_some_and(|at| now < at + REMEMBERED_FOR);
        self.target_side == TargetSide::Sending
            && !self.stopped
            && self.identity.is_some()
            && self.target_leader.is_some()
            && (self.outstanding == 0 || (remembered && self.sending_to == self.target_leader))
    }

    /// The target found damage in something that is in flight.
    pub(crate) fn doubt_what_was_sent(&mut self) {
        let until = self.ledger.promised_next();
        let doubt = self.doubt.get_or_insert(Doubt { until, tried: Vec::new() });
        doubt.until = doubt.until.max(until);
    }

    /// Drops everything that was not sent. It will be fetched again from `fetch_offset`, which the caller sets.
    pub(crate) fn drop_buffers(&mut self) {
        self.backlog.clear();
        self.queue.clear();
        self.job_end = None;
        self.job_bytes = 0;
        self.buffered = 0;
        self.requested = None;
        self.generation = self.generation.wrapping_add(1);
    }

    /// Adds re-encoded batches to what is to be sent.
    pub(crate) fn queue_encoded(&mut self, batches: Vec<Encoded>) {
        for one in batches {
            let untimely = one.untimely;
            let outgoing = Outgoing::encoded(one);
            self.buffered += outgoing.size();
            self.queue.push_back(match self.rules.refuses(&outgoing.header, untimely) {
                Some(why) => Queued::SetAside(outgoing, why),
                None => Queued::Batch(outgoing),
            });
        }
    }

    /// Queues that nothing before `next` is left to send. One behind the other they are one, however many were dropped.
    pub(crate) fn queue_skip(&mut self, next: SourceOffset) {
        match self.queue.back_mut() {
            Some(Queued::Skip(last)) => *last = next,
            _ => self.queue.push_back(Queued::Skip(next)),
        }
    }

    /// Passes over what lies at the front and does not go to the target.
    pub(crate) fn settle_skips(&mut self) -> Result<(), super::ledger::LedgerError> {
        while let Some(Queued::Skip(next)) = self.queue.front() {
            self.ledger.skip(*next)?;
            self.queue.pop_front();
        }
        Ok(())
    }

    /// Takes what became of stretches over into the offset map. What is dealt out over several target partitions has
    /// none: a source position has no one place there.
    pub(crate) fn tell_settled(&mut self) {
        let settled = self.ledger.take_settled();
        if self.role == Role::Whole && settled.len() > 0 {
            let mut map = self.status.offset_map();
            settled.for_each(|one| map.apply(one));
        }
    }

    /// The identity's next record gets sequence `first`.
    pub(crate) fn begin_sequences(&mut self, first: i32) {
        self.next_sequence = first;
        self.ledger.begin_sequences(first);
    }

    /// What a restart can go by.
    pub(crate) fn mark(&self) -> Option<ProducerMark> {
        let identity = self.identity.filter(|_| self.role == Role::Whole)?;
        Some(ProducerMark { identity, sequence: self.ledger.acknowledged_sequence() })
    }

    /// Whether what comes behind a gap in the source must go under another identity.
    ///
    /// A request whose answer was lost may sit in the broker's socket while we go on as if its records had not left: as a
    /// rule they leave again, with the same sequences. If they are gone from the source, other records would get those
    /// sequences; the late request would be appended first, and taken for them.
    pub(crate) fn needs_identity_behind_a_gap(&self) -> bool {
        self.recovered && self.role == Role::Whole
    }

    /// Begins again, if it is to, now that it is known what became of all that was sent. Whether another identity is needed
    /// for what comes next.
    pub(crate) fn take_restart(&mut self) -> bool {
        let Some(restart) = self.begin_again_at.take() else { return false };
        let position = restart.position(self.ledger.acknowledged_next());
        self.ledger.begin_again(position);
        self.whole = Whole::default();
        self.unproven.is_some() || self.identity.is_none() || self.needs_identity_behind_a_gap()
    }

    /// Whether nothing that was fetched waits to be sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.backlog.is_empty() && self.job_end.is_none()
    }

    /// Whether so much is prepared that the next request can leave, and one more while the next batch is prepared. What
    /// comes behind it waits, and may be merged by then.
    pub(crate) fn is_prepared(&self) -> bool {
        self.queue.iter().filter(|one| !matches!(one, Queued::Skip(_))).nth(PREPARED - 1).is_some()
    }

    /// The next batch to send, if any.
    pub(crate) fn front(&self) -> Option<&Outgoing> {
        match self.queue.front() {
            Some(Queued::Batch(outgoing)) => Some(outgoing),
            _ => None,
        }
    }

    pub(crate) fn retrying(&self, note: &str) {
        self.status.set_state(PartitionState::Retrying, Some(note.into()));
    }

    /// After a fetch without error.
    pub(crate) fn source_recovered(&mut self) {
        if std::mem::take(&mut self.source_attempts) > 0 {
            self.tell_recovery();
        }
    }

    /// After an acknowledgement.
    pub(crate) fn target_recovered(&mut self) {
        if std::mem::take(&mut self.target_attempts) > 0 {
            self.tell_recovery();
        }
    }

    fn tell_recovery(&self) {
        if self.source_attempts == 0 && self.target_attempts == 0 {
            self.tell_running();
        }
    }

    /// It runs; what is dealt out by key is marked as such.
    pub(crate) fn tell_running(&self) {
        let note = (self.role != Role::Whole).then(|| "its records are dealt out by key".into());
        self.status.set_state(PartitionState::Running, note);
    }

    /// What re-encoded batches of these entries must look like: the codec stays what it was unless the target
    /// topic has its own.
    pub(crate) fn shape(&self, entries: &[Entry]) -> Shape {
        let codec = entries.first().and_then(|entry| match entry {
            Entry::Batch(batch) => batch.header.codec().ok(),
            Entry::Legacy(set) => set.codec(),
        });
        let codec = self.rules.codec.or(codec).unwrap_or(Codec::None);
        Shape {
            codec,
            level: self.rules.level,
            max_batch_bytes: self.rules.max_batch_bytes,
            timestamps: None,
        }
    }
}

/// The pause before attempt number `attempts`: doubles from `initial` to `max`.
pub(crate) fn backoff(attempts: u32, initial: Duration, max: Duration) -> Duration {
    const DOUBLINGS_MAX: u32 = 16;
    initial.saturating_mul(1 << attempts.min(DOUBLINGS_MAX)).min(max)
}
