//! The lane's fetch requests: one incremental fetch session (KIP-227) per source broker, one request at a time, and which
//! partitions are members of it. What the answers mean is decided in `lane_source`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kmirror_protocol::wire::fetch::{
    FetchParams, FetchPosition, FetchSession, IsolationLevel::ReadCommitted, IsolationLevel::ReadUncommitted,
    TopicKey,
};
use uuid::Uuid;

use super::distance::Distance;
use super::event::{Action, Side, Slot};
use super::lane::{Lane, LaneOptions};
use super::lane_link::Link;
use super::partition::{NodeId, Partition};

type Sources = BTreeMap<NodeId, SourceBroker>;

/// A broker that records are fetched from.
#[derive(Debug, Default)]
pub(crate) struct SourceBroker {
    pub(crate) link: Link,
    pub(crate) attempts: u32,
    pub(super) session: FetchSession,
    /// Partitions in the session.
    members: usize,
    /// Partitions left out because enough of them is buffered.
    held_back: usize,
    /// The version of the last request.
    pub(super) version: i16,
    /// How many requests were sent; the last one is unanswered while `asking`.
    pub(super) requests: u64,
    pub(super) asking: bool,
    /// Bytes of the flow's limit that are reserved for the answer.
    pub(super) reserved: u64,
    pub(super) distance: Distance,
}

impl SourceBroker {
    fn may_be_asked(&self) -> bool {
        self.link.version().is_some() && !self.asking && self.members > 0
    }

    fn fetch_bytes(&self, options: &LaneOptions) -> usize {
        self.distance.fetch_bytes(options.fetch_max_bytes, options.far_fetch_max_bytes)
    }

    /// How many bytes a fetch may bring of a partition that is a member of the session, or is to be one.
    fn partition_bytes(&self, options: &LaneOptions, is_member: bool) -> usize {
        if !self.distance.is_far() {
            return options.fetch_max_partition_bytes;
        }
        // Each gets its share: with one that took all, the others would have nothing to send.
        let members = self.members + usize::from(!is_member);
        (self.fetch_bytes(options) / members.max(1)).max(options.fetch_max_partition_bytes)
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
        let (now, dealt) = (self.now, self.dealt_out(slot));
        let Some(partition) = self.partitions.get_mut(slot.0).and_then(Option::as_mut) else { return };
        let home = partition.source_home(now);
        // What is on its way still counts; then the topic waits.
        let on_its_way =
            partition.session_on.and_then(|node| self.sources.get(&node)).is_some_and(|one| one.asking);
        let limited = !on_its_way && self.limits.waits(&partition.source.topic);
        let wants = partition.wants_data() && dealt.ready && !self.draining && !limited;
        let share = match home.and_then(|node| self.sources.get(&node)) {
            Some(broker) => broker.partition_bytes(&self.options, partition.session_on == home),
            None => self.options.fetch_max_partition_bytes,
        };
        let full = partition.buffered + dealt.buffered >= BUFFERED_FETCHES_MAX * share;
        hold_back(&mut self.sources, partition, home.filter(|_| wants && full));
        take_place(&mut self.sources, partition, home.filter(|_| wants && !full), share);
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
}

/// Counts a partition among those that `node` has enough of.
fn hold_back(sources: &mut Sources, partition: &mut Partition, node: Option<NodeId>) {
    let before = std::mem::replace(&mut partition.held_on, node);
    if before == node {
        return;
    }
    if let Some(before) = before {
        sources.entry(before).or_default().held_back -= 1;
    }
    if let Some(node) = node {
        sources.entry(node).or_default().held_back += 1;
    }
}

/// Makes a partition a member of the session with `node` and of no other, to be fetched from where it is.
fn take_place(sources: &mut Sources, partition: &mut Partition, node: Option<NodeId>, max_bytes: usize) {
    let key =
        TopicKey { name: Arc::clone(&partition.source.topic), id: partition.topic_id.unwrap_or(Uuid::nil()) };
    let index = partition.source.partition;
    if let Some(before) = partition.session_on.take_if(|before| Some(*before) != node) {
        let broker = sources.entry(before).or_default();
        broker.session.remove(&key, index);
        broker.members -= 1;
        partition.requested = None;
    }
    let Some(node) = node else { return };
    let broker = sources.entry(node).or_default();
    if partition.session_on.replace(node).is_none() {
        broker.members += 1;
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

pub(crate) fn clamp_i32(value: u128) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
