//! Compares what source and target hold of a flow's topics, partition by partition, while mirroring may go on.
//!
//! Writes nothing to any cluster. Each of `PARTITIONS_AT_ONCE` partitions holds two fetches and the fingerprints of the
//! batches that are open; where much differs also the windows of `compare` (`WINDOW_RECORDS`, `LOOSE_RECORDS_MAX`),
//! about 40 MB.

pub mod compare;
mod partition;
pub mod report;
mod stretch;
mod survey;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kmirror_protocol::client::ClientError;
use thiserror::Error;
use tokio::task::{JoinError, JoinSet};

use crate::clients::{cluster, first_look};
use crate::commit::read_progress;
use crate::config::origin::Origin;
use crate::filter::PatternList;
use crate::plan::FlowPlan;
use compare::finding::Counts;
use partition::Job;
use report::{FlowReport, PartitionReport};
use survey::Survey;

/// Partitions compared at the same time.
const PARTITIONS_AT_ONCE: usize = 4;

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

/// About how many source offsets a job compares, for the progress bar.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count of offsets")]
fn wanted_offsets(job: &Job) -> u64 {
    let (earliest, latest) = job.source_range.unwrap_or_default();
    let offsets = job.mirrored_to.unwrap_or(latest).clamp(earliest, latest) - earliest;
    (offsets as f64 * job.sample) as u64
}

/// Runs the jobs, a few at a time; their reports in the jobs' order.
async fn run_all(jobs: Vec<Job>, meter: &Arc<Meter>) -> Vec<PartitionReport> {
    // A task that ends badly must not leave its partition out of the report.
    let mut reports: Vec<PartitionReport> = jobs.iter().map(Job::without_result).collect();
    let mut running = JoinSet::new();
    let mut put = |ended: Option<Result<(usize, PartitionReport), JoinError>>| {
        let Some(Ok((number, report))) = ended else { return };
        if let Some(place) = reports.get_mut(number) {
            *place = report;
        }
    };
    for (number, job) in jobs.into_iter().enumerate() {
        if running.len() >= PARTITIONS_AT_ONCE {
            put(running.join_next().await);
        }
        let meter = Arc::clone(meter);
        running.spawn(async move {
            let report = partition::verify(&job, &meter).await;
            meter.partitions_done.fetch_add(1, Ordering::Relaxed);
            (number, report)
        });
    }
    while !running.is_empty() {
        put(running.join_next().await);
    }
    reports
}
