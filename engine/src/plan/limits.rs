//! How much a flow may carry, and single topics of it.

use std::num::NonZeroU64;

use crate::filter::PatternList;

/// A flow's limits, in bytes of record batches a second as they lie at the source. Each process keeps them for itself.
#[derive(Debug, Clone, Default)]
pub struct LimitPlan {
    /// `kmirror.max.bytes.per.second`: all topics together; none for no limit.
    pub flow: Option<NonZeroU64>,
    /// `kmirror.topic.max.bytes.per.second`: of the patterns that match a topic the first counts.
    pub topics: Vec<TopicLimit>,
}

/// The limit of each topic whose name matches.
#[derive(Debug, Clone)]
pub struct TopicLimit {
    /// Which topics.
    pub topics: PatternList,
    /// For each of them; none for no limit.
    pub bytes_per_second: Option<NonZeroU64>,
}

impl LimitPlan {
    /// The limit of a source topic.
    pub fn topic(&self, name: &str) -> Option<NonZeroU64> {
        let matches = |limit: &&TopicLimit| matches!(limit.topics.find(name), Ok(Some(_)));
        self.topics.iter().find(matches)?.bytes_per_second
    }

    /// The limits in words, as the file would say them.
    pub fn describe(&self) -> String {
        let rate = |rate: Option<NonZeroU64>| rate.map_or(0, NonZeroU64::get);
        let topics = self.topics.iter().map(|limit| {
            let patterns: Vec<&str> = limit.topics.rules().iter().map(|rule| &*rule.pattern).collect();
            format!(", {}={}", patterns.join("|"), rate(limit.bytes_per_second))
        });
        match self.flow {
            Some(flow) => format!("{flow} bytes a second{}", topics.collect::<String>()),
            None => format!("no limit of the flow{}", topics.collect::<String>()),
        }
    }
}
