//! Which rights a flow needs, on what, for what. Pure: from the plan and the topics to a list.

use std::fmt;
use std::sync::Arc;

use kmirror_protocol::client::admin::AclOperation::{
    self, Alter, AlterConfigs, Delete, Describe, DescribeConfigs, Read, Write,
};
use kmirror_protocol::client::admin::NewTopic;

use crate::plan::{DeletionMode, FlowPlan, Outcome, TargetChange, TopicDecision};

/// The topic that groups' positions are in.
const CONSUMER_OFFSETS: &str = "__consumer_offsets";

/// One side of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The cluster that is read.
    Source,
    /// The cluster that is written.
    Target,
}

/// What a right is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// A topic.
    Topic(Arc<str>),
    /// The cluster as a whole.
    Cluster,
    /// A group.
    Group(Arc<str>),
    /// Transactional ids that begin so.
    TransactionalIds(Arc<str>),
}

impl On {
    /// How Kafka's own tool names it.
    pub fn as_argument(&self) -> String {
        match self {
            Self::Topic(name) => format!("--topic {name}"),
            Self::Cluster => "--cluster".to_owned(),
            Self::Group(name) => format!("--group {name}"),
            Self::TransactionalIds(beginning) => {
                format!("--transactional-id {beginning} --resource-pattern-type prefixed")
            }
        }
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(name) => write!(f, "topic {name}"),
            Self::Cluster => f.write_str("the cluster"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::TransactionalIds(beginning) => write!(f, "transactional ids that begin with {beginning}"),
        }
    }
}

/// One right that a flow needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Where.
    pub end: End,
    /// On what.
    pub on: On,
    /// What must be allowed.
    pub operation: AclOperation,
    /// What it is for.
    pub purpose: &'static str,
    /// Without it records are not mirrored; without another something beside them is left out.
    pub essential: bool,
}

/// Topics that the flow would create, as it would ask for them.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// The rights.
    pub(super) needs: Vec<Need>,
    /// Topics that have to be there: those that are not are created.
    pub(super) creations: Vec<(End, NewTopic)>,
}

/// What a flow needs for these topics of its source. `groups` are those that are set at the target.
pub(super) fn wanted(flow: &FlowPlan, topics: &[TopicDecision], groups: &[Arc<str>]) -> Wanted {
    let mut list = List { wanted: Wanted::default() };
    for decision in topics {
        if let Outcome::Mirrored { target_topic, partitions, change, .. } = &decision.outcome {
            list.mirrored(flow, &decision.source_topic, target_topic, *partitions, *change);
        }
    }
    list.beside(flow);
    list.internal(flow);
    list.groups(flow, groups);
    let Wanted { mut needs, creations } = list.wanted;
    // For several purposes one right is enough; the essential one is told.
    needs.sort_by_key(|need| (need.end, need.on.clone(), need.operation, !need.essential));
    needs.dedup_by_key(|need| (need.end, need.on.clone(), need.operation));
    Wanted { needs, creations }
}

fn new_topic(name: &str, partitions: i32, replication_factor: i16) -> NewTopic {
    NewTopic { name: name.into(), partitions, replication_factor, configs: Vec::new() }
}

struct List {
    wanted: Wanted,
}

impl List {
    fn need(&mut self, end: End, on: On, operation: AclOperation, purpose: &'static str, essential: bool) {
        self.wanted.needs.push(Need { end, on, operation, purpose, essential });
    }

    fn on_topic(&mut self, end: End, topic: &str, rights: &[(AclOperation, &'static str, bool)]) {
        for (operation, purpose, essential) in rights {
            self.need(end, On::Topic(topic.into()), *operation, purpose, *essential);
        }
    }

    /// A small topic of the flow's own: read, written, created if it is not there.
    fn own(&mut self, end: End, topic: NewTopic, purpose: &'static str, essential: bool) {
        self.on_topic(end, &topic.name, &[(Read, purpose, essential), (Write, purpose, essential)]);
        self.wanted.creations.push((end, topic));
    }

    fn mirrored(
        &mut self,
        flow: &FlowPlan,
        topic: &str,
        target_topic: &str,
        partitions: i32,
        change: Option<TargetChange>,
    ) {
        let settings = "settings of new topics follow the source's";
        self.on_topic(
            End::Source,
            topic,
            &[(Read, "its records are read", true), (DescribeConfigs, settings, false)],
        );
        if change == Some(TargetChange::Create) {
            self.wanted
                .creations
                .push((End::Target, new_topic(target_topic, partitions, flow.replication_factor)));
            return;
        }
        let proof = "after a crash what arrived is asked for; without it records may be sent twice";
        self.on_topic(
            End::Target,
            target_topic,
            &[
                (Write, "its records are written", true),
                (Read, proof, false),
                (DescribeConfigs, "its limits are respected", false),
            ],
        );
        if matches!(change, Some(TargetChange::AddPartitions { .. })) {
            self.on_topic(End::Target, target_topic, &[(Alter, "partitions are added", true)]);
        }
        if flow.sync.topic_configs.is_some() {
            self.on_topic(End::Target, target_topic, &[(AlterConfigs, "sync.topic.configs.enabled", false)]);
        }
        if flow.sync.deletions.mode == DeletionMode::On {
            self.on_topic(End::Target, target_topic, &[(Delete, "kmirror.sync.topic.deletions", false)]);
        }
    }

    fn beside(&mut self, flow: &FlowPlan) {
        let sync = &flow.sync;
        if sync.topic_acls.is_some() {
            let purpose = "sync.topic.acls.enabled";
            self.need(End::Source, On::Cluster, Describe, purpose, false);
            self.need(End::Target, On::Cluster, Describe, purpose, false);
            self.need(End::Target, On::Cluster, Alter, purpose, false);
        }
        if sync.quotas {
            let purpose = "kmirror.sync.quotas";
            self.need(End::Source, On::Cluster, DescribeConfigs, purpose, false);
            self.need(End::Target, On::Cluster, DescribeConfigs, purpose, false);
            self.need(End::Target, On::Cluster, AlterConfigs, purpose, false);
        }
        let follows_groups = sync.checkpoints.is_some() || sync.group_offsets.is_some();
        if follows_groups && sync.watch_groups {
            self.on_topic(End::Source, CONSUMER_OFFSETS, &[(Read, "kmirror.watch.groups", false)]);
        }
        let group = On::Group(flow.share.group.as_str().into());
        self.need(End::Target, group, Read, "the processes of the flow share it through this group", true);
        if flow.transactions.is_some() {
            let ids = On::TransactionalIds(format!("{}-", flow.share.group).into());
            self.need(End::Target, ids, Write, "exactly.once.source.support", true);
        }
    }

    fn internal(&mut self, flow: &FlowPlan) {
        let sync = &flow.sync;
        let progress =
            new_topic(&flow.progress_topic, flow.progress_partitions, flow.progress_replication_factor);
        self.own(End::Target, progress, "progress is kept in it", true);
        let map = new_topic(&sync.offset_map_topic, 1, sync.offset_map_replication_factor);
        self.own(End::Target, map, "the offset map is kept in it", true);
        if let Some(checkpoints) = &sync.checkpoints {
            let checkpoints = new_topic(&sync.checkpoints_topic, 1, checkpoints.replication_factor);
            self.own(End::Target, checkpoints, "emit.checkpoints.enabled", false);
        }
        if let Some(syncs) = &sync.offset_syncs {
            let end = if sync.offset_syncs_at.on_source { End::Source } else { End::Target };
            let syncs = new_topic(&sync.offset_syncs_at.topic, 1, syncs.replication_factor);
            self.own(end, syncs, "emit.offset-syncs.enabled", false);
        }
    }

    fn groups(&mut self, flow: &FlowPlan, groups: &[Arc<str>]) {
        if flow.sync.group_offsets.is_some() {
            for group in groups {
                let on = On::Group(Arc::clone(group));
                self.need(End::Target, on, Read, "sync.group.offsets.enabled", false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::{Plan, PlanArgs, SourceTopic, explain};

    /// The needs of a flow from A to B with a new topic `fresh` and a mirrored one `known`, in words.
    fn needs(more: &str) -> (Vec<String>, Vec<String>) {
        let text = format!(
            "clusters = A, B\nA.bootstrap.servers = a:1\nB.bootstrap.servers = b:1\nA->B.enabled = true\n{more}"
        );
        let plan = Plan::from_properties(&text, "file", &PlanArgs::default()).unwrap();
        let flow = plan.enabled_flows().next().unwrap();
        let topic = |name| SourceTopic { name, partitions: 3, internal: false, mirrored_before: false };
        let there = BTreeMap::from([("A.known".to_owned(), 1)]);
        let topics = explain(flow, &[topic("fresh"), topic("known")], Some(&there));
        let wanted = wanted(flow, &topics, &["billing".into()]);
        let words = |need: &Need| format!("{:?} {} {} {}", need.end, need.operation, need.on, need.essential);
        let created = wanted.creations.iter().map(|(end, topic)| format!("{end:?} {}", topic.name));
        (wanted.needs.iter().map(words).collect(), created.collect())
    }

    #[test]
    fn what_records_need() {
        let (needs, created) = needs("");
        for need in [
            "Source READ topic fresh true",
            "Source READ topic known true",
            "Target WRITE topic A.known true",
            "Target ALTER topic A.known true",
            "Target READ topic A.known false",
            "Target ALTER_CONFIGS topic A.known false",
            "Target READ group A-mm2 true",
            "Target WRITE topic mm2-offsets.A.internal true",
            "Target ALTER the cluster false",
        ] {
            assert!(needs.iter().any(|one| one == need), "{need}: {needs:#?}");
        }
        assert!(!needs.iter().any(|need| need.contains("A.fresh")), "{needs:#?}");
        assert!(created.contains(&"Target A.fresh".to_owned()), "{created:?}");
        assert!(!created.contains(&"Target A.known".to_owned()), "{created:?}");
    }

    #[test]
    fn what_is_switched_off_needs_nothing() {
        let (needs, created) = needs(
            "sync.topic.acls.enabled = false\nsync.topic.configs.enabled = false\nemit.checkpoints.enabled = false\n",
        );
        for absent in ["the cluster", "ALTER_CONFIGS", "checkpoints", "__consumer_offsets", "billing"] {
            assert!(!needs.iter().chain(&created).any(|one| one.contains(absent)), "{absent}: {needs:#?}");
        }
    }

    #[test]
    fn what_is_switched_on_needs_more() {
        let (needs, _) = needs(
            "exactly.once.source.support = enabled\nsync.group.offsets.enabled = true\nkmirror.sync.quotas = true\n\
             kmirror.sync.topic.deletions = on\n",
        );
        for need in [
            "Target WRITE transactional ids that begin with A-mm2- true",
            "Target READ group billing false",
            "Target ALTER_CONFIGS the cluster false",
            "Target DELETE topic A.known false",
        ] {
            assert!(needs.iter().any(|one| one == need), "{need}: {needs:#?}");
        }
    }
}
