//! What a running mirror tells about itself: counters that the flows write and anybody may read.
//!
//! Writers are the lanes (one per flow); readers are the commit task, the command line, metrics. All numbers are
//! atomics, so reading never holds up the data path.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use kmirror_protocol::net::Throttling;
use tokio::sync::watch;

use crate::flow::epochs::EpochHistory;
use crate::flow::event::Side;
use crate::flow::rewrite::{DropReason, ReencodeReason};
use crate::ids::{ProducerMark, SourceOffset, SourcePartition};
use crate::offsets::map::{OffsetMap, Translation};
use crate::share::shards::Shards;

/// What a partition is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PartitionState {
    /// Records are being mirrored, or there are none to mirror.
    Running,
    /// Something failed; it is retried. The note says what.
    Retrying,
    /// It does not go on by itself. The note says why.
    Stopped,
}

impl PartitionState {
    fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Running,
            1 => Self::Retrying,
            _ => Self::Stopped,
        }
    }

    /// The state as it stands in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Stopped => "stopped",
        }
    }
}

/// One partition's numbers.
#[derive(Debug)]
pub struct PartitionStatus {
    /// The partition at the source.
    pub source: SourcePartition,
    /// The topic it is mirrored to.
    pub target_topic: Arc<str>,
    start: SourceOffset,
    acknowledged_next: AtomicI64,
    /// The same with what a restart needs to know of it.
    acknowledged: Mutex<(SourceOffset, Option<ProducerMark>)>,
    high_watermark: AtomicI64,
    goal: AtomicI64,
    records: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
    state: AtomicU8,
    note: Mutex<Option<Arc<str>>>,
    epochs: Mutex<EpochHistory>,
    offset_map: Mutex<OffsetMap>,
    released: AtomicBool,
}

impl PartitionStatus {
    /// A partition whose records before `start` need no mirroring. `goal` is the end offset that
    /// `--until-synced` waits for, `map` what is known of offsets already.
    pub fn new(
        source: SourcePartition,
        target_topic: Arc<str>,
        start: SourceOffset,
        goal: SourceOffset,
        map: OffsetMap,
    ) -> Self {
        Self {
            source,
            target_topic,
            start,
            acknowledged_next: AtomicI64::new(start.0),
            acknowledged: Mutex::new((start, None)),
            high_watermark: AtomicI64::new(goal.0),
            goal: AtomicI64::new(goal.0),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            state: AtomicU8::new(0),
            note: Mutex::new(None),
            epochs: Mutex::new(EpochHistory::default()),
            offset_map: Mutex::new(map),
            released: AtomicBool::new(false),
        }
    }

    /// Every source record before this offset is at the target or was dropped on purpose.
    pub fn acknowledged_next(&self) -> SourceOffset {
        SourceOffset(self.acknowledged_next.load(Ordering::Acquire))
    }

    /// [`Self::acknowledged_next`], and the mark that belongs to it.
    pub fn acknowledged(&self) -> (SourceOffset, Option<ProducerMark>) {
        *self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is written under a new identity from `next` on.
    pub fn set_mark(&self, next: SourceOffset, mark: ProducerMark) {
        *self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner) = (next, Some(mark));
    }

    /// The source offset that mirroring of it began with.
    pub fn start(&self) -> SourceOffset {
        self.start
    }

    /// Whether anything was acknowledged or passed over since mirroring of it began.
    pub fn has_moved(&self) -> bool {
        self.acknowledged_next() != self.start
    }

    /// The end of the source partition as last seen.
    pub fn high_watermark(&self) -> SourceOffset {
        SourceOffset(self.high_watermark.load(Ordering::Relaxed))
    }

    /// The end of the source partition when mirroring of it began.
    pub fn goal(&self) -> SourceOffset {
        SourceOffset(self.goal.load(Ordering::Relaxed))
    }

    /// Source records not yet acknowledged by the target, as offsets (gaps and markers count).
    pub fn lag(&self) -> i64 {
        (self.high_watermark().0 - self.acknowledged_next().0).max(0)
    }

    /// Whether the partition reached the end it had when mirroring began.
    pub fn is_synced(&self) -> bool {
        self.acknowledged_next() >= self.goal()
    }

    /// Records acknowledged by the target.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Bytes of batches acknowledged by the target, as they went over the wire.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Source offsets that could not be mirrored: expired, truncated, or of a topic that was deleted.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// What it is doing.
    pub fn state(&self) -> PartitionState {
        PartitionState::from_code(self.state.load(Ordering::Relaxed))
    }

    /// Why it is retrying or stopped.
    pub fn note(&self) -> Option<Arc<str>> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The leader epoch of the last source record before `offset`, if it is known.
    pub fn epoch_before(&self, offset: SourceOffset) -> Option<i32> {
        self.epochs().before(offset)
    }

    /// What is known of the source log's leader epochs.
    pub fn epochs(&self) -> MutexGuard<'_, EpochHistory> {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The target offset that goes with a position at the source.
    pub fn translate(&self, position: SourceOffset) -> Translation {
        self.offset_map().translate(position)
    }

    /// The exact offset map. The lane waits for whoever holds it: only for as long as it takes to look something up.
    pub fn offset_map(&self) -> MutexGuard<'_, OffsetMap> {
        self.offset_map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the lane has let go of it: nothing of it is on its way any more.
    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    pub(crate) fn set_released(&self) {
        self.released.store(true, Ordering::Release);
    }

    pub(crate) fn count(&self, records: u64, bytes: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_acknowledged(&self, next: SourceOffset, mark: Option<ProducerMark>) {
        *self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner) = (next, mark);
        self.acknowledged_next.store(next.0, Ordering::Release);
    }

    pub(crate) fn set_high_watermark(&self, offset: SourceOffset) {
        self.high_watermark.store(offset.0, Ordering::Relaxed);
    }

    pub(crate) fn lower_goal(&self, offset: SourceOffset) {
        self.goal.fetch_min(offset.0, Ordering::Relaxed);
    }

    pub(crate) fn add_lost(&self, offsets: u64) {
        self.lost.fetch_add(offsets, Ordering::Relaxed);
    }

    pub(crate) fn set_state(&self, state: PartitionState, note: Option<Arc<str>>) {
        self.state.store(state as u8, Ordering::Relaxed);
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = note;
    }
}

/// Batches, records and bytes of one kind.
#[derive(Debug, Default)]
pub struct Tally {
    batches: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    pub(crate) fn add(&self, batches: u64, bytes: u64) {
        self.batches.fetch_add(batches, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Source batches counted.
    pub fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// Their bytes at the source.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// What one flow did so far.
#[derive(Debug, Default)]
pub struct FlowCounters {
    /// Batches that went as they were.
    pub forwarded: Tally,
    reencoded: [Tally; ReencodeReason::ALL.len()],
    dropped: [Tally; DropReason::ALL.len()],
    recoveries: AtomicU64,
    possible_duplicates: AtomicU64,
}

impl FlowCounters {
    /// Batches that were re-encoded for this reason.
    pub fn reencoded(&self, reason: ReencodeReason) -> &Tally {
        &self.reencoded[reason as usize]
    }

    /// Batches that were dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> &Tally {
        &self.dropped[reason as usize]
    }

    /// How often a partition had to ask the target what it holds.
    pub fn recoveries(&self) -> u64 {
        self.recoveries.load(Ordering::Relaxed)
    }

    /// At most this many records may be at the target twice.
    pub fn possible_duplicates(&self) -> u64 {
        self.possible_duplicates.load(Ordering::Relaxed)
    }

    pub(crate) fn add_recovery(&self) {
        self.recoveries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_possible_duplicates(&self, records: u64) {
        self.possible_duplicates.fetch_add(records, Ordering::Relaxed);
    }
}

/// One flow: its counters and its partitions.
#[derive(Debug)]
pub struct FlowStatus {
    /// The source cluster's alias.
    pub source: Arc<str>,
    /// The target cluster's alias.
    pub target: Arc<str>,
    /// What it did so far.
    pub counters: FlowCounters,
    partitions: RwLock<BTreeMap<SourcePartition, Arc<PartitionStatus>>>,
    trouble: Mutex<BTreeMap<Arc<str>, Arc<str>>>,
    throttling: [Arc<Throttling>; 2],
    topics: RwLock<BTreeMap<Arc<str>, Arc<str>>>,
    /// What this process may mirror.
    owned: RwLock<Shards>,
    discovered: AtomicBool,
    waiting: AtomicBool,
    leads: watch::Sender<bool>,
}

impl FlowStatus {
    /// A flow of which nothing is known yet.
    pub fn new(source: Arc<str>, target: Arc<str>) -> Self {
        Self {
            source,
            target,
            counters: FlowCounters::default(),
            partitions: RwLock::default(),
            trouble: Mutex::default(),
            throttling: Default::default(),
            topics: RwLock::default(),
            owned: RwLock::new(Shards::NONE),
            discovered: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            leads: watch::Sender::new(false),
        }
    }

    /// `source->target`.
    pub fn name(&self) -> String {
        format!("{}->{}", self.source, self.target)
    }

    /// How often and how long the brokers of one side asked for silence because of their quotas (KIP-219).
    pub fn throttling(&self, side: Side) -> &Arc<Throttling> {
        &self.throttling[side as usize]
    }

    /// The partitions this process mirrors, by source topic and index.
    pub fn partitions(&self) -> Vec<Arc<PartitionStatus>> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect()
    }

    /// The source topics of the flow, whichever process mirrors them, with what they are called at the target.
    pub fn topics(&self) -> BTreeMap<Arc<str>, Arc<str>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_owned(&self, shards: Shards) {
        *self.owned.write().unwrap_or_else(PoisonError::into_inner) = shards;
    }

    /// Whether a partition is this process's to mirror, known or not.
    pub(crate) fn is_ours(&self, partition: &SourcePartition) -> bool {
        self.owned.read().unwrap_or_else(PoisonError::into_inner).has(partition)
    }

    pub(crate) fn set_topics(&self, topics: BTreeMap<Arc<str>, Arc<str>>) {
        *self.topics.write().unwrap_or_else(PoisonError::into_inner) = topics;
    }

    /// Whether this process mirrors the partition.
    pub(crate) fn has(&self, partition: &SourcePartition) -> bool {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner).contains_key(partition)
    }

    /// What cannot be done at the moment, by the topic (or other thing) it concerns.
    pub fn trouble(&self) -> BTreeMap<Arc<str>, Arc<str>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the topics of the source were listed at least once.
    pub fn is_discovered(&self) -> bool {
        self.discovered.load(Ordering::Acquire)
    }

    /// Whether every partition known reached the end it had when it was found, and no topic is in trouble.
    pub fn is_synced(&self) -> bool {
        self.is_discovered()
            && self.trouble().is_empty()
            && self.partitions().iter().all(|partition| partition.is_synced())
    }

    /// Whether other processes are waited for: they have the partitions, or keep this one out.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether this process runs what exactly one process of the flow runs.
    pub fn leads(&self) -> bool {
        *self.leads.borrow()
    }

    /// Waits until this process is the one.
    pub(crate) async fn leading(&self) {
        let _ = self.leads.subscribe().wait_for(|leads| *leads).await;
    }

    pub(crate) fn set_waiting(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    pub(crate) fn set_leads(&self, leads: bool) {
        self.leads.send_if_modified(|known| std::mem::replace(known, leads) != leads);
    }

    pub(crate) fn set_discovered(&self) {
        self.discovered.store(true, Ordering::Release);
    }

    pub(crate) fn set_trouble(&self, about: &Arc<str>, what: Option<Arc<str>>) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match what {
            Some(what) => trouble.insert(Arc::clone(about), what),
            None => trouble.remove(about),
        };
    }

    /// A partition is being mirrored from now on.
    pub fn insert(&self, partition: Arc<PartitionStatus>) {
        let mut partitions = self.partitions.write().unwrap_or_else(PoisonError::into_inner);
        partitions.insert(partition.source.clone(), partition);
    }

    pub(crate) fn remove(&self, partition: &SourcePartition) {
        self.partitions.write().unwrap_or_else(PoisonError::into_inner).remove(partition);
    }
}

/// The whole mirror.
#[derive(Debug)]
pub struct Status {
    /// Its flows, in the order of the plan.
    pub flows: Vec<Arc<FlowStatus>>,
}

impl Status {
    /// Whether every flow is synced, see [`FlowStatus::is_synced`].
    pub fn is_synced(&self) -> bool {
        self.flows.iter().all(|flow| flow.is_synced())
    }
}
