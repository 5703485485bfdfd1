//! Which topics and which topic settings a flow takes, and why.
//!
//! The patterns are Java regular expressions in Kafka's comma lists, as MirrorMaker 2's `DefaultTopicFilter` and
//! `DefaultConfigPropertyFilter` read them. Pure: knows neither clusters nor the option table.

pub mod java_regex;
pub(crate) mod language;
mod patterns;

use std::fmt;

pub use java_regex::PatternError;
pub use patterns::{PatternList, Rule};

use crate::config::origin::Origin;

/// Why a name is in or out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Selected by this rule.
    In(&'a Rule),
    /// No rule of the include list matches; the list comes from here.
    NotIncluded(&'a Origin),
    /// Matched by this rule of the exclude list, which wins over the include list.
    Excluded(&'a Rule),
    /// Matching this rule took more steps than allowed, so the name is left out.
    TooCostly(&'a Rule),
}

impl Verdict<'_> {
    /// Whether the name is selected.
    pub fn is_in(self) -> bool {
        matches!(self, Self::In(_))
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(rule) => write!(f, "selected by {rule}"),
            Self::NotIncluded(origin) => write!(f, "not selected by any pattern ({origin})"),
            Self::Excluded(rule) => write!(f, "excluded by {rule}"),
            Self::TooCostly(rule) => write!(f, "left out: matching takes too many steps with {rule}"),
        }
    }
}

/// The topics of a flow: `topics` without `topics.exclude` (`DefaultTopicFilter`).
#[derive(Debug, Clone)]
pub struct TopicFilter {
    /// `topics`
    pub include: PatternList,
    /// `topics.exclude`
    pub exclude: PatternList,
}

impl TopicFilter {
    /// Whether a topic is selected by its name alone, and by which rule.
    ///
    /// The replication policy has a say too (internal topics, cycles): see `FlowPlan::decide`.
    pub fn decide(&self, topic: &str) -> Verdict<'_> {
        match self.exclude.find(topic) {
            Ok(Some(rule)) => return Verdict::Excluded(rule),
            Ok(None) => {}
            Err(rule) => return Verdict::TooCostly(rule),
        }
        match self.include.find(topic) {
            Ok(Some(rule)) => Verdict::In(rule),
            Ok(None) => Verdict::NotIncluded(self.include.origin()),
            Err(rule) => Verdict::TooCostly(rule),
        }
    }
}

/// The topic settings that go to the target: all but `config.properties.exclude` (`DefaultConfigPropertyFilter`).
#[derive(Debug, Clone)]
pub struct ConfigPropertyFilter {
    /// `config.properties.exclude`
    pub exclude: PatternList,
    /// `use.defaults.from=source` (KIP-876): settings that are at the source's default are set at the target too,
    /// instead of being left to the target's own default.
    pub use_source_defaults: bool,
}

impl ConfigPropertyFilter {
    /// Whether a setting goes to the target. `is_default` says that the source topic does not set it itself.
    pub fn takes(&self, property: &str, is_default: bool) -> bool {
        (!is_default || self.use_source_defaults) && matches!(self.exclude.find(property), Ok(None))
    }
}

#[cfg(test)]
mod tests;
