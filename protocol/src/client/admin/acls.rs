//! Who may do what (KIP-140, resource patterns KIP-290): asked, allowed, taken back.

use std::sync::Arc;

use super::TopicFault;
use crate::client::cluster::Cluster;
use crate::client::error::ClientError;
use crate::wire::error::ErrorCode;
use crate::wire::messages::parts::create_acls_request::AclCreation;
use crate::wire::messages::parts::delete_acls_request::DeleteAclsFilter;
use crate::wire::messages::{CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest, Request, text};

/// How many bindings one request creates or deletes at most: a controller writes at most 10,000 records in one go.
const BINDINGS_A_REQUEST: usize = 500;
/// Matches everything, in each field of a filter.
const ANY: i8 = 1;

macro_rules! codes {
    ($(#[$doc:meta])* $type:ident { $($name:ident = $code:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the names are Kafka's own")]
        pub enum $type {
            $($name,)*
            /// One that came after Kafka 4.3.
            Other(i8),
        }

        impl From<i8> for $type {
            fn from(code: i8) -> Self {
                match code {
                    $($code => Self::$name,)*
                    other => Self::Other(other),
                }
            }
        }

        impl $type {
            /// The number on the wire.
            pub const fn code(self) -> i8 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Other(code) => code,
                }
            }

            /// Kafka's own spelling.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other(_) => "UNKNOWN",
                }
            }

            /// The one that is spelt so.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$name),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

codes! {
    /// What a binding is about (Kafka class `ResourceType`).
    AclResource {
        Topic = 2 "TOPIC",
        Group = 3 "GROUP",
        Cluster = 4 "CLUSTER",
        TransactionalId = 5 "TRANSACTIONAL_ID",
        DelegationToken = 6 "DELEGATION_TOKEN",
        User = 7 "USER",
    }
}

codes! {
    /// How the resource's name is meant (Kafka class `PatternType`).
    PatternType {
        Literal = 3 "LITERAL",
        Prefixed = 4 "PREFIXED",
    }
}

codes! {
    /// What may be done (Kafka class `AclOperation`).
    AclOperation {
        All = 2 "ALL",
        Read = 3 "READ",
        Write = 4 "WRITE",
        Create = 5 "CREATE",
        Delete = 6 "DELETE",
        Alter = 7 "ALTER",
        Describe = 8 "DESCRIBE",
        ClusterAction = 9 "CLUSTER_ACTION",
        DescribeConfigs = 10 "DESCRIBE_CONFIGS",
        AlterConfigs = 11 "ALTER_CONFIGS",
        IdempotentWrite = 12 "IDEMPOTENT_WRITE",
        CreateTokens = 13 "CREATE_TOKENS",
        DescribeTokens = 14 "DESCRIBE_TOKENS",
        TwoPhaseCommit = 15 "TWO_PHASE_COMMIT",
    }
}

codes! {
    /// Whether it may or may not be done (Kafka class `AclPermissionType`).
    AclPermission {
        Deny = 2 "DENY",
        Allow = 3 "ALLOW",
    }
}

/// One line of who may do what (Kafka class `AclBinding`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclBinding {
    /// The kind of resource.
    pub resource: AclResource,
    /// Its name, or how names begin; `*` means every name.
    pub name: Arc<str>,
    /// How the name is meant.
    pub pattern: PatternType,
    /// Who, such as `User:alice`.
    pub principal: Arc<str>,
    /// From which address; `*` means from anywhere.
    pub host: Arc<str>,
    /// What.
    pub operation: AclOperation,
    /// May or may not.
    pub permission: AclPermission,
}

impl std::fmt::Display for AclBinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { resource, name, pattern, principal, host, operation, permission } = self;
        write!(f, "{permission} {operation} on {resource} {pattern} {name} to {principal} from {host}")
    }
}

/// All bindings about one kind of resource, or about every kind. It takes DESCRIBE on the cluster.
///
/// # Errors
/// [`ClientError::Refused`] (`SECURITY_DISABLED` where no authorizer runs, `CLUSTER_AUTHORIZATION_FAILED`), and what
/// [`Cluster::call_any`] gives.
pub async fn describe_acls(
    cluster: &Cluster,
    resource: Option<AclResource>,
) -> Result<Vec<AclBinding>, ClientError> {
    let request = DescribeAclsRequest::default()
        .with_resource_type_filter(resource.map_or(ANY, AclResource::code))
        .with_resource_name_filter(None)
        .with_pattern_type_filter(ANY)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(ANY)
        .with_permission_type(ANY);
    let response = cluster.call_any(request).await?;
    let (code, message) = (ErrorCode::from(response.error_code), response.error_message.as_deref());
    code.ok().map_err(|code| cluster.refused(DescribeAclsRequest::API, code, message))?;
    let bindings = response.resources.iter().flat_map(|resource| {
        let name: Arc<str> = Arc::from(resource.resource_name.as_str());
        resource.acls.iter().map(move |acl| AclBinding {
            resource: resource.resource_type.into(),
            name: Arc::clone(&name),
            pattern: resource.pattern_type.into(),
            principal: Arc::from(acl.principal.as_str()),
            host: Arc::from(acl.host.as_str()),
            operation: acl.operation.into(),
            permission: acl.permission_type.into(),
        })
    });
    Ok(bindings.collect())
}

/// Creates bindings; one that exists stays as it is. Each is answered, in their order. It takes ALTER on the cluster.
///
/// # Errors
/// What [`Cluster::call_any`] gives.
pub async fn create_acls(
    cluster: &Cluster,
    bindings: &[AclBinding],
) -> Result<Vec<Result<(), TopicFault>>, ClientError> {
    let mut done = Vec::with_capacity(bindings.len());
    for part in bindings.chunks(BINDINGS_A_REQUEST) {
        let creations = part.iter().map(|binding| {
            AclCreation::default()
                .with_resource_type(binding.resource.code())
                .with_resource_name(text(&binding.name))
                .with_resource_pattern_type(binding.pattern.code())
                .with_principal(text(&binding.principal))
                .with_host(text(&binding.host))
                .with_operation(binding.operation.code())
                .with_permission_type(binding.permission.code())
        });
        let request = CreateAclsRequest::default().with_creations(creations.collect());
        let response = cluster.call_any(request).await?;
        let mut results = response.results.iter();
        done.extend(part.iter().map(|_| {
            let result = results.next().ok_or_else(TopicFault::unanswered)?;
            TopicFault::check(result.error_code, result.error_message.as_deref())
        }));
    }
    Ok(done)
}

/// Deletes exactly these bindings; one that is not there is no fault. Each is answered, in their order. It takes ALTER
/// on the cluster.
///
/// # Errors
/// What [`Cluster::call_any`] gives.
pub async fn delete_acls(
    cluster: &Cluster,
    bindings: &[AclBinding],
) -> Result<Vec<Result<(), TopicFault>>, ClientError> {
    let mut done = Vec::with_capacity(bindings.len());
    for part in bindings.chunks(BINDINGS_A_REQUEST) {
        let filters = part.iter().map(|binding| {
            DeleteAclsFilter::default()
                .with_resource_type_filter(binding.resource.code())
                .with_resource_name_filter(Some(text(&binding.name)))
                .with_pattern_type_filter(binding.pattern.code())
                .with_principal_filter(Some(text(&binding.principal)))
                .with_host_filter(Some(text(&binding.host)))
                .with_operation(binding.operation.code())
                .with_permission_type(binding.permission.code())
        });
        let request = DeleteAclsRequest::default().with_filters(filters.collect());
        let response = cluster.call_any(request).await?;
        let mut results = response.filter_results.iter();
        done.extend(part.iter().map(|_| {
            let result = results.next().ok_or_else(TopicFault::unanswered)?;
            TopicFault::check(result.error_code, result.error_message.as_deref())?;
            result
                .matching_acls
                .iter()
                .try_for_each(|acl| TopicFault::check(acl.error_code, acl.error_message.as_deref()))
        }));
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_come_back() {
        for code in i8::MIN..=i8::MAX {
            assert_eq!(AclResource::from(code).code(), code);
            assert_eq!(AclOperation::from(code).code(), code);
            let operation = AclOperation::from(code);
            let known = !matches!(operation, AclOperation::Other(_));
            assert_eq!(AclOperation::from_name(operation.name()), known.then_some(operation));
        }
    }
}
