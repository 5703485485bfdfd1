//! One look at all partitions of a Fetch request (`ReplicaManager.readFromLog`, `Partition.fetchRecords`).

use kafka_protocol::ResponseError;

use super::Limits;
use crate::api::Call;
use crate::state::Cluster;
use crate::state::entry::LogEntry;
use crate::state::epochs::EpochEnd;
use crate::state::log::ReadBound;
use crate::state::sessions::{FetchFrom, FetchKey, SessionView, TopicRef};
use crate::state::topic::{Partition, Topic};
use crate::state::transactions::Aborted;

/// First version whose clients may be served by a replica that does not lead (KIP-392).
const REPLICA_FROM_VERSION: i16 = 11;

/// First version that is told of the new leader (KIP-951).
const LEADER_FROM_VERSION: i16 = 16;

/// What a broker says where it knows nothing.
const UNKNOWN: i64 = -1;

/// The answer about one partition.
#[derive(Debug)]
pub(super) struct PartitionRead<'a> {
    pub(super) key: &'a FetchKey,
    pub(super) error: i16,
    pub(super) high_watermark: i64,
    pub(super) last_stable_offset: i64,
    pub(super) log_start_offset: i64,
    /// `None` unless the client reads committed records only.
    pub(super) aborted: Option<Vec<Aborted>>,
    pub(super) preferred_replica: i32,
    pub(super) diverging: Option<EpochEnd>,
    /// Leader and its epoch, for a client that has come to the wrong one.
    pub(super) leader: Option<(i32, i32)>,
    pub(super) entries: Vec<&'a LogEntry>,
    /// Bytes of `entries` that go out: all, or fewer when the last is to be torn.
    pub(super) records_len: usize,
}

/// The outcome of a look.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    pub(super) partitions: Vec<PartitionRead<'a>>,
    /// Whether there is a reason to answer now.
    pub(super) is_enough: bool,
}

impl PartitionRead<'_> {
    /// Whether it has something besides offsets to tell.
    pub(super) fn is_telling(&self) -> bool {
        self.records_len > 0 || self.is_urgent()
    }

    fn is_urgent(&self) -> bool {
        self.error != 0 || self.preferred_replica >= 0 || self.diverging.is_some()
    }

    fn failed(key: &FetchKey, error: ResponseError) -> PartitionRead<'_> {
        PartitionRead {
            key,
            error: error.code(),
            high_watermark: UNKNOWN,
            last_stable_offset: UNKNOWN,
            log_start_offset: UNKNOWN,
            aborted: None,
            preferred_replica: -1,
            diverging: None,
            leader: None,
            entries: Vec::new(),
            records_len: 0,
        }
    }
}

/// Reads what there is within the limits.
pub(super) fn pass<'a>(
    cluster: &'a Cluster,
    call: &Call<'_>,
    view: &'a SessionView,
    limits: &Limits,
) -> Pass<'a> {
    let reader = Reader { cluster, call, limits };
    let mut remaining = limits.max_bytes;
    let mut first = true;
    let mut partitions = Vec::with_capacity(view.partitions.len());
    for (key, from) in &view.partitions {
        let read = reader.partition(key, *from, remaining, first);
        remaining = remaining.saturating_sub(read.records_len);
        first &= read.records_len == 0;
        partitions.push(read);
    }
    let bytes: usize = partitions.iter().map(|partition| partition.records_len).sum();
    let is_enough =
        partitions.is_empty() || bytes >= limits.min_bytes || partitions.iter().any(PartitionRead::is_urgent);
    Pass { partitions, is_enough }
}

struct Reader<'a, 'c> {
    cluster: &'a Cluster,
    call: &'c Call<'c>,
    limits: &'c Limits,
}

impl<'a> Reader<'a, '_> {
    /// `first`: no partition has given records yet, so that one batch may be larger than the limits (KIP-74).
    fn partition(
        &self,
        key: &'a FetchKey,
        from: FetchFrom,
        remaining: usize,
        first: bool,
    ) -> PartitionRead<'a> {
        let partition = match self.find(key) {
            Ok(partition) => partition,
            Err(error) => return PartitionRead::failed(key, error),
        };
        self.read(key, partition, from, remaining, first).unwrap_or_else(|error| {
            let mut failed = PartitionRead::failed(key, error);
            let astray =
                [ResponseError::NotLeaderOrFollower, ResponseError::FencedLeaderEpoch].contains(&error);
            if astray && self.call.version >= LEADER_FROM_VERSION {
                failed.leader = Some((partition.leader.unwrap_or(-1), partition.leader_epoch));
            }
            failed
        })
    }

    fn find(&self, key: &FetchKey) -> Result<&'a Partition, ResponseError> {
        let topic: &Topic = match &key.topic {
            TopicRef::Name(name) => {
                self.cluster.topics.get(name).ok_or(ResponseError::UnknownTopicOrPartition)?
            }
            TopicRef::Id(id) => self.cluster.topic_by_id(*id).ok_or(ResponseError::UnknownTopicId)?,
        };
        topic.partition(key.partition).ok_or(ResponseError::UnknownTopicOrPartition)
    }

    fn read(
        &self,
        key: &'a FetchKey,
        partition: &'a Partition,
        from: FetchFrom,
        remaining: usize,
        first: bool,
    ) -> Result<PartitionRead<'a>, ResponseError> {
        partition.check_epoch(from.current_leader_epoch)?;
        let leads = partition.leader == Some(self.call.peer.broker);
        if !leads && !self.follows(partition) {
            return Err(ResponseError::NotLeaderOrFollower);
        }
        let log = &partition.log;
        let mut read = PartitionRead {
            error: 0,
            high_watermark: log.end_offset(),
            last_stable_offset: log.last_stable_offset(),
            log_start_offset: log.start_offset(),
            ..PartitionRead::failed(key, ResponseError::UnknownServerError)
        };
        if leads && let Some(replica) = self.closer_replica(partition) {
            read.preferred_replica = replica;
            return Ok(read);
        }
        read.diverging = diverging(partition, from)?;
        if read.diverging.is_some() {
            return Ok(read);
        }
        if !(log.start_offset()..=log.end_offset()).contains(&from.offset) {
            return Err(ResponseError::OffsetOutOfRange);
        }
        let max_bytes = usize::try_from(from.max_bytes).unwrap_or_default().min(remaining);
        let bound = log.bound(self.limits.bound);
        self.take(&mut read, log.read(from.offset, bound), max_bytes, first);
        if self.limits.bound == ReadBound::LastStable {
            let end = read.entries.last().map_or(from.offset, |entry| entry.last_offset + 1);
            read.aborted = Some(log.transactions.aborted_in(from.offset, end.max(from.offset)));
        }
        Ok(read)
    }

    /// Takes entries up to `max_bytes`; a first one in any case when `first`.
    fn take(
        &self,
        read: &mut PartitionRead<'a>,
        entries: impl Iterator<Item = &'a LogEntry>,
        max_bytes: usize,
        first: bool,
    ) {
        let torn = self.cluster.options.torn_batches;
        let mut len = 0;
        for entry in entries {
            let fits = len + entry.len() <= max_bytes;
            if fits || (first && read.entries.is_empty()) {
                len += entry.len();
            } else if torn && len < max_bytes {
                len = max_bytes;
            } else {
                break;
            }
            read.entries.push(entry);
        }
        read.records_len = len;
    }

    fn follows(&self, partition: &Partition) -> bool {
        self.call.version >= REPLICA_FROM_VERSION
            && partition.leader.is_some()
            && partition.in_sync.contains(&self.call.peer.broker)
    }

    /// A replica in the client's rack when the leader is in another (`RackAwareReplicaSelector`).
    fn closer_replica(&self, partition: &Partition) -> Option<i32> {
        let rack_of = |id: i32| self.cluster.brokers.get(&id).and_then(|broker| broker.rack.as_deref());
        let rack = self.limits.rack.as_str();
        if !self.cluster.options.closest_replica
            || rack.is_empty()
            || rack_of(self.call.peer.broker) == Some(rack)
        {
            return None;
        }
        partition.in_sync.iter().copied().find(|id| rack_of(*id) == Some(rack) && self.cluster.is_up(*id))
    }
}

/// Where the log the client has read from parts from this one (KIP-595, `Partition.fetchRecords`).
fn diverging(partition: &Partition, from: FetchFrom) -> Result<Option<EpochEnd>, ResponseError> {
    if from.last_fetched_epoch < 0 {
        return Ok(None);
    }
    let log = &partition.log;
    let end = log
        .epochs
        .end_of(from.last_fetched_epoch, log.end_offset())
        .ok_or(ResponseError::OffsetOutOfRange)?;
    Ok((end.epoch < from.last_fetched_epoch || end.end_offset < from.offset).then_some(end))
}
