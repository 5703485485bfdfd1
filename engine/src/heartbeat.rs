//! Heartbeats: a record for each pair of clusters at each interval, by which others see that a mirror runs and, where it
//! is mirrored in its turn, that records arrive (`MirrorHeartbeatConnector`, `MirrorHeartbeatTask`). Must not need the
//! source: MirrorMaker 2 writes them also while that cannot be reached.

use std::sync::Arc;
use std::time::Duration;

use kmirror_protocol::client::{ClientError, Cluster, send};
use kmirror_protocol::wire::error::ErrorCode;
use thiserror::Error;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clients::cluster;
use crate::clock::now_ms;
use crate::create::{CompactedTopic, CompactedTopicError, create_compacted};
use crate::error::chain;
use crate::offsets::records::Heartbeat;
use crate::plan::HeartbeatPlan;
use crate::policy::HEARTBEATS_TOPIC;
use crate::status::FlowStatus;

/// After a failure, the pause before the next attempt at least.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Why a heartbeat was not written.
#[derive(Debug, Error)]
enum HeartbeatError {
    #[error(transparent)]
    Create(#[from] CompactedTopicError),
    #[error("topic {HEARTBEATS_TOPIC} cannot be written{}", missing_right(.0))]
    Write(#[from] ClientError),
}

fn missing_right(error: &ClientError) -> &'static str {
    match error.code() {
        Some(ErrorCode::TopicAuthorizationFailed) => " (the right WRITE is missing for it)",
        _ => "",
    }
}

/// Writes heartbeats until `stop`. What fails is logged once and tried again. Where there is a flow, one of its processes
/// writes them.
pub(crate) async fn run(plan: HeartbeatPlan, flow: Option<Arc<FlowStatus>>, stop: CancellationToken) {
    let job = Job::new(plan, flow);
    tokio::select! {
        () = stop.cancelled() => {}
        () = job.run() => {}
    }
}

struct Job {
    plan: HeartbeatPlan,
    status: Option<Arc<FlowStatus>>,
    flow: String,
    topic: Arc<str>,
    target: Cluster,
    target_admin: Cluster,
}

/// What the last attempt came to.
#[derive(PartialEq, Eq)]
enum Last {
    None,
    Written,
    Failed(String),
}

impl Job {
    fn new(plan: HeartbeatPlan, status: Option<Arc<FlowStatus>>) -> Self {
        Self {
            status,
            flow: plan.name(),
            topic: HEARTBEATS_TOPIC.into(),
            target: cluster(&plan.target, &plan.target_client, 1, None),
            target_admin: cluster(&plan.target, &plan.target_admin, 1, None),
            plan,
        }
    }

    async fn run(&self) {
        let mut turns = tokio::time::interval(self.plan.every);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Last::None;
        loop {
            turns.tick().await;
            if let Some(status) = &self.status {
                status.leading().await;
            }
            let now = match self.beat(last == Last::Written).await {
                Ok(()) => Last::Written,
                Err(error) => Last::Failed(chain(&error)),
            };
            if now != last {
                self.tell(&now);
            }
            if now != Last::Written {
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
            last = now;
        }
    }

    /// Writes one. Unless the last was written, too, the topic may not be there.
    async fn beat(&self, goes_on: bool) -> Result<(), HeartbeatError> {
        if !goes_on {
            let topic = CompactedTopic {
                flow: &self.flow,
                topic: &self.topic,
                replication_factor: self.plan.replication_factor,
                option: "heartbeats.topic.replication.factor",
                timeout: self.plan.admin_timeout,
            };
            create_compacted(&self.target_admin, &topic).await?;
        }
        let (source, target) = (self.plan.source.shared(), self.plan.target.shared());
        let record = Heartbeat { source, target, timestamp: now_ms() }.to_record();
        Ok(send::send_records(&self.target, &self.topic, vec![(0, vec![record])]).await?)
    }

    fn tell(&self, last: &Last) {
        let flow = self.flow.as_str();
        match last {
            Last::Failed(why) => warn!(flow, "no heartbeats: {why}; will be tried again"),
            _ => info!(flow, every = ?self.plan.every, "heartbeats are written"),
        }
    }
}
