//! The names a policy never mirrors, as expressions for an automaton: the same rules as in the file above, so that
//! loops can be found without topics. What is found is tried with the rules themselves.

use super::{HEARTBEATS_TOPIC, InternalTopicRules, Naming, ReplicationPolicy};
use crate::filter::java_regex::escape;
use crate::plan::ClusterAlias;

impl ReplicationPolicy {
    /// Expressions for whole names; what they match is not mirrored to `target` under a name that the scheme alone
    /// decides.
    pub(crate) fn never_mirrored(&self, target: &ClusterAlias) -> Vec<String> {
        let internal = escape(self.internal_separator());
        let mut expressions = vec![
            "__.*".to_owned(),
            r"\..*".to_owned(),
            format!("mm2.*{internal}internal"),
            format!(".*{internal}checkpoints{internal}internal"),
        ];
        if self.internal_topics == InternalTopicRules::UpTo3 {
            expressions.push(format!(r".*(?:{internal}|\.|-)internal"));
        }
        match self.naming {
            Naming::Default => {
                let separator = escape(&self.separator);
                expressions.push(format!("(?:.*{separator})?{}{separator}.+", escape(target.as_str())));
            }
            // These are named as under the other scheme.
            Naming::Identity => expressions.push(format!(".*{HEARTBEATS_TOPIC}")),
        }
        expressions.extend(self.rename.as_ref().map(|rename| rename.expression().to_owned()));
        expressions
    }

    /// What the scheme puts before a name.
    pub(crate) fn prefix(&self) -> String {
        match self.naming {
            Naming::Default => format!("{}{}", self.source, self.separator),
            Naming::Identity => String::new(),
        }
    }
}
