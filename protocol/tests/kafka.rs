//! The client against a real Kafka: `KMIRROR_TEST_BOOTSTRAP=host:port cargo test -p kmirror-protocol --test kafka --
//! --ignored` (`cargo run -p kmirror-tests --example cluster -- 4.3.0 3` starts one). Leaves topics behind.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is all test code")]

#[path = "kafka/groups.rs"]
mod groups;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kmirror_protocol::client::admin::{
    ConfigSource, NewPartitions, NewTopic, create_partitions, create_topics, describe_cluster,
    describe_producers, describe_topic_configs,
};
use kmirror_protocol::client::consume::read_to_end;
use kmirror_protocol::client::offsets::{OffsetSpec, end_offsets_of_epochs, list_offsets};
use kmirror_protocol::client::send::send_records;
use kmirror_protocol::client::txn::init_producer_id;
use kmirror_protocol::client::{Cluster, ClusterOptions, Metadata, Purpose, Topics};
use kmirror_protocol::net::{BufferPool, Connection};
use kmirror_protocol::wire::api::ApiKey;
use kmirror_protocol::wire::batch::{Codec, Entries, Entry, Stamp, next_sequence};
use kmirror_protocol::wire::error::ErrorCode;
use kmirror_protocol::wire::fetch::{FetchParams, FetchPosition, FetchSession, IsolationLevel, TopicKey};
use kmirror_protocol::wire::produce::{self, ProduceEntry};
use kmirror_protocol::wire::record::{NewRecord, build_batch};

const TIMEOUT: Duration = Duration::from_secs(30);

fn cluster(pool: Option<Arc<BufferPool>>) -> Cluster {
    let bootstrap = std::env::var("KMIRROR_TEST_BOOTSTRAP").expect("KMIRROR_TEST_BOOTSTRAP is host:port");
    let bootstrap = bootstrap.split(',').map(|server| server.parse().unwrap()).collect();
    Cluster::new(ClusterOptions::new("test", bootstrap), pool)
}

/// The highest version of an API that brokers and we speak. What old brokers lack must be told, not fail.
async fn version_of(cluster: &Cluster, api: ApiKey) -> Option<i16> {
    let metadata = cluster.current(Topics::None).await.unwrap();
    let node = *metadata.brokers.keys().next().unwrap();
    cluster.connection(node, Purpose::General).await.unwrap().version_for(api)
}

/// A fresh topic of three partitions, and the metadata that knows it.
async fn fresh_topic(cluster: &Cluster, name: &str) -> (Arc<str>, Arc<Metadata>) {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let name: Arc<str> = format!("{name}-{nanos}").into();
    let topic = NewTopic {
        name: Arc::clone(&name),
        partitions: 3,
        replication_factor: 1,
        configs: vec![("retention.ms".into(), "604800001".into())],
    };
    let created = create_topics(cluster, &[topic], TIMEOUT).await.unwrap();
    assert_eq!(created, [(Arc::clone(&name), Ok(()))]);
    // Answers once every leader knows that it is one.
    let partitions: Vec<_> = (0..3).map(|n| (Arc::clone(&name), n, OffsetSpec::Latest)).collect();
    for (partition, end) in list_offsets(cluster, &partitions).await.unwrap() {
        assert_eq!(end.map(|end| end.offset), Ok(0), "{partition:?}");
    }
    let metadata = cluster.current(Topics::Named(vec![Arc::clone(&name)])).await.unwrap();
    assert_eq!(metadata.topics[&name].partitions.len(), 3);
    (name, metadata)
}

/// Recent, or retention takes the records away while we look.
fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn record(key: &str, value: &str) -> NewRecord {
    NewRecord {
        timestamp: now_ms(),
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: vec![(Bytes::from_static(b"h"), None)],
    }
}

#[tokio::test]
#[ignore = "needs a real Kafka"]
async fn topics_are_created_described_and_enlarged() {
    let cluster = cluster(None);
    let (name, metadata) = fresh_topic(&cluster, "admin").await;
    let topic = &metadata.topics[&name];
    let spoken = version_of(&cluster, ApiKey::Metadata).await.unwrap();
    assert!(topic.id.is_some() == (spoken >= 10) && !topic.internal && topic.error.is_none());
    assert_eq!(topic.partition(0).unwrap().leader_epoch, (spoken >= 7).then_some(0));
    assert!(metadata.cluster_id.is_some() && !metadata.brokers.is_empty());

    match describe_cluster(&cluster).await.unwrap() {
        Some(described) => {
            assert_eq!(Some(&described.cluster_id), metadata.cluster_id.as_ref());
            assert_eq!(described.brokers, metadata.brokers.len());
        }
        None => assert_eq!(version_of(&cluster, ApiKey::DescribeCluster).await, None),
    }

    let again =
        NewTopic { name: Arc::clone(&name), partitions: 1, replication_factor: 1, configs: Vec::new() };
    let bad = NewTopic { name: "no good/name".into(), ..again.clone() };
    let refused = create_topics(&cluster, &[again, bad], TIMEOUT).await.unwrap();
    let codes: BTreeMap<_, _> = refused.into_iter().map(|(name, fault)| (name, fault.unwrap_err())).collect();
    assert_eq!(codes[&name].code, ErrorCode::TopicAlreadyExists);
    assert!(codes[&name].message.as_ref().unwrap().contains("exists"));
    assert_eq!(codes["no good/name"].code, ErrorCode::InvalidTopic);

    let missing: Arc<str> = "not-there".into();
    let configs = describe_topic_configs(&cluster, &[Arc::clone(&name), missing]).await.unwrap();
    let entries = configs[0].1.as_ref().unwrap();
    let retention = entries.iter().find(|entry| &*entry.name == "retention.ms").unwrap();
    assert_eq!((retention.value.as_deref(), retention.source), (Some("604800001"), ConfigSource::Topic));
    assert!(entries.len() > 20 && entries.iter().any(|entry| entry.source == ConfigSource::Default));
    // To old brokers a topic that is not there has the defaults.
    if version_of(&cluster, ApiKey::DescribeConfigs).await >= Some(3) {
        assert_eq!(configs[1].1.as_ref().unwrap_err().code, ErrorCode::UnknownTopicOrPartition);
    }

    let can_enlarge = version_of(&cluster, ApiKey::CreatePartitions).await.is_some();
    let code = |expected| if can_enlarge { expected } else { ErrorCode::UnsupportedVersion };
    let more = NewPartitions { topic: Arc::clone(&name), total: 5 };
    let added = create_partitions(&cluster, std::slice::from_ref(&more), TIMEOUT).await.unwrap();
    assert_eq!(added[0].1.as_ref().map_err(|fault| fault.code).is_err(), !can_enlarge);
    let fewer = create_partitions(&cluster, &[more], TIMEOUT).await.unwrap();
    assert_eq!(fewer[0].1.as_ref().unwrap_err().code, code(ErrorCode::InvalidPartitions));

    let all = cluster.refresh(Topics::All).await.unwrap();
    assert!(all.topics.contains_key(&name));
    let none: Arc<str> = "not-there".into();
    let named = cluster.refresh(Topics::Named(vec![Arc::clone(&none)])).await.unwrap();
    assert_eq!(named.topics[&none].error, ErrorCode::UnknownTopicOrPartition);
}

#[tokio::test]
#[ignore = "needs a real Kafka"]
async fn small_topics_are_written_and_read_to_their_end() {
    let cluster = cluster(None);
    let (name, _) = fresh_topic(&cluster, "small").await;
    let begun = now_ms();
    let many = |partition: i32| (0..2000).map(move |n| record(&format!("{partition}-{n}"), &"x".repeat(300)));
    let records = (0..3).map(|partition| (partition, many(partition).collect())).collect();
    send_records(&cluster, &name, records).await.unwrap();

    let mut read: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    let each = |partition, record: kmirror_protocol::wire::record::Record| {
        let keys = read.entry(partition).or_default();
        assert_eq!(record.offset, i64::try_from(keys.len()).unwrap());
        assert!(record.timestamp >= begun && record.headers == [(Bytes::from_static(b"h"), None)]);
        keys.push(String::from_utf8(record.key.unwrap().to_vec()).unwrap());
    };
    read_to_end(&cluster, &name, 100_000, each).await.unwrap();
    for partition in 0..3 {
        let expected: Vec<String> = (0..2000).map(|n| format!("{partition}-{n}")).collect();
        assert_eq!(read[&partition], expected);
    }
    let missing: Arc<str> = "not-there".into();
    let error = read_to_end(&cluster, &missing, 1000, |_, _| {}).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));

    let wanted: Vec<_> = [OffsetSpec::Earliest, OffsetSpec::Latest]
        .into_iter()
        .flat_map(|spec| [(Arc::clone(&name), 0, spec)])
        .collect();
    for (wanted, expected) in wanted.iter().zip([0, 2000]) {
        let found = list_offsets(&cluster, std::slice::from_ref(wanted)).await.unwrap();
        assert_eq!(found[0].1.unwrap().offset, expected);
    }
    let long_ago = (Arc::clone(&name), 1, OffsetSpec::Timestamp(begun - 1));
    let by_time = list_offsets(&cluster, &[long_ago]).await.unwrap()[0].1.unwrap();
    assert!(by_time.offset == 0 && by_time.timestamp >= begun);
    let unknown = list_offsets(&impatient(), &[(Arc::clone(&name), 77, OffsetSpec::Latest)]).await.unwrap();
    assert_eq!(unknown[0].1, Err(ErrorCode::UnknownTopicOrPartition));

    let ends = end_offsets_of_epochs(&cluster, &[(Arc::clone(&name), 0, 0)]).await.unwrap();
    let end = ends[0].1.map(|end| end.end_offset);
    let can_tell = version_of(&cluster, ApiKey::OffsetForLeaderEpoch).await.is_some();
    assert_eq!(end, if can_tell { Ok(2000) } else { Err(ErrorCode::UnsupportedVersion) });
}

fn impatient() -> Cluster {
    let options = cluster(None).options().clone();
    Cluster::new(ClusterOptions { api_timeout: Duration::from_secs(1), ..options }, None)
}

/// Sends one batch as an idempotent producer, in a given version.
async fn produce_batch(
    connection: &Connection,
    version: i16,
    topic: &TopicKey,
    stamp: Stamp,
) -> (ErrorCode, i64) {
    let batch = build_batch(&[record("a", "1"), record("b", "2")], Codec::Lz4).unwrap();
    let entry = ProduceEntry {
        topic: Arc::clone(&topic.name),
        topic_id: topic.id,
        partition: 0,
        header: batch.header.stamped(batch.payload.len(), stamp),
        payload: batch.payload,
    };
    let body = produce::encode(version, None, -1, 10_000, std::slice::from_ref(&entry)).unwrap();
    let answer = connection.send(ApiKey::Produce, version, body).await.unwrap().await.unwrap();
    let answer = produce::decode(version, answer).unwrap();
    assert!(answer.partitions[0].answers(&entry));
    (answer.partitions[0].error, answer.partitions[0].base_offset)
}

#[tokio::test]
#[ignore = "needs a real Kafka"]
async fn every_version_of_produce_and_fetch_is_understood() {
    let pool = BufferPool::new(8 << 20);
    let cluster = cluster(Some(Arc::clone(&pool)));
    let (name, metadata) = fresh_topic(&cluster, "versions").await;
    let topic = metadata.topics[&name].key();
    let leader = metadata.leader(&name, 0).unwrap();
    let producing = cluster.connection(leader, Purpose::Produce(0)).await.unwrap();
    let producer = init_producer_id(&cluster).await.unwrap();
    let mut stamp = Stamp {
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        base_sequence: 0,
        transactional: false,
    };
    let newest = producing.version_for(ApiKey::Produce).unwrap();
    let mut end = 0;
    for version in *ApiKey::Produce.versions().start()..=newest {
        assert_eq!(
            produce_batch(&producing, version, &topic, stamp).await,
            (ErrorCode::None, end),
            "{version}"
        );
        // The same again is recognised.
        assert_eq!(
            produce_batch(&producing, version, &topic, stamp).await,
            (ErrorCode::None, end),
            "{version}"
        );
        end += 2;
        stamp.base_sequence = next_sequence(stamp.base_sequence, 2);
    }
    let ahead = Stamp { base_sequence: 1000, ..stamp };
    assert_eq!(produce_batch(&producing, newest, &topic, ahead).await.0, ErrorCode::OutOfOrderSequenceNumber);

    let active =
        describe_producers(&cluster, &[(Arc::clone(&name), 0), (Arc::clone(&name), 1)]).await.unwrap();
    let active: BTreeMap<_, _> = active.into_iter().collect();
    if producing.version_for(ApiKey::DescribeProducers).is_some() {
        let ours = active[&(Arc::clone(&name), 0)].as_ref().unwrap();
        assert_eq!((ours.len(), ours[0].producer_id), (1, producer.id));
        assert_eq!(i64::from(ours[0].last_sequence), end - 1);
        assert_eq!(active[&(Arc::clone(&name), 1)], Ok(Vec::new()));
    } else {
        assert!(active.values().all(|answer| *answer == Err(ErrorCode::UnsupportedVersion)));
    }

    let fetching = cluster.connection(leader, Purpose::Fetch(0)).await.unwrap();
    for version in *ApiKey::Fetch.versions().start()..=fetching.version_for(ApiKey::Fetch).unwrap() {
        fetch_all(&fetching, version, &topic, end).await;
    }
    assert_eq!(pool.available(), pool.budget());
}

/// What makes late requests of a connection that is gone harmless: once a partition has a batch under the next epoch of a
/// producer id, it takes nothing under the former one, though the sequence would be the right one.
#[tokio::test]
#[ignore = "needs a real Kafka"]
async fn a_raised_epoch_refuses_what_comes_late_under_the_former() {
    let cluster = cluster(None);
    let (name, metadata) = fresh_topic(&cluster, "raised").await;
    let topic = metadata.topics[&name].key();
    let leader = metadata.leader(&name, 0).unwrap();
    let connection = cluster.connection(leader, Purpose::Produce(0)).await.unwrap();
    let version = connection.version_for(ApiKey::Produce).unwrap();
    let producer = init_producer_id(&cluster).await.unwrap();
    let stamp = |producer_epoch, base_sequence| Stamp {
        producer_id: producer.id,
        producer_epoch,
        base_sequence,
        transactional: false,
    };
    let next = producer.epoch + 1;
    for (stamp, at) in [(stamp(producer.epoch, 0), 0), (stamp(next, 0), 2)] {
        assert_eq!(produce_batch(&connection, version, &topic, stamp).await, (ErrorCode::None, at));
    }
    let late = produce_batch(&connection, version, &topic, stamp(producer.epoch, 2)).await;
    assert_eq!(late.0, ErrorCode::InvalidProducerEpoch);
    assert_eq!(produce_batch(&connection, version, &topic, stamp(next, 2)).await, (ErrorCode::None, 4));
}

/// Reads partition 0 in small steps, with what the version has of sessions and ids.
async fn fetch_all(connection: &Connection, version: i16, topic: &TopicKey, end: i64) {
    let mut session = FetchSession::new();
    let position = |fetch_offset| FetchPosition {
        fetch_offset,
        current_leader_epoch: 0,
        last_fetched_epoch: if fetch_offset > 0 { 0 } else { -1 },
        log_start_offset: -1,
        max_bytes: 100,
    };
    let params = FetchParams {
        max_wait_ms: 100,
        min_bytes: 1,
        max_bytes: 1 << 20,
        isolation_level: IsolationLevel::ReadUncommitted,
        rack: "".into(),
    };
    for partition in 0..3 {
        session.set(topic, partition, position(0));
    }
    let (mut next, mut incremental) = (0, 0);
    while next < end {
        let body = session.build(version, &params).unwrap();
        let answer = connection.send(ApiKey::Fetch, version, vec![body]).await.unwrap().await.unwrap();
        let answer = session.accept(version, answer).unwrap();
        assert_eq!(answer.error, ErrorCode::None, "version {version}");
        incremental += u32::from(session.is_incremental());
        for fetched in answer.partitions {
            if fetched.partition != 0 {
                continue; // Empty, or led by another broker.
            }
            assert_eq!(fetched.error, ErrorCode::None, "version {version}");
            assert_eq!(fetched.diverging_epoch, None);
            assert_eq!((fetched.high_watermark, &*fetched.topic), (end, &*topic.name));
            for entry in Entries::new(fetched.records) {
                let Entry::Batch(batch) = entry.unwrap() else { panic!("a legacy message") };
                assert!(batch.verify_crc());
                assert_eq!(batch.header.base_offset, next);
                next = batch.header.next_offset();
            }
        }
        session.set(topic, 0, position(next));
    }
    assert_eq!(next, end);
    assert!((version >= 7) == (incremental > 0), "version {version} has {incremental} incremental answers");
}

#[tokio::test]
#[ignore = "needs a real Kafka"]
async fn truncation_and_lost_sessions_are_noticed() {
    let cluster = cluster(None);
    let (name, metadata) = fresh_topic(&cluster, "diverged").await;
    let topic = metadata.topics[&name].key();
    send_records(&cluster, &name, vec![(0, vec![record("a", "1")])]).await.unwrap();
    let connection = cluster.connection(metadata.leader(&name, 0).unwrap(), Purpose::Fetch(0)).await.unwrap();
    let version = connection.version_for(ApiKey::Fetch).unwrap();
    if version < 12 {
        return; // Too old to notice.
    }
    let params = FetchParams {
        max_wait_ms: 10,
        min_bytes: 1,
        max_bytes: 1 << 20,
        isolation_level: IsolationLevel::ReadCommitted,
        rack: "".into(),
    };
    let fetch = async |session: &mut FetchSession| {
        let body = session.build(version, &params).unwrap();
        let answer = connection.send(ApiKey::Fetch, version, vec![body]).await.unwrap().await.unwrap();
        session.accept(version, answer).unwrap()
    };
    let position = FetchPosition {
        fetch_offset: 1,
        current_leader_epoch: 0,
        last_fetched_epoch: 0,
        log_start_offset: -1,
        max_bytes: 1000,
    };
    let mut session = FetchSession::new();
    // We claim to have read further in epoch 0 than it goes.
    session.set(&topic, 0, FetchPosition { fetch_offset: 50, ..position });
    let answer = fetch(&mut session).await;
    let end = answer.partitions[0].diverging_epoch.expect("the broker names where the logs part");
    assert_eq!((end.epoch, end.end_offset), (0, 1));
    // Without an epoch it can only say that there is no such offset.
    session.set(&topic, 0, FetchPosition { fetch_offset: 50, last_fetched_epoch: -1, ..position });
    assert_eq!(fetch(&mut session).await.partitions[0].error, ErrorCode::OffsetOutOfRange);
    session.set(&topic, 0, FetchPosition { current_leader_epoch: 9, ..position });
    assert_eq!(fetch(&mut session).await.partitions[0].error, ErrorCode::UnknownLeaderEpoch);

    // A topic that was recreated has another id.
    let recreated = TopicKey { name: Arc::clone(&name), id: uuid::Uuid::from_u128(4711) };
    if version >= 13 {
        session.set(&recreated, 0, position);
        assert_eq!(fetch(&mut session).await.partitions[0].error, ErrorCode::UnknownTopicId);
    }
    session.set(&topic, 0, FetchPosition { fetch_offset: 0, last_fetched_epoch: -1, ..position });
    let answer = fetch(&mut session).await;
    assert_eq!(answer.partitions.len(), 1);
    assert!(!answer.partitions[0].records.is_empty());
}
