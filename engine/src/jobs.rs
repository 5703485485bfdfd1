//! What a flow does beside moving records, each in a task of its own: a place to start them and to wait for their end.
//!
//! Must not know what the jobs do.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::clients::Clients;
use crate::plan::FlowPlan;
use crate::status::FlowStatus;
use crate::sync;

/// What a job gets. It runs until `stop`, ends soon after it, logs what fails and tries again at its next turn.
#[derive(Clone)]
pub(crate) struct JobContext {
    pub(crate) plan: Arc<FlowPlan>,
    pub(crate) clients: Clients,
    pub(crate) status: Arc<FlowStatus>,
    pub(crate) stop: CancellationToken,
}

/// The jobs of one flow.
#[derive(Default)]
pub(crate) struct Jobs(JoinSet<()>);

impl Jobs {
    /// Starts what the plan asks for.
    pub(crate) fn start(context: &JobContext) -> Self {
        let mut jobs = JoinSet::new();
        sync::start(context, &mut jobs);
        Self(jobs)
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
