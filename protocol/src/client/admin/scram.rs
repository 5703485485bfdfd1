//! Which users have SCRAM credentials (KIP-554). What these are, no broker tells.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::client::cluster::Cluster;
use crate::client::error::ClientError;
use crate::wire::error::ErrorCode;
use crate::wire::messages::{DescribeUserScramCredentialsRequest, Request};

/// A mechanism of SCRAM (Kafka class `ScramMechanism`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScramMechanism {
    /// SCRAM-SHA-256
    Sha256,
    /// SCRAM-SHA-512
    Sha512,
    /// One of later versions.
    Other(i8),
}

impl From<i8> for ScramMechanism {
    fn from(code: i8) -> Self {
        match code {
            1 => Self::Sha256,
            2 => Self::Sha512,
            other => Self::Other(other),
        }
    }
}

/// A user with the mechanisms it has credentials for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScramUser {
    /// Its name.
    pub name: Arc<str>,
    /// The mechanisms.
    pub mechanisms: BTreeSet<ScramMechanism>,
}

/// All users with SCRAM credentials. It takes DESCRIBE on the cluster.
///
/// # Errors
/// [`ClientError::Refused`], and what [`Cluster::call_controller`] gives.
pub async fn describe_scram_users(cluster: &Cluster) -> Result<Vec<ScramUser>, ClientError> {
    let request = DescribeUserScramCredentialsRequest::default().with_users(None);
    let response = cluster.call_controller(request).await?;
    let (code, message) = (ErrorCode::from(response.error_code), response.error_message.as_deref());
    code.ok().map_err(|code| cluster.refused(DescribeUserScramCredentialsRequest::API, code, message))?;
    let users = response.results.iter().map(|result| ScramUser {
        name: Arc::from(result.user.as_str()),
        mechanisms: result.credential_infos.iter().map(|info| info.mechanism.into()).collect(),
    });
    Ok(users.collect())
}
