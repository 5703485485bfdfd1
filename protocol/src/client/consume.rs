//! Reading small internal topics from their beginning to the end they had when reading began.
//!
//! Reads committed records only, as Connect does where it writes its offsets in transactions. Memory is bounded by
//! the size of one response.

mod committed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::cluster::{Cluster, Purpose, Topics};
use super::error::ClientError;
use super::metadata::{Metadata, NodeId};
use super::offsets::{OffsetSpec, list_offsets_at};
use super::retry::{Action, decide};
use crate::net::NetError;
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::fetch::{
    FetchParams, FetchPosition, FetchResponse, FetchSession, FetchedPartition, IsolationLevel, TopicKey,
};
use crate::wire::record::Record;
use committed::Committed;

/// How long a broker may wait for records. There are some, as reading stops at the end.
const MAX_WAIT_MS: i32 = 500;
/// How many bytes of one partition a response holds at most.
const PARTITION_BYTES: usize = 1 << 20;
/// How often a broker may have nothing before the end. The last records before it may have been compacted away, so
/// that nothing will ever come.
const FRUITLESS_ROUNDS: u32 = 3;

/// The pauses between two looks whether a transaction is decided.
const DECIDED_PAUSE: Duration = Duration::from_millis(10);
/// See [`DECIDED_PAUSE`].
const DECIDED_PAUSE_MAX: Duration = Duration::from_millis(500);

/// How far each partition of a topic was read.
pub type ReadTo = BTreeMap<i32, i64>;

/// Reads a topic from its beginning to the end it has now, as [`read_on`].
///
/// # Errors
/// As [`read_on`].
pub async fn read_to_end(
    cluster: &Cluster,
    topic: &Arc<str>,
    max_bytes: usize,
    each: impl FnMut(i32, Record) + Send,
) -> Result<(), ClientError> {
    read_on(cluster, topic, max_bytes, &mut ReadTo::new(), each).await
}

/// Reads a topic from where it was `read` to (from the beginning where that is not known) to the end it has now, which is
/// then in `read`, and hands every record with its partition to `each`; records of one
/// partition in order. Responses hold about `max_bytes` at most, or one batch if that is larger.
///
/// # Errors
/// [`ClientError::Topic`] if there is no such topic, [`ClientError::Partition`] for a fatal code,
/// [`ClientError::Records`] for damaged records, [`ClientError::Deadline`] when nothing moves for too long.
pub async fn read_on(
    cluster: &Cluster,
    topic: &Arc<str>,
    max_bytes: usize,
    read: &mut ReadTo,
    mut each: impl FnMut(i32, Record) + Send,
) -> Result<(), ClientError> {
    let (mut reading, ends) = Reading::begin(cluster, topic, max_bytes, read).await?;
    let mut deadline = cluster.deadline();
    let mut backoff = cluster.backoff();
    while !reading.open.is_empty() {
        let known = cluster.current(Topics::Named(vec![Arc::clone(topic)])).await?;
        let mut stuck = false;
        for (node, partitions) in reading.by_leader(&known) {
            match node {
                Some(node) if reading.read_some(&known, node, partitions, &mut each).await? => {
                    deadline = cluster.deadline();
                    backoff.reset();
                }
                _ => stuck = true,
            }
        }
        if stuck {
            if !backoff.pause_before(deadline).await {
                return Err(cluster.deadline_error("reading a topic to its end"));
            }
            cluster.refresh_after(known.generation, Topics::Named(vec![Arc::clone(topic)])).await?;
        }
    }
    *read = ends;
    Ok(())
}

/// Waits until every record that the topic has now belongs to a transaction that is decided, or to none.
///
/// # Errors
/// [`ClientError::Topic`], [`ClientError::Partition`] when it cannot be asked; [`ClientError::Deadline`] when a
/// transaction stays open for too long.
pub async fn wait_until_decided(cluster: &Cluster, topic: &Arc<str>) -> Result<(), ClientError> {
    let partitions = partitions_of(cluster, topic).await?;
    let wanted: Vec<_> =
        partitions.into_iter().map(|index| (Arc::clone(topic), index, OffsetSpec::Latest)).collect();
    let ends = ends_at(cluster, &wanted, IsolationLevel::ReadUncommitted).await?;
    let deadline = cluster.deadline();
    let mut backoff = Backoff::new(DECIDED_PAUSE, DECIDED_PAUSE_MAX);
    loop {
        let stable = ends_at(cluster, &wanted, IsolationLevel::ReadCommitted).await?;
        let is_decided = |(partition, end): (&i32, &i64)| stable.get(partition).is_some_and(|at| at >= end);
        if ends.iter().all(is_decided) {
            return Ok(());
        }
        if !backoff.pause_before(deadline).await {
            return Err(cluster.deadline_error("waiting for a transaction in an internal topic to end"));
        }
    }
}

/// Where the partitions end at an isolation level.
async fn ends_at(
    cluster: &Cluster,
    wanted: &[(Arc<str>, i32, OffsetSpec)],
    level: IsolationLevel,
) -> Result<BTreeMap<i32, i64>, ClientError> {
    let mut found = BTreeMap::new();
    for ((topic, partition), answer) in list_offsets_at(cluster, wanted, level).await? {
        let refused = |code| ClientError::Partition {
            cluster: Arc::clone(cluster.alias()),
            api: ApiKey::ListOffsets,
            topic,
            partition,
            code,
        };
        found.insert(partition, answer.map_err(refused)?.offset);
    }
    Ok(found)
}

/// How a broker is asked for records of an internal topic.
pub(super) struct Reader<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) topic: &'a Arc<str>,
    pub(super) known: &'a Metadata,
    pub(super) purpose: Purpose,
    pub(super) isolation_level: IsolationLevel,
    pub(super) max_wait_ms: i32,
    pub(super) max_bytes: i32,
    pub(super) partition_bytes: i32,
}

impl Reader<'_> {
    /// Asks once for these partitions from these offsets on.
    pub(super) async fn fetch(
        &self,
        node: NodeId,
        session: &mut FetchSession,
        positions: BTreeMap<i32, i64>,
    ) -> Result<FetchResponse, ClientError> {
        let connection = self.cluster.connection(node, self.purpose).await?;
        let net = |source| ClientError::Broker { cluster: Arc::clone(self.cluster.alias()), node, source };
        let wire = |source| net(NetError::wire(connection.address(), source));
        let key = self.known.topics.get(self.topic).map(|topic| topic.key());
        let key = key.unwrap_or_else(|| TopicKey { name: Arc::clone(self.topic), id: uuid::Uuid::nil() });
        session.retain(|_, partition| positions.contains_key(&partition));
        for (partition, fetch_offset) in positions {
            let epoch = self.known.partition(self.topic, partition).and_then(|found| found.leader_epoch);
            let position = FetchPosition {
                fetch_offset,
                current_leader_epoch: epoch.unwrap_or(-1),
                last_fetched_epoch: -1,
                log_start_offset: -1,
                max_bytes: self.partition_bytes,
            };
            session.set(&key, partition, position);
        }
        let params = FetchParams {
            max_wait_ms: self.max_wait_ms,
            min_bytes: 1,
            max_bytes: self.max_bytes,
            isolation_level: self.isolation_level,
            rack: "".into(),
        };
        let version = session.version(connection.require(ApiKey::Fetch).map_err(net)?);
        let body = session.build(version, &params).map_err(wire)?;
        let waiter = connection.send(ApiKey::Fetch, version, vec![body]).await.map_err(net)?;
        let body = waiter.await.map_err(net)?;
        session.accept(version, body).map_err(wire)
    }
}

/// The partitions of a topic that is to be read.
///
/// # Errors
/// [`ClientError::Topic`] if there is no such topic or we may not see it.
pub(super) async fn partitions_of(cluster: &Cluster, topic: &Arc<str>) -> Result<Vec<i32>, ClientError> {
    let known = cluster.refresh(Topics::Named(vec![Arc::clone(topic)])).await?;
    let refused =
        |code| ClientError::Topic { cluster: Arc::clone(cluster.alias()), topic: Arc::clone(topic), code };
    let described = known.topics.get(topic).ok_or_else(|| refused(ErrorCode::UnknownTopicOrPartition))?;
    described.error.ok().map_err(refused)?;
    Ok(described.partitions.iter().map(|partition| partition.index).collect())
}

/// What is still to be read.
struct Reading<'a> {
    cluster: &'a Cluster,
    topic: &'a Arc<str>,
    max_bytes: i32,
    partition_bytes: i32,
    open: BTreeMap<i32, Part>,
    sessions: BTreeMap<NodeId, FetchSession>,
    fruitless: BTreeMap<NodeId, u32>,
}

/// A partition that is being read.
struct Part {
    next: i64,
    end: i64,
    committed: Committed,
}

impl<'a> Reading<'a> {
    /// What there is to read, and where the partitions end.
    async fn begin(
        cluster: &'a Cluster,
        topic: &'a Arc<str>,
        max_bytes: usize,
        read: &ReadTo,
    ) -> Result<(Self, ReadTo), ClientError> {
        let partitions = partitions_of(cluster, topic).await?;
        let mut reading = Self {
            cluster,
            topic,
            max_bytes: i32::try_from(max_bytes).unwrap_or(i32::MAX),
            partition_bytes: i32::try_from(max_bytes.min(PARTITION_BYTES)).unwrap_or(i32::MAX),
            open: BTreeMap::new(),
            sessions: BTreeMap::new(),
            fruitless: BTreeMap::new(),
        };
        let starts = reading.look_up(&partitions, OffsetSpec::Earliest).await?;
        let ends = reading.look_up(&partitions, OffsetSpec::Latest).await?;
        for (&partition, &end) in &ends {
            let start = starts.get(&partition).copied().unwrap_or(0);
            // A topic that was made anew is shorter than what was read of the old one.
            let known = read.get(&partition).copied().filter(|known| *known <= end);
            let next = known.map_or(start, |known| known.max(start));
            if next < end {
                reading.open.insert(partition, Part { next, end, committed: Committed::default() });
            }
        }
        Ok((reading, ends))
    }

    async fn look_up(&self, partitions: &[i32], spec: OffsetSpec) -> Result<BTreeMap<i32, i64>, ClientError> {
        let wanted: Vec<_> = partitions.iter().map(|index| (Arc::clone(self.topic), *index, spec)).collect();
        ends_at(self.cluster, &wanted, IsolationLevel::ReadCommitted).await
    }

    fn refused(&self, api: ApiKey, partition: i32, code: ErrorCode) -> ClientError {
        let (cluster, topic) = (Arc::clone(self.cluster.alias()), Arc::clone(self.topic));
        ClientError::Partition { cluster, api, topic, partition, code }
    }

    fn by_leader(&self, known: &Metadata) -> BTreeMap<Option<NodeId>, Vec<i32>> {
        let mut leaders: BTreeMap<Option<NodeId>, Vec<i32>> = BTreeMap::new();
        for partition in self.open.keys() {
            leaders.entry(known.leader(self.topic, *partition)).or_default().push(*partition);
        }
        leaders
    }

    /// One round with one broker. `false` if it has to be found anew, or left alone for a while.
    async fn read_some(
        &mut self,
        known: &Metadata,
        node: NodeId,
        partitions: Vec<i32>,
        each: &mut (impl FnMut(i32, Record) + Send),
    ) -> Result<bool, ClientError> {
        let Ok(response) = self.fetch(known, node, &partitions).await else {
            if let Some(session) = self.sessions.get_mut(&node) {
                session.reset();
            }
            return Ok(false);
        };
        if response.error.ok().is_err() {
            return match decide(response.error) {
                Action::Retry | Action::RefreshAndRetry => Ok(false),
                _ => Err(self.cluster.refused(ApiKey::Fetch, response.error, None)),
            };
        }
        // A broker that keeps a quota answers with nothing at all, and with a time of silence, which the connection obeys.
        let is_throttled = response.throttle_time_ms > 0;
        let (mut moved, mut troubled) = (false, false);
        for fetched in response.partitions {
            match decide(fetched.error) {
                Action::Done => moved |= self.take(fetched, each)?,
                Action::Retry | Action::RefreshAndRetry => troubled = true,
                Action::ResetPosition => {
                    moved = true;
                    self.restart(fetched.partition).await?;
                }
                Action::ResyncProducer | Action::Fatal(_) => {
                    return Err(self.refused(ApiKey::Fetch, fetched.partition, fetched.error));
                }
            }
        }
        if troubled {
            return Ok(false);
        }
        if moved || !is_throttled {
            self.note_fruit(node, moved, &partitions);
        }
        Ok(true)
    }

    fn note_fruit(&mut self, node: NodeId, moved: bool, partitions: &[i32]) {
        let rounds = self.fruitless.entry(node).or_default();
        *rounds = if moved { 0 } else { *rounds + 1 };
        if *rounds >= FRUITLESS_ROUNDS {
            self.open.retain(|partition, _| !partitions.contains(partition));
        }
    }

    async fn fetch(
        &mut self,
        known: &Metadata,
        node: NodeId,
        partitions: &[i32],
    ) -> Result<FetchResponse, ClientError> {
        let session = self.sessions.entry(node).or_default();
        let positions = partitions.iter().filter_map(|index| Some((*index, self.open.get(index)?.next)));
        let reader = Reader {
            cluster: self.cluster,
            topic: self.topic,
            known,
            purpose: Purpose::General,
            isolation_level: IsolationLevel::ReadCommitted,
            max_wait_ms: MAX_WAIT_MS,
            max_bytes: self.max_bytes,
            partition_bytes: self.partition_bytes,
        };
        reader.fetch(node, session, positions.collect()).await
    }

    /// Hands on what came of a partition, and says whether that was anything.
    fn take(
        &mut self,
        fetched: FetchedPartition,
        each: &mut impl FnMut(i32, Record),
    ) -> Result<bool, ClientError> {
        let partition = fetched.partition;
        let Some(part) = self.open.get_mut(&partition) else { return Ok(false) };
        let before = part.next;
        let end = part.end;
        let read = part.committed.read(fetched, &mut part.next, |record| {
            if record.offset < end {
                each(partition, record);
            }
        });
        let moved = part.next > before;
        if part.next >= end {
            self.open.remove(&partition);
        }
        read.map(|()| moved).map_err(|source| ClientError::Records {
            cluster: Arc::clone(self.cluster.alias()),
            topic: Arc::clone(self.topic),
            partition,
            source: Arc::new(source),
        })
    }

    /// The position is gone, as old records were removed meanwhile: goes on from the first there is now.
    async fn restart(&mut self, partition: i32) -> Result<(), ClientError> {
        let start = self.look_up(&[partition], OffsetSpec::Earliest).await?;
        let Some(part) = self.open.get_mut(&partition) else { return Ok(()) };
        part.next = start.get(&partition).copied().unwrap_or(part.end);
        part.committed = Committed::default();
        if part.next >= part.end {
            self.open.remove(&partition);
        }
        Ok(())
    }
}
