//! The report as programs read it. The names of fields do not change.

use std::io::Write;

use kmirror_engine::share::view::{FlowView, MemberView, PartitionView};
use serde_json::{Value, json};

use super::Flow;
use crate::json::print;

pub(super) fn write(flows: &[Flow], out: &mut impl Write) -> anyhow::Result<()> {
    print(&json!({ "flows": flows.iter().map(flow).collect::<Vec<_>>() }), out)
}

fn flow(flow: &Flow) -> Value {
    match &flow.result {
        Err(error) => json!({ "flow": flow.name, "error": error, "members": [], "partitions": [] }),
        Ok(view) => json!({
            "flow": flow.name,
            "error": null,
            "group": &*view.group,
            "protocol_type": &*view.protocol_type,
            "moving": view.is_moving,
            "members": view.members.iter().map(member).collect::<Vec<_>>(),
            "partitions": view.partitions.iter().map(|one| partition(view, one)).collect::<Vec<_>>(),
        }),
    }
}

fn member(member: &MemberView) -> Value {
    json!({
        "member_id": &*member.id,
        "instance_id": member.instance_id.as_deref(),
        "client_id": &*member.client_id,
        "host": &*member.host,
        "address": &*member.address,
        "leads": member.leads,
        "partitions": member.partitions,
        "bytes_per_second": member.bytes_per_second,
    })
}

fn partition(view: &FlowView, one: &PartitionView) -> Value {
    let owner = one.owner.and_then(|owner| view.members.get(owner));
    json!({
        "source_topic": &*one.source.topic,
        "target_topic": &*one.target_topic,
        "partition": one.source.partition,
        "owner": owner.map(|owner| &*owner.id),
        "progress": one.progress.map(|progress| progress.0),
        "source_end": one.end.map(|end| end.0),
        "lag": one.lag(),
    })
}
