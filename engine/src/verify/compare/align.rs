//! Finds where two streams of records come together again behind a difference. Pure.

use std::collections::HashMap;

use crate::print::Print;

/// Places where one record stands in a window that are looked at: records that repeat endlessly say little.
const PLACES_MAX: usize = 4;

/// The nearest place where both windows go on alike for `run` records, or to the end of a log: how many records of
/// each stand before it. Near means: the fewest records on both sides together. A window comes with whether it shows
/// its log to the end.
pub(super) fn nearest_common(
    (source, source_ends): (&[Print], bool),
    (target, target_ends): (&[Print], bool),
    run: usize,
    timestamps: bool,
) -> Option<(usize, usize)> {
    let mut places: HashMap<u64, Vec<usize>> = HashMap::with_capacity(target.len());
    for (at, print) in target.iter().enumerate() {
        let known = places.entry(print.id(timestamps)).or_default();
        if known.len() < PLACES_MAX {
            known.push(at);
        }
    }
    let mut best: Option<(usize, usize)> = None;
    for (i, print) in source.iter().enumerate() {
        let distance = best.map_or(usize::MAX, |(i, j)| i + j);
        if i >= distance || !(source_ends || i + run <= source.len()) {
            break;
        }
        let Some(known) = places.get(&print.id(timestamps)) else { continue };
        let shown = |j: usize| target_ends || j + run <= target.len();
        let mut near = known.iter().copied().filter(|&j| i + j < distance && shown(j));
        if let Some(j) = near.find(|&j| runs_alike(&source[i..], &target[j..], run, timestamps)) {
            best = Some((i, j));
        }
    }
    best
}

fn runs_alike(source: &[Print], target: &[Print], run: usize, timestamps: bool) -> bool {
    source.iter().zip(target).take(run).all(|(source, target)| source.same(target, timestamps))
}
