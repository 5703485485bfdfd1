//! ListGroups (KIP-518 by state, KIP-848 by type): the groups that the asked broker looks after.

use kafka_protocol::messages::list_groups_response::{ListGroupsResponse, ListedGroup};
use kafka_protocol::messages::{GroupId, ListGroupsRequest};
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Api, Call, text};

/// The only type of groups there is here.
const CLASSIC: &str = "classic";

pub(super) struct ListGroups;

impl Api for ListGroups {
    type Request = ListGroupsRequest;

    fn refuse(_: &ListGroupsRequest, _: i16, code: i16) -> ListGroupsResponse {
        ListGroupsResponse::default().with_error_code(code)
    }

    async fn answer(call: &Call<'_>, request: ListGroupsRequest) -> Answer {
        let passes = |filter: &[StrBytes], value: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
        };
        let cluster = call.peer.shared.cluster();
        let groups = cluster
            .groups
            .iter()
            .filter(|(id, _)| cluster.coordinator(id) == Some(call.peer.broker))
            .filter(|(_, group)| passes(&request.states_filter, group.phase.name()))
            .filter(|_| passes(&request.types_filter, CLASSIC))
            .map(|(id, group)| {
                ListedGroup::default()
                    .with_group_id(GroupId(text(id)))
                    .with_protocol_type(text(group.protocol_type.as_deref().unwrap_or_default()))
                    .with_group_state(StrBytes::from_static_str(group.phase.name()))
                    .with_group_type(StrBytes::from_static_str(CLASSIC))
            });
        call.body(&ListGroupsResponse::default().with_groups(groups.collect()))
    }
}
