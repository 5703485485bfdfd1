//! A record reduced to what comparing it takes: a few numbers instead of its bytes. Pure.

use std::hash::{BuildHasher, RandomState};

use kmirror_protocol::wire::batch::Entry;
use kmirror_protocol::wire::record::{Limits, RecordError, RecordReader, RecordView};

/// What one batch may unpack to, as for mirroring.
const LIMITS: Limits = Limits { max_decompressed_bytes: 256 << 20 };

/// The fingerprint of one record. Two records with one key, value and headers have one fingerprint; two others are
/// taken for one with a chance of 1 in 2^64 a field, whatever they hold: the hashes are keyed anew in every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Print {
    /// Its offset in its own log.
    pub offset: i64,
    /// Its timestamp in milliseconds.
    pub timestamp: i64,
    /// Hash of the key.
    pub key: u64,
    /// Hash of the value.
    pub value: u64,
    /// Hash of the headers.
    pub headers: u64,
    /// It has a key.
    pub has_key: bool,
    /// It has no value.
    pub is_tombstone: bool,
}

impl Print {
    /// Whether both are the same record.
    pub fn same(&self, other: &Self, timestamps: bool) -> bool {
        (self.key, self.value, self.headers) == (other.key, other.value, other.headers)
            && (!timestamps || self.timestamp == other.timestamp)
    }

    /// A number that is the same for the same records.
    pub fn id(&self, timestamps: bool) -> u64 {
        const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
        let content = self.key ^ self.value.rotate_left(23) ^ self.headers.rotate_left(41);
        if timestamps { content ^ self.timestamp.cast_unsigned().wrapping_mul(SPREAD) } else { content }
    }
}

/// Takes fingerprints of batches.
#[derive(Default)]
pub struct Printer {
    hasher: RandomState,
    reader: RecordReader,
}

impl Printer {
    /// The fingerprints of an entry's records whose offsets lie in `[from, until)`.
    pub fn prints(
        &mut self,
        entry: &Entry,
        from: i64,
        until: i64,
        out: &mut Vec<Print>,
    ) -> Result<(), RecordError> {
        let hasher = &self.hasher;
        self.reader.read(entry, &LIMITS, |record| {
            if (from..until).contains(&record.offset) {
                out.push(print(hasher, &record));
            }
        })
    }
}

/// Records that tell where a log stands, at least, if there are as many.
const FIRST_RECORDS: usize = 1000;

impl Printer {
    /// The fingerprints of the first records at or behind `from`, as far as they can be read.
    pub fn first(&mut self, entries: &[Entry], from: i64) -> Vec<Print> {
        let mut prints = Vec::new();
        for entry in entries {
            if prints.len() >= FIRST_RECORDS || self.prints(entry, from, i64::MAX, &mut prints).is_err() {
                break;
            }
        }
        prints
    }
}

fn print(hasher: &RandomState, record: &RecordView<'_>) -> Print {
    Print {
        offset: record.offset,
        timestamp: record.timestamp,
        key: hasher.hash_one(record.key),
        value: hasher.hash_one(record.value),
        headers: hasher.hash_one(&record.headers),
        has_key: record.key.is_some(),
        is_tombstone: record.value.is_none(),
    }
}
