//! Which request belongs to which API and is answered in which shape.

use super::shape::Field;
use super::{Request, shapes};
use crate::wire::api::ApiKey;

macro_rules! requests {
    ($($request:ident, $api:ident, $shape:ident;)*) => {
        $(impl Request for super::$request {
            const API: ApiKey = ApiKey::$api;
            const RESPONSE: &'static [Field] = shapes::$shape;
        })*
    };
}

requests! {
    ApiVersionsRequest, ApiVersions, API_VERSIONS;
    MetadataRequest, Metadata, METADATA;
    ListOffsetsRequest, ListOffsets, LIST_OFFSETS;
    OffsetForLeaderEpochRequest, OffsetForLeaderEpoch, OFFSET_FOR_LEADER_EPOCH;
    InitProducerIdRequest, InitProducerId, INIT_PRODUCER_ID;
    CreateTopicsRequest, CreateTopics, CREATE_TOPICS;
    CreatePartitionsRequest, CreatePartitions, CREATE_PARTITIONS;
    DescribeConfigsRequest, DescribeConfigs, DESCRIBE_CONFIGS;
    DescribeClusterRequest, DescribeCluster, DESCRIBE_CLUSTER;
    DescribeProducersRequest, DescribeProducers, DESCRIBE_PRODUCERS;
}
