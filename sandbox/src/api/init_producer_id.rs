//! InitProducerId: an id for an idempotent producer (KIP-98, KIP-360).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::init_producer_id_response::InitProducerIdResponse;
use kafka_protocol::messages::{InitProducerIdRequest, ProducerId};

use super::{Answer, Api, Call};

pub(super) struct InitProducerId;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;

    fn refuse(_: &InitProducerIdRequest, _: i16, code: i16) -> InitProducerIdResponse {
        InitProducerIdResponse::default()
            .with_error_code(code)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1)
    }

    async fn answer(call: &Call<'_>, request: InitProducerIdRequest) -> Answer {
        if request.transactional_id.is_some() {
            let code = ResponseError::TransactionalIdAuthorizationFailed.code();
            return call.body(&Self::refuse(&request, call.version, code));
        }
        // A broker gives a new id to an idempotent producer even when it names the one it had.
        let id = call.peer.shared.cluster().allocate_producer_id();
        call.body(&InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Bench, ask};

    #[tokio::test]
    async fn every_producer_gets_an_id_of_its_own() {
        let bench = Bench::with_topic(1);
        let mut ids = Vec::new();
        for version in 0..=5 {
            let request = InitProducerIdRequest::default().with_transactional_id(None);
            let response = ask(&bench, version, &request).await;
            assert_eq!((response.error_code, response.producer_epoch), (0, 0));
            ids.push(*response.producer_id);
        }
        ids.dedup();
        assert_eq!(ids.len(), 6);
    }
}
