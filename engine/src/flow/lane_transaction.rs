//! The lane's half of writing in transactions (`exactly.once.source.support=enabled`).
//!
//! One transaction at a time holds what all partitions send. It is open until its time or its size is reached; then
//! nothing more is sent, what is in flight is awaited, and the flow is told: it writes progress and offset maps into the
//! transaction and ends it. Only then are positions shown to anybody. What is awaited is known exactly: a send that failed
//! is looked after as always (`lane_recovery`), since the target tells the last sequence in a transaction, too. What
//! cannot be known exactly ends the transaction the other way: the flow aborts it and begins anew where the last one ended.
//!
//! A partition that is read with `isolation.level=read_committed` waits for the end of a source transaction before it
//! sends its first record, as far as there is memory, and a transaction here is not ended within one there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kmirror_protocol::client::retry::{self, Action as Remedy};
use kmirror_protocol::wire::error::ErrorCode;

use super::event::{Action, Cause, Note, Side, Slot};
use super::lane::{Lane, Timer};
use super::partition::Partition;
use crate::ids::SourcePartition;

/// How long a stop waits for source transactions to end: then the transaction here is aborted.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// What a lane has to know to write in transactions.
#[derive(Debug, Clone)]
pub struct TransactionOptions {
    /// The transactional id.
    pub id: Arc<str>,
    /// `kmirror.transaction.max.bytes`
    pub max_bytes: u64,
    /// How long the end of source transactions is waited for: then they are cut in two.
    pub patience: Duration,
}

/// Whether a partition is part of the transaction at its coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Joined {
    #[default]
    No,
    Asked,
    Yes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Open,
    /// Nothing is sent but what belongs to source transactions that have begun to be; until then.
    Closing(Instant),
    /// The flow ends it.
    Closed,
}

/// The lane's transaction.
#[derive(Debug, Default)]
pub(crate) struct LaneTransaction {
    phase: Phase,
    bytes: u64,
    /// Partitions that are part of it, or are to be.
    joined: Vec<Slot>,
    /// Those that are to be asked for.
    joining: Vec<Slot>,
    /// Partitions whose position has moved since it was shown.
    moved: BTreeSet<Slot>,
    /// Records came into it of partitions that are not here any more.
    released: bool,
    /// Partitions that wait for the end of a source transaction.
    waiting: BTreeSet<Slot>,
    /// Source transactions did not end in time.
    cuts: bool,
    /// A stop waits no longer.
    given_up: bool,
}

impl Lane {
    /// Whether the partition's next batch may leave now; asks for what it takes.
    pub(crate) fn may_send(&mut self, slot: Slot) -> bool {
        let now = self.now;
        let may = |partition: &Partition| partition.may_send(now);
        if !self.is_transactional() {
            return self.partition(slot).is_some_and(may);
        }
        if self.transaction.phase == Phase::Closed || !self.partition(slot).is_some_and(may) {
            return false;
        }
        let is_open = self.transaction.phase == Phase::Open;
        if !self.keeps_transactions_whole(slot) {
            if is_open {
                self.transaction.waiting.insert(slot);
            }
            return false;
        }
        match self.partition(slot).map(|one| one.joined) {
            Some(Joined::Yes) => true,
            Some(Joined::No) if is_open => {
                self.ask_to_join(slot);
                false
            }
            _ => false,
        }
    }

    fn ask_to_join(&mut self, slot: Slot) {
        if self.lacks_replicas(slot) {
            // Sent in a transaction its batch would hold up all others.
            self.refresh(Side::Target);
            let cause = "the target partition has too few replicas in sync".into();
            return self.target_failed(slot, cause, false);
        }
        if let Some(partition) = self.partition_mut(slot) {
            partition.joined = Joined::Asked;
            self.transaction.joining.push(slot);
        }
    }

    /// Whether the target would refuse its batch, as far as is known.
    fn lacks_replicas(&self, slot: Slot) -> bool {
        let (Some(one), Some(known)) = (self.partition(slot), self.metadata[Side::Target as usize].as_ref())
        else {
            return false;
        };
        let target = known.partition(&one.target_topic, one.target_partition);
        target.is_some_and(|target| target.in_sync_replicas.len() < one.rules.min_in_sync)
    }

    /// Whether sending the partition's next batch keeps to whole source transactions.
    fn keeps_transactions_whole(&self, slot: Slot) -> bool {
        let winds_up = self.transaction.phase != Phase::Open || self.is_releasing(slot);
        let Some(partition) = self.partition(slot) else { return false };
        if !is_between(partition) {
            return !self.transaction.cuts;
        }
        let Some(next) = partition.front().map(|front| front.next) else { return false };
        // Where no more can be kept, waiting would be for ever.
        let has_room = partition.held_on.is_none() && self.credit >= self.options.fetch_max_partition_bytes;
        let is_open = partition.whole.is_open_before(next);
        !(winds_up || has_room && is_open)
    }

    /// Looks again at those that wait for the end of a source transaction, and asks for partitions to be taken in.
    pub(crate) fn pump_transaction(&mut self) {
        if self.transaction.phase != Phase::Open {
            return;
        }
        for slot in std::mem::take(&mut self.transaction.waiting) {
            self.make_ready(slot);
        }
        let joining = std::mem::take(&mut self.transaction.joining);
        if joining.is_empty() {
            return;
        }
        let named = |slot: &Slot| {
            let partition = self.partition(*slot)?;
            Some((Arc::clone(&partition.target_topic), partition.target_partition))
        };
        let partitions = joining.iter().filter_map(named).collect();
        self.transaction.joined.extend(&joining);
        self.actions.push(Action::Join(joining, partitions));
    }

    /// The coordinator took partitions into the transaction, or did not.
    pub(crate) fn joined(&mut self, slots: Vec<Slot>, result: Result<(), Cause>) {
        if let Err(cause) = result {
            return self.abort(cause);
        }
        for slot in slots {
            if let Some(partition) = self.partition_mut(slot) {
                partition.joined = Joined::Yes;
            }
            self.make_ready(slot);
        }
    }

    /// One partition cannot be written: the others go on.
    pub(crate) fn not_joined(&mut self, slot: Slot, cause: Cause, code: ErrorCode) {
        if code == ErrorCode::UnknownTopicOrPartition {
            self.refresh(Side::Target);
            self.actions.push(Action::Rediscover);
        }
        if let Some(partition) = self.partition_mut(slot) {
            partition.joined = Joined::No;
        }
        self.target_failed(slot, cause, matches!(retry::decide(code), Remedy::Fatal(_)));
    }

    /// Counts what was sent in the transaction.
    pub(crate) fn sent_in_transaction(&mut self, bytes: usize) {
        let Some(options) = &self.options.transaction else { return };
        self.transaction.bytes += bytes as u64;
        if self.transaction.bytes >= options.max_bytes {
            self.close();
        }
    }

    /// The transaction is to end.
    pub(crate) fn close(&mut self) {
        let Some(options) = &self.options.transaction else { return };
        let patience = if self.draining { STOP_WITHIN } else { options.patience };
        let until = self.now + patience;
        match self.transaction.phase {
            Phase::Closed => return,
            Phase::Closing(sooner) if sooner <= until => return,
            Phase::Open | Phase::Closing(_) => self.transaction.phase = Phase::Closing(until),
        }
        self.set_timer(patience, Timer::Closing);
    }

    /// The flow has ended the transaction: the next one begins.
    pub(crate) fn reopen(&mut self) {
        let LaneTransaction { joined, joining, .. } = std::mem::take(&mut self.transaction);
        for slot in joined.into_iter().chain(joining) {
            if let Some(partition) = self.partition_mut(slot) {
                partition.joined = Joined::No;
            }
        }
        for index in 0..self.partitions.len() {
            self.make_ready(Slot(index));
        }
    }

    /// After each event: tells the flow when the transaction can be ended.
    pub(crate) fn finish_closing(&mut self) {
        let Phase::Closing(until) = self.transaction.phase else { return };
        let in_flight = self.targets.values().any(|broker| broker.in_flight() > 0);
        let is_asked = |one: &Partition| one.joined == Joined::Asked;
        let mut joined = self.transaction.joined.iter().filter_map(|slot| self.partition(*slot));
        let unsettled =
            joined.find(|one| !one.ledger.is_idle() || is_asked(one)).map(|one| one.source.clone());
        if in_flight || unsettled.is_some() {
            if self.now >= until && !self.draining {
                self.give_up(unsettled);
            }
            return;
        }
        if !self.transaction.cuts {
            // One that stopped will not come to the end of its transaction, however long it is waited for.
            if self.within_source_transactions().any(|one| !one.stopped) {
                if self.now < until {
                    return;
                }
                if self.draining {
                    self.transaction.given_up = true;
                    return;
                }
            }
            self.cut();
        }
        self.transaction.phase = Phase::Closed;
        let moved: Vec<Slot> = std::mem::take(&mut self.transaction.moved).into_iter().collect();
        let holds = !moved.is_empty() || !self.transaction.joined.is_empty() || self.transaction.released;
        moved.into_iter().for_each(|slot| self.publish_now(slot));
        self.actions.push(Action::Closed { holds });
    }

    /// What became of a partition's records stays unknown for too long. All others wait for it: without this transaction
    /// they go on.
    fn give_up(&mut self, unsettled: Option<SourcePartition>) {
        let what = unsettled.map_or_else(|| "of some partition".to_owned(), |one| format!("of {one}"));
        self.transaction.phase = Phase::Closed;
        self.abort(format!("the target does not tell in time what arrived {what}").into());
    }

    fn within_source_transactions(&self) -> impl Iterator<Item = &Partition> {
        let slots = self.transaction.joined.iter();
        slots.filter_map(|slot| self.partition(*slot)).filter(|one| !is_between(one))
    }

    /// What is left of source transactions comes too late, or never: they arrive in pieces.
    fn cut(&mut self) {
        let cut: Vec<SourcePartition> =
            self.within_source_transactions().map(|one| one.source.clone()).collect();
        self.transaction.cuts |= !cut.is_empty();
        self.actions.extend(cut.into_iter().map(|source| Action::Note(source, Note::CutTransaction)));
    }

    /// A partition that another process goes on with is let go of between two source transactions, when all is known.
    pub(crate) fn may_let_go(&self, slot: Slot) -> bool {
        let knows = |one: &Partition| one.ledger.is_idle() && (is_between(one) || self.transaction.cuts);
        !self.is_transactional() || self.partition(slot).is_none_or(knows)
    }

    /// What was sent of it is part of the transaction, also when it is gone from here.
    pub(crate) fn released_in_transaction(&mut self, slot: Slot) {
        if self.is_transactional() {
            self.transaction.released |= self.transaction.joined.contains(&slot);
            self.transaction.moved.remove(&slot);
            self.publish_now(slot);
        }
    }

    /// Counts what arrived, and remembers that the position moved instead of showing it.
    pub(crate) fn publish_later(&mut self, slot: Slot, records: u64, bytes: u64) {
        let Some(partition) = self.partition(slot) else { return };
        partition.status.count(records, bytes);
        if partition.ledger.acknowledged_next() != partition.status.acknowledged_next() {
            self.transaction.moved.insert(slot);
        }
    }

    /// After [`Event::Drain`](super::event::Event::Drain): whether the transaction is ready to be ended, or cannot be.
    pub(crate) fn is_transaction_drained(&self) -> bool {
        !self.is_transactional() || self.transaction.phase == Phase::Closed || self.transaction.given_up
    }

    /// What is not known exactly cannot count.
    pub(crate) fn abort(&mut self, cause: Cause) {
        self.actions.push(Action::Abort(cause));
    }

    /// Whether batches are part of a transaction.
    pub(crate) fn is_transactional(&self) -> bool {
        self.options.transaction.is_some()
    }
}

fn is_between(partition: &Partition) -> bool {
    partition.whole.is_between(partition.ledger.promised_next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::event::Event;
    use crate::flow::partition::Assignment;
    use crate::flow::rewrite::TargetRules;
    use crate::ids::{Identity, SourceOffset};
    use crate::offsets::map::OffsetMap;
    use crate::offsets::stretch::Runs;
    use crate::plan::OnRefused;
    use crate::status::{FlowStatus, PartitionStatus};

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A lane whose transaction has one partition.
    fn lane(now: Instant) -> Lane {
        let options = super::super::lane::LaneOptions {
            fetch_max_wait: PATIENCE,
            fetch_min_bytes: 1,
            fetch_max_bytes: 1000,
            far_fetch_max_bytes: 1000,
            memory_bytes: 4000,
            fetch_max_partition_bytes: 1000,
            read_committed: false,
            rack: "".into(),
            acks: -1,
            produce_timeout: PATIENCE,
            max_request_bytes: 1000,
            max_in_flight: 5,
            retry_backoff: PATIENCE,
            retry_backoff_max: PATIENCE,
            stop_on_lost_records: false,
            on_refused: OnRefused { raises_limit: false, dead_letters: false },
            transaction: Some(TransactionOptions { id: "id".into(), max_bytes: 1000, patience: PATIENCE }),
        };
        let identity = Identity { producer_id: 7, producer_epoch: 0 };
        let status = Arc::new(FlowStatus::new("a".into(), "b".into()));
        let mut lane = Lane::new(options, identity, status, now);
        let (source, start) = (SourcePartition { topic: "t".into(), partition: 0 }, SourceOffset(0));
        let partition = PartitionStatus::new(source.clone(), "a.t".into(), start, start, OffsetMap::new(10));
        let assignment = Assignment {
            source,
            topic_id: None,
            target_topic: "a.t".into(),
            start,
            former: None,
            was_here: false,
            unclaimed: false,
            target_end: None,
            rules: TargetRules::default(),
            deal_to: None,
            shared_target: false,
            status: Arc::new(partition),
        };
        lane.apply(now, Event::Assign(vec![assignment]));
        lane.partition_mut(Slot(0)).unwrap().joined = Joined::Yes;
        lane.transaction.joined.push(Slot(0));
        lane
    }

    fn said(lane: &mut Lane) -> Vec<String> {
        let told = |action: Action| match action {
            Action::Abort(cause) => Some(cause.to_string()),
            Action::Closed { .. } => Some("closed".to_owned()),
            _ => None,
        };
        lane.take_actions().into_iter().filter_map(told).collect()
    }

    #[test]
    fn a_partition_whose_records_stay_unknown_is_not_waited_for_without_end() {
        let now = Instant::now();
        let mut lane = lane(now);
        let (first, next, runs) = (SourceOffset(0), SourceOffset(5), Runs::dense(SourceOffset(0)));
        lane.partition_mut(Slot(0)).unwrap().ledger.send(first, next, 0, 5, runs).unwrap();
        lane.apply(now, Event::Close);
        lane.apply(now + PATIENCE / 2, Event::Tick);
        assert!(said(&mut lane).is_empty());
        lane.apply(now + PATIENCE, Event::Tick);
        assert_eq!(said(&mut lane), ["the target does not tell in time what arrived of t-0"]);
        lane.apply(now + 2 * PATIENCE, Event::Tick);
        assert!(said(&mut lane).is_empty(), "said once");
    }

    #[test]
    fn what_is_settled_is_closed_at_once() {
        let now = Instant::now();
        let mut lane = lane(now);
        lane.apply(now, Event::Close);
        assert_eq!(said(&mut lane), ["closed"]);
    }
}
