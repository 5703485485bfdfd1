//! Mirroring in transactions against sandbox clusters: whatever fails, and whenever, a reader of committed records sees
//! each record once and in order, and source transactions as wholes. (The same against real brokers is in the `tests`
//! crate; here each kind of request fails in turn.)

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kmirror_engine::Mirror;
use kmirror_engine::plan::{Plan, PlanArgs};
use kmirror_engine::status::PartitionStatus;
use kmirror_protocol::client::send::{TransactionalSender, send_in_transaction};
use kmirror_protocol::client::txn::TransactionalId;
use kmirror_protocol::client::{Cluster, ClusterOptions, consume};
use kmirror_protocol::wire::batch::{BatchHeader, Codec, Entries, Entry, Stamp};
use kmirror_protocol::wire::record::{self, NewRecord};
use kmirror_sandbox::{ApiKey, Sandbox, SandboxOptions, TopicSpec, Verdict};

const TOPIC: &str = "data";
const PARTITIONS: i32 = 3;
const BATCHES: usize = 60;
const RECORDS_A_BATCH: usize = 20;
const WITHIN: Duration = Duration::from_secs(40);
const NOT_COORDINATOR: i16 = 16;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const CONCURRENT_TRANSACTIONS: i16 = 51;

struct Pair {
    source: Sandbox,
    target: Sandbox,
    more: &'static str,
}

fn keyed(name: &str) -> NewRecord {
    let value = Some(Bytes::from(vec![b'x'; 1_000]));
    NewRecord { timestamp: 1_000, key: Some(name.to_owned().into()), value, headers: Vec::new() }
}

fn batch(records: &[NewRecord], stamp: Stamp) -> Vec<u8> {
    let encoded = record::build_batch(records, Codec::None).unwrap();
    [encoded.header.stamped(encoded.payload.len(), stamp).as_slice(), &encoded.payload].concat()
}

impl Pair {
    async fn start(more: &'static str) -> Self {
        let options = || SandboxOptions { brokers: 3, auto_create: false, ..SandboxOptions::default() };
        let (source, target) =
            (Sandbox::start(options()).await.unwrap(), Sandbox::start(options()).await.unwrap());
        source.create_topic(&TopicSpec::new(TOPIC, PARTITIONS)).unwrap();
        Self { source, target, more }
    }

    fn produce(&self, batches: std::ops::Range<usize>) {
        for number in batches {
            for partition in 0..PARTITIONS {
                let records: Vec<NewRecord> =
                    (0..RECORDS_A_BATCH).map(|k| keyed(&format!("{partition}/{number}/{k}"))).collect();
                self.source.append(TOPIC, partition, &batch(&records, Stamp::NONE).into()).unwrap();
            }
        }
    }

    fn mirror(&self) -> Mirror {
        let text = format!(
            "clusters = a, b\na.bootstrap.servers = {}\nb.bootstrap.servers = {}\na->b.enabled = true\n\
             b.exactly.once.source.support = enabled\ntransaction.boundary.interval.ms = 20\n\
             replication.factor = 1\noffset.storage.replication.factor = 1\noffset.storage.partitions = 3\n\
             offset-syncs.topic.replication.factor = 1\n\
             b.producer.retry.backoff.ms = 10\nb.producer.retry.backoff.max.ms = 100\n\
             a.consumer.retry.backoff.ms = 10\na.consumer.retry.backoff.max.ms = 100\n{}",
            self.source.bootstrap(),
            self.target.bootstrap(),
            self.more
        );
        let plan = Plan::from_properties(&text, "transactions.properties", &PlanArgs::default()).unwrap();
        Mirror::start(plan).unwrap()
    }

    async fn until_synced(&self, mirror: &Mirror) {
        let started = Instant::now();
        let done = || {
            let partitions = mirror.status().flows[0].partitions();
            let at_end = |partition: i32| {
                let end = self.source.end_offset(TOPIC, partition).unwrap();
                partitions
                    .iter()
                    .any(|one| one.source.partition == partition && one.acknowledged_next().0 >= end)
            };
            (0..PARTITIONS).all(at_end)
        };
        while !done() {
            assert!(started.elapsed() < WITHIN, "not synced: {}", mirror.metrics());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn sync(&self) {
        let mirror = self.mirror();
        self.until_synced(&mirror).await;
        mirror.stop().await.unwrap();
    }

    /// The keys that a reader of committed records finds, by partition.
    async fn committed(cluster: &Sandbox, topic: &str) -> BTreeMap<i32, Vec<Bytes>> {
        let bootstrap = vec![cluster.bootstrap().split(',').next().unwrap().parse().unwrap()];
        let client = Cluster::new(ClusterOptions::new("read", bootstrap), None);
        let mut keys: BTreeMap<i32, Vec<Bytes>> = (0..PARTITIONS).map(|index| (index, Vec::new())).collect();
        consume::wait_until_decided(&client, &Arc::from(topic)).await.unwrap();
        consume::read_to_end(&client, &Arc::from(topic), 1 << 20, |partition, record| {
            keys.get_mut(&partition).unwrap().extend(record.key);
        })
        .await
        .unwrap();
        keys
    }

    async fn assert_same(&self) {
        let (wanted, found) =
            (Self::committed(&self.source, TOPIC).await, Self::committed(&self.target, "a.data").await);
        for (partition, wanted) in wanted {
            let found = &found[&partition];
            let first = wanted.iter().zip(found).position(|(wanted, found)| wanted != found);
            assert_eq!((found.len(), first), (wanted.len(), None), "partition {partition}");
        }
        for partition in 0..PARTITIONS {
            for bytes in self.target.read_batches("a.data", partition).unwrap() {
                assert!(BatchHeader::parse(&bytes).unwrap().is_transactional());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_and_progress_are_there_together() {
    let pair = Pair::start("").await;
    pair.produce(0..BATCHES);
    pair.sync().await;
    pair.assert_same().await;
    pair.produce(BATCHES..BATCHES + 10);
    pair.sync().await;
    pair.assert_same().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_that_is_gone_in_the_middle_leaves_nothing_that_counts() {
    let pair = Pair::start("transaction.timeout.ms = 5000\n").await;
    pair.produce(0..BATCHES);
    for pause in [5, 20, 40, 80, 160] {
        let mirror = pair.mirror();
        let started = Instant::now();
        while mirror.status().flows[0].partitions().iter().all(|one| one.records() == 0) {
            assert!(started.elapsed() < WITHIN, "{}", mirror.metrics());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
        // As by kill -9: nothing is said to anybody.
        drop(mirror);
        let more = usize::try_from(pause).unwrap() * 100;
        pair.produce(more..more + 5);
    }
    pair.sync().await;
    pair.assert_same().await;
}

/// Each kind of request fails now and then, each in each way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_each_record_counts_once() {
    use Verdict::{AnswerError, CutLink, LoseAnswer};
    let asked = [
        (ApiKey::Produce, NOT_COORDINATOR),
        (ApiKey::AddPartitionsToTxn, CONCURRENT_TRANSACTIONS),
        (ApiKey::AddPartitionsToTxn, INVALID_PRODUCER_EPOCH),
        (ApiKey::AddOffsetsToTxn, NOT_COORDINATOR),
        (ApiKey::TxnOffsetCommit, NOT_COORDINATOR),
        (ApiKey::EndTxn, CONCURRENT_TRANSACTIONS),
        (ApiKey::EndTxn, INVALID_PRODUCER_EPOCH),
        (ApiKey::InitProducerId, CONCURRENT_TRANSACTIONS),
    ];
    for (api, code) in asked {
        let pair = Pair::start("").await;
        pair.produce(0..BATCHES);
        let mut calls = 0;
        pair.target.control(api, move |_| {
            calls += 1;
            match calls {
                2 | 7 => LoseAnswer,
                4 => CutLink,
                1 | 9 => AnswerError(code),
                _ => Verdict::Default,
            }
        });
        pair.sync().await;
        pair.produce(BATCHES..BATCHES + 10);
        pair.sync().await;
        pair.assert_same().await;
        println!("{api:?} {code}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_move_within_transactions() {
    let pair = Pair::start("").await;
    pair.produce(0..BATCHES);
    let mirror = pair.mirror();
    for round in 0..12 {
        let _ = pair.target.move_leader("a.data", round % PARTITIONS, 1 + (round + 1) % 3);
        let more = 100 + 3 * usize::try_from(round).unwrap();
        pair.produce(more..more + 3);
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    pair.until_synced(&mirror).await;
    mirror.stop().await.unwrap();
    pair.assert_same().await;
}

/// Two mirrors that share the partitions of [`TOPIC`].
struct Two<'a> {
    pair: &'a Pair,
    first: Mirror,
    second: Option<Mirror>,
}

impl Two<'_> {
    async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !done(self) {
            assert!(started.elapsed() < WITHIN, "{what}: {}", self.first.metrics());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The partitions that one of them runs. Besides them there are heartbeats.
    fn running(mirror: &Mirror) -> Vec<Arc<PartitionStatus>> {
        let all = mirror.status().flows[0].partitions();
        all.into_iter().filter(|one| *one.source.topic == *TOPIC).collect()
    }

    async fn until_first_has_all(&self) {
        self.until("the first has all", |two| Self::running(&two.first).len() == 3).await;
    }

    async fn start_second(&mut self) {
        self.second = Some(self.pair.mirror());
        let shared = |two: &Self| {
            let second = two.second.as_ref().map_or(0, |second| Self::running(second).len());
            second > 0 && second + Self::running(&two.first).len() == 3
        };
        self.until("the second has its share", shared).await;
    }

    async fn stop_second(&mut self) {
        let second = self.second.take().unwrap();
        Self::assert_none_aborted(&second);
        second.stop().await.unwrap();
    }

    async fn until_synced(&self) {
        let end = |one| self.pair.source.end_offset(TOPIC, one).unwrap();
        let ends: i64 = (0..PARTITIONS).map(end).sum();
        let next =
            |mirror: &Mirror| Self::running(mirror).iter().map(|one| one.acknowledged_next().0).sum::<i64>();
        self.until("all is mirrored", |two| next(&two.first) + two.second.as_ref().map_or(0, next) == ends)
            .await;
    }

    fn assert_none_aborted(mirror: &Mirror) {
        let metrics = mirror.metrics();
        let aborted = metrics.lines().find(|line| line.contains("outcome=\"aborted\"")).unwrap();
        assert!(aborted.ends_with(" 0"), "{aborted}");
    }
}

/// What moves to a second process without having been written has nothing open that would have to be aborted; nor has it
/// when it comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_partitions_that_move_fence_nobody() {
    let pair = Pair::start("").await;
    let mut two = Two { pair: &pair, first: pair.mirror(), second: None };
    two.until_first_has_all().await;
    two.start_second().await;
    two.stop_second().await;
    two.until_first_has_all().await;
    two.start_second().await;
    pair.produce(0..20);
    two.until_synced().await;
    two.stop_second().await;
    Two::assert_none_aborted(&two.first);
    two.first.stop().await.unwrap();
    pair.assert_same().await;
}

/// The target remembers the batches that a process wrote before a partition went elsewhere and came back: one with their
/// sequences would count as one of them. So could the first one be lost that is as long as they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_come_back_go_on_with_the_sequences_they_had() {
    let pair = Pair::start("").await;
    let mut two = Two { pair: &pair, first: pair.mirror(), second: None };
    two.until_first_has_all().await;
    for round in 0..3 {
        pair.produce(3 * round..3 * round + 1);
        two.until_synced().await;
        two.start_second().await;
        pair.produce(3 * round + 1..3 * round + 2);
        two.until_synced().await;
        two.stop_second().await;
        two.until_first_has_all().await;
        pair.produce(3 * round + 2..3 * round + 3);
        two.until_synced().await;
    }
    pair.assert_same().await;
    Two::assert_none_aborted(&two.first);
    two.first.stop().await.unwrap();
}

/// A long transaction at the source, others beside it: at the target each is in one transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn source_transactions_arrive_whole() {
    let pair = Pair::start("a.consumer.isolation.level = read_committed\n").await;
    let mirror = pair.mirror();
    let bootstrap = vec![pair.source.bootstrap().split(',').next().unwrap().parse().unwrap()];
    let client = Cluster::new(ClusterOptions::new("write", bootstrap), None);
    let topic: Arc<str> = TOPIC.into();
    let mut producers = Vec::new();
    for number in 0..4 {
        let id = TransactionalId::new(&client, &format!("producer-{number}"));
        let identity = id.init(Duration::from_secs(60)).await.unwrap();
        let sender = TransactionalSender { id: Arc::clone(id.name()), identity, sequences: HashMap::new() };
        producers.push((id, sender));
    }
    // Each goes through its transactions, five records a partition; those of different producers overlap.
    let write = async |(id, mut sender): (TransactionalId, TransactionalSender), pause: u64| {
        for number in 0..10 {
            let all: Vec<_> = (0..PARTITIONS).map(|index| (Arc::clone(&topic), index)).collect();
            id.add_partitions(sender.identity, &all).await.unwrap();
            for part in 0..5 {
                let one = keyed(&format!("{}/{number}/{part}", id.name()));
                let records = (0..PARTITIONS).map(|index| (index, vec![one.clone()])).collect();
                send_in_transaction(&client, &topic, records, &mut sender).await.unwrap();
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            id.end(sender.identity, true).await.unwrap();
            tokio::time::sleep(Duration::from_millis(7 * pause)).await;
        }
    };
    let mut producers = producers.into_iter();
    let mut next = |pause| write(producers.next().unwrap(), pause);
    tokio::join!(next(2), next(3), next(5), next(7));
    pair.until_synced(&mirror).await;
    mirror.stop().await.unwrap();
    for partition in 0..PARTITIONS {
        assert_wholes(&pair.target, partition);
    }
}

/// Between two markers of the target stand all five parts of each source transaction that has any there.
fn assert_wholes(target: &Sandbox, partition: i32) {
    let limits = record::Limits { max_decompressed_bytes: 1 << 20 };
    let mut parts: BTreeMap<String, usize> = BTreeMap::new();
    let mut all = 0;
    for entry in Entries::new(target.read("a.data", partition).unwrap()) {
        let entry = entry.unwrap();
        if matches!(&entry, Entry::Batch(batch) if batch.header.is_control()) {
            assert!(parts.values().all(|parts| *parts == 5), "partition {partition} is cut: {parts:?}");
            all += parts.len();
            parts.clear();
            continue;
        }
        for one in record::records(&entry, &limits).unwrap() {
            let key = String::from_utf8(one.key.unwrap().to_vec()).unwrap();
            *parts.entry(key.rsplit_once('/').unwrap().0.to_owned()).or_default() += 1;
        }
    }
    assert_eq!((all, parts.len()), (40, 0));
}
