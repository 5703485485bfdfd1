//! Deterministic simulation: source, mirror and target on a virtual clock and bad links, in one thread.
//!
//! The mirror is the real lane, the clusters are the sandbox's without its sockets. Everything that happens follows from
//! a seed. After every step it is checked that progress is true and that records arrive in order, none left out and none
//! twice but for those announced (invariants 1 and 2 of ARCHITECTURE.md); in the end the target holds the source.
//!
//! `KMIRROR_SIM_SEED=7` runs one seed and tells what happens; `KMIRROR_SIM_SEEDS=1000..9000` runs others than usual.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "small numbers; what fails here fails the test"
)]

mod dice;
mod judge;
mod log;
mod mirror;
mod nature;
mod recount;
mod weather;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use world::{Outcome, World};

/// Seeds of a usual run: some million steps.
const SEEDS: Range<u64> = 0..250;
/// A seed among them that shows a defect which is not mended: records expire at the source, and a late request of a mirror that
/// is gone puts some of them behind later ones; see the known gaps in docs/reliability.md. Whoever mends it takes it out.
const WAITING: [u64; 1] = [203];
/// Seeds beyond them that showed a defect once. 404, 760, 804: a late request behind expired records. 553, 883: a partition
/// in the queues of two target brokers. 587: the source was cut off while the target was asked what it holds. 610, 764: the
/// source was cut off while nobody looked. 631: late requests came before what was sent under a raised epoch, and nobody told;
/// 1516: the like, after a kill, at a target that cannot tell. 3137: the source was cut off while it was not known what had
/// become of what was sent before. 3628: the target lost all, and nobody could tell.
const MENDED: [u64; 12] = [404, 553, 587, 610, 631, 760, 764, 804, 883, 1516, 3137, 3628];

fn run(seed: u64, loud: bool) -> Outcome {
    World::new(seed, loud).run()
}

fn seeds() -> Vec<u64> {
    let Ok(text) = std::env::var("KMIRROR_SIM_SEEDS") else {
        return SEEDS.filter(|seed| !WAITING.contains(seed)).chain(MENDED).collect();
    };
    let (first, end) = text.split_once("..").expect("KMIRROR_SIM_SEEDS is like 0..100");
    (first.parse().unwrap()..end.parse().unwrap()).collect()
}

#[test]
fn whatever_happens_the_target_holds_the_source() {
    if let Ok(seed) = std::env::var("KMIRROR_SIM_SEED") {
        eprintln!("{:#?}", run(seed.parse().unwrap(), true));
        return;
    }
    let seeds = seeds();
    let next = AtomicUsize::new(0);
    let (failed, figures) = (Mutex::new(Vec::new()), Mutex::new(BTreeMap::<&str, u64>::new()));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                    match catch_unwind(|| run(seed, false)) {
                        Ok(outcome) => {
                            let mut all = figures.lock().unwrap();
                            *all.entry("steps").or_default() += outcome.steps;
                            outcome.figures.iter().for_each(|(what, n)| *all.entry(what).or_default() += n);
                        }
                        Err(_) => failed.lock().unwrap().push(seed),
                    }
                }
            });
        }
    });
    let (failed, figures) = (failed.into_inner().unwrap(), figures.into_inner().unwrap());
    eprintln!("{figures:#?}");
    assert!(
        failed.is_empty(),
        "seeds {failed:?} failed: KMIRROR_SIM_SEED=... cargo test -p kmirror-engine --test sim"
    );
}

#[test]
fn a_seed_repeats_itself() {
    for seed in [3, 4] {
        assert_eq!(run(seed, false), run(seed, false));
    }
    assert_ne!(run(3, false).trace, run(4, false).trace);
}
