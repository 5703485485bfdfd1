//! DescribeGroups: a group's members and what they are assigned.

use kafka_protocol::messages::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use kafka_protocol::messages::{DescribeGroupsRequest, GroupId};
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Api, Call, text};
use crate::group::Group;

/// State of a group nobody has heard of.
const DEAD: &str = "Dead";

/// Where all members come from.
const HOST: &str = "/127.0.0.1";

pub(super) struct DescribeGroups;

impl Api for DescribeGroups {
    type Request = DescribeGroupsRequest;

    fn refuse(request: &DescribeGroupsRequest, _: i16, code: i16) -> DescribeGroupsResponse {
        let failed = |id: &GroupId| DescribedGroup::default().with_group_id(id.clone()).with_error_code(code);
        DescribeGroupsResponse::default().with_groups(request.groups.iter().map(failed).collect())
    }

    async fn answer(call: &Call<'_>, request: DescribeGroupsRequest) -> Answer {
        let cluster = call.peer.shared.cluster();
        let groups = request.groups.iter().map(|id| {
            let described = DescribedGroup::default().with_group_id(id.clone());
            match (cluster.check_group(call.peer.broker, id), cluster.groups.get(id)) {
                (Err(error), _) => described.with_error_code(error.code()),
                (Ok(()), None) => described.with_group_state(StrBytes::from_static_str(DEAD)),
                (Ok(()), Some(group)) => describe(described, group),
            }
        });
        call.body(&DescribeGroupsResponse::default().with_groups(groups.collect()))
    }
}

fn describe(described: DescribedGroup, group: &Group) -> DescribedGroup {
    let protocol = group.protocol.as_deref().unwrap_or_default();
    let members = group.members.values().map(|member| {
        DescribedGroupMember::default()
            .with_member_id(text(&member.id))
            .with_group_instance_id(member.spec.instance_id.as_deref().map(text))
            .with_client_id(text(&member.spec.client_id))
            .with_client_host(StrBytes::from_static_str(HOST))
            .with_member_metadata(member.metadata(protocol))
            .with_member_assignment(member.assignment.clone())
    });
    described
        .with_group_state(StrBytes::from_static_str(group.phase.name()))
        .with_protocol_type(text(group.protocol_type.as_deref().unwrap_or_default()))
        .with_protocol_data(text(protocol))
        .with_members(members.collect())
}
