//! The client's group calls against coordinators that are not ready, that move, and that refuse.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kmirror_protocol::client::groups::{
    ByGroup, CommittedOffset, commit_offsets, committed_offsets, describe_groups, list_groups,
};
use kmirror_protocol::client::{Cluster, ClusterOptions};
use kmirror_protocol::wire::error::ErrorCode;
use kmirror_sandbox::{ApiKey, ResponseError, Sandbox, Verdict};

use crate::start;

fn client(sandbox: &Sandbox, api_timeout: Duration) -> Cluster {
    let bootstrap = sandbox.bootstrap().split(',').map(|server| server.parse().unwrap()).collect();
    Cluster::new(ClusterOptions { api_timeout, ..ClusterOptions::new("sandbox", bootstrap) }, None)
}

fn groups() -> Vec<Arc<str>> {
    (0..7).map(|n| format!("group-{n}").into()).collect()
}

fn at(offset: i64) -> CommittedOffset {
    let (topic, metadata) = ("t".into(), "here".into());
    CommittedOffset { topic, partition: 0, offset, leader_epoch: -1, metadata }
}

/// Puts group n to offset n.
async fn commit(cluster: &Cluster) {
    let wanted = groups().into_iter().zip(0..).map(|(group, n)| (group, vec![at(n)]));
    for (group, results) in commit_offsets(cluster, wanted.collect()).await.unwrap() {
        assert_eq!(results, Ok(vec![(("t".into(), 0), Ok(()))]), "{group}");
    }
}

fn assert_told(told: ByGroup<Vec<CommittedOffset>>) {
    let mut told: Vec<_> =
        told.into_iter().map(|(group, positions)| (group, positions.unwrap()[0].clone())).collect();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let expected: Vec<_> = groups().into_iter().zip((0..).map(at)).collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn coordinators_that_move_or_are_not_ready_are_asked_again() {
    let sandbox = start(3).await;
    let cluster = client(&sandbox, Duration::from_secs(20));
    let first = |api, error: ResponseError| {
        sandbox.control_once(api, move |_| Verdict::AnswerError(error.code()));
    };
    first(ApiKey::FindCoordinator, ResponseError::CoordinatorNotAvailable);
    first(ApiKey::OffsetCommit, ResponseError::CoordinatorLoadInProgress);
    first(ApiKey::OffsetCommit, ResponseError::NotCoordinator);
    commit(&cluster).await;
    first(ApiKey::OffsetFetch, ResponseError::NotCoordinator);
    sandbox.control_once(ApiKey::OffsetFetch, |_| Verdict::CutLink);
    assert_told(committed_offsets(&cluster, &groups()).await.unwrap());
    first(ApiKey::ListGroups, ResponseError::CoordinatorLoadInProgress);
    let listed = list_groups(&cluster).await.unwrap();
    assert!(listed.incomplete.is_none());
    assert_eq!(listed.groups.iter().map(|group| Arc::clone(&group.id)).collect::<Vec<_>>(), groups());

    // The groups of a broker that is gone are looked after by another one.
    sandbox.stop_broker(2).await.unwrap();
    assert_told(committed_offsets(&cluster, &groups()).await.unwrap());
    assert_eq!(list_groups(&cluster).await.unwrap().groups.len(), groups().len());
}

#[tokio::test]
async fn what_does_not_pass_is_given_up_in_time() {
    let sandbox = start(2).await;
    let cluster = client(&sandbox, Duration::from_secs(1));
    commit(&cluster).await;
    let code = ResponseError::CoordinatorNotAvailable.code();
    let always = sandbox.control(ApiKey::FindCoordinator, move |_| Verdict::AnswerError(code));
    let begun = Instant::now();
    for (_, answer) in committed_offsets(&cluster, &groups()).await.unwrap() {
        assert_eq!(answer, Err(ErrorCode::CoordinatorNotAvailable));
    }
    sandbox.release(always);
    sandbox.control(ApiKey::ListGroups, move |request| match request.broker {
        1 => Verdict::AnswerError(code),
        _ => Verdict::Default,
    });
    let listed = list_groups(&cluster).await.unwrap();
    let missing = listed.incomplete.unwrap();
    assert_eq!(missing.code(), Some(ErrorCode::CoordinatorNotAvailable));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_refusal_is_told_at_once() {
    let sandbox = start(1).await;
    let cluster = client(&sandbox, Duration::from_secs(20));
    commit(&cluster).await;
    let code = ResponseError::GroupAuthorizationFailed.code();
    sandbox.control(ApiKey::DescribeGroups, move |_| Verdict::AnswerError(code));
    let asked = sandbox.requests(ApiKey::DescribeGroups);
    for (group, answer) in describe_groups(&cluster, &groups()).await.unwrap() {
        assert_eq!(answer, Err(ErrorCode::GroupAuthorizationFailed), "{group}");
    }
    assert_eq!(sandbox.requests(ApiKey::DescribeGroups), asked + 1, "one request for all, and no other");
}
