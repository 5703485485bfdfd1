//! Asks every cluster of a plan for its id, its brokers and its topics, all at once.

use std::collections::BTreeMap;
use std::time::Duration;

use kmirror_engine::plan::{ClusterAlias, ClusterPlan, Plan};
use kmirror_engine::{chain, cluster};
use kmirror_protocol::client::{Cluster, ClusterOptions, Topics};
use tokio::task::JoinSet;

/// How long a cluster may take: somebody is waiting for the report.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What a cluster told, or why it did not.
pub(super) type Answer = Result<Seen, String>;

/// What a cluster told.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) cluster_id: Option<String>,
    pub(super) brokers: usize,
    pub(super) topics: BTreeMap<String, SeenTopic>,
}

/// A topic as a cluster tells of it.
#[derive(Debug)]
pub(super) struct SeenTopic {
    pub(super) partitions: i32,
    pub(super) internal: bool,
}

/// Asks all clusters that enabled flows need.
pub(super) async fn ask_all(plan: &Plan) -> BTreeMap<ClusterAlias, Answer> {
    let mut asking = JoinSet::new();
    for one in plan.clusters.values() {
        let (alias, client) = (one.alias.clone(), client(one));
        asking.spawn(async move { (alias, ask(&client).await) });
    }
    let mut answers = BTreeMap::new();
    while let Some(answer) = asking.join_next().await {
        // A task that failed to run at all leaves its cluster without an answer.
        answers.extend(answer.ok());
    }
    for alias in plan.clusters.keys() {
        answers.entry(alias.clone()).or_insert_with(|| Err("it could not be asked".to_owned()));
    }
    answers
}

fn client(plan: &ClusterPlan) -> Cluster {
    let options = cluster(&plan.alias, &plan.admin, 1, None).options().clone();
    Cluster::new(ClusterOptions { api_timeout: ANSWER_WITHIN, ..options }, None)
}

async fn ask(client: &Cluster) -> Answer {
    let metadata = client.refresh(Topics::All).await.map_err(|error| chain(&error))?;
    let topics = metadata
        .topics
        .values()
        .map(|topic| {
            let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            (topic.name.to_string(), SeenTopic { partitions, internal: topic.internal })
        })
        .collect();
    Ok(Seen {
        cluster_id: metadata.cluster_id.as_ref().map(ToString::to_string),
        brokers: metadata.brokers.len(),
        topics,
    })
}
