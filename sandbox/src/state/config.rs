//! The settings of topics: Kafka's names, types and defaults (3.9, `TopicConfig` and `LogConfig`), and the few that the
//! sandbox acts upon. Pure.

use std::collections::BTreeMap;

use kmirror_protocol::wire::batch::{Codec, TimestampType};

/// What kind of value a setting takes. The numbers are those of DescribeConfigs (`DescribeConfigsResponse.ConfigType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    /// One of some words; described as a string.
    Word(&'static [&'static str]),
    Int,
    Long,
    Double,
    /// Words from a set, separated by commas.
    Words(&'static [&'static str]),
    /// Anything, separated by commas.
    List,
    String,
}

impl Kind {
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::Word(_) | Self::String => 2,
            Self::Int => 3,
            Self::Long => 5,
            Self::Double => 6,
            Self::Words(_) | Self::List => 7,
        }
    }

    fn accepts(self, value: &str) -> bool {
        match self {
            Self::Boolean => ["true", "false"].contains(&value.to_ascii_lowercase().as_str()),
            Self::Word(words) => words.contains(&value),
            Self::Int => value.trim().parse::<i32>().is_ok(),
            Self::Long => value.trim().parse::<i64>().is_ok(),
            Self::Double => value.trim().parse::<f64>().is_ok(),
            Self::Words(words) => value.split(',').all(|word| words.contains(&word.trim())),
            Self::List | Self::String => true,
        }
    }
}

/// One setting a topic can have.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: &'static str,
}

const fn setting(name: &'static str, kind: Kind, default: &'static str) -> Setting {
    Setting { name, kind, default }
}

const COMPRESSIONS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

/// All settings of a topic, by name.
pub(crate) const SETTINGS: &[Setting] = &[
    setting("cleanup.policy", Kind::Words(&["compact", "delete"]), "delete"),
    setting("compression.gzip.level", Kind::Int, "-1"),
    setting("compression.lz4.level", Kind::Int, "9"),
    setting("compression.type", Kind::Word(COMPRESSIONS), "producer"),
    setting("compression.zstd.level", Kind::Int, "3"),
    setting("delete.retention.ms", Kind::Long, "86400000"),
    setting("file.delete.delay.ms", Kind::Long, "60000"),
    setting("flush.messages", Kind::Long, "9223372036854775807"),
    setting("flush.ms", Kind::Long, "9223372036854775807"),
    setting("follower.replication.throttled.replicas", Kind::List, ""),
    setting("index.interval.bytes", Kind::Int, "4096"),
    setting("leader.replication.throttled.replicas", Kind::List, ""),
    setting("local.retention.bytes", Kind::Long, "-2"),
    setting("local.retention.ms", Kind::Long, "-2"),
    setting("max.compaction.lag.ms", Kind::Long, "9223372036854775807"),
    setting("max.message.bytes", Kind::Int, "1048588"),
    setting("message.downconversion.enable", Kind::Boolean, "true"),
    setting("message.format.version", Kind::String, "3.0-IV1"),
    setting("message.timestamp.after.max.ms", Kind::Long, "9223372036854775807"),
    setting("message.timestamp.before.max.ms", Kind::Long, "9223372036854775807"),
    setting("message.timestamp.difference.max.ms", Kind::Long, "9223372036854775807"),
    setting("message.timestamp.type", Kind::Word(&["CreateTime", "LogAppendTime"]), "CreateTime"),
    setting("min.cleanable.dirty.ratio", Kind::Double, "0.5"),
    setting("min.compaction.lag.ms", Kind::Long, "0"),
    setting("min.insync.replicas", Kind::Int, "1"),
    setting("preallocate", Kind::Boolean, "false"),
    setting("remote.storage.enable", Kind::Boolean, "false"),
    setting("retention.bytes", Kind::Long, "-1"),
    setting("retention.ms", Kind::Long, "604800000"),
    setting("segment.bytes", Kind::Int, "1073741824"),
    setting("segment.index.bytes", Kind::Int, "10485760"),
    setting("segment.jitter.ms", Kind::Long, "0"),
    setting("segment.ms", Kind::Long, "604800000"),
    setting("unclean.leader.election.enable", Kind::Boolean, "false"),
];

/// The settings a topic has of its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct TopicConfigs {
    values: BTreeMap<&'static str, String>,
}

/// What an append has to keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AppendRules {
    pub(crate) max_message_bytes: i64,
    pub(crate) timestamps: TimestampType,
    pub(crate) timestamp_before_max_ms: i64,
    pub(crate) timestamp_after_max_ms: i64,
    pub(crate) compacted: bool,
    /// The codec the broker stores in; `None` for the producer's.
    pub(crate) codec: Option<Codec>,
}

pub(crate) fn find_setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

impl TopicConfigs {
    /// Sets `name`; the error is the reason why it cannot have that value, in the broker's words.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let setting = find_setting(name).ok_or_else(|| format!("Unknown topic config name: {name}"))?;
        if !setting.kind.accepts(value) {
            return Err(format!("Invalid value {value} for configuration {name}"));
        }
        self.values.insert(setting.name, value.to_owned());
        Ok(())
    }

    /// Back to the default.
    pub(crate) fn unset(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// The topic's own value.
    pub(crate) fn own(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// All of the topic's own values.
    pub(crate) fn all_own(&self) -> Vec<(String, String)> {
        self.values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    /// The value in force; empty for a name that is none.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.own(name).or_else(|| find_setting(name).map(|setting| setting.default)).unwrap_or_default()
    }

    pub(crate) fn number(&self, name: &str) -> i64 {
        self.value(name).trim().parse().unwrap_or(i64::MAX)
    }

    pub(crate) fn append_rules(&self) -> AppendRules {
        AppendRules {
            max_message_bytes: self.number("max.message.bytes"),
            timestamps: match self.value("message.timestamp.type") {
                "LogAppendTime" => TimestampType::LogAppend,
                _ => TimestampType::Create,
            },
            timestamp_before_max_ms: self.number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: self.number("message.timestamp.after.max.ms"),
            compacted: self.value("cleanup.policy").split(',').any(|policy| policy.trim() == "compact"),
            codec: Codec::from_name(self.value("compression.type")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_the_setting_accepts() {
        for setting in SETTINGS {
            assert!(setting.kind.accepts(setting.default), "{}", setting.name);
        }
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.name));
    }

    #[test]
    fn refuses_unknown_names_and_wrong_values() {
        let mut configs = TopicConfigs::default();
        assert!(configs.set("retention.hours", "1").is_err());
        assert!(configs.set("retention.ms", "soon").is_err());
        assert!(configs.set("cleanup.policy", "compact,shred").is_err());
        assert_eq!(configs.set("cleanup.policy", "compact, delete"), Ok(()));
        assert!(configs.append_rules().compacted);
        configs.unset("cleanup.policy");
        assert!(!configs.append_rules().compacted);
    }

    #[test]
    fn rules_follow_the_values() {
        let mut configs = TopicConfigs::default();
        configs.set("compression.type", "zstd").unwrap();
        configs.set("message.timestamp.type", "LogAppendTime").unwrap();
        configs.set("max.message.bytes", "100").unwrap();
        let rules = configs.append_rules();
        assert_eq!((rules.codec, rules.max_message_bytes), (Some(Codec::Zstd), 100));
        assert_eq!(rules.timestamps, TimestampType::LogAppend);
        assert_eq!(TopicConfigs::default().append_rules().codec, None);
    }
}
