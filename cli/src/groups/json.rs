//! The report as programs read it. The names of fields and codes do not change.

use std::io::Write;

use kmirror_engine::offsets::locate::Located;
use kmirror_engine::offsets::survey::{Applied, GroupReport, Position};
use serde_json::{Value, json};

use super::Flow;
use crate::json::print;

pub(super) fn write(flows: &[Flow], out: &mut impl Write) -> anyhow::Result<()> {
    let value = json!({ "flows": flows.iter().map(flow).collect::<Vec<_>>() });
    print(&value, out)
}

fn flow(flow: &Flow) -> Value {
    match &flow.result {
        Err(error) => json!({ "flow": flow.name, "error": error, "groups": [] }),
        Ok(report) => json!({
            "flow": flow.name,
            "error": null,
            "notes": report.notes,
            "groups": report.groups.iter().map(group).collect::<Vec<_>>(),
            "applied": flow.applied.as_ref().map(applied),
        }),
    }
}

fn group(group: &GroupReport) -> Value {
    json!({
        "group": &*group.group,
        "kind": group.kind.name(),
        "source_state": group.source_state.to_string(),
        "target_state": group.target.map(|target| target.state.to_string()),
        "positions": group.positions.iter().map(position).collect::<Vec<_>>(),
    })
}

fn position(position: &Position) -> Value {
    let missing = match position.located {
        Located::Behind { missing, .. } => Some(missing),
        _ => None,
    };
    json!({
        "source_topic": &*position.partition.topic,
        "target_topic": &*position.target_topic,
        "partition": position.partition.partition,
        "source_offset": position.source.0,
        "source_end": position.source_end,
        "lag": position.lag(),
        "metadata": &*position.metadata,
        "target_offset": position.located.target().map(|target| target.0),
        "known": position.located.name(),
        "not_mirrored_yet": missing,
        "why": position.located.to_string(),
        "target_committed": position.target_committed,
        "read_again": position.read_again(),
    })
}

fn applied(applied: &Result<Applied, String>) -> Value {
    match applied {
        Err(error) => json!({ "error": error, "set": [], "refused": [], "left_alone": null }),
        Ok(applied) => {
            let set = applied.set.iter().map(|(topic, partition, offset)| {
                json!({ "topic": &**topic, "partition": partition, "offset": offset })
            });
            let refused = applied.refused.iter().map(|(topic, partition, code)| {
                json!({ "topic": &**topic, "partition": partition, "error": code.to_string() })
            });
            json!({
                "error": null,
                "set": set.collect::<Vec<_>>(),
                "refused": refused.collect::<Vec<_>>(),
                "left_alone": applied.left_alone,
            })
        }
    }
}
