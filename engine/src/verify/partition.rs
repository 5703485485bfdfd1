//! Compares one partition: finds where both sides begin, feeds the comparison from two readers, and ends it.
//!
//! The order of questions is what makes it sure while mirroring goes on. The flow's progress is read first, then the
//! target's end, then the source's: what progress tells of is at the target, and all that is at the target is at the
//! source. Decides nothing about records: that is `compare`.

use std::sync::Arc;
use std::time::Duration;

use kmirror_protocol::client::offsets::OffsetSpec;
use kmirror_protocol::client::{ClientError, Cluster};
use kmirror_protocol::wire::batch::Entry;
use kmirror_protocol::wire::fetch::IsolationLevel;
use tokio::time::Instant;

use super::compare::finding::{Finding, Findings, Kind, Span, Which};
use super::compare::{Comparison, Options, Outcome, Step, begin_alike, least_timestamp};
use super::report::PartitionReport;
use super::stretch::stretches;
use super::{Meter, Place};
use crate::error::chain;
use crate::read::PartitionReader;

/// How long the target may take to show records that it was told to hold, all waits of a partition together.
const CATCH_UP: Duration = Duration::from_secs(3);
/// The pause between two looks at the target's end.
const CATCH_UP_PAUSE: Duration = Duration::from_millis(200);
/// How often the target's end is moved on at most: a running mirror would be followed for ever.
const CATCH_UPS_MAX: u32 = 20;

/// What is known of a partition before it is read.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) source: Cluster,
    pub(super) target: Cluster,
    pub(super) source_topic: Arc<str>,
    pub(super) target_topic: Arc<str>,
    pub(super) partition: i32,
    /// The source's isolation level, as the flow reads it.
    pub(super) isolation: IsolationLevel,
    /// First offset at the source, and the one behind the last, when the verification began; none if the source
    /// does not tell.
    pub(super) source_range: Option<(i64, i64)>,
    /// The source has the partition.
    pub(super) at_source: bool,
    /// The target has the partition.
    pub(super) at_target: bool,
    /// Why it cannot be compared, if it cannot.
    pub(super) obstacle: Option<&'static str>,
    /// Source records before this are mirrored, by the flow's progress.
    pub(super) mirrored_to: Option<i64>,
    /// The target may hold records of a topic of the same name that is gone.
    pub(super) recreated: bool,
    /// The flow began with what was new then.
    pub(super) began_late: bool,
    pub(super) source_compacts: bool,
    pub(super) target_compacts: bool,
    /// The target puts its own timestamps.
    pub(super) target_stamps: bool,
    pub(super) from: Option<Place>,
    pub(super) to: Option<Place>,
    pub(super) sample: f64,
    pub(super) seed: u64,
}

impl Job {
    /// What is to be reported if nothing comes of it.
    pub(super) fn without_result(&self) -> PartitionReport {
        PartitionReport {
            source_topic: self.source_topic.to_string(),
            target_topic: self.target_topic.to_string(),
            partition: self.partition,
            mirrored_to: self.mirrored_to,
            timestamps_compared: true,
            error: Some("comparing it ended without a result; this is a defect of kmirror".to_owned()),
            ..PartitionReport::default()
        }
    }
}

/// A partition's work under way.
struct Work<'a> {
    job: &'a Job,
    meter: &'a Meter,
    source: PartitionReader,
    target: PartitionReader,
    report: PartitionReport,
    findings: Findings,
    /// Source and target offsets whose records are known to be partners' neighbours.
    known: Option<(i64, i64)>,
    patience: Duration,
    catch_ups: u32,
}

/// Compares a partition. What keeps it from that is told in the report.
pub(super) async fn verify(job: &Job, meter: &Meter) -> PartitionReport {
    let reader = |cluster: &Cluster, topic: &Arc<str>, isolation| {
        PartitionReader::new(cluster.clone(), Arc::clone(topic), job.partition, isolation)
    };
    let mut work = Work {
        job,
        meter,
        source: reader(&job.source, &job.source_topic, job.isolation),
        // What an aborted transaction of another mirror left there does not count.
        target: reader(&job.target, &job.target_topic, IsolationLevel::ReadCommitted),
        report: PartitionReport { error: None, ..job.without_result() },
        findings: Findings::default(),
        known: None,
        patience: CATCH_UP,
        catch_ups: 0,
    };
    if let Err(error) = work.run().await {
        work.report.error = Some(chain(&error));
    }
    let Work { source, target, mut report, findings, .. } = work;
    report.bytes = source.bytes + target.bytes;
    report.findings = findings.listed;
    report.findings_left_out = findings.left_out;
    report
}

impl Work<'_> {
    async fn run(&mut self) -> Result<(), ClientError> {
        if let Some(why) = self.job.obstacle {
            self.report.error = Some(why.to_owned());
            return Ok(());
        }
        if !self.job.at_source {
            return self.tell_surplus().await;
        }
        let Some((earliest, latest)) = self.job.source_range else {
            self.report.error = Some("the source does not tell the partition's offsets".to_owned());
            return Ok(());
        };
        // It may have been a while since the survey, and retention goes on.
        let earliest = self.source.earliest().await?.max(earliest);
        let latest = latest.max(earliest);
        let required_end = self.job.mirrored_to.unwrap_or(latest).clamp(earliest, latest);
        let from = self.resolve(self.job.from).await?.unwrap_or(earliest).clamp(earliest, required_end);
        let until = self.resolve(self.job.to).await?.unwrap_or(required_end).min(required_end);
        self.report.source_range = (from, until.max(from));
        if !self.job.at_target {
            self.tell_absence(from, until);
            return Ok(());
        }
        let target_earliest = self.target.earliest().await?;
        self.target.end = self.target.latest().await?;
        self.source.end = self.source.latest().await?;
        self.report.target_range = (target_earliest, target_earliest);
        self.known = (earliest == 0 && target_earliest == 0 && !self.job.recreated).then_some((0, 0));
        let partition = (&*self.job.source_topic, self.job.partition);
        for stretch in stretches((from, until.max(from)), self.job.sample, self.job.seed, partition) {
            self.stretch(stretch, (earliest, required_end), target_earliest).await?;
        }
        Ok(())
    }

    async fn resolve(&self, place: Option<Place>) -> Result<Option<i64>, ClientError> {
        match place {
            None => Ok(None),
            Some(Place::Offset(offset)) => Ok(Some(offset)),
            Some(Place::Timestamp(timestamp)) => {
                let found = self.source.offset(OffsetSpec::Timestamp(timestamp)).await?;
                Ok(Some(found.unwrap_or(i64::MAX)))
            }
        }
    }

    /// The target has no such partition: all of it is missing, counted by its offsets.
    fn tell_absence(&mut self, from: i64, until: i64) {
        let Some(records) = u64::try_from(until - from).ok().filter(|records| *records > 0) else { return };
        self.report.counts.missing = records;
        let source = Span { first: from, last: until - 1 };
        self.findings.listed.push(Finding { kind: Kind::Missing, source, target: Span::at(0), records });
    }

    /// The source has no such partition: all of it is extra, counted by its offsets.
    async fn tell_surplus(&mut self) -> Result<(), ClientError> {
        let (earliest, latest) = tokio::try_join!(self.target.earliest(), self.target.latest())?;
        self.report.target_range = (earliest, latest.max(earliest));
        let Some(records) = u64::try_from(latest - earliest).ok().filter(|records| *records > 0) else {
            return Ok(());
        };
        self.report.counts.extra = records;
        let target = Span { first: earliest, last: latest - 1 };
        self.findings.listed.push(Finding { kind: Kind::Extra, source: Span::at(0), target, records });
        Ok(())
    }

    /// Compares the source offsets `[from, until)`.
    async fn stretch(
        &mut self,
        (from, until): (i64, i64),
        (source_earliest, required_end): (i64, i64),
        target_earliest: i64,
    ) -> Result<(), ClientError> {
        let job = self.job;
        let open_start = from > source_earliest;
        let open_end = until < required_end;
        let mut options = Options {
            source_from: from,
            source_until: if open_end { until } else { i64::MAX },
            target_from: target_earliest,
            required_end: until,
            source_starts_late: source_earliest > 0 || job.recreated,
            target_starts_late: target_earliest > 0 || job.began_late,
            open_start,
            open_end,
            source_compacts: job.source_compacts,
            target_compacts: job.target_compacts,
        };
        let (source, target) = self.begin(&mut options, target_earliest).await?;
        let mut comparison = Comparison::new(options);
        source.into_iter().for_each(|entry| comparison.push(Which::Source, entry));
        target.into_iter().for_each(|entry| comparison.push(Which::Target, entry));
        self.feed(&mut comparison, from, until).await?;
        let mut outcome = comparison.finish();
        // What was passed over by timestamp counts as what was passed over record by record.
        let passed = |span: Option<Span>, first: i64, begun: i64| match span {
            Some(span) => Some(Span { first: span.first.min(first), ..span }),
            None => (first < begun).then_some(Span { first, last: begun - 1 }),
        };
        if !open_start {
            outcome.expired_at_target = passed(outcome.expired_at_target, from, options.source_from);
            outcome.expired_at_source =
                passed(outcome.expired_at_source, target_earliest, options.target_from);
        }
        self.add(outcome);
        Ok(())
    }

    fn add(&mut self, outcome: Outcome) {
        self.known = Some((outcome.source_next, outcome.target_next));
        let report = &mut self.report;
        report.counts.add(&outcome.counts);
        report.target_range.1 = report.target_range.1.max(outcome.target_next);
        report.timestamps_compared &= outcome.timestamps_compared;
        report.expired_at_target = report.expired_at_target.or(outcome.expired_at_target);
        report.expired_at_source = report.expired_at_source.or(outcome.expired_at_source);
        self.findings.extend(outcome.findings);
        self.meter.found(&outcome.counts);
    }

    /// Sets both readers to where the comparison begins, and returns what was read to find that out.
    async fn begin(
        &mut self,
        options: &mut Options,
        target_earliest: i64,
    ) -> Result<(Vec<Entry>, Vec<Entry>), ClientError> {
        self.source.next = options.source_from;
        self.target.next = options.target_from;
        let mut first = self.source.read().await?;
        if options.open_start {
            let least = self.known.map_or(target_earliest, |known| known.1).max(target_earliest);
            if let Some(target) = self.guess(options, least, &first).await? {
                return Ok((first, target));
            }
            options.target_from = self.by_time(&first, options.source_from, least).await?;
        } else {
            let target = if options.target_starts_late && !self.job.target_stamps && target_earliest > 0 {
                self.target.read().await?
            } else {
                Vec::new()
            };
            if options.source_starts_late {
                options.target_from = self.by_time(&first, options.source_from, target_earliest).await?;
            }
            if let Some(timestamp) = least_timestamp(&target, target_earliest) {
                let at = self.source.offset(OffsetSpec::Timestamp(timestamp)).await?;
                let at = at.unwrap_or(self.source.end);
                if at > self.source.next {
                    options.source_from = at;
                    self.source.next = at;
                    first = Vec::new();
                }
                options.source_from = options.source_from.max(at);
            }
        }
        self.target.next = options.target_from;
        Ok((first, Vec::new()))
    }

    /// Where the target stands if the source has no gaps since the last known place: most often it is right. Returns
    /// what stands there if that is so.
    async fn guess(
        &mut self,
        options: &mut Options,
        least: i64,
        source: &[Entry],
    ) -> Result<Option<Vec<Entry>>, ClientError> {
        let Some((source_known, target_known)) = self.known else { return Ok(None) };
        let guess = target_known.saturating_add(options.source_from - source_known);
        if guess < least || guess >= self.target.end {
            return Ok(None);
        }
        self.target.next = guess;
        let target = self.target.read().await?;
        let alike = begin_alike((source, options.source_from), (&target, guess), !self.job.target_stamps);
        if alike {
            options.target_from = guess;
        }
        Ok(alike.then_some(target))
    }

    /// A target offset at or before the partners of these source records: the first record at least as young. Where
    /// the target stamps records itself its times tell nothing.
    async fn by_time(&self, source: &[Entry], source_from: i64, least: i64) -> Result<i64, ClientError> {
        let timestamp = least_timestamp(source, source_from).filter(|_| !self.job.target_stamps);
        let Some(timestamp) = timestamp else { return Ok(least) };
        let found = self.target.offset(OffsetSpec::Timestamp(timestamp)).await?;
        Ok(found.unwrap_or(self.target.end).max(least))
    }

    async fn feed(&mut self, comparison: &mut Comparison, from: i64, until: i64) -> Result<(), ClientError> {
        let mut done = from;
        loop {
            match comparison.step() {
                Step::Done => break,
                Step::Need(_) if comparison.wants_both() && self.source.next < comparison.source_until() => {
                    let (source, target) = tokio::try_join!(self.source.read(), self.target.read())?;
                    if source.is_empty() {
                        comparison.end(Which::Source);
                    }
                    source.into_iter().for_each(|entry| comparison.push(Which::Source, entry));
                    // The target's end is decided about when it is needed.
                    target.into_iter().for_each(|entry| comparison.push(Which::Target, entry));
                }
                Step::Need(Which::Source) => {
                    let entries = if self.source.next < comparison.source_until() {
                        self.source.read().await?
                    } else {
                        Vec::new()
                    };
                    give(comparison, Which::Source, entries);
                }
                Step::Need(Which::Target) => {
                    let entries = self.target.read().await?;
                    if !(entries.is_empty() && self.has_grown(comparison).await?) {
                        give(comparison, Which::Target, entries);
                    }
                }
            }
            let now = self.source.next.clamp(done, until.max(done));
            self.meter.went(now - done);
            done = now;
        }
        self.meter.went(until - done);
        Ok(())
    }

    /// At the target's end, with source records left that must be there: waits a little for them. Says whether there
    /// is more to be read.
    async fn has_grown(&mut self, comparison: &mut Comparison) -> Result<bool, ClientError> {
        if self.catch_ups >= CATCH_UPS_MAX {
            return Ok(false);
        }
        while comparison.expects_more() {
            let latest = self.target.latest().await?;
            if latest > self.target.end {
                self.catch_ups += 1;
                self.target.end = latest;
                // What came to the target came to the source before.
                self.source.end = self.source.latest().await?.max(self.source.end);
                comparison.go_on(Which::Source);
                return Ok(true);
            }
            if self.patience.is_zero() {
                break;
            }
            let since = Instant::now();
            tokio::time::sleep(CATCH_UP_PAUSE.min(self.patience)).await;
            self.patience = self.patience.saturating_sub(since.elapsed());
        }
        Ok(false)
    }
}

fn give(comparison: &mut Comparison, which: Which, entries: Vec<Entry>) {
    if entries.is_empty() {
        comparison.end(which);
    }
    entries.into_iter().for_each(|entry| comparison.push(which, entry));
}
