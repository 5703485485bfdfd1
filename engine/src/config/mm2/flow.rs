//! One flow's plan, from every place that has a say.

use std::collections::BTreeMap;
use std::time::Duration;

use super::client::Owner;
use super::reader::{Reader, Sourced, split_list};
use super::settings::{FlowName, flow_places, worker_places};
use super::slot::Side;
use crate::config::keys::{self, Opt, Role};
use crate::config::problem::{Notice, Problem};
use crate::plan::{
    AutoOffsetReset, BufferPlan, FetchPlan, FlowPlan, Isolation, OnLost, OnRefused, ProducePlan, SharePlan,
};
use crate::policy::InternalTopicRules;

/// One fetch may take this part of the memory budget: while one is written another is read, from more than one broker.
const FETCHES_PER_BUDGET: usize = 4;
/// Over a long way as little as may be is to be asked for twice.
const FAR_FETCHES_PER_BUDGET: usize = 2;

impl Reader<'_> {
    /// The plan of a flow.
    pub(super) fn flow(&mut self, flow: &FlowName, enabled: bool, buffer: BufferPlan) -> FlowPlan {
        let rules = self.internal_topic_rules(flow);
        let connector_name = self.text(&flow_places(flow), &keys::NAME).value;
        let label = |role: &str| format!("{}->{}|{connector_name}|{role}", flow.source, flow.target);
        let consumer = Owner::Flow(flow, Side::Source, Role::Consumer);
        let producer = Owner::Flow(flow, Side::Target, Role::Producer);
        let source_admin = Owner::Flow(flow, Side::Source, Role::Admin);
        let target_admin = Owner::Flow(flow, Side::Target, Role::Admin);
        let progress_topic = worker_places(flow, &keys::OFFSET_STORAGE_TOPIC);
        let policy = self.policy(flow, rules);
        FlowPlan {
            source: flow.source.clone(),
            target: flow.target.clone(),
            enabled,
            topics: self.topic_filter(flow, rules),
            sync: self.sync(flow, &policy),
            policy,
            replicates_heartbeats: self.flow_flag(flow, &keys::HEARTBEATS_REPLICATION),
            allows_collisions: self.flow_flag(flow, &keys::RENAME_COLLISIONS),
            replication_factor: self.replicas(flow_places(flow), &keys::REPLICATION_FACTOR),
            config_filter: self.config_filter(flow),
            refresh_topics: self.every(flow, &keys::REFRESH_TOPICS_ENABLED, &keys::REFRESH_TOPICS_INTERVAL),
            admin_timeout: Duration::from_millis(self.int(&flow_places(flow), &keys::ADMIN_TIMEOUT)),
            offset_flush_interval: self.offset_flush_interval(flow),
            progress_topic: self
                .text_if_set(&progress_topic, &keys::OFFSET_STORAGE_TOPIC)
                .map_or_else(|| format!("mm2-offsets.{}.internal", flow.source), |topic| topic.value),
            progress_partitions: self.progress_partitions(flow),
            progress_replication_factor: self.replicas(
                worker_places(flow, &keys::OFFSET_STORAGE_REPLICATION),
                &keys::OFFSET_STORAGE_REPLICATION,
            ),
            progress_topic_configs: self.progress_topic_configs(flow),
            start: self.start(consumer),
            on_lost_records: self.on_lost_records(flow),
            deals_by_key: self.choice(&flow_places(flow), &keys::PARTITIONING).value == "by-key",
            on_refused: self.on_refused(flow),
            dead_letter_topic: self
                .text_if_set(&flow_places(flow), &keys::DEAD_LETTER_TOPIC)
                .map_or_else(|| format!("mm2-dead-letters.{}.internal", flow.source), |topic| topic.value),
            limits: self.limits(flow),
            share: self.share(flow),
            transactions: self.transactions(flow, producer),
            fetch: self.fetch(consumer, buffer),
            produce: self.produce(producer),
            source_client: self.client(consumer, &label("replication-consumer")),
            source_admin: self.client(source_admin, &label("replication-source-admin")),
            target_client: self.client(producer, &label("replication-producer")),
            target_admin: self.client(target_admin, &label("replication-target-admin")),
            connector_name,
        }
    }

    pub(super) fn flow_flag(&mut self, flow: &FlowName, opt: &'static Opt) -> bool {
        self.flag(&flow_places(flow), opt).value
    }

    /// A replication factor: -1, or at least 1.
    pub(super) fn replicas(&mut self, places: super::settings::Places, opt: &'static Opt) -> i16 {
        self.not_zero(places, opt)
    }

    fn progress_partitions(&mut self, flow: &FlowName) -> i32 {
        let opt = &keys::OFFSET_STORAGE_PARTITIONS;
        self.not_zero(worker_places(flow, opt), opt)
    }

    fn not_zero<T>(&mut self, places: super::settings::Places, opt: &'static Opt) -> T
    where
        T: TryFrom<i64> + super::reader::Largest,
    {
        let Sourced { value, origin } = self.number(&places, opt);
        if value == 0 {
            let expected = "-1, or 1 or more".to_owned();
            self.error(Some(origin), Problem::BadValue { value: "`0`".to_owned(), expected }, None);
        }
        T::try_from(value).unwrap_or(T::LARGEST)
    }

    fn internal_topic_rules(&mut self, flow: &FlowName) -> InternalTopicRules {
        match self.choice(&flow_places(flow), &keys::MM2_RULES).value.as_str() {
            "3" => InternalTopicRules::UpTo3,
            _ => InternalTopicRules::Since4,
        }
    }

    fn offset_flush_interval(&mut self, flow: &FlowName) -> Duration {
        let opt = &keys::OFFSET_FLUSH_INTERVAL;
        Duration::from_millis(self.int(&worker_places(flow, opt), opt))
    }

    /// `offset.storage.<topic setting>`, for instance `offset.storage.min.insync.replicas`.
    fn progress_topic_configs(&mut self, flow: &FlowName) -> BTreeMap<String, String> {
        let beginning = "offset.storage.";
        let places = worker_places(flow, &keys::OFFSET_STORAGE_SETTINGS);
        let mut configs = BTreeMap::new();
        for setting in self.settings.family(&places, beginning) {
            let is_option = keys::named(&setting.slot.name).any(|opt| !opt.name.ends_with('*'));
            if let Some(name) = setting.slot.name.strip_prefix(beginning).filter(|_| !is_option) {
                configs.entry(name.to_owned()).or_insert_with(|| setting.value.expose().to_owned());
            }
        }
        configs
    }

    fn start(&mut self, consumer: Owner<'_>) -> AutoOffsetReset {
        let opt = &keys::AUTO_OFFSET_RESET;
        match self.choice(&consumer.places(opt), opt).value.as_str() {
            "latest" => AutoOffsetReset::Latest,
            _ => AutoOffsetReset::Earliest,
        }
    }

    fn on_lost_records(&mut self, flow: &FlowName) -> OnLost {
        match self.choice(&flow_places(flow), &keys::ON_LOST_RECORDS).value.as_str() {
            "stop" => OnLost::StopPartition,
            _ => OnLost::Continue,
        }
    }

    fn on_refused(&mut self, flow: &FlowName) -> OnRefused {
        OnRefused {
            raises_limit: self.flow_flag(flow, &keys::RAISE_MAX_MESSAGE_BYTES),
            dead_letters: self.choice(&flow_places(flow), &keys::ON_REFUSED_RECORDS).value == "dead-letter",
        }
    }

    fn share(&mut self, flow: &FlowName) -> SharePlan {
        let mut millis =
            |opt: &'static Opt| Duration::from_millis(self.int::<u64>(&worker_places(flow, opt), opt));
        let session_timeout = millis(&keys::SESSION_TIMEOUT);
        let heartbeat_interval = millis(&keys::HEARTBEAT_INTERVAL).min(session_timeout / 3);
        let rebalance_timeout = millis(&keys::REBALANCE_TIMEOUT);
        let group = self.text_if_set(&worker_places(flow, &keys::GROUP_ID), &keys::GROUP_ID);
        let instance = self.text_if_set(&flow_places(flow), &keys::GROUP_INSTANCE_ID);
        SharePlan {
            group: group.map_or_else(|| format!("{}-mm2", flow.source), |group| group.value),
            instance_id: instance.map(|instance| instance.value),
            session_timeout,
            heartbeat_interval,
            rebalance_timeout,
            members_max: Some(self.int(&flow_places(flow), &keys::TASKS_MAX)).filter(|max| *max > 0),
        }
    }

    fn fetch(&mut self, consumer: Owner<'_>, buffer: BufferPlan) -> FetchPlan {
        let budget = i32::try_from(buffer.bytes / FETCHES_PER_BUDGET).unwrap_or(i32::MAX);
        let max_bytes = self.held_to(consumer, &keys::FETCH_MAX_BYTES, budget);
        let is_set =
            self.settings.find(&consumer.places(&keys::FETCH_MAX_BYTES), &keys::FETCH_MAX_BYTES).is_some();
        let half = i32::try_from(buffer.far_bytes / FAR_FETCHES_PER_BUDGET).unwrap_or(i32::MAX);
        let isolation = &keys::ISOLATION_LEVEL;
        let rack = &keys::CLIENT_RACK;
        FetchPlan {
            max_wait: Duration::from_millis(
                self.int(&consumer.places(&keys::FETCH_MAX_WAIT), &keys::FETCH_MAX_WAIT),
            ),
            min_bytes: self.int(&consumer.places(&keys::FETCH_MIN_BYTES), &keys::FETCH_MIN_BYTES),
            max_bytes,
            far_max_bytes: if is_set { max_bytes } else { half },
            max_partition_bytes: self.held_to(consumer, &keys::MAX_PARTITION_FETCH_BYTES, max_bytes),
            isolation: match self.choice(&consumer.places(isolation), isolation).value.as_str() {
                "read_committed" => Isolation::ReadCommitted,
                _ => Isolation::ReadUncommitted,
            },
            rack: self.text_if_set(&consumer.places(rack), rack).map(|rack| rack.value),
        }
    }

    /// A size, and a notice when what the file asks for is more than can be had.
    fn held_to(&mut self, consumer: Owner<'_>, opt: &'static Opt, limit: i32) -> i32 {
        let Sourced { value, origin } = self.number(&consumer.places(opt), opt);
        let asked = i32::try_from(value).unwrap_or(i32::MAX);
        let used = asked.min(limit);
        if used < asked && origin.file_line().is_some() {
            let hint = Some(format!("a larger `{}` makes room for it", keys::BUFFER_MEMORY.name));
            self.notice(Some(origin), Notice::HeldToBudget { key: opt.name, asked, used }, hint);
        }
        used
    }

    fn produce(&mut self, producer: Owner<'_>) -> ProducePlan {
        let timeout = &keys::REQUEST_TIMEOUT;
        ProducePlan {
            acks: self.acks(producer),
            request_timeout: Duration::from_millis(self.int(&producer.places(timeout), timeout)),
            max_request_bytes: self.int(&producer.places(&keys::MAX_REQUEST_SIZE), &keys::MAX_REQUEST_SIZE),
            max_in_flight: self.int(&producer.places(&keys::MAX_IN_FLIGHT), &keys::MAX_IN_FLIGHT),
        }
    }

    fn acks(&mut self, producer: Owner<'_>) -> i16 {
        let Sourced { value, origin } = self.choice(&producer.places(&keys::ACKS), &keys::ACKS);
        match value.as_str() {
            "1" => 1,
            "0" => {
                let reason =
                    "without acknowledgements records can be lost unseen, and progress would be a guess";
                self.error(Some(origin), Problem::Refused { reason }, Some("use `all` or `1`".to_owned()));
                -1
            }
            _ => -1,
        }
    }

    /// A list of patterns by default: what the table says, unless the flow follows older rules.
    pub(super) fn pattern_list(
        &mut self,
        flow: &FlowName,
        opt: &'static Opt,
        default: &str,
    ) -> Sourced<Vec<String>> {
        let mut list = self.list(&flow_places(flow), opt);
        if list.origin.file_line().is_none() {
            list.value = split_list(default);
        }
        list
    }
}
