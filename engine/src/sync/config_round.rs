//! One round of topic settings: asks both sides for the topics being mirrored and sends what differs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use kmirror_protocol::client::Cluster;
use kmirror_protocol::client::admin::{self, ConfigChange, ConfigEntry, TopicConfigs, TopicFault};
use kmirror_protocol::wire::error::ErrorCode;
use tracing::{info, warn};

use super::configs::{self, Difference};
use super::job::{Round, SyncError};
use super::told::Told;
use crate::jobs::JobContext;

/// A topic with changes of its settings.
type TopicChanges = (Arc<str>, Vec<ConfigChange>);

/// How many topics are compared at a time: the settings of so many are in memory.
const TOPICS_AT_ONCE: usize = 200;

/// For how many topics a right is missing, and one of them.
struct Lacking {
    topics: usize,
    such_as: Arc<str>,
}

/// Keeps the settings of topics in step.
#[derive(Default)]
pub(super) struct Configs {
    told: Told,
    /// What the target refused, by target topic: it is not asked again until something else is wanted.
    refused: HashMap<Arc<str>, Vec<ConfigChange>>,
    /// Rights that are missing, by right and cluster.
    lacking: BTreeMap<(&'static str, Arc<str>), Lacking>,
    /// Settings that the target does not know.
    unknown: BTreeSet<Arc<str>>,
}

impl Round for Configs {
    const WHAT: &'static str = "settings of topics";

    async fn round(&mut self, context: &JobContext) -> Result<(), SyncError> {
        self.told.begin();
        let topics = mirrored_topics(context);
        self.refused.retain(|topic, _| topics.contains_key(topic));
        let pairs: Vec<(Arc<str>, Arc<str>)> = topics.into_iter().collect();
        self.lacking.clear();
        self.unknown.clear();
        for part in pairs.chunks(TOPICS_AT_ONCE) {
            self.compare(context, part).await?;
        }
        self.tell_rights(context);
        self.tell_unknown(context);
        Ok(())
    }
}

/// Target topics with their source topics. Where several source topics go to one target topic, the first by name is
/// the one whose settings count.
fn mirrored_topics(context: &JobContext) -> BTreeMap<Arc<str>, Arc<str>> {
    let mut topics = BTreeMap::new();
    for (source, target) in context.status.topics() {
        topics.entry(target).or_insert(source);
    }
    topics
}

impl Configs {
    async fn compare(
        &mut self,
        context: &JobContext,
        pairs: &[(Arc<str>, Arc<str>)],
    ) -> Result<(), SyncError> {
        let (targets, sources): (Vec<_>, Vec<_>) = pairs.iter().cloned().unzip();
        let (source, target) = (&context.clients.source_admin, &context.clients.target_admin);
        let (at_source, at_target) = tokio::try_join!(
            admin::describe_topic_configs(source, &sources),
            admin::describe_topic_configs(target, &targets)
        )?;
        let (at_source, at_target) =
            (self.readable(context, source, at_source), self.readable(context, target, at_target));
        let mut changes = Vec::new();
        for (target_topic, source_topic) in pairs {
            let both = at_source.get(source_topic).zip(at_target.get(target_topic));
            let Some((source, target)) = both else { continue };
            let wanted = configs::wanted(source, &context.plan.config_filter);
            let difference = configs::difference(wanted, target, context.plan.on_refused.raises_limit);
            let left = self.without_refused(target_topic, difference);
            if !left.is_empty() {
                changes.push((Arc::clone(target_topic), left));
            }
        }
        self.apply(context, changes).await
    }

    /// The settings of the topics that could be asked for.
    fn readable(
        &mut self,
        context: &JobContext,
        cluster: &Cluster,
        described: TopicConfigs,
    ) -> HashMap<Arc<str>, Vec<ConfigEntry>> {
        let mut readable = HashMap::new();
        for (topic, answer) in described {
            match answer {
                Ok(entries) => {
                    readable.insert(topic, entries);
                }
                Err(fault) if fault.code == ErrorCode::TopicAuthorizationFailed => {
                    self.lacks("DESCRIBE_CONFIGS", cluster, topic);
                }
                // It was deleted a moment ago; the next look at the topics finds that out.
                Err(fault) if fault.code == ErrorCode::UnknownTopicOrPartition => {}
                Err(fault) => self.warn(context, &topic, &format!("its settings cannot be read: {fault}")),
            }
        }
        readable
    }

    /// The changes that are worth sending: not those that the target does not know or has refused before.
    fn without_refused(&mut self, topic: &Arc<str>, difference: Difference) -> Vec<ConfigChange> {
        self.unknown.extend(difference.unknown.into_iter().map(|one| one.name));
        let Some(refused) = self.refused.get_mut(topic) else { return difference.changes };
        refused.retain(|one| difference.changes.contains(one));
        difference.changes.into_iter().filter(|one| !refused.contains(one)).collect()
    }

    /// Sends changes. Of those that the target refuses it finds out which, with one topic for all that have the same.
    async fn apply(&mut self, context: &JobContext, mut open: Vec<TopicChanges>) -> Result<(), SyncError> {
        let target = &context.clients.target_admin;
        while !open.is_empty() {
            let answers = match admin::alter_topic_configs(target, &open).await {
                Ok(answers) => answers,
                Err(error) if error.is_absent_api() => {
                    self.tell_too_old(context, target);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            let mut refused = Vec::new();
            for ((topic, answer), (_, changes)) in answers.into_iter().zip(open) {
                match answer {
                    Ok(()) => tell_changes(context, &topic, &changes),
                    Err(fault) if is_refusal(&fault) => refused.push((topic, changes, fault)),
                    Err(fault) if fault.code == ErrorCode::TopicAuthorizationFailed => {
                        self.lacks("ALTER_CONFIGS", target, topic);
                    }
                    Err(fault) => {
                        self.warn(context, &topic, &format!("its settings cannot be changed: {fault}"))
                    }
                }
            }
            let mut refused = refused.into_iter();
            let Some((topic, changes, fault)) = refused.next() else { break };
            let bad = self.one_by_one(context, &topic, changes, fault).await?;
            open = Vec::new();
            for (topic, mut changes, _) in refused {
                let (left_out, left): (Vec<_>, Vec<_>) = changes.drain(..).partition(|one| bad.contains(one));
                self.refused.entry(Arc::clone(&topic)).or_default().extend(left_out);
                if !left.is_empty() {
                    open.push((topic, left));
                }
            }
        }
        Ok(())
    }

    /// Sends the changes of a topic each by itself; those that are refused are named and left out from now on.
    async fn one_by_one(
        &mut self,
        context: &JobContext,
        topic: &Arc<str>,
        changes: Vec<ConfigChange>,
        fault: TopicFault,
    ) -> Result<Vec<ConfigChange>, SyncError> {
        let single = changes.len() == 1;
        let mut bad = Vec::new();
        for change in changes {
            let one = [(Arc::clone(topic), vec![change])];
            let answer = if single {
                Err(fault.clone())
            } else {
                let answers = admin::alter_topic_configs(&context.clients.target_admin, &one).await?;
                answers.into_iter().next().map_or(Ok(()), |(_, answer)| answer)
            };
            let [(_, one)] = one;
            match answer {
                Ok(()) => tell_changes(context, topic, &one),
                Err(fault) if is_refusal(&fault) => {
                    self.tell_refusal(context, topic, &one, &fault);
                    bad.extend(one);
                }
                Err(fault) => self.warn(context, topic, &format!("its settings cannot be changed: {fault}")),
            }
        }
        self.refused.entry(Arc::clone(topic)).or_default().extend(bad.iter().cloned());
        Ok(bad)
    }

    /// What the target refuses for one topic it mostly refuses for all: that is told once.
    fn tell_refusal(&self, context: &JobContext, topic: &str, changes: &[ConfigChange], fault: &TopicFault) {
        for change in changes.iter().filter(|one| !self.refused.values().any(|known| known.contains(one))) {
            let setting = shown(change);
            warn!(
                flow = context.plan.name(),
                topic, "not kept in step: the target refuses {setting}: {fault}"
            );
        }
    }

    fn tell_too_old(&mut self, context: &JobContext, target: &Cluster) {
        if self.told.is_news("too old") {
            let (flow, alias) = (context.plan.name(), target.alias());
            warn!(
                flow,
                "cluster {alias} is too old for IncrementalAlterConfigs (Kafka 2.3): settings are not kept in step"
            );
        }
    }

    fn warn(&mut self, context: &JobContext, topic: &str, what: &str) {
        if self.told.is_news(&format!("{topic} {what}")) {
            warn!(flow = context.plan.name(), topic, "{what}; will be tried again");
        }
    }

    fn lacks(&mut self, right: &'static str, cluster: &Cluster, topic: Arc<str>) {
        let key = (right, Arc::clone(cluster.alias()));
        self.lacking.entry(key).or_insert(Lacking { topics: 0, such_as: topic }).topics += 1;
    }

    fn tell_unknown(&mut self, context: &JobContext) {
        let settings = self.unknown.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
        if !settings.is_empty() && self.told.is_news(&settings) {
            info!(
                flow = context.plan.name(),
                settings, "not kept in step: the target's topics have no such settings"
            );
        }
    }

    /// One line for all topics that lack the same right.
    fn tell_rights(&mut self, context: &JobContext) {
        let flow = context.plan.name();
        for ((right, cluster), Lacking { topics, such_as }) in &self.lacking {
            if self.told.is_news(&format!("{right} {cluster}")) {
                warn!(
                    flow,
                    "the right {right} is missing on {topics} topics of cluster {cluster}, such as {such_as}: their \
                     settings are not kept in step"
                );
            }
        }
    }
}

fn is_refusal(fault: &TopicFault) -> bool {
    matches!(fault.code, ErrorCode::InvalidConfig | ErrorCode::PolicyViolation | ErrorCode::InvalidRequest)
}

fn tell_changes(context: &JobContext, topic: &str, changes: &[ConfigChange]) {
    let settings = changes.iter().map(shown).collect::<Vec<_>>().join(", ");
    info!(flow = context.plan.name(), topic, settings, "settings changed at the target");
}

fn shown(change: &ConfigChange) -> String {
    match &change.value {
        Some(value) => format!("{}={value}", change.name),
        None => format!("{} as it is by default", change.name),
    }
}
