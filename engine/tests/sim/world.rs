//! The whole of it: two clusters, mirrors between them, what is on its way, and the clock that all go by.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use kmirror_engine::flow::event::{Cause, Event, Question};
use kmirror_engine::ids::{Identity, SourceOffset};
use kmirror_engine::print::Printer;
use kmirror_protocol::wire::record::Limits;
use kmirror_protocol::wire::reencode::Reencoder;
use kmirror_sandbox::{SandboxOptions, Still, TopicSpec};

use crate::dice::Dice;
use crate::judge::Held;
use crate::log::Log;
use crate::mirror::{Inquiry, Kept, Mirror};
use crate::weather::Weather;
use crate::wire::Connection;

pub(crate) const SOURCE_TOPIC: &str = "source";
pub(crate) const TARGET_TOPIC: &str = "target";
/// Milliseconds since 1970 when a run begins.
const EPOCH_MS: u64 = 1_700_000_000_000;
/// How long a mirror may take to say that records may be there twice: where late requests came before its own, it knows by the
/// answer.
const TOLD_WITHIN: Duration = Duration::from_secs(10);
/// Steps of a run in which everything may happen.
const STORMY_STEPS: u64 = 4_000;
/// Once nothing happens any more, a mirror that is not at the end goes on within this time.
const STANDSTILL: Duration = Duration::from_secs(120);

/// Something that is due.
pub(crate) enum What {
    /// A connection's next request comes to its broker.
    Arrive(u64),
    /// A connection's next answer comes to its mirror.
    Answer(u64),
    Opened(u64),
    Closed(u64, Cause),
    /// A question comes to its cluster.
    Ask(u64, Inquiry),
    Tell(u64, Event),
    Wake(u64),
    /// A mirror writes down how far it is.
    Flush(u64),
    Written(u64, Vec<Kept>),
    /// And what it wrote about a new identity is written.
    Claimed(u64, Question, Identity, (i32, SourceOffset)),
    /// A mirror starts.
    Start,
    Nature,
}

struct Due {
    at: Duration,
    number: u64,
    what: What,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) weather: Weather,
    pub(crate) now: Duration,
    pub(crate) calm: bool,
    begin: Instant,
    due: BinaryHeap<Due>,
    number: u64,
    pub(crate) source: Still,
    pub(crate) target: Still,
    pub(crate) logs: Vec<Log>,
    pub(crate) held: Vec<Held>,
    pub(crate) mirrors: BTreeMap<u64, Mirror>,
    /// Numbers for mirrors and connections.
    pub(crate) lives: u64,
    /// The mirror that started last.
    pub(crate) newest: u64,
    pub(crate) connections: BTreeMap<u64, Connection>,
    pub(crate) reencoder: Reencoder,
    pub(crate) printer: Printer,
    /// What is written down at the target, by partition.
    pub(crate) progress: BTreeMap<i32, Kept>,
    /// Records that mirrors that are no more said may be there twice.
    pub(crate) announced: u64,
    /// Since when more are there twice than was said.
    unannounced_since: Option<Duration>,
    /// When each target partition was appended to last.
    pub(crate) appended_at: Vec<Duration>,
    /// A log of the target was.
    pub(crate) was_cut_off: bool,
    pub(crate) figures: BTreeMap<&'static str, u64>,
    trace: u64,
    loud: bool,
}

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) steps: u64,
    /// The same for the same run only.
    pub(crate) trace: u64,
    pub(crate) figures: BTreeMap<&'static str, u64>,
}

impl World {
    pub(crate) fn new(seed: u64, loud: bool) -> Self {
        let mut dice = Dice::new(seed);
        let weather = Weather::new(&mut dice);
        if loud {
            eprintln!("{weather:#?}");
        }
        let cluster = |seed| {
            let options = SandboxOptions {
                brokers: weather.brokers,
                default_replication_factor: weather.brokers.cast_signed(),
                auto_create: false,
                seed: Some(seed),
                ..SandboxOptions::default()
            };
            Still::new(options)
        };
        let (source, target) = (cluster(1), cluster(2));
        source.direct().create_topic(&TopicSpec::new(SOURCE_TOPIC, weather.partitions)).unwrap();
        target.direct().create_topic(&TopicSpec::new(TARGET_TOPIC, weather.partitions)).unwrap();
        let mut world = Self {
            dice,
            now: Duration::ZERO,
            calm: false,
            begin: Instant::now(),
            due: BinaryHeap::new(),
            number: 0,
            source,
            target,
            logs: Vec::new(),
            held: Vec::new(),
            mirrors: BTreeMap::new(),
            lives: 0,
            newest: 0,
            connections: BTreeMap::new(),
            reencoder: Reencoder::new(Limits { max_decompressed_bytes: 16 << 20 }),
            printer: Printer::default(),
            progress: BTreeMap::new(),
            announced: 0,
            unannounced_since: None,
            appended_at: Vec::new(),
            was_cut_off: false,
            figures: BTreeMap::new(),
            trace: seed,
            loud,
            weather,
        };
        world.add_partitions(world.weather.partitions);
        world.later(Duration::ZERO, What::Start);
        world.later(Duration::ZERO, What::Nature);
        world
    }

    pub(crate) fn add_partitions(&mut self, count: i32) {
        let count = usize::try_from(count).unwrap();
        self.logs.resize_with(count, Log::default);
        self.held.resize_with(count, Held::default);
        self.appended_at.resize(count, self.now);
    }

    pub(crate) fn instant(&self) -> Instant {
        self.begin + self.now
    }

    pub(crate) fn since(&self, instant: Instant) -> Duration {
        instant - self.begin
    }

    pub(crate) fn later(&mut self, after: Duration, what: What) {
        self.at(self.now + after, what);
    }

    pub(crate) fn at(&mut self, at: Duration, what: What) {
        self.number += 1;
        self.due.push(Due { at, number: self.number, what });
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.figures.entry(what).or_default() += 1;
    }

    /// For whoever looks at one seed.
    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.loud {
            eprintln!("{:>12.6} {}", self.now.as_secs_f64(), what());
        }
    }

    pub(crate) fn mix(&mut self, number: u64) {
        self.trace = (self.trace ^ number).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(17);
    }

    /// Runs to the end; fails when anything is wrong on the way or in the end.
    pub(crate) fn run(mut self) -> Outcome {
        let mut steps = 0;
        while steps < STORMY_STEPS {
            self.step();
            steps += 1;
        }
        self.calm_down();
        let (mut until, mut before) = (self.now + STANDSTILL, 0);
        while !self.is_done() {
            let mirrored = self.mirrored();
            if mirrored != before {
                (until, before) = (self.now + STANDSTILL, mirrored);
            }
            if self.now >= until {
                self.say(|| format!("{:#?}", self.mirrors.values().map(|one| &one.lane).collect::<Vec<_>>()));
                panic!("not all is at the target: {}", self.told());
            }
            self.step();
            steps += 1;
        }
        self.look_at_target();
        assert_eq!(self.unannounced_since, None, "records are there twice, and nobody told");
        for (partition, (held, log)) in self.held.iter().zip(&self.logs).enumerate() {
            let end = self.source_end(partition);
            held.check_range(0, end, log, self.weather.options.read_committed);
        }
        *self.figures.entry("records").or_default() +=
            self.logs.iter().map(|log| log.records.len() as u64).sum::<u64>();
        Outcome { steps, trace: self.trace, figures: self.figures }
    }

    fn step(&mut self) {
        let Due { at, number, what } = self.due.pop().expect("nature never ends");
        assert!(at >= self.now, "time goes on");
        self.now = at;
        self.mix(number);
        self.mix(u64::try_from(at.as_nanos()).unwrap());
        let time_ms = EPOCH_MS + u64::try_from(at.as_millis()).unwrap();
        self.source.tell_time(time_ms.cast_signed());
        self.target.tell_time(time_ms.cast_signed());
        match what {
            What::Arrive(connection) => self.arrive(connection),
            What::Answer(connection) => self.answer(connection),
            What::Opened(connection) => self.opened(connection),
            What::Closed(connection, cause) => self.closed(connection, cause),
            What::Ask(mirror, inquiry) => self.asked(mirror, inquiry),
            What::Tell(mirror, event) => self.apply(mirror, event),
            What::Wake(mirror) => self.wake(mirror),
            What::Flush(mirror) => self.flush(mirror),
            What::Written(mirror, kept) => self.written(mirror, kept),
            What::Claimed(mirror, question, identity, place) => {
                self.claimed(mirror, question, identity, place);
            }
            What::Start => self.start_mirror(),
            What::Nature => self.nature(),
        }
    }

    pub(crate) fn source_end(&self, partition: usize) -> i64 {
        self.source.direct().end_offset(SOURCE_TOPIC, i32::try_from(partition).unwrap()).unwrap()
    }

    /// Looks at what arrived at the target.
    pub(crate) fn look_at_target(&mut self) {
        let all = self.held.iter_mut().zip(&self.logs).zip(&mut self.appended_at);
        for (partition, ((held, log), appended_at)) in (0..).zip(all) {
            if held.look(&self.target, partition, log, self.weather.options.read_committed) {
                *appended_at = self.now;
            }
        }
        let repeated: u64 = self.held.iter().map(|held| held.repeated).sum();
        let alive = self.mirrors.values().map(|one| one.status.counters.possible_duplicates());
        let announced = self.announced + alive.sum::<u64>();
        if repeated <= announced {
            self.unannounced_since = None;
            return;
        }
        let since = *self.unannounced_since.get_or_insert(self.now);
        let first: Vec<_> = self.held.iter().map(|held| held.first_repeated).collect();
        assert!(
            self.now - since < TOLD_WITHIN,
            "{repeated} records are there twice (first {first:?}), {announced} were announced"
        );
    }

    fn is_done(&self) -> bool {
        let Some((_, mirror)) = self.mirrors.first_key_value() else { return false };
        let statuses = mirror.status.partitions();
        let done = |partition: usize| {
            let end = self.source_end(partition);
            statuses.iter().any(|one| {
                one.source.partition == i32::try_from(partition).unwrap() && one.acknowledged_next().0 == end
            })
        };
        self.mirrors.len() == 1 && (0..self.logs.len()).all(done)
    }

    /// Grows with every record at the target.
    fn mirrored(&self) -> i64 {
        let partitions = 0..i32::try_from(self.held.len()).unwrap();
        partitions.map(|one| self.target.direct().end_offset(TARGET_TOPIC, one).unwrap()).sum()
    }

    fn told(&self) -> String {
        let mut told = String::new();
        for (life, mirror) in &self.mirrors {
            for one in mirror.status.partitions() {
                let partition = usize::try_from(one.source.partition).unwrap();
                told += &format!(
                    "\nmirror {life}: {} at {} of {}, {} {:?}",
                    one.source,
                    one.acknowledged_next(),
                    self.source_end(partition),
                    one.state().name(),
                    one.note()
                );
            }
        }
        told
    }
}
