//! Groups through their life, without brokers.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::time::Instant;

use super::*;

const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(60);

fn spec(protocols: &[&str]) -> MemberSpec {
    let metadata = |name: &&str| (String::from(*name), Bytes::from(format!("{name} metadata")));
    MemberSpec {
        instance_id: None,
        client_id: "c".into(),
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        protocols: protocols.iter().map(metadata).collect(),
    }
}

fn request(member_id: &str, new_id: &str, spec: MemberSpec) -> JoinRequest {
    JoinRequest {
        member_id: member_id.into(),
        new_id: new_id.into(),
        spec,
        protocol_type: "consumer".into(),
        id_required: false,
    }
}

type Waiting = tokio::sync::oneshot::Receiver<Result<Joined, ResponseError>>;

fn join(group: &mut Group, request: JoinRequest, now: Instant) -> Waiting {
    match group.join(request, now) {
        Joining::Step(Step::Wait(waiting)) => waiting,
        other => panic!("no waiting: {other:?}"),
    }
}

fn joined(mut waiting: Waiting) -> Joined {
    waiting.try_recv().expect("answered").expect("joined")
}

fn sync(group: &mut Group, id: &str, assignments: &[(&str, &'static str)], now: Instant) -> Step<Synced> {
    let request = SyncRequest {
        member_id: id.into(),
        instance_id: None,
        generation: group.generation,
        protocol_type: None,
        protocol: None,
        assignments: assignments.iter().map(|(id, given)| (String::from(*id), Bytes::from(*given))).collect(),
    };
    group.sync(request, now)
}

fn assignment(step: Step<Synced>) -> Bytes {
    match step {
        Step::Wait(mut waiting) => waiting.try_recv().expect("answered").expect("synced").assignment,
        Step::Done(done) => done.expect("synced").assignment,
    }
}

/// Members `a` (leader) and `b`, stable in generation 2.
fn pair(now: Instant) -> Group {
    let mut group = Group::default();
    joined(join(&mut group, request("", "a", spec(&["range"])), now));
    let b = join(&mut group, request("", "b", spec(&["range"])), now);
    assert_eq!(group.phase, Phase::PreparingRebalance);
    let a = joined(join(&mut group, request("a", "", spec(&["range"])), now));
    assert_eq!((a.generation, a.members.len(), a.leader.as_str()), (2, 2, "a"));
    assert!(joined(b).members.is_empty());
    let waiting = sync(&mut group, "b", &[], now);
    assert_eq!(assignment(sync(&mut group, "a", &[("a", "1"), ("b", "2")], now)), "1");
    assert_eq!(assignment(waiting), "2");
    assert_eq!(group.phase, Phase::Stable);
    group
}

#[test]
fn two_members_share() {
    let now = Instant::now();
    let mut group = pair(now);
    assert_eq!(group.heartbeat("a", None, 2, now), Ok(()));
    assert_eq!(group.heartbeat("a", None, 1, now), Err(ResponseError::IllegalGeneration));
    assert_eq!(group.heartbeat("x", None, 2, now), Err(ResponseError::UnknownMemberId));
    assert_eq!(assignment(sync(&mut group, "b", &[], now)), "2", "asked again");
    let later = now + REBALANCE;
    for member in ["a", "b"] {
        group.heartbeat(member, None, 2, later).unwrap();
    }
    group.tick(later);
    assert_eq!((group.phase, group.members.len()), (Phase::Stable, 2), "nobody is late");
}

#[test]
fn a_member_that_leaves_makes_the_others_join_again() {
    let now = Instant::now();
    let mut group = pair(now);
    assert_eq!(group.leave("a", None, now), Ok(()));
    assert_eq!(group.heartbeat("b", None, 2, now), Err(ResponseError::RebalanceInProgress));
    let b = joined(join(&mut group, request("b", "", spec(&["range"])), now));
    assert_eq!((b.generation, b.leader.as_str(), b.members.len()), (3, "b", 1));
    assert_eq!(group.leave("b", None, now), Ok(()));
    group.tick(now);
    assert_eq!((group.phase, group.members.len()), (Phase::Empty, 0));
}

#[test]
fn the_silent_and_the_late_go() {
    let now = Instant::now();
    let mut group = pair(now);
    let later = now + SESSION;
    group.heartbeat("a", None, 2, later - Duration::from_secs(1)).unwrap();
    group.tick(later);
    assert_eq!((group.phase, group.members.len()), (Phase::PreparingRebalance, 1));
    let c = join(&mut group, request("", "c", spec(&["range"])), later);
    group.heartbeat("a", None, 2, later + REBALANCE - Duration::from_secs(1)).unwrap_err();
    group.tick(later + REBALANCE);
    assert_eq!(joined(c).leader, "c", "a has not come in time");
    group.tick(later + REBALANCE + REBALANCE);
    assert_eq!(group.phase, Phase::Empty, "c has not asked for its assignment");
}

#[test]
fn newcomers_come_back_with_their_id() {
    let now = Instant::now();
    let mut group = Group::default();
    let first = JoinRequest { id_required: true, ..request("", "a", spec(&["range"])) };
    assert!(matches!(group.join(first, now), Joining::IdRequired(id) if id == "a"));
    let stranger = group.join(request("z", "", spec(&["range"])), now);
    assert!(matches!(stranger, Joining::Step(Step::Done(Err(ResponseError::UnknownMemberId)))));
    assert_eq!(joined(join(&mut group, request("a", "", spec(&["range"])), now)).member_id, "a");
}

#[test]
fn protocols_have_to_meet_and_the_favourite_wins() {
    let now = Instant::now();
    let mut group = Group::default();
    joined(join(&mut group, request("", "a", spec(&["range", "sticky"])), now));
    let alien = group.join(request("", "b", spec(&["other"])), now);
    assert!(matches!(alien, Joining::Step(Step::Done(Err(ResponseError::InconsistentGroupProtocol)))));
    let b = join(&mut group, request("", "b", spec(&["sticky", "range"])), now);
    let c = join(&mut group, request("", "c", spec(&["sticky"])), now);
    joined(join(&mut group, request("a", "", spec(&["range", "sticky"])), now));
    assert_eq!(joined(b).protocol, "sticky");
    assert_eq!(joined(c).protocol, "sticky");
}

#[test]
fn an_instance_that_returns_disturbs_nobody() {
    let now = Instant::now();
    let mut group = Group::default();
    let instance = || MemberSpec { instance_id: Some("i".into()), ..spec(&["range"]) };
    joined(join(&mut group, request("", "a1", instance()), now));
    assert_eq!(assignment(sync(&mut group, "a1", &[("a1", "1")], now)), "1");
    let Joining::Step(Step::Done(Ok(again))) = group.join(request("", "a2", instance()), now) else {
        panic!("a rebalance")
    };
    assert_eq!((again.generation, again.leader.as_str()), (1, "a2"));
    assert_eq!(group.heartbeat("a1", Some("i"), 1, now), Err(ResponseError::FencedInstanceId));
    assert_eq!(assignment(sync(&mut group, "a2", &[], now)), "1");
}

#[test]
fn an_initial_delay_gathers_members() {
    let now = Instant::now();
    let mut groups = Groups::new(Duration::from_secs(3));
    let group = groups.open("g");
    let mut a = join(group, request("", "a", spec(&["range"])), now);
    let b = join(group, request("", "b", spec(&["range"])), now);
    assert!(a.try_recv().is_err());
    groups.tick(now + Duration::from_secs(3));
    assert_eq!((joined(a).members.len(), joined(b).generation), (2, 1));
}

#[test]
fn only_members_commit_while_there_are_any() {
    let now = Instant::now();
    let mut group = pair(now);
    assert_eq!(group.check_committer("a", None, 2, now), Ok(()));
    assert_eq!(group.check_committer("a", None, 1, now), Err(ResponseError::IllegalGeneration));
    assert_eq!(group.check_committer("", None, -1, now), Err(ResponseError::UnknownMemberId));
    assert_eq!(Group::default().check_committer("", None, -1, now), Ok(()));
}

#[test]
fn offsets_of_a_transaction_count_when_it_commits() {
    let mut offsets = Offsets::default();
    let committed = |offset| Committed { offset, leader_epoch: -1, metadata: String::new() };
    let key = || ("t".to_owned(), 0);
    offsets.commit(key(), committed(1));
    offsets.prepare(7, key(), committed(2));
    assert!(offsets.is_unstable(&key()));
    offsets.finish(7, false);
    assert_eq!(offsets.get(&key()).map(|c| c.offset), Some(1));
    offsets.prepare(7, key(), committed(3));
    offsets.finish(7, true);
    assert_eq!((offsets.get(&key()).map(|c| c.offset), offsets.is_unstable(&key())), (Some(3), false));
}
