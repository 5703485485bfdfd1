//! WriteTxnMarkers: control batches, as coordinators write them and as a mirror may use them to fill gaps. Each entry
//! adds an offset, also when it is sent again.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::WriteTxnMarkersRequest;
use kafka_protocol::messages::write_txn_markers_request::WritableTxnMarker;
use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
    WriteTxnMarkersResponse,
};

use super::{Answer, Api, Call, Peer, code_of};
use crate::state::Cluster;
use crate::state::transactions::Marker;

/// A request that does not know the leader's epoch.
const NO_EPOCH: i32 = -1;

pub(super) struct WriteTxnMarkers;

impl Api for WriteTxnMarkers {
    type Request = WriteTxnMarkersRequest;

    fn refuse(request: &WriteTxnMarkersRequest, _: i16, code: i16) -> WriteTxnMarkersResponse {
        each_partition(request, |_, _, _| code)
    }

    async fn answer(call: &Call<'_>, request: WriteTxnMarkersRequest) -> Answer {
        let mut cluster = call.peer.shared.cluster();
        call.body(&each_partition(&request, |marker, topic, index| {
            code_of(&write(&mut cluster, call.peer, marker, topic, index))
        }))
    }
}

fn write(
    cluster: &mut Cluster,
    peer: &Peer,
    marker: &WritableTxnMarker,
    topic: &str,
    index: i32,
) -> Result<i64, ResponseError> {
    cluster.led_partition(peer.broker, topic, index, NO_EPOCH)?;
    let marker = Marker {
        offset: -1,
        producer_id: *marker.producer_id,
        producer_epoch: marker.producer_epoch,
        coordinator_epoch: marker.coordinator_epoch,
        commit: marker.transaction_result,
    };
    cluster.append_marker(topic, index, marker, peer.shared.now_ms())
}

fn each_partition(
    request: &WriteTxnMarkersRequest,
    mut code: impl FnMut(&WritableTxnMarker, &str, i32) -> i16,
) -> WriteTxnMarkersResponse {
    let markers = request.markers.iter().map(|marker| {
        let topics = marker.topics.iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|index| {
                WritableTxnMarkerPartitionResult::default()
                    .with_partition_index(*index)
                    .with_error_code(code(marker, &topic.name, *index))
            });
            WritableTxnMarkerTopicResult::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        WritableTxnMarkerResult::default().with_producer_id(marker.producer_id).with_topics(topics.collect())
    });
    WriteTxnMarkersResponse::default().with_markers(markers.collect())
}
