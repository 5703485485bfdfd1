//! Classic consumer groups: members, generations, assignments, committed offsets (Kafka's `GroupCoordinator`, without its
//! log). Pure but for the channels on which waiting members get their answers: time is handed in.

mod join;
mod member;
mod offsets;
mod sync;

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;
pub(crate) use join::{JoinRequest, Joined, Joining};
use kafka_protocol::ResponseError;
pub(crate) use member::{Member, MemberSpec};
pub(crate) use offsets::{Committed, OffsetKey};
pub(crate) use sync::{SyncRequest, Synced};
use tokio::time::Instant;

use offsets::Offsets;

/// The answer or the way to it.
#[derive(Debug)]
pub(crate) enum Step<T> {
    Done(Result<T, ResponseError>),
    Wait(tokio::sync::oneshot::Receiver<Result<T, ResponseError>>),
}

/// All groups by id.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: BTreeMap<String, Group>,
    initial_delay: Duration,
}

/// Where a group stands between two generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    /// No members; offsets perhaps.
    #[default]
    Empty,
    /// Members are to join again.
    PreparingRebalance,
    /// All have joined, and wait for the leader's assignment.
    CompletingRebalance,
    Stable,
}

impl Phase {
    /// The name as ListGroups and DescribeGroups say it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// One group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) phase: Phase,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<String>,
    /// In the order in which they joined.
    pub(crate) members: IndexMap<String, Member>,
    /// Ids that were given out and are to be joined with, until when (KIP-394).
    pending: BTreeMap<String, Instant>,
    /// When the current phase, joining or assigning, ends for those who are late.
    deadline: Option<Instant>,
    /// How long the first join of an empty group waits for others, and whether it does now.
    initial_delay: Duration,
    is_initial: bool,
    pub(crate) offsets: Offsets,
}

impl Groups {
    /// No groups; the first join of an empty one will wait for `initial_delay` for others.
    pub(crate) fn new(initial_delay: Duration) -> Self {
        Self { groups: BTreeMap::new(), initial_delay }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Group> {
        self.groups.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Group> {
        self.groups.get_mut(id)
    }

    /// The group of that id, made when there is none.
    pub(crate) fn open(&mut self, id: &str) -> &mut Group {
        let initial_delay = self.initial_delay;
        self.groups.entry(id.to_owned()).or_insert_with(|| Group { initial_delay, ..Group::default() })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.groups.iter().map(|(id, group)| (id.as_str(), group))
    }

    /// Deletes a group without members.
    pub(crate) fn delete(&mut self, id: &str) -> Result<(), ResponseError> {
        match self.groups.get(id) {
            None => Err(ResponseError::GroupIdNotFound),
            Some(group) if group.phase != Phase::Empty => Err(ResponseError::NonEmptyGroup),
            Some(_) => {
                self.groups.remove(id);
                Ok(())
            }
        }
    }

    /// The topic is gone, and with it what was committed for it.
    pub(crate) fn forget_topic(&mut self, topic: &str) {
        for group in self.groups.values_mut() {
            group.offsets.forget_topic(topic);
        }
    }

    /// Lets time pass: who has been silent or late for too long goes.
    pub(crate) fn tick(&mut self, now: Instant) {
        for group in self.groups.values_mut() {
            group.tick(now);
        }
    }
}

impl Group {
    fn tick(&mut self, now: Instant) {
        self.pending.retain(|_, until| *until > now);
        let silent = |member: &&Member| member.is_silent(now);
        let silent: Vec<_> = self.members.values().filter(silent).map(|member| member.id.clone()).collect();
        for id in &silent {
            self.remove(id, now);
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            match self.phase {
                Phase::PreparingRebalance => self.complete_join(now),
                Phase::CompletingRebalance | Phase::Stable => self.drop_unsynced(now),
                Phase::Empty => self.deadline = None,
            }
        }
        self.complete_join_if_all_are_here(now);
    }

    /// Takes a member out, and the others into a new generation.
    fn remove(&mut self, id: &str, now: Instant) {
        let Some(mut member) = self.members.shift_remove(id) else { return };
        member.answer_join(Err(ResponseError::UnknownMemberId));
        member.answer_sync(Err(ResponseError::UnknownMemberId));
        if self.leader.as_deref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
        match self.phase {
            Phase::Stable | Phase::CompletingRebalance => self.prepare_rebalance(now),
            Phase::PreparingRebalance => self.complete_join_if_all_are_here(now),
            Phase::Empty => {}
        }
    }

    /// A member, when id, instance and generation are the current ones.
    fn current_member(
        &mut self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<&mut Member, ResponseError> {
        self.check_instance(id, instance)?;
        let member = self.members.get_mut(id).ok_or(ResponseError::UnknownMemberId)?;
        if generation == self.generation { Ok(member) } else { Err(ResponseError::IllegalGeneration) }
    }

    /// KIP-345: an instance belongs to the member that joined with it last.
    fn check_instance(&self, id: &str, instance: Option<&str>) -> Result<(), ResponseError> {
        let Some(instance) = instance else { return Ok(()) };
        match self.members.values().find(|member| member.spec.instance_id.as_deref() == Some(instance)) {
            None => Err(ResponseError::UnknownMemberId),
            Some(member) if member.id != id => Err(ResponseError::FencedInstanceId),
            Some(_) => Ok(()),
        }
    }

    /// A sign of life.
    pub(crate) fn heartbeat(
        &mut self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        let phase = self.phase;
        self.current_member(id, instance, generation)?.touch(now);
        match phase {
            Phase::Empty => Err(ResponseError::UnknownMemberId),
            Phase::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            Phase::CompletingRebalance | Phase::Stable => Ok(()),
        }
    }

    /// A member goes of its own accord; with an instance and no id the instance does.
    pub(crate) fn leave(
        &mut self,
        id: &str,
        instance: Option<&str>,
        now: Instant,
    ) -> Result<(), ResponseError> {
        if self.pending.remove(id).is_some() {
            return Ok(());
        }
        let id = match instance {
            Some(instance) if id.is_empty() => self
                .members
                .values()
                .find(|member| member.spec.instance_id.as_deref() == Some(instance))
                .map(|member| member.id.clone())
                .ok_or(ResponseError::UnknownMemberId)?,
            _ => id.to_owned(),
        };
        self.check_instance(&id, instance)?;
        if !self.members.contains_key(&id) {
            return Err(ResponseError::UnknownMemberId);
        }
        self.remove(&id, now);
        Ok(())
    }

    /// The longest any member may take to join.
    fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.spec.rebalance_timeout).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
