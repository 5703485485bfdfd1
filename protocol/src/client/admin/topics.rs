//! Creating topics and partitions, deleting topics.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::TopicFault;
use crate::client::backoff::Backoff;
use crate::client::cluster::{Cluster, Topics};
use crate::client::error::ClientError;
use crate::client::retry::{Action, decide, decide_net};
use crate::wire::error::ErrorCode;
use crate::wire::messages::parts::TopicName;
use crate::wire::messages::parts::create_partitions_request::CreatePartitionsTopic;
use crate::wire::messages::parts::create_partitions_response::CreatePartitionsTopicResult;
use crate::wire::messages::parts::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use crate::wire::messages::parts::create_topics_response::CreatableTopicResult;
use crate::wire::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, Request, StrBytes,
};

/// How many topics one request creates at most: more could take a controller longer than a request may.
const TOPICS_A_REQUEST: usize = 100;
/// How many partitions these have together at most, unless one has more alone: controllers refuse more than 10,000 with
/// `POLICY_VIOLATION` (Kafka class `ReplicationControlManager`).
const PARTITIONS_A_REQUEST: i64 = 5_000;

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas of each; -1 for the cluster's default (Kafka 2.4).
    pub replication_factor: i16,
    /// Its own settings.
    pub configs: Vec<(String, String)>,
}

/// More partitions for a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartitions {
    /// The topic.
    pub topic: Arc<str>,
    /// How many it should have in all.
    pub total: i32,
}

/// Creates topics. Each is answered; what the cluster cannot do now is tried again until `timeout`. (A topic that
/// exists is a fault here, `TOPIC_ALREADY_EXISTS`: the caller knows whether that is one.)
///
/// # Errors
/// [`ClientError`] when the controller cannot be asked.
pub async fn create_topics(
    cluster: &Cluster,
    topics: &[NewTopic],
    timeout: Duration,
) -> Result<Vec<(Arc<str>, Result<(), TopicFault>)>, ClientError> {
    create_or_check(cluster, topics, timeout, false).await
}

/// Asks what [`create_topics`] would be answered, and creates nothing.
///
/// # Errors
/// [`ClientError`] when the controller cannot be asked.
pub async fn check_topics(
    cluster: &Cluster,
    topics: &[NewTopic],
    timeout: Duration,
) -> Result<Vec<(Arc<str>, Result<(), TopicFault>)>, ClientError> {
    create_or_check(cluster, topics, timeout, true).await
}

async fn create_or_check(
    cluster: &Cluster,
    topics: &[NewTopic],
    timeout: Duration,
    check: bool,
) -> Result<Vec<(Arc<str>, Result<(), TopicFault>)>, ClientError> {
    let request = |topics: &[&NewTopic], timeout_ms| {
        let topics = topics.iter().map(|topic| creatable(topic)).collect();
        CreateTopicsRequest::default()
            .with_topics(topics)
            .with_timeout_ms(timeout_ms)
            .with_validate_only(check)
    };
    settle(cluster, topics, timeout, |topic| &topic.name, |topic| topic.partitions, request, created).await
}

fn created(response: &CreateTopicsResponse) -> TopicAnswers<'_> {
    let fault =
        |topic: &CreatableTopicResult| TopicFault::check(topic.error_code, topic.error_message.as_deref());
    response.topics.iter().map(|topic| (topic.name.as_str(), fault(topic))).collect()
}

/// Adds partitions to topics. Each is answered; what the cluster cannot do now is tried again until `timeout`. Where
/// the brokers lack this altogether (before Kafka 1.0), each is refused with `UNSUPPORTED_VERSION`.
///
/// # Errors
/// [`ClientError`] when the controller cannot be asked.
pub async fn create_partitions(
    cluster: &Cluster,
    topics: &[NewPartitions],
    timeout: Duration,
) -> Result<Vec<(Arc<str>, Result<(), TopicFault>)>, ClientError> {
    let request = |topics: &[&NewPartitions], timeout_ms| {
        let topics = topics.iter().map(|topic| {
            CreatePartitionsTopic::default().with_name(name(&topic.topic)).with_count(topic.total)
        });
        CreatePartitionsRequest::default()
            .with_topics(topics.map(|topic| topic.with_assignments(None)).collect())
            .with_timeout_ms(timeout_ms)
    };
    settle(cluster, topics, timeout, |topic| &topic.topic, |topic| topic.total, request, grown).await
}

fn grown(response: &CreatePartitionsResponse) -> TopicAnswers<'_> {
    let fault = |topic: &CreatePartitionsTopicResult| {
        TopicFault::check(topic.error_code, topic.error_message.as_deref())
    };
    response.results.iter().map(|topic| (topic.name.as_str(), fault(topic))).collect()
}

/// Deletes topics. Each is answered; what the cluster cannot do now is tried again until `timeout`. One that is not
/// there is no fault. It takes DELETE on the topics.
///
/// # Errors
/// [`ClientError`] when the controller cannot be asked.
pub async fn delete_topics(
    cluster: &Cluster,
    topics: &[Arc<str>],
    timeout: Duration,
) -> Result<Vec<(Arc<str>, Result<(), TopicFault>)>, ClientError> {
    let request = |topics: &[&Arc<str>], timeout_ms| {
        DeleteTopicsRequest::default()
            .with_topic_names(topics.iter().map(|topic| name(topic)).collect())
            .with_timeout_ms(timeout_ms)
    };
    settle(cluster, topics, timeout, |topic| topic, |_| 0, request, deleted).await
}

fn deleted(response: &DeleteTopicsResponse) -> TopicAnswers<'_> {
    let answers = response.responses.iter().filter_map(|topic| {
        let gone = ErrorCode::from(topic.error_code) == ErrorCode::UnknownTopicOrPartition;
        let fault = TopicFault::check(topic.error_code, topic.error_message.as_deref());
        Some((topic.name.as_ref()?.as_str(), if gone { Ok(()) } else { fault }))
    });
    answers.collect()
}

/// Answers by the names of topics.
type TopicAnswers<'a> = Vec<(&'a str, Result<(), TopicFault>)>;

/// Topics in as many parts as it takes requests.
fn parts<T>(topics: &[T], partitions: fn(&T) -> i32) -> impl Iterator<Item = &[T]> {
    let mut rest = topics;
    std::iter::from_fn(move || {
        let mut together = 0;
        let fits = |topic: &&T| {
            together += i64::from(partitions(topic)).max(0);
            together <= PARTITIONS_A_REQUEST
        };
        let fitting = rest.iter().take(TOPICS_A_REQUEST).take_while(fits).count();
        let (part, others) = rest.split_at(fitting.max(1).min(rest.len()));
        rest = others;
        (!part.is_empty()).then_some(part)
    })
}

/// Asks the controller about topics, so many at a time, until each is settled or the time is up. Where brokers lack the
/// request altogether, each is refused with `UNSUPPORTED_VERSION`.
async fn settle<T, R: Request + Clone>(
    cluster: &Cluster,
    topics: &[T],
    timeout: Duration,
    name: fn(&T) -> &Arc<str>,
    partitions: fn(&T) -> i32,
    request: impl Fn(&[&T], i32) -> R,
    answers: fn(&R::Response) -> TopicAnswers<'_>,
) -> Result<Vec<(Arc<str>, Result<(), TopicFault>)>, ClientError> {
    let absent = || Err(TopicFault { code: ErrorCode::UnsupportedVersion, message: None });
    let mut done = Vec::with_capacity(topics.len());
    for part in parts(topics, partitions) {
        let mut attempts = Attempts::new(cluster, timeout, part.iter().collect());
        while let Some((topics, timeout_ms)) = attempts.next() {
            match cluster.call_controller(request(topics, timeout_ms)).await {
                Ok(response) => attempts.take(answers(&response), name).await?,
                Err(error) if error.is_absent_api() => {
                    let refused = part.iter().map(|topic| (&**name(topic), absent()));
                    attempts.take(refused.collect(), name).await?;
                }
                Err(error) => attempts.failed(error).await?,
            }
        }
        done.extend(attempts.done);
    }
    Ok(done)
}

fn name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let configs = topic.configs.iter().map(|(key, value)| {
        CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
    });
    CreatableTopic::default()
        .with_name(name(&topic.name))
        .with_num_partitions(topic.partitions)
        .with_replication_factor(topic.replication_factor)
        .with_configs(configs.collect())
}

/// Topics that are asked for until each is settled or the time is up.
struct Attempts<'a, T> {
    cluster: &'a Cluster,
    deadline: Instant,
    backoff: Backoff,
    open: Vec<&'a T>,
    done: Vec<(Arc<str>, Result<(), TopicFault>)>,
}

impl<'a, T> Attempts<'a, T> {
    fn new(cluster: &'a Cluster, timeout: Duration, open: Vec<&'a T>) -> Self {
        let deadline = Instant::now() + timeout;
        Self { cluster, deadline, backoff: cluster.backoff(), open, done: Vec::new() }
    }

    /// What to ask for next, and how long the controller may take, in milliseconds: it should answer that it needs
    /// longer before we take it for dead.
    fn next(&self) -> Option<(&[&'a T], i32)> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let request_timeout = self.cluster.options().connection.request_timeout;
        let timeout_ms = i32::try_from(left.min(request_timeout / 2).as_millis()).unwrap_or(i32::MAX);
        (!self.open.is_empty()).then_some((&*self.open, timeout_ms))
    }

    /// The request failed on its way, or its answer did; what is created already will say so. Before the next one it
    /// pauses, and finds the controller anew.
    async fn failed(&mut self, error: ClientError) -> Result<(), ClientError> {
        let passing = error.net().is_some_and(|error| decide_net(error) == Action::RefreshAndRetry);
        if !passing || !self.backoff.pause_before(self.deadline).await {
            return Err(error);
        }
        self.cluster.refresh(Topics::None).await.map(drop)
    }

    /// Takes the answers of one request. Before the next one it pauses, and finds the controller anew if need be.
    async fn take(
        &mut self,
        answers: Vec<(&str, Result<(), TopicFault>)>,
        name: impl Fn(&T) -> &Arc<str>,
    ) -> Result<(), ClientError> {
        let open = std::mem::take(&mut self.open);
        let (mut refresh, mut passing) = (false, Vec::new());
        for topic in open {
            let answer = answers.iter().find(|(answered, _)| *answered == &**name(topic));
            let answer = answer.map_or_else(|| Err(TopicFault::unanswered()), |(_, answer)| answer.clone());
            match answer.as_ref().err().map(|fault| decide(fault.code)) {
                Some(action @ (Action::Retry | Action::RefreshAndRetry)) => {
                    refresh |= action == Action::RefreshAndRetry;
                    passing.push((topic, answer));
                }
                _ => self.done.push((Arc::clone(name(topic)), answer)),
            }
        }
        if passing.is_empty() {
            return Ok(());
        }
        if self.backoff.pause_before(self.deadline).await {
            self.open = passing.into_iter().map(|(topic, _)| topic).collect();
            if refresh {
                self.cluster.refresh(Topics::None).await?;
            }
        } else {
            self.done.extend(passing.into_iter().map(|(topic, answer)| (Arc::clone(name(topic)), answer)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::{cluster, script};

    #[test]
    fn requests_have_no_more_partitions_than_controllers_take() {
        let sizes = |topics: &[i32]| parts(topics, |count| *count).map(<[i32]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), [] as [usize; 0]);
        assert_eq!(sizes(&[500; 21]), [10, 10, 1]);
        assert_eq!(sizes(&[9_000, 1, 4_999, 1, i32::MAX, -1]), [1, 2, 1, 1, 1]);
        assert_eq!(sizes(&[1; 250]), [100, 100, 50]);
    }

    /// What comes of creating "t" when the controller answers like this.
    async fn creating(answers: &[Option<ErrorCode>]) -> (Result<Result<(), TopicFault>, ClientError>, usize) {
        let script = script();
        script.creations.lock().unwrap().extend(answers);
        let broker = script.broker(1).await;
        let topic = NewTopic { name: "t".into(), partitions: 1, replication_factor: 1, configs: Vec::new() };
        let created = create_topics(&cluster(&broker), &[topic], Duration::from_secs(1)).await;
        let left = script.creations.lock().unwrap().len();
        (created.map(|mut created| created.remove(0).1), answers.len() - left)
    }

    #[tokio::test]
    async fn what_passes_is_tried_again() {
        let answers =
            [Some(ErrorCode::NotController), None, Some(ErrorCode::RequestTimedOut), Some(ErrorCode::None)];
        let (created, asked) = creating(&answers).await;
        assert_eq!((created.unwrap(), asked), (Ok(()), 4));
    }

    #[tokio::test]
    async fn what_does_not_pass_is_told_at_once() {
        let (created, asked) =
            creating(&[Some(ErrorCode::TopicAuthorizationFailed), Some(ErrorCode::None)]).await;
        assert_eq!(created.unwrap().unwrap_err().code, ErrorCode::TopicAuthorizationFailed);
        assert_eq!(asked, 1);
    }

    #[tokio::test]
    async fn the_time_is_up_at_some_point() {
        let answers = [Some(ErrorCode::NotController); 100];
        let (created, asked) = creating(&answers).await;
        assert_eq!(created.unwrap().unwrap_err().code, ErrorCode::NotController);
        assert!((2..100).contains(&asked), "{asked}");
        let (created, _) = creating(&[None; 100]).await;
        assert!(matches!(created.unwrap_err(), ClientError::Broker { .. }));
    }
}
