//! A member of a classic group: joins, gets its assignment, shows that it lives, leaves.
//!
//! KIP-394 (the coordinator gives the id first) and KIP-345 (instances that keep their place over a restart). Each call
//! is one attempt: how often and how long is up to the caller, who has a lease to look after. Must not know what is
//! shared out in the group.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::coordinator::{Coordinated, find_coordinators};
use crate::client::cluster::{Cluster, Purpose, Topics};
use crate::client::error::ClientError;
use crate::client::metadata::NodeId;
use crate::client::retry::{Action, decide};
use crate::net::Connection;
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::parts::GroupId;
use crate::wire::messages::parts::join_group_request::JoinGroupRequestProtocol;
use crate::wire::messages::parts::leave_group_request::MemberIdentity;
use crate::wire::messages::parts::sync_group_request::SyncGroupRequestAssignment;
use crate::wire::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, Request, StrBytes,
    SyncGroupRequest, milliseconds, text,
};

/// First JoinGroup whose answer is the id alone (KIP-394).
const ID_FIRST_FROM_VERSION: i16 = 4;
/// First LeaveGroup that names several members.
const SEVERAL_LEAVE_FROM_VERSION: i16 = 3;

/// What somebody who joins a group has to say once.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The group.
    pub group: Arc<str>,
    /// `consumer`, `connect`, or another: a group's members all have the same.
    pub protocol_type: Arc<str>,
    /// The one protocol we can do.
    pub protocol: Arc<str>,
    /// `group.instance.id` (KIP-345).
    pub instance_id: Option<Arc<str>>,
    /// After so long without a sign of life the coordinator gives a member up.
    pub session_timeout: Duration,
    /// So long the coordinator waits for members to join again.
    pub rebalance_timeout: Duration,
}

/// Why a call of a member failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MemberError {
    /// Somebody joined or left: join again.
    #[error("the group is being shared out anew")]
    Rebalance,
    /// The coordinator does not know us as a member any more: nothing is ours now.
    #[error("no member of the group any more: {0}")]
    Lost(ErrorCode),
    /// The members that the group has speak another protocol.
    #[error("the group's members speak another protocol")]
    Foreign,
    /// The cluster cannot be asked, or refuses.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// As whom a member of a group speaks: what the coordinator tells members from those it has given up by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The group's id.
    pub group: Arc<str>,
    /// The member's id.
    pub member: Arc<str>,
    /// Its instance id, if it has one.
    pub instance_id: Option<Arc<str>>,
    /// The generation it is in.
    pub generation: i32,
}

/// A generation that was joined.
#[derive(Debug, Clone)]
pub struct Joined {
    /// For the leader, who has to say who gets what: the members' ids and what each said of itself.
    pub members: Option<Vec<(Arc<str>, Bytes)>>,
}

/// See the module's description.
#[derive(Debug)]
pub struct GroupMember {
    membership: Membership,
    /// Joins wait at the coordinator, and hold up what comes behind them on their connection.
    patient: Cluster,
    prompt: Cluster,
    id: StrBytes,
    generation: i32,
    coordinator: Option<NodeId>,
}

impl GroupMember {
    /// Nobody yet. `patient` carries calls that wait for other members and needs a `request.timeout.ms` longer than the
    /// rebalance timeout; `prompt` carries the others.
    pub fn new(membership: Membership, patient: Cluster, prompt: Cluster) -> Self {
        let id = StrBytes::default();
        Self { membership, patient, prompt, id, generation: -1, coordinator: None }
    }

    /// As whom it speaks in the generation it is in; `None` before the first.
    pub fn seat(&self) -> Option<Seat> {
        (self.generation >= 0).then(|| Seat {
            group: Arc::clone(&self.membership.group),
            member: Arc::from(&*self.id),
            instance_id: self.membership.instance_id.clone(),
            generation: self.generation,
        })
    }

    /// The member's id; empty until the coordinator gave one.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Begins anew as somebody unknown.
    pub fn forget(&mut self) {
        (self.id, self.generation) = (StrBytes::default(), -1);
    }

    /// Gets an id, unless there is one, or the coordinator gives it only with the answer to the join (before Kafka 2.2, and
    /// to those with an instance id).
    ///
    /// # Errors
    /// [`MemberError::Foreign`], [`MemberError::Client`].
    pub async fn introduce(&mut self, metadata: &Bytes) -> Result<(), MemberError> {
        let connection = self.connection(true).await?;
        let version = connection.require(ApiKey::JoinGroup).map_err(|error| self.failed(error))?;
        let is_given = version >= ID_FIRST_FROM_VERSION && self.membership.instance_id.is_none();
        if !self.id.is_empty() || !is_given {
            return Ok(());
        }
        let response = self.send_join(&connection, metadata).await?;
        match ErrorCode::from(response.error_code) {
            ErrorCode::MemberIdRequired => {
                self.id = text(&response.member_id);
                Ok(())
            }
            code => self.check(ApiKey::JoinGroup, code),
        }
    }

    /// Joins the next generation; waits until all members have. `metadata` is for the leader.
    ///
    /// # Errors
    /// Any [`MemberError`].
    pub async fn join(&mut self, metadata: &Bytes) -> Result<Joined, MemberError> {
        let connection = self.connection(true).await?;
        let response = self.send_join(&connection, metadata).await?;
        self.check(ApiKey::JoinGroup, ErrorCode::from(response.error_code))?;
        self.id = text(&response.member_id);
        self.generation = response.generation_id;
        // An instance that came back as leader is told to leave the assignment as it is (KIP-814).
        let leads = response.leader == response.member_id && !response.skip_assignment;
        let members = response
            .members
            .iter()
            .map(|one| (Arc::from(one.member_id.as_str()), Bytes::copy_from_slice(&one.metadata)));
        Ok(Joined { members: leads.then(|| members.collect()) })
    }

    async fn send_join(
        &mut self,
        connection: &Connection,
        metadata: &Bytes,
    ) -> Result<JoinGroupResponse, MemberError> {
        let Membership { protocol_type, protocol, instance_id, session_timeout, rebalance_timeout, .. } =
            &self.membership;
        let protocol =
            JoinGroupRequestProtocol::default().with_name(text(protocol)).with_metadata(metadata.clone());
        let request = JoinGroupRequest::default()
            .with_group_id(self.group_id())
            .with_session_timeout_ms(milliseconds(*session_timeout))
            .with_rebalance_timeout_ms(milliseconds(*rebalance_timeout))
            .with_member_id(self.id.clone())
            .with_group_instance_id(instance_id.as_deref().map(text))
            .with_protocol_type(text(protocol_type))
            .with_protocols(vec![protocol]);
        connection.call(request).await.map_err(|error| self.failed(error))
    }

    /// Gets what is ours in this generation; the leader brings what everybody gets.
    ///
    /// # Errors
    /// Any [`MemberError`].
    pub async fn sync(&mut self, assignments: Vec<(Arc<str>, Bytes)>) -> Result<Bytes, MemberError> {
        let assignments = assignments.into_iter().map(|(member, assignment)| {
            SyncGroupRequestAssignment::default().with_member_id(text(&member)).with_assignment(assignment)
        });
        let request = SyncGroupRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone())
            .with_protocol_type(Some(text(&self.membership.protocol_type)))
            .with_protocol_name(Some(text(&self.membership.protocol)))
            .with_assignments(assignments.collect());
        let connection = self.connection(true).await?;
        let request = match connection.version_for(ApiKey::SyncGroup) {
            Some(..=2) => request,
            _ => request.with_group_instance_id(self.instance_id()),
        };
        let response = connection.call(request).await.map_err(|error| self.failed(error))?;
        self.check(ApiKey::SyncGroup, ErrorCode::from(response.error_code))?;
        Ok(Bytes::copy_from_slice(&response.assignment))
    }

    /// Shows that we live; no answer within `patience` is a failure.
    ///
    /// # Errors
    /// Any [`MemberError`].
    pub async fn heartbeat(&mut self, patience: Duration) -> Result<(), MemberError> {
        let request = HeartbeatRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone());
        let beat = async {
            let connection = self.connection(false).await?;
            let request = match connection.version_for(ApiKey::Heartbeat) {
                Some(..=2) => request,
                _ => request.with_group_instance_id(self.instance_id()),
            };
            connection.call(request).await.map_err(|error| self.failed(error))
        };
        let Ok(answer) = timeout(patience, beat).await else {
            // Others would wait behind the one without an answer.
            self.prompt.close();
            self.coordinator = None;
            return Err(self.prompt.deadline_error("showing the group's coordinator that we live").into());
        };
        self.check(ApiKey::Heartbeat, ErrorCode::from(answer?.error_code))
    }

    /// Leaves, so that the others need not wait for the session to end.
    ///
    /// # Errors
    /// [`MemberError::Client`].
    pub async fn leave(&mut self) -> Result<(), MemberError> {
        let id = std::mem::take(&mut self.id);
        self.generation = -1;
        self.dismiss(&id).await
    }

    /// Takes a member out of the group: ourselves, or one that is known to be dead.
    ///
    /// # Errors
    /// [`MemberError::Client`].
    pub async fn dismiss(&mut self, id: &str) -> Result<(), MemberError> {
        if id.is_empty() {
            return Ok(());
        }
        let connection = self.connection(false).await?;
        let request = LeaveGroupRequest::default().with_group_id(self.group_id());
        let request = match connection.version_for(ApiKey::LeaveGroup) {
            Some(SEVERAL_LEAVE_FROM_VERSION..) => {
                request.with_members(vec![MemberIdentity::default().with_member_id(text(id))])
            }
            _ => request.with_member_id(text(id)),
        };
        let response = connection.call(request).await.map_err(|error| self.failed(error))?;
        match self.check(LeaveGroupRequest::API, ErrorCode::from(response.error_code)) {
            Err(MemberError::Client(error)) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// A connection to the coordinator, which is looked for when it is not known.
    async fn connection(&mut self, patient: bool) -> Result<Connection, MemberError> {
        let cluster = if patient { self.patient.clone() } else { self.prompt.clone() };
        let node = match self.coordinator {
            Some(node) => node,
            None => self.find(&cluster).await?,
        };
        // Each of the two clusters finds its brokers by itself.
        if cluster.metadata().is_none_or(|known| !known.brokers.contains_key(&node)) {
            cluster.refresh(Topics::None).await?;
        }
        let opened = cluster.connection(node, Purpose::General).await;
        self.coordinator = opened.is_ok().then_some(node);
        Ok(opened?)
    }

    async fn find(&self, cluster: &Cluster) -> Result<NodeId, MemberError> {
        cluster.refresh(Topics::None).await?;
        let group = &self.membership.group;
        let found = find_coordinators(cluster, Coordinated::Group, std::slice::from_ref(group)).await;
        let node = found.get(group).copied().unwrap_or(Err(ErrorCode::CoordinatorNotAvailable));
        Ok(node.map_err(|code| cluster.refused(ApiKey::FindCoordinator, code, None))?)
    }

    fn failed(&mut self, source: crate::net::NetError) -> MemberError {
        let node = self.coordinator.take().unwrap_or(NodeId(-1));
        ClientError::Broker { cluster: Arc::clone(self.prompt.alias()), node, source }.into()
    }

    /// What a code means for a member.
    fn check(&mut self, api: ApiKey, code: ErrorCode) -> Result<(), MemberError> {
        match code {
            ErrorCode::None => Ok(()),
            ErrorCode::RebalanceInProgress => Err(MemberError::Rebalance),
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration | ErrorCode::FencedInstanceId => {
                self.forget();
                Err(MemberError::Lost(code))
            }
            ErrorCode::InconsistentGroupProtocol => Err(MemberError::Foreign),
            code => {
                if decide(code) == Action::RefreshAndRetry {
                    self.coordinator = None;
                }
                Err(self.prompt.refused(api, code, None).into())
            }
        }
    }

    fn group_id(&self) -> GroupId {
        GroupId(text(&self.membership.group))
    }

    fn instance_id(&self) -> Option<StrBytes> {
        self.membership.instance_id.as_deref().map(text)
    }
}
