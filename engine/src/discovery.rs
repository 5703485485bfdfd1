//! Finds what is to be mirrored: lists the source's topics, creates what the target lacks, and hands new partitions
//! to the lane with the offset they begin at.
//!
//! Runs at start and at every `refresh.topics.interval.seconds`, without touching partitions that run. A topic that
//! cannot be mirrored is put down in the status with its reason and tried again the next time; the others go on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use kmirror_protocol::client::{ClientError, Cluster, Metadata, Topic, Topics};
use tracing::warn;
use uuid::Uuid;

use crate::clients::Clients;
use crate::commit::ProgressStore;
use crate::flow::partition::Assignment;
use crate::ids::{Identity, SourcePartition};
use crate::offsets::store::MapStore;
use crate::plan::{DeletionMode, FlowPlan, NotMirrored, Outcome, SourceTopic, TargetChange, explain};
use crate::share::shards::Shards;
use crate::status::{FlowStatus, PartitionStatus};

mod assign;
mod grow;
mod target;

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

/// Partitions remembered as handed out: beyond them each counts as one that was, and is written under an identity of its
/// own.
const HANDED_OUT_MAX: usize = 1_000_000;

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
    /// The same for topics that were gone since, until their partitions are handed out again, or are another process's.
    gone: HashMap<Arc<str>, Known>,
    /// All partitions that were handed out by this one, up to [`HANDED_OUT_MAX`]: the target may hold records of theirs
    /// under our identity.
    handed_out: HashSet<SourcePartition>,
    /// Decisions told to the log already.
    told: HashSet<String>,
    /// How often in a row the target may have refused to add partitions, by its topic.
    refusals: HashMap<Arc<str>, u32>,
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
    /// Records are dealt out by key over so many target partitions; unless the plan wants that, only those of partitions
    /// that are not mirrored one to one.
    deal_to: Option<i32>,
    /// Partitions from this index on wait: the target lacks theirs, and may add them yet.
    waiting_from: Option<i32>,
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
            handed_out: HashSet::new(),
            told: HashSet::new(),
            refusals: HashMap::new(),
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
        // Whoever runs them next comes further than what is known of them here.
        for known in self.gone.values_mut() {
            known.partitions.retain(|_, one| self.owned.has(&one.source));
        }
        self.gone.retain(|_, known| !known.partitions.is_empty());
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
        self.claim(&mut changes.assign, progress).await;
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
                        waiting_from: None,
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

    /// The partitions of a topic that are ours and not handed out yet, but for those that wait.
    fn new_partitions<'a>(&'a self, topic: &'a Wanted) -> impl Iterator<Item = SourcePartition> + 'a {
        let name = &topic.source.name;
        let known = self.known.get(name).map(|known| &known.partitions);
        topic
            .source
            .partitions
            .iter()
            .filter(move |one| known.is_none_or(|known| !known.contains_key(&one.index)))
            .filter(|one| topic.waiting_from.is_none_or(|from| one.index < from))
            .map(|one| SourcePartition { topic: Arc::clone(name), partition: one.index })
            .filter(|partition| self.owned.has(partition))
    }
}

fn partition_count(topic: &Topic) -> i32 {
    i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)
}
