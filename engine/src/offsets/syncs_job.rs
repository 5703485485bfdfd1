//! Writes offset syncs for those who translate by MirrorMaker 2's rules; when one is due is decided in `syncs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kmirror_protocol::client::{ClientError, Cluster, send};
use kmirror_protocol::wire::record::NewRecord;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use super::records::OffsetSync;
use super::syncs::{Look, SyncState};
use crate::clock::now_ms;
use crate::create::{CompactedTopic, CompactedTopicError, create_compacted};
use crate::error::chain;
use crate::ids::SourcePartition;
use crate::jobs::JobContext;
use crate::plan::OffsetSyncPlan;

/// How often the ends of the mirror are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a failure, the pause before the next attempt.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How long the last write may take when the flow stops.
const LAST_WRITE: Duration = Duration::from_secs(10);
/// Syncs written in one go.
const RECORDS_PER_WRITE: usize = 4096;

/// Why syncs are not written.
#[derive(Debug, thiserror::Error)]
enum SyncError {
    #[error("offset syncs cannot be written (records are mirrored all the same)")]
    Create(#[from] CompactedTopicError),
    #[error("offset syncs cannot be written to topic {topic} (records are mirrored all the same)")]
    Write {
        topic: Arc<str>,
        #[source]
        source: ClientError,
    },
}

/// Writes offset syncs until the flow stops, and what is left then.
pub(crate) async fn run(job: JobContext, plan: OffsetSyncPlan) {
    let stop = job.stop.clone();
    let mut writer = Writer::new(job, plan);
    tokio::select! {
        () = stop.cancelled() => {}
        () = writer.go_on() => {}
    }
    writer.job.drained.cancelled().await;
    let _ = tokio::time::timeout(LAST_WRITE, writer.write(true)).await;
}

struct Writer {
    job: JobContext,
    plan: OffsetSyncPlan,
    topic: Arc<str>,
    cluster: Cluster,
    admin: Cluster,
    created: bool,
    states: HashMap<SourcePartition, SyncState>,
    flushed: Instant,
    /// What failed last, and when to try again.
    last_failure: Option<(String, Instant)>,
}

impl Writer {
    fn new(job: JobContext, plan: OffsetSyncPlan) -> Self {
        let place = &job.plan.sync.offset_syncs_at;
        let clients = &job.clients;
        let (cluster, admin) = if place.on_source {
            // Not the one that fetches: its connections read into the pool for records.
            (clients.source_admin.clone(), clients.source_admin.clone())
        } else {
            (clients.target.clone(), clients.target_admin.clone())
        };
        Self {
            topic: place.topic.as_str().into(),
            job,
            plan,
            cluster,
            admin,
            created: false,
            states: HashMap::new(),
            flushed: Instant::now(),
            last_failure: None,
        }
    }

    async fn go_on(&mut self) {
        let mut turns = tokio::time::interval(LOOK_EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            self.turn().await;
        }
    }

    async fn turn(&mut self) {
        if self.last_failure.as_ref().is_some_and(|(_, until)| Instant::now() < *until) {
            return;
        }
        let flush = self.flushed.elapsed() >= self.job.plan.offset_flush_interval;
        match self.write(flush).await {
            Ok(()) => {
                if self.last_failure.take().is_some() {
                    info!(flow = self.job.plan.name(), "offset syncs are written again");
                }
            }
            Err(error) => {
                let text = chain(&error);
                if self.last_failure.as_ref().is_none_or(|(told, _)| *told != text) {
                    warn!(flow = self.job.plan.name(), "{text}; will be tried again");
                }
                self.last_failure = Some((text, Instant::now() + PAUSE_AFTER_FAILURE));
            }
        }
    }

    async fn write(&mut self, flush: bool) -> Result<(), SyncError> {
        self.create().await?;
        let now = now_ms();
        let (mut looked, mut records): (Vec<(SourcePartition, Look)>, Vec<NewRecord>) =
            (Vec::new(), Vec::new());
        let partitions = self.job.status.partitions();
        // What was given to another process begins anew when it comes back.
        self.states.retain(|known, _| partitions.binary_search_by(|one| one.source.cmp(known)).is_ok());
        for status in partitions {
            let end = status.offset_map().last_record();
            let state = self.states.entry(status.source.clone()).or_insert_with(|| {
                let before_this_run = !status.has_moved();
                SyncState::new(end.filter(|_| before_this_run))
            });
            let Some(look) = state.look(end, self.plan.lag_max, flush) else { continue };
            records.extend(look.due.map(|(upstream, downstream)| {
                OffsetSync { partition: status.source.clone(), upstream, downstream }.to_record(now)
            }));
            looked.push((status.source.clone(), look));
        }
        for chunk in records.chunks(RECORDS_PER_WRITE) {
            send::send_records(&self.cluster, &self.topic, vec![(0, chunk.to_vec())])
                .await
                .map_err(|source| SyncError::Write { topic: Arc::clone(&self.topic), source })?;
        }
        // Only now: what could not be written is due again.
        for (partition, look) in looked {
            if let Some(state) = self.states.get_mut(&partition) {
                state.looked(look);
            }
        }
        if flush {
            self.flushed = Instant::now();
        }
        Ok(())
    }

    async fn create(&mut self) -> Result<(), SyncError> {
        if !self.created {
            let wanted = CompactedTopic {
                flow: &self.job.plan.name(),
                topic: &self.topic,
                replication_factor: self.plan.replication_factor,
                option: "offset-syncs.topic.replication.factor",
                timeout: self.job.plan.admin_timeout,
            };
            create_compacted(&self.admin, &wanted).await?;
            self.created = true;
        }
        Ok(())
    }
}
