//! Finds the coordinators of many groups (and of transactions) and puts questions to them, again where the retry decision
//! says so. One group's failure does not hold up the others.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ByGroup;
use crate::client::by_leader::code_of;
use crate::client::cluster::{Cluster, Purpose, Topics};
use crate::client::error::ClientError;
use crate::client::metadata::NodeId;
use crate::client::retry::{Action, decide};
use crate::net::{Connection, NetError};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::{FindCoordinatorRequest, StrBytes};

/// Groups asked about in one request: bounds what one response may hold.
const GROUPS_PER_REQUEST: usize = 100;
/// Coordinators asked for in one request.
const KEYS_PER_REQUEST: usize = 1000;
/// First version that asks for several coordinators (KIP-699).
const SEVERAL_FROM_VERSION: i16 = 4;
/// How long groups that fail may hold up those that were answered.
const STRAGGLERS: Duration = Duration::from_secs(5);

/// Puts `questions` to the coordinators of their groups, all coordinators at once, each in requests of a bounded number
/// of groups. What has not been answered by the cluster's deadline (or a few seconds after others were) ends with its
/// last code.
///
/// # Errors
/// [`ClientError`] only when there is no metadata to be had.
pub(in crate::client) async fn ask_coordinators<Q, T, A, F>(
    cluster: &Cluster,
    questions: Vec<(Arc<str>, Q)>,
    ask: A,
) -> Result<ByGroup<T>, ClientError>
where
    Q: Clone + Send + Sync + 'static,
    T: Send + 'static,
    A: Fn(Connection, Vec<(Arc<str>, Q)>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<ByGroup<T>, NetError>> + Send + 'static,
{
    let (started, deadline) = (Instant::now(), cluster.deadline());
    let mut backoff = cluster.backoff();
    let mut done = Vec::with_capacity(questions.len());
    let mut open = questions;
    cluster.current(Topics::None).await?;
    while !open.is_empty() {
        let mut again: HashMap<Arc<str>, ErrorCode> = HashMap::new();
        let mut refresh = false;
        for (group, answer) in ask_once(cluster, &open, &ask).await {
            let action = answer.as_ref().err().map_or(Action::Done, |code| decide(*code));
            match (action, answer) {
                (Action::Retry | Action::RefreshAndRetry, Err(code)) => {
                    refresh |= code == ErrorCode::NetworkException;
                    again.insert(group, code);
                }
                (_, answer) => done.push((group, answer)),
            }
        }
        if again.is_empty() {
            break;
        }
        let patience = if done.is_empty() { deadline } else { deadline.min(started + STRAGGLERS) };
        if !backoff.pause_before(patience).await {
            done.extend(again.into_iter().map(|(group, code)| (group, Err(code))));
            break;
        }
        open.retain(|(group, _)| again.contains_key(group));
        if refresh {
            // Should nobody answer now, the brokers known are asked again until the deadline.
            let _ = cluster.refresh(Topics::None).await;
        }
    }
    Ok(done)
}

/// Each question gets exactly one answer, if need be one made here.
async fn ask_once<Q, T, A, F>(cluster: &Cluster, questions: &[(Arc<str>, Q)], ask: &A) -> ByGroup<T>
where
    Q: Clone + Send + Sync + 'static,
    T: Send + 'static,
    A: Fn(Connection, Vec<(Arc<str>, Q)>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<ByGroup<T>, NetError>> + Send + 'static,
{
    let groups: Vec<Arc<str>> = questions.iter().map(|(group, _)| Arc::clone(group)).collect();
    let coordinators = find_coordinators(cluster, Coordinated::Group, &groups).await;
    let mut answers = Vec::with_capacity(questions.len());
    let mut by_node: BTreeMap<NodeId, Vec<(Arc<str>, Q)>> = BTreeMap::new();
    for (group, question) in questions {
        match coordinators.get(group).copied().unwrap_or(Err(ErrorCode::CoordinatorNotAvailable)) {
            Ok(node) => by_node.entry(node).or_default().push((Arc::clone(group), question.clone())),
            Err(code) => answers.push((Arc::clone(group), Err(code))),
        }
    }
    let mut asked = JoinSet::new();
    for (node, questions) in by_node {
        asked.spawn(ask_node(cluster.clone(), node, questions, ask.clone()));
    }
    while let Some(part) = asked.join_next().await {
        answers.extend(part.unwrap_or_default());
    }
    answers
}

async fn ask_node<Q, T, A, F>(
    cluster: Cluster,
    node: NodeId,
    questions: Vec<(Arc<str>, Q)>,
    ask: A,
) -> ByGroup<T>
where
    Q: Clone,
    A: Fn(Connection, Vec<(Arc<str>, Q)>) -> F,
    F: Future<Output = Result<ByGroup<T>, NetError>>,
{
    let mut answers = Vec::with_capacity(questions.len());
    for chunk in questions.chunks(GROUPS_PER_REQUEST) {
        let mut unanswered: HashMap<Arc<str>, ()> =
            chunk.iter().map(|(group, _)| (Arc::clone(group), ())).collect();
        let (given, code) = match cluster.connection(node, Purpose::General).await {
            Ok(connection) => match ask(connection, chunk.to_vec()).await {
                // What the broker leaves out it does not know of.
                Ok(given) => (given, ErrorCode::GroupIdNotFound),
                Err(error) => (Vec::new(), code_of(Some(&error))),
            },
            Err(error) => (Vec::new(), code_of(error.net())),
        };
        answers.extend(given.into_iter().filter(|(group, _)| unanswered.remove(group).is_some()));
        answers.extend(unanswered.into_keys().map(|group| (group, Err(code))));
    }
    answers
}

/// What a broker is looked for to coordinate (Kafka class `FindCoordinatorRequest.CoordinatorType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) enum Coordinated {
    /// Groups, by their ids.
    Group = 0,
    /// Transactions, by their transactional ids.
    Transaction = 1,
}

/// The broker that looks after each of these, or why it is not known.
pub(in crate::client) async fn find_coordinators(
    cluster: &Cluster,
    what: Coordinated,
    groups: &[Arc<str>],
) -> HashMap<Arc<str>, Result<NodeId, ErrorCode>> {
    let mut found = HashMap::with_capacity(groups.len());
    for chunk in groups.chunks(KEYS_PER_REQUEST) {
        let part = match some_connection(cluster).await {
            Ok(connection) => find_some(connection, what, chunk).await.map_err(|error| code_of(Some(&error))),
            Err(error) => Err(error.code().unwrap_or_else(|| code_of(error.net()))),
        };
        match part {
            Ok(part) => found.extend(part),
            Err(code) => found.extend(chunk.iter().map(|group| (Arc::clone(group), Err(code)))),
        }
    }
    found
}

/// A connection to a broker that can be reached, the one asked last if it still holds.
async fn some_connection(cluster: &Cluster) -> Result<Connection, ClientError> {
    let metadata = cluster.current(Topics::None).await?;
    let mut failure = None;
    for node in metadata.brokers.keys() {
        match cluster.connection(*node, Purpose::General).await {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| {
        cluster.refused(ApiKey::FindCoordinator, ErrorCode::CoordinatorNotAvailable, None)
    }))
}

async fn find_some(
    connection: Connection,
    what: Coordinated,
    groups: &[Arc<str>],
) -> Result<Vec<(Arc<str>, Result<NodeId, ErrorCode>)>, NetError> {
    let version = connection.require(ApiKey::FindCoordinator)?;
    let key = |group: &Arc<str>| StrBytes::from_string(group.to_string());
    if version >= SEVERAL_FROM_VERSION {
        let request = FindCoordinatorRequest::default()
            .with_key_type(what as i8)
            .with_coordinator_keys(groups.iter().map(key).collect());
        let response = connection.call(request).await?;
        let known: HashMap<&str, &Arc<str>> = groups.iter().map(|group| (&**group, group)).collect();
        let coordinators = response.coordinators.iter().filter_map(|found| {
            let group = Arc::clone(known.get(found.key.as_str())?);
            Some((group, ErrorCode::from(found.error_code).ok().map(|()| NodeId(found.node_id.0))))
        });
        return Ok(coordinators.collect());
    }
    let mut asked = JoinSet::new();
    let mut found = Vec::with_capacity(groups.len());
    for chunk in groups.chunks(GROUPS_PER_REQUEST) {
        for group in chunk {
            let (connection, group) = (connection.clone(), Arc::clone(group));
            let request = FindCoordinatorRequest::default().with_key_type(what as i8).with_key(key(&group));
            asked.spawn(async move {
                let response = connection.call(request).await?;
                let node = ErrorCode::from(response.error_code).ok().map(|()| NodeId(response.node_id.0));
                Ok::<_, NetError>((group, node))
            });
        }
        while let Some(answer) = asked.join_next().await {
            found.extend(answer.ok().transpose()?);
        }
    }
    Ok(found)
}
