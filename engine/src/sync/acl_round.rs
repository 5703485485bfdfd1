//! One round of access rules: reads those of both sides, creates what the target lacks, and removes what kmirror itself
//! created and the source has no more, if that is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kmirror_protocol::client::admin::{self, AclBinding, AclResource, TopicFault};
use kmirror_protocol::client::{Cluster, consume, send};
use kmirror_protocol::wire::error::ErrorCode;
use kmirror_protocol::wire::record::NewRecord;
use tracing::{info, warn};

use super::acls::{self, Translated};
use super::job::{Round, SyncError};
use super::owned;
use super::told::Told;
use crate::clock::now_ms;
use crate::create::{CompactedTopic, create_compacted};
use crate::jobs::JobContext;

/// Responses while the records of ownership are read hold about this much.
const READ_BYTES: usize = 1 << 20;

/// Keeps access rules in step.
#[derive(Default)]
pub(super) struct Acls {
    told: Told,
    /// What kmirror created, with the source's binding that asked for it; read once.
    owned: Option<BTreeMap<AclBinding, AclBinding>>,
}

impl Round for Acls {
    const WHAT: &'static str = "access rules";

    async fn round(&mut self, context: &JobContext) -> Result<(), SyncError> {
        self.told.begin();
        let plan = &context.plan;
        let (source, target) = (&context.clients.source_admin, &context.clients.target_admin);
        let kind = (!plan.sync.acls.all_kinds).then_some(AclResource::Topic);
        let Some(at_source) = self.describe(context, source, kind, "DESCRIBE").await? else { return Ok(()) };
        let Some(at_target) = self.describe(context, target, kind, "ALTER").await? else { return Ok(()) };
        let topics = context.status.topics();
        let mirrored: BTreeSet<&str> = topics.keys().map(|topic| &**topic).collect();
        let translated = acls::translate(plan, &at_source, &mirrored);
        self.tell_not_copied(context, &translated);
        if plan.sync.acls.removes && self.owned.is_none() {
            self.owned = Some(read_owned(context).await?);
        }
        self.create(context, &translated, &at_target.iter().cloned().collect()).await?;
        self.remove(context, &translated, &at_source.into_iter().collect()).await
    }
}

impl Acls {
    /// The bindings of a cluster; none where they cannot be had, which is told once.
    async fn describe(
        &mut self,
        context: &JobContext,
        cluster: &Cluster,
        kind: Option<AclResource>,
        right: &str,
    ) -> Result<Option<Vec<AclBinding>>, SyncError> {
        let error = match admin::describe_acls(cluster, kind).await {
            Ok(bindings) => return Ok(Some(bindings)),
            Err(error) => error,
        };
        let (flow, alias) = (context.plan.name(), cluster.alias());
        let why = match error.code() {
            Some(ErrorCode::SecurityDisabled) => format!("cluster {alias} has no authorizer"),
            Some(ErrorCode::ClusterAuthorizationFailed) => {
                format!("the right {right} on the cluster is missing on cluster {alias}")
            }
            None if error.is_absent_api() => format!("cluster {alias} is too old to tell them (Kafka 2.0)"),
            _ => return Err(error.into()),
        };
        if self.told.is_news(&why) {
            if error.code() == Some(ErrorCode::ClusterAuthorizationFailed) {
                warn!(
                    flow,
                    "no access rules are copied: {why} (sync.topic.acls.enabled=false if none are wanted)"
                );
            } else {
                info!(flow, "no access rules are copied: {why}");
            }
        }
        Ok(None)
    }

    fn tell_not_copied(&mut self, context: &JobContext, translated: &Translated) {
        let mut by_reason: BTreeMap<_, (usize, &AclBinding)> = BTreeMap::new();
        for (binding, why) in &translated.not_copied {
            by_reason.entry(*why).or_insert((0, binding)).0 += 1;
        }
        for (why, (count, binding)) in by_reason {
            if self.told.is_news(&format!("{why:?}")) {
                let flow = context.plan.name();
                info!(flow, count, "access rules that are not copied, such as {binding}: {why}");
            }
        }
    }

    async fn create(
        &mut self,
        context: &JobContext,
        translated: &Translated,
        at_target: &BTreeSet<AclBinding>,
    ) -> Result<(), SyncError> {
        let missing = acls::missing(translated, at_target);
        if missing.is_empty() {
            return Ok(());
        }
        let answers = admin::create_acls(&context.clients.target_admin, &missing).await?;
        let created = self.done(context, missing, answers, "created");
        let Some(owned) = &mut self.owned else { return Ok(()) };
        // Whoever is killed in between leaves a rule that is never removed; the other way round one could be
        // removed that somebody else created.
        let records = created.iter().map(|one| owned::record(one, translated.wanted.get(one), now_ms()));
        write_owned(context, records.collect()).await?;
        owned.extend(created.into_iter().filter_map(|one| {
            let reason = translated.wanted.get(&one)?.clone();
            Some((one, reason))
        }));
        Ok(())
    }

    async fn remove(
        &mut self,
        context: &JobContext,
        translated: &Translated,
        at_source: &BTreeSet<AclBinding>,
    ) -> Result<(), SyncError> {
        let Some(owned) = &self.owned else { return Ok(()) };
        let outdated = acls::outdated(owned, translated, at_source);
        if at_source.is_empty() && !owned.is_empty() && self.told.is_news("empty") {
            let flow = context.plan.name();
            warn!(flow, "cluster {} shows no access rules any more: none is removed", context.plan.source);
        }
        if outdated.is_empty() {
            return Ok(());
        }
        let answers = admin::delete_acls(&context.clients.target_admin, &outdated).await?;
        let removed = self.done(context, outdated, answers, "removed");
        write_owned(context, removed.iter().map(|one| owned::record(one, None, now_ms())).collect()).await?;
        if let Some(owned) = &mut self.owned {
            owned.retain(|binding, _| !removed.contains(binding));
        }
        Ok(())
    }

    /// The bindings for which something was done; the others are told.
    fn done(
        &mut self,
        context: &JobContext,
        bindings: Vec<AclBinding>,
        answers: Vec<Result<(), TopicFault>>,
        what: &str,
    ) -> Vec<AclBinding> {
        let flow = context.plan.name();
        let target = &context.plan.target;
        let mut done = Vec::with_capacity(bindings.len());
        for (binding, answer) in bindings.into_iter().zip(answers) {
            match answer {
                Ok(()) => {
                    info!(flow, "access rule {what} at {target}: {binding}");
                    done.push(binding);
                }
                Err(fault) if fault.code == ErrorCode::ClusterAuthorizationFailed => {
                    if self.told.is_news("ALTER") {
                        warn!(
                            flow,
                            "access rules cannot be {what}: the right ALTER on the cluster is missing on cluster {target}"
                        );
                    }
                }
                Err(fault) => {
                    if self.told.is_news(&binding.to_string()) {
                        warn!(flow, "an access rule cannot be {what} at {target}: {binding}: {fault}");
                    }
                }
            }
        }
        done
    }
}

/// Where the records of ownership lie, on the target.
fn owned_topic(context: &JobContext) -> Arc<str> {
    context.plan.owned_acls_topic().into()
}

async fn read_owned(context: &JobContext) -> Result<BTreeMap<AclBinding, AclBinding>, SyncError> {
    let (topic, target) = (owned_topic(context), &context.clients.target);
    let plan = &context.plan;
    let wanted = CompactedTopic {
        flow: &plan.name(),
        topic: &topic,
        replication_factor: plan.progress_replication_factor,
        option: "offset.storage.replication.factor",
        timeout: plan.admin_timeout,
    };
    create_compacted(&context.clients.target_admin, &wanted).await?;
    let mut owned = BTreeMap::new();
    consume::read_to_end(target, &topic, READ_BYTES, |_, record| {
        let Some((binding, reason)) = record.key.and_then(|key| owned::read(&key, record.value.as_ref()))
        else {
            return;
        };
        match reason {
            Some(reason) => owned.insert(binding, reason),
            None => owned.remove(&binding),
        };
    })
    .await?;
    Ok(owned)
}

async fn write_owned(context: &JobContext, records: Vec<NewRecord>) -> Result<(), SyncError> {
    if records.is_empty() {
        return Ok(());
    }
    Ok(send::send_records(&context.clients.target, &owned_topic(context), vec![(0, records)]).await?)
}
