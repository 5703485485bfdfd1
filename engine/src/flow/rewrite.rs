//! What happens to one fetched batch: forwarded as it is, re-encoded, or dropped, each with its reason.
//!
//! Pure. The rules are the target broker's (`LogValidator`, `ProduceRequest.validateRecords`): what it would
//! refuse, silently recompress, or store with other contents must not be forwarded as it is.

use std::collections::VecDeque;
use std::fmt;

use kmirror_protocol::wire::batch::{Batch, BatchHeader, Codec, Entry, TimestampType};

use crate::ids::SourceOffset;

/// Why a batch cannot, or should not, go to the target as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReencodeReason {
    /// Record offsets have gaps (compaction, expired transactions): brokers accept dense batches only.
    Gaps,
    /// The first records of the batch are at the target already: mirroring resumed inside it.
    ResumedInside,
    /// The source stamps records on append; forwarded, they would get their producer's timestamps back.
    LogAppendTime,
    /// Message format 0 or 1: brokers accept only format 2 in today's Produce requests.
    OldFormat,
    /// Larger than the target takes.
    TooLarge,
    /// Small batches that waited are merged: each batch costs the target broker about 20 us of CPU.
    SmallBatches,
    /// The target topic has a codec of its own: its broker would decompress and compress every batch.
    OtherCodec,
    /// The target refused a timestamp nearby: records it does not take are told from those it does.
    Timestamps,
    /// Records are dealt out to the target's partitions by their keys.
    ByKey,
}

impl ReencodeReason {
    /// Every reason, in the order of its number.
    pub const ALL: [Self; 9] = [
        Self::Gaps,
        Self::ResumedInside,
        Self::LogAppendTime,
        Self::OldFormat,
        Self::TooLarge,
        Self::SmallBatches,
        Self::OtherCodec,
        Self::Timestamps,
        Self::ByKey,
    ];

    /// The reason as it stands in metrics and summaries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gaps => "gaps",
            Self::ResumedInside => "resumed-inside",
            Self::LogAppendTime => "log-append-time",
            Self::OldFormat => "old-format",
            Self::TooLarge => "too-large",
            Self::SmallBatches => "small-batches",
            Self::OtherCodec => "other-codec",
            Self::Timestamps => "timestamps",
            Self::ByKey => "by-key",
        }
    }
}

/// Why a batch does not go to the target at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DropReason {
    /// A transaction marker or another control batch: it has a meaning in the source's log only.
    Control,
    /// Data of an aborted transaction, under `isolation.level=read_committed`.
    Aborted,
    /// No record left in it: the broker kept it for the producer's state.
    Empty,
    /// Deleted at the source before it was mirrored.
    Lost,
    /// A record that the target does not take; it is in the dead-letter topic.
    DeadLettered,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::Control, Self::Aborted, Self::Empty, Self::Lost, Self::DeadLettered];

    /// The reason as it stands in metrics and summaries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Aborted => "aborted",
            Self::Empty => "empty",
            Self::Lost => "lost",
            Self::DeadLettered => "dead-lettered",
        }
    }
}

/// What the target demands of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetRules {
    /// The largest batch the target topic takes (`max.message.bytes`) and one request may hold.
    pub max_batch_bytes: usize,
    /// Whether the target topic keeps the producer's timestamps (`message.timestamp.type=CreateTime`).
    pub keeps_create_time: bool,
    /// The codec that the target topic stores (`compression.type`), where it is not the producer's.
    pub codec: Option<Codec>,
    /// The level of that codec (`compression.zstd.level` and the like).
    pub level: Option<i32>,
    /// Whether records are dealt out to the target's partitions by key.
    pub by_key: bool,
    /// The timestamps that the target topic takes, where it does not take all.
    pub timestamps: Option<TimestampRules>,
    /// How many replicas have to hold what counts as written (`min.insync.replicas`).
    pub min_in_sync: usize,
}

/// How far from the broker's clock a record's timestamp may lie, in milliseconds
/// (`message.timestamp.before.max.ms` and `message.timestamp.after.max.ms`, KIP-937).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampRules {
    /// In the past.
    pub before_ms: i64,
    /// In the future.
    pub after_ms: i64,
}

impl TimestampRules {
    /// The earliest and the latest timestamp that are taken when it is `now_ms`.
    pub fn at(self, now_ms: i64) -> (i64, i64) {
        (now_ms.saturating_sub(self.before_ms), now_ms.saturating_add(self.after_ms))
    }
}

/// Why the target does not take a record whatever batch it comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It alone makes a batch of so many bytes, more than `max.message.bytes`.
    TooLarge {
        /// The size of its batch.
        bytes: usize,
        /// What the target takes.
        limit: usize,
    },
    /// Its timestamp is further from the target's clock than the topic allows.
    Timestamp {
        /// The timestamp, in milliseconds since the epoch.
        timestamp: i64,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes, limit } => {
                write!(
                    f,
                    "it makes a batch of {bytes} bytes, and the target topic takes {limit} (max.message.bytes)"
                )
            }
            Self::Timestamp { timestamp } => write!(
                f,
                "its timestamp {timestamp} is further from the target's clock than the target topic takes \
                 (message.timestamp.before.max.ms, message.timestamp.after.max.ms)"
            ),
        }
    }
}

/// Kafka's own defaults (`max.message.bytes` 1048588, `message.timestamp.type` CreateTime).
impl Default for TargetRules {
    fn default() -> Self {
        Self {
            max_batch_bytes: 1_048_588,
            keeps_create_time: true,
            codec: None,
            level: None,
            by_key: false,
            timestamps: None,
            min_in_sync: 1,
        }
    }
}

impl TargetRules {
    /// Why the target does not take a batch of one record; `untimely` as the re-encoder found.
    pub fn refuses(&self, header: &BatchHeader, untimely: bool) -> Option<Refused> {
        let (bytes, limit) = (header.total_len(), self.max_batch_bytes);
        if untimely {
            return Some(Refused::Timestamp { timestamp: header.max_timestamp });
        }
        (header.record_count == 1 && bytes > limit).then_some(Refused::TooLarge { bytes, limit })
    }
}

/// What to do with one entry of a fetched log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Only its header is rewritten.
    Forward,
    /// Records are decoded and encoded again.
    Reencode(ReencodeReason),
    /// It does not go to the target.
    Drop(DropReason),
}

/// Decides about one entry, of which the records before `from` are not wanted.
pub fn decide(entry: &Entry, from: SourceOffset, rules: &TargetRules) -> Verdict {
    let batch = match entry {
        Entry::Legacy(_) => return Verdict::Reencode(ReencodeReason::OldFormat),
        Entry::Batch(batch) => batch,
    };
    let header = &batch.header;
    if header.is_control() {
        Verdict::Drop(DropReason::Control)
    } else if header.record_count == 0 {
        Verdict::Drop(DropReason::Empty)
    } else if rules.by_key {
        Verdict::Reencode(ReencodeReason::ByKey)
    } else if header.base_offset < from.0 {
        Verdict::Reencode(ReencodeReason::ResumedInside)
    } else if !header.is_dense() {
        Verdict::Reencode(ReencodeReason::Gaps)
    } else if header.timestamp_type() == TimestampType::LogAppend && rules.keeps_create_time {
        Verdict::Reencode(ReencodeReason::LogAppendTime)
    } else if rules.codec.is_some_and(|codec| header.codec() != Ok(codec)) {
        Verdict::Reencode(ReencodeReason::OtherCodec)
    } else if header.total_len() > rules.max_batch_bytes && header.record_count > 1 {
        Verdict::Reencode(ReencodeReason::TooLarge)
    } else {
        Verdict::Forward
    }
}

/// One step towards the target, in log order.
#[derive(Debug)]
pub enum Step {
    /// Send this batch with a rewritten header.
    Forward(Batch),
    /// The target does not take this single record.
    SetAside(Batch, Refused),
    /// Encode these entries again, leaving out records before `from`.
    Reencode {
        /// The reason that is counted.
        reason: ReencodeReason,
        /// Consecutive entries.
        entries: Vec<Entry>,
        /// Records before this are left out.
        from: SourceOffset,
    },
    /// Nothing of the log before `next` is left to send.
    Skip {
        /// Why.
        reason: DropReason,
        /// The first source offset behind what was dropped.
        next: SourceOffset,
        /// Its size at the source.
        bytes: usize,
    },
}

/// Batches below this are merged with their neighbours when several are at hand: uncompressed ones.
/// `benches/RESULTS.md` has the measurements behind these three numbers.
const MERGE_BELOW_BYTES_PLAIN: usize = 32 << 10;
/// The same for compressed ones, where merging means decoding and encoding.
const MERGE_BELOW_BYTES_COMPRESSED: usize = 4 << 10;
/// A merge takes in at most this many bytes: larger batches gain the broker nothing more.
const MERGE_INPUT_BYTES_MAX: usize = 256 << 10;

/// Fetched entries of one partition that have not been prepared for the target, in log order.
///
/// Small batches are merged with their neighbours when they are taken out, not when they come in: what is live goes at once
/// and alone, and what had to wait, for a slow target or a long way to it, goes together.
#[derive(Debug, Default)]
pub struct Backlog(VecDeque<Waiting>);

/// One entry of a backlog.
#[derive(Debug)]
enum Waiting {
    /// Goes as it is.
    Whole(Batch),
    /// Is encoded again, together with neighbours. Without a reason it could go alone as it is.
    Joins { entry: Entry, from: SourceOffset, reason: Option<ReencodeReason> },
    /// Does not go.
    Skip { reason: DropReason, next: SourceOffset, bytes: usize },
}

impl Backlog {
    /// Takes the next entry of the log; its records before `from` are not wanted. Where the target checks timestamps, those
    /// of the records before `inspect_until` are looked at one by one.
    pub fn push(
        &mut self,
        entry: Entry,
        from: SourceOffset,
        rules: &TargetRules,
        inspect_until: SourceOffset,
    ) {
        let inspects = || rules.timestamps.is_some() && entry.first_offset() < inspect_until.0;
        let reason = match decide(&entry, from, rules) {
            Verdict::Drop(reason) => return self.drop_entry(&entry, reason),
            Verdict::Reencode(reason) => Some(reason),
            Verdict::Forward if inspects() => Some(ReencodeReason::Timestamps),
            Verdict::Forward => None,
        };
        self.0.push_back(match entry {
            Entry::Batch(batch) if reason.is_none() && !is_small(&batch) => Waiting::Whole(batch),
            entry => Waiting::Joins { entry, from, reason },
        });
    }

    /// Drops an entry for a reason that its bytes alone do not tell.
    pub fn drop_entry(&mut self, entry: &Entry, reason: DropReason) {
        self.skip(reason, SourceOffset(entry.last_offset() + 1), entry.size());
    }

    /// Nothing of the log before `next` is left to send.
    pub fn skip(&mut self, reason: DropReason, next: SourceOffset, bytes: usize) {
        self.0.push_back(Waiting::Skip { reason, next, bytes });
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all that waits.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The next step towards the target.
    pub fn next_step(&mut self, rules: &TargetRules) -> Option<Step> {
        Some(match self.0.pop_front()? {
            Waiting::Whole(batch) => whole(batch, rules),
            Waiting::Skip { reason, next, bytes } => Step::Skip { reason, next, bytes },
            Waiting::Joins { entry, from, reason } => self.group(entry, from, reason, rules),
        })
    }

    /// An entry with those behind it that are encoded together with it.
    fn group(
        &mut self,
        first: Entry,
        from: SourceOffset,
        mut reason: Option<ReencodeReason>,
        rules: &TargetRules,
    ) -> Step {
        let (codec_of_all, mut bytes, mut entries) = (codec(&first), first.size(), vec![first]);
        while let Some(Waiting::Joins { entry, .. }) = self.0.front() {
            bytes += entry.size();
            if bytes > MERGE_INPUT_BYTES_MAX || codec(entry) != codec_of_all {
                break;
            }
            if let Some(Waiting::Joins { entry, reason: own, .. }) = self.0.pop_front() {
                reason = reason.or(own);
                entries.push(entry);
            }
        }
        match (reason, single_batch(entries)) {
            (None, Ok(batch)) => whole(batch, rules),
            (reason, entries) => {
                let entries = entries.map_or_else(|entries| entries, |batch| vec![Entry::Batch(batch)]);
                Step::Reencode { reason: reason.unwrap_or(ReencodeReason::SmallBatches), entries, from }
            }
        }
    }
}

/// A batch that goes as it is, if the target takes it at all.
fn whole(batch: Batch, rules: &TargetRules) -> Step {
    match rules.refuses(&batch.header, false) {
        Some(why) => Step::SetAside(batch, why),
        None => Step::Forward(batch),
    }
}

/// The one batch, if there is exactly one entry and it is of format 2.
fn single_batch(mut entries: Vec<Entry>) -> Result<Batch, Vec<Entry>> {
    if entries.len() != 1 {
        return Err(entries);
    }
    match entries.pop() {
        Some(Entry::Batch(batch)) => Ok(batch),
        other => Err(other.into_iter().collect()),
    }
}

fn is_small(batch: &Batch) -> bool {
    let limit = match batch.header.codec() {
        Ok(Codec::None) => MERGE_BELOW_BYTES_PLAIN,
        Ok(_) => MERGE_BELOW_BYTES_COMPRESSED,
        Err(_) => 0,
    };
    batch.header.total_len() < limit
}

/// The codec of an entry; old formats name theirs message by message.
fn codec(entry: &Entry) -> Option<Codec> {
    match entry {
        Entry::Batch(batch) => batch.header.codec().ok(),
        Entry::Legacy(_) => None,
    }
}
