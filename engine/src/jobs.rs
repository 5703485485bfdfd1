//! What a flow does beside moving records, each in a task of its own: a place to start them and to wait for their end.
//!
//! Must not know what the jobs do.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::clients::Clients;
use crate::offsets::{groups_job, syncs_job};
use crate::plan::FlowPlan;
use crate::status::FlowStatus;
use crate::sync;

/// What a job gets. It runs until `stop`, ends soon after it, logs what fails and tries again at its next turn.
#[derive(Clone)]
pub(crate) struct JobContext {
    pub(crate) plan: Arc<FlowPlan>,
    pub(crate) clients: Clients,
    pub(crate) status: Arc<FlowStatus>,
    /// Asks for a look at the topics before the next regular one.
    pub(crate) rediscover: Arc<Notify>,
    pub(crate) stop: CancellationToken,
    /// Comes after `stop`, when nothing is in flight any more: what is left to say is said then.
    pub(crate) drained: CancellationToken,
}

/// The jobs of one flow.
#[derive(Default)]
pub(crate) struct Jobs(JoinSet<()>);

impl Jobs {
    /// Starts what the plan asks for.
    pub(crate) fn start(context: &JobContext) -> Self {
        let mut jobs = Self::default();
        if let Some(plan) = context.plan.sync.offset_syncs {
            jobs.0.spawn(syncs_job::run(context.clone(), plan));
        }
        if groups_job::is_wanted(&context.plan) {
            jobs.0.spawn(groups_job::run(context.clone()));
        }
        sync::start(context, &mut jobs.0);
        jobs
    }

    /// Waits until all have ended, after `stop`.
    pub(crate) async fn ended(mut self, flow: &str) {
        while let Some(ended) = self.0.join_next().await {
            if let Err(error) = ended {
                warn!(flow, "a job beside the records ended badly: {error}");
            }
        }
    }
}
