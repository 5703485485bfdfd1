//! Producer ids and transactions (KIP-98): begun by adding partitions, ended as a whole, fenced by whoever takes the
//! transactional id next.
//!
//! Must not know what is written in a transaction.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::backoff::Backoff;
use super::by_leader::{TopicPartition, code_of};
use super::cluster::{Cluster, Purpose, Topics};
use super::error::ClientError;
use super::groups::Seat;
use super::groups::coordinator::{Coordinated, find_coordinators};
use super::metadata::NodeId;
use super::retry::{Action, decide};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::parts::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use crate::wire::messages::parts::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use crate::wire::messages::parts::{GroupId, ProducerId, TopicName, TransactionalId as WireId};
use crate::wire::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest,
    InitProducerIdResponse, Request, StrBytes, TxnOffsetCommitRequest, milliseconds, text,
};

/// The pauses before a coordinator is asked again: the markers of the last transaction take some milliseconds, and
/// until they are written it answers CONCURRENT_TRANSACTIONS.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// See [`FIRST_PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Who a producer is, so that brokers recognise what it sends twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdentity {
    /// Given out once by the cluster.
    pub id: i64,
    /// Grows when the identity is taken over.
    pub epoch: i16,
}

impl From<InitProducerIdResponse> for ProducerIdentity {
    fn from(response: InitProducerIdResponse) -> Self {
        Self { id: response.producer_id.0, epoch: response.producer_epoch }
    }
}

/// Asks the cluster for a fresh identity without a transactional id.
///
/// # Errors
/// [`ClientError::Refused`] for a fatal code (`CLUSTER_AUTHORIZATION_FAILED` before Kafka 2.8 without
/// `IDEMPOTENT_WRITE`), [`ClientError::Deadline`] when the cluster is not ready for too long, and what
/// [`Cluster::call_any`] gives.
pub async fn init_producer_id(cluster: &Cluster) -> Result<ProducerIdentity, ClientError> {
    let deadline = cluster.deadline();
    let mut backoff = cluster.backoff();
    loop {
        // The transaction timeout means nothing without a transactional id; the Java producer sends this one.
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(i32::MAX);
        let response = cluster.call_any(request).await?;
        let code = ErrorCode::from(response.error_code);
        match decide(code) {
            Action::Done => return Ok(response.into()),
            Action::Retry | Action::RefreshAndRetry => {
                if !backoff.pause_before(deadline).await {
                    return Err(cluster.deadline_error("getting a producer id"));
                }
            }
            Action::ResetPosition | Action::ResyncProducer | Action::Fatal(_) => {
                return Err(cluster.refused(InitProducerIdRequest::API, code, None));
            }
        }
    }
}

/// A transactional id on one cluster, and the questions that can be put to its coordinator.
///
/// Each call is tried again until the cluster's deadline where that may help. A code that means that somebody else took
/// the id, or that the coordinator aborted a transaction that took too long (`INVALID_PRODUCER_EPOCH`,
/// `PRODUCER_FENCED`), is [`ClientError::Refused`].
#[derive(Debug, Clone)]
pub struct TransactionalId {
    cluster: Cluster,
    id: Arc<str>,
    /// Who answered last.
    coordinators: Arc<Mutex<HashMap<Arc<str>, NodeId>>>,
}

impl TransactionalId {
    /// Nothing is asked yet.
    pub fn new(cluster: &Cluster, id: &str) -> Self {
        Self { cluster: cluster.clone(), id: id.into(), coordinators: Arc::default() }
    }

    /// The id itself.
    pub fn name(&self) -> &Arc<str> {
        &self.id
    }

    /// Takes the id: whoever had it before cannot write under it any more, and what it had not ended is aborted.
    /// Transactions that take longer than `timeout` are aborted by the coordinator.
    ///
    /// # Errors
    /// See the type.
    pub async fn init(&self, timeout: Duration) -> Result<ProducerIdentity, ClientError> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(WireId(text(&self.id))))
            .with_transaction_timeout_ms(milliseconds(timeout));
        self.ask(Coordinated::Transaction, &self.id, request, |answer| answer.error_code.into())
            .await
            .map(ProducerIdentity::from)
    }

    /// Makes partitions part of the transaction, beginning one if none is open: all of them, or none.
    ///
    /// # Errors
    /// See the type; `UNKNOWN_TOPIC_OR_PARTITION` at once.
    pub async fn add_partitions(
        &self,
        identity: ProducerIdentity,
        partitions: &[TopicPartition],
    ) -> Result<(), ClientError> {
        let mut by_topic: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in partitions {
            by_topic.entry(topic).or_default().push(*partition);
        }
        let topics = by_topic.into_iter().map(|(topic, partitions)| {
            AddPartitionsToTxnTopic::default().with_name(TopicName(text(topic))).with_partitions(partitions)
        });
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(WireId(text(&self.id)))
            .with_v3_and_below_producer_id(ProducerId(identity.id))
            .with_v3_and_below_producer_epoch(identity.epoch)
            .with_v3_and_below_topics(topics.collect());
        self.ask(Coordinated::Transaction, &self.id, request, |answer| {
            let topics = answer.results_by_topic_v3_and_below.iter();
            worst(topics.flat_map(|topic| &topic.results_by_partition).map(|one| one.partition_error_code))
        })
        .await
        .map(drop)
    }

    /// Commits a position of the member's group within the transaction. The group's coordinator takes it only from a
    /// member it has not given up (KIP-447): who may commit this may still write what is its own.
    ///
    /// # Errors
    /// See the type; `ILLEGAL_GENERATION`, `UNKNOWN_MEMBER_ID` and `FENCED_INSTANCE_ID` of a member that is out, or in
    /// another generation by now.
    pub async fn commit_position(
        &self,
        identity: ProducerIdentity,
        seat: &Seat,
        (topic, partition): &TopicPartition,
        offset: i64,
    ) -> Result<(), ClientError> {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(WireId(text(&self.id)))
            .with_producer_id(ProducerId(identity.id))
            .with_producer_epoch(identity.epoch)
            .with_group_id(GroupId(text(&seat.group)));
        self.ask(Coordinated::Transaction, &self.id, request, |answer| answer.error_code.into()).await?;
        let position = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(StrBytes::default()));
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(vec![position]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(WireId(text(&self.id)))
            .with_group_id(GroupId(text(&seat.group)))
            .with_producer_id(ProducerId(identity.id))
            .with_producer_epoch(identity.epoch)
            .with_generation_id(seat.generation)
            .with_member_id(text(&seat.member))
            .with_group_instance_id(seat.instance_id.as_deref().map(text))
            .with_topics(vec![topic]);
        self.ask(Coordinated::Group, &seat.group, request, |answer| {
            worst(answer.topics.iter().flat_map(|topic| &topic.partitions).map(|one| one.error_code))
        })
        .await
        .map(drop)
    }

    /// Ends the transaction: all of it counts, or nothing.
    ///
    /// # Errors
    /// See the type. When the outcome of a commit is unknown (a deadline), only a reader of committed records can tell.
    pub async fn end(&self, identity: ProducerIdentity, commit: bool) -> Result<(), ClientError> {
        let request = EndTxnRequest::default()
            .with_transactional_id(WireId(text(&self.id)))
            .with_producer_id(ProducerId(identity.id))
            .with_producer_epoch(identity.epoch)
            .with_committed(commit);
        self.ask(Coordinated::Transaction, &self.id, request, |answer| answer.error_code.into())
            .await
            .map(drop)
    }

    async fn ask<R: Request + Clone>(
        &self,
        what: Coordinated,
        key: &Arc<str>,
        request: R,
        code: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<R::Response, ClientError> {
        let deadline = self.cluster.deadline();
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let (error, refresh) = match self.ask_once(what, key, request.clone()).await {
                Ok(answer) => match code(&answer) {
                    ErrorCode::None => return Ok(answer),
                    code => (self.cluster.refused(R::API, code, None), false),
                },
                Err(error) => {
                    let refresh = error.net().is_some();
                    (error, refresh)
                }
            };
            let code = error.code().unwrap_or_else(|| code_of(error.net()));
            // A topic that is not there is the caller's to make.
            let absent = R::API == ApiKey::AddPartitionsToTxn && code == ErrorCode::UnknownTopicOrPartition;
            let passes = !absent && matches!(decide(code), Action::Retry | Action::RefreshAndRetry);
            if code != ErrorCode::ConcurrentTransactions {
                self.known().remove(key);
            }
            if !passes || !backoff.pause_before(deadline).await {
                return Err(error);
            }
            if refresh {
                // Should nobody answer now, the brokers known are asked again until the deadline.
                let _ = self.cluster.refresh(Topics::None).await;
            }
        }
    }

    async fn ask_once<R: Request>(
        &self,
        what: Coordinated,
        key: &Arc<str>,
        request: R,
    ) -> Result<R::Response, ClientError> {
        let known = self.known().get(key).copied();
        let node = match known {
            Some(node) => node,
            None => self.find(what, key).await?,
        };
        let connection = self.cluster.connection(node, Purpose::General).await?;
        connection.call(request).await.map_err(|source| ClientError::Broker {
            cluster: Arc::clone(self.cluster.alias()),
            node,
            source,
        })
    }

    async fn find(&self, what: Coordinated, key: &Arc<str>) -> Result<NodeId, ClientError> {
        self.cluster.current(Topics::None).await?;
        let found = find_coordinators(&self.cluster, what, std::slice::from_ref(key)).await;
        let node = found.get(key).copied().unwrap_or(Err(ErrorCode::CoordinatorNotAvailable));
        let node = node.map_err(|code| self.cluster.refused(ApiKey::FindCoordinator, code, None))?;
        self.known().insert(Arc::clone(key), node);
        Ok(node)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Arc<str>, NodeId>> {
        self.coordinators.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The code that decides: one that is fatal before one that may pass.
fn worst(codes: impl Iterator<Item = i16>) -> ErrorCode {
    let failed: Vec<ErrorCode> = codes.map(ErrorCode::from).filter(|code| !code.is_none()).collect();
    let fatal = failed.iter().find(|code| matches!(decide(**code), Action::Fatal(_)));
    // Of those that were not tried since others failed nothing is learnt.
    let told = failed.iter().find(|code| **code != ErrorCode::OperationNotAttempted);
    fatal.or(told).or_else(|| failed.first()).copied().unwrap_or(ErrorCode::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_that_decides_is_told() {
        let code = |codes: &[ErrorCode]| worst(codes.iter().map(|code| code.code()));
        assert_eq!(code(&[]), ErrorCode::None);
        assert_eq!(code(&[ErrorCode::None, ErrorCode::None]), ErrorCode::None);
        let both = [ErrorCode::OperationNotAttempted, ErrorCode::ConcurrentTransactions];
        assert_eq!(code(&both), ErrorCode::ConcurrentTransactions);
        let fatal = [ErrorCode::ConcurrentTransactions, ErrorCode::TopicAuthorizationFailed];
        assert_eq!(code(&fatal), ErrorCode::TopicAuthorizationFailed);
    }
}
