//! The limits of users, client ids and addresses (KIP-546).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::TopicFault;
use crate::client::cluster::Cluster;
use crate::client::error::ClientError;
use crate::wire::error::ErrorCode;
use crate::wire::messages::parts::alter_client_quotas_request::{EntityData, EntryData, OpData};
use crate::wire::messages::{AlterClientQuotasRequest, DescribeClientQuotasRequest, Request, StrBytes};

/// How many entities one request changes at most.
const ENTITIES_A_REQUEST: usize = 500;

/// Who is limited: names by kind (`user`, `client-id`, `ip`), none for the default of that kind.
pub type QuotaEntity = BTreeMap<Arc<str>, Option<Arc<str>>>;

/// The limits of one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientQuota {
    /// Who.
    pub entity: QuotaEntity,
    /// The limits by key, such as `producer_byte_rate`.
    pub values: BTreeMap<Arc<str>, f64>,
}

/// Limits to set for one entity.
pub type QuotaChange = ClientQuota;

/// All limits of a cluster. It takes DESCRIBE_CONFIGS on the cluster.
///
/// # Errors
/// [`ClientError::Refused`], and what [`Cluster::call_controller`] gives.
pub async fn describe_client_quotas(cluster: &Cluster) -> Result<Vec<ClientQuota>, ClientError> {
    // No component, and others allowed: everything there is.
    let request = DescribeClientQuotasRequest::default().with_strict(false);
    let response = cluster.call_controller(request).await?;
    let (code, message) = (ErrorCode::from(response.error_code), response.error_message.as_deref());
    code.ok().map_err(|code| cluster.refused(DescribeClientQuotasRequest::API, code, message))?;
    let shared = |text: &StrBytes| Arc::<str>::from(text.as_str());
    let quotas = response.entries.iter().flatten().map(|entry| ClientQuota {
        entity: entry
            .entity
            .iter()
            .map(|part| (shared(&part.entity_type), part.entity_name.as_ref().map(shared)))
            .collect(),
        values: entry.values.iter().map(|value| (shared(&value.key), value.value)).collect(),
    });
    Ok(quotas.collect())
}

/// Sets limits; others of the same entities stay. Each entity is answered, in their order. It takes ALTER_CONFIGS on
/// the cluster.
///
/// # Errors
/// What [`Cluster::call_controller`] gives.
pub async fn alter_client_quotas(
    cluster: &Cluster,
    changes: &[QuotaChange],
) -> Result<Vec<Result<(), TopicFault>>, ClientError> {
    let text = |text: &Arc<str>| StrBytes::from_string(text.to_string());
    let mut done = Vec::with_capacity(changes.len());
    for part in changes.chunks(ENTITIES_A_REQUEST) {
        let entries = part.iter().map(|change| {
            let entity = change.entity.iter().map(|(kind, name)| {
                EntityData::default().with_entity_type(text(kind)).with_entity_name(name.as_ref().map(text))
            });
            let ops = change
                .values
                .iter()
                .map(|(key, value)| OpData::default().with_key(text(key)).with_value(*value));
            EntryData::default().with_entity(entity.collect()).with_ops(ops.collect())
        });
        let request = AlterClientQuotasRequest::default().with_entries(entries.collect());
        let response = cluster.call_controller(request).await?;
        // The answers need not be in the order of the questions.
        let answers: Vec<(QuotaEntity, Result<(), TopicFault>)> = response
            .entries
            .iter()
            .map(|entry| {
                let entity = entry.entity.iter().map(|part| {
                    let name = part.entity_name.as_ref().map(|name| Arc::from(name.as_str()));
                    (Arc::from(part.entity_type.as_str()), name)
                });
                let fault = TopicFault::check(entry.error_code, entry.error_message.as_deref());
                (entity.collect(), fault)
            })
            .collect();
        done.extend(part.iter().map(|change| {
            let answer = answers.iter().find(|(entity, _)| *entity == change.entity);
            answer.map_or_else(|| Err(TopicFault::unanswered()), |(_, answer)| answer.clone())
        }));
    }
    Ok(done)
}
