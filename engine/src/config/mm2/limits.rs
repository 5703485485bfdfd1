//! The limits of a flow and of its topics.

use std::num::NonZeroU64;

use super::reader::{Reader, Sourced, memory};
use super::settings::{FlowName, flow_places};
use crate::config::keys;
use crate::config::origin::Origin;
use crate::config::problem::Problem;
use crate::filter::PatternList;
use crate::plan::{LimitPlan, TopicLimit};

impl Reader<'_> {
    pub(super) fn limits(&mut self, flow: &FlowName) -> LimitPlan {
        let all = self.int(&flow_places(flow), &keys::MAX_BYTES_PER_SECOND);
        let Sourced { value: items, origin } =
            self.list(&flow_places(flow), &keys::TOPIC_MAX_BYTES_PER_SECOND);
        let topics = items.iter().filter_map(|item| self.topic_limit(item, &origin)).collect();
        LimitPlan { flow: NonZeroU64::new(all), topics }
    }

    /// `pattern=bytes`. A pattern may hold an `=` itself: the last one counts.
    fn topic_limit(&mut self, item: &str, origin: &Origin) -> Option<TopicLimit> {
        let parts = item.rsplit_once('=').and_then(|(pattern, bytes)| {
            let bytes = memory(bytes.trim()).and_then(|bytes| u64::try_from(bytes).ok())?;
            Some((pattern.trim().to_owned(), bytes))
        });
        let Some((pattern, bytes)) = parts.filter(|(pattern, _)| !pattern.is_empty()) else {
            let expected = "`pattern=bytes`, with `k`, `m` or `g` behind the number if you like".to_owned();
            let problem = Problem::BadValue { value: format!("`{item}`"), expected };
            self.error(Some(origin.clone()), problem, None);
            return None;
        };
        match PatternList::compile(&[pattern], origin) {
            Ok(topics) => Some(TopicLimit { topics, bytes_per_second: NonZeroU64::new(bytes) }),
            Err(errors) => {
                for (pattern, error) in errors {
                    self.error(Some(origin.clone()), Problem::BadPattern { pattern, error }, None);
                }
                None
            }
        }
    }
}
