//! A classic group as its coordinator describes it, with its members.

use std::sync::Arc;

use bytes::Bytes;

use super::GroupState;
use super::coordinator::ask_coordinators;
use crate::client::cluster::Cluster;
use crate::client::error::ClientError;
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::parts::GroupId;
use crate::wire::messages::{DescribeGroupsRequest, StrBytes};

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicGroup {
    /// Dead for one that is not there.
    pub state: GroupState,
    /// Whether everybody has what is theirs: only then members' metadata and assignments are told.
    pub is_stable: bool,
    /// What its members have in common; an empty group remembers its last ones'.
    pub protocol_type: Arc<str>,
    /// Who is in it.
    pub members: Vec<ClassicMember>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicMember {
    /// Its id.
    pub id: Arc<str>,
    /// `group.instance.id` (KIP-345), told since Kafka 2.4.
    pub instance_id: Option<Arc<str>>,
    /// Its client id.
    pub client_id: Arc<str>,
    /// Where its connection comes from.
    pub host: Arc<str>,
    /// What it said of itself.
    pub metadata: Bytes,
    /// What it got.
    pub assignment: Bytes,
}

/// Asks the coordinator for one classic group. It takes the right DESCRIBE for it.
///
/// # Errors
/// [`ClientError::Refused`] for a code, and when there is no metadata to be had.
pub async fn classic_group(cluster: &Cluster, group: &Arc<str>) -> Result<ClassicGroup, ClientError> {
    let question = vec![(Arc::clone(group), ())];
    let answers = ask_coordinators(cluster, question, |connection, questions| async move {
        let id = |group: &str| GroupId(StrBytes::from_string(group.to_owned()));
        let ids = questions.iter().map(|(group, ())| id(group)).collect();
        let response = connection.call(DescribeGroupsRequest::default().with_groups(ids)).await?;
        let told = response.groups.iter().map(|one| {
            (Arc::from(one.group_id.as_str()), ErrorCode::from(one.error_code).ok().map(|()| described(one)))
        });
        Ok(told.collect())
    })
    .await?;
    let answer = answers.into_iter().next().map_or(Err(ErrorCode::GroupIdNotFound), |(_, answer)| answer);
    match answer {
        // Since version 6 a group that is not there has this code.
        Err(ErrorCode::GroupIdNotFound) => Ok(ClassicGroup {
            state: GroupState::Dead,
            is_stable: false,
            protocol_type: "".into(),
            members: Vec::new(),
        }),
        answer => answer.map_err(|code| cluster.refused(ApiKey::DescribeGroups, code, None)),
    }
}

fn described(group: &crate::wire::messages::parts::describe_groups_response::DescribedGroup) -> ClassicGroup {
    let members = group.members.iter().map(|one| ClassicMember {
        id: one.member_id.as_str().into(),
        instance_id: one.group_instance_id.as_ref().map(|id| id.as_str().into()),
        client_id: one.client_id.as_str().into(),
        host: one.client_host.as_str().into(),
        metadata: Bytes::copy_from_slice(&one.member_metadata),
        assignment: Bytes::copy_from_slice(&one.member_assignment),
    });
    ClassicGroup {
        state: GroupState::from_name(&group.group_state),
        is_stable: &*group.group_state == "Stable",
        protocol_type: group.protocol_type.as_str().into(),
        members: members.collect(),
    }
}
