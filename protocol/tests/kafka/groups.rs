//! Groups against a real Kafka.

use std::collections::BTreeMap;
use std::sync::Arc;

use kmirror_protocol::client::groups::{
    CommittedOffset, DescribedGroup, GroupKind, GroupState, commit_offsets, committed_offsets,
    describe_groups, list_groups, set_share_starts, share_starts,
};
use kmirror_protocol::client::tail::Tail;
use kmirror_protocol::wire::api::ApiKey;
use kmirror_protocol::wire::error::ErrorCode;
use kmirror_protocol::wire::record::{Limits, Record, records};

use super::{cluster, fresh_topic, version_of};

const LIMITS: Limits = Limits { max_decompressed_bytes: 1 << 20 };

fn position(topic: &Arc<str>, partition: i32, offset: i64, metadata: &str) -> CommittedOffset {
    let (topic, metadata) = (Arc::clone(topic), Arc::from(metadata));
    CommittedOffset { topic, partition, offset, leader_epoch: 0, metadata }
}

#[tokio::test]
#[ignore = "needs a real Kafka"]
async fn positions_are_set_and_told_group_by_group() {
    let cluster = cluster(None);
    let (topic, _) = fresh_topic(&cluster, "groups").await;
    // More than fit into one request.
    let groups: Vec<Arc<str>> = (0..130).map(|n| format!("{topic}-{n}").into()).collect();
    let absent: Arc<str> = format!("{topic}-absent").into();
    let wanted = (0..).zip(&groups).map(|(n, group)| {
        (Arc::clone(group), vec![position(&topic, 0, n, "by hand"), position(&topic, 2, 7, "")])
    });
    // The first commit ever makes the topic of positions.
    commit_offsets(&cluster, vec![(Arc::clone(&absent), vec![position(&topic, 1, 3, "")])]).await.unwrap();
    let mut tail = Tail::begin(&cluster, &"__consumer_offsets".into()).await.unwrap();
    let absent: Arc<str> = format!("{topic}-really-absent").into();
    for (group, results) in commit_offsets(&cluster, wanted.collect()).await.unwrap() {
        let results = results.unwrap();
        assert!(results.len() == 2 && results.iter().all(|(_, result)| result.is_ok()), "{group}");
    }
    let mut seen = 0;
    while seen < 2 * groups.len() {
        // The other test's group is there as well.
        let of_ours = |key: &[u8]| key.windows(topic.len()).any(|part| part == topic.as_bytes());
        let is_ours = |record: &Record| record.key.as_deref().is_some_and(of_ours);
        tail.read(|_, entry| {
            seen += records(&entry, &LIMITS).unwrap().iter().filter(|one| is_ours(one)).count()
        })
        .await
        .unwrap();
    }
    assert_eq!(seen, 2 * groups.len(), "a record for each position, and none from before");
    let asked = [&groups[..], &[Arc::clone(&absent)]].concat();
    let told: BTreeMap<_, _> = committed_offsets(&cluster, &asked).await.unwrap().into_iter().collect();
    assert_eq!(told.len(), asked.len());
    let epoch = if version_of(&cluster, ApiKey::OffsetFetch).await >= Some(5) { 0 } else { -1 };
    for (n, group) in (0..).zip(&groups) {
        let mut positions = told[group].clone().unwrap();
        positions.sort_by_key(|position| position.partition);
        let expected = [position(&topic, 0, n, "by hand"), position(&topic, 2, 7, "")];
        let expected = expected.map(|position| CommittedOffset { leader_epoch: epoch, ..position });
        assert_eq!(positions, expected, "{group}");
    }
    assert_eq!(told[&absent], Ok(Vec::new()));

    let nowhere = vec![position(&topic, 0, 5, ""), position(&topic, 77, 5, "")];
    let results = commit_offsets(&cluster, vec![(Arc::clone(&groups[0]), nowhere)]).await.unwrap();
    let results: BTreeMap<_, _> = results[0].1.clone().unwrap().into_iter().collect();
    assert_eq!(results[&(Arc::clone(&topic), 0)], Ok(()));
    assert_eq!(results[&(Arc::clone(&topic), 77)], Err(ErrorCode::UnknownTopicOrPartition));

    let listed = list_groups(&cluster).await.unwrap();
    assert!(listed.incomplete.is_none());
    let listed: BTreeMap<_, _> =
        listed.groups.iter().map(|group| (Arc::clone(&group.id), group.clone())).collect();
    let has_states = version_of(&cluster, ApiKey::ListGroups).await >= Some(4);
    for group in &groups {
        let group = &listed[group];
        assert_eq!((group.kind, &*group.protocol_type), (GroupKind::Classic, ""));
        assert_eq!(group.state, if has_states { GroupState::Empty } else { GroupState::Untold });
    }
    let described: BTreeMap<_, _> = describe_groups(&cluster, &asked).await.unwrap().into_iter().collect();
    let empty = DescribedGroup { kind: GroupKind::Classic, state: GroupState::Empty };
    assert!(groups.iter().all(|group| described[group] == Ok(empty)), "{described:?}");
    assert_eq!(described[&absent].unwrap().state, GroupState::Dead);
}

#[tokio::test]
#[ignore = "needs a real Kafka"]
async fn start_offsets_of_share_groups_are_set_and_told() {
    let cluster = cluster(None);
    let (topic, _) = fresh_topic(&cluster, "shared").await;
    let group: Arc<str> = format!("{topic}-share").into();
    let wanted = [position(&topic, 1, 0, "")];
    let set = set_share_starts(&cluster, &group, &wanted).await;
    if version_of(&cluster, ApiKey::AlterShareGroupOffsets).await.is_none() {
        assert_eq!(set.unwrap_err().code(), Some(ErrorCode::UnsupportedVersion));
        return;
    }
    assert_eq!(set.unwrap(), [((Arc::clone(&topic), 1), Ok(()))]);
    let told = share_starts(&cluster, std::slice::from_ref(&group)).await.unwrap();
    let told = told[0].1.clone().unwrap();
    assert_eq!((told.len(), told[0].partition, told[0].offset), (1, 1, 0));
    let described = describe_groups(&cluster, std::slice::from_ref(&group)).await.unwrap();
    assert_eq!(described[0].1, Ok(DescribedGroup { kind: GroupKind::Share, state: GroupState::Empty }));
}
