//! What a target topic demands of batches, read from its settings. Asks nobody.

use kmirror_protocol::client::admin::{ConfigEntry, config_value};
use kmirror_protocol::wire::batch::Codec;

use crate::flow::rewrite::{TargetRules, TimestampRules};

/// What a topic's settings demand.
pub(crate) fn rules_from(config: &[ConfigEntry]) -> TargetRules {
    let value = |name: &str| config_value(config, name);
    let codec = match value("compression.type") {
        None | Some("producer") => None,
        Some("uncompressed") => Some(Codec::None),
        Some(name) => Codec::from_name(name),
    };
    let level = codec.and_then(|codec| value(&format!("compression.{}.level", codec.name()))?.parse().ok());
    let keeps_create_time = value("message.timestamp.type") != Some("LogAppendTime");
    // One setting for both directions before Kafka 3.6.
    let limit = |name| {
        let limit = value(name).or_else(|| value("message.timestamp.difference.max.ms"));
        limit.and_then(|limit| limit.parse().ok()).unwrap_or(i64::MAX)
    };
    let timestamps = TimestampRules {
        before_ms: limit("message.timestamp.before.max.ms"),
        after_ms: limit("message.timestamp.after.max.ms"),
    };
    let checked = keeps_create_time && timestamps.before_ms.min(timestamps.after_ms) < i64::MAX;
    let number = |name| value(name).and_then(|value| value.parse().ok());
    let default = TargetRules::default();
    TargetRules {
        max_batch_bytes: number("max.message.bytes").unwrap_or(default.max_batch_bytes),
        keeps_create_time,
        codec,
        level,
        timestamps: checked.then_some(timestamps),
        min_in_sync: number("min.insync.replicas").unwrap_or(default.min_in_sync),
        ..default
    }
}
