//! Writing a few records to small internal topics: acknowledged by all in-sync replicas, sent again when in doubt.
//!
//! A record may thus stand there twice, which does no harm in a compacted topic; the mirror's own data goes another
//! way.

use std::collections::HashMap;
use std::sync::Arc;

use super::by_leader::{Answers, TopicPartition, ask_leaders};
use super::cluster::Cluster;
use super::error::ClientError;
use super::txn::ProducerIdentity;
use crate::net::{Connection, NetError};
use crate::wire::api::ApiKey;
use crate::wire::batch::{Codec, Stamp, next_sequence};
use crate::wire::messages::milliseconds;
use crate::wire::produce::{self, ProduceEntry, TopicRef};
use crate::wire::record::{NewRecord, build_batch};
use crate::wire::reencode::Encoded;

/// From how many bytes of records on another batch is begun. Far below the least that brokers take by default.
const BATCH_BYTES: usize = 256 << 10;
/// What a record takes beside its key, value and headers, at most.
const RECORD_OVERHEAD: usize = 64;
/// All in-sync replicas.
const ACKS_ALL: i16 = -1;
/// As whom records of a transaction are sent: the partitions they go to must be part of it already.
#[derive(Debug)]
pub struct TransactionalSender {
    /// The transactional id.
    pub id: Arc<str>,
    /// What its coordinator gave.
    pub identity: ProducerIdentity,
    /// The next sequence of each partition that was written under the identity.
    pub sequences: HashMap<TopicPartition, i32>,
}

impl TransactionalSender {
    fn stamp(&mut self, partition: &TopicPartition, records: i32) -> Stamp {
        let next = self.sequences.entry(partition.clone()).or_default();
        let base_sequence = std::mem::replace(next, next_sequence(*next, records));
        let ProducerIdentity { id: producer_id, epoch: producer_epoch } = self.identity;
        Stamp { producer_id, producer_epoch, base_sequence, transactional: true }
    }
}

/// Appends records to partitions of a topic, and returns when all of them are safe.
///
/// # Errors
/// [`ClientError::Partition`] with the last code of the first partition that failed; other partitions may have been
/// written. [`ClientError::Records`] for records that make no batch.
pub async fn send_records(
    cluster: &Cluster,
    topic: &Arc<str>,
    records: Vec<(i32, Vec<NewRecord>)>,
) -> Result<(), ClientError> {
    send_as(cluster, topic, records, None).await
}

/// The same within a transaction. A batch that is sent again when in doubt has the sequence it had: it is there once.
///
/// # Errors
/// As [`send_records`]; afterwards the transaction can only be aborted.
pub async fn send_in_transaction(
    cluster: &Cluster,
    topic: &Arc<str>,
    records: Vec<(i32, Vec<NewRecord>)>,
    sender: &mut TransactionalSender,
) -> Result<(), ClientError> {
    send_as(cluster, topic, records, Some(sender)).await
}

async fn send_as(
    cluster: &Cluster,
    topic: &Arc<str>,
    records: Vec<(i32, Vec<NewRecord>)>,
    mut sender: Option<&mut TransactionalSender>,
) -> Result<(), ClientError> {
    let transactional_id = sender.as_ref().map(|sender| Arc::clone(&sender.id));
    let mut queues = Vec::with_capacity(records.len());
    for (partition, records) in records {
        let batches = batches(&records).map_err(|source| ClientError::Records {
            cluster: Arc::clone(cluster.alias()),
            topic: Arc::clone(topic),
            partition,
            source: Arc::new(source),
        })?;
        queues.push((partition, batches.into_iter()));
    }
    loop {
        let mut questions: Vec<(TopicPartition, Arc<Stamped>)> = Vec::with_capacity(queues.len());
        for (partition, batches) in &mut queues {
            let Some(batch) = batches.next() else { continue };
            let partition = (Arc::clone(topic), *partition);
            let sender = sender.as_deref_mut();
            let stamp = sender.map_or(Stamp::NONE, |one| one.stamp(&partition, batch.header.record_count));
            questions.push((partition, Arc::new(Stamped { batch, stamp })));
        }
        if questions.is_empty() {
            return Ok(());
        }
        let (asked, id) = (cluster.clone(), transactional_id.clone());
        let answers = ask_leaders(cluster, questions, move |connection, questions| {
            ask(asked.clone(), connection, id.clone(), questions)
        });
        for ((topic, partition), answer) in answers.await? {
            answer.map_err(|code| ClientError::Partition {
                cluster: Arc::clone(cluster.alias()),
                api: ApiKey::Produce,
                topic,
                partition,
                code,
            })?;
        }
    }
}

/// A batch with the producer fields it gets.
struct Stamped {
    batch: Encoded,
    stamp: Stamp,
}

/// Cuts records into batches, in order.
fn batches(records: &[NewRecord]) -> Result<Vec<Encoded>, crate::wire::record::RecordError> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, record) in records.iter().enumerate() {
        let size = size(record);
        if at > start && bytes + size > BATCH_BYTES {
            batches.push(build_batch(records.get(start..at).unwrap_or_default(), Codec::None)?);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    match records.get(start..).unwrap_or_default() {
        [] => {}
        rest => batches.push(build_batch(rest, Codec::None)?),
    }
    Ok(batches)
}

fn size(record: &NewRecord) -> usize {
    let len = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + len(value) + 10).sum();
    RECORD_OVERHEAD + len(&record.key) + len(&record.value) + headers
}

async fn ask(
    cluster: Cluster,
    connection: Connection,
    transactional_id: Option<Arc<str>>,
    questions: Vec<(TopicPartition, Arc<Stamped>)>,
) -> Result<Answers<()>, NetError> {
    let metadata = cluster.metadata().unwrap_or_default();
    let entries: Vec<ProduceEntry> = questions
        .into_iter()
        .map(|((topic, partition), one)| ProduceEntry {
            topic_id: metadata.topics.get(&topic).and_then(|topic| topic.id).unwrap_or_default(),
            topic,
            partition,
            header: one.batch.header.stamped(one.batch.payload.len(), one.stamp),
            payload: one.batch.payload.clone(),
        })
        .collect();
    let version = produce::version(connection.require(ApiKey::Produce)?, &entries);
    let timeout = milliseconds(cluster.options().connection.request_timeout);
    let wire = |source| NetError::wire(connection.address(), source);
    let body = produce::encode(version, transactional_id.as_deref(), ACKS_ALL, timeout, &entries);
    let response = connection.send(ApiKey::Produce, version, body.map_err(wire)?).await?.await?;
    let response = produce::decode(version, response).map_err(wire)?;
    let answers = response.partitions.into_iter().filter_map(|produced| {
        let topic = match &produced.topic {
            TopicRef::Name(name) => Arc::clone(name),
            TopicRef::Id(_) => Arc::clone(&entries.iter().find(|entry| produced.answers(entry))?.topic),
        };
        Some(((topic, produced.partition), produced.error.ok()))
    });
    Ok(answers.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_records_make_several_batches_in_order() {
        let record = |n: u8| NewRecord { value: Some(vec![n; 100_000].into()), ..NewRecord::default() };
        let records: Vec<NewRecord> = (0..7).map(record).collect();
        let counts: Vec<i32> =
            batches(&records).unwrap().iter().map(|batch| batch.header.record_count).collect();
        assert_eq!(counts, [2, 2, 2, 1]);
        let large = NewRecord { value: Some(vec![1; 2 * BATCH_BYTES].into()), ..NewRecord::default() };
        assert_eq!(batches(&[large]).unwrap().len(), 1, "one that is too large goes alone");
        assert!(batches(&[]).unwrap().is_empty());
    }
}
