//! Asks both clusters of a flow which of the rights it needs it has. Changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kmirror_protocol::client::admin::{
    NewTopic, Rights, TopicFault, TopicRights, check_topics, cluster_rights, may_write_transactions,
    topic_rights, unreadable_groups,
};
use kmirror_protocol::client::groups::list_groups;
use kmirror_protocol::client::{ClientError, Cluster, Metadata};
use kmirror_protocol::wire::error::ErrorCode;

use super::needs::{End, Need, On, Wanted, wanted};
use crate::clients::{cluster, first_look};
use crate::filter::TopicFilter;
use crate::plan::{ClusterAlias, FlowPlan, Outcome, SourceTopic, explain};

/// Topics that the target is asked about whether it would create them.
const CREATIONS_ASKED_MAX: usize = 1000;
/// How long it may take over that.
const CREATION_TIMEOUT: Duration = Duration::from_secs(15);

/// Which rights a flow has.
#[derive(Debug, Clone)]
pub struct RightsReport {
    /// How many topics it mirrors.
    pub topics: usize,
    /// What is not allowed.
    pub missing: Vec<Need>,
    /// What cannot be told: brokers before Kafka 2.3 (of the cluster: before 2.8) say nothing about it.
    pub untold: Vec<Need>,
    /// Topics that would not be created.
    pub refused: Vec<(End, Arc<str>, TopicFault)>,
}

impl RightsReport {
    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.refused.is_empty()
    }
}

/// Asks.
///
/// # Errors
/// [`ClientError`] when one of the clusters does not answer.
pub async fn rights(flow: &FlowPlan) -> Result<RightsReport, ClientError> {
    let client = |alias: &ClusterAlias, plan| cluster(alias, plan, 1, None);
    let asker = Asker {
        source: client(&flow.source, &flow.source_admin),
        target: client(&flow.target, &flow.target_admin),
    };
    let (at_source, at_target) = (first_look(&asker.source).await?, first_look(&asker.target).await?);
    let topics = SourceTopic::all(&at_source, |_| false);
    let decisions = explain(flow, &topics, Some(&partitions(&at_target)));
    let groups = asker.groups(&flow.sync.groups).await?;
    let Wanted { needs, creations } = wanted(flow, &decisions, &groups);
    let mut report = RightsReport {
        topics: decisions.iter().filter(|one| matches!(one.outcome, Outcome::Mirrored { .. })).count(),
        missing: Vec::new(),
        untold: Vec::new(),
        refused: Vec::new(),
    };
    for end in [End::Source, End::Target] {
        let needs = needs.iter().filter(|need| need.end == end).cloned().collect();
        let creations = creations.iter().filter(|(at, _)| *at == end).map(|(_, topic)| topic.clone());
        asker.ask(end, needs, creations.collect(), &mut report).await?;
    }
    Ok(report)
}

fn partitions(metadata: &Metadata) -> BTreeMap<String, i32> {
    let topics = metadata.topics.values().filter(|topic| topic.error.is_none());
    topics
        .map(|topic| (topic.name.to_string(), i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)))
        .collect()
}

struct Asker {
    source: Cluster,
    target: Cluster,
}

impl Asker {
    fn at(&self, end: End) -> &Cluster {
        match end {
            End::Source => &self.source,
            End::Target => &self.target,
        }
    }

    /// The source's groups that the flow takes.
    async fn groups(&self, filter: &TopicFilter) -> Result<Vec<Arc<str>>, ClientError> {
        let listed = list_groups(&self.source).await?;
        Ok(listed.groups.into_iter().map(|group| group.id).filter(|id| filter.decide(id).is_in()).collect())
    }

    async fn ask(
        &self,
        end: End,
        needs: Vec<Need>,
        creations: Vec<NewTopic>,
        report: &mut RightsReport,
    ) -> Result<(), ClientError> {
        let at = self.at(end);
        let told = Told::ask(at, &needs).await?;
        for need in needs {
            match told.answer(&need) {
                Answer::Allowed => {}
                Answer::Missing => report.missing.push(need),
                Answer::Untold => report.untold.push(need),
            }
        }
        let absent = |topic: &NewTopic| told.may_be_absent(&topic.name);
        let absent: Vec<NewTopic> = creations.into_iter().filter(absent).take(CREATIONS_ASKED_MAX).collect();
        for (topic, answer) in check_topics(at, &absent, CREATION_TIMEOUT).await? {
            let fault = answer.err().filter(|fault| fault.code != ErrorCode::TopicAlreadyExists);
            report.refused.extend(fault.map(|fault| (end, topic, fault)));
        }
        Ok(())
    }
}

enum Answer {
    Allowed,
    Missing,
    Untold,
}

/// What a cluster told.
struct Told {
    topics: BTreeMap<Arc<str>, TopicRights>,
    cluster: Option<Rights>,
    unreadable_groups: Vec<Arc<str>>,
    unwritable_transactions: bool,
}

impl Told {
    async fn ask(at: &Cluster, needs: &[Need]) -> Result<Self, ClientError> {
        let (mut topics, mut groups, mut unwritable_transactions) = (Vec::new(), Vec::new(), false);
        for need in needs {
            match &need.on {
                On::Topic(name) => topics.push(Arc::clone(name)),
                On::Group(name) => groups.push(Arc::clone(name)),
                On::TransactionalIds(beginning) => {
                    let id = format!("{beginning}check");
                    unwritable_transactions |= !may_write_transactions(at, &id).await?;
                }
                On::Cluster => {}
            }
        }
        topics.dedup();
        Ok(Self {
            topics: topic_rights(at, &topics).await?,
            cluster: cluster_rights(at).await?,
            unreadable_groups: unreadable_groups(at, &groups).await?,
            unwritable_transactions,
        })
    }

    fn answer(&self, need: &Need) -> Answer {
        let among = |rights: Rights| match rights.hold(need.operation) {
            true => Answer::Allowed,
            false => Answer::Missing,
        };
        let unless = |missing: bool| if missing { Answer::Missing } else { Answer::Allowed };
        match &need.on {
            On::Topic(name) => match self.topics.get(name) {
                Some(TopicRights::Told(rights)) => among(*rights),
                Some(TopicRights::Hidden) => Answer::Missing,
                // Who creates a topic has no right to it by that, but nothing can be asked about it before.
                Some(TopicRights::Absent | TopicRights::Untold) | None => Answer::Untold,
            },
            On::Cluster => self.cluster.map_or(Answer::Untold, among),
            On::Group(name) => unless(self.unreadable_groups.contains(name)),
            On::TransactionalIds(_) => unless(self.unwritable_transactions),
        }
    }

    fn may_be_absent(&self, topic: &Arc<str>) -> bool {
        !matches!(self.topics.get(topic), Some(TopicRights::Told(_) | TopicRights::Untold))
    }
}
