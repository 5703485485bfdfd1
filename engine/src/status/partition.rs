//! How one partition stands: written by its lane, read by anybody.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::flow::epochs::EpochHistory;
use crate::ids::{ProducerMark, SourceOffset, SourcePartition};
use crate::offsets::map::{OffsetMap, Translation};

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

    /// Why it is retrying or stopped; of one that runs, whether its records are dealt out by key.
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
