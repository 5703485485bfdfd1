//! Heartbeat: signs of life of a group's members.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::HeartbeatRequest;
use kafka_protocol::messages::heartbeat_response::HeartbeatResponse;

use super::{Answer, Api, Call, code_of};

pub(super) struct Heartbeat;

impl Api for Heartbeat {
    type Request = HeartbeatRequest;

    fn refuse(_: &HeartbeatRequest, _: i16, code: i16) -> HeartbeatResponse {
        HeartbeatResponse::default().with_error_code(code)
    }

    async fn answer(call: &Call<'_>, request: HeartbeatRequest) -> Answer {
        let mut cluster = call.peer.shared.cluster();
        let beat = cluster.check_group(call.peer.broker, &request.group_id).and_then(|()| {
            let group = cluster.groups.get_mut(&request.group_id).ok_or(ResponseError::UnknownMemberId)?;
            let instance = request.group_instance_id.as_deref();
            group.heartbeat(&request.member_id, instance, request.generation_id, call.now())
        });
        call.body(&Self::refuse(&request, call.version, code_of(&beat)))
    }
}
