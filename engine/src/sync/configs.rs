//! Which settings a target topic is to have, and how they differ from those it has. Pure.
//!
//! The rules are those of MirrorMaker 2 (`MirrorSourceConnector.targetConfig`, `incrementalAlterConfigs`,
//! `DefaultConfigPropertyFilter`; KIP-876, KIP-894) with one difference: only what differs is sent.

use kmirror_protocol::client::admin::{ConfigChange, ConfigEntry, ConfigSource};

use crate::filter::ConfigPropertyFilter;

const MAX_MESSAGE_BYTES: &str = "max.message.bytes";

/// What the target topic is to have of each setting that the source tells of: a value of its own, or none.
///
/// Left out are settings that are secret, that cannot be changed, that stand in a broker's file, and those of
/// `config.properties.exclude`. One that has its default at the source has no value of its own at the target, unless
/// `use.defaults.from=source`.
pub(crate) fn wanted<'a>(
    source: &'a [ConfigEntry],
    filter: &'a ConfigPropertyFilter,
) -> impl Iterator<Item = ConfigChange> + 'a {
    let taken = |entry: &&ConfigEntry| {
        let changeable = !entry.sensitive && !entry.read_only && entry.source != ConfigSource::StaticBroker;
        changeable && filter.takes(&entry.name, false)
    };
    source.iter().filter(taken).filter_map(|entry| {
        let name = entry.name.clone();
        if filter.takes(&name, entry.source == ConfigSource::Default) {
            Some(ConfigChange { name, value: Some(entry.value.clone()?) })
        } else {
            Some(ConfigChange { name, value: None })
        }
    })
}

/// What a topic is created with.
pub(crate) fn at_creation(source: &[ConfigEntry], filter: &ConfigPropertyFilter) -> Vec<(String, String)> {
    let set = |change: ConfigChange| Some((change.name.to_string(), change.value?.to_string()));
    wanted(source, filter).filter_map(set).collect()
}

/// What has to be done at the target.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// What to change.
    pub(crate) changes: Vec<ConfigChange>,
    /// Settings that the target does not know.
    pub(crate) unknown: Vec<ConfigChange>,
}

/// Compares what a topic is to have with what the target says it has. With `keeps_larger_limit` a `max.message.bytes`
/// that was raised there stays: kmirror itself may have done it (`kmirror.raise.max.message.bytes`).
pub(crate) fn difference(
    wanted: impl Iterator<Item = ConfigChange>,
    target: &[ConfigEntry],
    keeps_larger_limit: bool,
) -> Difference {
    let mut difference = Difference::default();
    for change in wanted {
        let Some(entry) = target.iter().find(|entry| entry.name == change.name) else {
            if change.value.is_some() {
                difference.unknown.push(change);
            }
            continue;
        };
        let own = entry.source == ConfigSource::Topic;
        let differs = if change.value.is_some() { !own || entry.value != change.value } else { own };
        let kept =
            keeps_larger_limit && *change.name == *MAX_MESSAGE_BYTES && own && !is_larger(&change, entry);
        // A value that the target keeps secret cannot be compared.
        if differs && !kept && !entry.sensitive {
            difference.changes.push(change);
        }
    }
    difference
}

/// Whether a change makes a number larger than it is.
fn is_larger(change: &ConfigChange, entry: &ConfigEntry) -> bool {
    let number = |value: Option<&str>| value.and_then(|value| value.parse::<i64>().ok());
    number(change.value.as_deref()) > number(entry.value.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::origin::Origin;
    use crate::filter::PatternList;

    fn entry(name: &str, value: &str, source: ConfigSource) -> ConfigEntry {
        ConfigEntry {
            name: name.into(),
            value: Some(value.into()),
            source,
            sensitive: false,
            read_only: false,
        }
    }

    fn filter(use_source_defaults: bool) -> ConfigPropertyFilter {
        let excluded = ["min\\.insync\\.replicas".to_owned()];
        let exclude =
            PatternList::compile(&excluded, &Origin::Default { key: "config.properties.exclude" }).unwrap();
        ConfigPropertyFilter { exclude, use_source_defaults }
    }

    fn change(name: &str, value: Option<&str>) -> ConfigChange {
        ConfigChange { name: name.into(), value: value.map(Into::into) }
    }

    fn source() -> Vec<ConfigEntry> {
        vec![
            entry("retention.ms", "1000", ConfigSource::Topic),
            entry("segment.bytes", "99", ConfigSource::DynamicBroker),
            entry("retention.bytes", "77", ConfigSource::StaticBroker),
            entry("cleanup.policy", "delete", ConfigSource::Default),
            entry("min.insync.replicas", "2", ConfigSource::Topic),
            ConfigEntry { sensitive: true, ..entry("secret", "x", ConfigSource::Topic) },
            ConfigEntry { read_only: true, ..entry("fixed", "x", ConfigSource::Topic) },
        ]
    }

    #[test]
    fn defaults_are_the_targets_or_the_sources() {
        let of = |from_source| wanted(&source(), &filter(from_source)).collect::<Vec<_>>();
        let own = [change("retention.ms", Some("1000")), change("segment.bytes", Some("99"))];
        assert_eq!(of(false), [&own[..], &[change("cleanup.policy", None)]].concat());
        assert_eq!(of(true), [&own[..], &[change("cleanup.policy", Some("delete"))]].concat());
        let created = at_creation(&source(), &filter(false));
        let expected = [("retention.ms", "1000"), ("segment.bytes", "99")];
        assert_eq!(created, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    fn differs(wanted: &[ConfigChange], target: &[ConfigEntry]) -> Difference {
        difference(wanted.iter().cloned(), target, true)
    }

    #[test]
    fn only_what_differs_is_sent() {
        let wanted = [change("a", Some("1")), change("b", Some("2")), change("c", None), change("d", None)];
        let same = [
            entry("a", "1", ConfigSource::Topic),
            entry("b", "2", ConfigSource::Topic),
            entry("c", "5", ConfigSource::Default),
            entry("d", "5", ConfigSource::StaticBroker),
            entry("foreign", "5", ConfigSource::Topic),
        ];
        assert_eq!(differs(&wanted, &same), Difference::default());
        let other = [
            entry("a", "9", ConfigSource::Topic),
            entry("b", "2", ConfigSource::Default),
            entry("c", "5", ConfigSource::Topic),
            entry("d", "5", ConfigSource::DynamicBroker),
        ];
        let changes = vec![change("a", Some("1")), change("b", Some("2")), change("c", None)];
        assert_eq!(differs(&wanted, &other), Difference { changes, unknown: Vec::new() });
    }

    #[test]
    fn what_the_target_does_not_know_is_told_apart() {
        let found = differs(&[change("new", Some("1")), change("old", None)], &[]);
        assert_eq!(found, Difference { changes: Vec::new(), unknown: vec![change("new", Some("1"))] });
    }

    #[test]
    fn a_raised_limit_stays() {
        let target = [entry(MAX_MESSAGE_BYTES, "3000000", ConfigSource::Topic)];
        for value in [None, Some("2000000")] {
            let wanted = [change(MAX_MESSAGE_BYTES, value)];
            assert_eq!(differs(&wanted, &target), Difference::default());
            assert_eq!(difference(wanted.iter().cloned(), &target, false).changes, wanted);
        }
        let more = [change(MAX_MESSAGE_BYTES, Some("4000000"))];
        assert_eq!(differs(&more, &target).changes, more);
    }
}
