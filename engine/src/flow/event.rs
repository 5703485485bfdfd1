//! What a lane hears and what it asks for: values only.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use kmirror_protocol::client::Metadata;
use kmirror_protocol::wire::batch::Entry;
use kmirror_protocol::wire::error::ErrorCode;
use kmirror_protocol::wire::record::RecordError;
use kmirror_protocol::wire::reencode::{Encoded, Shape};

use super::partition::{Assignment, Identity, NodeId};
use super::position::{LogRange, Loss};
use crate::ids::{SourceOffset, SourcePartition};

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

/// What the target says it holds of our producer.
#[derive(Debug)]
pub enum Described {
    /// The sequence of the last record; `None` when it holds none of ours.
    LastSequence(Option<i32>),
    /// It cannot tell: an old broker, or no right to ask.
    CannotTell(Cause),
    /// The question failed; ask again later.
    Failed(Cause),
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Mirror these partitions.
    Assign(Vec<Assignment>),
    /// Do not mirror these any more.
    Revoke(Vec<SourcePartition>),
    /// The cluster's leaders as now known.
    Metadata(Side, Arc<Metadata>),
    /// The cluster could not be asked for its leaders.
    RefreshFailed(Side, Cause),
    /// A broker's connection.
    Link(Side, NodeId, LinkEvent),
    /// A re-encoding is finished.
    Reencoded(Question, Result<Vec<Encoded>, RecordError>),
    /// A source partition's log range.
    Listed(Slot, Result<LogRange, Cause>),
    /// What the target holds.
    Described(Question, Described),
    /// A producer identity for one partition.
    Renewed(Question, Result<Identity, Cause>),
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
        /// Records before this are left out.
        from: SourceOffset,
        /// What the result must look like.
        shape: Shape,
    },
    /// Ask for a source partition's log range.
    List(Slot, SourcePartition),
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
    },
    /// Get a new producer identity for one partition.
    Renew(Question),
    /// Ask a cluster who leads the partitions.
    Refresh(Side),
    /// Topics changed: look at them again soon.
    Rediscover,
    /// For the log.
    Note(SourcePartition, Note),
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
    /// The target was asked what it holds: it goes on at this source offset.
    Resumed(SourceOffset),
    /// Records may be at the target twice.
    PossibleDuplicates(i64),
    /// The target lost records that it had acknowledged.
    TargetLost(i64),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retrying(cause) => write!(f, "{cause}; will be retried"),
            Self::Stopped(cause) => write!(f, "stopped: {cause}"),
            Self::Lost(loss) => loss.fmt(f),
            Self::Resumed(offset) => {
                write!(f, "goes on at source offset {offset}, after the last record that the target holds")
            }
            Self::PossibleDuplicates(records) => {
                write!(f, "the target cannot tell what it holds: at most {records} records may arrive twice")
            }
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
