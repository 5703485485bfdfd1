//! SyncGroup: assignments from the leader of a group to its members.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::SyncGroupRequest;
use kafka_protocol::messages::sync_group_response::SyncGroupResponse;
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Api, Call, text};
use crate::group::{Step, SyncRequest};

pub(super) struct SyncGroup;

impl Api for SyncGroup {
    type Request = SyncGroupRequest;

    fn refuse(_: &SyncGroupRequest, _: i16, code: i16) -> SyncGroupResponse {
        SyncGroupResponse::default().with_error_code(code)
    }

    async fn answer(call: &Call<'_>, request: SyncGroupRequest) -> Answer {
        let refuse = |code: ResponseError| call.body(&Self::refuse(&request, call.version, code.code()));
        let syncing = {
            let mut cluster = call.peer.shared.cluster();
            if let Err(error) = cluster.check_group(call.peer.broker, &request.group_id) {
                return refuse(error);
            }
            match cluster.groups.get_mut(&request.group_id) {
                Some(group) => group.sync(read(&request), call.now()),
                None => Step::Done(Err(ResponseError::UnknownMemberId)),
            }
        };
        let synced = match syncing {
            Step::Done(synced) => synced,
            Step::Wait(answer) => answer.await.unwrap_or(Err(ResponseError::UnknownMemberId)),
        };
        match synced {
            Ok(synced) => call.body(
                &SyncGroupResponse::default()
                    .with_protocol_type(synced.protocol_type.as_deref().map(text))
                    .with_protocol_name(synced.protocol.as_deref().map(text))
                    .with_assignment(synced.assignment),
            ),
            Err(error) => refuse(error),
        }
    }
}

fn read(request: &SyncGroupRequest) -> SyncRequest {
    let owned = |value: &Option<StrBytes>| value.as_ref().map(|value| value.as_str().to_owned());
    let assignments = request.assignments.iter();
    SyncRequest {
        member_id: request.member_id.as_str().to_owned(),
        instance_id: owned(&request.group_instance_id),
        generation: request.generation_id,
        protocol_type: owned(&request.protocol_type),
        protocol: owned(&request.protocol_name),
        assignments: assignments
            .map(|given| (given.member_id.as_str().to_owned(), Bytes::copy_from_slice(&given.assignment)))
            .collect(),
    }
}
