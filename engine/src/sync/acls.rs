//! Which access rules the target is to have, and how they differ from those it has. Pure.
//!
//! By default the rules of MirrorMaker 2 (`MirrorSourceConnector.syncTopicAcls`, `targetAclBinding`): bindings of single
//! topics, without the right to write, with the right to everything made one to read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kmirror_protocol::client::admin::{AclBinding, AclOperation, AclPermission, AclResource, PatternType};

use crate::plan::FlowPlan;
use crate::policy::Naming;

/// A name that means every resource of its kind (Kafka class `ResourcePattern`).
const EVERY: &str = "*";

/// Why a binding of the source is not copied, where somebody may have expected it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NotCopied {
    /// It is about the cluster itself, its users or its tokens.
    Cluster,
    /// It is about names that begin so, and topics are renamed by an expression.
    RenamedPrefix,
    /// It is about every topic, and MirrorMaker 2's rules know single topics only.
    EveryTopic,
    /// Another release has kinds, operations or patterns that this one does not know.
    Unknown,
}

impl fmt::Display for NotCopied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "it is about the cluster itself, its users or its tokens",
            Self::RenamedPrefix => "kmirror.rename.regex cannot be applied to the beginning of a name",
            Self::EveryTopic => {
                "it is about every topic (`*`), which has no counterpart among single topics; kmirror.sync.acls=all \
                 makes it one about their prefix"
            }
            Self::Unknown => "it has a kind that this version does not know",
        })
    }
}

/// The source's bindings as the target is to have them.
#[derive(Debug, Default)]
pub(crate) struct Translated {
    /// What the target is to have, each with the source's binding that asks for it.
    pub(crate) wanted: BTreeMap<AclBinding, AclBinding>,
    /// What is not copied.
    pub(crate) not_copied: Vec<(AclBinding, NotCopied)>,
}

/// Translates all bindings of the source. `mirrored` has the names of the source topics being mirrored.
pub(crate) fn translate(plan: &FlowPlan, source: &[AclBinding], mirrored: &BTreeSet<&str>) -> Translated {
    let mut translated = Translated::default();
    for binding in source {
        let wanted = if plan.sync.acls.all_kinds {
            of_all_kinds(plan, binding, mirrored)
        } else {
            as_mirror_maker(plan, binding)
        };
        match wanted {
            Ok(Some(wanted)) => {
                translated.wanted.entry(wanted).or_insert_with(|| binding.clone());
            }
            Ok(None) => {}
            Err(why) => translated.not_copied.push((binding.clone(), why)),
        }
    }
    translated
}

/// MirrorMaker 2's rules. `None` for what they leave out.
fn as_mirror_maker(plan: &FlowPlan, binding: &AclBinding) -> Result<Option<AclBinding>, NotCopied> {
    let allows = binding.permission == AclPermission::Allow;
    let single_topic = binding.resource == AclResource::Topic && binding.pattern == PatternType::Literal;
    if !single_topic || (allows && binding.operation == AclOperation::Write) {
        return Ok(None);
    }
    let operation = match binding.operation {
        AclOperation::All if allows => AclOperation::Read,
        other => other,
    };
    let name = match &*binding.name {
        EVERY if !plan.topics.decide(EVERY).is_in() => return Ok(None),
        EVERY if keeps_names(plan) => EVERY.into(),
        // MirrorMaker 2 makes it a rule about a topic with the name `<source>.*`, which no topic can have.
        EVERY => return Err(NotCopied::EveryTopic),
        name => match plan.decide(name) {
            Ok((target_topic, _)) => target_topic.into(),
            Err(_) => return Ok(None),
        },
    };
    Ok(Some(AclBinding { name, operation, ..binding.clone() }))
}

/// All kinds and all rights: topics renamed, groups and transactional ids as they are.
fn of_all_kinds(
    plan: &FlowPlan,
    binding: &AclBinding,
    mirrored: &BTreeSet<&str>,
) -> Result<Option<AclBinding>, NotCopied> {
    let known = !matches!(binding.pattern, PatternType::Other(_))
        && !matches!(binding.operation, AclOperation::Other(_))
        && !matches!(binding.permission, AclPermission::Other(_));
    if !known {
        return Err(NotCopied::Unknown);
    }
    match binding.resource {
        AclResource::Topic => of_topics(plan, binding, mirrored),
        AclResource::Group => {
            let taken = *binding.name == *EVERY || plan.sync.groups.decide(&binding.name).is_in();
            Ok(taken.then(|| binding.clone()))
        }
        // Programs that move to the target keep the transactional ids they are configured with.
        AclResource::TransactionalId => Ok(Some(binding.clone())),
        AclResource::Cluster | AclResource::DelegationToken | AclResource::User => Err(NotCopied::Cluster),
        AclResource::Other(_) => Err(NotCopied::Unknown),
    }
}

/// A prefix is taken when the flow takes it as if it were a topic, or mirrors a topic that begins so.
fn of_topics(
    plan: &FlowPlan,
    binding: &AclBinding,
    mirrored: &BTreeSet<&str>,
) -> Result<Option<AclBinding>, NotCopied> {
    let name = &*binding.name;
    if name == EVERY && binding.pattern == PatternType::Literal {
        if !plan.topics.decide(EVERY).is_in() {
            return Ok(None);
        }
        return if keeps_names(plan) {
            Ok(Some(binding.clone()))
        } else {
            with_prefix(plan, binding, "").map(Some)
        };
    }
    if binding.pattern == PatternType::Prefixed {
        let begins_so = mirrored.range(name..).next().is_some_and(|topic| topic.starts_with(name));
        if !begins_so && plan.decide(name).is_err() {
            return Ok(None);
        }
        return with_prefix(plan, binding, name).map(Some);
    }
    Ok(plan.decide(name).ok().map(|(target, _)| AclBinding { name: target.into(), ..binding.clone() }))
}

/// A binding about the topics whose names begin like this at the source.
fn with_prefix(plan: &FlowPlan, binding: &AclBinding, prefix: &str) -> Result<AclBinding, NotCopied> {
    if plan.policy.rename.is_some() {
        return Err(NotCopied::RenamedPrefix);
    }
    let name = match plan.policy.naming {
        Naming::Identity => prefix.into(),
        Naming::Default => format!("{}{}{prefix}", plan.source, plan.policy.separator).into(),
    };
    Ok(AclBinding { name, pattern: PatternType::Prefixed, ..binding.clone() })
}

fn keeps_names(plan: &FlowPlan) -> bool {
    plan.policy.naming == Naming::Identity && plan.policy.rename.is_none()
}

/// What the target lacks.
pub(crate) fn missing(translated: &Translated, target: &BTreeSet<AclBinding>) -> Vec<AclBinding> {
    translated.wanted.keys().filter(|wanted| !target.contains(wanted)).cloned().collect()
}

/// What is to be removed: bindings that kmirror created (`owned`, each with the source's binding that asked for it),
/// that nothing asks for any more, and whose reason the source has no more. A filter made narrower removes nothing.
pub(crate) fn outdated(
    owned: &BTreeMap<AclBinding, AclBinding>,
    translated: &Translated,
    source: &BTreeSet<AclBinding>,
) -> Vec<AclBinding> {
    // A source without any rule is more likely one that was set up anew, or another cluster, than one where
    // everything was taken back.
    if source.is_empty() {
        return Vec::new();
    }
    let is_outdated = |(target, reason): &(&AclBinding, &AclBinding)| {
        !translated.wanted.contains_key(*target) && !source.contains(*reason)
    };
    owned.iter().filter(is_outdated).map(|(target, _)| target.clone()).collect()
}

#[cfg(test)]
mod tests;
