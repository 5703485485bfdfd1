//! The loops of what is kept in step: each has its own interval, its first round at start, and goes on whatever fails.

use std::time::Duration;

use kmirror_protocol::client::ClientError;
use thiserror::Error;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::acl_round::Acls;
use super::config_round::Configs;
use super::deletion_round::Deletions;
use super::quotas::Quotas;
use crate::commit::ProgressError;
use crate::create::CompactedTopicError;
use crate::error::chain;
use crate::jobs::JobContext;
use crate::plan::DeletionMode;

/// A round that failed is tried again after this, or at its next turn if that is sooner.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// A mirror that ends before its first round is over waits so long for it: one run until all is synced shall have
/// everything in step.
const FIRST_ROUND_MAX: Duration = Duration::from_secs(10);
/// How often quotas are copied where no interval for access rules says it.
const QUOTAS_EVERY: Duration = Duration::from_secs(600);

/// Why a round could not be done.
#[derive(Debug, Error)]
pub(super) enum SyncError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Topic(#[from] CompactedTopicError),
    #[error(transparent)]
    Progress(#[from] ProgressError),
}

/// Something that is compared and carried over again and again.
pub(super) trait Round: Send + 'static {
    /// What it is about, for messages.
    const WHAT: &'static str;

    /// Brings both sides in step, as far as it can be done.
    fn round(&mut self, context: &JobContext) -> impl Future<Output = Result<(), SyncError>> + Send;
}

/// Starts what the plan asks for.
pub(crate) fn start(context: &JobContext, jobs: &mut JoinSet<()>) {
    let sync = &context.plan.sync;
    if let Some(every) = sync.topic_configs {
        jobs.spawn(repeat(context.clone(), every, Configs::default()));
    }
    if let Some(every) = sync.topic_acls {
        jobs.spawn(repeat(context.clone(), every, Acls::default()));
    }
    if sync.quotas {
        jobs.spawn(repeat(context.clone(), sync.topic_acls.unwrap_or(QUOTAS_EVERY), Quotas::default()));
    }
    match (sync.deletions.mode, context.plan.refresh_topics) {
        (DeletionMode::Off, _) => {}
        (_, Some(every)) => {
            jobs.spawn(repeat(context.clone(), every, Deletions::default()));
        }
        (_, None) => info!(
            flow = context.plan.name(),
            "refresh.topics.enabled=false: no deletion of a source topic is noticed, none is carried over"
        ),
    }
}

/// Goes round until the flow stops.
async fn repeat<R: Round>(context: JobContext, every: Duration, mut job: R) {
    let mut failed: Option<String> = None;
    let mut first = true;
    loop {
        // One process of the flow does it.
        tokio::select! {
            () = context.stop.cancelled() => return,
            () = context.status.leading() => {}
        }
        let done = tokio::select! {
            () = stopped(&context, first) => return,
            done = job.round(&context) => done,
        };
        first = false;
        let flow = context.plan.name();
        let pause = match done {
            Ok(()) => {
                if failed.take().is_some() {
                    info!(flow, "{} are in step again", R::WHAT);
                }
                every
            }
            Err(error) => {
                let text = chain(&error);
                if failed.as_ref() != Some(&text) {
                    warn!(flow, "{} cannot be kept in step now: {text}; trying again", R::WHAT);
                }
                failed = Some(text);
                every.min(AGAIN_AFTER)
            }
        };
        tokio::select! {
            () = context.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn stopped(context: &JobContext, first: bool) {
    context.stop.cancelled().await;
    if first {
        tokio::time::sleep(FIRST_ROUND_MAX).await;
    }
}
