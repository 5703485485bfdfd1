//! The responses that the message crate decodes, in every version: none may abort the process by a count that lies.
#![no_main]

use bytes::Bytes;
use kmirror_protocol::wire::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AlterClientQuotasRequest, AlterShareGroupOffsetsRequest, ApiVersionsRequest,
    ConsumerGroupDescribeRequest, CreateAclsRequest, CreatePartitionsRequest, CreateTopicsRequest,
    DeleteAclsRequest, DeleteTopicsRequest, DescribeAclsRequest, DescribeClientQuotasRequest,
    DescribeClusterRequest, DescribeConfigsRequest, DescribeGroupsRequest, DescribeProducersRequest,
    DescribeShareGroupOffsetsRequest, DescribeUserScramCredentialsRequest, EndTxnRequest, FindCoordinatorRequest,
    HeartbeatRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, ListOffsetsRequest,
    MetadataRequest, OffsetCommitRequest, OffsetFetchRequest, OffsetForLeaderEpochRequest, Request,
    ShareGroupDescribeRequest, SyncGroupRequest, TxnOffsetCommitRequest, decode_response,
};
use libfuzzer_sys::fuzz_target;

fn decode<R: Request>(version: u8, body: Bytes) {
    let versions = R::API.versions();
    let count = versions.end() - versions.start() + 1;
    let _ = decode_response::<R>(versions.start() + i16::from(version) % count, body);
}

fuzz_target!(|data: &[u8]| {
    let Some((&[api, version], body)) = data.split_first_chunk::<2>() else { return };
    let body = Bytes::copy_from_slice(body);
    match api % 35 {
        0 => decode::<ApiVersionsRequest>(version, body),
        1 => decode::<CreatePartitionsRequest>(version, body),
        2 => decode::<CreateTopicsRequest>(version, body),
        3 => decode::<DescribeClusterRequest>(version, body),
        4 => decode::<DescribeConfigsRequest>(version, body),
        5 => decode::<DescribeProducersRequest>(version, body),
        6 => decode::<InitProducerIdRequest>(version, body),
        7 => decode::<ListOffsetsRequest>(version, body),
        8 => decode::<MetadataRequest>(version, body),
        10 => decode::<FindCoordinatorRequest>(version, body),
        11 => decode::<ListGroupsRequest>(version, body),
        12 => decode::<DescribeGroupsRequest>(version, body),
        13 => decode::<ConsumerGroupDescribeRequest>(version, body),
        14 => decode::<OffsetFetchRequest>(version, body),
        15 => decode::<OffsetCommitRequest>(version, body),
        16 => decode::<ShareGroupDescribeRequest>(version, body),
        17 => decode::<DescribeShareGroupOffsetsRequest>(version, body),
        18 => decode::<AlterShareGroupOffsetsRequest>(version, body),
        19 => decode::<DeleteTopicsRequest>(version, body),
        20 => decode::<DescribeAclsRequest>(version, body),
        21 => decode::<CreateAclsRequest>(version, body),
        22 => decode::<DeleteAclsRequest>(version, body),
        23 => decode::<DescribeClientQuotasRequest>(version, body),
        24 => decode::<AlterClientQuotasRequest>(version, body),
        25 => decode::<DescribeUserScramCredentialsRequest>(version, body),
        26 => decode::<IncrementalAlterConfigsRequest>(version, body),
        27 => decode::<JoinGroupRequest>(version, body),
        28 => decode::<SyncGroupRequest>(version, body),
        29 => decode::<HeartbeatRequest>(version, body),
        30 => decode::<LeaveGroupRequest>(version, body),
        31 => decode::<AddPartitionsToTxnRequest>(version, body),
        32 => decode::<AddOffsetsToTxnRequest>(version, body),
        33 => decode::<TxnOffsetCommitRequest>(version, body),
        34 => decode::<EndTxnRequest>(version, body),
        _ => decode::<OffsetForLeaderEpochRequest>(version, body),
    }
});
