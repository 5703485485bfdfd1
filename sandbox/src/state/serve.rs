//! Reading access to partitions with the checks a broker makes before it serves one (`Partition.localLogWithEpochOrThrow`).
//! Pure.

use kafka_protocol::ResponseError;

use super::Cluster;
use super::topic::Partition;

/// The leader epoch of a request that does not know it.
const NO_EPOCH: i32 = -1;

impl Cluster {
    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Result<&Partition, ResponseError> {
        let topic = self.topics.get(topic).ok_or(ResponseError::UnknownTopicOrPartition)?;
        topic.partition(partition).ok_or(ResponseError::UnknownTopicOrPartition)
    }

    pub(crate) fn partition_mut(
        &mut self,
        topic: &str,
        partition: i32,
    ) -> Result<&mut Partition, ResponseError> {
        let topic = self.topics.get_mut(topic).ok_or(ResponseError::UnknownTopicOrPartition)?;
        topic.partition_mut(partition).ok_or(ResponseError::UnknownTopicOrPartition)
    }

    /// The partition, when `broker` leads it and the client's idea of the leader epoch is right.
    pub(crate) fn led_partition(
        &self,
        broker: i32,
        topic: &str,
        partition: i32,
        client_epoch: i32,
    ) -> Result<&Partition, ResponseError> {
        let partition = self.partition(topic, partition)?;
        partition.check_epoch(client_epoch)?;
        if partition.leader == Some(broker) { Ok(partition) } else { Err(ResponseError::NotLeaderOrFollower) }
    }
}

impl Partition {
    /// KIP-320: a client with an older epoch has to refresh its metadata, one with a newer has to wait for the broker.
    pub(crate) fn check_epoch(&self, client_epoch: i32) -> Result<(), ResponseError> {
        match client_epoch {
            NO_EPOCH => Ok(()),
            epoch if epoch < self.leader_epoch => Err(ResponseError::FencedLeaderEpoch),
            epoch if epoch > self.leader_epoch => Err(ResponseError::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }
}
