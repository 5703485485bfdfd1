//! EndTxn: commits or aborts a transaction.

use kafka_protocol::messages::EndTxnRequest;
use kafka_protocol::messages::end_txn_response::EndTxnResponse;

use super::add_partitions_to_txn::known_fencing;
use super::{Answer, Api, Call, code_of};
use crate::state::TransactionalProducer;

/// First version whose clients know PRODUCER_FENCED.
const FENCED_FROM_VERSION: i16 = 2;

pub(super) struct EndTxn;

impl Api for EndTxn {
    type Request = EndTxnRequest;

    fn refuse(_: &EndTxnRequest, _: i16, code: i16) -> EndTxnResponse {
        EndTxnResponse::default().with_error_code(code)
    }

    async fn answer(call: &Call<'_>, request: EndTxnRequest) -> Answer {
        let mut cluster = call.peer.shared.cluster();
        let producer = TransactionalProducer {
            transactional_id: request.transactional_id.as_str(),
            producer_id: *request.producer_id,
            producer_epoch: request.producer_epoch,
        };
        let ended = cluster
            .check_coordinator(call.peer.broker, producer.transactional_id)
            .and_then(|()| cluster.end_transaction(producer, request.committed, call.peer.shared.now_ms()))
            .map_err(|error| known_fencing(error, call.version, FENCED_FROM_VERSION));
        call.body(&Self::refuse(&request, call.version, code_of(&ended)))
    }
}
