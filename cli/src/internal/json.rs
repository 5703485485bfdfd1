//! One JSON object a line. The names of fields do not change.

use std::io::{self, Write};

use kmirror_engine::offsets::topics::{InternalRecord, Place};
use kmirror_protocol::wire::record::Record;
use serde_json::{Value, json};

pub(super) fn write(
    place: &Place,
    partition: i32,
    record: &Record,
    decoded: &InternalRecord,
    out: &mut impl Write,
) -> io::Result<()> {
    let line = json!({
        "cluster": place.cluster.as_str(),
        "topic": &*place.topic,
        "partition": partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "record": fields(decoded),
    });
    writeln!(out, "{line}")
}

/// Named as in the lines of MirrorMaker 2's formatters.
fn fields(decoded: &InternalRecord) -> Value {
    match decoded {
        InternalRecord::Checkpoint(one) => json!({
            "consumerGroupId": &*one.group,
            "topic": &*one.topic,
            "partition": one.partition,
            "upstreamOffset": one.upstream.0,
            "downstreamOffset": one.downstream.0,
            "metadata": &*one.metadata,
        }),
        InternalRecord::Heartbeat(one) => json!({
            "sourceClusterAlias": &*one.source,
            "targetClusterAlias": &*one.target,
            "timestamp": one.timestamp,
        }),
        InternalRecord::OffsetSync(one) => json!({
            "topic": &*one.partition.topic,
            "partition": one.partition.partition,
            "upstreamOffset": one.upstream.0,
            "downstreamOffset": one.downstream.0,
        }),
    }
}
