//! Lists the groups of a cluster: every broker is asked for those it looks after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{GroupKind, GroupListing, GroupState, ListedGroup};
use crate::client::cluster::{Cluster, Topics};
use crate::client::error::ClientError;
use crate::client::metadata::NodeId;
use crate::client::retry::{Action, decide, decide_net};
use crate::wire::error::ErrorCode;
use crate::wire::messages::{ListGroupsRequest, Request};

/// How long a broker that does not answer may hold up the others' groups.
const STRAGGLERS: Duration = Duration::from_secs(5);

/// Lists all groups that we may see, at all brokers. It takes the right to describe the cluster, or each group; groups
/// without that right are not told. Brokers that do not answer within a few seconds leave the list incomplete.
///
/// # Errors
/// [`ClientError`] when there is no metadata to be had, or no broker answers.
pub async fn list_groups(cluster: &Cluster) -> Result<GroupListing, ClientError> {
    let metadata = cluster.refresh(Topics::None).await?;
    let mut open: BTreeSet<NodeId> = metadata.brokers.keys().copied().collect();
    let (started, deadline) = (Instant::now(), cluster.deadline());
    let mut backoff = cluster.backoff();
    let mut groups: BTreeMap<Arc<str>, ListedGroup> = BTreeMap::new();
    let mut answered = false;
    let mut incomplete = None;
    while !open.is_empty() {
        let mut again = BTreeSet::new();
        for (node, answer) in ask_all(cluster, &open).await {
            match answer {
                Ok(listed) => {
                    answered = true;
                    // While a coordinator moves, two brokers may name a group: either will do.
                    groups.extend(listed.into_iter().map(|group| (Arc::clone(&group.id), group)));
                }
                Err(error) => {
                    if passes(&error) {
                        again.insert(node);
                    }
                    incomplete = Some(error);
                }
            }
        }
        let patience = if answered { deadline.min(started + STRAGGLERS) } else { deadline };
        if again.is_empty() || !backoff.pause_before(patience).await {
            break;
        }
        // A broker that left is not waited for: others have its groups.
        if let Ok(metadata) = cluster.refresh(Topics::None).await {
            again.retain(|node| metadata.brokers.contains_key(node));
        }
        incomplete = None;
        open = again;
    }
    match incomplete {
        Some(error) if !answered => Err(error),
        incomplete => Ok(GroupListing { groups: groups.into_values().collect(), incomplete }),
    }
}

fn passes(error: &ClientError) -> bool {
    let action = match (error.code(), error.net()) {
        (Some(code), _) => decide(code),
        (None, Some(net)) => decide_net(net),
        (None, None) => Action::RefreshAndRetry,
    };
    matches!(action, Action::Retry | Action::RefreshAndRetry)
}

async fn ask_all(
    cluster: &Cluster,
    nodes: &BTreeSet<NodeId>,
) -> Vec<(NodeId, Result<Vec<ListedGroup>, ClientError>)> {
    let mut asked = JoinSet::new();
    for node in nodes {
        let (cluster, node) = (cluster.clone(), *node);
        asked.spawn(async move { (node, ask(&cluster, node).await) });
    }
    let mut answers = Vec::with_capacity(nodes.len());
    while let Some(answer) = asked.join_next().await {
        answers.extend(answer);
    }
    answers
}

async fn ask(cluster: &Cluster, node: NodeId) -> Result<Vec<ListedGroup>, ClientError> {
    let response = cluster.call_node(node, ListGroupsRequest::default()).await?;
    let code = ErrorCode::from(response.error_code);
    code.ok().map_err(|code| cluster.refused(ListGroupsRequest::API, code, None))?;
    let listed = response.groups.iter().map(|group| ListedGroup {
        id: Arc::from(group.group_id.as_str()),
        protocol_type: Arc::from(group.protocol_type.as_str()),
        kind: GroupKind::from_name(&group.group_type),
        state: GroupState::from_name(&group.group_state),
    });
    Ok(listed.collect())
}
