//! The report as programs read it. The names of fields do not change.

use std::io::Write;

use serde_json::{Value, json};

use super::Report;
use crate::json::print;

pub(super) fn write(report: &Report, out: &mut impl Write) -> anyhow::Result<()> {
    let partitions = report.standing.partitions.iter().map(|one| {
        json!({
            "topic": &*one.source.topic,
            "partition": one.source.partition,
            "target_topic": &*one.target_topic,
            "mirrored": one.mirrored.0,
            "source_end": one.source_end.map(|end| end.0),
            "missing": one.missing(),
            "seconds": one.seconds,
        })
    });
    let starts = report.starts.iter().map(|one| {
        json!({
            "topic": &*one.partition.topic,
            "partition": one.partition.partition,
            "start": one.start.map(|start| start.0),
            "mirrored_back": one.mirrored_back.map(|back| back.0),
        })
    });
    let value = json!({
        "flow": report.flow,
        "dry_run": report.dry_run,
        "drained": report.drained,
        "source_answers": report.standing.source_answers,
        "partitions": partitions.collect::<Vec<_>>(),
        "groups": groups(report),
        "groups_error": report.groups.as_ref().err(),
        "reverse": {
            "flow": report.reverse,
            "starts": starts.collect::<Vec<_>>(),
            "error": report.unprepared,
        },
    });
    print(&value, out)
}

fn groups(report: &Report) -> Vec<Value> {
    let Ok(groups) = &report.groups else { return Vec::new() };
    let of = |group: &str| report.applied.iter().find(|(id, _)| **id == *group).map(|(_, applied)| applied);
    let one = |group: &kmirror_engine::offsets::survey::GroupReport| {
        let applied = of(&group.group);
        let positions = group.positions.iter().map(|one| {
            json!({
                "topic": &*one.partition.topic,
                "partition": one.partition.partition,
                "source": one.source.0,
                "target": one.located.target().map(|target| target.0),
                "known": one.located.name(),
            })
        });
        json!({
            "group": &*group.group,
            "positions": positions.collect::<Vec<_>>(),
            "set": applied.and_then(|applied| applied.as_ref().ok()).map(|applied| applied.set.len()),
            "left_alone": applied.and_then(|applied| applied.as_ref().ok()).and_then(|applied| applied.left_alone.clone()),
            "error": applied.and_then(|applied| applied.as_ref().err()),
        })
    };
    groups.groups.iter().map(one).collect()
}
