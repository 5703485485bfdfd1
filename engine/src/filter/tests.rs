use super::*;

fn list(items: &[&str]) -> PatternList {
    let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
    PatternList::compile(&items, &Origin::Default { key: "topics" }).unwrap()
}

/// The entry that matches.
fn found<'a>(list: &'a PatternList, name: &str) -> Option<&'a str> {
    list.find(name).unwrap().map(|rule| &*rule.pattern)
}

#[test]
fn which_entry_matches() {
    let list = list(&["orders", "b.c", "x.*", "orders"]);
    assert_eq!(found(&list, "orders"), Some("orders"));
    assert_eq!(found(&list, "orders2"), None);
    // A dot is any character, in a name too.
    assert_eq!(found(&list, "bxc"), Some("b.c"));
    assert_eq!(found(&list, "xy"), Some("x.*"));
    assert_eq!(found(&list, "ax"), None);
}

#[test]
fn an_empty_list_matches_nothing_and_a_star_everything() {
    assert_eq!(found(&list(&[]), "a"), None);
    assert_eq!(found(&list(&[".*"]), "a"), Some(".*"));
    assert!(list(&[]).matches_nothing());
    assert!(list(&[""]).matches_nothing());
    assert!(!list(&[".*"]).matches_nothing());
}

#[test]
fn groups_around_commas() {
    // Java sees the entries joined by `|`.
    let list = list(&["(a", "b)-x"]);
    assert_eq!(found(&list, "a-x"), Some("(a|b)-x"));
    assert_eq!(found(&list, "b-x"), Some("(a|b)-x"));
    assert_eq!(found(&list, "a"), None);
    let errors =
        PatternList::compile(&["(a".into(), "b".into()], &Origin::Default { key: "topics" }).unwrap_err();
    assert_eq!(errors[0].0, "(a");
}

#[test]
fn flags_go_on_to_the_end_of_the_list() {
    let list = list(&["a", "(?i)b", "c"]);
    assert_eq!(found(&list, "C"), Some("c"));
    assert_eq!(found(&list, "A"), None);
}

#[test]
fn a_pattern_that_takes_too_many_steps_selects_nothing() {
    let costly = TopicFilter { include: list(&[".*"]), exclude: list(&["(?:(a+)\\1?)+b"]) };
    let name = "a".repeat(60);
    assert!(matches!(costly.decide(&name), Verdict::TooCostly(_)));
    assert!(costly.decide("x").is_in());
}

#[test]
fn excluding_wins() {
    let filter = TopicFilter { include: list(&["a.*"]), exclude: list(&["ab"]) };
    assert!(filter.decide("aa").is_in());
    assert!(matches!(filter.decide("ab"), Verdict::Excluded(rule) if &*rule.pattern == "ab"));
    assert!(matches!(filter.decide("b"), Verdict::NotIncluded(_)));
}

#[test]
fn settings_at_the_sources_default() {
    let mut filter =
        ConfigPropertyFilter { exclude: list(&["min\\.insync\\.replicas"]), use_source_defaults: false };
    assert!(filter.takes("retention.ms", false));
    assert!(!filter.takes("retention.ms", true));
    assert!(!filter.takes("min.insync.replicas", false));
    filter.use_source_defaults = true;
    assert!(filter.takes("retention.ms", true));
    assert!(!filter.takes("min.insync.replicas", true));
}
