//! Two logs made of one, cut into batches at will, and one of them tampered with: the comparison finds exactly that.

use bytes::Bytes;
use kmirror_protocol::wire::batch::{Codec, Entries};
use kmirror_protocol::wire::record::{NewRecord, build_batch};
use proptest::prelude::*;

use super::*;

/// Kind, source span and target span.
type Told = (&'static str, (i64, i64), (i64, i64));
/// A record at its place in a log.
type Placed = (i64, NewRecord);

fn record(number: usize) -> NewRecord {
    let text = |what: &str| Some(Bytes::from(format!("{what} {number}")));
    NewRecord {
        timestamp: 1_000_000 + i64::try_from(number).unwrap(),
        key: text("key").filter(|_| !number.is_multiple_of(5)),
        value: text("value").filter(|_| !number.is_multiple_of(7)),
        headers: vec![(Bytes::from("h"), text("header"))],
    }
}

fn dense(records: impl IntoIterator<Item = NewRecord>) -> Vec<Placed> {
    (0..).zip(records).collect()
}

fn numbered(count: usize) -> Vec<Placed> {
    dense((0..count).map(record))
}

/// Batches of these sizes, over and over, with gaps of offsets only between batches.
fn entries(log: &[Placed], sizes: &[(usize, Codec)]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut rest = log;
    for &(size, codec) in sizes.iter().cycle() {
        let Some((base, _)) = rest.first() else { break };
        let dense = rest.iter().zip(*base..).take(size).take_while(|((offset, _), at)| offset == at).count();
        let (batch, behind) = rest.split_at(dense);
        let records: Vec<NewRecord> = batch.iter().map(|(_, record)| record.clone()).collect();
        entries.push(entry(*base, &records, codec));
        rest = behind;
    }
    entries
}

fn entry(base_offset: i64, records: &[NewRecord], codec: Codec) -> Entry {
    let encoded = build_batch(records, codec).unwrap();
    let mut header = encoded.header;
    header.base_offset = base_offset;
    let bytes = [&header.with_crc_over(&encoded.payload).to_bytes()[..], &encoded.payload].concat();
    Entries::new(Bytes::from(bytes)).next().unwrap().unwrap()
}

fn plain(log: &[Placed]) -> Vec<Entry> {
    entries(log, &[(10, Codec::None)])
}

/// Hands over so many entries at a time.
fn compare(options: Options, source: Vec<Entry>, target: Vec<Entry>, at_once: usize) -> Outcome {
    let mut comparison = Comparison::new(options);
    let (mut source, mut target) = (source.into_iter(), target.into_iter());
    loop {
        let Step::Need(which) = comparison.step() else { return comparison.finish() };
        let from = match which {
            Which::Source => &mut source,
            Which::Target => &mut target,
        };
        let some: Vec<Entry> = from.take(at_once).collect();
        if some.is_empty() {
            comparison.end(which);
        }
        some.into_iter().for_each(|entry| comparison.push(which, entry));
    }
}

fn strict(source: &[Placed], target: &[Placed]) -> Outcome {
    compare(Options::strict(), plain(source), plain(target), 3)
}

fn told(outcome: &Outcome) -> Vec<Told> {
    assert_eq!(outcome.findings.left_out, 0);
    let span = |span: Span| (span.first, span.last);
    let findings = outcome.findings.listed.iter();
    let mut told: Vec<_> =
        findings.map(|one| (one.kind.code(), span(one.source), span(one.target))).collect();
    told.sort_by_key(|(_, source, target)| (*source, *target));
    told
}

#[test]
fn the_same_batches_are_not_opened() {
    let log = numbered(100);
    let batches = |base: i64| {
        let moved: Vec<Placed> = log.iter().map(|(offset, record)| (offset + base, record.clone())).collect();
        entries(&moved, &[(10, Codec::Lz4), (7, Codec::Zstd), (1, Codec::Gzip)])
    };
    let source_from = 500;
    let outcome = compare(Options { source_from, ..Options::strict() }, batches(500), batches(0), 2);
    assert_eq!((outcome.counts.matched, outcome.counts.differences()), (100, 0));
    assert_eq!(outcome.counts.opened_batches, 0);
    assert!(outcome.counts.whole_batches > 10 && outcome.timestamps_compared);
    assert_eq!((outcome.source_next, outcome.target_next), (600, 100));
}

#[test]
fn each_difference_has_its_name_and_place() {
    let source = numbered(100);
    let missing = dense((0..100).filter(|n| *n != 42).map(record));
    assert_eq!(told(&strict(&source, &missing)), [("missing", (42, 42), (42, 42))]);

    let run = dense((0..100).filter(|n| !(40..60).contains(n)).map(record));
    let outcome = strict(&source, &run);
    assert_eq!(told(&outcome), [("missing", (40, 59), (40, 40))]);
    assert_eq!(outcome.counts.missing, 20);

    let extra = dense((0..30).chain([1000, 1001]).chain(30..100).map(record));
    assert_eq!(told(&strict(&source, &extra)), [("extra", (30, 30), (30, 31))]);

    let mut altered = source.clone();
    altered[17].1.value = Some(Bytes::from("forged"));
    let outcome = strict(&source, &altered);
    assert_eq!(told(&outcome), [("altered", (17, 17), (17, 17))]);
    let Kind::Altered(fields) = outcome.findings.listed[0].kind else { panic!("{outcome:?}") };
    assert_eq!(fields.names().collect::<Vec<_>>(), ["value"]);

    let swapped = dense((0..50).chain([51, 50]).chain(52..100).map(record));
    assert_eq!(told(&strict(&source, &swapped)), [("out-of-order", (51, 51), (50, 50))]);

    let moved_far = dense([99].into_iter().chain(0..99).map(record));
    assert_eq!(told(&strict(&source, &moved_far)), [("out-of-order", (99, 99), (0, 0))]);
}

#[test]
fn a_lost_end_and_a_longer_end_are_seen() {
    let source = numbered(50);
    assert_eq!(told(&strict(&source, &numbered(45))), [("missing", (45, 49), (45, 45))]);
    assert_eq!(told(&strict(&numbered(45), &source)), [("extra", (45, 45), (45, 49))]);
    assert_eq!(told(&strict(&source, &[])), [("missing", (0, 49), (0, 0))]);
    assert_eq!(told(&strict(&[], &source)), [("extra", (0, 0), (0, 49))]);
}

#[test]
fn what_is_not_due_yet_is_not_missing() {
    let options = Options { required_end: 40, ..Options::strict() };
    let outcome = compare(options, plain(&numbered(50)), plain(&numbered(45)), 1);
    assert_eq!((outcome.counts.matched, outcome.counts.differences()), (45, 0));
    // Once the target is read to its end nothing more of the source is needed.
    let outcome = compare(options, plain(&numbered(500)), plain(&numbered(40)), 1);
    assert_eq!((outcome.counts.matched, outcome.counts.differences()), (40, 0));
    assert!(outcome.counts.not_yet <= 10, "{outcome:?}");
    let outcome = compare(options, plain(&numbered(500)), plain(&numbered(38)), 1);
    assert_eq!(told(&outcome), [("missing", (38, 39), (38, 38))]);
}

#[test]
fn a_foreign_end_is_extra_whatever_is_not_due_yet() {
    let options = Options { required_end: 40, ..Options::strict() };
    let mut target = numbered(43);
    for (_, record) in &mut target[40..] {
        record.value = Some(Bytes::from("foreign"));
    }
    let outcome = compare(options, plain(&numbered(50)), plain(&target), 1);
    assert_eq!(told(&outcome), [("extra", (40, 40), (40, 42))]);
    assert_eq!((outcome.counts.matched, outcome.counts.differences()), (40, 3));
}

#[test]
fn expired_heads_are_no_differences() {
    let whole = numbered(20_000);
    let late = &whole[12_345..];
    let source_late = Options { source_starts_late: true, source_from: 12_345, ..Options::strict() };
    let outcome = compare(source_late, plain(late), plain(&whole), 10);
    assert_eq!((outcome.counts.differences(), outcome.counts.matched), (0, 7655));
    assert_eq!(outcome.expired_at_source, Some(Span { first: 0, last: 12_344 }));

    let target_late = Options { target_starts_late: true, target_from: 12_345, ..Options::strict() };
    let outcome = compare(target_late, plain(&whole), plain(late), 10);
    assert_eq!((outcome.counts.differences(), outcome.counts.matched), (0, 7655));
    assert_eq!(outcome.expired_at_target, Some(Span { first: 0, last: 12_344 }));

    let both = Options { target_starts_late: true, source_starts_late: true, ..Options::strict() };
    let outcome = compare(both, plain(&whole[100..]), plain(&whole[200..]), 10);
    assert_eq!((outcome.counts.differences(), outcome.expired_at_source), (0, None));
    assert_eq!(outcome.expired_at_target, Some(Span { first: 100, last: 199 }));
}

#[test]
fn heads_far_apart_are_found_past_the_window() {
    let source = numbered(200_000);
    let late = &source[150_000..];
    let large = |log: &[Placed]| entries(log, &[(5000, Codec::None)]);
    let options = Options { source_starts_late: true, ..Options::strict() };
    let outcome = compare(options, large(late), large(&source), 4);
    assert_eq!((outcome.counts.differences(), outcome.counts.matched), (0, 50_000));
    // Without excuse the same is lost or foreign, counted exactly.
    let outcome = compare(Options::strict(), large(&source), large(late), 4);
    assert_eq!((outcome.counts.missing, outcome.counts.differences()), (150_000, 150_000));
    assert_eq!(outcome.counts.matched, 50_000);
    let outcome = compare(Options::strict(), large(late), large(&source), 4);
    assert_eq!((outcome.counts.extra, outcome.counts.differences()), (150_000, 150_000));
}

#[test]
fn a_stretch_in_the_middle_is_found_and_ends() {
    let whole = numbered(5000);
    let options = Options {
        source_from: 2003,
        source_until: 2507,
        required_end: 2507,
        open_start: true,
        open_end: true,
        ..Options::strict()
    };
    let mut target = whole.clone();
    let outcome = compare(options, plain(&whole[2000..2600]), plain(&target), 2);
    assert_eq!((outcome.counts.matched, outcome.counts.differences()), (504, 0));
    target[2100].1.key = Some(Bytes::from("forged"));
    let outcome = compare(options, plain(&whole[2000..2600]), plain(&target), 2);
    assert_eq!(told(&outcome), [("altered", (2100, 2100), (2100, 2100))]);
    let lost = [&whole[..2000], &whole[2600..]].concat();
    let outcome = compare(options, plain(&whole[2000..2600]), plain(&lost), 2);
    assert_eq!(outcome.counts.missing, 504);
}

#[test]
fn a_target_that_stamps_is_compared_without_timestamps() {
    let stamped = |entry: Entry| {
        let Entry::Batch(batch) = entry else { panic!("a batch") };
        let mut header = batch.header;
        header.attributes |= 8;
        header.max_timestamp = 77;
        let bytes = [&header.with_crc_over(&batch.payload()).to_bytes()[..], &batch.payload()].concat();
        Entries::new(Bytes::from(bytes)).next().unwrap().unwrap()
    };
    let log = numbered(100);
    for sizes in [[(10, Codec::None)], [(9, Codec::Lz4)]] {
        let target: Vec<Entry> = entries(&log, &sizes).into_iter().map(stamped).collect();
        let outcome = compare(Options::strict(), plain(&log), target, 2);
        assert_eq!((outcome.counts.matched, outcome.counts.differences()), (100, 0));
        assert!(!outcome.timestamps_compared);
    }
    // A source that stamps has its times compared.
    let source: Vec<Entry> = plain(&log).into_iter().map(stamped).collect();
    let times = dense((0..100).map(|n| NewRecord { timestamp: 77, ..record(n) }));
    let outcome = compare(Options::strict(), source.clone(), plain(&times), 2);
    assert_eq!((outcome.counts.matched, outcome.counts.differences()), (100, 0));
    assert_eq!(compare(Options::strict(), source, plain(&log), 2).counts.altered, 100);
}

#[test]
fn damage_is_told_with_its_place() {
    let log = numbered(30);
    let damaged = |entry: &Entry| {
        let Entry::Batch(batch) = entry else { panic!("a batch") };
        let mut bytes = batch.bytes().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        Entries::new(Bytes::from(bytes)).next().unwrap().unwrap()
    };
    let mut target = plain(&log);
    target[1] = damaged(&target[1]);
    let outcome = compare(Options::strict(), plain(&log), target, 1);
    assert_eq!(outcome.counts.damaged, 1);
    assert!(told(&outcome).contains(&("damaged-at-target", (10, 10), (10, 19))), "{outcome:?}");
    assert!(told(&outcome).contains(&("missing", (10, 19), (10, 10))), "{outcome:?}");
}

#[test]
fn what_a_cleaner_removed_is_not_missing() {
    let keyed =
        |number: usize| NewRecord { key: Some(Bytes::from(format!("{}", number % 10))), ..record(number) };
    let source = dense((0..100).map(keyed));
    // The target's cleaner went over the first 60 records.
    let target = dense((50..100).map(keyed));
    let options = Options { target_compacts: true, ..Options::strict() };
    let outcome = compare(options, plain(&source), plain(&target), 2);
    assert_eq!((outcome.counts.differences(), outcome.counts.compacted), (0, 50));
    // The last record of a key is never removed.
    let lost = dense((50..99).map(keyed));
    let outcome = compare(options, plain(&source), plain(&lost), 2);
    assert_eq!((outcome.counts.missing, outcome.counts.differences()), (1, 1), "{outcome:?}");
    // And the other way round.
    let options = Options { source_compacts: true, ..Options::strict() };
    let outcome = compare(options, plain(&target), plain(&source), 2);
    assert_eq!((outcome.counts.differences(), outcome.counts.compacted), (0, 50));
}

#[test]
fn a_cleaner_removes_tombstones_and_all_they_stand_for() {
    let deleted = |number: usize| NewRecord {
        key: Some(Bytes::from(format!("{}", number % 10))),
        value: (number < 90).then(|| Bytes::from("value")),
        ..record(number)
    };
    let whole = dense((0..100).map(deleted));
    // Of the keys 0 to 4 nothing is left, of the others the tombstones.
    let cleaned = &whole[95..];
    let options = Options { source_compacts: true, ..Options::strict() };
    let outcome = compare(options, plain(cleaned), plain(&whole), 3);
    assert_eq!((outcome.counts.compacted, outcome.counts.differences()), (95, 0), "{outcome:?}");
    let options = Options { target_compacts: true, ..Options::strict() };
    let outcome = compare(options, plain(&whole), plain(cleaned), 3);
    assert_eq!((outcome.counts.compacted, outcome.counts.differences()), (95, 0), "{outcome:?}");
    // What came behind its tombstone would still be there.
    let mut revived = whole.clone();
    revived.push((100, NewRecord { key: Some(Bytes::from("0")), ..record(100) }));
    let outcome = compare(options, plain(&revived), plain(cleaned), 3);
    assert_eq!((outcome.counts.missing, outcome.counts.differences()), (1, 1), "{outcome:?}");
}

#[test]
fn a_cleaner_is_no_excuse_for_altered_records() {
    let keyed =
        |number: usize| NewRecord { key: Some(Bytes::from(format!("{}", number % 10))), ..record(number) };
    let source = dense((0..100).map(keyed));
    let mut target = source.clone();
    target[33].1.value = Some(Bytes::from("forged"));
    let options = Options { source_compacts: true, target_compacts: true, ..Options::strict() };
    let outcome = compare(options, plain(&source), plain(&target), 2);
    // The later record of its key would excuse that either is absent, and one of the two is.
    assert_eq!((outcome.counts.matched, outcome.counts.compacted), (99, 0), "{outcome:?}");
    assert_eq!(told(&outcome), [("altered", (33, 33), (33, 33))]);
}

#[test]
fn what_supersedes_may_come_behind_the_end() {
    let keyed =
        |number: usize| NewRecord { key: Some(Bytes::from(format!("{}", number % 10))), ..record(number) };
    let log = dense((0..100).map(keyed));
    // The source's cleaner removed what the unmirrored end supersedes.
    let cleaned: Vec<Placed> = log.iter().filter(|(offset, _)| !(40..50).contains(offset)).cloned().collect();
    let options = Options { source_compacts: true, required_end: 50, ..Options::strict() };
    let outcome = compare(options, plain(&cleaned), plain(&log[..50]), 1);
    assert_eq!((outcome.counts.compacted, outcome.counts.differences()), (10, 0), "{outcome:?}");
    // A stretch says nothing of what follows it.
    let options = Options { target_compacts: true, open_end: true, source_until: 50, ..Options::strict() };
    let outcome = compare(options, plain(&log), plain(&dense((0..45).map(keyed))), 1);
    assert_eq!((outcome.counts.compacted, outcome.counts.differences()), (5, 0), "{outcome:?}");
}

/// What is done to a record of the target.
#[derive(Debug, Clone, Copy)]
enum Tamper {
    Delete,
    Insert,
    AlterKey,
    AlterValue,
    AlterTime,
    SwapWithNext,
}

fn tamper() -> impl Strategy<Value = Tamper> {
    use Tamper::{AlterKey, AlterTime, AlterValue, Delete, Insert, SwapWithNext};
    prop::sample::select(vec![Delete, Insert, AlterKey, AlterValue, AlterTime, SwapWithNext])
}

fn batch_sizes() -> impl Strategy<Value = Vec<(usize, Codec)>> {
    prop::collection::vec((1usize..30, prop::sample::select(Codec::ALL.to_vec())), 1..6)
}

/// The target's records, and what must be told of them.
fn tampered(source: &[Placed], places: &[(usize, Tamper)]) -> (Vec<Placed>, Vec<Told>) {
    let (mut target, mut expected) = (Vec::new(), Vec::new());
    let mut rest = source.iter().cloned().enumerate();
    let at = |offset: i64| (offset, offset);
    while let Some((index, (offset, mut record_here))) = rest.next() {
        let here = i64::try_from(target.len()).unwrap();
        let tamper = places.iter().find(|(place, _)| *place == index).map(|(_, tamper)| *tamper);
        let forged = Some(Bytes::from(format!("forged {index}")));
        match tamper {
            None => {}
            Some(Tamper::Delete) => {
                expected.push(("missing", at(offset), at(here)));
                continue;
            }
            Some(Tamper::Insert) => {
                let before = index.checked_sub(1).map_or(0, |before| source[before].0 + 1);
                expected.push(("extra", at(before), at(here)));
                target.push(record(1_000_000 + index));
            }
            Some(Tamper::SwapWithNext) => {
                if let Some((_, (later, next))) = rest.next() {
                    expected.push(("out-of-order", at(later), at(here)));
                    target.push(next);
                }
            }
            Some(altered) => {
                expected.push(("altered", at(offset), at(here)));
                match altered {
                    Tamper::AlterKey => record_here.key = forged,
                    Tamper::AlterValue => record_here.value = forged,
                    _ => record_here.timestamp += 1_000_000,
                }
            }
        }
        target.push(record_here);
    }
    expected.sort_by_key(|(_, source, target)| (*source, *target));
    (dense(target), expected)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_same_content_is_the_same_however_it_is_cut(
        count in 0usize..400,
        gaps in prop::collection::vec(0usize..400, 0..8),
        source_sizes in batch_sizes(),
        target_sizes in batch_sizes(),
        at_once in 1usize..5,
    ) {
        let offset = |n: usize| i64::try_from(n + gaps.iter().filter(|gap| **gap <= n).count() * 3).unwrap();
        let source: Vec<Placed> = (0..count).map(|n| (offset(n), record(n))).collect();
        let outcome = compare(
            Options::strict(),
            entries(&source, &source_sizes),
            entries(&numbered(count), &target_sizes),
            at_once,
        );
        prop_assert_eq!(outcome.counts.differences(), 0, "{:?}", outcome.findings);
        prop_assert_eq!(outcome.counts.matched, u64::try_from(count).unwrap());
    }

    #[test]
    fn every_difference_is_found_at_its_place(
        count in 1usize..300,
        first in 0usize..6,
        steps in prop::collection::vec((4usize..40, tamper()), 0..20),
        source_sizes in batch_sizes(),
        target_sizes in batch_sizes(),
        at_once in 1usize..5,
    ) {
        let mut place = first;
        let mut places = Vec::new();
        for (step, tamper) in steps {
            // Swapped with nothing behind it, a record stays as it is.
            if place < count && !(place + 1 == count && matches!(tamper, Tamper::SwapWithNext)) {
                places.push((place, tamper));
            }
            place += step;
        }
        let source = numbered(count);
        let (target, expected) = tampered(&source, &places);
        let outcome = compare(
            Options::strict(),
            entries(&source, &source_sizes),
            entries(&target, &target_sizes),
            at_once,
        );
        prop_assert_eq!(told(&outcome), expected);
    }

    #[test]
    fn every_record_is_accounted_for_whatever_the_two_logs_hold(
        source in prop::collection::vec(0usize..12, 0..120),
        target in prop::collection::vec(0usize..12, 0..120),
        late in any::<(bool, bool)>(),
        required_end in prop_oneof![Just(i64::MAX), 0i64..120],
    ) {
        let log = |numbers: &[usize]| dense(numbers.iter().map(|n| record(*n)));
        let options = Options { source_starts_late: late.0, target_starts_late: late.1, required_end, ..Options::strict() };
        let outcome = compare(options, plain(&log(&source)), plain(&log(&target)), 1);
        let counts = outcome.counts;
        let both = counts.matched + counts.altered + counts.out_of_order;
        let spans = |span: Option<Span>| span.map_or(0, |span| u64::try_from(span.last - span.first + 1).unwrap());
        let at_source = both + counts.missing + counts.not_yet + spans(outcome.expired_at_target);
        let at_target = both + counts.extra + spans(outcome.expired_at_source);
        prop_assert_eq!(at_target, u64::try_from(target.len()).unwrap());
        prop_assert!(at_source <= u64::try_from(source.len()).unwrap());
        if required_end == i64::MAX {
            prop_assert_eq!(at_source, u64::try_from(source.len()).unwrap());
            if !late.0 && !late.1 {
                prop_assert_eq!(counts.differences() == 0, source == target);
            }
        }
    }
}
