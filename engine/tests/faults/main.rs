//! The engine against sandbox clusters that misbehave on order: what is at the target in the end must be exactly what
//! is at the source, each record once and in order. (The same against real brokers is in the `tests` crate; here the
//! moment of each fault is chosen.)

#![expect(clippy::unwrap_used, clippy::cast_possible_wrap, reason = "what fails here fails the test")]

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kmirror_engine::Mirror;
use kmirror_engine::plan::{Plan, PlanArgs};
use kmirror_protocol::wire::batch::{Codec, Entries};
use kmirror_protocol::wire::murmur2;
use kmirror_protocol::wire::record::{self, Limits, NewRecord, Record};
use kmirror_sandbox::{ApiKey, Sandbox, SandboxOptions, TopicSpec, Verdict};

mod growth;

const TOPIC: &str = "data";
const PARTITIONS: i32 = 3;
const BATCHES: usize = 60;
const RECORDS_A_BATCH: usize = 40;
const WITHIN: Duration = Duration::from_secs(40);
const NOT_LEADER: i16 = 6;
const REQUEST_TIMED_OUT: i16 = 7;
const TOPIC_AUTHORIZATION_FAILED: i16 = 29;

struct Pair {
    source: Sandbox,
    target: Sandbox,
    /// Further lines of the properties.
    more: &'static str,
}

impl Pair {
    async fn start(target: SandboxOptions) -> Self {
        let options = SandboxOptions { brokers: 3, auto_create: false, ..SandboxOptions::default() };
        let pair = Self {
            source: Sandbox::start(options).await.unwrap(),
            target: Sandbox::start(SandboxOptions { brokers: 3, auto_create: false, ..target })
                .await
                .unwrap(),
            more: "",
        };
        pair.source.create_topic(&TopicSpec::new(TOPIC, PARTITIONS)).unwrap();
        (0..PARTITIONS).for_each(|partition| pair.produce(partition, 0..BATCHES));
        pair
    }

    /// Batches too large to be merged.
    fn produce(&self, partition: i32, batches: Range<usize>) {
        for batch in batches {
            let records: Vec<NewRecord> = (0..RECORDS_A_BATCH)
                .map(|k| NewRecord {
                    timestamp: 1_000 + k as i64,
                    key: Some(format!("{partition}/{batch}/{k}").into()),
                    value: Some(Bytes::from(vec![b'x'; 1_000])),
                    headers: Vec::new(),
                })
                .collect();
            let encoded = record::build_batch(&records, Codec::None).unwrap();
            let bytes = [&encoded.header.to_bytes()[..], &encoded.payload].concat();
            self.source.append(TOPIC, partition, &bytes.into()).unwrap();
        }
    }

    fn mirror(&self) -> Mirror {
        let text = format!(
            "clusters = a, b\na.bootstrap.servers = {}\nb.bootstrap.servers = {}\na->b.enabled = true\n\
             replication.factor = 1\noffset.storage.replication.factor = 1\n\
             b.producer.retry.backoff.ms = 10\nb.producer.retry.backoff.max.ms = 100\n\
             a.consumer.retry.backoff.ms = 10\na.consumer.retry.backoff.max.ms = 100\n{}",
            self.source.bootstrap(),
            self.target.bootstrap(),
            self.more
        );
        let plan = Plan::from_properties(&text, "faults.properties", &PlanArgs::default()).unwrap();
        Mirror::start(plan).unwrap()
    }

    /// Mirrors until everything is acknowledged; how many records may be there twice.
    async fn sync(&self) -> u64 {
        let mirror = self.mirror();
        let started = Instant::now();
        while !self.is_done(&mirror) {
            assert!(started.elapsed() < WITHIN, "not synced: {}", mirror.metrics());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let duplicates = mirror.status().flows[0].counters.possible_duplicates();
        mirror.stop().await.unwrap();
        duplicates
    }

    fn is_done(&self, mirror: &Mirror) -> bool {
        let partitions = mirror.status().flows[0].partitions();
        let done = |partition: i32| {
            let end = self.source.end_offset(TOPIC, partition).unwrap();
            partitions.iter().any(|one| one.source.partition == partition && one.acknowledged_next().0 >= end)
        };
        (0..self.partitions()).all(done)
    }

    /// How many partitions the source's topic has.
    fn partitions(&self) -> i32 {
        self.source.partitions(TOPIC).unwrap()
    }

    fn assert_same(&self) {
        self.assert_same_in(0..self.partitions());
    }

    fn assert_same_in(&self, partitions: Range<i32>) {
        for partition in partitions {
            let wanted = keys(&self.source, TOPIC, partition);
            let found = keys(&self.target, "a.data", partition);
            let first = wanted.iter().zip(&found).position(|(wanted, found)| wanted != found);
            assert_eq!((found.len(), first), (wanted.len(), None), "partition {partition}");
        }
    }

    /// Each target partition has exactly the keys that murmur2 puts there, and those of a source partition in order.
    fn assert_dealt_out(&self, places: i32) {
        self.assert_dealt_out_from(0, places);
    }

    /// The same of source partitions from `first` on; those before went to the partitions of the same number.
    fn assert_dealt_out_from(&self, first: i32, places: i32) {
        for place in 0..places {
            let found = keys(&self.target, "a.data", place);
            for partition in 0..self.partitions() {
                let own = format!("{partition}/");
                let found: Vec<&Bytes> = found.iter().filter(|key| key.starts_with(own.as_bytes())).collect();
                let wanted = keys(&self.source, TOPIC, partition);
                let here = |key: &&Bytes| match partition < first {
                    true => partition == place,
                    false => murmur2::partition_for_key(key, places.cast_unsigned()) == place.cast_unsigned(),
                };
                assert!(wanted.iter().filter(here).eq(found), "partition {partition} at {place}");
            }
        }
    }

    /// Nothing is missing and nothing out of order, but records may be there twice.
    fn assert_nothing_lost(&self, duplicates: u64) {
        let mut more = 0;
        for partition in 0..PARTITIONS {
            let found = keys(&self.target, "a.data", partition);
            let mut rest = found.iter();
            for key in keys(&self.source, TOPIC, partition) {
                assert!(rest.any(|found| *found == key), "{key:?} is missing or out of order");
            }
            more += found.len() - BATCHES * RECORDS_A_BATCH;
        }
        assert!(more as u64 <= duplicates, "{more} more, at most {duplicates} were announced");
    }
}

fn keys(cluster: &Sandbox, topic: &str, partition: i32) -> Vec<Bytes> {
    let entries = Entries::new(cluster.read(topic, partition).unwrap());
    let limits = Limits { max_decompressed_bytes: 1 << 20 };
    let records = entries.flat_map(|entry| record::records(&entry.unwrap(), &limits).unwrap());
    records.filter_map(|record: Record| record.key).collect()
}

/// Counts calls and says when the `n`th of every `period` comes, `times` times in all.
fn now_and_then(period: u64, times: u64) -> impl FnMut() -> bool + Send {
    let mut calls = 0;
    move || {
        calls += 1;
        calls % period == period / 2 && calls / period < times
    }
}

/// A broker that knows nothing of a producer takes any first sequence: were the second batch on its way when the
/// first is refused, the records of the first would be missing for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_first_batch_leaves_no_hole() {
    let pair = Pair::start(SandboxOptions::default()).await;
    let mut refusals = 0;
    pair.target.control(ApiKey::Produce, move |request| {
        refusals += u32::from(request.client_id.as_deref().is_some());
        if refusals <= 3 { Verdict::AnswerError(NOT_LEADER) } else { Verdict::Default }
    });
    pair.sync().await;
    pair.assert_same();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_lost_after_the_append_are_no_duplicates() {
    let pair = Pair::start(SandboxOptions::default()).await;
    let mut now = now_and_then(9, 6);
    pair.target.control(ApiKey::Produce, move |_| if now() { Verdict::LoseAnswer } else { Verdict::Default });
    assert_eq!(pair.sync().await, 0);
    pair.assert_same();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_cut_before_the_append_lose_nothing() {
    let pair = Pair::start(SandboxOptions::default()).await;
    let mut now = now_and_then(7, 8);
    pair.target.control(ApiKey::Produce, move |_| if now() { Verdict::CutLink } else { Verdict::Default });
    assert_eq!(pair.sync().await, 0);
    pair.assert_same();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_times_out_is_asked_again() {
    let pair = Pair::start(SandboxOptions::default()).await;
    let mut now = now_and_then(5, 8);
    pair.target.control(ApiKey::Produce, move |_| {
        if now() { Verdict::AnswerError(REQUEST_TIMED_OUT) } else { Verdict::Default }
    });
    assert_eq!(pair.sync().await, 0);
    pair.assert_same();
}

/// Before Kafka 2.8 nobody can tell what arrived: everything that is not acknowledged is sent again, and said so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_cannot_tell_gets_records_twice_rather_than_never() {
    let options =
        SandboxOptions { versions: vec![(ApiKey::DescribeProducers, 0, -1)], ..SandboxOptions::default() };
    let pair = Pair::start(options).await;
    let mut now = now_and_then(9, 4);
    pair.target.control(ApiKey::Produce, move |_| if now() { Verdict::LoseAnswer } else { Verdict::Default });
    let duplicates = pair.sync().await;
    assert!(duplicates > 0, "lost answers mean possible duplicates");
    pair.assert_nothing_lost(duplicates);
}

/// Brokers forget who writes records of long ago: then neither sequences tell what arrived nor are they checked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_forgets_producers_gets_nothing_twice() {
    let pair = Pair::start(SandboxOptions::default()).await;
    let mut now = now_and_then(9, 6);
    pair.target.control(ApiKey::Produce, move |_| if now() { Verdict::LoseAnswer } else { Verdict::Default });
    let forgetting = async {
        loop {
            (0..PARTITIONS).for_each(|one| drop(pair.target.forget_producers("a.data", one)));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        duplicates = pair.sync() => assert_eq!(duplicates, 0),
        () = forgetting => {}
    }
    pair.assert_same();
}

/// Whoever goes on after a crash must know under which identity was written: until that is written down, nothing is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_under_an_identity_that_cannot_be_written_down() {
    let pair = Pair::start(SandboxOptions::default()).await;
    let refused = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&refused);
    let control = pair.target.control(ApiKey::Produce, move |request| {
        let is_progress = request.body.windows(11).any(|name| name == b"mm2-offsets");
        count.fetch_add(u32::from(is_progress), Ordering::Relaxed);
        if is_progress { Verdict::AnswerError(TOPIC_AUTHORIZATION_FAILED) } else { Verdict::Default }
    });
    let mirror = pair.mirror();
    let started = Instant::now();
    while refused.load(Ordering::Relaxed) < 5 {
        assert!(started.elapsed() < WITHIN, "{}", mirror.metrics());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!((0..PARTITIONS).all(|partition| keys(&pair.target, "a.data", partition).is_empty()));
    // As by kill -9.
    drop(mirror);
    pair.target.release(control);
    assert_eq!(pair.sync().await, 0);
    pair.assert_same();
}

/// What a broker answers to Fetch while it keeps a quota: no error, no partition, and a time of silence.
fn throttled(version: i16) -> Bytes {
    let head = [&1i32.to_be_bytes()[..], &[0; 6]].concat();
    let nothing: &[u8] = if version >= 12 { &[1, 0] } else { &[0; 4] };
    [&head[..], nothing].concat().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_read_to_its_end_from_a_target_that_keeps_a_quota() {
    let pair = Pair::start(SandboxOptions::default()).await;
    pair.sync().await;
    (0..PARTITIONS).for_each(|partition| pair.produce(partition, BATCHES..BATCHES + 5));
    let mut left = 40;
    pair.target.control(ApiKey::Fetch, move |request| {
        left -= 1;
        if left > 0 { Verdict::Body(throttled(request.version)) } else { Verdict::Default }
    });
    assert_eq!(pair.sync().await, 0);
    pair.assert_same();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetches_that_fail_are_made_again() {
    let pair = Pair::start(SandboxOptions::default()).await;
    let (mut cut, mut refuse) = (now_and_then(5, 6), now_and_then(4, 8));
    pair.source.control(ApiKey::Fetch, move |_| match (cut(), refuse()) {
        (true, _) => Verdict::CutLink,
        (_, true) => Verdict::AnswerError(NOT_LEADER),
        _ => Verdict::Default,
    });
    pair.sync().await;
    pair.assert_same();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_move_on_both_sides_while_records_flow() {
    let pair = Pair::start(SandboxOptions::default()).await;
    let mirror = pair.mirror();
    let started = Instant::now();
    let mut round = 0;
    while !(round >= 12 && pair.is_done(&mirror)) {
        assert!(started.elapsed() < WITHIN, "not synced: {}", mirror.metrics());
        if round < 12 {
            let (partition, broker) = (round % PARTITIONS, 1 + round % 3);
            pair.produce(partition, 100..103);
            let _ = pair.source.move_leader(TOPIC, partition, broker);
            let _ = pair.target.move_leader("a.data", partition, 1 + (round + 1) % 3);
            round += 1;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    mirror.stop().await.unwrap();
    pair.assert_same();
}

/// One broker of the target is away for a while: the partitions it leads wait, the others go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_holds_up_only_its_own_partitions() {
    let pair = Pair::start(SandboxOptions::default()).await;
    let mirror = pair.mirror();
    let started = Instant::now();
    while mirror.status().flows[0].partitions().iter().all(|one| one.records() == 0) {
        assert!(started.elapsed() < WITHIN, "nothing was mirrored: {}", mirror.metrics());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (leader, _) = pair.target.leader("a.data", 0).unwrap();
    pair.target.stop_broker(leader.unwrap()).await.unwrap();
    (0..PARTITIONS).for_each(|partition| pair.produce(partition, 200..210));
    tokio::time::sleep(Duration::from_millis(500)).await;
    pair.target.start_broker(leader.unwrap()).await.unwrap();
    while !pair.is_done(&mirror) {
        assert!(started.elapsed() < WITHIN, "not synced: {}", mirror.metrics());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    mirror.stop().await.unwrap();
    pair.assert_same();
}

/// Three source partitions dealt out over two target partitions by key, with answers lost, links cut, leaders moving.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_dealt_out_by_key_arrive_once_and_in_order() {
    let mut pair = Pair::start(SandboxOptions::default()).await;
    pair.more = "kmirror.partitioning = by-key\n";
    pair.target.create_topic(&TopicSpec::new("a.data", 2)).unwrap();
    let (mut lose, mut cut) = (now_and_then(9, 5), now_and_then(14, 5));
    pair.target.control(ApiKey::Produce, move |_| match (lose(), cut()) {
        (true, _) => Verdict::LoseAnswer,
        (_, true) => Verdict::CutLink,
        _ => Verdict::Default,
    });
    let moving = async {
        for round in 0..20 {
            let _ = pair.target.move_leader("a.data", round % 2, 1 + round % 3);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (duplicates, ()) = tokio::join!(pair.sync(), moving);
    assert_eq!(duplicates, 0);
    pair.assert_dealt_out(2);
}

/// The source's log is cut off behind the mirror's back and grows past its position with other records: only leader
/// epochs tell. Brokers up to 2.6 have to be asked (KIP-320), later ones tell with the answer to a fetch (KIP-595).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_cut_off_and_grew_again_is_noticed() {
    for newest_fetch in [11, 17] {
        let versions = vec![(ApiKey::Fetch, 0, newest_fetch)];
        let pair = Pair::start(SandboxOptions::default()).await;
        let options =
            SandboxOptions { brokers: 3, auto_create: false, versions, ..SandboxOptions::default() };
        let pair = Pair { source: Sandbox::start(options).await.unwrap(), ..pair };
        pair.source.create_topic(&TopicSpec::new(TOPIC, PARTITIONS)).unwrap();
        (0..PARTITIONS).for_each(|partition| pair.produce(partition, 0..20));
        let mirror = pair.mirror();
        let started = Instant::now();
        let wait = async || {
            while !pair.is_done(&mirror) {
                assert!(started.elapsed() < WITHIN, "not synced: {}", mirror.metrics());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        wait().await;
        let (kept, end) = (10 * RECORDS_A_BATCH as i64, 20 * RECORDS_A_BATCH as i64);
        let (leader, _) = pair.source.leader(TOPIC, 1).unwrap();
        pair.source.truncate(TOPIC, 1, kept).unwrap();
        pair.source.move_leader(TOPIC, 1, 1 + leader.unwrap() % 3).unwrap();
        pair.produce(1, 100..130);
        wait().await;
        let partitions = mirror.status().flows[0].partitions();
        let lost = partitions.iter().find(|one| one.source.partition == 1).unwrap().lost();
        assert_eq!(lost, (end - kept).unsigned_abs(), "Fetch up to version {newest_fetch}");
        mirror.stop().await.unwrap();
        let found = keys(&pair.target, "a.data", 1);
        assert_eq!(found.len() as i64, end + 30 * RECORDS_A_BATCH as i64);
        let after = &found[usize::try_from(end).unwrap()..];
        assert!(after.iter().eq(&keys(&pair.source, TOPIC, 1)[usize::try_from(kept).unwrap()..]));
    }
}
