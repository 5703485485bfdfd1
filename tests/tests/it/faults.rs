//! A short run of the faults that `tests/faults` brings about for as long as one likes.

use std::time::Duration;

use kmirror_tests::faults::plan::plan;
use kmirror_tests::faults::run::{Options, run};
use kmirror_tests::kafka::Version;

use crate::fixture::many_processes;

/// A seed whose plan has fifteen of the eighteen kinds of faults in so short a time, and kills kmirror three times.
const SEED: u64 = 87;
const LENGTH: Duration = Duration::from_secs(40);
/// Light, since six brokers and other tests run beside.
const RATE: u32 = 600;

#[test]
fn a_short_run_keeps_every_promise() {
    let _alone = many_processes();
    let options = Options {
        seed: SEED,
        length: LENGTH,
        processes: 1,
        rate: RATE,
        exact: true,
        transactional: false,
        source: Version::V3_9_1,
        target: Version::V4_3_0,
    };
    println!("seed {SEED}");
    plan(SEED, LENGTH, options.processes).iter().for_each(|planned| println!("{planned}"));
    let run = run(&options).unwrap();
    println!("{}", run.text());
    let violations = run.violations();
    assert!(violations.is_empty(), "seed {SEED}:\n{}", violations.join("\n"));
}
