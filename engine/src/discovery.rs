//! Finds what is to be mirrored: lists the source's topics, creates what the target lacks, and hands new partitions
//! to the lane with the offset they begin at.
//!
//! Runs at start and at every `refresh.topics.interval.seconds`, without touching partitions that run. A topic that
//! cannot be mirrored is put down in the status with its reason and tried again the next time; the others go on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use kmirror_protocol::client::admin::{self, NewPartitions, NewTopic, TopicFault};
use kmirror_protocol::client::offsets::{self, OffsetSpec};
use kmirror_protocol::client::retry::{self, Action as Remedy};
use kmirror_protocol::client::{ClientError, Cluster, Metadata, Topic, Topics};
use tracing::{info, warn};
use uuid::Uuid;

use crate::clients::Clients;
use crate::commit::ProgressStore;
use crate::create;
use crate::error::chain;
use crate::flow::held::{self, Asked};
use crate::flow::partition::{Assignment, Former};
use crate::flow::position::{self, LogRange, Loss};
use crate::flow::rewrite::TargetRules;
use crate::ids::{Identity, ProducerMark, SourceOffset, SourcePartition};
use crate::offsets::map::OffsetMap;
use crate::offsets::store::MapStore;
use crate::offsets::stretch::Settled;
use crate::plan::{
    AutoOffsetReset, DeletionMode, FlowPlan, NotMirrored, OnLost, Outcome, SourceTopic, TargetChange, explain,
};
use crate::progress::Progress;
use crate::rules::rules_from;
use crate::share::shards::Shards;
use crate::status::{FlowStatus, PartitionState, PartitionStatus};
use crate::sync::configs;

/// What changed since the last look.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Partitions to mirror from now on.
    pub(crate) assign: Vec<Assignment>,
    /// Partitions whose topic is gone, or was created anew.
    pub(crate) revoke: Vec<SourcePartition>,
    /// Something could not be done and should be tried again soon.
    pub(crate) again: bool,
}

/// One flow's view of the topics.
pub(crate) struct Discovery {
    plan: Arc<FlowPlan>,
    source: Cluster,
    target: Cluster,
    /// The client that writes records: it may ask what was written.
    writer: Cluster,
    /// The identity under which new partitions are written.
    identity: Identity,
    status: Arc<FlowStatus>,
    /// What this process may run.
    owned: Shards,
    /// Partitions handed out, by topic, with the topic id they were handed out for.
    known: HashMap<Arc<str>, Known>,
    /// The same for topics that were deleted since: one of the same name begins anew.
    gone: HashMap<Arc<str>, Known>,
    /// Decisions told to the log already.
    told: HashSet<String>,
    first: bool,
}

#[derive(Debug)]
struct Known {
    topic_id: Option<Uuid>,
    partitions: BTreeMap<i32, Arc<PartitionStatus>>,
}

/// A partition handed out, with the id of the topic it was handed out for.
pub(crate) type HandedOut = (Arc<PartitionStatus>, Option<Uuid>);

/// What is known of earlier runs.
struct Before<'a> {
    progress: &'a mut ProgressStore,
    maps: &'a mut MapStore,
}

/// A topic that goes to the target.
struct Wanted {
    source: Arc<Topic>,
    target_topic: Arc<str>,
    change: Option<TargetChange>,
    /// Records are dealt out by key over so many target partitions.
    deal_to: Option<i32>,
}

impl Discovery {
    /// New partitions are written under `identity`.
    pub(crate) fn new(
        plan: Arc<FlowPlan>,
        clients: &Clients,
        identity: Identity,
        status: Arc<FlowStatus>,
    ) -> Self {
        Self {
            source: clients.source_admin.clone(),
            target: clients.target_admin.clone(),
            writer: clients.target.clone(),
            identity,
            plan,
            status,
            owned: Shards::NONE,
            known: HashMap::new(),
            gone: HashMap::new(),
            told: HashSet::new(),
            first: true,
        }
    }

    /// The partitions handed out, with their topics' ids.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (&Arc<PartitionStatus>, Option<Uuid>)> {
        self.known.values().flat_map(|known| known.partitions.values().map(|one| (one, known.topic_id)))
    }

    /// From now on partitions of these shards are handed out. Those of others, that were, are taken back and returned.
    pub(crate) fn own(&mut self, shards: Shards) -> Vec<HandedOut> {
        self.status.set_owned(shards.clone());
        self.owned = shards;
        let mut taken = Vec::new();
        for known in self.known.values_mut() {
            let all = std::mem::take(&mut known.partitions);
            let (ours, foreign) = all.into_iter().partition(|(_, one)| self.owned.has(&one.source));
            let foreign: BTreeMap<i32, Arc<PartitionStatus>> = foreign;
            known.partitions = ours;
            taken.extend(foreign.into_values().map(|one| (one, known.topic_id)));
        }
        self.known.retain(|_, known| !known.partitions.is_empty());
        taken
    }

    /// Looks at both clusters and returns what the lane has to change.
    pub(crate) async fn look(
        &mut self,
        progress: &mut ProgressStore,
        maps: &mut MapStore,
    ) -> Result<Changes, ClientError> {
        let (source, target) =
            tokio::try_join!(self.source.refresh(Topics::All), self.target.refresh(Topics::All))?;
        let mut changes = Changes::default();
        self.revoke_missing(&source, &mut changes);
        let wanted = self.wanted(&source, &target, progress);
        let ready = self.prepare_target(wanted, &target, &mut changes).await?;
        let names = ready.iter().map(|one| (Arc::clone(&one.source.name), Arc::clone(&one.target_topic)));
        self.status.set_topics(names.collect());
        let rules = self.rules(&ready).await?;
        self.assign_new(ready, &rules, &mut Before { progress, maps }, &mut changes).await?;
        self.ask_target(&mut changes.assign).await;
        self.claim(&changes.assign, progress).await;
        self.first = false;
        self.status.set_discovered();
        Ok(changes)
    }

    /// Takes back partitions of topics that are gone or have another id now.
    fn revoke_missing(&mut self, source: &Metadata, changes: &mut Changes) {
        let flow = self.plan.name();
        let replaced = |(name, known): &(&Arc<str>, &Known)| {
            let now = source.topics.get(*name);
            now.is_none_or(|topic| topic.id.is_some() && topic.id != known.topic_id)
        };
        let gone: Vec<Arc<str>> =
            self.known.iter().filter(replaced).map(|(name, _)| Arc::clone(name)).collect();
        for name in gone {
            let Some(known) = self.known.remove(&name) else { continue };
            let what = if source.topics.contains_key(&name) {
                "was deleted and created again"
            } else {
                "was deleted"
            };
            let copy = match self.plan.sync.deletions.mode {
                DeletionMode::On => "its copy is deleted when it stays away",
                _ => "the target keeps what was mirrored of it",
            };
            warn!(flow, topic = &*name, "the source topic {what}; {copy}");
            changes.revoke.extend(known.partitions.values().map(|one| one.source.clone()));
            self.gone.insert(name, known);
        }
        for partition in &changes.revoke {
            self.status.remove(partition);
        }
    }

    /// The topics that the plan wants mirrored.
    fn wanted(&mut self, source: &Metadata, target: &Metadata, progress: &ProgressStore) -> Vec<Wanted> {
        let target_topics: BTreeMap<String, i32> =
            target.topics.values().map(|topic| (topic.name.to_string(), partition_count(topic))).collect();
        let topics = SourceTopic::all(source, |topic| {
            self.known.contains_key(topic) || progress.get(&SourcePartition::first_of(topic)).is_some()
        });
        let mut wanted = Vec::new();
        for decision in explain(&self.plan, &topics, Some(&target_topics)) {
            let Some(topic) = source.topics.get(decision.source_topic.as_str()) else { continue };
            match decision.outcome {
                Outcome::Mirrored { target_topic, change, .. } => {
                    let at_target = target_topics.get(&target_topic).copied();
                    let deal_to = at_target.unwrap_or_else(|| partition_count(topic));
                    wanted.push(Wanted {
                        source: Arc::clone(topic),
                        target_topic: target_topic.into(),
                        change,
                        deal_to: Some(deal_to).filter(|_| self.plan.deals_by_key),
                    });
                }
                Outcome::NotMirrored(why) => self.tell_refusal(&topic.name, &why),
            }
        }
        wanted
    }

    /// A topic left out by choice is nobody's trouble; one left out because it cannot be done is.
    fn tell_refusal(&mut self, topic: &Arc<str>, why: &NotMirrored) {
        let refused = matches!(why, NotMirrored::Collision { .. } | NotMirrored::IllegalTargetName { .. });
        if refused {
            self.status.set_trouble(topic, Some(why.to_string().into()));
        }
        if refused && self.told.insert(topic.to_string()) {
            warn!(flow = self.plan.name(), topic = &**topic, "not mirrored: {why}");
        }
    }

    /// Creates topics and adds partitions; returns the topics that can take records.
    async fn prepare_target(
        &mut self,
        mut wanted: Vec<Wanted>,
        target: &Metadata,
        changes: &mut Changes,
    ) -> Result<Vec<Wanted>, ClientError> {
        let mut faults: HashMap<Arc<str>, String> = HashMap::new();
        let missing: Vec<&Wanted> =
            wanted.iter().filter(|one| one.change == Some(TargetChange::Create)).collect();
        if !missing.is_empty() {
            let settings = self.settings_for(&missing).await?;
            let new: Vec<NewTopic> = missing
                .iter()
                .map(|one| NewTopic {
                    name: Arc::clone(&one.target_topic),
                    partitions: partition_count(&one.source),
                    replication_factor: self.plan.replication_factor,
                    configs: settings.get(&one.source.name).cloned().unwrap_or_default(),
                })
                .collect();
            for (topic, fault) in create::create_topics(&self.plan, &self.target, new).await? {
                faults.insert(topic, format!("the target topic cannot be created: {fault}"));
            }
        }
        let growing: Vec<NewPartitions> = wanted
            .iter()
            .filter(|one| matches!(one.change, Some(TargetChange::AddPartitions { .. })))
            .map(|one| NewPartitions {
                topic: Arc::clone(&one.target_topic),
                total: partition_count(&one.source),
            })
            .collect();
        if !growing.is_empty() {
            let answers = admin::create_partitions(&self.target, &growing, self.plan.admin_timeout).await?;
            for (topic, answer) in answers {
                match answer {
                    Ok(()) => {
                        info!(flow = self.plan.name(), topic = &*topic, "partitions added at the target")
                    }
                    Err(fault) if matches!(retry::decide(fault.code), Remedy::Fatal(_)) => {
                        self.deal_out(&mut wanted, &topic, &fault);
                    }
                    Err(fault) => {
                        faults.insert(
                            topic,
                            format!("partitions cannot be added to the target topic: {fault}"),
                        );
                    }
                }
            }
        }
        changes.again |= !faults.is_empty();
        Ok(self.without_faults(wanted, &faults, target))
    }

    /// The target does not add partitions to a topic: what is not mirrored yet is dealt out over those it has.
    fn deal_out(&mut self, wanted: &mut [Wanted], target_topic: &Arc<str>, fault: &TopicFault) {
        for one in wanted.iter_mut().filter(|one| one.target_topic == *target_topic) {
            let Some(TargetChange::AddPartitions { from }) = one.change else { continue };
            one.deal_to = Some(from);
            if self.told.insert(format!("dealt {target_topic}")) {
                warn!(
                    flow = self.plan.name(),
                    topic = &*one.source.name,
                    "the target adds no partitions to {target_topic} ({fault}): records go to its {from} partitions by \
                     their keys"
                );
            }
        }
    }

    /// Puts faults down in the status; a topic that exists goes on with the partitions it has.
    fn without_faults(
        &self,
        wanted: Vec<Wanted>,
        faults: &HashMap<Arc<str>, String>,
        target: &Metadata,
    ) -> Vec<Wanted> {
        let usable = |one: &Wanted| {
            let fault = faults.get(&one.target_topic);
            let told = fault.is_none_or(|fault| {
                self.status.trouble().get(&one.source.name).is_some_and(|known| **known == **fault)
            });
            if let (Some(fault), false) = (fault, told) {
                warn!(flow = self.plan.name(), topic = &*one.source.name, "{fault}; will be tried again");
            }
            self.status.set_trouble(&one.source.name, fault.map(|fault| fault.as_str().into()));
            fault.is_none() || target.topics.contains_key(&one.target_topic)
        };
        wanted.into_iter().filter(usable).collect()
    }

    /// The settings of these topics that go to the target at their creation.
    async fn settings_for(
        &self,
        topics: &[&Wanted],
    ) -> Result<HashMap<Arc<str>, Vec<(String, String)>>, ClientError> {
        let names: Vec<Arc<str>> = topics.iter().map(|one| Arc::clone(&one.source.name)).collect();
        let described = admin::describe_topic_configs(&self.source, &names).await?;
        let mut all = HashMap::new();
        for (topic, answer) in described {
            match answer {
                Ok(config) => {
                    all.insert(topic, configs::at_creation(&config, &self.plan.config_filter));
                }
                Err(fault) => warn!(
                    flow = self.plan.name(),
                    topic = &*topic,
                    "the source's settings of the topic cannot be read, it is created with the target's defaults: {fault}"
                ),
            }
        }
        Ok(all)
    }

    /// What the target demands of batches, by target topic. A cluster that does not tell gets Kafka's defaults.
    async fn rules(&self, topics: &[Wanted]) -> Result<HashMap<Arc<str>, TargetRules>, ClientError> {
        let new = |one: &&Wanted| self.new_partitions(one).next().is_some();
        let names: Vec<Arc<str>> =
            topics.iter().filter(new).map(|one| Arc::clone(&one.target_topic)).collect();
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let described = admin::describe_topic_configs(&self.target, &names).await?;
        Ok(described
            .into_iter()
            .filter_map(|(topic, answer)| answer.ok().map(|config| (topic, rules_from(&config))))
            .collect())
    }

    /// The partitions of a topic that are ours and not handed out yet.
    fn new_partitions<'a>(&'a self, topic: &'a Wanted) -> impl Iterator<Item = SourcePartition> + 'a {
        let name = &topic.source.name;
        let known = self.known.get(name).map(|known| &known.partitions);
        topic
            .source
            .partitions
            .iter()
            .filter(move |one| known.is_none_or(|known| !known.contains_key(&one.index)))
            .map(|one| SourcePartition { topic: Arc::clone(name), partition: one.index })
            .filter(|partition| self.owned.has(partition))
    }

    async fn assign_new(
        &mut self,
        topics: Vec<Wanted>,
        rules: &HashMap<Arc<str>, TargetRules>,
        before: &mut Before<'_>,
        changes: &mut Changes,
    ) -> Result<(), ClientError> {
        let new: Vec<SourcePartition> = topics.iter().flat_map(|one| self.new_partitions(one)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let ranges = self.ranges(&new).await?;
        for topic in topics {
            let rules = rules.get(&topic.target_topic).copied().unwrap_or_default();
            let partitions: Vec<SourcePartition> = self.new_partitions(&topic).collect();
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
        }
        Ok(())
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
        let mirrored = self
            .mirrored_of_old_topic(&partition)
            .or_else(|| written.map(|progress| (progress.next, progress.topic_id)));
        let former = written
            .filter(|progress| {
                topic.deal_to.is_none()
                    && mirrored.is_some_and(|(next, _)| next == progress.next)
                    && position::is_same_topic(progress.topic_id, topic.source.id)
            })
            .and_then(|progress| progress.producer)
            .map(|mark| Former { mark, holds: held::no_answer() });
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
        let deal_to = topic.deal_to;
        let rules = TargetRules { by_key: deal_to.is_some(), ..rules };
        Some(Assignment {
            shared_target: self.plan.allows_collisions || deal_to.is_some(),
            deal_to,
            source: partition,
            topic_id: topic.source.id,
            target_topic: Arc::clone(&topic.target_topic),
            start,
            former,
            rules,
            status,
        })
    }

    /// Asks the target what it holds of those who wrote these partitions before.
    async fn ask_target(&self, assignments: &mut [Assignment]) {
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

    /// Writes down under which identity new partitions are written, before their first records leave: whoever restarts
    /// can then tell how far they came. Without it a restart after a crash could repeat records.
    ///
    /// In transactions it is the transactional id that is written down: whoever takes over can then abort what is open.
    async fn claim(&self, assignments: &[Assignment], progress: &mut ProgressStore) {
        let own = progress.transactional_id();
        let mark = |former: Option<ProducerMark>| match own {
            Some(_) => former,
            None => Some(ProducerMark { identity: self.identity, sequence: 0 }),
        };
        let new = assignments
            .iter()
            .filter(|one| (one.former.is_none() || own.is_some()) && !one.shared_target)
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
            warn!(flow = self.plan.name(), "{}", chain(&error));
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

    /// How far the partition was mirrored of a topic of the same name that is gone.
    fn mirrored_of_old_topic(&self, partition: &SourcePartition) -> Option<(SourceOffset, Option<Uuid>)> {
        let gone = self.gone.get(&partition.topic)?;
        let status = gone.partitions.get(&partition.partition)?;
        Some((status.acknowledged_next(), gone.topic_id))
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

fn partition_count(topic: &Topic) -> i32 {
    i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)
}
