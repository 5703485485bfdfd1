//! What happens to each topic, and why. The same decision for `kmirror plan` and for a running mirror.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use kmirror_protocol::client::Metadata;

use super::FlowPlan;
use crate::config::origin::Origin;
use crate::filter::{Rule, Verdict};
use crate::policy::{InternalTopic, TOPIC_NAME_MAX, is_legal_topic_name};

/// A topic as the source tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many partitions it has.
    pub partitions: i32,
    /// The broker calls it internal (`__consumer_offsets` and its like).
    pub internal: bool,
    /// The flow has mirrored it before: there is progress for it.
    pub mirrored_before: bool,
}

impl<'a> SourceTopic<'a> {
    /// The topics of a source that can be described; `mirrored_before` says it of a name.
    pub(crate) fn all(at_source: &'a Metadata, mirrored_before: impl Fn(&Arc<str>) -> bool) -> Vec<Self> {
        let described = at_source.topics.values().filter(|topic| topic.error.is_none());
        let topics = described.map(|topic| Self {
            name: &topic.name,
            partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
            internal: topic.internal,
            mirrored_before: mirrored_before(&topic.name),
        });
        topics.collect()
    }
}

/// What becomes of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDecision {
    /// Its name at the source.
    pub source_topic: String,
    /// Mirrored or not.
    pub outcome: Outcome,
}

/// Mirrored or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is mirrored.
    Mirrored {
        /// Its name at the target.
        target_topic: String,
        /// How many partitions.
        partitions: i32,
        /// The rule that selected it; none for heartbeats that are taken whatever the filter says.
        rule: Option<Rule>,
        /// What has to be done at the target; none if the target was not asked.
        change: Option<TargetChange>,
    },
    /// It is left alone.
    NotMirrored(NotMirrored),
}

/// What has to be done at the target before records can flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetChange {
    /// The topic is created.
    Create,
    /// Partitions are added to the ones it has.
    AddPartitions {
        /// How many it has.
        from: i32,
    },
    /// Nothing: it has at least as many partitions.
    Nothing {
        /// How many it has.
        partitions: i32,
    },
}

/// Why a topic is not mirrored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotMirrored {
    /// No pattern of `topics` matches.
    NotIncluded {
        /// Where the patterns are written.
        origin: Origin,
    },
    /// A pattern of `topics.exclude` matches.
    Excluded {
        /// Which.
        rule: Rule,
    },
    /// Matching took more steps than allowed.
    TooCostly {
        /// With which pattern.
        rule: Rule,
    },
    /// It is internal by its name.
    InternalName {
        /// By which rule.
        why: InternalTopic,
    },
    /// The source's brokers call it internal.
    InternalToBroker,
    /// Its name says that it came from the target.
    Cycle {
        /// The target's alias.
        target: String,
    },
    /// The name it would get is none that Kafka takes.
    IllegalTargetName {
        /// The name.
        target_topic: String,
    },
    /// Another source topic goes to the same target topic.
    Collision {
        /// The target topic.
        target_topic: String,
        /// The other source topic.
        with: String,
    },
}

impl NotMirrored {
    /// The rule's name, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotIncluded { .. } => "not-included",
            Self::Excluded { .. } => "excluded",
            Self::TooCostly { .. } => "pattern-too-costly",
            Self::InternalName { .. } => "internal-name",
            Self::InternalToBroker => "internal-to-broker",
            Self::Cycle { .. } => "cycle",
            Self::IllegalTargetName { .. } => "illegal-target-name",
            Self::Collision { .. } => "collision",
        }
    }

    /// Where the rule was written, if it was.
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::NotIncluded { origin } => Some(origin),
            Self::Excluded { rule } | Self::TooCostly { rule } => Some(&rule.origin),
            _ => None,
        }
    }
}

impl fmt::Display for NotMirrored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotIncluded { origin } => Verdict::NotIncluded(origin).fmt(f),
            Self::Excluded { rule } => Verdict::Excluded(rule).fmt(f),
            Self::TooCostly { rule } => Verdict::TooCostly(rule).fmt(f),
            Self::InternalName { why } => write!(f, "internal: {why}"),
            Self::InternalToBroker => f.write_str("internal: the source's brokers say so"),
            Self::Cycle { target } => write!(f, "a cycle: its name says that it came from {target}"),
            Self::IllegalTargetName { target_topic } => {
                write!(f, "its name at the target would be `{target_topic}`, which Kafka does not take")?;
                if target_topic.len() > TOPIC_NAME_MAX {
                    write!(f, " (more than {TOPIC_NAME_MAX} characters)")?;
                }
                Ok(())
            }
            Self::Collision { target_topic, with } => {
                write!(f, "a collision: `{with}` is mirrored to `{target_topic}` too")
            }
        }
    }
}

impl FlowPlan {
    /// What the flow does with a topic of the source, by its name alone: the name it has at the target and the rule
    /// that took it, or why it is left alone (`MirrorSourceConnector.shouldReplicateTopic`).
    pub fn decide(&self, topic: &str) -> Result<(String, Option<&Rule>), NotMirrored> {
        let rule = match self.topics.decide(topic) {
            Verdict::In(rule) => Some(rule),
            _ if self.replicates_heartbeats && self.policy.is_heartbeats_topic(topic) => None,
            Verdict::NotIncluded(origin) => return Err(NotMirrored::NotIncluded { origin: origin.clone() }),
            Verdict::Excluded(rule) => return Err(NotMirrored::Excluded { rule: rule.clone() }),
            Verdict::TooCostly(rule) => return Err(NotMirrored::TooCostly { rule: rule.clone() }),
        };
        if let Some(why) = self.policy.internal_topic(topic) {
            return Err(NotMirrored::InternalName { why });
        }
        if self.policy.is_cycle(topic, &self.target) {
            return Err(NotMirrored::Cycle { target: self.target.to_string() });
        }
        let target_topic = self.policy.target_topic(topic);
        if is_legal_topic_name(&target_topic) {
            Ok((target_topic, rule))
        } else {
            Err(NotMirrored::IllegalTargetName { target_topic })
        }
    }
}

/// Decides over all topics of a source, in the order of their names. `target_topics` has the partition counts of the
/// target's topics, if the target was asked.
///
/// Unless the flow allows it, source topics that would meet in one target topic are refused; one that was mirrored
/// before stays, so that nobody can stop a topic by creating another.
pub fn explain(
    flow: &FlowPlan,
    source_topics: &[SourceTopic<'_>],
    target_topics: Option<&BTreeMap<String, i32>>,
) -> Vec<TopicDecision> {
    let mut sorted: Vec<SourceTopic<'_>> = source_topics.to_vec();
    sorted.sort_unstable_by_key(|topic| topic.name);
    let mut decided: Vec<(SourceTopic<'_>, Outcome)> =
        sorted.iter().map(|topic| (*topic, decide_topic(flow, topic, target_topics))).collect();
    if !flow.allows_collisions {
        refuse_collisions(&mut decided);
    }
    decided
        .into_iter()
        .map(|(topic, outcome)| TopicDecision { source_topic: topic.name.to_owned(), outcome })
        .collect()
}

fn decide_topic(
    flow: &FlowPlan,
    topic: &SourceTopic<'_>,
    target_topics: Option<&BTreeMap<String, i32>>,
) -> Outcome {
    if topic.internal {
        return Outcome::NotMirrored(NotMirrored::InternalToBroker);
    }
    match flow.decide(topic.name) {
        Err(why) => Outcome::NotMirrored(why),
        Ok((target_topic, rule)) => {
            let wanted = if flow.deals_by_key { 0 } else { topic.partitions };
            let change =
                target_topics.map(|topics| target_change(topics.get(&target_topic).copied(), wanted));
            Outcome::Mirrored { target_topic, partitions: topic.partitions, rule: rule.cloned(), change }
        }
    }
}

/// `wanted` is how many partitions the target topic should have at least.
fn target_change(at_target: Option<i32>, wanted: i32) -> TargetChange {
    match at_target {
        None => TargetChange::Create,
        Some(partitions) if partitions < wanted => TargetChange::AddPartitions { from: partitions },
        Some(partitions) => TargetChange::Nothing { partitions },
    }
}

/// Refuses the topics that meet others in one target topic.
fn refuse_collisions(decided: &mut [(SourceTopic<'_>, Outcome)]) {
    let mut meeting: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, (_, outcome)) in decided.iter().enumerate() {
        if let Outcome::Mirrored { target_topic, .. } = outcome {
            meeting.entry(target_topic.clone()).or_default().push(index);
        }
    }
    for (target_topic, indexes) in meeting.into_iter().filter(|(_, indexes)| indexes.len() > 1) {
        let names: Vec<(usize, String, bool)> = indexes
            .iter()
            .filter_map(|&index| decided.get(index).map(|(topic, _)| (index, topic)))
            .map(|(index, topic)| (index, topic.name.to_owned(), topic.mirrored_before))
            .collect();
        let mut before = names.iter().filter(|(_, _, mirrored_before)| *mirrored_before);
        let stays = before.next().filter(|_| before.next().is_none()).map(|(index, _, _)| *index);
        for (index, name, _) in &names {
            // The one it collides with: the one that stays, or else the first other one.
            let with = names
                .iter()
                .filter(|(other, _, _)| other != index)
                .min_by_key(|(other, _, _)| (Some(*other) != stays, *other))
                .map_or_else(|| name.clone(), |(_, other, _)| other.clone());
            if let Some((_, outcome)) = decided.get_mut(*index).filter(|_| Some(*index) != stays) {
                *outcome =
                    Outcome::NotMirrored(NotMirrored::Collision { target_topic: target_topic.clone(), with });
            }
        }
    }
}

#[cfg(test)]
mod tests;
