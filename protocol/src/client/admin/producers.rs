//! Who writes to a partition, and how far the broker has it (KIP-664).

use std::sync::Arc;

use crate::client::by_leader::{Answers, TopicPartition, ask_leaders};
use crate::client::cluster::Cluster;
use crate::client::error::ClientError;
use crate::client::offsets::{Names, by_topic};
use crate::net::{Connection, NetError};
use crate::wire::error::ErrorCode;
use crate::wire::messages::DescribeProducersRequest;
use crate::wire::messages::parts::describe_producers_request::TopicRequest;

/// A producer that a partition's leader remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i32,
    /// The sequence of its last record here, -1 if it has written none since its epoch grew.
    pub last_sequence: i32,
    /// The timestamp of its last record here.
    pub last_timestamp: i64,
    /// Where its open transaction began, if one is open.
    pub transaction_start_offset: Option<i64>,
}

/// Asks the leaders of partitions who writes there. Each partition is answered; brokers before 2.8 cannot say,
/// which reads `UNSUPPORTED_VERSION`. It takes the right to read the topic.
///
/// # Errors
/// [`ClientError`] only when there is no metadata to be had.
pub async fn describe_producers(
    cluster: &Cluster,
    partitions: &[(Arc<str>, i32)],
) -> Result<Vec<(TopicPartition, Result<Vec<ActiveProducer>, ErrorCode>)>, ClientError> {
    let questions = partitions.iter().map(|partition| (partition.clone(), ()));
    ask_leaders(cluster, questions.collect(), ask).await
}

async fn ask(
    connection: Connection,
    questions: Vec<(TopicPartition, ())>,
) -> Result<Answers<Vec<ActiveProducer>>, NetError> {
    let topics = by_topic(&questions, |partition, ()| partition);
    let topics = topics
        .into_iter()
        .map(|(name, partitions)| TopicRequest::default().with_name(name).with_partition_indexes(partitions));
    let request = DescribeProducersRequest::default().with_topics(topics.collect());
    let response = connection.call(request).await?;
    let names = Names::of(&questions);
    let answers = response.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| {
            let producers = partition.active_producers.iter().map(|producer| ActiveProducer {
                producer_id: producer.producer_id.0,
                producer_epoch: producer.producer_epoch,
                last_sequence: producer.last_sequence,
                last_timestamp: producer.last_timestamp,
                transaction_start_offset: Some(producer.current_txn_start_offset)
                    .filter(|offset| *offset >= 0),
            });
            let code = ErrorCode::from(partition.error_code);
            let answer = code.ok().map(|()| producers.collect());
            (names.partition(&topic.name, partition.partition_index), answer)
        })
    });
    Ok(answers.collect())
}
