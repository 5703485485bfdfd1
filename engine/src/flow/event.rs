//! What a lane hears and what it asks for: values only.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use kmirror_protocol::client::{Metadata, TopicPartition};
use kmirror_protocol::wire::batch::{BatchHeader, Entry};
use kmirror_protocol::wire::error::ErrorCode;
use kmirror_protocol::wire::fetch::EpochEnd;
use kmirror_protocol::wire::record::RecordError;
use kmirror_protocol::wire::reencode::{Encoded, Shape};

use super::epochs::EpochHistory;
use super::partition::{Assignment, NodeId};
use super::position::{LogRange, Loss};
use super::rewrite::{Refused, TimestampRules};
use crate::ids::{Identity, SourceOffset, SourcePartition, TargetOffset};
use crate::offsets::stretch::Landed;
use crate::plan::LimitPlan;
use crate::status::PartitionStatus;

/// One of the two clusters of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Where records are read.
    Source,
    /// Where they are written.
    Target,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// A partition's place in its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub(crate) usize);

/// A question about a partition, good for one generation of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    pub(crate) slot: Slot,
    pub(crate) generation: u32,
}

/// The versions that a connection negotiated for the two APIs of the data path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkVersions {
    /// Of Fetch.
    pub fetch: i16,
    /// Of Produce.
    pub produce: i16,
}

/// Why a link, a question or a job failed, in words for the log and the status.
pub type Cause = Arc<str>;

/// What a broker's connection tells.
#[derive(Debug)]
pub enum LinkEvent {
    /// It is open and negotiated.
    Opened(LinkVersions),
    /// The answer to the oldest unanswered request.
    Answer(Bytes),
    /// It is closed, or could not be opened. Unanswered requests have an unknown outcome.
    Closed(Cause),
}

/// What the target's in-sync replicas say they hold of our producer.
#[derive(Debug, Clone)]
pub enum Described {
    /// The sequence of the last record, and where the log ends; `None` while records still arrive.
    LastSequence(i32, Option<TargetOffset>),
    /// Nothing that it remembers; its log ends here.
    Nothing(TargetOffset),
    /// It cannot tell: an old broker, or no right to ask. Its log ends here.
    CannotTell(Cause, TargetOffset),
    /// The question failed; ask again later.
    Failed(Cause),
}

impl Described {
    /// Where the target's log ends, if it stays so.
    pub(crate) fn end(&self) -> Option<TargetOffset> {
        match self {
            Self::LastSequence(_, end) => *end,
            Self::Nothing(end) | Self::CannotTell(_, end) => Some(*end),
            Self::Failed(_) => None,
        }
    }

    /// What a partition's producer state says (`DescribeProducers`): the epoch and the last sequence that it has of our
    /// producer id, if it has any, in a log that ends at `end` and stays so, if it is `at_rest`.
    pub fn of(state: Option<(i32, i32)>, ours: Identity, end: TargetOffset, at_rest: bool) -> Self {
        let Some((epoch, last_sequence)) = state else { return Self::Nothing(end) };
        match epoch.cmp(&i32::from(ours.producer_epoch)) {
            Ordering::Greater => {
                Self::CannotTell("another producer has taken over our producer id".into(), end)
            }
            // Nothing since its epoch was raised.
            Ordering::Less => Self::Nothing(end),
            Ordering::Equal if last_sequence < 0 => Self::Nothing(end),
            Ordering::Equal => Self::LastSequence(last_sequence, at_rest.then_some(end)),
        }
    }
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Mirror these partitions.
    Assign(Vec<Assignment>),
    /// Do not mirror these any more.
    Revoke(Vec<SourcePartition>),
    /// The same, for somebody else to go on with them: their status tells when nothing of them is in flight any more.
    Release(Vec<Arc<PartitionStatus>>),
    /// The cluster's leaders as now known.
    Metadata(Side, Arc<Metadata>),
    /// The cluster could not be asked for its leaders.
    RefreshFailed(Side, Cause),
    /// A broker's connection.
    Link(Side, NodeId, LinkEvent),
    /// A re-encoding is finished.
    Reencoded(Question, Result<Vec<Encoded>, RecordError>),
    /// Records were dealt out; one list of batches for each outlet.
    Dealt(Question, Result<Vec<Vec<Encoded>>, RecordError>),
    /// A source partition's log range.
    Listed(Slot, Result<LogRange, Cause>),
    /// Where the leader's log has the end of this epoch; `None` when the broker cannot tell.
    EpochEnd(Slot, i32, Result<Option<EpochEnd>, Cause>),
    /// What the target does not take has been dealt with.
    SetAside(Question, Result<Remedied, Cause>),
    /// What the target holds.
    Described(Question, Described),
    /// Which records of the source a former writer sent; `None` where that cannot be proved.
    Recounted(Question, Result<Option<Found>, Cause>),
    /// A producer identity for one partition.
    Renewed(Question, Result<Identity, Cause>),
    /// From now on these limits count.
    Limits(Arc<LimitPlan>),
    /// These partitions are part of the transaction now, or it cannot go on.
    Joined(Vec<Slot>, Result<(), Cause>),
    /// The target does not take a partition into the transaction.
    NotJoined(Slot, Cause, ErrorCode),
    /// End the transaction.
    Close,
    /// It has been ended.
    Reopen,
    /// Time passed.
    Tick,
    /// Fetch no more, let what is in flight finish.
    Drain,
}

/// What the lane wants done.
#[derive(Debug)]
pub enum Action {
    /// Connect to a broker.
    Open(Side, NodeId),
    /// Send a request; answers come in the order of the requests.
    Send {
        /// To the source (Fetch) or the target (Produce).
        side: Side,
        /// The broker.
        node: NodeId,
        /// The request's version.
        version: i16,
        /// The body in pieces.
        body: Vec<Bytes>,
    },
    /// Encode records again, on a worker.
    Reencode {
        /// To be given back with the result.
        question: Question,
        /// Consecutive entries.
        entries: Vec<Entry>,
        /// What is left out of them, and whether they are dealt out.
        begin: Begin,
        /// What the result must look like.
        shape: Shape,
        /// The target's rules for timestamps, where they are to be looked at one by one.
        timestamps: Option<TimestampRules>,
    },
    /// Ask for a source partition's log range.
    List(Slot, SourcePartition),
    /// Ask the leader where an epoch ends in its log.
    EpochEnd(Slot, SourcePartition, i32),
    /// Raise `max.message.bytes` of a target topic.
    RaiseLimit {
        /// To be given back with the outcome.
        question: Question,
        /// The target topic.
        topic: Arc<str>,
        /// The size of the batch it has to take.
        bytes: usize,
    },
    /// Write a record to the dead-letter topic.
    DeadLetter {
        /// To be given back with the outcome.
        question: Question,
        /// The record.
        letter: Letter,
    },
    /// Ask what the target holds of a producer.
    Describe {
        /// To be given back with the answer.
        question: Question,
        /// The target topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// Our identity there.
        identity: Identity,
        /// How many replicas have to hold what is there.
        min_in_sync: usize,
    },
    /// Find the records of the source that the target holds and that were not sent from here.
    Recount(Question, Recount),
    /// Get another producer identity for one partition. `claim` is to be written down before it is used: that the
    /// partition is written under it from this source offset on.
    Renew {
        /// To be given back with the identity.
        question: Question,
        /// The identity to take: the former one with its epoch raised, which late requests under that one do not get past.
        /// `None` for a new one.
        raised: Option<Identity>,
        /// `None` where a restart cannot go by it.
        claim: Option<(SourcePartition, SourceOffset)>,
    },
    /// Ask a cluster who leads the partitions.
    Refresh(Side),
    /// Make these target partitions part of the transaction.
    Join(Vec<Slot>, Vec<TopicPartition>),
    /// Nothing of the transaction is in flight: it can be ended, if it `holds` anything.
    Closed {
        /// Records, or a position that moved.
        holds: bool,
    },
    /// The transaction cannot count: abort it and begin anew.
    Abort(Cause),
    /// A source broker is far away: fetches from it may be as large as that is worth.
    GrowMemory,
    /// Topics changed: look at them again soon.
    Rediscover,
    /// For the log.
    Note(SourcePartition, Note),
}

/// Records at the end of a target partition that a former writer put there.
#[derive(Debug, Clone)]
pub struct Recount {
    /// Where they came from.
    pub source: SourcePartition,
    /// Where they are.
    pub target: (Arc<str>, i32),
    /// The source offset where they begin.
    pub from: SourceOffset,
    /// The leader epoch of the record before, where that is known.
    pub epoch: Option<i32>,
    /// How many they are.
    pub records: i32,
    /// The target offset behind the last of them, where that is known: more may arrive meanwhile.
    pub end: Option<TargetOffset>,
    /// The source was read with `isolation.level=read_committed`.
    pub read_committed: bool,
    /// The target keeps their timestamps.
    pub timestamps: bool,
    /// Counting is no proof.
    pub by_content: bool,
}

/// Records of the source that a former writer sent.
#[derive(Debug)]
pub struct Found {
    /// Where they are.
    pub landed: Landed,
    /// The epochs of the source's log there: they were read, though not on the way to the target.
    pub epochs: EpochHistory,
    /// So many records of the target behind them were cut off at the source.
    pub cut_off: i32,
}

/// Where re-encoding begins: records before are left out.
#[derive(Debug)]
pub enum Begin {
    /// Here, for the one target partition.
    At(SourceOffset),
    /// Here for each target partition, among which the records are dealt out by key.
    ForEach(Vec<SourceOffset>),
}

/// A record for the dead-letter topic.
#[derive(Debug)]
pub struct Letter {
    /// Where it came from.
    pub source: SourcePartition,
    /// Its source offset.
    pub offset: SourceOffset,
    /// The header of the batch that holds just this record.
    pub header: BatchHeader,
    /// The rest of the batch.
    pub payload: Bytes,
    /// Why the target does not take it.
    pub why: Refused,
}

/// How a record was dealt with that the target does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedied {
    /// The target topic takes batches of this size now.
    LimitRaised(usize),
    /// It is in the dead-letter topic.
    DeadLettered,
}

/// Something a person should know about one partition.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Note {
    /// Something failed and is retried.
    Retrying(Cause),
    /// The partition stopped.
    Stopped(Cause),
    /// Source records that cannot be mirrored.
    Lost(Loss),
    /// A record went to the dead-letter topic.
    DeadLettered(SourceOffset, Refused),
    /// The target topic's `max.message.bytes` was raised.
    LimitRaised(usize),
    /// The target was asked what it holds: it goes on at this source offset.
    Resumed(SourceOffset),
    /// Records may be at the target twice.
    PossibleDuplicates(i64),
    /// The target lost records that it had acknowledged.
    TargetLost(i64),
    /// Transactions at the source took so long that they arrive in pieces.
    CutTransaction,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retrying(cause) => write!(f, "{cause}; will be retried"),
            Self::Stopped(cause) => write!(f, "stopped: {cause}"),
            Self::Lost(loss) => loss.fmt(f),
            Self::DeadLettered(offset, why) => {
                write!(f, "the record at source offset {offset} went to the dead-letter topic: {why}")
            }
            Self::LimitRaised(bytes) => {
                write!(f, "max.message.bytes of the target topic was raised to {bytes}")
            }
            Self::Resumed(offset) => {
                write!(f, "goes on at source offset {offset}, after the last record that the target holds")
            }
            Self::PossibleDuplicates(records) => {
                write!(f, "the target cannot tell what it holds: at most {records} records may arrive twice")
            }
            Self::CutTransaction => write!(
                f,
                "a transaction at the source has not ended in time: here it ends in more than one (transaction.timeout.ms)"
            ),
            Self::TargetLost(records) => write!(
                f,
                "the target lost {records} records that it had acknowledged (unclean leader election there?)"
            ),
        }
    }
}

/// What an error code of the data path calls for.
pub(crate) fn explain_code(code: ErrorCode, message: Option<&str>) -> String {
    match message {
        Some(message) => format!("{code}: {message}"),
        None => code.to_string(),
    }
}
