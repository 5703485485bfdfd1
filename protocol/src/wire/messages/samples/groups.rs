//! Responses of the group APIs, as the message crate writes them.

use bytes::Bytes;
use kafka_protocol::messages::alter_share_group_offsets_response::{
    AlterShareGroupOffsetsResponsePartition, AlterShareGroupOffsetsResponseTopic,
};
use kafka_protocol::messages::consumer_group_describe_response as consumer;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::describe_share_group_offsets_response::{
    DescribeShareGroupOffsetsResponseGroup, DescribeShareGroupOffsetsResponsePartition,
    DescribeShareGroupOffsetsResponseTopic,
};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::share_group_describe_response as share;
use kafka_protocol::messages::{self, BrokerId, GroupId};
use uuid::Uuid;

use super::{name, text};

fn group() -> GroupId {
    GroupId(text("readers"))
}

pub(super) fn find_coordinator(version: i16) -> messages::FindCoordinatorResponse {
    let response = messages::FindCoordinatorResponse::default().with_throttle_time_ms(1);
    if version < 4 {
        return response
            .with_error_code(15)
            .with_error_message(Some(text("later")))
            .with_node_id(BrokerId(2))
            .with_host(text("h"))
            .with_port(9092);
    }
    let coordinator = Coordinator::default()
        .with_key(text("readers"))
        .with_node_id(BrokerId(2))
        .with_host(text("h"))
        .with_port(9092);
    response.with_coordinators(vec![coordinator.clone(), coordinator.with_error_message(Some(text("m")))])
}

pub(super) fn join_group(version: i16) -> messages::JoinGroupResponse {
    let mut member = JoinGroupResponseMember::default()
        .with_member_id(text("m"))
        .with_metadata(Bytes::from_static(b"metadata"));
    if version >= 5 {
        member = member.with_group_instance_id(Some(text("i")));
    }
    let mut joined = messages::JoinGroupResponse::default()
        .with_throttle_time_ms(1)
        .with_generation_id(3)
        .with_protocol_name(Some(text("p")))
        .with_leader(text("m"))
        .with_member_id(text("m"))
        .with_members(vec![member]);
    if version >= 7 {
        joined = joined.with_protocol_type(Some(text("t")));
    }
    if version >= 9 {
        joined = joined.with_skip_assignment(true);
    }
    joined
}

pub(super) fn sync_group(version: i16) -> messages::SyncGroupResponse {
    let synced = messages::SyncGroupResponse::default()
        .with_throttle_time_ms(1)
        .with_assignment(Bytes::from_static(b"assignment"));
    if version < 5 {
        return synced;
    }
    synced.with_protocol_type(Some(text("t"))).with_protocol_name(Some(text("p")))
}

pub(super) fn heartbeat() -> messages::HeartbeatResponse {
    messages::HeartbeatResponse::default().with_throttle_time_ms(1).with_error_code(27)
}

pub(super) fn leave_group(version: i16) -> messages::LeaveGroupResponse {
    let left = messages::LeaveGroupResponse::default().with_throttle_time_ms(1);
    if version < 3 {
        return left;
    }
    let member = MemberResponse::default()
        .with_member_id(text("m"))
        .with_group_instance_id(Some(text("i")))
        .with_error_code(25);
    left.with_members(vec![member])
}

pub(super) fn list_groups(version: i16) -> messages::ListGroupsResponse {
    let mut listed = ListedGroup::default().with_group_id(group()).with_protocol_type(text("consumer"));
    if version >= 4 {
        listed = listed.with_group_state(text("Empty"));
    }
    if version >= 5 {
        listed = listed.with_group_type(text("classic"));
    }
    messages::ListGroupsResponse::default().with_groups(vec![listed])
}

pub(super) fn describe_groups(version: i16) -> messages::DescribeGroupsResponse {
    let mut member = DescribedGroupMember::default()
        .with_member_id(text("m"))
        .with_client_id(text("c"))
        .with_client_host(text("h"))
        .with_member_metadata(Bytes::from_static(b"metadata"))
        .with_member_assignment(Bytes::from_static(b"a"));
    if version >= 4 {
        member = member.with_group_instance_id(Some(text("i")));
    }
    let mut described = DescribedGroup::default()
        .with_group_id(group())
        .with_group_state(text("Stable"))
        .with_protocol_type(text("consumer"))
        .with_protocol_data(text("range"))
        .with_members(vec![member]);
    if version >= 3 {
        described = described.with_authorized_operations(7);
    }
    if version >= 6 {
        described = described.with_error_message(Some(text("m")));
    }
    messages::DescribeGroupsResponse::default().with_groups(vec![described])
}

pub(super) fn consumer_group_describe(version: i16) -> messages::ConsumerGroupDescribeResponse {
    let partitions = consumer::TopicPartitions::default()
        .with_topic_id(Uuid::from_u128(7))
        .with_topic_name(name("orders"))
        .with_partitions(vec![0, 1]);
    let assignment = consumer::Assignment::default().with_topic_partitions(vec![partitions]);
    let mut member = consumer::Member::default()
        .with_member_id(text("m"))
        .with_rack_id(Some(text("r")))
        .with_member_epoch(3)
        .with_client_id(text("c"))
        .with_subscribed_topic_names(vec![name("orders"), name("more")])
        .with_assignment(assignment.clone())
        .with_target_assignment(assignment);
    if version >= 1 {
        member = member.with_member_type(1);
    }
    let described = consumer::DescribedGroup::default()
        .with_group_id(group())
        .with_group_state(text("Stable"))
        .with_group_epoch(3)
        .with_assignor_name(text("uniform"))
        .with_members(vec![member]);
    messages::ConsumerGroupDescribeResponse::default().with_groups(vec![described])
}

pub(super) fn share_group_describe() -> messages::ShareGroupDescribeResponse {
    let partitions =
        share::TopicPartitions::default().with_topic_name(name("orders")).with_partitions(vec![0, 1]);
    let member = share::Member::default()
        .with_member_id(text("m"))
        .with_member_epoch(3)
        .with_subscribed_topic_names(vec![name("orders")])
        .with_assignment(share::Assignment::default().with_topic_partitions(vec![partitions]));
    let described = share::DescribedGroup::default()
        .with_group_id(group())
        .with_group_state(text("Stable"))
        .with_members(vec![member]);
    messages::ShareGroupDescribeResponse::default().with_groups(vec![described])
}

pub(super) fn offset_fetch(version: i16) -> messages::OffsetFetchResponse {
    let response = messages::OffsetFetchResponse::default();
    if version >= 8 {
        let partition = OffsetFetchResponsePartitions::default()
            .with_partition_index(1)
            .with_committed_offset(77)
            .with_committed_leader_epoch(3)
            .with_metadata(Some(text("m")));
        let topic =
            OffsetFetchResponseTopics::default().with_name(name("orders")).with_partitions(vec![partition]);
        let answer = OffsetFetchResponseGroup::default().with_group_id(group()).with_topics(vec![topic]);
        return response.with_groups(vec![answer]);
    }
    let mut partition = OffsetFetchResponsePartition::default()
        .with_partition_index(1)
        .with_committed_offset(77)
        .with_metadata(Some(text("m")));
    if version >= 5 {
        partition = partition.with_committed_leader_epoch(3);
    }
    let topic =
        OffsetFetchResponseTopic::default().with_name(name("orders")).with_partitions(vec![partition]);
    let response = response.with_topics(vec![topic]);
    if version >= 3 { response.with_throttle_time_ms(1) } else { response }
}

pub(super) fn offset_commit(version: i16) -> messages::OffsetCommitResponse {
    let partition = OffsetCommitResponsePartition::default().with_partition_index(1).with_error_code(25);
    let topic =
        OffsetCommitResponseTopic::default().with_name(name("orders")).with_partitions(vec![partition]);
    let response = messages::OffsetCommitResponse::default().with_topics(vec![topic]);
    if version >= 3 { response.with_throttle_time_ms(1) } else { response }
}

pub(super) fn describe_share_group_offsets() -> messages::DescribeShareGroupOffsetsResponse {
    let partition = DescribeShareGroupOffsetsResponsePartition::default()
        .with_partition_index(1)
        .with_start_offset(77)
        .with_leader_epoch(2)
        .with_error_message(Some(text("m")));
    let topic = DescribeShareGroupOffsetsResponseTopic::default()
        .with_topic_name(name("orders"))
        .with_topic_id(Uuid::from_u128(7))
        .with_partitions(vec![partition]);
    let answer =
        DescribeShareGroupOffsetsResponseGroup::default().with_group_id(group()).with_topics(vec![topic]);
    messages::DescribeShareGroupOffsetsResponse::default().with_groups(vec![answer])
}

pub(super) fn alter_share_group_offsets() -> messages::AlterShareGroupOffsetsResponse {
    let partition = AlterShareGroupOffsetsResponsePartition::default()
        .with_partition_index(1)
        .with_error_code(68)
        .with_error_message(Some(text("m")));
    let topic = AlterShareGroupOffsetsResponseTopic::default()
        .with_topic_name(name("orders"))
        .with_topic_id(Uuid::from_u128(7))
        .with_partitions(vec![partition]);
    messages::AlterShareGroupOffsetsResponse::default()
        .with_error_message(Some(text("m")))
        .with_responses(vec![topic])
}
