//! Which request belongs to which API and is answered in which shape.

use bytes::{Bytes, BytesMut};

use super::shape::Field;
use super::{DescribeConfigsRequest, DescribeConfigsResponse, Request, configs_v0, shapes};
use crate::wire::api::ApiKey;
use crate::wire::error::WireError;

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
    SaslHandshakeRequest, SaslHandshake, SASL_HANDSHAKE;
    SaslAuthenticateRequest, SaslAuthenticate, SASL_AUTHENTICATE;
    MetadataRequest, Metadata, METADATA;
    ListOffsetsRequest, ListOffsets, LIST_OFFSETS;
    OffsetForLeaderEpochRequest, OffsetForLeaderEpoch, OFFSET_FOR_LEADER_EPOCH;
    InitProducerIdRequest, InitProducerId, INIT_PRODUCER_ID;
    AddPartitionsToTxnRequest, AddPartitionsToTxn, ADD_PARTITIONS_TO_TXN;
    AddOffsetsToTxnRequest, AddOffsetsToTxn, ADD_OFFSETS_TO_TXN;
    TxnOffsetCommitRequest, TxnOffsetCommit, TXN_OFFSET_COMMIT;
    EndTxnRequest, EndTxn, END_TXN;
    CreateTopicsRequest, CreateTopics, CREATE_TOPICS;
    CreatePartitionsRequest, CreatePartitions, CREATE_PARTITIONS;
    IncrementalAlterConfigsRequest, IncrementalAlterConfigs, INCREMENTAL_ALTER_CONFIGS;
    DeleteTopicsRequest, DeleteTopics, DELETE_TOPICS;
    DescribeAclsRequest, DescribeAcls, DESCRIBE_ACLS;
    CreateAclsRequest, CreateAcls, CREATE_ACLS;
    DeleteAclsRequest, DeleteAcls, DELETE_ACLS;
    DescribeClientQuotasRequest, DescribeClientQuotas, DESCRIBE_CLIENT_QUOTAS;
    AlterClientQuotasRequest, AlterClientQuotas, ALTER_CLIENT_QUOTAS;
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentials, DESCRIBE_USER_SCRAM_CREDENTIALS;
    DescribeClusterRequest, DescribeCluster, DESCRIBE_CLUSTER;
    DescribeProducersRequest, DescribeProducers, DESCRIBE_PRODUCERS;
    FindCoordinatorRequest, FindCoordinator, FIND_COORDINATOR;
    JoinGroupRequest, JoinGroup, JOIN_GROUP;
    SyncGroupRequest, SyncGroup, SYNC_GROUP;
    HeartbeatRequest, Heartbeat, HEARTBEAT;
    LeaveGroupRequest, LeaveGroup, LEAVE_GROUP;
    ListGroupsRequest, ListGroups, LIST_GROUPS;
    DescribeGroupsRequest, DescribeGroups, DESCRIBE_GROUPS;
    ConsumerGroupDescribeRequest, ConsumerGroupDescribe, CONSUMER_GROUP_DESCRIBE;
    OffsetFetchRequest, OffsetFetch, OFFSET_FETCH;
    OffsetCommitRequest, OffsetCommit, OFFSET_COMMIT;
    ShareGroupDescribeRequest, ShareGroupDescribe, SHARE_GROUP_DESCRIBE;
    DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsets, DESCRIBE_SHARE_GROUP_OFFSETS;
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsets, ALTER_SHARE_GROUP_OFFSETS;
}

impl Request for DescribeConfigsRequest {
    const API: ApiKey = ApiKey::DescribeConfigs;
    const RESPONSE: &'static [Field] = shapes::DESCRIBE_CONFIGS;

    fn write(&self, version: i16, body: &mut BytesMut) -> Result<(), WireError> {
        if version == 0 { configs_v0::write(self, body) } else { super::encode(self, version, body) }
    }

    fn read(version: i16, body: &mut Bytes) -> Result<DescribeConfigsResponse, WireError> {
        if version == 0 { configs_v0::read(body) } else { super::decode::<Self>(version, body) }
    }
}
