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
