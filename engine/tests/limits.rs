//! Limits against sandbox clusters: the rate is kept and reached, a topic's limit slows no other, and both change while
//! the mirror runs.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what fails here fails the test")]

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kmirror_engine::Mirror;
use kmirror_engine::plan::{LimitPlan, Plan, PlanArgs};
use kmirror_protocol::wire::batch::Codec;
use kmirror_protocol::wire::record::{self, NewRecord};
use kmirror_sandbox::{Sandbox, SandboxOptions, TopicSpec};

const BATCH_BYTES: usize = 20_000;

async fn cluster() -> Sandbox {
    let options = SandboxOptions { brokers: 3, auto_create: false, ..SandboxOptions::default() };
    Sandbox::start(options).await.unwrap()
}

fn fill(source: &Sandbox, topic: &str, partitions: i32, bytes: usize) {
    source.create_topic(&TopicSpec::new(topic, partitions)).unwrap();
    let value = Some(Bytes::from(vec![b'x'; BATCH_BYTES / 10]));
    let records: Vec<NewRecord> = (0..10)
        .map(|k| NewRecord { timestamp: k, key: None, value: value.clone(), headers: Vec::new() })
        .collect();
    let encoded = record::build_batch(&records, Codec::None).unwrap();
    let batch = Bytes::from([&encoded.header.to_bytes()[..], &encoded.payload].concat());
    for n in 0..bytes / BATCH_BYTES {
        let partition = i32::try_from(n).unwrap() % partitions;
        source.append(topic, partition, &batch).unwrap();
    }
}

fn mirror(source: &Sandbox, target: &Sandbox, more: &str) -> Mirror {
    let text = format!(
        "clusters = a, b\na.bootstrap.servers = {}\nb.bootstrap.servers = {}\na->b.enabled = true\n\
         replication.factor = 1\noffset.storage.replication.factor = 1\n{more}\n",
        source.bootstrap(),
        target.bootstrap(),
    );
    Mirror::start(Plan::from_properties(&text, "limits.properties", &PlanArgs::default()).unwrap()).unwrap()
}

fn bytes_of(mirror: &Mirror, topic: &str) -> u64 {
    let partitions = mirror.status().flows[0].partitions();
    partitions.iter().filter(|one| &*one.source.topic == topic).map(|one| one.bytes()).sum()
}

async fn until(what: impl Fn() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Bytes a second that arrive of a topic in so much time.
async fn rate_over(mirror: &Mirror, topic: &str, time: Duration) -> f64 {
    let (before, started) = (bytes_of(mirror, topic), Instant::now());
    tokio::time::sleep(time).await;
    let bytes = u32::try_from(bytes_of(mirror, topic) - before).unwrap();
    f64::from(bytes) / started.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_keeps_its_limit_and_reaches_it() {
    const LIMIT: u64 = 4_000_000;
    let (source, target) = (cluster().await, cluster().await);
    fill(&source, "data", 6, 40_000_000);
    let mirror = mirror(&source, &target, "kmirror.max.bytes.per.second = 4000000");
    until(|| bytes_of(&mirror, "data") > LIMIT / 2).await;
    let rate = rate_over(&mirror, "data", Duration::from_secs(3)).await;
    assert!((3_600_000.0..4_400_000.0).contains(&rate), "{rate}");
    // Every partition has its turn.
    let partitions = mirror.status().flows[0].partitions();
    for one in partitions.iter().filter(|one| &*one.source.topic == "data") {
        assert!(one.bytes() > LIMIT / 6, "{}: {}", one.source, one.bytes());
    }
    // Without a limit the rest is there at once; so a limit may go while a mirror runs.
    assert!(mirror.set_limits("a", "b", LimitPlan::default()));
    assert!(!mirror.set_limits("b", "a", LimitPlan::default()));
    let started = Instant::now();
    until(|| mirror.status().is_synced()).await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    // And come.
    mirror.set_limits("a", "b", LimitPlan { flow: NonZeroU64::new(1_000_000), topics: Vec::new() });
    // Fetches that wait at the brokers were sent without one.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = bytes_of(&mirror, "data");
    fill_more(&source, "data", 6, 12_000_000);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let more = bytes_of(&mirror, "data") - before;
    assert!((2_500_000..=4_500_000).contains(&more), "{more}");
    mirror.stop().await.unwrap();
}

fn fill_more(source: &Sandbox, topic: &str, partitions: i32, bytes: usize) {
    let value = Some(Bytes::from(vec![b'x'; BATCH_BYTES]));
    let record = NewRecord { timestamp: 1, key: None, value, headers: Vec::new() };
    let encoded = record::build_batch(&[record], Codec::None).unwrap();
    let batch = Bytes::from([&encoded.header.to_bytes()[..], &encoded.payload].concat());
    for n in 0..bytes / BATCH_BYTES {
        source.append(topic, i32::try_from(n).unwrap() % partitions, &batch).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_over_its_limit_slows_no_other() {
    let (source, target) = (cluster().await, cluster().await);
    fill(&source, "slow.one", 6, 60_000_000);
    fill(&source, "slow.two", 2, 60_000_000);
    fill(&source, "fast", 6, 60_000_000);
    let limits = "kmirror.topic.max.bytes.per.second = slow.two=1m, slow.*=2000k\na.consumer.max.partition.fetch.bytes = 60000";
    let mirror = mirror(&source, &target, limits);
    until(|| bytes_of(&mirror, "slow.one") > 500_000).await;
    let started = Instant::now();
    let (two, before) = (bytes_of(&mirror, "slow.two"), Instant::now());
    let one = rate_over(&mirror, "slow.one", Duration::from_secs(4)).await;
    let two =
        (bytes_of(&mirror, "slow.two") - two) * 1000 / u64::try_from(before.elapsed().as_millis()).unwrap();
    assert!((1_700_000.0..2_500_000.0).contains(&one), "{one}");
    assert!((800_000..1_400_000).contains(&two), "{two}");
    until(|| bytes_of(&mirror, "fast") >= 60_000_000).await;
    assert!(started.elapsed() < Duration::from_secs(10));
    mirror.stop().await.unwrap();
}
