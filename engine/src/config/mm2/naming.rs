//! Which topics a flow takes and what they are called: filters and policy, with the errors only they can have.

use super::reader::{Reader, Sourced, comment_hint};
use super::settings::{FlowName, flow_places};
use crate::config::keys::{self, Opt};
use crate::config::origin::Origin;
use crate::config::problem::{Notice, Problem};
use crate::filter::{ConfigPropertyFilter, PatternError, PatternList, TopicFilter};
use crate::plan::ClusterAlias;
use crate::policy::{InternalTopicRules, Naming, Rename, ReplicationPolicy, is_legal_topic_name};

/// The package MirrorMaker 2's classes are in.
const PACKAGE: &str = "org.apache.kafka.connect.mirror.";
/// A widespread copy of `IdentityReplicationPolicy` from before Kafka had it.
const STRIMZI_IDENTITY: &str = "io.strimzi.kafka.connect.mirror.IdentityReplicationPolicy";

impl Reader<'_> {
    pub(super) fn topic_filter(&mut self, flow: &FlowName, rules: InternalTopicRules) -> TopicFilter {
        let exclude_default = match rules {
            InternalTopicRules::UpTo3 => keys::TOPICS_EXCLUDE_UP_TO_3,
            InternalTopicRules::Since4 => keys::TOPICS_EXCLUDE.default,
        };
        let include = self.patterns(flow, &keys::TOPICS, keys::TOPICS.default);
        let exclude = self.patterns(flow, &keys::TOPICS_EXCLUDE, exclude_default);
        self.check_matches_something(&include, true);
        self.check_matches_something(&exclude, false);
        TopicFilter { include, exclude }
    }

    pub(super) fn config_filter(&mut self, flow: &FlowName) -> ConfigPropertyFilter {
        let opt = &keys::CONFIG_PROPERTIES_EXCLUDE;
        let exclude = self.patterns(flow, opt, opt.default);
        let defaults_from = self.choice(&flow_places(flow), &keys::USE_DEFAULTS_FROM).value;
        ConfigPropertyFilter { exclude, use_source_defaults: defaults_from == "source" }
    }

    /// A list of patterns; an empty one where it cannot be compiled.
    pub(super) fn patterns(&mut self, flow: &FlowName, opt: &'static Opt, default: &str) -> PatternList {
        let Sourced { value: items, origin } = self.pattern_list(flow, opt, default);
        PatternList::compile(&items, &origin).unwrap_or_else(|errors| {
            for (pattern, error) in errors {
                let hint = comment_hint(&pattern).or_else(|| glob_hint(&pattern, &error));
                self.error(Some(origin.clone()), Problem::BadPattern { pattern, error }, hint);
            }
            PatternList::empty(&origin)
        })
    }

    /// Patterns that no topic name can match are mistakes; MirrorMaker 2 is silent about them.
    fn check_matches_something(&mut self, list: &PatternList, is_include: bool) {
        let Origin::Line { .. } = list.origin() else { return };
        let origin = || Some(list.origin().clone());
        let text = list.rules().iter().map(|rule| &*rule.pattern).collect::<Vec<_>>().join(",");
        let quoted = text.len() > 1
            && ['"', '\''].iter().any(|quote| text.starts_with(*quote) && text.ends_with(*quote));
        let hint = comment_hint(&text).or_else(|| quoted.then(|| unquoted_hint(&text)));
        if is_include && !text.is_empty() && list.matches_nothing() {
            return self.error(origin(), Problem::MatchesNothing { value: text }, hint);
        }
        if quoted {
            return self.notice(origin(), Notice::QuotedPattern, hint);
        }
        for pattern in list.entries_without_match() {
            let notice = Notice::MatchesNothing { pattern: pattern.to_owned() };
            self.notice(origin(), notice, comment_hint(pattern));
        }
    }

    pub(super) fn policy(&mut self, flow: &FlowName, rules: InternalTopicRules) -> ReplicationPolicy {
        let naming = self.naming(flow);
        let (separator, separates_internal_topics) = self.separator(flow);
        if !is_legal_topic_name(flow.source.as_str()) {
            self.error(None, Problem::IllegalAlias { alias: flow.source.to_string() }, None);
        }
        self.warn_of_separator_in_alias(&flow.source, &separator, naming);
        ReplicationPolicy {
            naming,
            source: flow.source.clone(),
            separator,
            separates_internal_topics,
            internal_topics: rules,
            rename: self.rename(flow),
        }
    }

    fn naming(&mut self, flow: &FlowName) -> Naming {
        let class = self.text(&flow_places(flow), &keys::POLICY_CLASS);
        match class.value.strip_prefix(PACKAGE).unwrap_or(&class.value) {
            "DefaultReplicationPolicy" => Naming::Default,
            "IdentityReplicationPolicy" | "LegacyReplicationPolicy" | STRIMZI_IDENTITY => Naming::Identity,
            _ => {
                let hint = format!(
                    "use DefaultReplicationPolicy, IdentityReplicationPolicy, or a rename of your own: `{}` and `{}`",
                    keys::RENAME_REGEX.name,
                    keys::RENAME_REPLACEMENT.name
                );
                self.error(Some(class.origin), Problem::ForeignClass { class: class.value }, Some(hint));
                Naming::Default
            }
        }
    }

    /// The separator, and whether internal topics have it too. The second is read only beside the first
    /// (`DefaultReplicationPolicy.configure`).
    fn separator(&mut self, flow: &FlowName) -> (String, bool) {
        let separator = self.text(&flow_places(flow), &keys::POLICY_SEPARATOR);
        let internal = self.flow_flag(flow, &keys::POLICY_INTERNAL_SEPARATOR);
        if separator.origin.file_line().is_none() {
            return (separator.value, true);
        }
        // With a letter in front, because `.` alone is no name.
        if separator.value.is_empty() || !is_legal_topic_name(&format!("a{}", separator.value)) {
            let expected =
                "one or more of the characters a topic name may have, such as `.`, `_` or `-`".to_owned();
            let value = format!("`{}`", separator.value);
            let hint = comment_hint(&separator.value);
            self.error(Some(separator.origin), Problem::BadValue { value, expected }, hint);
            return (keys::POLICY_SEPARATOR.default.to_owned(), true);
        }
        (separator.value, internal)
    }

    fn warn_of_separator_in_alias(&mut self, alias: &ClusterAlias, separator: &str, naming: Naming) {
        if naming == Naming::Default && alias.as_str().contains(separator) {
            let notice =
                Notice::SeparatorInAlias { alias: alias.to_string(), separator: separator.to_owned() };
            let hint = "MirrorMaker 2 and its tools cannot tell the alias from a topic's name; kmirror looks for \
                        the whole alias when it looks for cycles";
            self.notice(None, notice, Some(hint.to_owned()));
        }
    }

    fn rename(&mut self, flow: &FlowName) -> Option<Rename> {
        let (regex, replacement) = (&keys::RENAME_REGEX, &keys::RENAME_REPLACEMENT);
        let pattern = self.text_if_set(&flow_places(flow), regex);
        let new_name = self.text_if_set(&flow_places(flow), replacement);
        let (present, missing, origin) = match (pattern, new_name) {
            (Some(pattern), Some(new_name)) => {
                return Rename::compile(&pattern.value, &new_name.value)
                    .map_err(|error| self.error(Some(pattern.origin), Problem::BadRename { error }, None))
                    .ok();
            }
            (None, None) => return None,
            (Some(pattern), None) => (regex.name, replacement.name, pattern.origin),
            (None, Some(new_name)) => (replacement.name, regex.name, new_name.origin),
        };
        self.error(Some(origin), Problem::HalfARename { present, missing }, None);
        None
    }
}

/// `*.internal` is no expression but a file pattern; says what it would be as an expression.
fn glob_hint(pattern: &str, error: &PatternError) -> Option<String> {
    if !matches!(error, PatternError::Dangling { quantifier: '*' | '?', .. }) {
        return None;
    }
    let meant = as_written(&glob_to_expression(pattern));
    Some(format!("patterns are Java regular expressions; probably meant: `{meant}`"))
}

fn glob_to_expression(glob: &str) -> String {
    let mut expression = String::new();
    for character in glob.chars() {
        match character {
            '*' if expression.ends_with('.') && !expression.ends_with("\\.") => expression.push('*'),
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '.' => expression.push_str("\\."),
            other => expression.push(other),
        }
    }
    expression
}

/// An expression as it has to be written in a properties file, which takes single backslashes away.
fn as_written(expression: &str) -> String {
    expression.replace('\\', "\\\\")
}

/// What a list in quotes was probably meant to be.
fn unquoted_hint(text: &str) -> String {
    let bare = text.trim_matches(['"', '\'']);
    let items: Vec<String> = super::reader::split_list(bare)
        .into_iter()
        .map(|item| if item.starts_with('*') { glob_to_expression(&item) } else { item })
        .collect();
    format!(
        "in a properties file nothing takes quotes away; probably meant: `{}`",
        as_written(&items.join(","))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        assert_eq!(glob_to_expression("*.internal"), r".*\.internal");
        assert_eq!(glob_to_expression("*"), ".*");
        assert_eq!(glob_to_expression("?a*"), ".a.*");
        let dangling = PatternError::Dangling { quantifier: '*', at: 1 };
        assert!(glob_hint("*.internal", &dangling).unwrap().ends_with(r"`.*\\.internal`"));
    }

    #[test]
    fn quotes() {
        assert!(unquoted_hint("\"*.internal,__.*\"").ends_with(r"`.*\\.internal,__.*`"));
    }
}
