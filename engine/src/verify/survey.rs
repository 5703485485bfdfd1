//! Finds out what there is to compare: the topics the flow mirrors, their partitions and ranges, and what their settings
//! mean. Asks both clusters, reads no record.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use kmirror_protocol::client::offsets::{OffsetSpec, list_offsets_at};
use kmirror_protocol::client::{ClientError, Cluster, Metadata, Topic, admin};
use kmirror_protocol::wire::fetch::IsolationLevel;
use uuid::Uuid;

use super::Options;
use super::partition::Job;
use crate::commit::WrittenProgress;
use crate::ids::SourcePartition;
use crate::plan::{AutoOffsetReset, FlowPlan, Isolation, Outcome, SourceTopic, explain};

/// Why a topic's partitions cannot be compared one by one.
const SHARED_TARGET: &str =
    "other source topics are mirrored to the same target topic: whose its records are cannot be told";
/// The same.
const DEALT_OUT: &str =
    "its records are dealt out over the target's partitions by key: partitions cannot be compared one by one";

/// Finds out what there is to compare.
pub(super) struct Survey<'a> {
    pub(super) plan: &'a FlowPlan,
    pub(super) options: &'a Options,
    pub(super) source: &'a Cluster,
    pub(super) target: &'a Cluster,
    pub(super) progress: &'a WrittenProgress,
}

/// What the settings of a topic mean for comparing it.
#[derive(Debug, Clone, Copy, Default)]
struct Traits {
    compacts: bool,
    stamps: bool,
}

impl Survey<'_> {
    /// One job a partition, in the order of the topics' names.
    pub(super) async fn jobs(
        &self,
        at_source: &Metadata,
        at_target: &Metadata,
    ) -> Result<Vec<Job>, ClientError> {
        let pairs = self.topics(at_source);
        let source_names: Vec<Arc<str>> = pairs.iter().map(|(source, ..)| Arc::clone(source)).collect();
        let target_names: Vec<Arc<str>> = pairs
            .iter()
            .map(|(_, target, _)| Arc::clone(target))
            .filter(|name| at_target.topics.contains_key(name))
            .collect();
        let isolation = match self.plan.fetch.isolation {
            Isolation::ReadUncommitted => IsolationLevel::ReadUncommitted,
            Isolation::ReadCommitted => IsolationLevel::ReadCommitted,
        };
        let (source_traits, target_traits, ranges) = tokio::try_join!(
            traits(self.source, &source_names),
            traits(self.target, &target_names),
            self.ranges(at_source, &source_names, isolation),
        )?;
        let mut jobs = Vec::new();
        for (source_topic, target_topic, shared_target) in pairs {
            let Some(topic) = at_source.topics.get(&source_topic) else { continue };
            let of_source = source_traits.get(&source_topic).copied().unwrap_or_default();
            let of_target = target_traits.get(&target_topic).copied().unwrap_or_default();
            let mirror = at_target.topics.get(&target_topic);
            let obstacle = if shared_target { Some(SHARED_TARGET) } else { self.dealt_out(topic, mirror) };
            let mut indexes: BTreeSet<i32> = topic.partitions.iter().map(|one| one.index).collect();
            indexes.extend(mirror.iter().flat_map(|topic| &topic.partitions).map(|one| one.index));
            for partition in indexes {
                let key = SourcePartition { topic: Arc::clone(&source_topic), partition };
                let written = self.progress.get(&key);
                let other = |id: Uuid| topic.id.is_some_and(|now| now != id);
                let recreated = written.and_then(|progress| progress.topic_id).is_some_and(other);
                jobs.push(Job {
                    source: self.source.clone(),
                    target: self.target.clone(),
                    source_topic: Arc::clone(&source_topic),
                    target_topic: Arc::clone(&target_topic),
                    partition,
                    isolation,
                    source_range: ranges.get(&key).copied(),
                    at_source: topic.partition(partition).is_some(),
                    at_target: at_target.partition(&target_topic, partition).is_some(),
                    obstacle,
                    mirrored_to: written.map(|progress| progress.next.0).filter(|_| !recreated),
                    recreated,
                    began_late: self.plan.start == AutoOffsetReset::Latest,
                    source_compacts: of_source.compacts,
                    target_compacts: of_target.compacts,
                    target_stamps: of_target.stamps,
                    from: self.options.from,
                    to: self.options.to,
                    sample: self.options.sample,
                    seed: self.options.seed,
                });
            }
        }
        Ok(jobs)
    }

    /// Whether the topic's records go to target partitions by their keys: because that is wanted, or because the target
    /// adds no partitions, which shows in progress of partitions that it does not have.
    fn dealt_out(&self, topic: &Topic, mirror: Option<&Arc<Topic>>) -> Option<&'static str> {
        let lacks = |index: i32| mirror.is_some_and(|mirror| mirror.partition(index).is_none());
        let mirrored = |partition: i32| {
            self.progress.contains_key(&SourcePartition { topic: Arc::clone(&topic.name), partition })
        };
        let dealt = topic.partitions.iter().any(|one| lacks(one.index) && mirrored(one.index));
        (self.plan.deals_by_key || dealt).then_some(DEALT_OUT)
    }

    /// The topics that the flow mirrors and that were asked for, with their names at the target, and whether others
    /// have the same name there.
    fn topics(&self, at_source: &Metadata) -> Vec<(Arc<str>, Arc<str>, bool)> {
        let topics = SourceTopic::all(at_source, |topic| {
            self.progress.contains_key(&SourcePartition::first_of(topic))
        });
        let asked_for = |name: &str| self.options.topics.as_ref().is_none_or(|topics| topics.matches(name));
        let pairs: Vec<(Arc<str>, Arc<str>)> = explain(self.plan, &topics, None)
            .into_iter()
            .filter_map(|decision| match decision.outcome {
                Outcome::Mirrored { target_topic, .. } => {
                    Some((decision.source_topic.into(), target_topic.into()))
                }
                Outcome::NotMirrored(_) => None,
            })
            .collect();
        let mut names: HashMap<Arc<str>, usize> = HashMap::new();
        pairs.iter().for_each(|(_, target)| *names.entry(Arc::clone(target)).or_default() += 1);
        let shared = |target: &Arc<str>| names.get(target).is_some_and(|count| *count > 1);
        pairs
            .into_iter()
            .filter(|(source, _)| asked_for(source))
            .map(|(source, target)| {
                let shared = shared(&target);
                (source, target, shared)
            })
            .collect()
    }

    /// First offset and the one behind the last of every partition.
    async fn ranges(
        &self,
        at_source: &Metadata,
        topics: &[Arc<str>],
        isolation: IsolationLevel,
    ) -> Result<HashMap<SourcePartition, (i64, i64)>, ClientError> {
        let all: Vec<SourcePartition> = topics
            .iter()
            .filter_map(|name| at_source.topics.get(name))
            .flat_map(|topic| {
                let name = Arc::clone(&topic.name);
                topic.partitions.iter().map(move |partition| SourcePartition {
                    topic: Arc::clone(&name),
                    partition: partition.index,
                })
            })
            .collect();
        let ask = |spec: OffsetSpec| {
            let wanted: Vec<_> =
                all.iter().map(|one| (Arc::clone(&one.topic), one.partition, spec)).collect();
            async move { list_offsets_at(self.source, &wanted, isolation).await }
        };
        let (earliest, latest) = tokio::try_join!(ask(OffsetSpec::Earliest), ask(OffsetSpec::Latest))?;
        let mut ranges: HashMap<SourcePartition, (i64, i64)> = HashMap::new();
        for ((topic, partition), answer) in earliest {
            if let Ok(at) = answer {
                ranges.insert(SourcePartition { topic, partition }, (at.offset, at.offset));
            }
        }
        for ((topic, partition), answer) in latest {
            if let (Ok(at), Some(range)) = (answer, ranges.get_mut(&SourcePartition { topic, partition })) {
                range.1 = at.offset.max(range.0);
            }
        }
        Ok(ranges)
    }
}

/// What the topics' settings mean. A cluster that does not tell is taken to keep records as they are.
async fn traits(cluster: &Cluster, topics: &[Arc<str>]) -> Result<HashMap<Arc<str>, Traits>, ClientError> {
    if topics.is_empty() {
        return Ok(HashMap::new());
    }
    let described = admin::describe_topic_configs(cluster, topics).await?;
    let told = described.into_iter().filter_map(|(topic, answer)| {
        let config = answer.ok()?;
        let value = |name: &str| admin::config_value(&config, name);
        let traits = Traits {
            compacts: value("cleanup.policy").is_some_and(|policy| policy.contains("compact")),
            stamps: value("message.timestamp.type") == Some("LogAppendTime"),
        };
        Some((topic, traits))
    });
    Ok(told.collect())
}
