//! FindCoordinator: the broker that looks after a group or a transactional id (KIP-699 for several at once).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest};
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Api, Call, text};
use crate::state::Cluster;

/// First version that asks for several keys at once.
const SEVERAL_FROM_VERSION: i16 = 4;

/// Kinds of keys: groups and transactional ids.
const KEY_TYPES: std::ops::RangeInclusive<i8> = 0..=1;

pub(super) struct FindCoordinator;

impl Api for FindCoordinator {
    type Request = FindCoordinatorRequest;

    fn refuse(request: &FindCoordinatorRequest, version: i16, code: i16) -> FindCoordinatorResponse {
        if version >= SEVERAL_FROM_VERSION {
            let failed = |key: &StrBytes| nobody(key, code);
            return FindCoordinatorResponse::default()
                .with_coordinators(request.coordinator_keys.iter().map(failed).collect());
        }
        FindCoordinatorResponse::default().with_error_code(code).with_node_id(BrokerId(-1)).with_port(-1)
    }

    async fn answer(call: &Call<'_>, request: FindCoordinatorRequest) -> Answer {
        if !KEY_TYPES.contains(&request.key_type) {
            return call.body(&Self::refuse(&request, call.version, ResponseError::InvalidRequest.code()));
        }
        let cluster = call.peer.shared.cluster();
        if call.version >= SEVERAL_FROM_VERSION {
            let found = request.coordinator_keys.iter().map(|key| find(&cluster, key));
            return call.body(&FindCoordinatorResponse::default().with_coordinators(found.collect()));
        }
        let found = find(&cluster, &request.key);
        let response = FindCoordinatorResponse::default()
            .with_error_code(found.error_code)
            .with_node_id(found.node_id)
            .with_host(found.host)
            .with_port(found.port);
        call.body(&response)
    }
}

fn find(cluster: &Cluster, key: &StrBytes) -> Coordinator {
    let coordinator =
        cluster.coordinator(key).and_then(|id| cluster.brokers.get(&id).map(|broker| (id, broker)));
    match coordinator {
        None => nobody(key, ResponseError::CoordinatorNotAvailable.code()),
        Some((id, broker)) => Coordinator::default()
            .with_key(key.clone())
            .with_node_id(BrokerId(id))
            .with_host(text(&broker.address.ip().to_string()))
            .with_port(broker.address.port().into()),
    }
}

fn nobody(key: &StrBytes, code: i16) -> Coordinator {
    Coordinator::default()
        .with_key(key.clone())
        .with_node_id(BrokerId(-1))
        .with_port(-1)
        .with_error_code(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Bench, ask};

    #[tokio::test]
    async fn all_brokers_name_the_same_coordinator_and_another_when_it_is_gone() {
        let bench = Bench::with_topic(3);
        let one = FindCoordinatorRequest::default().with_key("g".into());
        let first = ask(&bench, 0, &one).await;
        for (broker, version) in [(2, 1), (3, 3)] {
            assert_eq!(ask(&bench.at(broker), version, &one).await.node_id, first.node_id);
        }
        let several = FindCoordinatorRequest::default().with_coordinator_keys(vec!["g".into(), "h".into()]);
        let found = ask(&bench, 6, &several).await.coordinators;
        assert_eq!((found[0].node_id, found.len()), (first.node_id, 2));
        bench.peer.shared.cluster().broker_stopped(*first.node_id);
        assert_ne!(ask(&bench, 0, &one).await.node_id, first.node_id);
    }

    #[tokio::test]
    async fn unknown_kinds_of_keys_are_refused() {
        let bench = Bench::with_topic(1);
        let request = FindCoordinatorRequest::default().with_key("g".into()).with_key_type(7);
        assert_eq!(ask(&bench, 3, &request).await.error_code, ResponseError::InvalidRequest.code());
    }
}
