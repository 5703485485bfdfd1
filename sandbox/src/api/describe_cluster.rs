//! DescribeCluster (KIP-700).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest};

use super::{Answer, Api, Call, text};

/// The only kind of endpoint there is here (KIP-919): brokers.
const BROKERS: i8 = 1;

/// First version that tells kinds of endpoints apart.
const ENDPOINT_FROM_VERSION: i16 = 1;

pub(super) struct DescribeCluster;

impl Api for DescribeCluster {
    type Request = DescribeClusterRequest;

    fn refuse(_: &DescribeClusterRequest, _: i16, code: i16) -> DescribeClusterResponse {
        DescribeClusterResponse::default().with_error_code(code)
    }

    async fn answer(call: &Call<'_>, request: DescribeClusterRequest) -> Answer {
        if call.version >= ENDPOINT_FROM_VERSION && request.endpoint_type != BROKERS {
            let code = ResponseError::MismatchedEndpointType.code();
            return call.body(&Self::refuse(&request, call.version, code));
        }
        let cluster = call.peer.shared.cluster();
        let brokers = cluster.live_brokers().map(|(id, broker)| {
            DescribeClusterBroker::default()
                .with_broker_id(BrokerId(id))
                .with_host(text(&broker.address.ip().to_string()))
                .with_port(broker.address.port().into())
                .with_rack(broker.rack.as_deref().map(text))
        });
        let response = DescribeClusterResponse::default()
            .with_cluster_id(text(&cluster.id))
            .with_controller_id(BrokerId(cluster.controller().unwrap_or(-1)))
            .with_brokers(brokers.collect());
        call.body(&response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Bench, ask};

    #[tokio::test]
    async fn the_live_brokers_and_the_cluster_s_id() {
        let bench = Bench::with_topic(3);
        bench.peer.shared.cluster().broker_stopped(1);
        let response = ask(&bench, 1, &DescribeClusterRequest::default()).await;
        let ids: Vec<_> = response.brokers.iter().map(|broker| *broker.broker_id).collect();
        assert_eq!((ids, *response.controller_id), (vec![2, 3], 2));
        assert_eq!(response.cluster_id.as_str(), bench.peer.shared.cluster().id);
        assert_eq!(ask(&bench, 0, &DescribeClusterRequest::default()).await.brokers.len(), 2);
        let controllers = DescribeClusterRequest::default().with_endpoint_type(2);
        let refused = ask(&bench, 1, &controllers).await.error_code;
        assert_eq!(refused, ResponseError::MismatchedEndpointType.code());
    }
}
