use std::collections::BTreeMap;

use super::*;

#[test]
fn a_name_has_one_meaning_in_one_place() {
    let mut seen: BTreeMap<&str, Vec<Scope>> = BTreeMap::new();
    for opt in options() {
        for name in std::iter::once(&opt.name).chain(opt.older_names) {
            let scopes = seen.entry(name).or_default();
            assert!(!scopes.contains(&opt.scope), "{name} twice");
            scopes.push(opt.scope);
        }
    }
}

#[test]
fn options_with_an_effect_are_described() {
    for opt in options().filter(|opt| opt.status == Status::Used) {
        assert!(opt.doc.ends_with('.'), "{}", opt.name);
        assert!(!opt.since.is_empty(), "{}", opt.name);
    }
}

#[test]
fn exact_names_come_before_families() {
    assert_eq!(named("offset.storage.topic").next().map(|opt| opt.name), Some("offset.storage.topic"));
    assert_eq!(named("offset.storage.segment.bytes").next().map(|opt| opt.name), Some("offset.storage.*"));
    assert_eq!(named("topics.blacklist").next().map(|opt| opt.name), Some("topics.exclude"));
    assert_eq!(named("nonsense").next(), None);
}

/// The keys of `ConsumerConfig`, `ProducerConfig`, `AdminClientConfig`, `DistributedConfig`, `MirrorMakerConfig` and the
/// three connectors in Kafka 3.9.1 and 4.3.0, as their classes list them.
#[test]
fn every_key_of_kafka_is_known() {
    let listed = include_str!("kafka_keys.txt");
    for key in listed.lines().filter(|line| !line.starts_with('#')) {
        assert!(named(key).next().is_some(), "{key}");
    }
}
