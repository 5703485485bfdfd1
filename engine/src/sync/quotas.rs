//! Client quotas of users, client ids and addresses: those of the source are set at the target. None is ever removed
//! there. Users with SCRAM credentials that the target lacks are named: their secrets cannot be read.

use std::collections::BTreeMap;

use kmirror_protocol::client::admin::{self, ClientQuota, QuotaChange, QuotaEntity, ScramUser};
use kmirror_protocol::client::{ClientError, Cluster};
use kmirror_protocol::wire::error::ErrorCode;
use tracing::{info, warn};

use super::job::{Round, SyncError};
use super::told::Told;
use crate::jobs::JobContext;

/// How many users are named in one line.
const USERS_NAMED_MAX: usize = 20;

/// Copies client quotas.
#[derive(Default)]
pub(super) struct Quotas {
    told: Told,
}

impl Round for Quotas {
    const WHAT: &'static str = "client quotas";

    async fn round(&mut self, context: &JobContext) -> Result<(), SyncError> {
        self.told.begin();
        let (source, target) = (&context.clients.source_admin, &context.clients.target_admin);
        let described =
            [admin::describe_client_quotas(source).await, admin::describe_client_quotas(target).await];
        let [at_source, at_target] = described;
        let at_source = self.readable(context, source, "DESCRIBE_CONFIGS", "client quotas", at_source)?;
        let at_target = self.readable(context, target, "DESCRIBE_CONFIGS", "client quotas", at_target)?;
        if let (Some(at_source), Some(at_target)) = (at_source, at_target) {
            self.set(context, difference(&at_source, &at_target)).await?;
        }
        let described =
            [admin::describe_scram_users(source).await, admin::describe_scram_users(target).await];
        let [at_source, at_target] = described;
        let at_source = self.readable(context, source, "DESCRIBE", "SCRAM users", at_source)?;
        let at_target = self.readable(context, target, "DESCRIBE", "SCRAM users", at_target)?;
        if let (Some(at_source), Some(at_target)) = (at_source, at_target) {
            self.tell_users(context, &missing_users(&at_source, &at_target));
        }
        Ok(())
    }
}

impl Quotas {
    /// What a cluster told; none where it may or can not, which is told once.
    fn readable<T>(
        &mut self,
        context: &JobContext,
        cluster: &Cluster,
        right: &str,
        what: &str,
        answer: Result<T, ClientError>,
    ) -> Result<Option<T>, ClientError> {
        let (flow, alias) = (context.plan.name(), cluster.alias());
        match answer {
            Ok(answer) => return Ok(Some(answer)),
            Err(error) if error.code() == Some(ErrorCode::ClusterAuthorizationFailed) => {
                if self.told.is_news(&format!("{alias} {what}")) {
                    warn!(
                        flow,
                        "{what} are not looked at: the right {right} on the cluster is missing on cluster {alias}"
                    );
                }
            }
            Err(error) if error.is_absent_api() => {
                if self.told.is_news(&format!("{alias} {what}")) {
                    info!(flow, "{what} are not looked at: cluster {alias} is too old to tell them");
                }
            }
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    async fn set(&mut self, context: &JobContext, changes: Vec<QuotaChange>) -> Result<(), SyncError> {
        let answers = admin::alter_client_quotas(&context.clients.target_admin, &changes).await?;
        let (flow, target) = (context.plan.name(), &context.plan.target);
        for (change, answer) in changes.iter().zip(answers) {
            let who = shown(&change.entity);
            match answer {
                Ok(()) => info!(flow, "client quotas of {who} set at {target}: {:?}", change.values),
                Err(fault) if fault.code == ErrorCode::ClusterAuthorizationFailed => {
                    if self.told.is_news("ALTER_CONFIGS") {
                        warn!(
                            flow,
                            "client quotas are not copied: the right ALTER_CONFIGS on the cluster is missing on cluster \
                             {target}"
                        );
                    }
                }
                Err(fault) => {
                    if self.told.is_news(&who) {
                        warn!(flow, "client quotas of {who} cannot be set at {target}: {fault}");
                    }
                }
            }
        }
        Ok(())
    }

    fn tell_users(&mut self, context: &JobContext, missing: &[&str]) {
        if missing.is_empty() || !self.told.is_news(&missing.join(",")) {
            return;
        }
        let (count, flow) = (missing.len(), context.plan.name());
        let named = missing.get(..USERS_NAMED_MAX.min(count)).unwrap_or_default().join(", ");
        let more = if count > USERS_NAMED_MAX { ", .." } else { "" };
        warn!(
            flow,
            count,
            "SCRAM users of {} that {} does not have: {named}{more}. Their secrets cannot be read, so they have to be \
             created there by hand",
            context.plan.source,
            context.plan.target
        );
    }
}

/// The limits that the target lacks or has otherwise.
fn difference(source: &[ClientQuota], target: &[ClientQuota]) -> Vec<QuotaChange> {
    let at_target: BTreeMap<&QuotaEntity, &ClientQuota> =
        target.iter().map(|quota| (&quota.entity, quota)).collect();
    let changed = |quota: &ClientQuota| {
        let there = at_target.get(&quota.entity);
        let differs = |key: &_, value: &f64| {
            there
                .and_then(|there| there.values.get(key))
                .is_none_or(|there| there.to_bits() != value.to_bits())
        };
        let values: BTreeMap<_, _> = quota
            .values
            .iter()
            .filter(|(key, value)| differs(*key, value))
            .map(|(key, value)| (key.clone(), *value))
            .collect();
        (!values.is_empty()).then(|| QuotaChange { entity: quota.entity.clone(), values })
    };
    source.iter().filter_map(changed).collect()
}

/// The users of the source that the target does not have with every mechanism.
fn missing_users<'a>(source: &'a [ScramUser], target: &[ScramUser]) -> Vec<&'a str> {
    let is_missing = |user: &&ScramUser| {
        let there = target.iter().find(|one| one.name == user.name);
        there.is_none_or(|there| !user.mechanisms.is_subset(&there.mechanisms))
    };
    let mut missing: Vec<&str> = source.iter().filter(is_missing).map(|user| &*user.name).collect();
    missing.sort_unstable();
    missing
}

/// `user alice, client-id default`
fn shown(entity: &QuotaEntity) -> String {
    let part = |(kind, name): (&std::sync::Arc<str>, &Option<std::sync::Arc<str>>)| {
        format!("{kind} {}", name.as_deref().unwrap_or("default"))
    };
    entity.iter().map(part).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use kmirror_protocol::client::admin::ScramMechanism;

    use super::*;

    fn quota(user: Option<&str>, values: &[(&str, f64)]) -> ClientQuota {
        ClientQuota {
            entity: [("user".into(), user.map(Into::into))].into(),
            values: values.iter().map(|(key, value)| ((*key).into(), *value)).collect(),
        }
    }

    #[test]
    fn limits_that_differ_are_set_and_none_is_removed() {
        let source = [
            quota(Some("a"), &[("in", 1.0), ("out", 2.0)]),
            quota(None, &[("in", 5.0)]),
            quota(Some("same"), &[("in", 1.0)]),
        ];
        let target = [
            quota(Some("a"), &[("in", 1.0), ("out", 3.0), ("other", 9.0)]),
            quota(Some("same"), &[("in", 1.0)]),
            quota(Some("foreign"), &[("in", 1.0)]),
        ];
        let expected = [quota(Some("a"), &[("out", 2.0)]), quota(None, &[("in", 5.0)])];
        assert_eq!(difference(&source, &target), expected);
    }

    #[test]
    fn users_without_the_same_mechanisms_are_missing() {
        let user = |name: &str, mechanisms: &[ScramMechanism]| ScramUser {
            name: name.into(),
            mechanisms: mechanisms.iter().copied().collect(),
        };
        let (old, new) = (ScramMechanism::Sha256, ScramMechanism::Sha512);
        let source = [user("c", &[new]), user("a", &[old, new]), user("b", &[old])];
        let target = [user("a", &[old]), user("b", &[old, new])];
        assert_eq!(missing_users(&source, &target), ["a", "c"]);
    }
}
