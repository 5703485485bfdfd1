//! What the target needs before a topic can be mirrored to it: the topic, its partitions, and what it demands of batches.

use std::collections::HashMap;
use std::sync::Arc;

use kmirror_protocol::client::admin::{self, NewTopic};
use kmirror_protocol::client::{ClientError, Metadata};
use tracing::warn;

use super::{Changes, Discovery, Wanted, partition_count};
use crate::create;
use crate::flow::rewrite::TargetRules;
use crate::plan::TargetChange;
use crate::rules::rules_from;
use crate::sync::configs;

impl Discovery {
    /// Creates topics and adds partitions; returns the topics that can take records.
    pub(super) async fn prepare_target(
        &mut self,
        mut wanted: Vec<Wanted>,
        target: &Metadata,
        changes: &mut Changes,
    ) -> Result<Vec<Wanted>, ClientError> {
        let mut faults: HashMap<Arc<str>, String> = HashMap::new();
        let missing: Vec<&Wanted> =
            wanted.iter().filter(|one| one.change == Some(TargetChange::Create)).collect();
        if !missing.is_empty() {
            let settings = self.settings_for(&missing).await?;
            let new: Vec<NewTopic> = missing
                .iter()
                .map(|one| NewTopic {
                    name: Arc::clone(&one.target_topic),
                    partitions: partition_count(&one.source),
                    replication_factor: self.plan.replication_factor,
                    configs: settings.get(&one.source.name).cloned().unwrap_or_default(),
                })
                .collect();
            for (topic, fault) in create::create_topics(&self.plan, &self.target, new).await? {
                faults.insert(topic, format!("the target topic cannot be created: {fault}"));
            }
        }
        faults.extend(self.add_partitions(&mut wanted).await?);
        changes.again |= !faults.is_empty();
        Ok(self.without_faults(wanted, &faults, target))
    }

    /// Puts faults down in the status; a topic that exists goes on with the partitions it has.
    fn without_faults(
        &self,
        wanted: Vec<Wanted>,
        faults: &HashMap<Arc<str>, String>,
        target: &Metadata,
    ) -> Vec<Wanted> {
        let usable = |one: &Wanted| {
            let fault = faults.get(&one.target_topic);
            let told = fault.is_none_or(|fault| {
                self.status.trouble().get(&one.source.name).is_some_and(|known| **known == **fault)
            });
            if let (Some(fault), false) = (fault, told) {
                warn!(flow = self.plan.name(), topic = &*one.source.name, "{fault}; will be tried again");
            }
            self.status.set_trouble(&one.source.name, fault.map(|fault| fault.as_str().into()));
            fault.is_none() || target.topics.contains_key(&one.target_topic)
        };
        wanted.into_iter().filter(usable).collect()
    }

    /// The settings of these topics that go to the target at their creation.
    async fn settings_for(
        &self,
        topics: &[&Wanted],
    ) -> Result<HashMap<Arc<str>, Vec<(String, String)>>, ClientError> {
        let names: Vec<Arc<str>> = topics.iter().map(|one| Arc::clone(&one.source.name)).collect();
        let described = admin::describe_topic_configs(&self.source, &names).await?;
        let mut all = HashMap::new();
        for (topic, answer) in described {
            match answer {
                Ok(config) => {
                    all.insert(topic, configs::at_creation(&config, &self.plan.config_filter));
                }
                Err(fault) => warn!(
                    flow = self.plan.name(),
                    topic = &*topic,
                    "the source's settings of the topic cannot be read, it is created with the target's defaults: {fault}"
                ),
            }
        }
        Ok(all)
    }

    /// What the target demands of batches, by target topic. A cluster that does not tell gets Kafka's defaults.
    pub(super) async fn rules(
        &self,
        topics: &[Wanted],
    ) -> Result<HashMap<Arc<str>, TargetRules>, ClientError> {
        let new = |one: &&Wanted| self.new_partitions(one).next().is_some();
        let names: Vec<Arc<str>> =
            topics.iter().filter(new).map(|one| Arc::clone(&one.target_topic)).collect();
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let described = admin::describe_topic_configs(&self.target, &names).await?;
        Ok(described
            .into_iter()
            .filter_map(|(topic, answer)| answer.ok().map(|config| (topic, rules_from(&config))))
            .collect())
    }
}
