//! One look for topics whose source was deleted: deletes their copies, or says what it would delete.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use kmirror_protocol::client::{Topics, admin};
use kmirror_protocol::wire::error::ErrorCode;
use tracing::{info, warn};

use super::deletions::{self, Gone, Look, Missed};
use super::job::{Round, SyncError};
use super::told::Told;
use crate::commit::{WrittenProgress, read_progress, remove_progress};
use crate::jobs::JobContext;
use crate::plan::DeletionMode;

/// Carries deletions over.
#[derive(Default)]
pub(super) struct Deletions {
    told: Told,
    missed: Missed,
}

impl Round for Deletions {
    const WHAT: &'static str = "deletions of topics";

    async fn round(&mut self, context: &JobContext) -> Result<(), SyncError> {
        self.told.begin();
        let (plan, clients) = (&context.plan, &context.clients);
        let (source, target) = tokio::try_join!(
            clients.source_admin.refresh(Topics::All),
            clients.target_admin.refresh(Topics::All)
        )?;
        let progress = read_progress(plan, &clients.target, &target).await?;
        let mirrored = progress
            .iter()
            .map(|(partition, known)| (Arc::clone(&partition.topic), known.topic_id))
            .collect();
        let running = context.status.topics().into_keys().collect();
        let look = Look { source: &source, target: &target, mirrored: &mirrored, running: &running };
        if !progress.is_empty() && !deletions::is_credible(&look) && self.told.is_news("not credible") {
            warn!(
                flow = plan.name(),
                "none of the topics that were mirrored is at {} any more: no copy is deleted (another cluster, or \
                 missing rights?)",
                plan.source
            );
        }
        let gone = self.confirmed(context, deletions::candidates(plan, &look)).await?;
        let verdict = self.missed.look(Instant::now(), plan.sync.deletions.grace, gone);
        for one in &verdict.new {
            info!(
                flow = plan.name(),
                topic = &*one.source_topic,
                "the source topic is gone; its copy {} {} after {:?}",
                one.target_topic,
                if plan.sync.deletions.mode == DeletionMode::On { "is deleted" } else { "would be deleted" },
                plan.sync.deletions.grace
            );
        }
        match plan.sync.deletions.mode {
            DeletionMode::Off => Ok(()),
            DeletionMode::DryRun => {
                self.tell(context, &verdict.due);
                Ok(())
            }
            DeletionMode::On => self.delete(context, &verdict.due, &progress).await,
        }
    }
}

impl Deletions {
    /// Those that the source says are not there when it is asked by name: a topic that we may not see any more is not
    /// listed either, but by name it is refused.
    async fn confirmed(&self, context: &JobContext, candidates: Vec<Gone>) -> Result<Vec<Gone>, SyncError> {
        if candidates.is_empty() {
            return Ok(candidates);
        }
        let names = candidates.iter().map(|one| Arc::clone(&one.source_topic)).collect();
        let named = context.clients.source_admin.refresh(Topics::Named(names)).await?;
        let is_gone = |one: &Gone| {
            let topic = named.topics.get(&one.source_topic);
            topic.is_some_and(|topic| topic.error == ErrorCode::UnknownTopicOrPartition)
        };
        Ok(candidates.into_iter().filter(is_gone).collect())
    }

    fn tell(&mut self, context: &JobContext, due: &[Gone]) {
        for one in due {
            if self.told.is_news(&one.target_topic) {
                info!(
                    flow = context.plan.name(),
                    topic = &*one.source_topic,
                    "would delete {} at {} now (kmirror.sync.topic.deletions=dry-run)",
                    one.target_topic,
                    context.plan.target
                );
            }
        }
    }

    async fn delete(
        &mut self,
        context: &JobContext,
        due: &[Gone],
        progress: &WrittenProgress,
    ) -> Result<(), SyncError> {
        if due.is_empty() {
            return Ok(());
        }
        let (flow, plan) = (context.plan.name(), &context.plan);
        let topics: Vec<Arc<str>> = due.iter().map(|one| Arc::clone(&one.target_topic)).collect();
        let answers =
            admin::delete_topics(&context.clients.target_admin, &topics, plan.admin_timeout).await?;
        let mut deleted = BTreeSet::new();
        let mut forbidden = Vec::new();
        for (topic, answer) in answers {
            let Some(gone) = due.iter().find(|one| one.target_topic == topic) else { continue };
            match answer {
                Ok(()) => {
                    let source_topic = &*gone.source_topic;
                    info!(
                        flow,
                        topic = source_topic,
                        "{topic} deleted at {}: its source is gone",
                        plan.target
                    );
                    deleted.insert(Arc::clone(&gone.source_topic));
                }
                Err(fault) if fault.code == ErrorCode::TopicAuthorizationFailed => forbidden.push(topic),
                Err(fault) => {
                    if self.told.is_news(&topic) {
                        warn!(
                            flow,
                            topic = &*topic,
                            "the topic cannot be deleted at {}: {fault}; will be tried again",
                            plan.target
                        );
                    }
                }
            }
        }
        if let Some(first) = forbidden.first().filter(|_| self.told.is_news("DELETE")) {
            let (count, target) = (forbidden.len(), &plan.target);
            warn!(
                flow,
                "the right DELETE is missing on {count} topics of cluster {target}, such as {first}: they stay"
            );
        }
        // If one comes back it is mirrored from its first record, by MirrorMaker 2 as well, which does not look at topic
        // ids.
        let gone = progress.keys().filter(|partition| deleted.contains(&partition.topic));
        Ok(remove_progress(plan, &context.clients.target, gone).await?)
    }
}
