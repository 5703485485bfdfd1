//! Asks both clusters of a flow which of the rights it needs it has, and the target of heartbeats. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kmirror_protocol::client::admin::AclOperation::{AlterConfigs, Describe, DescribeConfigs};
use kmirror_protocol::client::admin::{
    GroupRights, NewTopic, Rights, TopicFault, TopicRights, check_topics, cluster_rights, group_rights,
    may_write_transactions, topic_rights,
};
use kmirror_protocol::client::groups::{ListedGroup, list_groups};
use kmirror_protocol::client::{ClientError, Cluster, Metadata};
use kmirror_protocol::wire::error::ErrorCode;

use super::needs::{By, End, Need, On, Wanted, wanted, wanted_of_heartbeats};
use crate::clients::{cluster, first_look};
use crate::filter::TopicFilter;
use crate::plan::{ClusterAlias, FlowPlan, HeartbeatPlan, Outcome, Plan, SourceTopic, explain};

/// Topics that the target is asked about whether it would create them.
const CREATIONS_ASKED_MAX: usize = 1000;
/// How long it may take over that.
const CREATION_TIMEOUT: Duration = Duration::from_secs(15);

/// Which rights a flow has, or heartbeats have.
#[derive(Debug, Clone, Default)]
pub struct RightsReport {
    /// How many topics the flow mirrors; 0 for heartbeats.
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
pub async fn rights(plan: &Plan, flow: &FlowPlan) -> Result<RightsReport, ClientError> {
    let client = |alias: &ClusterAlias, plan| cluster(alias, plan, 1, None);
    let asker = Asker {
        source: client(&flow.source, &flow.source_client),
        target: client(&flow.target, &flow.target_client),
        source_admin: client(&flow.source, &flow.source_admin),
        target_admin: client(&flow.target, &flow.target_admin),
    };
    let (at_source, at_target) =
        (first_look(&asker.source_admin).await?, first_look(&asker.target_admin).await?);
    let topics = SourceTopic::all(&at_source, |_| false);
    let decisions = explain(flow, &topics, Some(&partitions(&at_target)));
    let groups = asker.groups(&flow.sync.groups).await?;
    let heartbeats = plan.heartbeats.iter().find(|one| one.name() == flow.name());
    // What is named and not to be seen may be hidden.
    let is_unseen = |name: &&str| !at_source.topics.contains_key(*name) && flow.topics.decide(name).is_in();
    let unseen: Vec<Arc<str>> = flow.topics.include.names().filter(is_unseen).map(Into::into).collect();
    let mut report = asker.compare(wanted(flow, heartbeats, &decisions, &unseen, &groups)).await?;
    report.topics = decisions.iter().filter(|one| matches!(one.outcome, Outcome::Mirrored { .. })).count();
    Ok(report)
}

/// Asks whether heartbeats of a pair without a flow can be written.
///
/// # Errors
/// [`ClientError`] when the target does not answer.
pub async fn heartbeat_rights(beat: &HeartbeatPlan) -> Result<RightsReport, ClientError> {
    let data = cluster(&beat.target, &beat.target_client, 1, None);
    let admin = cluster(&beat.target, &beat.target_admin, 1, None);
    // There is no source: nothing is asked of it.
    let asker =
        Asker { source: data.clone(), target: data, source_admin: admin.clone(), target_admin: admin };
    first_look(&asker.target_admin).await?;
    asker.compare(wanted_of_heartbeats(beat)).await
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
    source_admin: Cluster,
    target_admin: Cluster,
}

impl Asker {
    fn at(&self, end: End, by: By) -> &Cluster {
        match (end, by) {
            (End::Source, By::Data) => &self.source,
            (End::Source, By::Admin) => &self.source_admin,
            (End::Target, By::Data) => &self.target,
            (End::Target, By::Admin) => &self.target_admin,
        }
    }

    /// The source's groups that the flow takes.
    async fn groups(&self, filter: &TopicFilter) -> Result<Vec<Arc<str>>, ClientError> {
        let listed = list_groups(&self.source_admin).await?;
        let is_taken = |group: &ListedGroup| group.has_positions() && filter.decide(&group.id).is_in();
        Ok(listed.groups.into_iter().filter(is_taken).map(|group| group.id).collect())
    }

    async fn compare(&self, Wanted { needs, creations }: Wanted) -> Result<RightsReport, ClientError> {
        let mut report = RightsReport::default();
        for end in [End::Source, End::Target] {
            let mut there = BTreeSet::new();
            for by in [By::Data, By::Admin] {
                let needs: Vec<Need> =
                    needs.iter().filter(|need| (need.end, need.by) == (end, by)).cloned().collect();
                if !needs.is_empty() {
                    there.extend(self.ask(end, by, needs, &mut report).await?);
                }
            }
            let absent = |(at, topic): &&(End, NewTopic)| *at == end && !there.contains(&topic.name);
            let absent: Vec<NewTopic> =
                creations.iter().filter(absent).map(|(_, topic)| topic.clone()).collect();
            self.create(end, &absent, &mut report).await?;
        }
        Ok(report)
    }

    /// Returns the topics that are there for sure.
    async fn ask(
        &self,
        end: End,
        by: By,
        needs: Vec<Need>,
        report: &mut RightsReport,
    ) -> Result<Vec<Arc<str>>, ClientError> {
        let told = Told::ask(self.at(end, by), &needs).await?;
        for need in needs {
            match told.answer(&need) {
                Answer::Allowed => {}
                Answer::Missing => report.missing.push(need),
                Answer::Untold => report.untold.push(need),
            }
        }
        Ok(told.there())
    }

    /// Whether the topics that may not be there would be created.
    async fn create(
        &self,
        end: End,
        creations: &[NewTopic],
        report: &mut RightsReport,
    ) -> Result<(), ClientError> {
        let asked = creations.get(..CREATIONS_ASKED_MAX).unwrap_or(creations);
        for (topic, answer) in check_topics(self.at(end, By::Admin), asked, CREATION_TIMEOUT).await? {
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
    groups: BTreeMap<Arc<str>, GroupRights>,
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
            groups: group_rights(at, &groups).await?,
            unwritable_transactions,
        })
    }

    fn there(&self) -> Vec<Arc<str>> {
        let is_there = |rights: &TopicRights| matches!(rights, TopicRights::Told(_) | TopicRights::Untold);
        self.topics.iter().filter(|(_, rights)| is_there(rights)).map(|(name, _)| Arc::clone(name)).collect()
    }

    fn answer(&self, need: &Need) -> Answer {
        let among = |rights: Rights| match rights.hold(need.operation) {
            true => Answer::Allowed,
            false => Answer::Missing,
        };
        let unless = |missing: bool| if missing { Answer::Missing } else { Answer::Allowed };
        match &need.on {
            On::Topic(name) => match self.topics.get(name) {
                // Who creates a topic has no right to it by that.
                Some(TopicRights::Told(rights) | TopicRights::Absent(Some(rights))) => among(*rights),
                Some(TopicRights::Hidden) => Answer::Missing,
                Some(TopicRights::Absent(None) | TopicRights::Untold) | None => Answer::Untold,
            },
            // Who may not look at the cluster is told of no right to it; ALTER would have let them look.
            On::Cluster => match self.cluster {
                Some(rights)
                    if !rights.hold(Describe) && matches!(need.operation, DescribeConfigs | AlterConfigs) =>
                {
                    Answer::Untold
                }
                Some(rights) => among(rights),
                None => Answer::Untold,
            },
            On::Group(name) => unless(self.groups.get(name).is_some_and(|rights| match need.operation {
                Describe => *rights == GroupRights::Hidden,
                _ => *rights != GroupRights::Unrefused,
            })),
            On::TransactionalIds(_) => unless(self.unwritable_transactions),
        }
    }
}
