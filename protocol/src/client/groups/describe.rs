//! The kind and state of groups. Each kind has an API of its own, and a group is asked for until one of them knows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::coordinator::ask_coordinators;
use super::{ByGroup, DescribedGroup, GroupKind, GroupState};
use crate::client::cluster::Cluster;
use crate::client::error::ClientError;
use crate::net::{Connection, NetError};
use crate::wire::error::ErrorCode;
use crate::wire::messages::parts::GroupId;
use crate::wire::messages::{
    ConsumerGroupDescribeRequest, DescribeGroupsRequest, ShareGroupDescribeRequest, StrBytes,
};

/// Asks coordinators for the kind and state of groups. A group that is not there is [`GroupState::Dead`]. It takes the
/// right to describe each group.
///
/// # Errors
/// [`ClientError`] only when there is no metadata to be had.
pub async fn describe_groups(
    cluster: &Cluster,
    groups: &[Arc<str>],
) -> Result<ByGroup<DescribedGroup>, ClientError> {
    let mut known: BTreeMap<Arc<str>, Result<DescribedGroup, ErrorCode>> = BTreeMap::new();
    let mut open = questions(groups.iter());
    for kind in [GroupKind::Classic, GroupKind::Consumer, GroupKind::Share] {
        if open.is_empty() {
            break;
        }
        let answers =
            ask_coordinators(cluster, open, move |connection, questions| ask(connection, questions, kind));
        let mut elsewhere = Vec::new();
        for (group, answer) in answers.await? {
            match answer {
                Ok(state) if state != GroupState::Dead => {
                    known.insert(group, Ok(DescribedGroup { kind, state }));
                }
                // Not of this kind, or of no kind at all; brokers without the API have no group of that kind.
                Ok(_) | Err(ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion) => {
                    elsewhere.push(group);
                }
                Err(code) => {
                    known.insert(group, Err(code));
                }
            }
        }
        open = questions(elsewhere.iter());
    }
    let absent = DescribedGroup { kind: GroupKind::Classic, state: GroupState::Dead };
    known.extend(open.into_iter().map(|(group, ())| (group, Ok(absent))));
    Ok(known.into_iter().collect())
}

fn questions<'a>(groups: impl Iterator<Item = &'a Arc<str>>) -> Vec<(Arc<str>, ())> {
    groups.map(|group| (Arc::clone(group), ())).collect()
}

async fn ask(
    connection: Connection,
    questions: Vec<(Arc<str>, ())>,
    kind: GroupKind,
) -> Result<ByGroup<GroupState>, NetError> {
    let ids = questions.iter().map(|(group, ())| GroupId(StrBytes::from_string(group.to_string())));
    let ids: Vec<GroupId> = ids.collect();
    let told = |id: &GroupId, code: i16, state: &str| {
        (Arc::from(id.as_str()), ErrorCode::from(code).ok().map(|()| GroupState::from_name(state)))
    };
    Ok(match kind {
        GroupKind::Consumer => {
            let request = ConsumerGroupDescribeRequest::default().with_group_ids(ids);
            let response = connection.call(request).await?;
            let groups = response.groups.iter();
            groups.map(|group| told(&group.group_id, group.error_code, &group.group_state)).collect()
        }
        GroupKind::Share => {
            let request = ShareGroupDescribeRequest::default().with_group_ids(ids);
            let response = connection.call(request).await?;
            let groups = response.groups.iter();
            groups.map(|group| told(&group.group_id, group.error_code, &group.group_state)).collect()
        }
        _ => {
            let request = DescribeGroupsRequest::default().with_groups(ids);
            let response = connection.call(request).await?;
            let groups = response.groups.iter();
            groups.map(|group| told(&group.group_id, group.error_code, &group.group_state)).collect()
        }
    })
}
