//! Fetches by every version, read back with kafka-protocol's decoder and as a client with sessions does.

use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::fetch_response::PartitionData as Fetched;
use kafka_protocol::protocol::Encodable;
use kmirror_protocol::wire::batch::Entries;
use uuid::Uuid;

use super::*;
use crate::api::testing::{Bench, ask_raw, batch_with, frame, produce, read_answer};
use crate::api::text;
use crate::options::SandboxOptions;

struct Asked {
    version: i16,
    request: FetchRequest,
}

/// A request without waiting for partitions of `t` at the given offsets.
fn asking(bench: &Bench, version: i16, offsets: &[i64]) -> Asked {
    let id = bench.peer.shared.cluster().topics.get("t").map_or(Uuid::nil(), |topic| topic.id);
    let partition = |(index, offset): (i32, &i64)| {
        FetchPartition::default()
            .with_partition(index)
            .with_fetch_offset(*offset)
            .with_current_leader_epoch(-1)
            .with_last_fetched_epoch(-1)
            .with_partition_max_bytes(1 << 20)
    };
    let topic = FetchTopic::default()
        .with_topic(TopicName(text("t")))
        .with_topic_id(id)
        .with_partitions((0..).zip(offsets).map(partition).collect());
    let request = FetchRequest::default()
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(if offsets.is_empty() { Vec::new() } else { vec![topic] });
    Asked { version, request }
}

impl Asked {
    fn with(mut self, change: impl FnOnce(&mut FetchRequest)) -> Self {
        change(&mut self.request);
        self
    }

    fn partition(mut self, change: impl FnOnce(&mut FetchPartition)) -> Self {
        change(&mut self.request.topics[0].partitions[0]);
        self
    }

    /// The answer, whose bytes are those that kafka-protocol would have written.
    async fn response(&self, bench: &Bench) -> FetchResponse {
        let answer = ask_raw(bench, frame(self.version, &self.request)).await.unwrap();
        let response = read_answer::<FetchRequest>(self.version, answer.clone());
        let mut body = Vec::new();
        response.encode(&mut body, self.version).unwrap();
        assert!(answer.ends_with(&body), "version {}", self.version);
        response
    }

    async fn fetched(&self, bench: &Bench) -> Vec<Fetched> {
        let response = self.response(bench).await;
        assert_eq!(response.error_code, 0);
        response.responses.into_iter().flat_map(|topic| topic.partitions).collect()
    }

    async fn one(&self, bench: &Bench) -> Fetched {
        self.fetched(bench).await.remove(0)
    }
}

fn base_offsets(fetched: &Fetched) -> Vec<i64> {
    let entries = Entries::new(fetched.records.clone().unwrap_or_default());
    entries.map(|entry| entry.unwrap().first_offset()).collect()
}

/// Topic `t` with five batches of two records in partition 0, none in 1 and 2.
async fn bench() -> Bench {
    let bench = Bench::new(SandboxOptions { brokers: 2, ..SandboxOptions::default() });
    bench.create("t", 3);
    for _ in 0..5 {
        assert_eq!(produce(&bench, "t", 0, batch_with(2, |_| {})).await.0, 0);
    }
    bench.peer.shared.cluster().topics.get_mut("t").unwrap().partitions[1].elect(Some(1));
    bench
}

fn batch_len() -> usize {
    batch_with(2, |_| {}).len()
}

#[tokio::test]
async fn every_version_reads_from_the_batch_with_the_offset() {
    let bench = bench().await;
    for version in 4..=17 {
        let fetched = asking(&bench, version, &[3]).one(&bench).await;
        assert_eq!((fetched.error_code, fetched.high_watermark, fetched.last_stable_offset), (0, 10, 10));
        assert_eq!(base_offsets(&fetched), [2, 4, 6, 8], "{version}");
        assert!(fetched.aborted_transactions.is_none());
    }
}

#[tokio::test]
async fn large_batches_are_shared_not_copied() {
    let bench = bench().await;
    let large = batch_with(1, |_| {});
    let payload = Bytes::from(vec![5; 100_000]);
    let entry = crate::state::entry::LogEntry::raw(payload.clone(), 10, 10);
    bench.peer.shared.cluster().store("t", 0, entry).unwrap();
    let request = asking(&bench, 12, &[10]).request;
    let call = Call { peer: &bench.peer, version: 12, frame_len: large.len(), client_id: None };
    let Answer::Body(chunks) = Fetch::answer(&call, request).await else { panic!("no body") };
    assert!(chunks.iter().any(|chunk| chunk.as_ptr() == payload.as_ptr()));
}

#[tokio::test]
async fn sizes_are_kept_but_for_the_first_batch() {
    let bench = bench().await;
    let len = i32::try_from(batch_len()).unwrap();
    let limited = |bytes| asking(&bench, 11, &[0]).partition(|p| p.partition_max_bytes = bytes);
    assert_eq!(base_offsets(&limited(len * 2 + 1).one(&bench).await), [0, 2]);
    assert_eq!(base_offsets(&limited(1).one(&bench).await), [0], "one at least");
    let whole = asking(&bench, 11, &[0]).with(|request| request.max_bytes = len * 3);
    assert_eq!(base_offsets(&whole.one(&bench).await), [0, 2, 4]);
}

#[tokio::test]
async fn partitions_share_the_limit_of_the_answer() {
    let bench = bench().await;
    for _ in 0..3 {
        produce(&bench, "t", 1, batch_with(2, |_| {})).await;
    }
    let len = i32::try_from(batch_len()).unwrap();
    for (max_bytes, first, second) in [(len * 3, vec![6, 8], vec![0]), (1, vec![6], vec![])] {
        let asked = asking(&bench, 11, &[6, 0]).with(|request| request.max_bytes = max_bytes);
        let fetched = asked.fetched(&bench).await;
        assert_eq!((base_offsets(&fetched[0]), base_offsets(&fetched[1])), (first, second));
    }
}

#[tokio::test]
async fn answers_can_end_inside_a_batch() {
    let bench = bench().await;
    bench.peer.shared.cluster().options.torn_batches = true;
    let len = batch_len();
    for version in [11, 17] {
        let torn = asking(&bench, version, &[0])
            .partition(|p| p.partition_max_bytes = i32::try_from(len * 2 + 7).unwrap());
        let fetched = torn.one(&bench).await;
        assert_eq!(fetched.records.as_ref().map(Bytes::len), Some(len * 2 + 7));
        assert_eq!(base_offsets(&fetched), [0, 2]);
        let tiny = asking(&bench, version, &[0]).partition(|p| p.partition_max_bytes = 9);
        assert_eq!(base_offsets(&tiny.one(&bench).await), [0]);
    }
}

#[tokio::test]
async fn offsets_outside_the_log() {
    let bench = bench().await;
    bench.peer.shared.cluster().advance_start("t", 0, 3).unwrap();
    for offset in [-1, 2, 11] {
        let fetched = asking(&bench, 12, &[offset]).one(&bench).await;
        assert_eq!(fetched.error_code, ResponseError::OffsetOutOfRange.code());
        assert_eq!((fetched.high_watermark, fetched.log_start_offset), (-1, -1));
    }
    let start = asking(&bench, 12, &[3]).one(&bench).await;
    assert_eq!((start.log_start_offset, base_offsets(&start)[0]), (3, 2));
    assert!(base_offsets(&asking(&bench, 12, &[10]).one(&bench).await).is_empty());
}

#[tokio::test]
async fn epochs_fence_and_diverge() {
    let bench = bench().await;
    bench.peer.shared.cluster().truncate("t", 0, 6).unwrap();
    produce(&bench, "t", 0, batch_with(2, |_| {})).await;
    let code = |epoch| {
        let asked = asking(&bench, 12, &[0]).partition(|p| p.current_leader_epoch = epoch);
        let bench = &bench;
        async move { asked.one(bench).await.error_code }
    };
    assert_eq!(code(0).await, ResponseError::FencedLeaderEpoch.code());
    assert_eq!(code(1).await, 0);
    assert_eq!(code(2).await, ResponseError::UnknownLeaderEpoch.code());
    let beyond = asking(&bench, 12, &[8]).partition(|p| p.last_fetched_epoch = 0);
    let fetched = beyond.one(&bench).await;
    assert_eq!((fetched.diverging_epoch.epoch, fetched.diverging_epoch.end_offset), (0, 6));
    assert!(base_offsets(&fetched).is_empty());
    let within = asking(&bench, 12, &[6]).partition(|p| p.last_fetched_epoch = 0);
    assert_eq!(base_offsets(&within.one(&bench).await), [6]);
}

#[tokio::test]
async fn replicas_serve_modern_clients_and_others_name_the_leader() {
    let bench = bench().await;
    let other = bench.at(2);
    let fetched = asking(&bench, 16, &[0]).response(&other).await;
    let partition = &fetched.responses[0].partitions[0];
    assert_eq!(partition.error_code, ResponseError::NotLeaderOrFollower.code());
    assert_eq!((*partition.current_leader.leader_id, fetched.node_endpoints.len()), (1, 1));
    bench.peer.shared.cluster().topics.get_mut("t").unwrap().partitions[0].in_sync.push(2);
    assert_eq!(asking(&bench, 11, &[0]).one(&other).await.error_code, 0);
    let old = asking(&bench, 10, &[0]).one(&other).await;
    assert_eq!(old.error_code, ResponseError::NotLeaderOrFollower.code());
}

#[tokio::test]
async fn consumers_are_sent_to_their_rack() {
    let options = SandboxOptions {
        brokers: 2,
        racks: vec!["a".into(), "b".into()],
        closest_replica: true,
        default_replication_factor: 2,
        ..SandboxOptions::default()
    };
    let bench = Bench::new(options);
    bench.create("t", 1);
    let from = |rack: &str| asking(&bench, 11, &[0]).with(|request| request.rack_id = text(rack));
    assert_eq!(*from("b").one(&bench).await.preferred_read_replica, 2);
    assert_eq!(*from("a").one(&bench).await.preferred_read_replica, -1);
    assert_eq!(*from("b").one(&bench.at(2)).await.preferred_read_replica, -1);
}

#[tokio::test]
async fn a_recreated_topic_is_another() {
    let bench = bench().await;
    let (by_id, by_name) = (asking(&bench, 13, &[0]), asking(&bench, 12, &[0]));
    bench.peer.shared.cluster().delete_topic("t").unwrap();
    assert_eq!(by_name.one(&bench).await.error_code, ResponseError::UnknownTopicOrPartition.code());
    bench.create("t", 1);
    assert_eq!(by_id.one(&bench).await.error_code, ResponseError::UnknownTopicId.code());
    assert_eq!(by_name.one(&bench).await.error_code, 0);
}

#[tokio::test]
async fn sessions_tell_only_what_is_new() {
    let bench = bench().await;
    for version in [7, 12, 17] {
        let opened = asking(&bench, version, &[0, 0]).with(|request| request.session_epoch = 0);
        let opened = opened.response(&bench).await;
        assert_ne!(opened.session_id, 0);
        let go_on = |epoch| {
            asking(&bench, version, &[]).with(|request| {
                (request.session_id, request.session_epoch) = (opened.session_id, epoch);
            })
        };
        let again = go_on(1).fetched(&bench).await;
        assert_eq!(again.iter().map(|p| p.partition_index).collect::<Vec<_>>(), [0], "records, not moved on");
        let moved = asking(&bench, version, &[10]).with(|request| {
            (request.session_id, request.session_epoch) = (opened.session_id, 2);
        });
        assert!(moved.fetched(&bench).await.is_empty());
        produce(&bench, "t", 1, batch_with(1, |_| {})).await;
        assert_eq!(go_on(3).fetched(&bench).await[0].partition_index, 1);
        let id = bench.peer.shared.cluster().topics["t"].id;
        let forget = go_on(4).with(|request| {
            let topic = ForgottenTopic::default().with_topic(TopicName(text("t"))).with_topic_id(id);
            request.forgotten_topics_data = vec![topic.with_partitions(vec![1])];
        });
        assert!(forget.fetched(&bench).await.is_empty());
        let stale = go_on(4).response(&bench).await;
        assert_eq!(stale.error_code, ResponseError::InvalidFetchSessionEpoch.code());
        // For the next version: partition 1 empty again.
        let end = bench.peer.shared.cluster().topics["t"].partitions[1].log.end_offset();
        bench.peer.shared.cluster().truncate("t", 1, 0).unwrap();
        assert_eq!(end, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_waits_for_records_and_no_longer_than_it_may() {
    let bench = bench().await;
    let waiting = |min_bytes| {
        asking(&bench, 12, &[10, 0]).with(|request| {
            (request.max_wait_ms, request.min_bytes) = (500, min_bytes);
        })
    };
    let start = Instant::now();
    assert!(base_offsets(&waiting(1).one(&bench).await).is_empty());
    assert_eq!(start.elapsed(), Duration::from_millis(500));
    let start = Instant::now();
    let request = waiting(1);
    let producer = bench.at(1);
    let append = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        produce(&producer, "t", 0, batch_with(2, |_| {})).await;
    };
    let (fetched, ()) = tokio::join!(request.one(&bench), append);
    assert_eq!(base_offsets(&fetched), [10]);
    assert_eq!(start.elapsed(), Duration::from_millis(100));
    let start = Instant::now();
    let fetched = waiting(1_000_000).one(&bench).await;
    assert_eq!((base_offsets(&fetched), start.elapsed()), (vec![10], Duration::from_millis(500)));
}

#[tokio::test]
async fn committed_readers_stop_at_open_transactions() {
    use crate::state::transactions::Marker;
    let bench = Bench::with_topic(1);
    let transactional = |id: i64, sequence| {
        batch_with(1, |header| {
            (header.attributes, header.producer_epoch, header.base_sequence) = (0x10, 0, sequence);
            header.producer_id = id;
        })
    };
    // Stored as they are: how batches get into transactions is another test's.
    let store = |offset: i64, batch: Bytes| {
        let header = kmirror_protocol::wire::batch::BatchHeader::parse(&batch).unwrap();
        let header = kmirror_protocol::wire::batch::BatchHeader { base_offset: offset, ..header };
        let entry = crate::state::entry::LogEntry::batch(header, &batch.slice(61..), 0);
        bench.peer.shared.cluster().store("t", 0, entry).unwrap();
    };
    let end = |id, commit| {
        let marker = Marker { offset: -1, producer_id: id, producer_epoch: 0, coordinator_epoch: 0, commit };
        bench.peer.shared.cluster().append_marker("t", 0, marker, 0).unwrap()
    };
    store(0, transactional(1, 0));
    store(1, transactional(2, 0));
    let committed = || asking(&bench, 12, &[0]).with(|request| request.isolation_level = 1);
    let fetched = committed().one(&bench).await;
    assert_eq!((fetched.last_stable_offset, fetched.high_watermark), (0, 2));
    assert!(base_offsets(&fetched).is_empty());
    assert_eq!(end(1, true), 2);
    assert_eq!(base_offsets(&committed().one(&bench).await), [0]);
    assert_eq!(end(2, false), 3);
    let fetched = committed().one(&bench).await;
    assert_eq!((fetched.last_stable_offset, base_offsets(&fetched)), (4, vec![0, 1, 2, 3]));
    let aborted = fetched.aborted_transactions.unwrap();
    assert_eq!((*aborted[0].producer_id, aborted[0].first_offset, aborted.len()), (2, 1, 1));
    assert_eq!(base_offsets(&asking(&bench, 12, &[0]).one(&bench).await), [0, 1, 2, 3]);
}
