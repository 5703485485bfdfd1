//! One round: reads where groups stand at the source, waits shortly for the mirror, writes the checkpoints that are due
//! and sets the groups at the target.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kmirror_protocol::client::groups::{
    CommittedOffset, DescribedGroup, commit_offsets, committed_offsets, describe_groups, set_share_starts,
    share_starts,
};
use kmirror_protocol::client::offsets::{OffsetSpec, known_offsets};
use kmirror_protocol::client::{ClientError, send};
use kmirror_protocol::wire::error::ErrorCode;
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::{GroupsJob, Which};
use crate::clock::now_ms;
use crate::error::chain;
use crate::ids::{SourceOffset, SourcePartition};
use crate::offsets::group_sync::{Place, Wanted, differing, due, may_be_set};
use crate::offsets::locate::Located;
use crate::offsets::map::Translation;
use crate::offsets::records::Checkpoint;
use crate::status::PartitionStatus;

/// Groups looked at together: bounds what is held in memory.
const GROUPS_PER_STEP: usize = 500;
/// How long the mirror may take to pass the positions just read.
const MIRROR_WAIT: Duration = Duration::from_secs(1);
/// How long the source may take to tell us of records that a group has read already.
const END_WAIT: Duration = Duration::from_millis(200);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Groups named in a line of the log.
const NAMED_MAX: usize = 3;

/// The partitions that are mirrored.
type Mirrored = HashMap<SourcePartition, Arc<PartitionStatus>>;
/// Groups and where they stand at the source.
type Positions = Vec<(Arc<str>, Vec<CommittedOffset>)>;

/// A position and where it lies at the target.
struct Placed {
    source: CommittedOffset,
    status: Arc<PartitionStatus>,
    place: Place,
    located: Located,
}

impl Placed {
    /// Whether the mirror will pass the position and has not passed it yet, as far as we know the source's log.
    fn is_coming(&self) -> bool {
        let is_there = self.source.offset <= self.status.high_watermark().0;
        is_there && matches!(self.located, Located::Behind { .. })
    }
}

impl GroupsJob {
    /// Writes the checkpoints that are due, if `emits`, and sets groups at the target, if `sets`.
    pub(super) async fn round(&mut self, which: Which, emits: bool, sets: bool) {
        let emits = emits && self.context.plan.sync.checkpoints.is_some();
        let sets = sets && self.context.plan.sync.group_offsets.is_some();
        let all = matches!(which, Which::All);
        let wait = if matches!(which, Which::CaughtUp(_)) { Duration::ZERO } else { MIRROR_WAIT };
        let groups: Vec<Arc<str>> = match which {
            Which::All => self.groups.iter().cloned().collect(),
            Which::Moved(groups) | Which::CaughtUp(groups) => groups.into_iter().collect(),
        };
        for step in groups.chunks(GROUPS_PER_STEP) {
            if let Err(error) = self.step(step, wait, emits, sets).await {
                let text = format!("positions of groups: {}; will be tried again", chain(&error));
                self.told.warn(&self.flow, text);
            }
        }
        if all
            && sets
            && !self.shares.is_empty()
            && let Err(error) = self.step_shares().await
        {
            self.told.warn(&self.flow, format!("share groups: {}; will be tried again", chain(&error)));
        }
    }

    async fn step(
        &mut self,
        groups: &[Arc<str>],
        wait: Duration,
        emits: bool,
        sets: bool,
    ) -> Result<(), ClientError> {
        let mut read: Positions = Vec::with_capacity(groups.len());
        let mut refused = BTreeMap::new();
        for (group, answer) in committed_offsets(&self.source, groups).await? {
            match answer {
                Ok(positions) => read.push((group, positions)),
                Err(code) => note(&mut refused, code, group),
            }
        }
        self.tell_refused(&refused, "read at the source", "DESCRIBE", &Arc::clone(self.source.alias()));
        let placed = self.place(read, wait).await;
        self.note_behind(groups, &placed);
        if emits && let Err(error) = self.emit(&placed).await {
            let (topic, on) = (&self.checkpoints_topic, self.target.alias());
            let text = match error.code() {
                Some(ErrorCode::TopicAuthorizationFailed) => {
                    format!(
                        "checkpoints are not written: the right WRITE for {topic} is missing on cluster {on}"
                    )
                }
                _ => format!("checkpoints are not written: {}; will be tried again", chain(&error)),
            };
            self.told.warn(&self.flow, text);
        }
        if sets {
            self.set(&placed).await?;
        }
        Ok(())
    }

    /// Remembers what the mirror has not passed yet, to look again when it has.
    fn note_behind(&mut self, looked_at: &[Arc<str>], placed: &[(Arc<str>, Vec<Placed>)]) {
        for group in looked_at {
            self.behind.remove(group);
        }
        for (group, placed) in placed {
            let coming = placed.iter().filter(|one| one.is_coming());
            let coming: Vec<_> =
                coming.map(|one| (Arc::clone(&one.status), SourceOffset(one.source.offset))).collect();
            if !coming.is_empty() {
                self.behind.insert(Arc::clone(group), coming);
            }
        }
    }

    /// Finds where positions lie at the target. Those of partitions that are not mirrored are left out.
    async fn place(&self, positions: Positions, wait: Duration) -> Vec<(Arc<str>, Vec<Placed>)> {
        let mirrored: Mirrored = self
            .context
            .status
            .partitions()
            .into_iter()
            .map(|status| (status.source.clone(), status))
            .collect();
        wait_for_mirror(&mirrored, &positions, wait).await;
        let place = |position: CommittedOffset| {
            let (partition, status) = find(&mirrored, &position)?;
            let at = SourceOffset(position.offset);
            let located = Located::find(status.translate(at), &self.syncs, &partition, at);
            let place = (Arc::clone(&status.target_topic), partition.partition);
            Some(Placed { source: position, status: Arc::clone(status), place, located })
        };
        let groups = positions
            .into_iter()
            .map(|(group, positions)| (group, positions.into_iter().filter_map(place).collect::<Vec<_>>()));
        groups.filter(|(_, placed)| !placed.is_empty()).collect()
    }

    async fn emit(&mut self, groups: &[(Arc<str>, Vec<Placed>)]) -> Result<(), ClientError> {
        let now = now_ms();
        let due: Vec<Checkpoint> = groups
            .iter()
            .flat_map(|(group, placed)| placed.iter().filter_map(|one| checkpoint(group, one)))
            .filter(|checkpoint| self.checkpoints.is_due(checkpoint))
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        let records = due.iter().map(|checkpoint| checkpoint.to_record(now)).collect();
        send::send_records(&self.target, &self.checkpoints_topic, vec![(0, records)]).await?;
        debug!(flow = self.flow, checkpoints = due.len(), "checkpoints written");
        due.iter().for_each(|checkpoint| self.checkpoints.note(checkpoint));
        Ok(())
    }

    async fn set(&mut self, groups: &[(Arc<str>, Vec<Placed>)]) -> Result<(), ClientError> {
        let idle = self.settable(groups.iter().map(|(group, _)| group), false).await?;
        let idle: Vec<Arc<str>> = idle.into_iter().collect();
        let mut current: HashMap<Arc<str>, Vec<CommittedOffset>> = HashMap::new();
        for (group, answer) in committed_offsets(&self.target, &idle).await? {
            current.extend(answer.ok().map(|positions| (group, positions)));
        }
        let wanted: Vec<(Arc<str>, Vec<Wanted>)> = groups
            .iter()
            .filter(|(group, _)| current.contains_key(group))
            .map(|(group, placed)| (Arc::clone(group), placed.iter().filter_map(wanted).collect()))
            .collect();
        let to_set = self.due(&wanted, &current).await?;
        if to_set.is_empty() {
            return Ok(());
        }
        let mut refused = BTreeMap::new();
        let mut set = 0;
        for (group, answer) in commit_offsets(&self.target, to_set).await? {
            let results = answer.unwrap_or_else(|code| vec![((Arc::from(""), -1), Err(code))]);
            for ((topic, _), result) in results {
                match result {
                    Ok(()) => set += 1,
                    // Somebody joined it meanwhile.
                    Err(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration) => {}
                    Err(code @ ErrorCode::TopicAuthorizationFailed) => note(&mut refused, code, topic),
                    Err(code) => note(&mut refused, code, Arc::clone(&group)),
                }
            }
        }
        self.tell_refused(&refused, "set at the target", "READ", &Arc::clone(self.target.alias()));
        debug!(flow = self.flow, positions = set, "positions of groups set at the target");
        Ok(())
    }

    /// The groups that may be set at the target.
    async fn settable(
        &mut self,
        groups: impl Iterator<Item = &Arc<str>>,
        shares: bool,
    ) -> Result<BTreeSet<Arc<str>>, ClientError> {
        let groups: Vec<Arc<str>> = groups.cloned().collect();
        let mut refused = BTreeMap::new();
        let mut idle = BTreeSet::new();
        for (group, answer) in describe_groups(&self.target, &groups).await? {
            match answer {
                Ok(described) if may_be_set(described, shares) => {
                    idle.insert(group);
                }
                Ok(DescribedGroup { kind, state }) => {
                    debug!(flow = self.flow, group = &*group, kind = kind.name(), %state, "left alone");
                }
                Err(code) => note(&mut refused, code, group),
            }
        }
        self.tell_refused(&refused, "set at the target", "READ", &Arc::clone(self.target.alias()));
        Ok(idle)
    }

    /// What is to be set, after a look at where the logs begin in which something is.
    async fn due(
        &self,
        wanted: &[(Arc<str>, Vec<Wanted>)],
        current: &HashMap<Arc<str>, Vec<CommittedOffset>>,
    ) -> Result<Positions, ClientError> {
        let stands = |group: &Arc<str>| current.get(group).map_or(&[][..], Vec::as_slice);
        let places: BTreeSet<Place> = wanted
            .iter()
            .flat_map(|(group, wanted)| differing(wanted, stands(group)).map(|one| one.place.clone()))
            .collect();
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let starts = known_offsets(&self.target, places, OffsetSpec::Earliest).await?;
        let starts: HashMap<Place, i64> =
            starts.into_iter().map(|(place, start)| (place, start.offset)).collect();
        let may_go_back = self.context.plan.sync.group_offsets.is_some_and(|plan| plan.may_go_back);
        let due = wanted.iter().filter_map(|(group, wanted)| {
            // What is not there, or not to be seen, would only be refused.
            let wanted: Vec<Wanted> =
                wanted.iter().filter(|one| starts.contains_key(&one.place)).cloned().collect();
            let due = due(&wanted, stands(group), &starts, may_go_back);
            (!due.is_empty()).then(|| (Arc::clone(group), due))
        });
        Ok(due.collect())
    }

    /// Share groups have start offsets instead of positions, which only brokers since 4.1 take.
    async fn step_shares(&mut self) -> Result<(), ClientError> {
        let shares: Vec<Arc<str>> = self.shares.iter().cloned().collect();
        for step in shares.chunks(GROUPS_PER_STEP) {
            let mut read: Positions = Vec::new();
            for (group, answer) in share_starts(&self.source, step).await? {
                read.extend(answer.ok().map(|starts| (group, starts)));
            }
            let placed = self.place(read, Duration::ZERO).await;
            let idle = self.settable(placed.iter().map(|(group, _)| group), true).await?;
            let idle: Vec<Arc<str>> = idle.into_iter().collect();
            let mut current: HashMap<Arc<str>, Vec<CommittedOffset>> = HashMap::new();
            let mut unable = false;
            for (group, answer) in share_starts(&self.target, &idle).await? {
                unable |= answer == Err(ErrorCode::UnsupportedVersion);
                // A group that is not there has no starts yet.
                current.insert(group, answer.unwrap_or_default());
            }
            if unable {
                let text = format!(
                    "share groups are not kept in step: cluster {} has none (Kafka 4.1 and later have)",
                    self.target.alias()
                );
                self.told.warn(&self.flow, text);
                return Ok(());
            }
            let wanted: Vec<(Arc<str>, Vec<Wanted>)> = placed
                .iter()
                .filter(|(group, _)| current.contains_key(group))
                .map(|(group, placed)| (Arc::clone(group), placed.iter().filter_map(wanted).collect()))
                .collect();
            for (group, starts) in self.due(&wanted, &current).await? {
                match set_share_starts(&self.target, &group, &starts).await {
                    Ok(_) => debug!(flow = self.flow, group = &*group, "share group set at the target"),
                    // Somebody joined it meanwhile.
                    Err(error) if error.code() == Some(ErrorCode::NonEmptyGroup) => {}
                    Err(error) => {
                        let text = format!("share group {group} cannot be set: {}", chain(&error));
                        self.told.warn(&self.flow, text);
                    }
                }
            }
        }
        Ok(())
    }

    /// One line for each reason, with a few of those it is about.
    fn tell_refused(
        &mut self,
        refused: &BTreeMap<i16, BTreeSet<Arc<str>>>,
        done: &str,
        right: &str,
        on: &Arc<str>,
    ) {
        for (code, names) in refused {
            let code = ErrorCode::from(*code);
            let some: Vec<&str> = names.iter().take(NAMED_MAX).map(|name| &**name).collect();
            let (some, more) = (some.join(", "), names.len().saturating_sub(NAMED_MAX));
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let text = match code {
                ErrorCode::GroupAuthorizationFailed => {
                    format!(
                        "groups are not {done}: {some}{more}; it takes the right {right} for them on cluster {on}"
                    )
                }
                ErrorCode::TopicAuthorizationFailed => format!(
                    "positions in topics are not {done}: {some}{more}; it takes the right {right} for them on cluster \
                     {on}"
                ),
                code => format!("groups are not {done} on cluster {on}: {some}{more}: {code}"),
            };
            self.told.warn(&self.flow, text);
        }
    }
}

fn note(refused: &mut BTreeMap<i16, BTreeSet<Arc<str>>>, code: ErrorCode, name: Arc<str>) {
    refused.entry(code.code()).or_default().insert(name);
}

fn find<'a>(
    mirrored: &'a Mirrored,
    position: &CommittedOffset,
) -> Option<(SourcePartition, &'a Arc<PartitionStatus>)> {
    let partition = SourcePartition { topic: Arc::clone(&position.topic), partition: position.partition };
    let status = mirrored.get(&partition).filter(|_| position.offset >= 0)?;
    Some((partition, status))
}

/// Waits until the mirror passed the positions that the source's logs have, or for a second at most. A position beyond the
/// end of its log, as far as we know that, is hardly waited for: what is not there will not be mirrored.
async fn wait_for_mirror(mirrored: &Mirrored, positions: &Positions, wait: Duration) {
    let begun = Instant::now();
    let mut open: Vec<(&Arc<PartitionStatus>, SourceOffset)> = positions
        .iter()
        .flat_map(|(_, positions)| positions)
        .filter_map(|position| Some((find(mirrored, position)?.1, SourceOffset(position.offset))))
        .collect();
    loop {
        let waited = begun.elapsed();
        open.retain(|(status, at)| {
            let is_there = *at <= status.high_watermark() || waited < END_WAIT;
            is_there && matches!(status.translate(*at), Translation::Behind { .. })
        });
        if open.is_empty() || waited >= wait {
            return;
        }
        sleep(LOOK_EVERY).await;
    }
}

fn checkpoint(group: &Arc<str>, one: &Placed) -> Option<Checkpoint> {
    Some(Checkpoint {
        group: Arc::clone(group),
        topic: Arc::clone(&one.place.0),
        partition: one.place.1,
        upstream: SourceOffset(one.source.offset),
        downstream: one.located.target()?,
        metadata: Arc::clone(&one.source.metadata),
    })
}

fn wanted(one: &Placed) -> Option<Wanted> {
    Some(Wanted {
        place: one.place.clone(),
        target: one.located.target()?,
        exact: matches!(one.located, Located::Exact(_)),
        metadata: Arc::clone(&one.source.metadata),
    })
}
