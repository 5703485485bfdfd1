//! The responses that the message crate decodes, in every version: none may abort the process by a count that lies.
#![no_main]

use bytes::Bytes;
use kmirror_protocol::wire::messages::{
    ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest, DescribeClusterRequest,
    DescribeConfigsRequest, DescribeProducersRequest, InitProducerIdRequest, ListOffsetsRequest,
    MetadataRequest, OffsetForLeaderEpochRequest, Request, decode_response,
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
    match api % 10 {
        0 => decode::<ApiVersionsRequest>(version, body),
        1 => decode::<CreatePartitionsRequest>(version, body),
        2 => decode::<CreateTopicsRequest>(version, body),
        3 => decode::<DescribeClusterRequest>(version, body),
        4 => decode::<DescribeConfigsRequest>(version, body),
        5 => decode::<DescribeProducersRequest>(version, body),
        6 => decode::<InitProducerIdRequest>(version, body),
        7 => decode::<ListOffsetsRequest>(version, body),
        8 => decode::<MetadataRequest>(version, body),
        _ => decode::<OffsetForLeaderEpochRequest>(version, body),
    }
});
