//! Asks the leaders of many partitions, and asks again where the retry decision says so. One partition's or one
//! broker's failure does not hold up the others.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::cluster::{Cluster, Purpose, Topics};
use super::error::ClientError;
use super::metadata::{Metadata, NodeId};
use super::retry::{Action, decide};
use crate::net::{Connection, NetError};
use crate::wire::error::ErrorCode;

/// How long those that fail may hold up those that were answered, and how long a topic that is not there may take
/// to appear.
const STRAGGLERS: Duration = Duration::from_secs(5);

/// A partition of a topic.
pub type TopicPartition = (Arc<str>, i32);
/// Answers or error codes, each with its partition.
pub(super) type Answers<T> = Vec<(TopicPartition, Result<T, ErrorCode>)>;

/// Puts `questions` to the leaders of their partitions, all leaders at once. `ask` makes one request of the
/// questions for one leader. What has not been answered by the cluster's deadline ends with its last code; when
/// others were answered, or the topic is not there, that is after a few seconds already.
///
/// # Errors
/// [`ClientError`] only when there is no metadata to be had.
pub(super) async fn ask_leaders<Q, T, A, F>(
    cluster: &Cluster,
    questions: Vec<(TopicPartition, Q)>,
    ask: A,
) -> Result<Answers<T>, ClientError>
where
    Q: Clone + Send + 'static,
    T: Send + 'static,
    A: Fn(Connection, Vec<(TopicPartition, Q)>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Answers<T>, NetError>> + Send + 'static,
{
    let (started, deadline) = (Instant::now(), cluster.deadline());
    let mut backoff = cluster.backoff();
    let mut done = Vec::with_capacity(questions.len());
    let mut open = questions;
    let mut known = cluster.current(topics_of(&open)).await?;
    while !open.is_empty() {
        let (answers, questions) = ask_once(cluster, &known, open, &ask).await;
        let mut refresh = false;
        let mut again: BTreeMap<TopicPartition, ErrorCode> = BTreeMap::new();
        for (partition, answer) in answers {
            let action = answer.as_ref().err().map_or(Action::Done, |code| decide(*code));
            match (action, answer) {
                (Action::Retry | Action::RefreshAndRetry, Err(code)) => {
                    refresh |= action == Action::RefreshAndRetry;
                    again.insert(partition, code);
                }
                (_, answer) => done.push((partition, answer)),
            }
        }
        if again.is_empty() {
            break;
        }
        let absent = again.values().all(|code| *code == ErrorCode::UnknownTopicOrPartition);
        let patience = if absent || !done.is_empty() { deadline.min(started + STRAGGLERS) } else { deadline };
        if !backoff.pause_before(patience).await {
            done.extend(again.into_iter().map(|(partition, code)| (partition, Err(code))));
            break;
        }
        open = questions.into_iter().filter(|(partition, _)| again.contains_key(partition)).collect();
        if refresh {
            // Should nobody answer now, the old metadata is asked again until the deadline.
            known = cluster.refresh_after(known.generation, topics_of(&open)).await.unwrap_or(known);
        }
    }
    Ok(done)
}

fn topics_of<Q>(questions: &[(TopicPartition, Q)]) -> Topics {
    let mut seen = HashSet::new();
    let names = questions.iter().map(|((topic, _), _)| topic).filter(|topic| seen.insert(Arc::clone(topic)));
    let mut names: Vec<Arc<str>> = names.cloned().collect();
    names.sort();
    Topics::Named(names)
}

/// Each question gets exactly one answer, if need be one made here. The questions are handed back.
async fn ask_once<Q, T, A, F>(
    cluster: &Cluster,
    known: &Metadata,
    questions: Vec<(TopicPartition, Q)>,
    ask: &A,
) -> (Answers<T>, Vec<(TopicPartition, Q)>)
where
    Q: Clone + Send + 'static,
    T: Send + 'static,
    A: Fn(Connection, Vec<(TopicPartition, Q)>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Answers<T>, NetError>> + Send + 'static,
{
    let mut answers = Vec::with_capacity(questions.len());
    let mut by_leader: BTreeMap<NodeId, Vec<(TopicPartition, Q)>> = BTreeMap::new();
    for (partition, question) in &questions {
        match leader(known, partition) {
            Ok(node) => by_leader.entry(node).or_default().push((partition.clone(), question.clone())),
            Err(code) => answers.push((partition.clone(), Err(code))),
        }
    }
    let mut asked = JoinSet::new();
    for (node, questions) in by_leader {
        asked.spawn(ask_leader(cluster.clone(), node, questions, ask.clone()));
    }
    while let Some(part) = asked.join_next().await {
        answers.extend(part.unwrap_or_default());
    }
    (answers, questions)
}

async fn ask_leader<Q, T, A, F>(
    cluster: Cluster,
    node: NodeId,
    questions: Vec<(TopicPartition, Q)>,
    ask: A,
) -> Answers<T>
where
    A: Fn(Connection, Vec<(TopicPartition, Q)>) -> F,
    F: Future<Output = Result<Answers<T>, NetError>>,
{
    let mut unanswered: HashSet<TopicPartition> =
        questions.iter().map(|(partition, _)| partition.clone()).collect();
    let (mut answers, code) = match cluster.connection(node, Purpose::General).await {
        Ok(connection) => match ask(connection, questions).await {
            Ok(answers) => (answers, ErrorCode::UnknownTopicOrPartition),
            Err(error) => (Vec::new(), code_of(Some(&error))),
        },
        Err(error) => (Vec::new(), code_of(error.net())),
    };
    answers.retain(|(partition, _)| unanswered.remove(partition));
    answers.extend(unanswered.into_iter().map(|partition| (partition, Err(code))));
    answers
}

fn leader(known: &Metadata, (topic, partition): &TopicPartition) -> Result<NodeId, ErrorCode> {
    let topic = known.topics.get(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    topic.error.ok()?;
    let partition = topic.partition(*partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    partition.leader.ok_or(ErrorCode::LeaderNotAvailable)
}

/// The code that says of a connection's failure what the retry decision needs to know.
pub(super) fn code_of(error: Option<&NetError>) -> ErrorCode {
    match error.map(NetError::root) {
        Some(NetError::Unsupported { .. }) => ErrorCode::UnsupportedVersion,
        Some(NetError::Refused { code, .. }) => *code,
        _ => ErrorCode::NetworkException,
    }
}
