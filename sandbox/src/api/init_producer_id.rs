//! InitProducerId: an id for an idempotent or a transactional producer (KIP-98, KIP-360).

use std::time::Duration;

use kafka_protocol::messages::init_producer_id_response::InitProducerIdResponse;
use kafka_protocol::messages::{InitProducerIdRequest, ProducerId};

use super::add_partitions_to_txn::known_fencing;
use super::{Answer, Api, Call};

/// First version whose clients know PRODUCER_FENCED.
const FENCED_FROM_VERSION: i16 = 4;

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
        let mut cluster = call.peer.shared.cluster();
        let initialised = match request.transactional_id.as_deref() {
            // A broker gives a new id to an idempotent producer even when it names the one it had.
            None => Ok((cluster.allocate_producer_id(), 0)),
            Some(id) => {
                let timeout = u64::try_from(request.transaction_timeout_ms).unwrap_or_default();
                let known =
                    (*request.producer_id >= 0).then_some((*request.producer_id, request.producer_epoch));
                cluster.check_coordinator(call.peer.broker, id).and_then(|()| {
                    cluster.init_transactions(
                        id,
                        Duration::from_millis(timeout),
                        known,
                        call.peer.shared.now_ms(),
                    )
                })
            }
        };
        match initialised {
            Ok((id, epoch)) => call.body(
                &InitProducerIdResponse::default()
                    .with_producer_id(ProducerId(id))
                    .with_producer_epoch(epoch),
            ),
            Err(error) => {
                let code = known_fencing(error, call.version, FENCED_FROM_VERSION).code();
                call.body(&Self::refuse(&request, call.version, code))
            }
        }
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
