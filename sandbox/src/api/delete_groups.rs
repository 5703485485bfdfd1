//! DeleteGroups (KIP-229).

use kafka_protocol::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};
use kafka_protocol::messages::{DeleteGroupsRequest, GroupId};

use super::{Answer, Api, Call, code_of};

pub(super) struct DeleteGroups;

impl Api for DeleteGroups {
    type Request = DeleteGroupsRequest;

    fn refuse(request: &DeleteGroupsRequest, _: i16, code: i16) -> DeleteGroupsResponse {
        each_group(request, |_| code)
    }

    async fn answer(call: &Call<'_>, request: DeleteGroupsRequest) -> Answer {
        let mut cluster = call.peer.shared.cluster();
        call.body(&each_group(&request, |id| {
            let deleted = cluster.check_group(call.peer.broker, id).and_then(|()| cluster.groups.delete(id));
            code_of(&deleted)
        }))
    }
}

fn each_group(request: &DeleteGroupsRequest, mut code: impl FnMut(&GroupId) -> i16) -> DeleteGroupsResponse {
    let results = request
        .groups_names
        .iter()
        .map(|id| DeletableGroupResult::default().with_group_id(id.clone()).with_error_code(code(id)));
    DeleteGroupsResponse::default().with_results(results.collect())
}
