//! Producer ids. (Transactions proper are not used here.)

use super::cluster::Cluster;
use super::error::ClientError;
use super::retry::{Action, decide};
use crate::wire::error::ErrorCode;
use crate::wire::messages::{InitProducerIdRequest, Request};

/// Who a producer is, so that brokers recognise what it sends twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdentity {
    /// Given out once by the cluster.
    pub id: i64,
    /// Grows when the identity is taken over.
    pub epoch: i16,
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
            Action::Done => {
                return Ok(ProducerIdentity { id: response.producer_id.0, epoch: response.producer_epoch });
            }
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
