//! One run from start to verdict: clusters, load, kmirror processes, the plan carried out, and the judges asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};

use crate::cache::scratch;
use crate::faults::figures::{Content, Entry, LAG_BOUND_SECONDS, Run};
use crate::faults::fleet::{Mirror, properties};
use crate::faults::load::{Load, Produced};
use crate::faults::plan::{Fault, Lane, Planned, plan};
use crate::faults::trouble::{Brokers, Links, Outcome, Patient, Topics, revive};
use crate::faults::world::{self, Means, NUMBERED, PARTITIONS, Site, TRANSACTIONS};
use crate::kafka::Version;
use crate::oracle;
use crate::proxy::Link;

/// How long the target may take to hold everything once all is healed and the load has ended.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(180);
/// How often a waiting lane looks after what it is responsible for.
const TEND_EVERY: Duration = Duration::from_millis(200);
/// Between two faults of a cluster's brokers or of a process at least, also where healing took longer than planned:
/// followers catch up, and a process has come as far as to obey signals.
const REST_MIN: Duration = Duration::from_secs(4);
/// A fault that would come later than planned by more is left out: on a slow machine there would be no calm any more.
const LATE_MAX: Duration = Duration::from_secs(3);
/// Lines of a process's log that are shown when a promise was broken.
const TAIL_LINES: usize = 40;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides the plan and the load.
    pub seed: u64,
    /// How long faults happen.
    pub length: Duration,
    /// kmirror processes.
    pub processes: usize,
    /// Numbered records a second.
    pub rate: u32,
    /// No record may be there twice, whatever happened.
    pub exact: bool,
    /// kmirror writes in transactions, and the target is read as readers of committed records do.
    pub transactional: bool,
    /// Release of the source.
    pub source: Version,
    /// Release of the target.
    pub target: Version,
}

/// Carries out the plan of `options` and judges the target. An error is a trouble of the test itself.
pub fn run(options: &Options) -> Result<Run> {
    let diary = Diary::default();
    let means = Means::find();
    let (mut source, mut target) = world::start(options.source, options.target, &means)?;
    diary.say("the clusters run");
    let directory = scratch("faults")?;
    let load = Load::start(&source.near, &target.near, options.rate, options.seed, &directory)?;
    let file = properties(&source, &target, options.transactional).write(&directory)?;
    let mut mirrors = (0..options.processes)
        .map(|number| Mirror::start(number, &file, &directory, &means))
        .collect::<Result<Vec<_>>>()?;
    wait_for_begin(&target, &mut mirrors)?;
    diary.say("load and mirror run");

    let planned = plan(options.seed, options.length, options.processes);
    carry_out_all(&planned, options.length, &mut source, &mut target, &mut mirrors, &means, &diary)?;
    let mut ended_brokers = 0;
    for site in [&mut source, &mut target] {
        site.links.values().for_each(|link| link.set(Link::default()));
        let ended = revive(&mut site.cluster)?;
        ended_brokers += ended.len();
        for broker in ended {
            diary.say(&format!("{} {broker} had ended by itself; started again", site.side));
        }
    }
    diary.say("everything is healed");
    let ledger = load.stop().with_context(|| tails(&mirrors))?;
    let (caught_up_ms, missing_ends) = catch_up(&source, &target, &mut mirrors)?;
    if !missing_ends.is_empty() {
        diary.say(&tails(&mirrors));
    }
    let produced = load.finish(ledger)?;
    for mirror in &mut mirrors {
        mirror.finish()?;
    }
    diary.say("the load has ended, and the target holds it; judging");
    judge(
        options,
        Judged {
            source,
            target,
            produced,
            mirrors,
            diary,
            directory,
            caught_up_ms,
            missing_ends,
            ended_brokers,
        },
    )
}

struct Judged {
    source: Site,
    target: Site,
    produced: Produced,
    mirrors: Vec<Mirror>,
    diary: Diary,
    /// Where the logs are.
    directory: PathBuf,
    caught_up_ms: Option<u64>,
    missing_ends: Vec<String>,
    ended_brokers: usize,
}

fn judge(options: &Options, run: Judged) -> Result<Run> {
    let (source, target) = (&run.source.near, &run.target.near);
    let content = |topic: &str, isolation: &str| -> Result<Content> {
        let answer = oracle::ask("verify", &[source, topic, target, topic, "--isolation", isolation])?;
        fs::write(run.directory.join(format!("verify-{topic}.json")), answer.to_string())?;
        Content::parse(&answer).with_context(|| format!("verify.py said: {answer}"))
    };
    let read_as = if options.transactional { "read_committed" } else { "read_uncommitted" };
    let partitions = u64::from(PARTITIONS.unsigned_abs());
    let offences = run.mirrors.iter().flat_map(|mirror| mirror.offences.clone()).collect();
    Ok(Run {
        seed: options.seed,
        seconds: options.length.as_secs(),
        processes: options.processes,
        exact: options.exact,
        versions: (options.source.name().to_owned(), options.target.name().to_owned()),
        entries: run.diary.entries.into_inner().unwrap_or_else(PoisonError::into_inner),
        lags: if options.transactional { Vec::new() } else { run.produced.lags },
        lag_bound: LAG_BOUND_SECONDS * u64::from(options.rate) / partitions,
        caught_up_ms: run.caught_up_ms,
        missing_ends: run.missing_ends,
        numbered: content(NUMBERED, read_as)?,
        transactions: content(TRANSACTIONS, "read_committed")?,
        whole: oracle::ask("whole", &[target, TRANSACTIONS, path(&run.produced.file)?])?,
        ledger: run.produced.ledger,
        offences,
        gave_up: run.mirrors.iter().map(|mirror| mirror.gave_up).sum(),
        ended_brokers: run.ended_brokers,
    })
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

fn tails(mirrors: &[Mirror]) -> String {
    mirrors.iter().map(|mirror| mirror.tail(TAIL_LINES)).collect::<Vec<_>>().join("\n--\n")
}

fn wait_for_begin(target: &Site, mirrors: &mut [Mirror]) -> Result<()> {
    let begun = Instant::now();
    // A topic that was just made is unknown to some brokers for a while.
    while oracle::offsets_held(&target.near, NUMBERED).unwrap_or(0) == 0 {
        if begun.elapsed() > CATCH_UP_WITHIN {
            bail!("the mirror does not begin\n{}", tails(mirrors));
        }
        mirrors.iter_mut().try_for_each(Patient::tend)?;
    }
    Ok(())
}

/// Milliseconds until the last record of every partition was at the target; else the partitions that lack it.
fn catch_up(source: &Site, target: &Site, mirrors: &mut [Mirror]) -> Result<(Option<u64>, Vec<String>)> {
    let begun = Instant::now();
    loop {
        mirrors.iter_mut().try_for_each(Patient::tend)?;
        // In pieces, so that a process that gave up its start is started again.
        let answer =
            oracle::ask("ends", &[&source.near, &target.near, NUMBERED, TRANSACTIONS, "--seconds", "10"])?;
        let missing = answer["missing"].as_array().context("ends.py did not say what is missing")?;
        if missing.is_empty() {
            return Ok((Some(u64::try_from(begun.elapsed().as_millis())?), Vec::new()));
        }
        if begun.elapsed() > CATCH_UP_WITHIN {
            return Ok((None, missing.iter().filter_map(|place| Some(place.as_str()?.to_owned())).collect()));
        }
    }
}

/// Every lane on a thread of its own.
fn carry_out_all(
    planned: &[Planned],
    length: Duration,
    source: &mut Site,
    target: &mut Site,
    mirrors: &mut [Mirror],
    means: &Means,
    diary: &Diary,
) -> Result<()> {
    let begun = Instant::now();
    let (near_source, near_target) = (source.near.clone(), target.near.clone());
    let topics = Topics { source: &near_source, target: &near_target };
    let mut lanes: Vec<(Lane, Box<dyn Patient + Send + '_>)> = vec![(Lane::Topics, Box::new(topics))];
    for site in [source, target] {
        let Site { side, cluster, links, passwords, .. } = site;
        lanes.push((Lane::Brokers(*side), Box::new(Brokers { cluster, means })));
        lanes.push((Lane::Links(*side), Box::new(Links(links))));
        lanes.push((Lane::Passwords(*side), Box::new(passwords)));
    }
    for (number, mirror) in mirrors.iter_mut().enumerate() {
        lanes.push((Lane::Mirror(number), Box::new(mirror)));
    }
    thread::scope(|scope| {
        let started: Vec<_> = lanes
            .into_iter()
            .map(|(lane, mut patient)| {
                let faults: Vec<Planned> =
                    planned.iter().copied().filter(|one| one.fault.lane() == lane).collect();
                scope.spawn(move || {
                    carry_out(&faults, begun, length, patient.as_mut(), diary)
                        .with_context(|| format!("{lane:?}"))
                })
            })
            .collect();
        started
            .into_iter()
            .try_for_each(|lane| lane.join().unwrap_or_else(|_| Err(anyhow!("a lane panicked"))))
    })
}

/// One fault after the other. When healing takes longer than planned, the next one comes later or not at all.
fn carry_out(
    planned: &[Planned],
    begun: Instant,
    length: Duration,
    patient: &mut dyn Patient,
    diary: &Diary,
) -> Result<()> {
    let mut rested = begun;
    for planned in planned {
        wait(rested.max(begun + planned.at), patient)?;
        let fault = planned.fault;
        if begun.elapsed() > planned.at + LATE_MAX {
            diary.enter(Entry {
                fault,
                healed: now(),
                skipped: Some("healing another took too long".to_owned()),
            });
            continue;
        }
        let outcome = patient.inject(fault).with_context(|| fault.to_string())?;
        if let Outcome::Skipped(reason) = outcome {
            diary.say(&format!("left out: {fault}: {reason}"));
            diary.enter(Entry { fault, healed: now(), skipped: Some(reason) });
            continue;
        }
        diary.say(&fault.to_string());
        if !planned.lasts.is_zero() {
            // Nothing is tended: what is killed or paused shall be.
            thread::sleep(planned.lasts);
            patient.heal(fault).with_context(|| format!("healing {fault}"))?;
            diary.say(&format!("healed: {fault}"));
            if matches!(fault, Fault::Broker(..) | Fault::Mirror(..)) {
                rested = Instant::now() + REST_MIN;
            }
        }
        diary.enter(Entry { fault, healed: now(), skipped: None });
    }
    wait(begun + length, patient)
}

fn wait(until: Instant, patient: &mut dyn Patient) -> Result<()> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(TEND_EVERY));
        patient.tend()?;
    }
}

/// Milliseconds since 1970, as the look at the lag tells them.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What happened, told as it happens.
struct Diary {
    begun: Instant,
    entries: Mutex<Vec<Entry>>,
}

impl Default for Diary {
    fn default() -> Self {
        Self { begun: Instant::now(), entries: Mutex::new(Vec::new()) }
    }
}

impl Diary {
    fn say(&self, what: &str) {
        eprintln!("{:7.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    fn enter(&self, entry: Entry) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }
}
