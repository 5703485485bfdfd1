//! What a flow keeps in step beside its records, from the options to the plan.

use std::time::Duration;

use super::client::Owner;
use super::reader::Reader;
use super::settings::{FlowName, flow_places};
use super::slot::Side;
use crate::config::keys::{self, Opt, Role};
use crate::config::problem::Notice;
use crate::filter::TopicFilter;
use crate::plan::{
    AclPlan, CheckpointPlan, ClusterAlias, DeletionMode, DeletionPlan, GroupOffsetsPlan, HeartbeatPlan,
    OffsetSyncPlan, OffsetSyncsPlace, SyncPlan,
};
use crate::policy::ReplicationPolicy;

impl Reader<'_> {
    pub(super) fn sync(&mut self, flow: &FlowName, policy: &ReplicationPolicy) -> SyncPlan {
        let on_source = self.choice(&flow_places(flow), &keys::OFFSET_SYNCS_LOCATION).value == "source";
        let the_other = if on_source { &flow.target } else { &flow.source };
        SyncPlan {
            offset_syncs: self.offset_syncs(flow),
            offset_syncs_at: OffsetSyncsPlace { on_source, topic: policy.offset_syncs_topic(the_other) },
            offset_map_topic: format!("mm2-offset-map.{}.internal", flow.source),
            offset_map_replication_factor: self.replicas(flow_places(flow), &keys::OFFSET_SYNCS_REPLICATION),
            offset_map_segments: self.int(&flow_places(flow), &keys::OFFSET_MAP_SEGMENTS),
            checkpoints: self.checkpoints(flow),
            checkpoints_topic: policy.checkpoints_topic(&flow.source),
            groups: self.group_filter(flow),
            refresh_groups: self.every(flow, &keys::REFRESH_GROUPS, &keys::REFRESH_GROUPS_INTERVAL),
            watch_groups: self.flow_flag(flow, &keys::WATCH_GROUPS),
            group_offsets: self.group_offsets(flow),
            topic_configs: self.every(flow, &keys::SYNC_CONFIGS, &keys::SYNC_CONFIGS_INTERVAL),
            topic_acls: self.every(flow, &keys::SYNC_ACLS, &keys::SYNC_ACLS_INTERVAL),
            acls: AclPlan {
                all_kinds: self.choice(&flow_places(flow), &keys::ACL_KINDS).value == "all",
                removes: self.flow_flag(flow, &keys::ACL_REMOVE),
            },
            quotas: self.flow_flag(flow, &keys::SYNC_QUOTAS),
            deletions: self.deletions(flow),
        }
    }

    /// An interval in seconds, if what it is for is switched on.
    pub(super) fn every(
        &mut self,
        flow: &FlowName,
        switch: &'static Opt,
        interval: &'static Opt,
    ) -> Option<Duration> {
        let seconds = self.int(&flow_places(flow), interval);
        self.flow_flag(flow, switch).then_some(Duration::from_secs(seconds))
    }

    /// Heartbeats for every pair of clusters that has them on, whether its flow is enabled or not
    /// (`MirrorMakerConfig.clusterPairs`): those of B->A, mirrored by A->B, show that A->B works.
    pub(super) fn heartbeats(
        &mut self,
        aliases: &[ClusterAlias],
        targets: &[ClusterAlias],
    ) -> Vec<HeartbeatPlan> {
        let mut plans = Vec::new();
        for source in aliases {
            for target in aliases.iter().filter(|target| *target != source && targets.contains(target)) {
                let pair = FlowName { source: source.clone(), target: target.clone() };
                plans.extend(self.heartbeats_of(&pair));
            }
        }
        plans
    }

    fn heartbeats_of(&mut self, pair: &FlowName) -> Option<HeartbeatPlan> {
        let every = self.every(pair, &keys::EMIT_HEARTBEATS, &keys::EMIT_HEARTBEATS_INTERVAL);
        let replication_factor = self.replicas(flow_places(pair), &keys::HEARTBEATS_REPLICAS);
        let admin_timeout = Duration::from_millis(self.int(&flow_places(pair), &keys::ADMIN_TIMEOUT));
        let every = every?;
        // What is wrong with a cluster that a flow needs was said there; the others are not worth an error.
        let mut aside = self.aside();
        let label = |role: &str| format!("{}->{}|MirrorHeartbeatConnector|{role}", pair.source, pair.target);
        let mut client = |role, name| aside.client(Owner::Flow(pair, Side::Target, role), &label(name));
        let target_client = client(Role::Producer, "heartbeats-producer");
        let target_admin = client(Role::Admin, "heartbeats-target-admin");
        if let Some(error) = aside.errors.first() {
            let (cluster, why) = (pair.target.to_string(), error.problem.to_string());
            self.notice(error.origin.clone(), Notice::NoHeartbeats { cluster, why }, error.hint.clone());
            return None;
        }
        self.secured = aside.secured;
        let (source, target) = (pair.source.clone(), pair.target.clone());
        Some(HeartbeatPlan {
            source,
            target,
            every,
            replication_factor,
            admin_timeout,
            target_client,
            target_admin,
        })
    }

    fn offset_syncs(&mut self, flow: &FlowName) -> Option<OffsetSyncPlan> {
        let plan = OffsetSyncPlan {
            replication_factor: self.replicas(flow_places(flow), &keys::OFFSET_SYNCS_REPLICATION),
            lag_max: self.number(&flow_places(flow), &keys::OFFSET_LAG_MAX).value,
        };
        self.flow_flag(flow, &keys::EMIT_OFFSET_SYNCS).then_some(plan)
    }

    fn checkpoints(&mut self, flow: &FlowName) -> Option<CheckpointPlan> {
        let every = self.every(flow, &keys::EMIT_CHECKPOINTS, &keys::EMIT_CHECKPOINTS_INTERVAL);
        let replication_factor = self.replicas(flow_places(flow), &keys::CHECKPOINTS_REPLICATION);
        every.map(|every| CheckpointPlan { every, replication_factor })
    }

    fn group_filter(&mut self, flow: &FlowName) -> TopicFilter {
        TopicFilter {
            include: self.patterns(flow, &keys::GROUPS, keys::GROUPS.default),
            exclude: self.patterns(flow, &keys::GROUPS_EXCLUDE, keys::GROUPS_EXCLUDE.default),
        }
    }

    fn group_offsets(&mut self, flow: &FlowName) -> Option<GroupOffsetsPlan> {
        let every = self.every(flow, &keys::SYNC_GROUP_OFFSETS, &keys::SYNC_GROUP_OFFSETS_INTERVAL);
        let may_go_back = self.flow_flag(flow, &keys::GROUP_OFFSETS_BACKWARDS);
        every.map(|every| GroupOffsetsPlan { every, may_go_back })
    }

    fn deletions(&mut self, flow: &FlowName) -> DeletionPlan {
        let mode = match self.choice(&flow_places(flow), &keys::TOPIC_DELETIONS).value.as_str() {
            "on" => DeletionMode::On,
            "dry-run" => DeletionMode::DryRun,
            _ => DeletionMode::Off,
        };
        let grace = Duration::from_secs(self.int(&flow_places(flow), &keys::TOPIC_DELETION_GRACE));
        DeletionPlan { mode, grace }
    }
}
