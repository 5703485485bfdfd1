//! Appending to a partition: the leader's checks, the batch's offsets, the memory limit, and the waking of readers. Pure
//! but for that.

use kafka_protocol::ResponseError;
use kmirror_protocol::wire::batch::TimestampType;

use super::Cluster;
use super::entry::LogEntry;
use super::producers::Sequenced;
use super::transactions::Marker;
use super::validate::{Inspected, RawBatch, Refusal, stored};
use crate::options::WhenFull;

/// Where a batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// When it was appended, where the topic has such timestamps, or -1.
    pub(crate) log_append_time: i64,
    pub(crate) log_start_offset: i64,
}

/// A batch to be appended, and what it came in.
#[derive(Debug)]
pub(crate) struct Append<'a> {
    pub(crate) batch: &'a RawBatch,
    /// What a look into it has shown.
    pub(crate) inspected: &'a Result<Inspected, Refusal>,
    /// All replicas in sync were asked for (`acks=all`).
    pub(crate) acks_all: bool,
    /// The request's transactional id.
    pub(crate) transactional_id: Option<&'a str>,
    /// Size of the buffer the batch lies in.
    pub(crate) frame_len: usize,
    pub(crate) now_ms: i64,
}

impl Cluster {
    /// Appends a client's batch at the leader `broker`.
    pub(crate) fn append(
        &mut self,
        broker: i32,
        topic: &str,
        partition: i32,
        append: &Append<'_>,
    ) -> Result<Appended, Refusal> {
        let rules =
            self.topics.get(topic).ok_or(ResponseError::UnknownTopicOrPartition)?.configs.append_rules();
        self.check_leader(broker, topic, partition, append.acks_all)?;
        append.batch.check_frame(&rules)?;
        let inspected = append.inspected.as_ref().map_err(Refusal::clone)?;
        inspected.check(&rules, append.now_ms)?;
        let header = &inspected.batch.header;
        let target = self.partition_mut(topic, partition)?;
        let log_start_offset = target.log.start_offset();
        if header.producer_id >= 0
            && let Sequenced::Duplicate { first_offset, timestamp } = target.log.producers.check(header)?
        {
            let log_append_time = if rules.timestamps == TimestampType::LogAppend { timestamp } else { -1 };
            return Ok(Appended { base_offset: first_offset, log_append_time, log_start_offset });
        }
        if header.is_transactional() && target.log.transactions.open_offset(header.producer_id).is_none() {
            let id = append.transactional_id.unwrap_or_default();
            let key = (topic.to_owned(), partition);
            self.check_in_transaction(id, header.producer_id, header.producer_epoch, &key)?;
        }
        let target = self.partition_mut(topic, partition)?;
        let (base_offset, epoch) = (target.log.end_offset(), target.leader_epoch);
        let now_ms = append.now_ms;
        let (header, payload) = stored(inspected, &rules, base_offset, epoch, now_ms)?;
        let entry = LogEntry::batch(header, &payload, append.frame_len);
        self.store(topic, partition, entry)?;
        let log_append_time = if rules.timestamps == TimestampType::LogAppend { now_ms } else { -1 };
        Ok(Appended { base_offset, log_append_time, log_start_offset })
    }

    /// Adds an entry that needs no checks at its own offset. Entries below the end of the log are refused.
    pub(crate) fn store(
        &mut self,
        topic: &str,
        partition: i32,
        entry: LogEntry,
    ) -> Result<(), ResponseError> {
        if entry.base_offset < self.partition_mut(topic, partition)?.log.end_offset() {
            return Err(ResponseError::OffsetOutOfRange);
        }
        self.make_room(entry.footprint())?;
        self.footprint += entry.footprint();
        let target = self.partition_mut(topic, partition)?;
        target.log.note_producer(&entry);
        target.log.push(entry);
        target.wake();
        Ok(())
    }

    /// Ends the producer's transaction in a partition with a control batch. Answers the offset of it.
    pub(crate) fn append_marker(
        &mut self,
        topic: &str,
        partition: i32,
        marker: Marker,
        now_ms: i64,
    ) -> Result<i64, ResponseError> {
        let target = self.partition_mut(topic, partition)?;
        target.log.producers.check_marker(marker.producer_id, marker.producer_epoch)?;
        let marker = Marker { offset: target.log.end_offset(), ..marker };
        let (header, payload) = marker.batch(target.leader_epoch, now_ms);
        target.log.producers.note_marker(
            marker.producer_id,
            marker.producer_epoch,
            marker.coordinator_epoch,
            now_ms,
        );
        target.log.transactions.close(marker);
        self.store(topic, partition, LogEntry::batch(header, &payload, 0))?;
        Ok(marker.offset)
    }

    /// Moves a log's start up to `offset`, at most to its end. Answers the new start.
    pub(crate) fn advance_start(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<i64, ResponseError> {
        let target = self.partition_mut(topic, partition)?;
        let freed = target.log.advance_start(offset);
        let start_offset = target.log.start_offset();
        target.wake();
        self.footprint -= freed;
        Ok(start_offset)
    }

    /// Cuts a log at the batch that holds `offset` under a new leader epoch, as an unclean election does.
    pub(crate) fn truncate(&mut self, topic: &str, partition: i32, offset: i64) -> Result<(), ResponseError> {
        let target = self.partition_mut(topic, partition)?;
        let freed = target.log.truncate(offset);
        target.elect(target.leader);
        self.footprint -= freed;
        Ok(())
    }

    fn check_leader(&self, broker: i32, topic: &str, partition: i32, acks_all: bool) -> Result<(), Refusal> {
        let topic = self.topics.get(topic).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let partition = topic.partition(partition).ok_or(ResponseError::UnknownTopicOrPartition)?;
        if partition.leader != Some(broker) {
            return Err(ResponseError::NotLeaderOrFollower.into());
        }
        let in_sync = i64::try_from(partition.in_sync.len()).unwrap_or(i64::MAX);
        let least = topic.configs.number("min.insync.replicas");
        if acks_all && in_sync < least {
            let message = format!(
                "The size of the current ISR is insufficient to satisfy the min.isr requirement of {least}"
            );
            return Err(Refusal::new(ResponseError::NotEnoughReplicas, message));
        }
        Ok(())
    }

    /// Frees memory for `bytes` more, or refuses them.
    fn make_room(&mut self, bytes: usize) -> Result<(), ResponseError> {
        let limit = self.options.memory_bytes;
        if bytes > limit || (self.footprint + bytes > limit && self.options.when_full == WhenFull::Refuse) {
            return Err(ResponseError::KafkaStorageError);
        }
        while self.footprint + bytes > limit {
            // Frees a sixteenth at a time, so that looking for the largest partition does not happen for each append.
            let goal = (limit / 16).max(bytes);
            let largest = self.topics.values_mut().flat_map(|topic| &mut topic.partitions);
            let Some(largest) = largest.max_by_key(|partition| partition.log.footprint()) else { break };
            let mut freed = 0;
            while let Some(step) = largest.log.drop_oldest() {
                freed += step;
                if freed >= goal {
                    break;
                }
            }
            self.footprint -= freed;
            if freed == 0 {
                break;
            }
        }
        Ok(())
    }
}
