//! JoinGroup (KIP-62 rebalance timeouts, KIP-345 static members, KIP-394 ids first, KIP-559 protocol types).

use std::ops::RangeInclusive;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::JoinGroupRequest;
use kafka_protocol::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};

use super::{Answer, Api, Call, text};
use crate::group::{JoinRequest, Joined, Joining, MemberSpec, Step};

/// First version in which the two timeouts are apart.
const REBALANCE_TIMEOUT_FROM_VERSION: i16 = 1;
/// First version whose clients are told their id before they may join.
const ID_REQUIRED_FROM_VERSION: i16 = 4;
/// First version that may have no protocol name, and tells the protocol type.
const PROTOCOL_TYPE_FROM_VERSION: i16 = 7;

/// `group.max.session.timeout.ms`.
const SESSION_TIMEOUT_MAX: Duration = Duration::from_secs(1800);

pub(super) struct JoinGroup;

impl Api for JoinGroup {
    type Request = JoinGroupRequest;

    fn refuse(request: &JoinGroupRequest, version: i16, code: i16) -> JoinGroupResponse {
        let protocol_name = (version < PROTOCOL_TYPE_FROM_VERSION).then(Default::default);
        JoinGroupResponse::default()
            .with_error_code(code)
            .with_generation_id(-1)
            .with_protocol_type(None)
            .with_protocol_name(protocol_name)
            .with_member_id(request.member_id.clone())
    }

    async fn answer(call: &Call<'_>, request: JoinGroupRequest) -> Answer {
        let refuse = |code: ResponseError| call.body(&Self::refuse(&request, call.version, code.code()));
        let joining = {
            let mut cluster = call.peer.shared.cluster();
            if let Err(error) = cluster.check_group(call.peer.broker, &request.group_id) {
                return refuse(error);
            }
            let session_timeout = milliseconds(request.session_timeout_ms);
            let allowed: RangeInclusive<_> = cluster.options.group_min_session_timeout..=SESSION_TIMEOUT_MAX;
            if !allowed.contains(&session_timeout) {
                return refuse(ResponseError::InvalidSessionTimeout);
            }
            let client = call.client_id.unwrap_or_default();
            let new_id = format!("{client}-{}", cluster.random_uuid());
            let is_known = cluster.groups.get(&request.group_id).is_some();
            if !is_known && !request.member_id.is_empty() {
                return refuse(ResponseError::UnknownMemberId);
            }
            let join = read(call, &request, new_id, session_timeout);
            cluster.groups.open(&request.group_id).join(join, call.now())
        };
        let joined = match joining {
            Joining::IdRequired(id) => {
                let code = ResponseError::MemberIdRequired.code();
                return call.body(&Self::refuse(&request, call.version, code).with_member_id(text(&id)));
            }
            Joining::Step(Step::Done(joined)) => joined,
            Joining::Step(Step::Wait(answer)) => answer.await.unwrap_or(Err(ResponseError::UnknownMemberId)),
        };
        match joined {
            Ok(joined) => call.body(&respond(call.version, joined)),
            Err(error) => refuse(error),
        }
    }
}

fn milliseconds(count: i32) -> Duration {
    Duration::from_millis(u64::try_from(count).unwrap_or_default())
}

fn read(
    call: &Call<'_>,
    request: &JoinGroupRequest,
    new_id: String,
    session_timeout: Duration,
) -> JoinRequest {
    let rebalance_timeout = match call.version {
        REBALANCE_TIMEOUT_FROM_VERSION.. => milliseconds(request.rebalance_timeout_ms),
        _ => session_timeout,
    };
    let protocols = request.protocols.iter();
    JoinRequest {
        member_id: request.member_id.as_str().to_owned(),
        new_id,
        spec: MemberSpec {
            instance_id: request.group_instance_id.as_ref().map(|id| id.as_str().to_owned()),
            client_id: call.client_id.unwrap_or_default().to_owned(),
            session_timeout,
            rebalance_timeout,
            protocols: protocols.map(|p| (p.name.as_str().to_owned(), detached(&p.metadata))).collect(),
        },
        protocol_type: request.protocol_type.as_str().to_owned(),
        id_required: call.version >= ID_REQUIRED_FROM_VERSION,
    }
}

/// A copy that does not keep the request it came in.
fn detached(bytes: &bytes::Bytes) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(bytes)
}

fn respond(version: i16, joined: Joined) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|(id, instance, metadata)| {
        JoinGroupResponseMember::default()
            .with_member_id(text(&id))
            .with_group_instance_id(instance.as_deref().map(text))
            .with_metadata(metadata)
    });
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type((version >= PROTOCOL_TYPE_FROM_VERSION).then(|| text(&joined.protocol_type)))
        .with_protocol_name(Some(text(&joined.protocol)))
        .with_leader(text(&joined.leader))
        .with_member_id(text(&joined.member_id))
        .with_members(members.collect())
}
