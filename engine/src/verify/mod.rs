//! Compares what source and target hold of a flow's topics, partition by partition, while mirroring may go on.
//!
//! Writes nothing to any cluster. Each of `PARTITIONS_AT_ONCE` partitions holds two fetches and the fingerprints of the
//! batches that are open; where much differs also the windows of `compare` (`WINDOW_RECORDS`, `LOOSE_RECORDS_MAX`),
//! about 40 MB.

pub mod compare;
mod partition;
mod read;
pub mod report;
mod stretch;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kmirror_protocol::client::offsets::{OffsetSpec, list_offsets_at};
use kmirror_protocol::client::{ClientError, Cluster, Metadata, Topic, Topics, admin};
use kmirror_protocol::wire::fetch::IsolationLevel;
use thiserror::Error;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::clients::cluster;
use crate::commit::{WrittenProgress, read_progress};
use crate::config::origin::Origin;
use crate::filter::PatternList;
use crate::ids::SourcePartition;
use crate::plan::{AutoOffsetReset, FlowPlan, Isolation, Outcome, SourceTopic, explain};
use compare::finding::Counts;
use partition::Job;
use report::{FlowReport, PartitionReport};

/// Partitions compared at the same time.
const PARTITIONS_AT_ONCE: usize = 4;
/// How long a cluster may take to answer at the start: somebody is waiting.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// A place in the source's logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// This offset in every partition.
    Offset(i64),
    /// The first record at least as young, in milliseconds since 1970.
    Timestamp(i64),
}

/// What is to be compared.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only source topics whose whole name matches.
    pub topics: Option<TopicPattern>,
    /// The share of each partition to compare, above 0 and at most 1.
    pub sample: f64,
    /// Which share: another number takes others.
    pub seed: u64,
    /// Where to begin; the beginning if not given.
    pub from: Option<Place>,
    /// Where to end, exclusive; what is mirrored if not given.
    pub to: Option<Place>,
}

/// A Java regular expression for topic names, or a list of them behind commas, as the option `topics` takes it.
#[derive(Debug, Clone)]
pub struct TopicPattern(PatternList);

impl TopicPattern {
    /// Compiles it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let items: Vec<String> =
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect();
        let compiled = PatternList::compile(&items, &Origin::Argument { name: "--topics" });
        compiled.map(Self).map_err(|errors| {
            let told: Vec<String> =
                errors.iter().map(|(pattern, error)| format!("`{pattern}`: {error}")).collect();
            told.join("; ")
        })
    }

    fn matches(&self, topic: &str) -> bool {
        matches!(self.0.find(topic), Ok(Some(_)))
    }
}

/// Why a flow cannot be compared at all.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A cluster does not answer or refuses.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The flow's progress cannot be read.
    #[error("the flow's progress cannot be read")]
    Progress(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How far a verification is. Readable at any time.
#[derive(Debug, Default)]
pub struct Meter {
    wanted: AtomicU64,
    done: AtomicU64,
    matched: AtomicU64,
    differences: AtomicU64,
    partitions: AtomicU64,
    partitions_done: AtomicU64,
}

impl Meter {
    /// Source offsets to compare, and how many of them are done.
    pub fn offsets(&self) -> (u64, u64) {
        (self.wanted.load(Ordering::Relaxed), self.done.load(Ordering::Relaxed))
    }

    /// Partitions to compare, and how many of them are done.
    pub fn partitions(&self) -> (u64, u64) {
        (self.partitions.load(Ordering::Relaxed), self.partitions_done.load(Ordering::Relaxed))
    }

    /// Differences in the stretches that are done.
    pub fn differences(&self) -> u64 {
        self.differences.load(Ordering::Relaxed)
    }

    /// Records found the same in the stretches that are done.
    pub fn matched(&self) -> u64 {
        self.matched.load(Ordering::Relaxed)
    }

    fn went(&self, offsets: i64) {
        self.done.fetch_add(u64::try_from(offsets).unwrap_or(0), Ordering::Relaxed);
    }

    fn found(&self, counts: &Counts) {
        self.matched.fetch_add(counts.matched, Ordering::Relaxed);
        self.differences.fetch_add(counts.differences(), Ordering::Relaxed);
    }
}

/// Compares a flow's partitions.
///
/// # Errors
/// When a cluster cannot be asked what there is. What concerns one partition is told in its report.
pub async fn verify(
    plan: &FlowPlan,
    options: &Options,
    meter: &Arc<Meter>,
) -> Result<FlowReport, VerifyError> {
    let source = cluster(&plan.source, &plan.source_client, PARTITIONS_AT_ONCE, None);
    let target = cluster(&plan.target, &plan.target_client, PARTITIONS_AT_ONCE, None);
    let (at_source, at_target) = tokio::try_join!(first_look(&source), first_look(&target))?;
    // Progress before any offset: what it tells of is there whenever we look.
    let progress = read_progress(plan, &target, &at_target)
        .await
        .map_err(|error| VerifyError::Progress(Box::new(error)))?;
    let jobs = Survey { plan, options, source: &source, target: &target, progress: &progress }
        .jobs(&at_source, &at_target)
        .await?;
    meter.partitions.fetch_add(jobs.len() as u64, Ordering::Relaxed);
    let wanted: u64 = jobs.iter().map(wanted_offsets).sum();
    meter.wanted.fetch_add(wanted, Ordering::Relaxed);
    Ok(FlowReport {
        source: plan.source.to_string(),
        target: plan.target.to_string(),
        partitions: run_all(jobs, meter).await,
        sample: options.sample,
    })
}

async fn first_look(cluster: &Cluster) -> Result<Arc<Metadata>, ClientError> {
    let silent = || ClientError::Deadline {
        cluster: Arc::clone(cluster.alias()),
        doing: "asking for its topics",
        after: ANSWER_WITHIN,
    };
    let asked = tokio::time::timeout(ANSWER_WITHIN, cluster.refresh(Topics::All)).await;
    asked.unwrap_or_else(|_| Err(silent()))
}

/// About how many source offsets a job compares, for the progress bar.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count of offsets")]
fn wanted_offsets(job: &Job) -> u64 {
    let (earliest, latest) = job.source_range.unwrap_or_default();
    let offsets = job.mirrored_to.unwrap_or(latest).clamp(earliest, latest) - earliest;
    (offsets as f64 * job.sample) as u64
}

/// Runs the jobs, a few at a time; their reports in the jobs' order.
async fn run_all(jobs: Vec<Job>, meter: &Arc<Meter>) -> Vec<PartitionReport> {
    let mut reports: BTreeMap<usize, PartitionReport> = BTreeMap::new();
    let mut running = JoinSet::new();
    for (number, job) in jobs.into_iter().enumerate() {
        if running.len() >= PARTITIONS_AT_ONCE
            && let Some(Ok((number, report))) = running.join_next().await
        {
            reports.insert(number, report);
        }
        let meter = Arc::clone(meter);
        running.spawn(async move {
            let report = partition::verify(&job, &meter).await;
            meter.partitions_done.fetch_add(1, Ordering::Relaxed);
            (number, report)
        });
    }
    while let Some(ended) = running.join_next().await {
        reports.extend(ended.ok());
    }
    reports.into_values().collect()
}

/// Why a topic's partitions cannot be compared one by one.
const SHARED_TARGET: &str =
    "other source topics are mirrored to the same target topic: whose its records are cannot be told";
/// The same.
const DEALT_OUT: &str =
    "its records are dealt out over the target's partitions by key: partitions cannot be compared one by one";

/// Finds out what there is to compare.
struct Survey<'a> {
    plan: &'a FlowPlan,
    options: &'a Options,
    source: &'a Cluster,
    target: &'a Cluster,
    progress: &'a WrittenProgress,
}

/// What the settings of a topic mean for comparing it.
#[derive(Debug, Clone, Copy, Default)]
struct Traits {
    compacts: bool,
    stamps: bool,
}

impl Survey<'_> {
    async fn jobs(&self, at_source: &Metadata, at_target: &Metadata) -> Result<Vec<Job>, ClientError> {
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
        let first = |topic: &Arc<str>| SourcePartition { topic: Arc::clone(topic), partition: 0 };
        let topics: Vec<SourceTopic<'_>> = at_source
            .topics
            .values()
            .filter(|topic| topic.error.is_none())
            .map(|topic| SourceTopic {
                name: &topic.name,
                partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
                internal: topic.internal,
                mirrored_before: self.progress.contains_key(&first(&topic.name)),
            })
            .collect();
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
        let value = |name: &str| {
            config.iter().find(|entry| *entry.name == *name).and_then(|entry| entry.value.as_deref())
        };
        let traits = Traits {
            compacts: value("cleanup.policy").is_some_and(|policy| policy.contains("compact")),
            stamps: value("message.timestamp.type") == Some("LogAppendTime"),
        };
        Some((topic, traits))
    });
    Ok(told.collect())
}
