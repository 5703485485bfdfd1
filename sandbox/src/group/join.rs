//! Joining a group, and the end of joining: a new generation (`GroupCoordinator.handleJoinGroup`, `onCompleteJoin`).

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::time::Instant;

use super::member::{Member, MemberSpec};
use super::{Group, Phase, Step};

/// A request to join.
#[derive(Debug)]
pub(crate) struct JoinRequest {
    /// Empty for somebody new.
    pub(crate) member_id: String,
    /// The id that somebody new gets.
    pub(crate) new_id: String,
    pub(crate) spec: MemberSpec,
    pub(crate) protocol_type: String,
    /// Somebody new has to come back with the id first (KIP-394, since version 4).
    pub(crate) id_required: bool,
}

/// The answer to a member that has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) generation: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) leader: String,
    pub(crate) member_id: String,
    /// For the leader: who is in, with instance and metadata.
    pub(crate) members: Vec<(String, Option<String>, Bytes)>,
}

/// What joining comes to. An id that is required is told beside its error.
#[derive(Debug)]
pub(crate) enum Joining {
    Step(Step<Joined>),
    IdRequired(String),
}

impl Joining {
    fn failed(error: ResponseError) -> Self {
        Self::Step(Step::Done(Err(error)))
    }
}

impl Group {
    pub(crate) fn join(&mut self, request: JoinRequest, now: Instant) -> Joining {
        if !self.accepts(&request) {
            return Joining::failed(ResponseError::InconsistentGroupProtocol);
        }
        if request.member_id.is_empty() {
            return self.join_new(request, now);
        }
        if self.pending.remove(&request.member_id).is_some() {
            let id = request.member_id.clone();
            return Joining::Step(self.add(id, request, now));
        }
        let instance = request.spec.instance_id.as_deref();
        match self.check_instance(&request.member_id, instance) {
            Ok(()) if self.members.contains_key(&request.member_id) => {
                Joining::Step(self.join_again(request, now))
            }
            Ok(()) => Joining::failed(ResponseError::UnknownMemberId),
            Err(error) => Joining::failed(error),
        }
    }

    /// Whether the others could live with the protocols of the newcomer.
    fn accepts(&self, request: &JoinRequest) -> bool {
        let protocols = &request.spec.protocols;
        if self.members.is_empty() {
            return !request.protocol_type.is_empty() && !protocols.is_empty();
        }
        let others = || self.members.values().filter(|member| member.id != request.member_id);
        self.protocol_type.as_deref() == Some(&*request.protocol_type)
            && protocols.iter().any(|(name, _)| others().all(|member| member.knows(name)))
    }

    fn join_new(&mut self, request: JoinRequest, now: Instant) -> Joining {
        let id = request.new_id.clone();
        if let Some(instance) = &request.spec.instance_id {
            let same = |member: &&Member| member.spec.instance_id.as_ref() == Some(instance);
            if let Some(old) = self.members.values().find(same).map(|member| member.id.clone()) {
                return Joining::Step(self.replace(&old, id, request, now));
            }
        } else if request.id_required {
            self.pending.insert(id.clone(), now + request.spec.session_timeout);
            return Joining::IdRequired(id);
        }
        Joining::Step(self.add(id, request, now))
    }

    fn add(&mut self, id: String, request: JoinRequest, now: Instant) -> Step<Joined> {
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type);
        }
        self.leader.get_or_insert_with(|| id.clone());
        let mut member = Member::new(id.clone(), request.spec, now);
        let answer = member.wait_for_join();
        self.members.insert(id, member);
        self.rebalance(now);
        Step::Wait(answer)
    }

    /// An instance has been restarted: it takes the place of its former self (KIP-345). While the group is stable and the
    /// protocols are the same this disturbs nobody.
    fn replace(&mut self, old: &str, id: String, request: JoinRequest, now: Instant) -> Step<Joined> {
        let Some((index, _, mut former)) = self.members.shift_remove_full(old) else {
            return Step::Done(Err(ResponseError::UnknownMemberId));
        };
        former.answer_join(Err(ResponseError::FencedInstanceId));
        former.answer_sync(Err(ResponseError::FencedInstanceId));
        let unchanged = former.spec.protocols == request.spec.protocols;
        let mut member = Member::new(id.clone(), request.spec, now);
        member.assignment = former.assignment;
        member.synced = true;
        self.members.shift_insert(index, id.clone(), member);
        if self.leader.as_deref() == Some(old) {
            self.leader = Some(id.clone());
        }
        if self.phase == Phase::Stable && unchanged {
            return Step::Done(Ok(self.joined(&id)));
        }
        self.wait_and_rebalance(&id, now)
    }

    fn join_again(&mut self, request: JoinRequest, now: Instant) -> Step<Joined> {
        let id = request.member_id;
        let is_leader = self.leader.as_deref() == Some(&*id);
        let Some(member) = self.members.get_mut(&id) else {
            return Step::Done(Err(ResponseError::UnknownMemberId));
        };
        member.touch(now);
        let unchanged = member.spec.protocols == request.spec.protocols;
        member.spec = request.spec;
        match self.phase {
            // The answer to the first join was lost.
            Phase::CompletingRebalance if unchanged => Step::Done(Ok(self.joined(&id))),
            Phase::Stable if unchanged && !is_leader => Step::Done(Ok(self.joined(&id))),
            _ => self.wait_and_rebalance(&id, now),
        }
    }

    fn wait_and_rebalance(&mut self, id: &str, now: Instant) -> Step<Joined> {
        let Some(member) = self.members.get_mut(id) else {
            return Step::Done(Err(ResponseError::UnknownMemberId));
        };
        let answer = member.wait_for_join();
        self.rebalance(now);
        Step::Wait(answer)
    }

    fn rebalance(&mut self, now: Instant) {
        match self.phase {
            Phase::PreparingRebalance => self.complete_join_if_all_are_here(now),
            Phase::Empty => {
                self.phase = Phase::PreparingRebalance;
                self.deadline = Some(now + self.initial_delay);
                if self.initial_delay.is_zero() {
                    self.complete_join_if_all_are_here(now);
                } else {
                    self.is_initial = true;
                }
            }
            Phase::CompletingRebalance | Phase::Stable => self.prepare_rebalance(now),
        }
    }

    /// All members are to join again.
    pub(super) fn prepare_rebalance(&mut self, now: Instant) {
        for member in self.members.values_mut() {
            member.answer_sync(Err(ResponseError::RebalanceInProgress));
            member.synced = false;
        }
        self.phase = Phase::PreparingRebalance;
        self.deadline = Some(now + self.rebalance_timeout());
        self.complete_join_if_all_are_here(now);
    }

    pub(super) fn complete_join_if_all_are_here(&mut self, now: Instant) {
        let all_here = self.members.values().all(Member::is_joining) && self.pending.is_empty();
        if self.phase == Phase::PreparingRebalance && all_here && !self.is_initial {
            self.complete_join(now);
        }
    }

    /// The next generation begins with those who have joined, and with instances that may still come.
    pub(super) fn complete_join(&mut self, now: Instant) {
        self.is_initial = false;
        self.generation += 1;
        self.members.retain(|_, member| member.is_joining() || member.spec.instance_id.is_some());
        if self.members.is_empty() {
            self.phase = Phase::Empty;
            (self.deadline, self.leader, self.protocol) = (None, None, None);
            return;
        }
        let leader_is_here =
            self.leader.as_ref().and_then(|leader| self.members.get(leader)).is_some_and(Member::is_joining);
        if !leader_is_here {
            let first = self
                .members
                .values()
                .find(|member| member.is_joining())
                .or_else(|| self.members.values().next());
            self.leader = first.map(|member| member.id.clone());
        }
        self.protocol = self.elect_protocol();
        self.phase = Phase::CompletingRebalance;
        self.deadline = Some(now + self.rebalance_timeout());
        let ids: Vec<_> = self.members.keys().cloned().collect();
        for id in ids {
            let joined = self.joined(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.synced = false;
                member.assignment = Bytes::new();
                member.touch(now);
                member.answer_join(Ok(joined));
            }
        }
    }

    /// Of the protocols all know, the one most like best.
    fn elect_protocol(&self) -> Option<String> {
        let (_, first) = self.members.first()?;
        let common: Vec<_> = first
            .spec
            .protocols
            .iter()
            .map(|(name, _)| name)
            .filter(|name| self.members.values().all(|member| member.knows(name)))
            .collect();
        let favourite = |member: &Member| {
            member.spec.protocols.iter().map(|(name, _)| name.clone()).find(|name| common.contains(&name))
        };
        let votes: Vec<_> = self.members.values().filter_map(favourite).collect();
        let count = |name: &&&String| votes.iter().filter(|vote| *vote == **name).count();
        // The last of several maxima would win; reversed, it is the first member's preference.
        common.iter().rev().max_by_key(count).map(|name| (*name).clone())
    }

    fn joined(&self, id: &str) -> Joined {
        let leader = self.leader.clone().unwrap_or_default();
        let protocol = self.protocol.clone().unwrap_or_default();
        let members = match leader == id {
            true => self
                .members
                .values()
                .map(|member| {
                    (member.id.clone(), member.spec.instance_id.clone(), member.metadata(&protocol))
                })
                .collect(),
            false => Vec::new(),
        };
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol,
            leader,
            member_id: id.to_owned(),
            members,
        }
    }
}

impl Member {
    fn knows(&self, protocol: &str) -> bool {
        self.spec.protocols.iter().any(|(name, _)| name == protocol)
    }
}
