//! Transactions through the requests of a producer.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, GroupId, InitProducerIdRequest,
    ProducerId, TopicName, TransactionalId, TxnOffsetCommitRequest, WriteTxnMarkersRequest,
};
use kmirror_protocol::wire::batch::BatchHeader;
use tokio::time::Instant;

use super::testing::{Bench, ask, batch_with, produce, produce_request};
use super::text;

fn id() -> TransactionalId {
    TransactionalId(text("x"))
}

fn init() -> InitProducerIdRequest {
    InitProducerIdRequest::default().with_transactional_id(Some(id())).with_transaction_timeout_ms(60_000)
}

async fn begin(bench: &Bench) -> (i64, i16) {
    let response = ask(bench, 4, &init()).await;
    assert_eq!(response.error_code, 0);
    (*response.producer_id, response.producer_epoch)
}

async fn add(bench: &Bench, version: i16, (producer_id, epoch): (i64, i16), indexes: &[i32]) -> Vec<i16> {
    let topic =
        AddPartitionsToTxnTopic::default().with_name(TopicName(text("t"))).with_partitions(indexes.to_vec());
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(id())
        .with_v3_and_below_producer_id(ProducerId(producer_id))
        .with_v3_and_below_producer_epoch(epoch)
        .with_v3_and_below_topics(vec![topic]);
    let response = ask(bench, version, &request).await;
    let results = &response.results_by_topic_v3_and_below[0].results_by_partition;
    results.iter().map(|result| result.partition_error_code).collect()
}

async fn end(bench: &Bench, (producer_id, epoch): (i64, i16), committed: bool) -> i16 {
    let request = EndTxnRequest::default()
        .with_transactional_id(id())
        .with_producer_id(ProducerId(producer_id))
        .with_producer_epoch(epoch)
        .with_committed(committed);
    ask(bench, 3, &request).await.error_code
}

fn batch((producer_id, epoch): (i64, i16), sequence: i32) -> Bytes {
    batch_with(2, |header| {
        (header.attributes, header.producer_id, header.producer_epoch) = (0x10, producer_id, epoch);
        header.base_sequence = sequence;
    })
}

async fn write(bench: &Bench, producer: (i64, i16), sequence: i32) -> i16 {
    let request = produce_request("t", 0, batch(producer, sequence)).with_transactional_id(Some(id()));
    ask(bench, 9, &request).await.responses[0].partition_responses[0].error_code
}

fn headers(bench: &Bench) -> Vec<BatchHeader> {
    let cluster = bench.peer.shared.cluster();
    cluster.topics["t"].partitions[0].log.entries().filter_map(|entry| entry.header().copied()).collect()
}

#[tokio::test]
async fn a_transaction_ends_with_a_marker() {
    let bench = Bench::with_topic(1);
    let producer = begin(&bench).await;
    assert_eq!(write(&bench, producer, 0).await, ResponseError::InvalidTxnState.code(), "not added");
    for version in 0..=3 {
        assert_eq!(add(&bench, version, producer, &[0]).await, [0]);
    }
    assert_eq!(write(&bench, producer, 0).await, 0);
    assert_eq!(write(&bench, producer, 2).await, 0);
    assert_eq!(end(&bench, producer, true).await, 0);
    assert_eq!(end(&bench, producer, true).await, 0, "asked again");
    assert_eq!(end(&bench, producer, false).await, ResponseError::InvalidTxnState.code());
    let last = *headers(&bench).last().unwrap();
    assert_eq!((last.base_offset, last.is_control(), last.producer_id), (4, true, producer.0));
    assert_eq!(
        write(&bench, producer, 4).await,
        ResponseError::InvalidTxnState.code(),
        "the next is not begun"
    );
}

#[tokio::test]
async fn a_truncated_log_remembers_the_transactions_left() {
    let bench = Bench::with_topic(1);
    let producer = begin(&bench).await;
    for sequence in [0, 2] {
        add(&bench, 3, producer, &[0]).await;
        write(&bench, producer, sequence).await;
        end(&bench, producer, false).await;
    }
    let cut = |offset| {
        let mut cluster = bench.peer.shared.cluster();
        cluster.truncate("t", 0, offset).unwrap();
        let log = &cluster.partition("t", 0).unwrap().log;
        (log.last_stable_offset(), log.transactions.aborted_in(0, 100).len())
    };
    assert_eq!(cut(6), (6, 2));
    assert_eq!(cut(5), (3, 1), "open again without its marker");
    assert_eq!(cut(3), (3, 1));
    assert_eq!(cut(2), (0, 0));
}

#[tokio::test]
async fn unknown_partitions_and_producers() {
    let bench = Bench::with_topic(1);
    let producer = begin(&bench).await;
    let errors = [ResponseError::OperationNotAttempted, ResponseError::UnknownTopicOrPartition];
    assert_eq!(add(&bench, 3, producer, &[0, 9]).await, errors.map(|error| error.code()));
    let stranger = (producer.0 + 1, producer.1);
    assert_eq!(add(&bench, 3, stranger, &[0]).await, [ResponseError::InvalidProducerIdMapping.code()]);
    assert_eq!(end(&bench, producer, true).await, ResponseError::InvalidTxnState.code(), "nothing is open");
}

#[tokio::test]
async fn a_successor_aborts_and_fences() {
    let bench = Bench::with_topic(1);
    let former = begin(&bench).await;
    add(&bench, 3, former, &[0]).await;
    write(&bench, former, 0).await;
    let successor = begin(&bench).await;
    assert_eq!((successor.0, successor.1), (former.0, former.1 + 1));
    assert_eq!(headers(&bench).len(), 2, "the open transaction is aborted");
    assert_eq!(bench.peer.shared.cluster().topics["t"].partitions[0].log.last_stable_offset(), 3);
    assert_eq!(end(&bench, former, true).await, ResponseError::ProducerFenced.code());
    assert_eq!(
        add(&bench, 1, former, &[0]).await,
        [ResponseError::InvalidProducerEpoch.code()],
        "its old name"
    );
    let known = init().with_producer_id(ProducerId(former.0)).with_producer_epoch(former.1);
    assert_eq!(ask(&bench, 4, &known).await.error_code, ResponseError::ProducerFenced.code());
    add(&bench, 3, successor, &[0]).await;
    assert_eq!(write(&bench, successor, 0).await, 0);
}

#[tokio::test]
async fn what_is_open_for_too_long_is_aborted() {
    let bench = Bench::with_topic(1);
    let producer = begin(&bench).await;
    add(&bench, 3, producer, &[0]).await;
    write(&bench, producer, 0).await;
    let later = |seconds| Instant::now() + Duration::from_secs(seconds);
    bench.peer.shared.cluster().expire_transactions(later(59), 0);
    assert_eq!(headers(&bench).len(), 1);
    bench.peer.shared.cluster().expire_transactions(later(61), 0);
    assert_eq!(headers(&bench).len(), 2);
    assert_eq!(end(&bench, producer, true).await, ResponseError::ProducerFenced.code());
}

#[tokio::test]
async fn positions_count_when_the_transaction_commits() {
    for commit in [false, true] {
        let bench = Bench::with_topic(1);
        let producer = begin(&bench).await;
        let group = GroupId(text("g"));
        let add = AddOffsetsToTxnRequest::default()
            .with_transactional_id(id())
            .with_producer_id(ProducerId(producer.0))
            .with_producer_epoch(producer.1)
            .with_group_id(group.clone());
        assert_eq!(ask(&bench, 3, &add).await.error_code, 0);
        let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(9);
        let unknown = partition.clone().with_partition_index(5);
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(TopicName(text("t")))
            .with_partitions(vec![partition, unknown]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(id())
            .with_group_id(group)
            .with_producer_id(ProducerId(producer.0))
            .with_producer_epoch(producer.1)
            .with_topics(vec![topic]);
        let results = &ask(&bench, 3, &request).await.topics[0].partitions;
        let codes: Vec<_> = results.iter().map(|result| result.error_code).collect();
        assert_eq!(codes, [0, ResponseError::UnknownTopicOrPartition.code()]);
        let offset = |bench: &Bench| {
            let cluster = bench.peer.shared.cluster();
            cluster
                .groups
                .get("g")
                .and_then(|group| group.offsets.get(&("t".to_owned(), 0)).map(|c| c.offset))
        };
        assert_eq!(offset(&bench), None);
        assert_eq!(end(&bench, producer, commit).await, 0);
        assert_eq!(offset(&bench), commit.then_some(9));
    }
}

/// As tried against brokers: each entry adds an offset, again too; the sequence goes on; a higher epoch fences.
#[tokio::test]
async fn markers_can_be_written_by_anybody() {
    let bench = Bench::with_topic(1);
    let sequenced = |epoch, sequence| {
        batch_with(1, |header| {
            (header.producer_id, header.producer_epoch, header.base_sequence) = (7, epoch, sequence);
        })
    };
    produce(&bench, "t", 0, sequenced(0, 0)).await;
    let mark = async |epoch: i16, indexes: &[i32]| -> Vec<i16> {
        let topic = WritableTxnMarkerTopic::default()
            .with_name(TopicName(text("t")))
            .with_partition_indexes(indexes.to_vec());
        let marker = WritableTxnMarker::default()
            .with_producer_id(ProducerId(7))
            .with_producer_epoch(epoch)
            .with_transaction_result(true)
            .with_coordinator_epoch(-1)
            .with_topics(vec![topic]);
        let request = WriteTxnMarkersRequest::default().with_markers(vec![marker]);
        let response = ask(&bench, 1, &request).await;
        response.markers[0].topics[0].partitions.iter().map(|partition| partition.error_code).collect()
    };
    assert_eq!(mark(0, &[0, 0, 0]).await, [0, 0, 0]);
    assert_eq!(mark(0, &[0, 4]).await, [0, ResponseError::UnknownTopicOrPartition.code()]);
    assert_eq!(produce(&bench, "t", 0, sequenced(0, 1)).await, (0, 5));
    assert_eq!(mark(1, &[0]).await, [0]);
    assert_eq!(mark(0, &[0]).await, [ResponseError::InvalidProducerEpoch.code()]);
    let fenced = (ResponseError::InvalidProducerEpoch.code(), -1);
    assert_eq!(produce(&bench, "t", 0, sequenced(0, 2)).await, fenced);
    assert_eq!(produce(&bench, "t", 0, sequenced(1, 0)).await, (0, 7));
    assert_eq!(bench.peer.shared.cluster().topics["t"].partitions[0].log.last_stable_offset(), 8);
}
