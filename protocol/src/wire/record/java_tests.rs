//! Batches written by Kafka's own Java classes, of every magic, codec and kind of timestamp, read and re-encoded.

use std::fs;
use std::path::Path;

use bytes::Bytes;

use super::testing::{LIMITS, consumed, entries, new_record};
use super::*;
use crate::wire::batch::{Codec, Entry, TimestampType};
use crate::wire::reencode::{Reencoder, Shape};

const APPEND_TIME: i64 = 1_800_000_000_000;

struct Fixture {
    name: String,
    magic: u8,
    appended: bool,
    entries: Vec<Entry>,
}

fn fixtures() -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/wire/testdata");
    let mut fixtures = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let Some(magic) = name.strip_prefix("magic").and_then(|rest| rest.chars().next()) else { continue };
        let magic = u8::try_from(magic.to_digit(10).unwrap()).unwrap();
        let appended = name.ends_with("append");
        fixtures.push(Fixture { name, magic, appended, entries: entries(fs::read(path).unwrap()) });
    }
    assert_eq!(fixtures.len(), 22);
    fixtures
}

/// The records that `JavaBatches.java` writes.
fn expected(fixture: &Fixture) -> Vec<(i64, NewRecord)> {
    let text = |text: String| Some(Bytes::from(text));
    let named = |name: &'static str, value: Option<&'static str>| (Bytes::from(name), value.map(Bytes::from));
    let record = |i: i64| NewRecord {
        timestamp: match fixture.magic {
            0 => -1,
            _ if fixture.appended => APPEND_TIME,
            _ => 1_700_000_000_000 + (i % 4) * 1000,
        },
        key: (i % 3 != 0).then(|| text(format!("key {i}"))).flatten(),
        value: (i % 5 != 4)
            .then(|| text(format!("value {i} {}", "lorem ipsum ".repeat(usize::try_from(i * i).unwrap()))))
            .flatten(),
        headers: match (fixture.magic, i % 2) {
            (2, 0) => {
                vec![named("name", Some("first")), named("name", Some("second")), named("nothing", None)]
            }
            _ => Vec::new(),
        },
    };
    (0..12).filter(|i| *i != 7).map(|i| (100 + i, record(i))).collect()
}

#[test]
fn are_read_as_java_wrote_them() {
    for fixture in fixtures() {
        let read: Vec<Record> =
            fixture.entries.iter().flat_map(|entry| records(entry, &LIMITS).unwrap()).collect();
        let timestamp_type = if fixture.appended { TimestampType::LogAppend } else { TimestampType::Create };
        assert!(read.iter().all(|record| record.timestamp_type == timestamp_type), "{}", fixture.name);
        let read: Vec<_> = read.into_iter().map(new_record).collect();
        assert_eq!(read, expected(&fixture), "{}", fixture.name);
    }
}

#[test]
fn are_reencoded_with_dense_offsets() {
    let mut reencoder = Reencoder::new(LIMITS);
    for fixture in fixtures() {
        for codec in Codec::ALL {
            let shape = Shape { codec, level: None, max_batch_bytes: 1 << 20, timestamps: None };
            let batches = reencoder.reencode(&fixture.entries, 103, &shape).unwrap();
            assert_eq!((batches.len(), batches[0].header.record_count), (1, 8));
            assert_eq!((batches[0].first_offset, batches[0].last_offset), (103, 111));
            let expected = expected(&fixture).into_iter().skip(3).zip(0..);
            let expected: Vec<_> = expected.map(|((_, record), place)| (place, record)).collect();
            assert_eq!(consumed(&batches), expected, "{} to {codec}", fixture.name);
        }
    }
}
