//! Pure: adds up what a run did and judges it. Knows no clock, no process, no cluster.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::faults::plan::Fault;

/// The lag that counts as caught up, in seconds of the load.
pub const LAG_BOUND_SECONDS: u64 = 2;
/// Transactions named in a report at most.
const NAMED_MAX: usize = 5;

/// How far the target was behind at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lag {
    /// Milliseconds since 1970.
    pub at: u64,
    /// Of the partition furthest behind; none when a cluster could not tell.
    pub records: Option<u64>,
}

impl Lag {
    /// A line of `lag.py`; none for one cut short. Records that are there twice make a lag look smaller, never below zero.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (at, records) = line.split_once(' ')?;
        let records = match records {
            "-" => None,
            number => Some(u64::try_from(number.parse::<i64>().ok()?.max(0)).ok()?),
        };
        Some(Self { at: at.parse().ok()?, records })
    }
}

/// A fault as it was carried out.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it was.
    pub fault: Fault,
    /// When it was healed, in milliseconds since 1970.
    pub healed: u64,
    /// Why it was left out, when it was.
    pub skipped: Option<String>,
}

/// What `verify.py` found in one topic.
#[derive(Clone, Copy, Default, Debug)]
pub struct Content {
    /// Records of the source.
    pub source: u64,
    /// That the target lacks.
    pub lost: u64,
    /// That are there once more.
    pub duplicated: u64,
    /// That the source does not have.
    pub foreign: u64,
    /// That came behind a later one.
    pub out_of_order: u64,
}

impl Content {
    /// Reads it.
    #[must_use]
    pub fn parse(answer: &Value) -> Option<Self> {
        let number = |key: &str| answer[key].as_u64();
        Some(Self {
            source: number("source")?,
            lost: number("lost")?,
            duplicated: number("repeated")?,
            foreign: number("unknown")?,
            out_of_order: number("out_of_order")?,
        })
    }
}

/// A run, finished.
#[derive(Debug)]
pub struct Run {
    /// Of the plan.
    pub seed: u64,
    /// Of the plan.
    pub seconds: u64,
    /// Of kmirror.
    pub processes: usize,
    /// Whether a record may be there twice after a kmirror process was killed.
    pub exact: bool,
    /// Releases of source and target.
    pub versions: (String, String),
    /// What was done.
    pub entries: Vec<Entry>,
    /// How far the target was behind.
    pub lags: Vec<Lag>,
    /// Records of a partition that count as caught up.
    pub lag_bound: u64,
    /// From the end of the load until everything was there; none when it never was.
    pub caught_up_ms: Option<u64>,
    /// Partitions whose last record did not arrive.
    pub missing_ends: Vec<String>,
    /// The numbered topic.
    pub numbered: Content,
    /// The topic of transactions.
    pub transactions: Content,
    /// What `whole.py` found.
    pub whole: Value,
    /// What `load.py` printed.
    pub ledger: Value,
    /// What processes did that they must not do.
    pub offences: Vec<String>,
    /// How often a kmirror process gave up its start and was started again.
    pub gave_up: u32,
    /// Brokers that ended without being told to.
    pub ended_brokers: usize,
}

impl Run {
    /// What is wrong; nothing when the promises were kept.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let mut found = self.offences.clone();
        if !self.missing_ends.is_empty() {
            found.push(format!("did not catch up: {}", self.missing_ends.join(", ")));
        }
        let acknowledged = self.ledger["acknowledged"].as_u64().unwrap_or(u64::MAX);
        if self.numbered.source < acknowledged {
            found.push(format!(
                "the source itself holds {} of {acknowledged} acknowledged records: this run proves nothing",
                self.numbered.source
            ));
        }
        for (topic, content) in [("numbered", self.numbered), ("transactions", self.transactions)] {
            let counts = [
                ("lost", content.lost),
                ("foreign", content.foreign),
                ("out of order", content.out_of_order),
                ("duplicated", if self.may_repeat() { 0 } else { content.duplicated }),
            ];
            let wrong = counts.iter().filter(|(_, count)| *count > 0);
            found.extend(
                wrong.map(|(what, count)| format!("{topic}: {count} of {} records {what}", content.source)),
            );
        }
        for (key, what) in
            [("torn", "not whole"), ("aborted_present", "aborted, but there"), ("foreign", "unknown")]
        {
            let names = self.whole[key].as_array().map_or(&[][..], Vec::as_slice);
            if !names.is_empty() {
                let some: Vec<String> = names.iter().take(NAMED_MAX).map(Value::to_string).collect();
                found.push(format!("{} transactions {what}: {} ...", names.len(), some.join(", ")));
            }
        }
        found
    }

    /// Without exactness a process that is killed may repeat what its progress did not say yet; nothing else may.
    fn may_repeat(&self) -> bool {
        !self.exact && self.by_kind().contains_key("kmirror killed")
    }

    /// How many faults of each kind were carried out.
    #[must_use]
    pub fn by_kind(&self) -> BTreeMap<&'static str, u64> {
        let mut kinds = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.skipped.is_none()) {
            *kinds.entry(entry.fault.kind()).or_insert(0) += 1;
        }
        kinds
    }

    /// Why faults were left out, and how many.
    #[must_use]
    pub fn skipped(&self) -> BTreeMap<String, u64> {
        let mut reasons = BTreeMap::new();
        for entry in &self.entries {
            if let Some(reason) = &entry.skipped {
                *reasons.entry(format!("{}: {reason}", entry.fault.kind())).or_insert(0) += 1;
            }
        }
        reasons
    }

    /// Milliseconds from the healing of each fault until every partition was caught up, in order of length.
    #[must_use]
    pub fn recoveries(&self) -> Vec<u64> {
        let healed = self.entries.iter().filter(|entry| entry.skipped.is_none()).map(|entry| entry.healed);
        let mut times: Vec<u64> =
            healed.filter_map(|healed| recovery(healed, &self.lags, self.lag_bound)).collect();
        times.sort_unstable();
        times
    }

    /// Lags are differences of ends: records that are lost, or where they do not belong, make them say nothing.
    fn is_measurable(&self) -> bool {
        let faults = |one: &Content| one.lost + one.duplicated + one.foreign + one.out_of_order;
        faults(&self.numbered) == 0
    }

    /// All figures.
    #[must_use]
    pub fn json(&self) -> Value {
        let recoveries = self.recoveries();
        let count = |key: &str| self.whole[key].as_array().map_or(0, Vec::len);
        let sum = |part: fn(&Content) -> u64| part(&self.numbered) + part(&self.transactions);
        let recovery = json!({
            "of": recoveries.len(), "p50": percentile(&recoveries, 50), "p99": percentile(&recoveries, 99),
            "lag_bound": self.lag_bound,
        });
        json!({
            "seed": self.seed, "seconds": self.seconds, "processes": self.processes, "exact": self.exact,
            "source": self.versions.0, "target": self.versions.1,
            "faults": self.by_kind(), "skipped": self.skipped(),
            "records": sum(|content| content.source), "bytes": self.ledger["bytes"],
            "lost": sum(|content| content.lost), "duplicated": sum(|content| content.duplicated),
            "foreign": sum(|content| content.foreign), "out_of_order": sum(|content| content.out_of_order),
            "transactions": {
                "committed": self.whole["committed"], "aborted": self.whole["aborted"], "unknown": self.whole["unknown"],
                "torn": count("torn"), "aborted_present": count("aborted_present"),
            },
            "recovery_ms": self.is_measurable().then_some(recovery),
            "caught_up_ms": self.caught_up_ms, "kmirror_started_again": self.gave_up,
            "brokers_ended_by_themselves": self.ended_brokers, "producer_problems": self.ledger["problems"],
            "violations": self.violations(),
        })
    }

    /// All figures for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let figures = self.json();
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            // A `String` takes everything.
            writeln!(text, "{name:<28}{value}").ok();
        };
        for (kind, count) in self.by_kind() {
            line(kind, count.to_string());
        }
        for (reason, count) in self.skipped() {
            line("left out", format!("{count} x {reason}"));
        }
        for key in ["records", "bytes", "lost", "duplicated", "foreign", "out_of_order"] {
            line(key, figures[key].to_string());
        }
        line("transactions", figures["transactions"].to_string());
        line("recovery, ms", figures["recovery_ms"].to_string());
        line("caught up after the load, ms", figures["caught_up_ms"].to_string());
        for violation in self.violations() {
            line("VIOLATED", violation);
        }
        text
    }
}

/// From `healed` to the first look at which every partition was caught up; none when there was none.
fn recovery(healed: u64, lags: &[Lag], bound: u64) -> Option<u64> {
    let caught_up = |lag: &&Lag| lag.at >= healed && lag.records.is_some_and(|records| records <= bound);
    lags.iter().find(caught_up).map(|lag| lag.at - healed)
}

/// The smallest value that so many of a hundred do not exceed; none of nothing.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::plan::{BrokerFault, MirrorFault, Side};

    fn run() -> Run {
        let content = Content { source: 100, ..Content::default() };
        Run {
            seed: 1,
            seconds: 10,
            processes: 1,
            exact: false,
            versions: ("3.9.1".to_owned(), "4.3.0".to_owned()),
            entries: Vec::new(),
            lags: Vec::new(),
            lag_bound: 10,
            caught_up_ms: Some(5),
            missing_ends: Vec::new(),
            numbered: content,
            transactions: content,
            whole: json!({"committed": 3, "aborted": 2, "unknown": 0, "torn": [], "aborted_present": [], "foreign": []}),
            ledger: json!({"acknowledged": 100, "bytes": 5000, "problems": []}),
            offences: Vec::new(),
            gave_up: 0,
            ended_brokers: 0,
        }
    }

    fn entry(fault: Fault) -> Entry {
        Entry { fault, healed: 1000, skipped: None }
    }

    #[test]
    fn what_is_kept_is_no_violation_and_each_breach_is_one() {
        assert_eq!(run().violations(), Vec::<String>::new());
        let breaches: [fn(&mut Run); 8] = [
            |run| run.numbered.lost = 1,
            |run| run.transactions.duplicated = 1,
            |run| run.numbered.out_of_order = 1,
            |run| run.transactions.foreign = 1,
            |run| run.whole["torn"] = json!(["0.1"]),
            |run| run.whole["aborted_present"] = json!(["0.1"]),
            |run| run.missing_ends.push("numbered-0".to_owned()),
            |run| run.numbered.source = 99,
        ];
        for breach in breaches {
            let mut run = run();
            breach(&mut run);
            assert_eq!(run.violations().len(), 1, "{:?}", run.violations());
        }
    }

    #[test]
    fn records_may_repeat_only_where_a_killed_process_is_not_exact() {
        let mut run = run();
        run.numbered.duplicated = 7;
        run.entries = vec![entry(Fault::Broker(Side::Target, 1, BrokerFault::Killed))];
        assert_eq!(run.violations().len(), 1);
        run.entries.push(entry(Fault::Mirror(0, MirrorFault::Killed)));
        assert_eq!(run.violations().len(), 0);
        run.exact = true;
        assert_eq!(run.violations().len(), 1);
    }

    #[test]
    fn recovery_is_until_the_first_look_that_is_caught_up() {
        let lags: Vec<Lag> = ["900 3", "1000 -", "1100 11", "1300 10", "1400 500", "15"]
            .iter()
            .filter_map(|line| Lag::parse(line))
            .collect();
        assert_eq!(lags.len(), 5);
        assert_eq!(recovery(1000, &lags, 10), Some(300));
        assert_eq!(recovery(1350, &lags, 10), None);
        assert_eq!(Lag::parse("1 -20"), Some(Lag { at: 1, records: Some(0) }));
    }

    #[test]
    fn recovery_is_not_told_where_records_are_not_where_they_belong() {
        let mut run = run();
        assert_eq!(run.json()["recovery_ms"]["of"], 0);
        run.numbered.foreign = 1;
        assert!(run.json()["recovery_ms"].is_null());
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!((percentile(&values, 50), percentile(&values, 99)), (Some(100), Some(198)));
        assert_eq!(
            (percentile(&[7], 50), percentile(&[7], 99), percentile(&[], 50)),
            (Some(7), Some(7), None)
        );
    }
}
