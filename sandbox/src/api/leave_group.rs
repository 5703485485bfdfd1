//! LeaveGroup (KIP-345 for several members at once).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::LeaveGroupRequest;
use kafka_protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};

use super::{Answer, Api, Call, code_of};

/// First version that names several members.
const SEVERAL_FROM_VERSION: i16 = 3;

pub(super) struct LeaveGroup;

impl Api for LeaveGroup {
    type Request = LeaveGroupRequest;

    fn refuse(_: &LeaveGroupRequest, _: i16, code: i16) -> LeaveGroupResponse {
        LeaveGroupResponse::default().with_error_code(code)
    }

    async fn answer(call: &Call<'_>, request: LeaveGroupRequest) -> Answer {
        let mut cluster = call.peer.shared.cluster();
        if let Err(error) = cluster.check_group(call.peer.broker, &request.group_id) {
            return call.body(&Self::refuse(&request, call.version, error.code()));
        }
        let mut leave = |member: &str, instance: Option<&str>| {
            let group = cluster.groups.get_mut(&request.group_id).ok_or(ResponseError::UnknownMemberId)?;
            group.leave(member, instance, call.now())
        };
        if call.version < SEVERAL_FROM_VERSION {
            let left = leave(&request.member_id, None);
            return call.body(&Self::refuse(&request, call.version, code_of(&left)));
        }
        let members = request.members.iter().map(|member| {
            let left = leave(&member.member_id, member.group_instance_id.as_deref());
            MemberResponse::default()
                .with_member_id(member.member_id.clone())
                .with_group_instance_id(member.group_instance_id.clone())
                .with_error_code(code_of(&left))
        });
        let members = members.collect();
        call.body(&LeaveGroupResponse::default().with_members(members))
    }
}
