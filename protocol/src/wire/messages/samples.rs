//! A response of every API in every version, with at least one element in every list, as the message crate
//! writes it. The material of the layout and mutation tests.

mod groups;
mod transactions;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::describe_acls_response::{AclDescription, DescribeAclsResource};
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{self, BrokerId, ProducerId, TopicName};
use kafka_protocol::protocol::{Encodable, StrBytes};
use uuid::Uuid;

use crate::wire::api::ApiKey;

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn name(name: &'static str) -> TopicName {
    TopicName(text(name))
}

fn encoded(message: &impl Encodable, version: i16) -> Bytes {
    let mut out = BytesMut::new();
    message.encode(&mut out, version).unwrap();
    out.freeze()
}

/// The sample of an API that goes through the message crate.
pub(crate) fn response(api: ApiKey, version: i16) -> Option<Bytes> {
    Some(match api {
        ApiKey::Fetch | ApiKey::Produce => return None,
        ApiKey::ApiVersions => encoded(&api_versions(version), version),
        ApiKey::SaslHandshake => encoded(&sasl_handshake(), version),
        ApiKey::SaslAuthenticate => encoded(&sasl_authenticate(version), version),
        ApiKey::Metadata => encoded(&metadata(version), version),
        ApiKey::ListOffsets => encoded(&list_offsets(version), version),
        ApiKey::OffsetForLeaderEpoch => encoded(&offset_for_leader_epoch(), version),
        ApiKey::InitProducerId => encoded(&init_producer_id(), version),
        ApiKey::AddPartitionsToTxn => encoded(&transactions::partitions_added(), version),
        ApiKey::AddOffsetsToTxn => encoded(&transactions::offsets_added(), version),
        ApiKey::TxnOffsetCommit => encoded(&transactions::offsets_committed(), version),
        ApiKey::EndTxn => encoded(&transactions::ended(), version),
        ApiKey::CreateTopics => encoded(&create_topics(version), version),
        ApiKey::CreatePartitions => encoded(&create_partitions(), version),
        ApiKey::IncrementalAlterConfigs => encoded(&incremental_alter_configs(), version),
        ApiKey::DescribeConfigs if version == 0 => Bytes::from_static(DESCRIBE_CONFIGS_V0),
        ApiKey::DescribeConfigs => encoded(&describe_configs(version), version),
        ApiKey::DeleteTopics => encoded(&delete_topics(version), version),
        ApiKey::DescribeAcls => encoded(&describe_acls(), version),
        ApiKey::CreateAcls => encoded(&create_acls(), version),
        ApiKey::DeleteAcls => encoded(&delete_acls(), version),
        ApiKey::DescribeClientQuotas => encoded(&describe_client_quotas(), version),
        ApiKey::AlterClientQuotas => encoded(&alter_client_quotas(), version),
        ApiKey::DescribeUserScramCredentials => encoded(&describe_user_scram_credentials(), version),
        ApiKey::DescribeCluster => encoded(&describe_cluster(version), version),
        ApiKey::DescribeProducers => encoded(&describe_producers(), version),
        ApiKey::FindCoordinator => encoded(&groups::find_coordinator(version), version),
        ApiKey::JoinGroup => encoded(&groups::join_group(version), version),
        ApiKey::SyncGroup => encoded(&groups::sync_group(version), version),
        ApiKey::Heartbeat => encoded(&groups::heartbeat(), version),
        ApiKey::LeaveGroup => encoded(&groups::leave_group(version), version),
        ApiKey::ListGroups => encoded(&groups::list_groups(version), version),
        ApiKey::DescribeGroups => encoded(&groups::describe_groups(version), version),
        ApiKey::ConsumerGroupDescribe => encoded(&groups::consumer_group_describe(version), version),
        ApiKey::OffsetFetch => encoded(&groups::offset_fetch(version), version),
        ApiKey::OffsetCommit => encoded(&groups::offset_commit(version), version),
        ApiKey::ShareGroupDescribe => encoded(&groups::share_group_describe(), version),
        ApiKey::DescribeShareGroupOffsets => encoded(&groups::describe_share_group_offsets(), version),
        ApiKey::AlterShareGroupOffsets => encoded(&groups::alter_share_group_offsets(), version),
    })
}

fn api_versions(version: i16) -> messages::ApiVersionsResponse {
    let api = |key| ApiVersion::default().with_api_key(key).with_min_version(1).with_max_version(9);
    let mut response = messages::ApiVersionsResponse::default().with_api_keys(vec![api(0), api(1), api(18)]);
    if version >= 1 {
        response = response.with_throttle_time_ms(3);
    }
    if version >= 3 {
        let supported = SupportedFeatureKey::default().with_name(text("f")).with_max_version(2);
        let finalized = FinalizedFeatureKey::default().with_name(text("f")).with_max_version_level(1);
        response = response
            .with_supported_features(vec![supported])
            .with_finalized_features_epoch(7)
            .with_finalized_features(vec![finalized])
            .with_zk_migration_ready(true)
            .with_unknown_tagged_field(77, Bytes::from_static(b"later"));
    }
    response
}

fn sasl_handshake() -> messages::SaslHandshakeResponse {
    messages::SaslHandshakeResponse::default().with_error_code(33).with_mechanisms(vec![text("PLAIN")])
}

fn sasl_authenticate(version: i16) -> messages::SaslAuthenticateResponse {
    let response = messages::SaslAuthenticateResponse::default()
        .with_error_code(58)
        .with_error_message(Some(text("no")))
        .with_auth_bytes(Bytes::from_static(b"v=1"));
    if version >= 1 { response.with_session_lifetime_ms(3_600_000) } else { response }
}

pub(crate) fn metadata(version: i16) -> messages::MetadataResponse {
    let broker = |id, rack| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(id))
            .with_host(text("broker.example"))
            .with_port(9092)
            .with_rack(rack)
    };
    let partition = |index, leader| {
        let mut partition = MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(BrokerId(leader))
            .with_replica_nodes(vec![BrokerId(1), BrokerId(2)])
            .with_isr_nodes(vec![BrokerId(1)]);
        if leader < 0 {
            partition = partition.with_error_code(5);
        }
        if version >= 5 {
            partition = partition.with_offline_replicas(vec![BrokerId(2)]);
        }
        if version >= 7 { partition.with_leader_epoch(6) } else { partition }
    };
    let mut topic = MetadataResponseTopic::default()
        .with_name(Some(name("orders")))
        .with_is_internal(true)
        .with_partitions(vec![partition(1, -1), partition(0, 1)]);
    if version >= 10 {
        topic = topic.with_topic_id(Uuid::from_u128(99));
    }
    messages::MetadataResponse::default()
        .with_throttle_time_ms(1)
        .with_brokers(vec![broker(1, Some(text("r"))), broker(2, None)])
        .with_cluster_id(Some(text("the-cluster")))
        .with_controller_id(BrokerId(2))
        .with_topics(vec![topic])
}

fn list_offsets(version: i16) -> messages::ListOffsetsResponse {
    let mut partition =
        ListOffsetsPartitionResponse::default().with_partition_index(2).with_timestamp(5).with_offset(9);
    if version >= 4 {
        partition = partition.with_leader_epoch(3);
    }
    let topic =
        ListOffsetsTopicResponse::default().with_name(name("orders")).with_partitions(vec![partition]);
    let response = messages::ListOffsetsResponse::default().with_topics(vec![topic]);
    if version >= 2 { response.with_throttle_time_ms(2) } else { response }
}

fn offset_for_leader_epoch() -> messages::OffsetForLeaderEpochResponse {
    let end = EpochEndOffset::default().with_partition(2).with_leader_epoch(3).with_end_offset(77);
    let topic = OffsetForLeaderTopicResult::default().with_topic(name("orders")).with_partitions(vec![end]);
    messages::OffsetForLeaderEpochResponse::default().with_topics(vec![topic])
}

fn init_producer_id() -> messages::InitProducerIdResponse {
    messages::InitProducerIdResponse::default().with_producer_id(ProducerId(4000)).with_producer_epoch(2)
}

fn create_topics(version: i16) -> messages::CreateTopicsResponse {
    let mut topic = CreatableTopicResult::default()
        .with_name(name("orders"))
        .with_error_code(36)
        .with_error_message(Some(text("it exists")));
    if version >= 5 {
        let config = CreatableTopicConfigs::default().with_name(text("k")).with_value(Some(text("v")));
        topic = topic
            .with_topic_config_error_code(29)
            .with_num_partitions(3)
            .with_replication_factor(1)
            .with_configs(Some(vec![config]));
    }
    if version >= 7 {
        topic = topic.with_topic_id(Uuid::from_u128(5));
    }
    messages::CreateTopicsResponse::default().with_topics(vec![topic])
}

fn incremental_alter_configs() -> messages::IncrementalAlterConfigsResponse {
    let result = AlterConfigsResourceResponse::default()
        .with_resource_type(2)
        .with_resource_name(name("orders").0)
        .with_error_code(40);
    messages::IncrementalAlterConfigsResponse::default().with_responses(vec![result])
}

fn create_partitions() -> messages::CreatePartitionsResponse {
    let result = CreatePartitionsTopicResult::default().with_name(name("orders")).with_error_code(37);
    messages::CreatePartitionsResponse::default().with_results(vec![result])
}

/// Version 0 is older than the message crate: by Kafka 0.11's `DescribeConfigsResponse` and compared with one.
/// Topic `orders` with `retention.ms=1000` set, and `unclean.leader.election.enable` by default.
pub(crate) const DESCRIBE_CONFIGS_V0: &[u8] = b"\0\0\0\0\0\0\0\x01\0\0\xff\xff\x02\0\x06orders\
    \0\0\0\x02\0\x0cretention.ms\0\x041000\0\0\0\
    \0\x1eunclean.leader.election.enable\0\x05false\0\x01\0";

fn describe_configs(version: i16) -> messages::DescribeConfigsResponse {
    let synonym =
        DescribeConfigsSynonym::default().with_name(text("s")).with_value(Some(text("t"))).with_source(5);
    let mut config = DescribeConfigsResourceResult::default()
        .with_name(text("retention.ms"))
        .with_value(Some(text("1000")))
        .with_config_source(1)
        .with_synonyms(vec![synonym]);
    if version >= 3 {
        config = config.with_config_type(5).with_documentation(Some(text("doc")));
    }
    let result = DescribeConfigsResult::default()
        .with_resource_type(2)
        .with_resource_name(text("orders"))
        .with_configs(vec![config]);
    messages::DescribeConfigsResponse::default().with_results(vec![result])
}

fn delete_topics(version: i16) -> messages::DeleteTopicsResponse {
    let mut topic = DeletableTopicResult::default().with_name(Some(name("orders"))).with_error_code(3);
    if version >= 5 {
        topic = topic.with_error_message(Some(text("it is not there")));
    }
    messages::DeleteTopicsResponse::default().with_responses(vec![topic])
}

fn describe_acls() -> messages::DescribeAclsResponse {
    let acl = AclDescription::default()
        .with_principal(text("User:alice"))
        .with_host(text("*"))
        .with_operation(3)
        .with_permission_type(3);
    let resource = DescribeAclsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("orders"))
        .with_pattern_type(3)
        .with_acls(vec![acl]);
    messages::DescribeAclsResponse::default()
        .with_error_code(54)
        .with_error_message(Some(text("no authorizer")))
        .with_resources(vec![resource])
}

fn create_acls() -> messages::CreateAclsResponse {
    let result = AclCreationResult::default().with_error_code(31).with_error_message(Some(text("no")));
    messages::CreateAclsResponse::default().with_results(vec![result])
}

fn delete_acls() -> messages::DeleteAclsResponse {
    let acl = DeleteAclsMatchingAcl::default()
        .with_resource_type(2)
        .with_resource_name(text("orders"))
        .with_pattern_type(3)
        .with_principal(text("User:alice"))
        .with_host(text("*"))
        .with_operation(3)
        .with_permission_type(3);
    let result = DeleteAclsFilterResult::default().with_matching_acls(vec![acl]);
    messages::DeleteAclsResponse::default().with_filter_results(vec![result])
}

fn describe_client_quotas() -> messages::DescribeClientQuotasResponse {
    use messages::describe_client_quotas_response::{EntityData, EntryData, ValueData};
    let entity = EntityData::default().with_entity_type(text("user")).with_entity_name(None);
    let value = ValueData::default().with_key(text("producer_byte_rate")).with_value(1.5);
    let entry = EntryData::default().with_entity(vec![entity]).with_values(vec![value]);
    messages::DescribeClientQuotasResponse::default().with_entries(Some(vec![entry]))
}

fn alter_client_quotas() -> messages::AlterClientQuotasResponse {
    use messages::alter_client_quotas_response::{EntityData, EntryData};
    let entity = EntityData::default().with_entity_type(text("ip")).with_entity_name(Some(text("10.0.0.1")));
    let entry = EntryData::default().with_error_code(42).with_entity(vec![entity]);
    messages::AlterClientQuotasResponse::default().with_entries(vec![entry])
}

fn describe_user_scram_credentials() -> messages::DescribeUserScramCredentialsResponse {
    let info = CredentialInfo::default().with_mechanism(1).with_iterations(4096);
    let result = DescribeUserScramCredentialsResult::default()
        .with_user(text("alice"))
        .with_credential_infos(vec![info]);
    messages::DescribeUserScramCredentialsResponse::default().with_results(vec![result])
}

fn describe_cluster(version: i16) -> messages::DescribeClusterResponse {
    let mut broker =
        DescribeClusterBroker::default().with_broker_id(BrokerId(1)).with_host(text("h")).with_port(9);
    if version >= 2 {
        broker = broker.with_is_fenced(true);
    }
    messages::DescribeClusterResponse::default()
        .with_cluster_id(text("the-cluster"))
        .with_controller_id(BrokerId(1))
        .with_brokers(vec![broker])
}

fn describe_producers() -> messages::DescribeProducersResponse {
    let producer = ProducerState::default()
        .with_producer_id(ProducerId(4000))
        .with_producer_epoch(2)
        .with_last_sequence(41)
        .with_last_timestamp(5);
    let partition =
        PartitionResponse::default().with_partition_index(2).with_active_producers(vec![producer]);
    let topic = TopicResponse::default().with_name(name("orders")).with_partitions(vec![partition]);
    messages::DescribeProducersResponse::default().with_topics(vec![topic])
}
