use proptest::prelude::*;

use super::*;

fn policy(naming: Naming, separator: &str, internal_topics: InternalTopicRules) -> ReplicationPolicy {
    ReplicationPolicy {
        naming,
        source: ClusterAlias::new("us"),
        separator: separator.into(),
        separates_internal_topics: true,
        internal_topics,
        rename: None,
    }
}

fn default_policy() -> ReplicationPolicy {
    policy(Naming::Default, ".", InternalTopicRules::Since4)
}

fn identity_policy() -> ReplicationPolicy {
    policy(Naming::Identity, ".", InternalTopicRules::Since4)
}

fn eu() -> ClusterAlias {
    ClusterAlias::new("eu")
}

/// What `DefaultReplicationPolicy` of Kafka 4.3.0 said: topic, source, upstream topic, original topic, a cycle to eu.
#[test]
fn default_policy_as_mirror_maker_has_it() {
    let policy = default_policy();
    for (topic, source, upstream, original, cycle) in [
        ("orders", None, None, "orders", false),
        ("eu.orders", Some("eu"), Some("orders"), "orders", true),
        ("us.eu.orders", Some("us"), Some("eu.orders"), "orders", true),
        ("a.b.c", Some("a"), Some("b.c"), "c", false),
        ("eu.", None, None, "eu.", false),
        ("eu..", None, None, "eu..", false),
        (".eu.t", Some(""), Some("eu.t"), "t", true),
        ("us.eu.", Some("us"), Some("eu."), "eu.", false),
        ("us.heartbeats", Some("us"), Some("heartbeats"), "heartbeats", false),
    ] {
        assert_eq!(policy.topic_source(topic), source, "{topic}");
        assert_eq!(policy.upstream_topic(topic), upstream, "{topic}");
        assert_eq!(policy.original_topic(topic), original, "{topic}");
        assert_eq!(policy.is_cycle(topic, &eu()), cycle, "{topic}");
        assert_eq!(policy.target_topic(topic), format!("us.{topic}"));
    }
}

#[test]
fn identity_policy_as_mirror_maker_has_it() {
    let policy = identity_policy();
    for topic in ["orders", "eu.orders", "a.b.c"] {
        assert_eq!(policy.target_topic(topic), topic);
        assert_eq!(policy.topic_source(topic), Some("us"));
        assert_eq!(policy.upstream_topic(topic), Some(topic));
        assert_eq!(policy.original_topic(topic), topic);
        assert!(!policy.is_cycle(topic, &eu()));
    }
    // What ends like the heartbeats topic is named as by the other policy.
    for (topic, target, source, cycle) in [
        ("heartbeats", "us.heartbeats", None, false),
        ("eu.heartbeats", "us.eu.heartbeats", Some("eu"), true),
        ("myheartbeats", "us.myheartbeats", None, false),
    ] {
        assert_eq!(policy.target_topic(topic), target);
        assert_eq!(policy.topic_source(topic), source);
        assert_eq!(policy.is_cycle(topic, &eu()), cycle, "{topic}");
    }
}

#[test]
fn internal_topics_of_both_generations() {
    let up_to_3 = policy(Naming::Default, ".", InternalTopicRules::UpTo3);
    let since_4 = default_policy();
    for (topic, before, since) in [
        ("orders", false, false),
        ("__consumer_offsets", true, true),
        (".hidden", true, true),
        ("mm2-offsets.us.internal", true, true),
        ("us.checkpoints.internal", true, true),
        ("mm2internal", false, false),
        ("billing.internal", true, false),
        ("billing-internal", true, false),
        ("heartbeats", false, false),
    ] {
        assert_eq!(up_to_3.internal_topic(topic).is_some(), before, "{topic}");
        assert_eq!(since_4.internal_topic(topic).is_some(), since, "{topic}");
    }
}

#[test]
fn names_of_internal_topics() {
    let mut policy = policy(Naming::Default, "_", InternalTopicRules::Since4);
    assert_eq!(policy.offset_syncs_topic(&eu()), "mm2-offset-syncs_eu_internal");
    assert_eq!(policy.checkpoints_topic(&eu()), "eu_checkpoints_internal");
    assert!(policy.internal_topic("mm2-offset-syncs_eu_internal").is_some());
    policy.separates_internal_topics = false;
    assert_eq!(policy.offset_syncs_topic(&eu()), "mm2-offset-syncs.eu.internal");
    assert_eq!(policy.checkpoints_topic(&eu()), "eu.checkpoints.internal");
    assert!(policy.internal_topic("mm2-offset-syncs_eu_internal").is_none());
}

#[test]
fn heartbeats_here_and_mirrored() {
    let policy = default_policy();
    for (topic, is) in
        [("heartbeats", true), ("eu.heartbeats", true), ("us.eu.heartbeats", true), ("xheartbeats", false)]
    {
        assert_eq!(policy.is_heartbeats_topic(topic), is, "{topic}");
    }
}

#[test]
fn an_alias_with_the_separator_in_it_is_no_way_round_the_cycle_check() {
    let target = ClusterAlias::new("eu.west");
    let policy = default_policy();
    assert!(policy.is_cycle("eu.west.orders", &target));
    assert!(policy.is_cycle("us.eu.west.orders", &target));
    assert!(!policy.is_cycle("eu.westward.orders", &target));
    assert!(!policy.is_cycle("eu.west", &target));
}

#[test]
fn renames() {
    for (pattern, replacement, topic, renamed) in [
        ("prod-(.*)", "$1", "prod-orders", Some("orders")),
        ("prod-(.*)", "$1", "xprod-orders", None),
        ("(?<a>.*)-(?<b>.*)", "${b}.${a}", "x-y", Some("y.x")),
        ("(a)(b)?", "[$2$1]", "a", Some("[a]")),
        ("(a)", "$12", "a", Some("a2")),
        ("(.*)", r"\$$1\\", "a", Some(r"$a\")),
        (".*", "$0-copy", "a", Some("a-copy")),
        ("a", "", "a", Some("")),
    ] {
        let rename = Rename::compile(pattern, replacement).unwrap();
        assert_eq!(rename.apply(topic).as_deref(), renamed, "{pattern} {replacement}");
    }
}

#[test]
fn renames_that_cannot_be() {
    let error = |replacement: &str| Rename::compile("(a)", replacement).unwrap_err();
    assert_eq!(error("x$"), RenameError::BadReference { at: 2 });
    assert_eq!(error("$x"), RenameError::BadReference { at: 1 });
    assert_eq!(error("${}"), RenameError::BadReference { at: 1 });
    assert_eq!(error("${x"), RenameError::BadReference { at: 1 });
    assert_eq!(error("x\\"), RenameError::BadReference { at: 2 });
    assert_eq!(error("$2"), RenameError::NoSuchGroup { group: "2".into() });
    assert_eq!(error("${x}"), RenameError::NoSuchGroup { group: "x".into() });
    assert!(matches!(Rename::compile("(", "x"), Err(RenameError::Pattern(_))));
}

#[test]
fn a_rename_comes_before_the_scheme_and_leaves_heartbeats_alone() {
    let rename = Rename::compile("(a.*|.*heartbeats)", "new.$1").unwrap();
    let policy = ReplicationPolicy { rename: Some(rename), ..default_policy() };
    assert_eq!(policy.target_topic("abc"), "new.abc");
    assert_eq!(policy.target_topic("xyz"), "us.xyz");
    assert_eq!(policy.target_topic("heartbeats"), "us.heartbeats");
}

#[test]
fn legal_topic_names() {
    for name in ["a", "a.b_c-D9", "..a", &"x".repeat(TOPIC_NAME_MAX)] {
        assert!(is_legal_topic_name(name), "{name}");
    }
    for name in ["", ".", "..", "a b", "ä", "a/b", "a#", &"x".repeat(TOPIC_NAME_MAX + 1)] {
        assert!(!is_legal_topic_name(name), "{name}");
    }
}

proptest! {
    /// What is mirrored once is known as mirrored, and is never mirrored back.
    #[test]
    fn a_mirrored_topic_tells_where_it_came_from(topic in "[a-z][a-z.]{0,10}", separator in "[._-]{1,2}") {
        let policy = policy(Naming::Default, &separator, InternalTopicRules::Since4);
        let target_topic = policy.target_topic(&topic);
        prop_assume!(topic.split(separator.as_str()).any(|part| !part.is_empty()));
        prop_assert_eq!(policy.topic_source(&target_topic), Some("us"));
        prop_assert_eq!(policy.upstream_topic(&target_topic), Some(topic.as_str()));
        prop_assert!(policy.is_cycle(&target_topic, &ClusterAlias::new("us")));
    }

    #[test]
    fn any_name_gives_an_answer(topic in ".{0,30}", separator in "[._-]{1,3}") {
        for naming in [Naming::Default, Naming::Identity] {
            let policy = policy(naming, &separator, InternalTopicRules::UpTo3);
            policy.is_cycle(&topic, &eu());
            policy.is_heartbeats_topic(&topic);
            policy.internal_topic(&topic);
        }
    }

    #[test]
    fn any_rename_gives_an_answer(pattern in "[a-c().*]{0,8}", replacement in "[a$1{}\\\\]{0,8}", topic in "[a-c]{0,6}") {
        if let Ok(rename) = Rename::compile(&pattern, &replacement) {
            rename.apply(&topic);
        }
    }
}
