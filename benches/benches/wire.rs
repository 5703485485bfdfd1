//! Micro-benchmarks of the wire layer: what one batch costs on the shallow path, and what the slow path costs instead.
//!
//! Throughput is in bytes of uncompressed records, as a producer would count them.
//! Run: `cargo bench -p kmirror-benches --bench wire`.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up is to stop")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kmirror_protocol::wire::batch::{BatchHeader, Codec, Entries, Entry, Stamp};
use kmirror_protocol::wire::crc;
use kmirror_protocol::wire::record::{Limits, NewRecord, build_batch};
use kmirror_protocol::wire::reencode::{Reencoder, Shape};

const STAMP: Stamp =
    Stamp { producer_id: 4711, producer_epoch: 3, base_sequence: 1_000_000, transactional: false };
const LIMITS: Limits = Limits { max_decompressed_bytes: 64 << 20 };

/// Records of `len` bytes of something like JSON.
fn records(count: usize, len: usize) -> Vec<NewRecord> {
    let mut seed = 1u64;
    let mut value = || {
        let events = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (user, page) = (seed >> 52, seed >> 54);
            format!(r#"{{"user":"user{user}","action":"click","page":"/products/{page}","ok":true}}"#)
                .into_bytes()
        });
        events.flatten().take(len).collect::<Vec<u8>>()
    };
    (1_700_000_000_000..)
        .take(count)
        .map(|timestamp| NewRecord {
            timestamp,
            key: None,
            value: Some(Bytes::from(value())),
            headers: Vec::new(),
        })
        .collect()
}

/// A log of batches of `per_batch` records each, as a Fetch response has it.
fn log(records: &[NewRecord], per_batch: usize, codec: Codec) -> Bytes {
    let mut blob = Vec::new();
    let mut base_offset = 0;
    for chunk in records.chunks(per_batch) {
        let batch = build_batch(chunk, codec).expect("records fit a batch");
        let header = BatchHeader { base_offset, ..batch.header };
        blob.extend_from_slice(&header.to_bytes());
        blob.extend_from_slice(&batch.payload);
        base_offset = header.next_offset();
    }
    Bytes::from(blob)
}

fn entries(blob: &Bytes) -> Vec<Entry> {
    Entries::new(blob.clone()).map(|entry| entry.expect("a whole batch")).collect()
}

fn total(len: usize) -> Throughput {
    Throughput::Bytes(u64::try_from(len).expect("a length"))
}

/// The rewrite of a header with the checksum carried over: the same at every length.
fn stamp(c: &mut Criterion) {
    let mut group = c.benchmark_group("stamp");
    for len in [100, 16 << 10, 1 << 20] {
        let batch = build_batch(&records(1, len), Codec::None).expect("a record fits a batch");
        let payload_len = batch.payload.len();
        group.bench_with_input(BenchmarkId::from_parameter(len), &batch.header, |b, header| {
            b.iter(|| black_box(header).stamped(black_box(payload_len), STAMP));
        });
    }
    group.finish();
}

/// The checksum computed, and carried over a payload of the same length.
fn checksum(c: &mut Criterion) {
    let mut group = c.benchmark_group("checksum");
    for len in [40, 100, 1 << 10, 16 << 10, 256 << 10, 1 << 20] {
        let bytes = vec![0x5A; len];
        group.throughput(total(len));
        group.bench_with_input(BenchmarkId::new("computed", len), &bytes, |b, bytes| {
            b.iter(|| crc::crc32c(black_box(bytes)));
        });
        let tail_len = u32::try_from(len).expect("a length");
        group.bench_with_input(BenchmarkId::new("carried", len), &tail_len, |b, len| {
            b.iter(|| crc::shift(black_box(0xDEAD_BEEF), black_box(*len)));
        });
    }
    group.finish();
}

/// The walk over the headers of a Fetch response.
fn walk(c: &mut Criterion) {
    let mut group = c.benchmark_group("walk");
    for (name, count, len, per_batch) in
        [("10000 batches of one record", 10_000, 100, 1), ("16 batches of 256 KiB", 4096, 1000, 256)]
    {
        let blob = log(&records(count, len), per_batch, Codec::None);
        group.throughput(total(blob.len()));
        group.bench_with_input(name, &blob, |b, blob| {
            b.iter(|| Entries::new(blob.clone()).filter(Result::is_ok).count());
        });
    }
    group.finish();
}

/// One re-encoding to measure: `count` records of `len` bytes, in batches of `per_batch` of one codec, to another.
struct Case {
    name: &'static str,
    count: usize,
    len: usize,
    per_batch: usize,
    from: Codec,
    to: Codec,
}

const CASES: [Case; 8] = [
    case("merge one-record batches", 2_000, 100, 1, Codec::None, Codec::None),
    case("merge 16 KiB batches", 2_400, 100, 150, Codec::None, Codec::None),
    case("merge one-record lz4 batches", 2_000, 100, 1, Codec::Lz4, Codec::Lz4),
    case("merge lz4 batches of 8", 8_000, 100, 8, Codec::Lz4, Codec::Lz4),
    case("lz4 to none", 8_000, 100, 8, Codec::Lz4, Codec::None),
    case("large lz4 batches", 1_000, 1_000, 1_000, Codec::Lz4, Codec::Lz4),
    case("gzip to zstd", 1_000, 1_000, 500, Codec::Gzip, Codec::Zstd),
    case("snappy to snappy", 1_000, 1_000, 500, Codec::Snappy, Codec::Snappy),
];

const fn case(
    name: &'static str,
    count: usize,
    len: usize,
    per_batch: usize,
    from: Codec,
    to: Codec,
) -> Case {
    Case { name, count, len, per_batch, from, to }
}

fn reencode(c: &mut Criterion) {
    let mut group = c.benchmark_group("reencode");
    for Case { name, count, len, per_batch, from, to } in CASES {
        let blob = log(&records(count, len), per_batch, from);
        let shape = Shape { codec: to, level: None, max_batch_bytes: 1_000_000, timestamps: None };
        let mut reencoder = Reencoder::new(LIMITS);
        group.throughput(total(count * len));
        group.bench_with_input(name, &blob, |b, blob| {
            b.iter(|| reencoder.reencode(&entries(blob), 0, &shape).expect("sound batches"));
        });
    }
    group.finish();
}

criterion_group!(benches, stamp, checksum, walk, reencode);
criterion_main!(benches);
