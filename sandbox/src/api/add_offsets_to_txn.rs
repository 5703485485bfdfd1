//! AddOffsetsToTxn: a group's positions become part of a transaction.

use kafka_protocol::messages::AddOffsetsToTxnRequest;
use kafka_protocol::messages::add_offsets_to_txn_response::AddOffsetsToTxnResponse;

use super::add_partitions_to_txn::known_fencing;
use super::{Answer, Api, Call, code_of};
use crate::state::TransactionalProducer;

/// First version whose clients know PRODUCER_FENCED.
const FENCED_FROM_VERSION: i16 = 2;

pub(super) struct AddOffsetsToTxn;

impl Api for AddOffsetsToTxn {
    type Request = AddOffsetsToTxnRequest;

    fn refuse(_: &AddOffsetsToTxnRequest, _: i16, code: i16) -> AddOffsetsToTxnResponse {
        AddOffsetsToTxnResponse::default().with_error_code(code)
    }

    async fn answer(call: &Call<'_>, request: AddOffsetsToTxnRequest) -> Answer {
        let mut cluster = call.peer.shared.cluster();
        let producer = TransactionalProducer {
            transactional_id: request.transactional_id.as_str(),
            producer_id: *request.producer_id,
            producer_epoch: request.producer_epoch,
        };
        let added = cluster
            .check_coordinator(call.peer.broker, producer.transactional_id)
            .and_then(|()| cluster.add_group(producer, &request.group_id, call.now()))
            .map_err(|error| known_fencing(error, call.version, FENCED_FROM_VERSION));
        call.body(&Self::refuse(&request, call.version, code_of(&added)))
    }
}
