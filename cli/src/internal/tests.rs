use std::path::PathBuf;

use kmirror_engine::ids::{SourceOffset, SourcePartition, TargetOffset};
use kmirror_engine::offsets::records::{Checkpoint, Heartbeat, OffsetSync};
use kmirror_protocol::wire::batch::Codec;
use kmirror_protocol::wire::record::{NewRecord, build_batch};
use kmirror_sandbox::{Sandbox, SandboxOptions, TopicSpec};
use serde_json::{Value, json};

use super::*;
use crate::args::FileArguments;

async fn cluster(topics: &[(&str, &[NewRecord])]) -> Sandbox {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    for (topic, records) in topics {
        sandbox.create_topic(&TopicSpec::new(*topic, 1)).unwrap();
        let batch = build_batch(records, Codec::None).unwrap();
        let bytes = [&batch.header.to_bytes()[..], &batch.payload].concat();
        sandbox.append(topic, 0, &bytes.into()).unwrap();
    }
    sandbox
}

fn heartbeat(timestamp: i64) -> NewRecord {
    Heartbeat { source: "A".into(), target: "B".into(), timestamp }.to_record()
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        group: "billing".into(),
        topic: "A.orders".into(),
        partition: 2,
        upstream: SourceOffset(40),
        downstream: TargetOffset(38),
        metadata: "m".into(),
    }
}

fn offset_sync() -> OffsetSync {
    let partition = SourcePartition { topic: "orders".into(), partition: 2 };
    OffsetSync { partition, upstream: SourceOffset(40), downstream: TargetOffset(38) }
}

struct File(PathBuf);

impl File {
    fn new(test: &str, source: &Sandbox, target: &Sandbox, more: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kmirror-{test}-{}.properties", std::process::id()));
        let (source, target) = (source.bootstrap(), target.bootstrap());
        let text = format!(
            "clusters = A, B\nA.bootstrap.servers = {source}\nB.bootstrap.servers = {target}\n\
             A->B.enabled = true\n{more}"
        );
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    async fn show(
        &self,
        kind: InternalTopic,
        flow: Option<&str>,
        json: bool,
    ) -> anyhow::Result<(Exit, String)> {
        let file = FileArguments { file: self.0.clone(), ..FileArguments::default() };
        let arguments = InternalArguments { file, flow: flow.map(ToOwned::to_owned), json };
        let mut out = Vec::new();
        let exit = show(kind, &arguments, &mut out).await?;
        Ok((exit, String::from_utf8(out).unwrap()))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

#[tokio::test]
async fn each_record_is_a_line() {
    let nothing = NewRecord { key: Some("x".into()), ..NewRecord::default() };
    let target = cluster(&[
        ("heartbeats", &[heartbeat(1), nothing, heartbeat(2)]),
        ("A.checkpoints.internal", &[checkpoint().to_record(7)]),
    ])
    .await;
    let source = cluster(&[("mm2-offset-syncs.B.internal", &[offset_sync().to_record(7)])]).await;
    let file = File::new("lines", &source, &target, "A->B.topics = .*\n");
    let (exit, text) = file.show(InternalTopic::Heartbeats, Some("A->B"), false).await.unwrap();
    assert_eq!(exit, Exit::Success);
    let beat = |at| format!("Heartbeat{{sourceClusterAlias=A, targetClusterAlias=B, timestamp={at}}}\n");
    assert_eq!(text, beat(1) + &beat(2), "what is no heartbeat is left out");
    let (_, text) = file.show(InternalTopic::Checkpoints, None, false).await.unwrap();
    assert_eq!(text, format!("{}\n", checkpoint()));
    let (_, text) = file.show(InternalTopic::OffsetSyncs, None, false).await.unwrap();
    assert_eq!(text, format!("{}\n", offset_sync()));
    assert!(file.show(InternalTopic::Heartbeats, Some("B->C"), false).await.is_err());
}

#[tokio::test]
async fn each_record_is_an_object() {
    let target = cluster(&[
        ("heartbeats", &[heartbeat(1)]),
        ("A.checkpoints.internal", &[checkpoint().to_record(7)]),
        ("mm2-offset-syncs.A.internal", &[offset_sync().to_record(7)]),
    ])
    .await;
    let file = File::new(
        "objects",
        &target,
        &target,
        "offset-syncs.topic.location = target\nkmirror.allow.same.cluster = true\n",
    );
    for (kind, topic, timestamp, record) in [
        (
            InternalTopic::Heartbeats,
            "heartbeats",
            1,
            json!({ "sourceClusterAlias": "A", "targetClusterAlias": "B", "timestamp": 1 }),
        ),
        (
            InternalTopic::Checkpoints,
            "A.checkpoints.internal",
            7,
            json!({ "consumerGroupId": "billing", "topic": "A.orders", "partition": 2, "upstreamOffset": 40, "downstreamOffset": 38, "metadata": "m" }),
        ),
        (
            InternalTopic::OffsetSyncs,
            "mm2-offset-syncs.A.internal",
            7,
            json!({ "topic": "orders", "partition": 2, "upstreamOffset": 40, "downstreamOffset": 38 }),
        ),
    ] {
        let (_, text) = file.show(kind, Some("A->B"), true).await.unwrap();
        let line: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({ "cluster": "B", "topic": topic, "partition": 0, "offset": 0, "timestamp": timestamp, "record": record });
        assert_eq!(line, expected);
    }
}

#[tokio::test]
async fn heartbeats_of_pairs_without_a_flow() {
    let source = cluster(&[("heartbeats", &[heartbeat(3)])]).await;
    let target = cluster(&[("heartbeats", &[heartbeat(4)])]).await;
    let file = File::new("pairs", &source, &target, "");
    let both = file.show(InternalTopic::Heartbeats, None, false).await.unwrap().1;
    assert!(both.contains("timestamp=3}") && both.contains("timestamp=4}"), "{both}");
    let back = file.show(InternalTopic::Heartbeats, Some("B->A"), false).await.unwrap().1;
    assert!(back.contains("timestamp=3}") && back.lines().count() == 1, "{back}");
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_named() {
    let (source, target) = (cluster(&[]).await, cluster(&[]).await);
    let file = File::new("absent", &source, &target, "");
    let (exit, text) = file.show(InternalTopic::Checkpoints, None, false).await.unwrap();
    assert_eq!((exit, text.as_str()), (Exit::StartFailed, ""));
}
