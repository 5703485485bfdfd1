//! What is done to a cluster without the protocol.

use bytes::Bytes;
use kmirror_protocol::wire::batch::{BatchHeader, Entries};
use kmirror_sandbox::{ResponseError, Sandbox, SandboxError, SandboxOptions, TopicSpec};

use crate::{batch, offsets, start};

fn refused<T>(result: Result<T, SandboxError>) -> Option<ResponseError> {
    match result {
        Err(SandboxError::Refused { error, .. }) => Some(error),
        _ => None,
    }
}

#[tokio::test]
async fn appended_batches_are_read_back() {
    let sandbox = start(1).await;
    assert_eq!(sandbox.append("t", 0, &batch(&["a", "b"])).unwrap(), 0);
    assert_eq!(sandbox.append("t", 0, &batch(&["c"])).unwrap(), 2);
    assert_eq!(offsets(&sandbox, "t"), [(0, 1), (2, 2)]);
    let blob = sandbox.read("t", 0).unwrap();
    assert_eq!(blob.len(), sandbox.size("t", 0).unwrap());
    assert_eq!(Entries::new(blob).count(), 2);
    assert_eq!(refused(sandbox.append("t", 1, &batch(&["a"]))), Some(ResponseError::UnknownTopicOrPartition));
    assert_eq!(refused(sandbox.append("t", 0, &Bytes::from("junk"))), Some(ResponseError::InvalidRecord));
}

#[tokio::test]
async fn a_compacted_log_has_gaps() {
    let sandbox = start(1).await;
    let at = |offset: i64, last_offset_delta| {
        let bytes = batch(&["a", "b"]);
        let header = BatchHeader::parse(&bytes).unwrap();
        let header = BatchHeader { base_offset: offset, last_offset_delta, ..header };
        let payload = bytes.slice(61..);
        Bytes::from([header.with_crc_over(&payload).to_bytes().as_slice(), &payload].concat())
    };
    let log = [at(5, 3), at(20, 1)].concat();
    sandbox.store_verbatim("t", 0, &log.clone().into()).unwrap();
    assert_eq!(sandbox.read("t", 0).unwrap(), log);
    assert_eq!((offsets(&sandbox, "t"), sandbox.end_offset("t", 0).unwrap()), (vec![(5, 8), (20, 21)], 22));
    assert_eq!(refused(sandbox.store_verbatim("t", 0, &at(21, 1))), Some(ResponseError::OffsetOutOfRange));
    assert!(matches!(sandbox.store_verbatim("t", 0, &at(30, 1).slice(..70)), Err(SandboxError::Torn)));
    sandbox.store_raw("t", 0, Bytes::from_static(b"not a batch"), 30).unwrap();
    assert_eq!(sandbox.end_offset("t", 0).unwrap(), 31);
}

#[tokio::test]
async fn a_log_is_cut_at_either_end() {
    let sandbox = start(1).await;
    for _ in 0..5 {
        sandbox.append("t", 0, &batch(&["a", "b"])).unwrap();
    }
    sandbox.advance_start("t", 0, 3).unwrap();
    assert_eq!((sandbox.start_offset("t", 0).unwrap(), offsets(&sandbox, "t")[0]), (3, (2, 3)));
    assert_eq!(sandbox.leader("t", 0).unwrap(), (Some(1), 0));
    assert_eq!(sandbox.truncate("t", 0, 7).unwrap(), 6);
    assert_eq!(sandbox.leader("t", 0).unwrap(), (Some(1), 1));
    assert_eq!(sandbox.append("t", 0, &batch(&["c"])).unwrap(), 6);
    let last = BatchHeader::parse(sandbox.read_batches("t", 0).unwrap().last().unwrap()).unwrap();
    assert_eq!(last.partition_leader_epoch, 1);
}

#[tokio::test]
async fn a_recreated_topic_has_another_id() {
    let sandbox = start(1).await;
    sandbox.append("t", 0, &batch(&["a"])).unwrap();
    let before = sandbox.topic_id("t");
    let spec = TopicSpec::new("t", 2).config("retention.ms", "5");
    let after = sandbox.recreate_topic(&spec).unwrap();
    assert_ne!(before, Some(after));
    assert_eq!((sandbox.partitions("t"), sandbox.end_offset("t", 0).unwrap()), (Some(2), 0));
    assert_eq!(sandbox.topic_configs("t"), [("retention.ms".to_owned(), "5".to_owned())]);
    sandbox.grow_topic("t", 3).unwrap();
    assert_eq!((sandbox.partitions("t"), sandbox.topics()), (Some(3), vec!["t".to_owned()]));
    sandbox.delete_topic("t").unwrap();
    assert_eq!(sandbox.partitions("t"), None);
}

#[tokio::test]
async fn clusters_are_told_apart() {
    let named = SandboxOptions { cluster_id: Some("here".to_owned()), ..SandboxOptions::default() };
    assert_eq!(Sandbox::start(named).await.unwrap().cluster_id(), "here");
    let (one, other) = (start(1).await, start(1).await);
    assert_ne!(one.cluster_id(), other.cluster_id());
}

#[tokio::test]
async fn an_offset_is_waited_for() {
    let sandbox = start(1).await;
    let append = async {
        for _ in 0..3 {
            tokio::task::yield_now().await;
            sandbox.append("t", 0, &batch(&["a", "b"])).unwrap();
        }
    };
    let (reached, ()) = tokio::join!(sandbox.reaches("t", 0, 6), append);
    reached.unwrap();
    assert_eq!(refused(sandbox.reaches("u", 0, 1).await), Some(ResponseError::UnknownTopicOrPartition));
}
