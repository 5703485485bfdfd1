//! Keeps the positions of consumer groups at the target: finds the groups of the source, reads where they stand, writes
//! checkpoints as MirrorMaker 2 does, and sets the same groups at the target. What is due is decided in `checkpoints`
//! and `group_sync`.

mod round;
mod watch;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kmirror_protocol::client::groups::{GroupKind, ListedGroup, list_groups};
use kmirror_protocol::client::{ClientError, Cluster, consume};
use kmirror_protocol::wire::error::ErrorCode;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{info, warn};

use super::checkpoints::Checkpoints;
use super::map::Translation;
use super::mm2_syncs::Mm2Syncs;
use super::records::Checkpoint;
use crate::clients::cluster;
use crate::create::{CompactedTopic, CompactedTopicError, create_compacted};
use crate::error::chain;
use crate::ids::SourceOffset;
use crate::jobs::JobContext;
use crate::plan::{CheckpointPlan, FlowPlan};
use crate::status::PartitionStatus;
use watch::Watch;

/// Requests about groups under way at once to one broker: positions are set group by group, which over a long link would
/// take its time one after the other.
const IN_FLIGHT: usize = 20;
/// After a failure, the pause before the next attempt.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Groups that moved are gathered for so long before they are looked at.
const GATHER: Duration = Duration::from_millis(300);
/// How often it is looked whether the mirror caught up with groups.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long the last round may take when the flow stops.
const LAST_ROUND: Duration = Duration::from_secs(10);
/// How long the last round waits for what is in flight.
const LAST_RECORDS: Duration = Duration::from_secs(30);
/// Responses while topics are read hold about this much.
const READ_BYTES: usize = 1 << 20;
/// Groups kept; a cluster with more has its groups cut off, with a word.
const GROUPS_MAX: usize = 200_000;

/// Whether a flow has anything to do with groups.
pub(crate) fn is_wanted(plan: &FlowPlan) -> bool {
    plan.sync.checkpoints.is_some() || plan.sync.group_offsets.is_some()
}

/// Keeps groups in step until the flow stops, and once more then.
pub(crate) async fn run(context: JobContext) {
    let stop = context.stop.clone();
    let mut job = GroupsJob::new(context);
    let watch = Watch::start(&job);
    tokio::select! {
        () = stop.cancelled() => {}
        () = job.go_on(&watch) => {}
    }
    drop(watch);
    job.last_round().await;
}

/// What is kept between rounds.
struct GroupsJob {
    context: JobContext,
    flow: String,
    source: Cluster,
    target: Cluster,
    checkpoints_topic: Arc<str>,
    /// Whether all was read that was written before.
    prepared: bool,
    checkpoints: Checkpoints,
    syncs: Mm2Syncs,
    /// The groups of the source that are to be kept in step.
    groups: BTreeSet<Arc<str>>,
    /// The share groups among the source's groups.
    shares: BTreeSet<Arc<str>>,
    /// Groups at records of the source that were not mirrored when they were last looked at, and those positions.
    behind: HashMap<Arc<str>, Vec<(Arc<PartitionStatus>, SourceOffset)>>,
    told: Told,
}

/// What was said already: each thing is said once.
#[derive(Debug, Default)]
struct Told(BTreeSet<String>);

impl Told {
    /// Things remembered at most. Beyond them nothing new is said.
    const MAX: usize = 1000;

    /// Warns, unless the same was said before.
    fn warn(&mut self, flow: &str, text: String) {
        if self.0.len() < Self::MAX && !self.0.contains(&text) {
            warn!(flow, "{text}");
            self.0.insert(text);
        }
    }
}

/// Which groups a round is about.
#[derive(Debug, Clone)]
enum Which {
    /// All that are known.
    All,
    /// Those that moved.
    Moved(BTreeSet<Arc<str>>),
    /// Those that the mirror caught up with since.
    CaughtUp(BTreeSet<Arc<str>>),
}

impl GroupsJob {
    fn new(context: JobContext) -> Self {
        let plan = &context.plan;
        Self {
            flow: plan.name(),
            source: cluster(&plan.source, &plan.source_admin, IN_FLIGHT, None),
            target: cluster(&plan.target, &plan.target_admin, IN_FLIGHT, None),
            checkpoints_topic: plan.sync.checkpoints_topic.as_str().into(),
            prepared: false,
            checkpoints: Checkpoints::default(),
            syncs: Mm2Syncs::default(),
            groups: BTreeSet::new(),
            shares: BTreeSet::new(),
            behind: HashMap::new(),
            told: Told::default(),
            context,
        }
    }

    /// Reads what was written before. What cannot be read now is tried again; what may not be read is said and left.
    async fn prepare(&mut self) {
        while let Err(error) = self.read_syncs().await {
            self.told.warn(&self.flow, format!("{}; will be tried again", chain(&error)));
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        }
        if let Some(plan) = self.context.plan.sync.checkpoints {
            while let Err(error) = self.open_checkpoints(plan).await {
                self.told.warn(&self.flow, format!("no checkpoints: {}; will be tried again", chain(&error)));
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
        self.prepared = true;
    }

    /// MirrorMaker 2's offset syncs, for positions that kmirror did not mirror itself.
    async fn read_syncs(&mut self) -> Result<(), ClientError> {
        let place = &self.context.plan.sync.offset_syncs_at;
        let (from, right) = if place.on_source { (&self.source, "source") } else { (&self.target, "target") };
        let mut syncs = Mm2Syncs::default();
        let topic: Arc<str> = place.topic.as_str().into();
        match consume::read_to_end(from, &topic, READ_BYTES, |_, record| {
            syncs.read(record.key.as_deref(), record.value.as_deref());
        })
        .await
        {
            Ok(()) => {}
            Err(error) if is_absent(&error) => {}
            Err(error) if is_forbidden(&error) => {
                let text = format!(
                    "positions that kmirror did not mirror itself stay unknown: reading {topic} takes the right READ \
                     for it on the {right} cluster {}",
                    from.alias()
                );
                self.told.warn(&self.flow, text);
            }
            Err(error) => return Err(error),
        }
        self.syncs = syncs;
        Ok(())
    }

    /// Creates the topic of checkpoints if it is missing, and reads what it holds, so that nothing goes back.
    async fn open_checkpoints(&mut self, plan: CheckpointPlan) -> Result<(), CompactedTopicError> {
        let topic = CompactedTopic {
            flow: &self.flow,
            topic: &self.checkpoints_topic,
            replication_factor: plan.replication_factor,
            option: "checkpoints.topic.replication.factor",
            timeout: self.context.plan.admin_timeout,
        };
        create_compacted(&self.target, &topic).await?;
        let mut read = Checkpoints::default();
        let each = |_, record: kmirror_protocol::wire::record::Record| {
            if let Some(one) = Checkpoint::read(record.key.as_deref(), record.value.as_deref()) {
                read.note(&one);
            }
        };
        match consume::read_to_end(&self.target, &self.checkpoints_topic, READ_BYTES, each).await {
            Ok(()) => {}
            Err(error) if is_forbidden(&error) => {
                let text = format!(
                    "checkpoints of earlier runs are unknown, so that target positions in them may go back: reading \
                     {} takes the right READ for it on the target cluster {}",
                    self.checkpoints_topic,
                    self.target.alias()
                );
                self.told.warn(&self.flow, text);
            }
            Err(error) => return Err(error.into()),
        }
        info!(
            flow = self.flow,
            topic = &*self.checkpoints_topic,
            checkpoints = read.len(),
            "checkpoints are written"
        );
        self.checkpoints = read;
        Ok(())
    }

    async fn go_on(&mut self, watch: &Watch) {
        let sync = &self.context.plan.sync;
        let mut refresh = turns(sync.refresh_groups);
        let mut checkpoints = turns(sync.checkpoints.map(|plan| plan.every));
        let mut positions = turns(sync.group_offsets.map(|plan| plan.every));
        let (emits, sets) = (sync.checkpoints.is_some(), sync.group_offsets.is_some());
        let refreshes = sync.refresh_groups.is_some();
        let mut behind = turns(Some(LOOK_AGAIN));
        self.prepare().await;
        while !self.list().await {
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        }
        refresh.reset();
        loop {
            tokio::select! {
                _ = refresh.tick(), if refreshes => if !self.list().await {
                    refresh.reset_after(PAUSE_AFTER_FAILURE);
                },
                _ = behind.tick(), if sets && !self.behind.is_empty() => {
                    let caught_up = self.caught_up();
                    self.round(Which::CaughtUp(caught_up), false, true).await;
                }
                _ = checkpoints.tick(), if emits => self.round(Which::All, true, false).await,
                _ = positions.tick(), if sets => self.round(Which::All, false, true).await,
                found = watch.found(GATHER) => {
                    if found.anew {
                        let _ = self.list().await;
                        self.round(Which::All, emits, sets).await;
                    }
                    let moved: BTreeSet<_> =
                        found.moved.into_iter().filter(|group| self.takes(group)).collect();
                    let room = GROUPS_MAX.saturating_sub(self.groups.len());
                    self.groups.extend(moved.iter().take(room).cloned());
                    self.round(Which::Moved(moved), emits, sets).await;
                }
            }
        }
    }

    /// The groups whose positions are all mirrored now.
    fn caught_up(&self) -> BTreeSet<Arc<str>> {
        let is_passed = |(status, at): &(Arc<PartitionStatus>, SourceOffset)| {
            !matches!(status.translate(*at), Translation::Behind { .. })
        };
        let caught_up = self.behind.iter().filter(|(_, positions)| positions.iter().all(is_passed));
        caught_up.map(|(group, _)| Arc::clone(group)).collect()
    }

    fn takes(&self, group: &str) -> bool {
        self.context.plan.sync.groups.decide(group).is_in()
    }

    /// Once more when nothing is in flight any more, so that groups stand where the mirror ends.
    async fn last_round(&mut self) {
        // The lane drains; whoever stops it a second time does not wait for us either.
        let _ = tokio::time::timeout(LAST_RECORDS, self.context.drained.cancelled()).await;
        let last = async {
            // A run until all is synced may end before anything was begun here.
            if !self.prepared {
                self.prepare().await;
            }
            if self.groups.is_empty() {
                let _ = self.list().await;
            }
            self.round(Which::All, true, true).await;
        };
        if tokio::time::timeout(LAST_ROUND, last).await.is_err() {
            warn!(
                flow = self.flow,
                "the positions of groups were not all written in {LAST_ROUND:?} at the end"
            );
        }
    }

    /// Looks which groups there are; `false` if that cannot be known now. Of an incomplete list nothing is taken away.
    async fn list(&mut self) -> bool {
        let listing = match list_groups(&self.source).await {
            Ok(listing) => listing,
            Err(error) => {
                let text = format!("groups cannot be listed: {}; will be tried again", chain(&error));
                self.told.warn(&self.flow, text);
                return false;
            }
        };
        let whole = listing.incomplete.is_none();
        if let Some(error) = &listing.incomplete {
            self.told.warn(&self.flow, format!("some groups may be missing: {}", chain(error)));
        }
        let (mut groups, mut shares) = (BTreeSet::new(), BTreeSet::new());
        let is_taken = |group: &ListedGroup| self.takes(&group.id) && group.has_positions();
        for group in listing.groups.into_iter().filter(is_taken).take(GROUPS_MAX) {
            match group.kind {
                GroupKind::Share => shares.insert(group.id),
                _ => groups.insert(group.id),
            };
        }
        if !whole {
            groups.extend(self.groups.iter().cloned());
            shares.extend(self.shares.iter().cloned());
        }
        if groups != self.groups || shares != self.shares {
            let (groups, shares) = (groups.len(), shares.len());
            info!(flow = self.flow, groups, share_groups = shares, "groups found at the source");
        }
        (self.groups, self.shares) = (groups, shares);
        true
    }
}

/// Turns of a job, the first at once. Without an interval they are not to be asked for.
fn turns(every: Option<Duration>) -> Interval {
    let mut turns = interval(every.unwrap_or(Duration::MAX / 4));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns
}

fn is_absent(error: &ClientError) -> bool {
    error.code() == Some(ErrorCode::UnknownTopicOrPartition)
}

fn is_forbidden(error: &ClientError) -> bool {
    error.code() == Some(ErrorCode::TopicAuthorizationFailed)
}
