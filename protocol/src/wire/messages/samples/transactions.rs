//! Sample answers of a transaction coordinator.

use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, EndTxnResponse, TxnOffsetCommitResponse,
};

use super::name;

pub(super) fn partitions_added() -> AddPartitionsToTxnResponse {
    let partition =
        AddPartitionsToTxnPartitionResult::default().with_partition_index(3).with_partition_error_code(51);
    let topic = AddPartitionsToTxnTopicResult::default()
        .with_name(name("orders"))
        .with_results_by_partition(vec![partition]);
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(vec![topic])
}

pub(super) fn offsets_added() -> AddOffsetsToTxnResponse {
    AddOffsetsToTxnResponse::default().with_error_code(51)
}

pub(super) fn offsets_committed() -> TxnOffsetCommitResponse {
    let partition = TxnOffsetCommitResponsePartition::default().with_partition_index(3).with_error_code(22);
    let topic =
        TxnOffsetCommitResponseTopic::default().with_name(name("orders")).with_partitions(vec![partition]);
    TxnOffsetCommitResponse::default().with_topics(vec![topic])
}

pub(super) fn ended() -> EndTxnResponse {
    EndTxnResponse::default().with_error_code(90)
}
