//! The target topic has fewer partitions than its source: it grows, or refuses to, and what is told apart from a refusal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kmirror_sandbox::ControlId;
use kmirror_sandbox::messages::ProduceRequest;

use super::*;

const INVALID_REPLICATION_FACTOR: i16 = 38;
const POLICY_VIOLATION: i16 = 44;
/// So many partitions are added at once that each of two processes gets some of them.
const ADDED: i32 = 9;

impl Pair {
    /// All partitions but the last were mirrored before, one to one, and have more records since. The last one is new.
    async fn grown() -> Self {
        let pair = Self::start(SandboxOptions::default()).await;
        pair.sync().await;
        pair.source.grow_topic(TOPIC, PARTITIONS + 1).unwrap();
        (0..=PARTITIONS).for_each(|partition| pair.produce(partition, 100..160));
        pair
    }

    fn refuse_partitions(&self) -> ControlId {
        self.target.control(ApiKey::CreatePartitions, |_| Verdict::AnswerError(POLICY_VIOLATION))
    }

    /// Sets what it returns when a request has two batches for one partition: brokers keep the last of them.
    fn watch_requests(&self) -> Arc<AtomicBool> {
        let seen = Arc::new(AtomicBool::new(false));
        let twice = Arc::clone(&seen);
        self.target.control(ApiKey::Produce, move |request| {
            for topic in request.decode::<ProduceRequest>().unwrap().topic_data {
                let mut indexes: Vec<i32> = topic.partition_data.iter().map(|one| one.index).collect();
                let batches = indexes.len();
                indexes.sort_unstable();
                indexes.dedup();
                twice.fetch_or(indexes.len() < batches, Ordering::Relaxed);
            }
            Verdict::Default
        });
        seen
    }
}

/// The policy of the target keeps it so. A fault at the next start does not change where records go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_target_adds_no_partitions_records_are_dealt_out() {
    let pair = Pair::start(SandboxOptions::default()).await;
    pair.target.create_topic(&TopicSpec::new("a.data", 2)).unwrap();
    let refusing = pair.refuse_partitions();
    assert_eq!(pair.sync().await, 0);
    pair.assert_dealt_out(2);
    (0..PARTITIONS).for_each(|partition| pair.produce(partition, 100..130));
    let first = Arc::new(AtomicBool::new(true));
    pair.target.release(refusing);
    pair.target.control(ApiKey::CreatePartitions, move |_| {
        let fault = first.swap(false, Ordering::Relaxed);
        Verdict::AnswerError(if fault { INVALID_REPLICATION_FACTOR } else { POLICY_VIOLATION })
    });
    pair.sync().await;
    pair.assert_dealt_out(2);
}

/// What is mirrored one to one stays so: its keys would go on in other partitions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_target_lacks_is_dealt_out() {
    let pair = Pair::grown().await;
    pair.refuse_partitions();
    assert_eq!(pair.sync().await, 0);
    pair.assert_dealt_out_from(PARTITIONS, PARTITIONS);
    (0..=PARTITIONS).for_each(|partition| pair.produce(partition, 200..230));
    assert_eq!(pair.sync().await, 0);
    pair.assert_dealt_out_from(PARTITIONS, PARTITIONS);
}

/// A partition mirrored one to one and an outlet of another have something to send to one target partition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_has_two_batches_for_one_partition() {
    let mut pair = Pair::grown().await;
    pair.more = "b.producer.max.in.flight.requests.per.connection = 1\n";
    pair.refuse_partitions();
    let twice = pair.watch_requests();
    pair.sync().await;
    assert!(!twice.load(Ordering::Relaxed), "two batches for one partition");
    pair.assert_dealt_out_from(PARTITIONS, PARTITIONS);
}

/// The partitions are there when the request is made again: that is no refusal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_no_refusal() {
    let pair = Pair::grown().await;
    pair.target.control_once(ApiKey::CreatePartitions, |_| Verdict::LoseAnswer);
    assert_eq!(pair.sync().await, 0);
    pair.assert_same();
}

/// As a cluster answers while one of its brokers restarts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_is_no_refusal() {
    let pair = Pair::grown().await;
    pair.target.control_once(ApiKey::CreatePartitions, |_| Verdict::AnswerError(INVALID_REPLICATION_FACTOR));
    assert_eq!(pair.sync().await, 0);
    pair.assert_same();
}

/// Two processes of one flow see at the same time that the source has grown. The first request waits until the other
/// process has made the partitions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_another_process_grows_is_no_refusal() {
    let mut pair = Pair::start(SandboxOptions::default()).await;
    pair.more = "refresh.topics.interval.seconds = 1\n";
    let (one, other) = (pair.mirror(), pair.mirror());
    let started = Instant::now();
    let synced = |pair: &Pair, partitions: Range<i32>| {
        let end = |side: &Sandbox, topic, partition| side.end_offset(topic, partition).unwrap_or(0);
        partitions.into_iter().all(|one| end(&pair.target, "a.data", one) >= end(&pair.source, TOPIC, one))
    };
    let both_run = || [&one, &other].iter().all(|mirror| !mirror.status().flows[0].partitions().is_empty());
    while !(both_run() && synced(&pair, 0..PARTITIONS)) {
        assert!(started.elapsed() < WITHIN, "not shared: {}", one.metrics());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    pair.target.control_once(ApiKey::CreatePartitions, |_| Verdict::Stall(Duration::from_secs(3)));
    pair.source.grow_topic(TOPIC, PARTITIONS + ADDED).unwrap();
    (0..PARTITIONS + ADDED).for_each(|partition| pair.produce(partition, 100..110));
    let started = Instant::now();
    while !synced(&pair, 0..pair.partitions()) && started.elapsed() < WITHIN {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    one.stop().await.unwrap();
    other.stop().await.unwrap();
    pair.assert_same();
}
