//! A group through the requests of a client: find, join, sync, beat, commit, fetch, describe, list, leave, delete.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, GroupId, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest, OffsetFetchRequest,
    SyncGroupRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::testing::{Bench, ask};
use super::text;

fn group() -> GroupId {
    GroupId(text("g"))
}

fn joining(member_id: &StrBytes) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(b"metadata"));
    JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_member_id(member_id.clone())
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

/// A member that is the only one, with its assignment.
async fn alone(bench: &Bench, version: i16) -> JoinGroupResponse {
    let mut joined = ask(bench, version, &joining(&StrBytes::new())).await;
    if version >= 4 {
        assert_eq!(joined.error_code, ResponseError::MemberIdRequired.code());
        joined = ask(bench, version, &joining(&joined.member_id)).await;
    }
    assert_eq!((joined.error_code, joined.leader.clone()), (0, joined.member_id.clone()));
    assert_eq!(joined.members[0].metadata, "metadata");
    let given = SyncGroupRequestAssignment::default()
        .with_member_id(joined.member_id.clone())
        .with_assignment(Bytes::from_static(b"all"));
    let sync = SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_assignments(vec![given]);
    let synced = ask(bench, version.min(4), &sync).await;
    assert_eq!((synced.error_code, synced.assignment), (0, Bytes::from_static(b"all")));
    joined
}

fn commit(joined: &JoinGroupResponse, generation: i32, topic: &str, metadata: &str) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(42)
        .with_committed_metadata(Some(text(metadata)));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(TopicName(text(topic)))
        .with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(group())
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(joined.member_id.clone())
        .with_topics(vec![topic])
}

async fn commit_code(bench: &Bench, version: i16, request: &OffsetCommitRequest) -> i16 {
    ask(bench, version, request).await.topics[0].partitions[0].error_code
}

#[tokio::test]
async fn a_member_s_life_in_every_version() {
    for version in 0..=9 {
        let bench = Bench::with_topic(1);
        let joined = alone(&bench, version).await;
        let beat = |generation| {
            HeartbeatRequest::default()
                .with_group_id(group())
                .with_generation_id(generation)
                .with_member_id(joined.member_id.clone())
        };
        assert_eq!(ask(&bench, version.min(4), &beat(joined.generation_id)).await.error_code, 0);
        let stale = ask(&bench, version.min(4), &beat(joined.generation_id + 1)).await.error_code;
        assert_eq!(stale, ResponseError::IllegalGeneration.code());
        let commit_version = version.clamp(2, 9);
        let good = commit(&joined, joined.generation_id, "t", "note");
        assert_eq!(commit_code(&bench, commit_version, &good).await, 0);
        let member = MemberIdentity::default().with_member_id(joined.member_id.clone());
        let leave = match version {
            0..=2 => LeaveGroupRequest::default().with_member_id(joined.member_id.clone()),
            _ => LeaveGroupRequest::default().with_members(vec![member]),
        };
        let left = ask(&bench, version.min(5), &leave.with_group_id(group())).await;
        assert_eq!((left.error_code, left.members.iter().all(|member| member.error_code == 0)), (0, true));
        let gone = ask(&bench, version.min(4), &beat(joined.generation_id)).await.error_code;
        assert_eq!(gone, ResponseError::UnknownMemberId.code());
    }
}

#[tokio::test]
async fn timeouts_and_protocols_are_checked() {
    let bench = Bench::with_topic(1);
    let code = async |request: JoinGroupRequest| ask(&bench, 3, &request).await.error_code;
    let timeout = joining(&StrBytes::new()).with_session_timeout_ms(1);
    assert_eq!(code(timeout).await, ResponseError::InvalidSessionTimeout.code());
    let nobody = joining(&text("stranger"));
    assert_eq!(code(nobody).await, ResponseError::UnknownMemberId.code());
    let unnamed = joining(&StrBytes::new()).with_group_id(GroupId::default());
    assert_eq!(code(unnamed).await, ResponseError::InvalidGroupId.code());
    let mute = joining(&StrBytes::new()).with_protocols(Vec::new());
    assert_eq!(code(mute).await, ResponseError::InconsistentGroupProtocol.code());
}

#[tokio::test]
async fn commits_are_checked_and_fetched() {
    let bench = Bench::with_topic(1);
    let joined = alone(&bench, 5).await;
    let generation = joined.generation_id;
    assert_eq!(commit_code(&bench, 9, &commit(&joined, generation, "t", "note")).await, 0);
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(commit_code(&bench, 9, &commit(&joined, generation, "u", "")).await, unknown);
    let stale = ResponseError::IllegalGeneration.code();
    assert_eq!(commit_code(&bench, 9, &commit(&joined, generation - 1, "t", "")).await, stale);
    let large = ResponseError::OffsetMetadataTooLarge.code();
    assert_eq!(commit_code(&bench, 9, &commit(&joined, generation, "t", &"x".repeat(4097))).await, large);
    for version in 1..=7 {
        let topic = OffsetFetchRequestTopic::default()
            .with_name(TopicName(text("t")))
            .with_partition_indexes(vec![0, 3]);
        let request = OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(vec![topic]));
        let found = &ask(&bench, version, &request).await.topics[0].partitions;
        assert_eq!((found[0].committed_offset, found[0].metadata.as_deref()), (42, Some("note")));
        assert_eq!((found[1].committed_offset, found[1].error_code), (-1, 0));
    }
    for version in 8..=9 {
        let topic = OffsetFetchRequestTopics::default()
            .with_name(TopicName(text("t")))
            .with_partition_indexes(vec![0]);
        for topics in [Some(vec![topic]), None] {
            let asked = OffsetFetchRequestGroup::default()
                .with_group_id(group())
                .with_member_id(None)
                .with_topics(topics);
            let response =
                ask(&bench, version, &OffsetFetchRequest::default().with_groups(vec![asked])).await;
            assert_eq!(response.groups[0].topics[0].partitions[0].committed_offset, 42);
        }
    }
}

#[tokio::test]
async fn groups_are_listed_described_and_deleted() {
    let bench = Bench::with_topic(1);
    let joined = alone(&bench, 5).await;
    for version in 0..=5 {
        let listed = ask(&bench, version, &ListGroupsRequest::default()).await.groups;
        assert_eq!((listed[0].group_id.as_str(), listed[0].protocol_type.as_str()), ("g", "consumer"));
        let describe = DescribeGroupsRequest::default().with_groups(vec![group(), GroupId(text("h"))]);
        let described = ask(&bench, version, &describe).await.groups;
        assert_eq!(
            (described[0].group_state.as_str(), described[1].group_state.as_str()),
            ("Stable", "Dead")
        );
        assert_eq!(described[0].members[0].member_assignment, "all");
    }
    let stable = ListGroupsRequest::default().with_states_filter(vec![text("empty")]);
    assert!(ask(&bench, 4, &stable).await.groups.is_empty());
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group(), GroupId(text("h"))]);
    let codes = async || -> Vec<i16> {
        let results = ask(&bench, 2, &delete).await.results;
        results.iter().map(|result| result.error_code).collect()
    };
    let not_found = ResponseError::GroupIdNotFound.code();
    assert_eq!(codes().await, [ResponseError::NonEmptyGroup.code(), not_found]);
    let member = MemberIdentity::default().with_member_id(joined.member_id);
    let leave = LeaveGroupRequest::default().with_group_id(group()).with_members(vec![member]);
    ask(&bench, 5, &leave).await;
    assert_eq!(codes().await, [0, not_found]);
}

#[tokio::test]
async fn another_broker_sends_clients_away() {
    let bench = Bench::with_topic(2);
    let coordinator = bench.peer.shared.cluster().coordinator("g").unwrap();
    let other = bench.at(3 - coordinator);
    let wrong = ResponseError::NotCoordinator.code();
    assert_eq!(ask(&other, 3, &joining(&StrBytes::new())).await.error_code, wrong);
    let request = OffsetFetchRequest::default().with_group_id(group()).with_topics(None);
    assert_eq!(ask(&other, 5, &request).await.error_code, wrong);
    let nobody = JoinGroupResponse::default();
    assert_eq!(commit_code(&other, 5, &commit(&nobody, -1, "t", "")).await, wrong);
}
