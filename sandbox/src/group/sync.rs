//! Handing out the leader's assignment (`GroupCoordinator.handleSyncGroup`).

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::time::Instant;

use super::{Group, Phase, Step};

/// A request for the own assignment; from the leader with those of all.
#[derive(Debug)]
pub(crate) struct SyncRequest {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
    /// What the member takes the group's to be; `None` from clients that do not say.
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignments: Vec<(String, Bytes)>,
}

/// A member's assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignment: Bytes,
}

impl Group {
    pub(crate) fn sync(&mut self, request: SyncRequest, now: Instant) -> Step<Synced> {
        match self.check_sync(&request) {
            Ok(()) => {}
            Err(error) => return Step::Done(Err(error)),
        }
        let is_leader = self.leader.as_deref() == Some(&*request.member_id);
        let Some(member) = self.members.get_mut(&request.member_id) else {
            return Step::Done(Err(ResponseError::UnknownMemberId));
        };
        member.touch(now);
        member.synced = true;
        match self.phase {
            Phase::Empty => Step::Done(Err(ResponseError::UnknownMemberId)),
            Phase::PreparingRebalance => Step::Done(Err(ResponseError::RebalanceInProgress)),
            Phase::Stable => Step::Done(Ok(self.synced(&request.member_id))),
            Phase::CompletingRebalance => {
                let answer = member.wait_for_sync();
                if is_leader {
                    self.hand_out(request.assignments);
                }
                Step::Wait(answer)
            }
        }
    }

    fn check_sync(&mut self, request: &SyncRequest) -> Result<(), ResponseError> {
        self.current_member(&request.member_id, request.instance_id.as_deref(), request.generation)?;
        let differs = |said: &Option<String>, have: &Option<String>| said.is_some() && said != have;
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol, &self.protocol)
        {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn hand_out(&mut self, mut assignments: Vec<(String, Bytes)>) {
        self.phase = Phase::Stable;
        self.deadline = self.deadline.filter(|_| self.members.values().any(|member| !member.synced));
        let ids: Vec<_> = self.members.keys().cloned().collect();
        for id in ids {
            let given = assignments.iter_mut().find(|(member, _)| *member == id);
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment =
                    given.map(|(_, assignment)| std::mem::take(assignment)).unwrap_or_default();
            }
            let synced = self.synced(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.answer_sync(Ok(synced));
            }
        }
    }

    /// Those who have joined and not asked for their assignment in time go (KAFKA-9752).
    pub(super) fn drop_unsynced(&mut self, now: Instant) {
        self.deadline = None;
        let late: Vec<_> =
            self.members.values().filter(|member| !member.synced).map(|member| member.id.clone()).collect();
        for id in &late {
            self.remove(id, now);
        }
    }

    fn synced(&self, id: &str) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: self.members.get(id).map(|member| member.assignment.clone()).unwrap_or_default(),
        }
    }
}
