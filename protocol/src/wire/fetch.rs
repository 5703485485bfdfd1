//! Fetch, coded by hand: versions 4 to 17, incremental sessions (KIP-227), topic ids (KIP-516, version 13), and
//! records as untouched slices of the response.
//!
//! Pure: one [`FetchSession`] turns wanted positions into request bodies and response bodies into partitions. It
//! knows neither the connection nor when to ask.

mod request;
mod response;
mod session;

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::error::ErrorCode;
pub use session::FetchSession;

/// The first version with sessions.
pub(crate) const FIRST_WITH_SESSIONS: i16 = 7;
/// The first version that names topics by id alone.
pub const FIRST_BY_TOPIC_ID: i16 = 13;

/// A topic as Fetch may name it. The id is nil where the cluster has none (before Kafka 2.8).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicKey {
    /// The topic's name.
    pub name: Arc<str>,
    /// The topic's id, or nil.
    pub id: Uuid,
}

/// Where to read a partition from, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchPosition {
    /// The first offset wanted.
    pub fetch_offset: i64,
    /// The leader epoch the reader believes in (KIP-320), -1 if it knows none. Sent from version 9.
    pub current_leader_epoch: i32,
    /// The leader epoch of the last record read, -1 if none: the broker then answers with a diverging epoch when
    /// the log was truncated below `fetch_offset` (KIP-595). Sent from version 12.
    pub last_fetched_epoch: i32,
    /// Only followers know one: -1.
    pub log_start_offset: i64,
    /// How many bytes of this partition to send at most; the first batch comes whatever its size.
    pub max_bytes: i32,
}

/// Which records a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IsolationLevel {
    /// Everything up to the high watermark.
    #[default]
    ReadUncommitted,
    /// Up to the last stable offset; the reader leaves aborted transactions out.
    ReadCommitted,
}

impl IsolationLevel {
    /// The number on the wire.
    pub const fn level(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// What holds for a whole Fetch request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchParams {
    /// How long the broker may wait for `min_bytes`.
    pub max_wait_ms: i32,
    /// How many bytes the broker waits for.
    pub min_bytes: i32,
    /// How many bytes of records the response should hold at most.
    pub max_bytes: i32,
    /// Which records to see.
    pub isolation_level: IsolationLevel,
    /// Where the reader stands, so that a near replica may be preferred (KIP-392, version 11); empty for nowhere.
    pub rack: Arc<str>,
}

/// The answer to one Fetch request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchResponse {
    /// How long the broker holds further requests back, having reached a quota.
    pub throttle_time_ms: i32,
    /// An error of the whole request. The session has been restarted where that is the remedy; just build again.
    pub error: ErrorCode,
    /// The partitions that have news.
    pub partitions: Vec<FetchedPartition>,
}

/// What is new in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedPartition {
    /// The topic, as the session knows it.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
    /// Why there is nothing, or `None`.
    pub error: ErrorCode,
    /// The offset behind the last replicated record, -1 if unknown.
    pub high_watermark: i64,
    /// The offset behind the last record that belongs to no open transaction, -1 if unknown.
    pub last_stable_offset: i64,
    /// The first offset there is, -1 if unknown (before version 5).
    pub log_start_offset: i64,
    /// The aborted transactions among the records; only when reading committed.
    pub aborted: Vec<AbortedTransaction>,
    /// A nearer replica to read from, -1 for none.
    pub preferred_read_replica: i32,
    /// The log was truncated: where its own history parts from the reader's.
    pub diverging_epoch: Option<EpochEnd>,
    /// The record batches: a slice of the response. The last one may be cut short.
    pub records: Bytes,
}

/// A transaction to leave out: the records of this producer from this offset to its next abort marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// The producer.
    pub producer_id: i64,
    /// Its first record in the transaction.
    pub first_offset: i64,
}

/// The largest epoch that reader and broker share, and where it ends in the broker's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The leader epoch.
    pub epoch: i32,
    /// The offset behind its last record.
    pub end_offset: i64,
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::sample_response;
