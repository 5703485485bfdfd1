//! Which rights a flow needs, on what, for what. Pure: from the plan and the topics to a list.

use std::fmt;
use std::sync::Arc;

use kmirror_protocol::client::admin::AclOperation::{
    self, Alter, AlterConfigs, Delete, Describe, DescribeConfigs, Read, Write,
};
use kmirror_protocol::client::admin::NewTopic;

use crate::plan::{DeletionMode, FlowPlan, HeartbeatPlan, Outcome, TargetChange, TopicDecision};
use crate::policy::HEARTBEATS_TOPIC;

/// The topic that groups' positions are in.
const CONSUMER_OFFSETS: &str = "__consumer_offsets";
const READ_RECORDS: &str = "its records are read";

/// One side of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The cluster that is read.
    Source,
    /// The cluster that is written.
    Target,
}

/// Which client of a flow needs a right: each may log in as somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// The one that fetches, or produces and keeps progress.
    Data,
    /// The one that asks, creates and changes.
    Admin,
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
    /// Who needs it.
    pub by: By,
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

/// What a flow needs for these topics and groups of its source. `unseen` are the topics that the source does not show.
pub(super) fn wanted(
    flow: &FlowPlan,
    heartbeats: Option<&HeartbeatPlan>,
    topics: &[TopicDecision],
    unseen: &[Arc<str>],
    groups: &[Arc<str>],
) -> Wanted {
    let mut list = List { wanted: Wanted::default() };
    for decision in topics {
        if let Outcome::Mirrored { target_topic, partitions, change, .. } = &decision.outcome {
            list.mirrored(flow, &decision.source_topic, target_topic, *partitions, *change);
        }
    }
    for topic in unseen {
        list.on_topic(End::Source, topic, &[(Read, READ_RECORDS, true)]);
    }
    list.beside(flow);
    list.internal(flow, heartbeats);
    list.groups(flow, groups);
    let Wanted { mut needs, creations } = list.wanted;
    // For several purposes one right is enough; the essential one is told.
    needs.sort_by_key(|need| (need.end, need.by, need.on.clone(), need.operation, !need.essential));
    needs.dedup_by_key(|need| (need.end, need.by, need.on.clone(), need.operation));
    Wanted { needs, creations }
}

/// What heartbeats of a pair without a flow need.
pub(super) fn wanted_of_heartbeats(beat: &HeartbeatPlan) -> Wanted {
    let mut list = List { wanted: Wanted::default() };
    list.heartbeats(beat);
    list.wanted
}

fn new_topic(name: &str, partitions: i32, replication_factor: i16) -> NewTopic {
    NewTopic { name: name.into(), partitions, replication_factor, configs: Vec::new() }
}

const SOURCE_ADMIN: (End, By) = (End::Source, By::Admin);
const TARGET_ADMIN: (End, By) = (End::Target, By::Admin);
const TARGET_DATA: (End, By) = (End::Target, By::Data);

struct List {
    wanted: Wanted,
}

impl List {
    fn need(
        &mut self,
        (end, by): (End, By),
        on: On,
        operation: AclOperation,
        purpose: &'static str,
        essential: bool,
    ) {
        self.wanted.needs.push(Need { end, by, on, operation, purpose, essential });
    }

    /// Records are read and written by the one client, all else is done by the other.
    fn on_topic(&mut self, end: End, topic: &str, rights: &[(AclOperation, &'static str, bool)]) {
        for (operation, purpose, essential) in rights {
            let by = if matches!(operation, Read | Write) { By::Data } else { By::Admin };
            self.need((end, by), On::Topic(topic.into()), *operation, purpose, *essential);
        }
    }

    /// A topic of the flow's own, created if it is not there.
    fn own(
        &mut self,
        at: (End, By),
        topic: NewTopic,
        operations: &[AclOperation],
        purpose: &'static str,
        essential: bool,
    ) {
        for operation in operations {
            self.need(at, On::Topic(Arc::clone(&topic.name)), *operation, purpose, essential);
        }
        self.wanted.creations.push((at.0, topic));
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
        self.on_topic(End::Source, topic, &[(Read, READ_RECORDS, true), (DescribeConfigs, settings, false)]);
        self.on_topic(End::Target, target_topic, &[(Write, "its records are written", true)]);
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
            &[(Read, proof, false), (DescribeConfigs, "its limits are respected", false)],
        );
        if matches!(change, Some(TargetChange::AddPartitions { .. })) {
            self.on_topic(End::Target, target_topic, &[(Alter, "partitions are added", true)]);
        }
        if flow.sync.topic_configs.is_some() {
            self.on_topic(End::Target, target_topic, &[(AlterConfigs, "sync.topic.configs.enabled", false)]);
        }
        if flow.on_refused.raises_limit {
            let purpose = "kmirror.raise.max.message.bytes";
            self.on_topic(End::Target, target_topic, &[(AlterConfigs, purpose, false)]);
        }
        if flow.sync.deletions.mode == DeletionMode::On {
            self.on_topic(End::Target, target_topic, &[(Delete, "kmirror.sync.topic.deletions", false)]);
        }
    }

    fn beside(&mut self, flow: &FlowPlan) {
        let sync = &flow.sync;
        if sync.topic_acls.is_some() {
            let purpose = "sync.topic.acls.enabled";
            self.need(SOURCE_ADMIN, On::Cluster, Describe, purpose, false);
            self.need(TARGET_ADMIN, On::Cluster, Describe, purpose, false);
            self.need(TARGET_ADMIN, On::Cluster, Alter, purpose, false);
        }
        if sync.quotas {
            let purpose = "kmirror.sync.quotas";
            for at in [SOURCE_ADMIN, TARGET_ADMIN] {
                self.need(at, On::Cluster, DescribeConfigs, purpose, false);
                // For the users with SCRAM credentials.
                self.need(at, On::Cluster, Describe, purpose, false);
            }
            self.need(TARGET_ADMIN, On::Cluster, AlterConfigs, purpose, false);
        }
        let follows_groups = sync.checkpoints.is_some() || sync.group_offsets.is_some();
        if follows_groups && sync.watch_groups {
            let on = On::Topic(CONSUMER_OFFSETS.into());
            self.need(SOURCE_ADMIN, on, Read, "kmirror.watch.groups", false);
        }
        let group = On::Group(flow.share.group.as_str().into());
        self.need(TARGET_ADMIN, group, Read, "the processes of the flow share it through this group", true);
        if flow.transactions.is_some() {
            let ids = On::TransactionalIds(format!("{}-", flow.share.group).into());
            self.need(TARGET_DATA, ids, Write, "exactly.once.source.support", true);
        }
    }

    fn internal(&mut self, flow: &FlowPlan, heartbeats: Option<&HeartbeatPlan>) {
        let sync = &flow.sync;
        let progress =
            new_topic(&flow.progress_topic, flow.progress_partitions, flow.progress_replication_factor);
        self.own(TARGET_DATA, progress, &[Read, Write], "progress is kept in it", true);
        let map = new_topic(&sync.offset_map_topic, 1, sync.offset_map_replication_factor);
        self.own(TARGET_DATA, map, &[Read, Write], "the offset map is kept in it", true);
        if let Some(checkpoints) = &sync.checkpoints {
            let checkpoints = new_topic(&sync.checkpoints_topic, 1, checkpoints.replication_factor);
            self.own(TARGET_ADMIN, checkpoints, &[Read, Write], "emit.checkpoints.enabled", false);
        }
        if let Some(syncs) = &sync.offset_syncs {
            let at = if sync.offset_syncs_at.on_source { SOURCE_ADMIN } else { TARGET_DATA };
            let syncs = new_topic(&sync.offset_syncs_at.topic, 1, syncs.replication_factor);
            self.own(at, syncs, &[Read, Write], "emit.offset-syncs.enabled", false);
        }
        if sync.topic_acls.is_some() && sync.acls.removes {
            let owned = new_topic(&flow.owned_acls_topic(), 1, flow.progress_replication_factor);
            self.own(TARGET_DATA, owned, &[Read, Write], "kmirror.sync.acls.remove", false);
        }
        if let Some(heartbeats) = heartbeats {
            self.heartbeats(heartbeats);
        }
        if flow.on_refused.dead_letters {
            let topic = new_topic(&flow.dead_letter_topic, 1, flow.replication_factor);
            self.own(TARGET_DATA, topic, &[Write], "kmirror.on.refused.records", false);
        }
    }

    fn heartbeats(&mut self, plan: &HeartbeatPlan) {
        let topic = new_topic(HEARTBEATS_TOPIC, 1, plan.replication_factor);
        self.own(TARGET_DATA, topic, &[Write], "emit.heartbeats.enabled", false);
    }

    fn groups(&mut self, flow: &FlowPlan, groups: &[Arc<str>]) {
        let sync = &flow.sync;
        for group in groups {
            let on = || On::Group(Arc::clone(group));
            if sync.checkpoints.is_some() || sync.group_offsets.is_some() {
                self.need(SOURCE_ADMIN, on(), Describe, "its positions are followed", false);
            }
            if sync.group_offsets.is_some() {
                self.need(TARGET_ADMIN, on(), Read, "sync.group.offsets.enabled", false);
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
        let heartbeats = plan.heartbeats.iter().find(|one| one.name() == flow.name());
        let wanted = wanted(flow, heartbeats, &topics, &["unseen".into()], &["billing".into()]);
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
            "Source READ topic unseen true",
            "Target WRITE topic heartbeats false",
            "Target WRITE topic A.fresh true",
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
        assert!(!needs.iter().any(|need| need.contains("CONFIGS topic A.fresh")), "{needs:#?}");
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
             kmirror.sync.topic.deletions = on\nkmirror.on.refused.records = dead-letter\n\
             kmirror.raise.max.message.bytes = true\nsync.topic.configs.enabled = false\n\
             kmirror.sync.acls.remove = true\n",
        );
        for need in [
            "Target WRITE transactional ids that begin with A-mm2- true",
            "Source DESCRIBE group billing false",
            "Target READ group billing false",
            "Target ALTER_CONFIGS the cluster false",
            "Source DESCRIBE the cluster false",
            "Target WRITE topic mm2-acls.A.internal false",
            "Target DELETE topic A.known false",
            "Target ALTER_CONFIGS topic A.known false",
        ] {
            assert!(needs.iter().any(|one| one == need), "{need}: {needs:#?}");
        }
    }
}
