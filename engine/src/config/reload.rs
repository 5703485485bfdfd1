//! What a changed file means for a mirror that runs: limits change, everything else needs a restart.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::{MAX_BYTES_PER_SECOND, Opt, TOPIC_MAX_BYTES_PER_SECOND};
use super::properties;

/// The options that may change while a mirror runs.
pub static CHANGEABLE: [&Opt; 2] = [&MAX_BYTES_PER_SECOND, &TOPIC_MAX_BYTES_PER_SECOND];

/// The keys that differ between two texts and have no effect before a restart, in order.
pub fn keys_that_need_a_restart(running: &str, present: &str) -> Vec<String> {
    let (running, present) = (settings(running), settings(present));
    let keys: BTreeSet<&String> = running.keys().chain(present.keys()).collect();
    let differs = |key: &&String| running.get(*key) != present.get(*key) && !is_changeable(key);
    keys.into_iter().filter(differs).cloned().collect()
}

/// Of keys that stand there more than once the last counts.
fn settings(text: &str) -> BTreeMap<String, String> {
    let entries = properties::parse(text).entries.into_iter();
    entries.map(|entry| (entry.key, entry.value.trim().to_owned())).collect()
}

fn is_changeable(key: &str) -> bool {
    CHANGEABLE.iter().any(|opt| {
        let before = key.strip_suffix(opt.name);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_may_change_and_nothing_else() {
        let running = "clusters = A, B\nA->B.topics = a.*\nA->B.kmirror.max.bytes.per.second = 1m\n\
                       B.ssl.key.password = old\n";
        let limits = "clusters = A, B\nA->B.topics=a.*   \nkmirror.topic.max.bytes.per.second = a=1\n\
                      A->B.kmirror.max.bytes.per.second = 2m\nB.ssl.key.password = old\n";
        assert!(keys_that_need_a_restart(running, limits).is_empty());
        let more = "clusters = A, B\nA->B.topics = b.*\nA->B.topics = c.*\nB.ssl.key.password = new\ntasks.max = 2\n";
        let keys = keys_that_need_a_restart(running, more);
        assert_eq!(keys, ["A->B.topics", "B.ssl.key.password", "tasks.max"]);
    }

    #[test]
    fn a_key_that_only_ends_alike_is_another() {
        let keys = keys_that_need_a_restart("", "xkmirror.max.bytes.per.second = 1\n");
        assert_eq!(keys, ["xkmirror.max.bytes.per.second"]);
    }
}
