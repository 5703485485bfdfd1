//! Reads one partition of one cluster: its offsets, and its batches one fetch at a time.
//!
//! Leaves out what never goes to a mirror: control batches, empty ones, and aborted data when reading committed. Waits
//! and asks again as the retry decision says, until the cluster's deadline. Knows nothing of the other side.

use std::sync::Arc;

use kmirror_protocol::client::offsets::{OffsetSpec, list_offsets_at};
use kmirror_protocol::client::retry::{Action, decide};
use kmirror_protocol::client::{ClientError, Cluster, Metadata, NodeId, Purpose, Topics};
use kmirror_protocol::net::NetError;
use kmirror_protocol::wire::api::ApiKey;
use kmirror_protocol::wire::batch::{Entries, Entry};
use kmirror_protocol::wire::error::ErrorCode;
use kmirror_protocol::wire::fetch::{
    FetchParams, FetchPosition, FetchSession, FetchedPartition, IsolationLevel, TopicKey,
};
use kmirror_protocol::wire::record::RecordError;

use crate::flow::aborted::Aborted;

/// A connection of its own: mirroring goes on beside it.
const READING: Purpose = Purpose::Fetch(1);
/// Bytes one fetch brings at most; more only where a single batch is larger.
pub(crate) const FETCH_BYTES_MAX: i32 = 1 << 20;
/// How long a broker may wait for records: there are some, as reading stops at the end.
const MAX_WAIT_MS: i32 = 500;
/// How often a broker may have nothing before the end. The last records before it may have been compacted away.
const FRUITLESS_ROUNDS: u32 = 3;

/// One partition of a cluster, read from a position on.
pub(crate) struct PartitionReader {
    cluster: Cluster,
    topic: Arc<str>,
    partition: i32,
    isolation: IsolationLevel,
    session: FetchSession,
    session_node: Option<NodeId>,
    /// The next offset to be fetched.
    pub(crate) next: i64,
    /// Nothing is read from here on.
    pub(crate) end: i64,
    fruitless: u32,
    /// Bytes that came.
    pub(crate) bytes: u64,
    /// Offsets were seen that no batch has: the log was compacted, or its batches do not tell.
    pub(crate) gaps: bool,
}

/// What one round brought.
enum Round {
    Entries(Vec<Entry>),
    /// Find the leader anew, or wait a while.
    Again(Option<ErrorCode>),
}

impl PartitionReader {
    pub(crate) fn new(cluster: Cluster, topic: Arc<str>, partition: i32, isolation: IsolationLevel) -> Self {
        Self {
            cluster,
            topic,
            partition,
            isolation,
            session: FetchSession::new(),
            session_node: None,
            next: 0,
            end: 0,
            fruitless: 0,
            bytes: 0,
            gaps: false,
        }
    }

    /// Looks an offset up; none where no record is young enough.
    pub(crate) async fn offset(&self, spec: OffsetSpec) -> Result<Option<i64>, ClientError> {
        let wanted = [(Arc::clone(&self.topic), self.partition, spec)];
        let answers = list_offsets_at(&self.cluster, &wanted, self.isolation).await?;
        let answer = answers.into_iter().next().map(|(_, answer)| answer);
        let at = answer
            .unwrap_or(Err(ErrorCode::UnknownTopicOrPartition))
            .map_err(|code| self.refused(ApiKey::ListOffsets, code))?;
        Ok((at.offset >= 0).then_some(at.offset))
    }

    /// The offset behind the last record there is now.
    pub(crate) async fn latest(&self) -> Result<i64, ClientError> {
        Ok(self.offset(OffsetSpec::Latest).await?.unwrap_or(0))
    }

    /// The first offset there is now.
    pub(crate) async fn earliest(&self) -> Result<i64, ClientError> {
        Ok(self.offset(OffsetSpec::Earliest).await?.unwrap_or(0))
    }

    /// The next batches, none at the end.
    ///
    /// # Errors
    /// What the retry decision calls fatal, or the last failure when the deadline is over.
    pub(crate) async fn read(&mut self) -> Result<Vec<Entry>, ClientError> {
        let deadline = self.cluster.deadline();
        let mut backoff = self.cluster.backoff();
        while self.next < self.end {
            let wanted = Topics::Named(vec![Arc::clone(&self.topic)]);
            let known = self.cluster.current(wanted.clone()).await?;
            let (code, failure) = match self.round(&known).await {
                Ok(Round::Entries(entries)) if entries.is_empty() => continue,
                Ok(Round::Entries(entries)) => return Ok(entries),
                Ok(Round::Again(code)) => (code, None),
                Err(error @ (ClientError::Broker { .. } | ClientError::UnknownNode { .. })) => {
                    (None, Some(error))
                }
                Err(error) => return Err(error),
            };
            self.session.reset();
            if !backoff.pause_before(deadline).await {
                let code = code.unwrap_or(ErrorCode::LeaderNotAvailable);
                return Err(failure.unwrap_or_else(|| self.refused(ApiKey::Fetch, code)));
            }
            // Should nobody answer, the brokers known so far are asked again until the deadline.
            let _ = self.cluster.refresh_after(known.generation, wanted).await;
        }
        Ok(Vec::new())
    }

    async fn round(&mut self, known: &Metadata) -> Result<Round, ClientError> {
        let Some(node) = known.leader(&self.topic, self.partition) else { return Ok(Round::Again(None)) };
        let Some((fetched, is_throttled)) = self.fetch(known, node).await? else {
            return Ok(Round::Again(None));
        };
        match decide(fetched.error) {
            Action::Done => self.take(fetched, is_throttled).map(Round::Entries),
            Action::Retry | Action::RefreshAndRetry => Ok(Round::Again(Some(fetched.error))),
            // Old records were removed while we read: passing over them would tell of differences that are none.
            Action::ResetPosition | Action::ResyncProducer | Action::Fatal(_) => {
                Err(self.refused(ApiKey::Fetch, fetched.error))
            }
        }
    }

    /// What the broker has, and whether it keeps a quota: then it answers with nothing, whatever it has.
    async fn fetch(
        &mut self,
        known: &Metadata,
        node: NodeId,
    ) -> Result<Option<(FetchedPartition, bool)>, ClientError> {
        let connection = self.cluster.connection(node, READING).await?;
        let cluster = Arc::clone(self.cluster.alias());
        let net = move |source| ClientError::Broker { cluster: Arc::clone(&cluster), node, source };
        let wire = |source| net(NetError::Wire { address: connection.address().clone(), source });
        if self.session_node.replace(node) != Some(node) {
            self.session = FetchSession::new();
        }
        let key = known.topics.get(&self.topic).map(|topic| topic.key());
        let key = key.unwrap_or_else(|| TopicKey { name: Arc::clone(&self.topic), id: uuid::Uuid::nil() });
        let epoch = known.partition(&self.topic, self.partition).and_then(|partition| partition.leader_epoch);
        let position = FetchPosition {
            fetch_offset: self.next,
            current_leader_epoch: epoch.unwrap_or(-1),
            last_fetched_epoch: -1,
            log_start_offset: -1,
            max_bytes: FETCH_BYTES_MAX,
        };
        self.session.retain(|other, _| *other == key);
        self.session.set(&key, self.partition, position);
        let params = FetchParams {
            max_wait_ms: MAX_WAIT_MS,
            min_bytes: 1,
            max_bytes: FETCH_BYTES_MAX,
            isolation_level: self.isolation,
            rack: "".into(),
        };
        let version = self.session.version(connection.require(ApiKey::Fetch).map_err(&net)?);
        let body = self.session.build(version, &params).map_err(wire)?;
        let waiter = connection.send(ApiKey::Fetch, version, vec![body]).await.map_err(&net)?;
        let body = waiter.await.map_err(&net)?;
        let wire = |source| net(NetError::Wire { address: connection.address().clone(), source });
        let response = self.session.accept(version, body).map_err(wire)?;
        match decide(response.error) {
            Action::Done => {}
            Action::Retry | Action::RefreshAndRetry => return Ok(None),
            _ => {
                return Err(ClientError::Refused {
                    cluster: Arc::clone(self.cluster.alias()),
                    api: ApiKey::Fetch,
                    code: response.error,
                    message: None,
                });
            }
        }
        let mine = |one: &FetchedPartition| one.partition == self.partition;
        let is_throttled = response.throttle_time_ms > 0;
        let fetched = response.partitions.into_iter().find(mine);
        // An incremental session leaves out a partition without news.
        let fetched = fetched.unwrap_or_else(|| FetchedPartition {
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            error: ErrorCode::None,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted: Vec::new(),
            preferred_read_replica: -1,
            diverging_epoch: None,
            records: bytes::Bytes::new(),
        });
        Ok(Some((fetched, is_throttled)))
    }

    /// The batches that count, and the position moved behind all that came.
    fn take(&mut self, fetched: FetchedPartition, is_throttled: bool) -> Result<Vec<Entry>, ClientError> {
        self.bytes += fetched.records.len() as u64;
        let mut aborted = Aborted::new(&fetched.aborted);
        let mut entries = Vec::new();
        let before = self.next;
        for entry in Entries::new(fetched.records) {
            let entry = entry.map_err(|source| self.damaged(RecordError::Header(source)))?;
            let dropped = aborted.check(&entry).is_some();
            if entry.last_offset() < self.next {
                continue;
            }
            if entry.first_offset() >= self.end {
                self.next = self.end;
                break;
            }
            self.gaps |= entry.first_offset() > self.next || !is_dense(&entry);
            self.next = entry.last_offset().saturating_add(1);
            if !dropped && counts(&entry) {
                entries.push(entry);
            }
        }
        self.fruitless = match self.next > before {
            true => 0,
            false => self.fruitless + u32::from(!is_throttled),
        };
        if self.fruitless >= FRUITLESS_ROUNDS {
            self.fruitless = 0;
            self.next = self.end;
        }
        Ok(entries)
    }

    fn refused(&self, api: ApiKey, code: ErrorCode) -> ClientError {
        let (cluster, topic) = (Arc::clone(self.cluster.alias()), Arc::clone(&self.topic));
        ClientError::Partition { cluster, api, topic, partition: self.partition, code }
    }

    pub(crate) fn damaged(&self, source: RecordError) -> ClientError {
        ClientError::Records {
            cluster: Arc::clone(self.cluster.alias()),
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            source: Arc::new(source),
        }
    }
}

/// Whether a batch has a record for each of its offsets. Old formats do not tell without being unpacked.
fn is_dense(entry: &Entry) -> bool {
    match entry {
        Entry::Batch(batch) => batch.header.is_dense(),
        Entry::Legacy(_) => false,
    }
}

/// Transaction markers and batches without records never go to a mirror.
fn counts(entry: &Entry) -> bool {
    match entry {
        Entry::Batch(batch) => !batch.header.is_control() && batch.header.record_count > 0,
        Entry::Legacy(_) => true,
    }
}
