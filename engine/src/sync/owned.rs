//! Records of the access rules that kmirror created, in a compacted topic on the target: only what stands there is ever
//! removed. Key: the binding as JSON, value: the source's binding that asked for it. Pure.

use bytes::Bytes;
use kmirror_protocol::client::admin::{AclBinding, AclOperation, AclPermission, AclResource, PatternType};
use kmirror_protocol::wire::record::NewRecord;
use serde_json::{Value, json};

/// Says that kmirror created `binding` because the source has `reason`; without one that it is ours no more.
/// `timestamp` is in milliseconds since the epoch.
pub(super) fn record(binding: &AclBinding, reason: Option<&AclBinding>, timestamp: i64) -> NewRecord {
    NewRecord {
        timestamp,
        key: Some(text(binding).into()),
        value: reason.map(|reason| text(reason).into()),
        headers: Vec::new(),
    }
}

/// Reads a record: the binding, and the source's binding that asked for it; none when it is ours no more. `None` for
/// what is no such record.
pub(super) fn read(key: &[u8], value: Option<&Bytes>) -> Option<(AclBinding, Option<AclBinding>)> {
    let binding = binding(key)?;
    match value {
        None => Some((binding, None)),
        Some(value) => self::binding(value).map(|reason| (binding, Some(reason))),
    }
}

/// Compaction compares bytes: the fields always come in the same order, which is that of their names.
fn text(binding: &AclBinding) -> String {
    let AclBinding { resource, name, pattern, principal, host, operation, permission } = binding;
    json!({
        "host": &**host,
        "operation": operation.name(),
        "patternType": pattern.name(),
        "permissionType": permission.name(),
        "principal": &**principal,
        "resourceName": &**name,
        "resourceType": resource.name(),
    })
    .to_string()
}

fn binding(text: &[u8]) -> Option<AclBinding> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let field = |name: &str| value.get(name)?.as_str();
    Some(AclBinding {
        resource: AclResource::from_name(field("resourceType")?)?,
        name: field("resourceName")?.into(),
        pattern: PatternType::from_name(field("patternType")?)?,
        principal: field("principal")?.into(),
        host: field("host")?.into(),
        operation: AclOperation::from_name(field("operation")?)?,
        permission: AclPermission::from_name(field("permissionType")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> AclBinding {
        AclBinding {
            resource: AclResource::Topic,
            name: "A.orders".into(),
            pattern: PatternType::Literal,
            principal: "User:\"alice\"".into(),
            host: "*".into(),
            operation: AclOperation::DescribeConfigs,
            permission: AclPermission::Allow,
        }
    }

    #[test]
    fn what_is_written_is_read_and_its_bytes_do_not_change() {
        let reason = AclBinding { name: "orders".into(), ..alice() };
        let written = record(&alice(), Some(&reason), 0);
        let key = written.key.unwrap();
        assert_eq!(
            key,
            r#"{"host":"*","operation":"DESCRIBE_CONFIGS","patternType":"LITERAL","permissionType":"ALLOW","principal":"User:\"alice\"","resourceName":"A.orders","resourceType":"TOPIC"}"#
        );
        assert_eq!(read(&key, written.value.as_ref()), Some((alice(), Some(reason))));
        assert_eq!(read(&key, None), Some((alice(), None)));
    }

    #[test]
    fn other_records_are_not_ours() {
        assert_eq!(read(b"{}", None), None);
        let key = record(&alice(), None, 0).key.unwrap();
        assert_eq!(read(&key, Some(&Bytes::from_static(b"x"))), None);
    }
}
