//! Any log that a broker can hold, cut into fetches anywhere, gives what a Java consumer would have seen: the records
//! of committed transactions only, or of all, in order, each once.
//!
//! The model of the consumer is written here from Kafka's rules (KIP-98) and knows nothing of the code it judges.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "small numbers; what fails here fails the test"
)]

use std::collections::HashMap;

use bytes::Bytes;
use kmirror_engine::flow::aborted::Aborted;
use kmirror_engine::flow::rewrite::{Backlog, DropReason, Step, TargetRules};
use kmirror_engine::ids::{SourceOffset, TargetOffset};
use kmirror_engine::offsets::map::{OffsetMap, Translation};
use kmirror_engine::offsets::stretch::{Landed, Runs, Settled};
use kmirror_protocol::wire::batch::{Batch, Codec, Entries, Entry};
use kmirror_protocol::wire::fetch::AbortedTransaction;
use kmirror_protocol::wire::record::{Limits, NewRecord, build_batch, records};
use kmirror_protocol::wire::reencode::{Encoded, Reencoder, Shape};
use proptest::prelude::*;

const LIMITS: Limits = Limits { max_decompressed_bytes: 1 << 20 };
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const NOBODY: i64 = -1;

/// What producers did, one after the other; producer 0 is not transactional.
#[derive(Debug, Clone)]
enum Act {
    /// A batch of so many records; compaction then took those whose bit is not set.
    Write {
        producer: i64,
        records: usize,
        kept: u16,
        codec: Codec,
    },
    End {
        producer: i64,
        commits: bool,
    },
}

/// A log and what its broker knows of it.
#[derive(Default)]
struct Log {
    batches: Vec<(i64, Bytes)>,
    end: i64,
    aborted: Vec<(AbortedTransaction, i64)>,
    /// Key, offset, and producer's place in `outcome` for each record that is left.
    records: Vec<(Bytes, i64, Option<usize>)>,
    outcome: Vec<bool>,
    open: HashMap<i64, (i64, usize)>,
}

impl Log {
    fn of(acts: &[Act]) -> Self {
        let mut log = Self::default();
        for act in acts {
            match act {
                Act::Write { producer, records, kept, codec } => {
                    log.write(*producer, *records, *kept, *codec)
                }
                Act::End { producer, commits } => log.end(*producer, *commits),
            }
        }
        // An open transaction would hold back what follows; here all end.
        for producer in 1..4 {
            log.end(producer, producer % 2 == 0);
        }
        log
    }

    fn write(&mut self, producer: i64, count: usize, kept: u16, codec: Codec) {
        let transaction = (producer > 0).then(|| {
            let first = self.end;
            let next = self.outcome.len();
            let (_, transaction) = *self.open.entry(producer).or_insert((first, next));
            if transaction == next {
                self.outcome.push(true);
            }
            transaction
        });
        let left: Vec<usize> = (0..count).filter(|k| kept & (1 << k) != 0).collect();
        let new = |k: &usize| NewRecord {
            timestamp: 1_000 + *k as i64,
            key: Some(format!("{}", self.end + *k as i64).into()),
            value: Some("value".into()),
            headers: Vec::new(),
        };
        // All of them are encoded, so that each keeps its offset delta; then the rest is cut out of the payload.
        let all: Vec<NewRecord> = (0..count).map(|k| new(&k)).collect();
        let built = compacted(&all, &left, codec);
        let attributes = if producer > 0 { TRANSACTIONAL } else { 0 };
        let id = if producer > 0 { producer } else { NOBODY };
        self.append(built, count, attributes, id);
        for k in left {
            self.records.push((all[k].key.clone().unwrap(), self.end + k as i64, transaction));
        }
        self.end += count as i64;
    }

    fn end(&mut self, producer: i64, commits: bool) {
        let Some((first_offset, transaction)) = self.open.remove(&producer) else { return };
        self.outcome[transaction] = commits;
        if !commits {
            self.aborted.push((AbortedTransaction { producer_id: producer, first_offset }, self.end));
        }
        let marker = NewRecord {
            timestamp: 1_000,
            key: Some(Bytes::copy_from_slice(&[0, 0, 0, u8::from(commits)])),
            value: Some(Bytes::from_static(&[0; 6])),
            headers: Vec::new(),
        };
        let built = build_batch(&[marker], Codec::None).unwrap();
        self.append(built, 1, TRANSACTIONAL | CONTROL, producer);
        self.end += 1;
    }

    fn append(&mut self, built: Encoded, count: usize, attributes: i16, producer: i64) {
        let mut header = built.header;
        header.base_offset = self.end;
        header.last_offset_delta = count as i32 - 1;
        header.attributes |= attributes;
        header.producer_id = producer;
        let header = header.with_crc_over(&built.payload);
        self.batches.push((self.end, [&header.to_bytes()[..], &built.payload].concat().into()));
    }

    /// What a consumer sees from `from` on.
    fn visible(&self, from: i64, committed: bool) -> Vec<Bytes> {
        let seen = |(_, offset, transaction): &&(Bytes, i64, Option<usize>)| {
            *offset >= from && (!committed || transaction.is_none_or(|one| self.outcome[one]))
        };
        self.records.iter().filter(seen).map(|(key, _, _)| key.clone()).collect()
    }

    /// The answer to a fetch that takes `batches` batches from `from`, as `LogSegment.collectAbortedTxns` makes it.
    fn fetch(&self, from: i64, batches: usize) -> (Bytes, Vec<AbortedTransaction>, i64) {
        let last = |(base, bytes): &(i64, Bytes)| {
            base + i64::from(Batch::parse(bytes).unwrap().unwrap().header.last_offset_delta)
        };
        let taken: Vec<_> = self.batches.iter().filter(|one| last(one) >= from).take(batches).collect();
        let upper = taken.last().map_or(from, |one| last(one) + 1);
        let concerned =
            |(one, marker): &&(AbortedTransaction, i64)| *marker >= from && one.first_offset < upper;
        let aborted = self.aborted.iter().filter(concerned).map(|(one, _)| *one).collect();
        (taken.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect::<Vec<u8>>().into(), aborted, upper)
    }
}

/// A batch in which only the records `left` are left of `all`, each at its old offset.
fn compacted(all: &[NewRecord], left: &[usize], codec: Codec) -> Encoded {
    if left.len() == all.len() {
        return build_batch(all, codec).unwrap();
    }
    // Uncompressed records lie one behind the other, each behind its length.
    let built = build_batch(all, Codec::None).unwrap();
    let (mut rest, mut payload, mut k) = (&built.payload[..], Vec::new(), 0);
    while !rest.is_empty() {
        // Lengths here are below 64: one byte, zigzag.
        let length = 1 + usize::from(rest[0] / 2);
        if left.contains(&k) {
            payload.extend_from_slice(&rest[..length]);
        }
        rest = &rest[length..];
        k += 1;
    }
    let mut header = built.header;
    header.record_count = left.len() as i32;
    header.batch_length = 49 + payload.len() as i32;
    Encoded { header, payload: payload.into(), ..built }
}

/// What arrives at the target when the log is read in fetches of so many batches each, and the map of its offsets.
fn mirrored(log: &Log, from: i64, fetches: &[usize], committed: bool) -> (Vec<Bytes>, OffsetMap) {
    let mut map = OffsetMap::new(1 << 20);
    let rules = TargetRules { max_batch_bytes: 1 << 20, ..TargetRules::default() };
    let shape = Shape { codec: Codec::Lz4, level: None, max_batch_bytes: 1 << 20, timestamps: None };
    let (mut position, mut sizes, mut found) = (from, fetches.iter().cycle(), Vec::new());
    while position < log.end {
        let (bytes, list, _) = log.fetch(position, *sizes.next().unwrap());
        let mut aborted = Aborted::new(&list);
        let mut backlog = Backlog::default();
        for entry in Entries::new(bytes) {
            let entry = entry.unwrap();
            let from = SourceOffset(position);
            position = entry.last_offset() + 1;
            match aborted.check(&entry).filter(|_| committed) {
                Some(reason) => {
                    assert_eq!(reason, DropReason::Aborted);
                    backlog.drop_entry(&entry, reason);
                }
                None => backlog.push(entry, from, &rules, SourceOffset(0)),
            }
        }
        while let Some(step) = backlog.next_step(&rules) {
            match step {
                Step::Forward(batch) => {
                    let runs = Runs::dense(SourceOffset(batch.header.base_offset));
                    map.apply(landed(runs, batch.header.record_count, batch.header.next_offset(), &found));
                    found.extend(keys(Entry::Batch(batch)));
                }
                Step::Reencode { entries, from, .. } => {
                    for one in Reencoder::new(LIMITS).reencode(&entries, from.0, &shape).unwrap() {
                        let breaks = one.breaks.iter().map(|(offset, place)| (SourceOffset(*offset), *place));
                        let first_record = SourceOffset(one.first_record);
                        let runs = Runs { first_record, breaks: breaks.collect() };
                        map.apply(landed(runs, one.header.record_count, one.last_offset + 1, &found));
                        let bytes = [&one.header.to_bytes()[..], &one.payload].concat();
                        found.extend(keys(Entry::Batch(Batch::parse(&bytes.into()).unwrap().unwrap())));
                    }
                }
                Step::Skip { next, .. } => map.apply(Settled::Skipped(next)),
                Step::SetAside(..) => unreachable!("nothing is too large"),
            }
        }
    }
    (found, map)
}

/// Records that land behind those that were found before.
fn landed(runs: Runs, records: i32, next: i64, found: &[Bytes]) -> Settled {
    let base = Some(TargetOffset(found.len() as i64));
    Settled::Landed(Landed { runs, records, next: SourceOffset(next), base })
}

/// Where a position lies among the records that were found; their keys are their offsets at the source.
fn place(found: &[Bytes], position: i64) -> Translation {
    let before = |key: &Bytes| std::str::from_utf8(key).unwrap().parse::<i64>().unwrap() < position;
    Translation::Exact(TargetOffset(found.partition_point(before) as i64))
}

fn keys(entry: Entry) -> Vec<Bytes> {
    records(&entry, &LIMITS).unwrap().into_iter().map(|record| record.key.unwrap()).collect()
}

fn any_act() -> impl Strategy<Value = Act> {
    let codec = prop::sample::select(&Codec::ALL[..]);
    prop_oneof![
        4 => (0i64..4, 1usize..10, prop_oneof![2 => Just(u16::MAX), 1 => any::<u16>()], codec)
            .prop_map(|(producer, records, kept, codec)| Act::Write { producer, records, kept, codec }),
        1 => (1i64..4, any::<bool>()).prop_map(|(producer, commits)| Act::End { producer, commits }),
    ]
}

proptest! {
    #[test]
    fn is_mirrored_as_a_consumer_sees_it(
        acts in prop::collection::vec(any_act(), 1..40),
        fetches in prop::collection::vec(1usize..6, 1..6),
        part in 0.0f64..1.0,
        committed in any::<bool>(),
    ) {
        let log = Log::of(&acts);
        for from in [0, (log.end as f64 * part) as i64] {
            let (found, map) = mirrored(&log, from, &fetches, committed);
            prop_assert_eq!(&found, &log.visible(from, committed));
            for position in (0..=log.end).filter(|_| !found.is_empty()) {
                prop_assert_eq!(map.translate(SourceOffset(position)), place(&found, position), "{}", position);
            }
        }
    }
}
