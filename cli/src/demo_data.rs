//! The demonstration's workload, and the comparison of the two clusters. Fills the sandboxes directly; knows
//! nothing of the mirror between them.

use bytes::Bytes;
use kmirror_protocol::wire::batch::{Codec, Entries};
use kmirror_protocol::wire::record::{self, Limits, NewRecord, Record};
use kmirror_sandbox::{Sandbox, SandboxError, TopicSpec};

/// A topic of the workload: name, partitions, codec, records a batch, bytes a value.
struct Topic(&'static str, i32, Codec, usize, usize);

const TOPICS: [Topic; 4] = [
    Topic("orders", 6, Codec::Lz4, 200, 600),
    Topic("clicks", 8, Codec::None, 40, 120),
    Topic("invoices", 2, Codec::Zstd, 100, 2_000),
    Topic("announcements", 1, Codec::Gzip, 1, 300),
];
/// Partitions of all topics together.
pub(crate) const PARTITIONS: usize = 17;
/// Batches a partition before the mirror starts.
const BATCHES_BEFORE: u64 = 150;
/// The time of the first record, in milliseconds since the epoch.
const FIRST_TIMESTAMP: i64 = 1_700_000_000_000;
/// Differences told at most.
const DIFFERENCES_MAX: usize = 10;
const LIMITS: Limits = Limits { max_decompressed_bytes: 64 << 20 };

/// Creates the topics and what is in them before the mirror starts; how many records that is.
pub(crate) fn fill(source: &Sandbox) -> Result<u64, SandboxError> {
    for Topic(name, partitions, ..) in &TOPICS {
        source.create_topic(&TopicSpec::new(*name, *partitions).replication_factor(3))?;
    }
    let mut records = 0;
    for round in 0..BATCHES_BEFORE {
        records += produce_round(source, round)?;
    }
    Ok(records)
}

/// One batch for each partition; how many records that is.
pub(crate) fn produce_round(source: &Sandbox, round: u64) -> Result<u64, SandboxError> {
    let mut produced = 0;
    for topic in &TOPICS {
        for partition in 0..topic.1 {
            let records = records(topic, partition, round);
            let Ok(batch) = record::build_batch(&records, topic.2) else { continue };
            let mut bytes = batch.header.to_bytes().to_vec();
            bytes.extend_from_slice(&batch.payload);
            source.append(topic.0, partition, &Bytes::from(bytes))?;
            produced += records.len() as u64;
        }
    }
    Ok(produced)
}

fn records(Topic(name, _, _, count, size): &Topic, partition: i32, round: u64) -> Vec<NewRecord> {
    (0..*count as u64)
        .map(|k| {
            let number = round * (*count as u64) + k;
            let mut value = format!("{name} {partition} {number} ");
            let mut random = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ partition.unsigned_abs() as u64;
            while value.len() < *size {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                value.push_str(&format!("{:x} the same words again ", random >> 40));
            }
            NewRecord {
                timestamp: FIRST_TIMESTAMP + i64::try_from(number).unwrap_or(0),
                key: (!number.is_multiple_of(5)).then(|| format!("key-{}", number % 97).into()),
                // Now and then a tombstone.
                value: (number % 50 != 49).then(|| value.into()),
                headers: vec![("trace".into(), Some(number.to_string().into())), ("trace".into(), None)],
            }
        })
        .collect()
}

/// What the comparison found.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Records that are the same at both sides, at the same place of their partition.
    pub(crate) same: u64,
    /// The first differences.
    pub(crate) different: Vec<String>,
}

/// Compares every partition of the source with the one it is mirrored to.
pub(crate) fn compare(source: &Sandbox, target: &Sandbox) -> Result<Comparison, SandboxError> {
    let mut comparison = Comparison::default();
    for Topic(name, partitions, ..) in &TOPICS {
        for partition in 0..*partitions {
            let mirrored = format!("source.{name}");
            let mut ours = read(source, name, partition)?.into_iter();
            let mut theirs = read(target, &mirrored, partition)?.into_iter();
            loop {
                let (left, right) = (ours.next(), theirs.next());
                match (&left, &right) {
                    (None, None) => break,
                    (Some(left), Some(right)) if same(left, right) => comparison.same += 1,
                    _ if comparison.different.len() < DIFFERENCES_MAX => {
                        let offset = |record: &Option<Record>| {
                            record
                                .as_ref()
                                .map_or_else(|| "nothing".to_owned(), |one| format!("offset {}", one.offset))
                        };
                        comparison.different.push(format!(
                            "{name}-{partition} {} is not {mirrored}-{partition} {}",
                            offset(&left),
                            offset(&right)
                        ));
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(comparison)
}

fn same(left: &Record, right: &Record) -> bool {
    left.key == right.key
        && left.value == right.value
        && left.headers == right.headers
        && left.timestamp == right.timestamp
}

/// Every record of a partition, in order. What cannot be decoded is missing, and so tells as a difference.
fn read(cluster: &Sandbox, topic: &str, partition: i32) -> Result<Vec<Record>, SandboxError> {
    let entries = Entries::new(cluster.read(topic, partition)?).filter_map(Result::ok);
    Ok(entries.filter_map(|entry| record::records(&entry, &LIMITS).ok()).flatten().collect())
}
