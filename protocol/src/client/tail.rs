//! Following an internal topic: what is written to it from now on, batch by batch, also of transactions that are not
//! decided yet.
//!
//! A follower that falls behind retention goes on with what is there. Nothing is kept between two calls but positions.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cluster::{Cluster, Purpose, Topics};
use super::consume::{Reader, partitions_of};
use super::error::ClientError;
use super::metadata::NodeId;
use super::offsets::{OffsetSpec, list_offsets};
use super::retry::{Action, decide};
use crate::wire::api::ApiKey;
use crate::wire::batch::{Entries, Entry};
use crate::wire::error::ErrorCode;
use crate::wire::fetch::{FetchSession, IsolationLevel};

/// How long all brokers together may wait for something to be written.
const WAIT_MS: i32 = 500;
/// How many bytes a response holds at most.
const RESPONSE_BYTES: i32 = 4 << 20;
/// How many of them are of one partition.
const PARTITION_BYTES: i32 = 256 << 10;

/// A topic that is being followed.
#[derive(Debug)]
pub struct Tail {
    cluster: Cluster,
    topic: Arc<str>,
    positions: BTreeMap<i32, i64>,
    sessions: BTreeMap<NodeId, FetchSession>,
}

impl Tail {
    /// Begins behind what the topic holds now. Has connections of its own, so that it holds up nobody.
    ///
    /// # Errors
    /// [`ClientError::Topic`] if there is no such topic or we may not see it, [`ClientError::Partition`] if one of its
    /// partitions cannot be asked.
    pub async fn begin(cluster: &Cluster, topic: &Arc<str>) -> Result<Self, ClientError> {
        let partitions = partitions_of(cluster, topic).await?;
        let mut tail = Self {
            cluster: cluster.clone(),
            topic: Arc::clone(topic),
            positions: BTreeMap::new(),
            sessions: BTreeMap::new(),
        };
        tail.seek(partitions, OffsetSpec::Latest).await?;
        Ok(tail)
    }

    async fn seek(&mut self, partitions: Vec<i32>, spec: OffsetSpec) -> Result<(), ClientError> {
        let wanted: Vec<_> =
            partitions.into_iter().map(|index| (Arc::clone(&self.topic), index, spec)).collect();
        for ((_, partition), answer) in list_offsets(&self.cluster, &wanted).await? {
            let at = answer.map_err(|code| self.refused(ApiKey::ListOffsets, partition, code))?;
            self.positions.insert(partition, at.offset);
        }
        Ok(())
    }

    fn refused(&self, api: ApiKey, partition: i32, code: ErrorCode) -> ClientError {
        let (cluster, topic) = (Arc::clone(self.cluster.alias()), Arc::clone(&self.topic));
        ClientError::Partition { cluster, api, topic, partition, code }
    }

    /// Asks every broker once, and hands what was written to `each` with its partition. Returns after half a second at
    /// most when nothing was written, but may take longer when brokers do not answer.
    ///
    /// # Errors
    /// What keeps the topic, or a part of it, from being read. What may pass may be tried again with the same tail.
    pub async fn read(&mut self, mut each: impl FnMut(i32, Entry) + Send) -> Result<(), ClientError> {
        let topics = Topics::Named(vec![Arc::clone(&self.topic)]);
        let known = self.cluster.current(topics.clone()).await?;
        let mut leaders: BTreeMap<NodeId, BTreeMap<i32, i64>> = BTreeMap::new();
        for (partition, next) in &self.positions {
            if let Some(leader) = known.leader(&self.topic, *partition) {
                leaders.entry(leader).or_default().insert(*partition, *next);
            }
        }
        let mut moved = leaders.is_empty();
        let wait = WAIT_MS / i32::try_from(leaders.len()).unwrap_or(WAIT_MS).max(1);
        for (node, positions) in leaders {
            let cluster = self.cluster.clone();
            let reader = Reader {
                cluster: &cluster,
                topic: &self.topic,
                known: &known,
                purpose: Purpose::Fetch(0),
                isolation_level: IsolationLevel::ReadUncommitted,
                max_wait_ms: wait,
                max_bytes: RESPONSE_BYTES,
                partition_bytes: PARTITION_BYTES,
            };
            let session = self.sessions.entry(node).or_default();
            let response = match reader.fetch(node, session, positions).await {
                Ok(response) => response,
                Err(error) => {
                    session.reset();
                    self.cluster.refresh_after(known.generation, topics).await?;
                    return Err(error);
                }
            };
            moved |= matches!(decide(response.error), Action::RefreshAndRetry);
            let mut lost = Vec::new();
            for fetched in response.partitions {
                match decide(fetched.error) {
                    Action::Done => moved |= !self.take(fetched.partition, fetched.records, &mut each),
                    Action::Retry => {}
                    Action::RefreshAndRetry => moved = true,
                    Action::ResetPosition => lost.push(fetched.partition),
                    Action::ResyncProducer | Action::Fatal(_) => {
                        return Err(self.refused(ApiKey::Fetch, fetched.partition, fetched.error));
                    }
                }
            }
            if !lost.is_empty() {
                self.seek(lost, OffsetSpec::Earliest).await?;
            }
        }
        if moved {
            // A broker that is still to hear of its new part is not asked in a tight loop.
            tokio::time::sleep(self.cluster.backoff().failed()).await;
            self.cluster.refresh_after(known.generation, topics).await?;
        }
        Ok(())
    }

    /// Hands on what came of a partition. `false` if something is damaged: the next call begins there again.
    fn take(&mut self, partition: i32, records: bytes::Bytes, each: &mut impl FnMut(i32, Entry)) -> bool {
        let Some(next) = self.positions.get_mut(&partition) else { return true };
        for entry in Entries::new(records) {
            let Ok(entry) = entry else { return false };
            let behind = entry.last_offset().saturating_add(1);
            if behind > *next {
                *next = behind;
                each(partition, entry);
            }
        }
        true
    }
}
