//! Handing out new partitions: where each begins, by what was written down of it and by what the target holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use kmirror_protocol::client::offsets::{self, OffsetSpec};
use kmirror_protocol::client::{ClientError, Topics};
use tracing::{info, warn};
use uuid::Uuid;

use super::{Before, Changes, Discovery, HANDED_OUT_MAX, Known, Wanted};
use crate::commit::ProgressStore;
use crate::error::chain;
use crate::flow::held::{self, Asked};
use crate::flow::partition::{Assignment, Former};
use crate::flow::position::{self, LogRange, Loss};
use crate::flow::rewrite::TargetRules;
use crate::ids::{ProducerMark, SourceOffset, SourcePartition, TargetOffset};
use crate::offsets::map::OffsetMap;
use crate::offsets::stretch::Settled;
use crate::plan::{AutoOffsetReset, OnLost};
use crate::progress::Progress;
use crate::status::{PartitionState, PartitionStatus};

/// Where mirroring of a partition ended.
#[derive(Debug, Clone, Copy)]
struct Left {
    next: SourceOffset,
    topic_id: Option<Uuid>,
    mark: Option<ProducerMark>,
}

impl Left {
    /// What nothing was acknowledged of has the mark of what was written down of it before it was sent.
    fn or_mark_of(self, written_down: Option<Self>) -> Self {
        let claim = written_down.filter(|one| (one.next, one.topic_id) == (self.next, self.topic_id));
        Self { mark: self.mark.or_else(|| claim.and_then(|one| one.mark)), ..self }
    }
}

impl Wanted {
    /// Whether a partition is dealt out where the target adds no partitions to the `count` it has. What is mirrored one to
    /// one stays so: else its keys would go on in other partitions.
    fn must_deal(&self, partition: i32, count: i32, written: Option<&Progress>) -> bool {
        partition >= count || written.is_none_or(|written| self.was_dealt(written))
    }

    /// Whether a partition was dealt out before and the target's answer passes: what becomes of it is not known yet.
    fn waits(&self, written: Option<&Progress>) -> bool {
        self.waiting_from.is_some() && written.is_some_and(|written| self.was_dealt(written))
    }

    /// Whether a partition may have been dealt out before. MirrorMaker 2 never does that, and writes no topic ids.
    fn was_dealt(&self, written: &Progress) -> bool {
        !written.is_one_to_one() && (written.topic_id.is_some() || self.source.id.is_none())
    }
}

impl Discovery {
    pub(super) async fn assign_new(
        &mut self,
        topics: Vec<Wanted>,
        rules: &HashMap<Arc<str>, TargetRules>,
        before: &mut Before<'_>,
        changes: &mut Changes,
    ) -> Result<(), ClientError> {
        let topics: Vec<(Wanted, Vec<SourcePartition>)> = topics
            .into_iter()
            .map(|topic| {
                let waits = |one: &SourcePartition| topic.waits(before.progress.get(one));
                let new = self.new_partitions(&topic).filter(|one| !waits(one)).collect();
                (topic, new)
            })
            .collect();
        let new: Vec<SourcePartition> = topics.iter().flat_map(|(_, new)| new).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let ranges = self.ranges(&new).await?;
        for (topic, partitions) in topics {
            let rules = rules.get(&topic.target_topic).copied().unwrap_or_default();
            let assigned = changes.assign.len();
            for partition in partitions {
                let Some(range) = ranges.get(&partition) else {
                    let index = partition.partition;
                    let what = format!("the source does not tell the offsets of partition {index}");
                    self.status.set_trouble(&partition.topic, Some(what.into()));
                    changes.again = true;
                    continue;
                };
                changes.assign.extend(self.assign(&topic, partition, *range, rules, before));
            }
            self.tell_dealt(&topic, changes.assign.get(assigned..).unwrap_or_default(), before.progress);
        }
        Ok(())
    }

    /// Says which partitions are dealt out, and what that means for those that were begun before.
    fn tell_dealt(&self, topic: &Wanted, assigned: &[Assignment], progress: &ProgressStore) {
        let (flow, name) = (self.plan.name(), &*topic.source.name);
        let dealt = || assigned.iter().filter(|one| one.deal_to.is_some());
        let indexes: Vec<i32> = dealt().map(|one| one.source.partition).collect();
        if !indexes.is_empty() && !self.plan.deals_by_key {
            let shown = in_ranges(&indexes);
            warn!(flow, topic = name, "dealt out by key: {} partitions ({shown})", indexes.len());
        }
        let begun = dealt().filter(|one| progress.get(&one.source).is_some()).count();
        if begun > 0 {
            info!(
                flow,
                topic = name,
                "{begun} partitions that are dealt out by key go on at their last progress: if the process before was \
                 killed, what it mirrored since then arrives twice"
            );
        }
    }

    fn assign(
        &mut self,
        topic: &Wanted,
        partition: SourcePartition,
        range: LogRange,
        rules: TargetRules,
        before: &mut Before<'_>,
    ) -> Option<Assignment> {
        // What appears while mirroring runs is new as a whole: leaving out its first records would lose them.
        let from_latest = self.first && self.plan.start == AutoOffsetReset::Latest;
        let written = before.progress.get(&partition);
        let by_choice = self.plan.deals_by_key;
        let deal_to =
            topic.deal_to.filter(|count| by_choice || topic.must_deal(partition.partition, *count, written));
        let written_down =
            written.map(|one| Left { next: one.next, topic_id: one.topic_id, mark: one.producer });
        let left = self.take_left(&partition).map(|left| left.or_mark_of(written_down)).or(written_down);
        let mirrored = left.map(|left| (left.next, left.topic_id));
        let former = left
            .filter(|left| deal_to.is_none() && position::is_same_topic(left.topic_id, topic.source.id))
            .and_then(|left| left.mark)
            .map(|mark| Former { mark, holds: held::no_answer() });
        let was_here = self.hand_out(&partition);
        let (start, loss) = position::start(mirrored, topic.source.id, range, from_latest, former.is_some());
        let kept = before.maps.take(&partition, topic.source.id);
        let status = Arc::new(PartitionStatus::new(
            partition.clone(),
            Arc::clone(&topic.target_topic),
            start,
            range.latest,
            self.offset_map(kept, mirrored, topic.source.id, start),
        ));
        let epoch =
            written.filter(|progress| progress.next == start).and_then(|progress| progress.leader_epoch);
        if let Some(epoch) = epoch {
            status.epochs().learn(epoch, SourceOffset(start.0 - 1));
        }
        let known = self
            .known
            .entry(Arc::clone(&partition.topic))
            .or_insert_with(|| Known { topic_id: topic.source.id, partitions: BTreeMap::new() });
        known.partitions.insert(partition.partition, Arc::clone(&status));
        self.status.insert(Arc::clone(&status));
        if let Some(loss) = loss {
            self.tell_loss(&status, &loss);
            if self.plan.on_lost_records == OnLost::StopPartition {
                let note = format!("{loss} (kmirror.on.lost.records=stop)");
                status.set_state(PartitionState::Stopped, Some(note.into()));
                return None;
            }
        }
        let rules = TargetRules { by_key: deal_to.is_some(), ..rules };
        Some(Assignment {
            shared_target: self.plan.allows_collisions || deal_to.is_some(),
            deal_to,
            source: partition,
            topic_id: topic.source.id,
            target_topic: Arc::clone(&topic.target_topic),
            start,
            former,
            was_here,
            unclaimed: false,
            target_end: None,
            rules,
            status,
        })
    }

    /// Asks the target what it holds of those who wrote these partitions before, and where the others end.
    pub(super) async fn ask_target(&self, assignments: &mut [Assignment]) {
        let (former, new): (Vec<_>, Vec<_>) = assignments.iter_mut().partition(|one| one.former.is_some());
        tokio::join!(self.ask_of_former(former), self.ask_ends(new));
    }

    async fn ask_of_former(&self, mut assignments: Vec<&mut Assignment>) {
        let asked: Vec<Asked> = assignments
            .iter()
            .filter_map(|one| {
                let partition = (Arc::clone(&one.target_topic), one.source.partition);
                let identity = one.former.as_ref()?.mark.identity;
                Some(Asked { partition, identity, min_in_sync: one.rules.min_in_sync })
            })
            .collect();
        if asked.is_empty() {
            return;
        }
        let holds = held::ask(&self.writer, &asked).await;
        for (former, holds) in assignments.iter_mut().filter_map(|one| one.former.as_mut()).zip(holds) {
            former.holds = holds;
        }
    }

    /// Should the target forget who wrote a first batch whose answer is lost, its end tells what arrived. One that has no
    /// leader now is not waited for.
    async fn ask_ends(&self, mut assignments: Vec<&mut Assignment>) {
        assignments.retain(|one| !one.shared_target);
        let topics: BTreeSet<_> = assignments.iter().map(|one| Arc::clone(&one.target_topic)).collect();
        if topics.is_empty() {
            return;
        }
        let topics = Topics::Named(topics.into_iter().collect());
        let Ok(known) = self.writer.current(topics).await else { return };
        let partition = |one: &Assignment| (Arc::clone(&one.target_topic), one.source.partition);
        let has_leader = |(topic, partition): &(Arc<str>, i32)| known.leader(topic, *partition).is_some();
        let asked: Vec<_> = assignments.iter().map(|one| partition(one)).filter(has_leader).collect();
        let Ok(listed) = offsets::list_log_ends(&self.writer, &asked).await else { return };
        let ends: HashMap<_, _> = listed.into_iter().collect();
        for one in assignments {
            let end = ends.get(&partition(one)).and_then(|end| end.as_ref().ok());
            one.target_end = end.map(|end| TargetOffset(end.offset));
        }
    }

    /// Writes down under which identity new partitions are written, before their first records leave: whoever restarts
    /// can then tell how far they came. Without it a restart after a crash could repeat records: where it cannot be done
    /// each gets an identity of its own, and waits until that is written down.
    ///
    /// In transactions it is the transactional id that is written down: whoever takes over can then abort what is open.
    pub(super) async fn claim(&self, assignments: &mut [Assignment], progress: &mut ProgressStore) {
        let own = progress.transactional_id();
        let mark = |former: Option<ProducerMark>| match own {
            Some(_) => former,
            None => Some(ProducerMark { identity: self.identity, sequence: 0 }),
        };
        let is_new =
            |one: &Assignment| !one.shared_target && (own.is_some() || one.former.is_none() && !one.was_here);
        let new = assignments
            .iter()
            .filter(|one| is_new(one))
            .map(|one| Progress {
                partition: one.source.clone(),
                next: one.start,
                topic_id: one.topic_id,
                leader_epoch: one.status.epoch_before(one.start),
                producer: mark(one.former.as_ref().map(|former| former.mark)),
                transactional_id: own.clone(),
            })
            .collect();
        if let Err(error) = progress.claim(new).await {
            warn!(flow = self.plan.name(), "{}; will be tried again", chain(&error));
            assignments.iter_mut().filter(|one| is_new(one)).for_each(|one| one.unclaimed = true);
        }
    }

    /// The offset map to go on with: what was mirrored unseen is unknown in it.
    fn offset_map(
        &self,
        kept: Option<OffsetMap>,
        mirrored: Option<(SourceOffset, Option<Uuid>)>,
        topic_id: Option<Uuid>,
        start: SourceOffset,
    ) -> OffsetMap {
        let mut map = kept.unwrap_or_else(|| OffsetMap::new(self.plan.sync.offset_map_segments));
        if let Some((next, _)) = mirrored.filter(|(_, id)| position::is_same_topic(*id, topic_id)) {
            map.resume(next);
            if start < next {
                map.apply(Settled::CutOff(start));
            }
        }
        map
    }

    /// How far the partition was mirrored of a topic of the same name that was gone. It may be the same topic: a source
    /// does not always show all it has.
    fn take_left(&mut self, partition: &SourcePartition) -> Option<Left> {
        let gone = self.gone.get_mut(&partition.topic)?;
        let status = gone.partitions.remove(&partition.partition)?;
        let (topic_id, is_last) = (gone.topic_id, gone.partitions.is_empty());
        if is_last {
            self.gone.remove(&partition.topic);
        }
        let (next, mark) = status.acknowledged();
        Some(Left { next, topic_id, mark })
    }

    /// Whether it may have been handed out before.
    fn hand_out(&mut self, partition: &SourcePartition) -> bool {
        if self.handed_out.len() < HANDED_OUT_MAX {
            return !self.handed_out.insert(partition.clone());
        }
        true
    }

    fn tell_loss(&self, status: &PartitionStatus, loss: &Loss) {
        status.add_lost(loss.offsets());
        warn!(flow = self.plan.name(), partition = %status.source, "{loss}");
    }

    /// What each partition's log holds. Partitions that cannot be listed now are left out.
    async fn ranges(
        &self,
        partitions: &[SourcePartition],
    ) -> Result<HashMap<SourcePartition, LogRange>, ClientError> {
        let ask = |spec: OffsetSpec| {
            let asked: Vec<_> =
                partitions.iter().map(|one| (Arc::clone(&one.topic), one.partition, spec)).collect();
            async move { offsets::list_offsets(&self.source, &asked).await }
        };
        let (earliest, latest) = tokio::try_join!(ask(OffsetSpec::Earliest), ask(OffsetSpec::Latest))?;
        let mut starts = HashMap::new();
        for ((topic, partition), answer) in earliest {
            match answer {
                Ok(at) => {
                    starts.insert(SourcePartition { topic, partition }, SourceOffset(at.offset));
                }
                Err(code) => warn!(
                    flow = self.plan.name(),
                    topic = &*topic,
                    partition,
                    "the source does not tell the partition's offsets: {code}; will be tried again"
                ),
            }
        }
        Ok(latest
            .into_iter()
            .filter_map(|((topic, partition), answer)| {
                let partition = SourcePartition { topic, partition };
                let earliest = *starts.get(&partition)?;
                let latest = SourceOffset(answer.ok()?.offset).max(earliest);
                Some((partition, LogRange { earliest, latest }))
            })
            .collect())
    }
}

/// `0-3, 7`, of numbers that grow.
fn in_ranges(indexes: &[i32]) -> String {
    let runs = indexes.chunk_by(|one, next| one.checked_add(1) == Some(*next));
    let shown = runs.filter_map(|run| match run {
        [] => None,
        [one] => Some(one.to_string()),
        [first, .., last] => Some(format!("{first}-{last}")),
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use kmirror_protocol::client::Topic;
    use kmirror_protocol::wire::error::ErrorCode;

    use super::*;
    use crate::ids::Identity;

    fn wanted(waiting_from: Option<i32>) -> Wanted {
        let id = Some(Uuid::from_u128(7));
        let topic =
            Topic { name: "t".into(), id, internal: false, error: ErrorCode::None, partitions: Vec::new() };
        let source = Arc::new(topic);
        Wanted { source, target_topic: "a.t".into(), change: None, deal_to: None, waiting_from }
    }

    fn written(topic_id: Option<Uuid>, is_marked: bool) -> Progress {
        let identity = Identity { producer_id: 1, producer_epoch: 0 };
        Progress {
            partition: SourcePartition { topic: "t".into(), partition: 0 },
            next: SourceOffset(5),
            topic_id,
            leader_epoch: None,
            producer: is_marked.then_some(ProducerMark { identity, sequence: 0 }),
            transactional_id: None,
        }
    }

    #[test]
    fn what_is_mirrored_one_to_one_stays_so() {
        let topic = wanted(None);
        let (marked, dealt) = (written(topic.source.id, true), written(topic.source.id, false));
        let mirror_maker = written(None, false);
        let must_deal = |progress| topic.must_deal(1, 2, progress);
        assert!(!must_deal(Some(&marked)) && !must_deal(Some(&mirror_maker)));
        assert!(must_deal(Some(&dealt)) && must_deal(None));
        assert!(topic.must_deal(2, 2, Some(&marked)), "the target lacks it");
    }

    #[test]
    fn what_was_dealt_out_waits_until_it_is_known_what_becomes_of_it() {
        let topic = wanted(Some(2));
        let (marked, dealt) = (written(topic.source.id, true), written(topic.source.id, false));
        assert!(topic.waits(Some(&dealt)));
        assert!(!topic.waits(Some(&marked)) && !topic.waits(None));
        assert!(!wanted(None).waits(Some(&dealt)));
    }

    #[test]
    fn indexes_are_shown_in_ranges() {
        assert_eq!(in_ranges(&[0, 1, 2, 5, 7, 8]), "0-2, 5, 7-8");
        assert_eq!(in_ranges(&[]), "");
    }
}
