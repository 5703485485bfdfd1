//! Which place of MirrorMaker 2's grammar a key stands in: on its own, with a cluster, with a flow, with a client.

use crate::config::key_form::sets;
use crate::config::keys::{self, Role, Scope};
use crate::plan::ClusterAlias;

/// On its own, with a cluster, or with a flow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum At {
    Top,
    Cluster(ClusterAlias),
    Flow(ClusterAlias, ClusterAlias),
}

/// One of a flow's two clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    Source,
    Target,
}

impl Side {
    const ALL: [Self; 2] = [Self::Source, Self::Target];

    fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

/// What stands between the place and the option's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Prefix {
    None,
    /// `consumer.`
    Role(Role),
    /// `source.cluster.`
    Side(Side),
    /// `source.consumer.`
    SideRole(Side, Role),
    /// `producer.override.`
    Override(Role),
}

impl Prefix {
    /// The role it names.
    pub(super) fn role(self) -> Option<Role> {
        match self {
            Self::Role(role) | Self::SideRole(_, role) | Self::Override(role) => Some(role),
            Self::None | Self::Side(_) => None,
        }
    }
}

/// A key taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) at: At,
    pub(super) prefix: Prefix,
    /// The option's name.
    pub(super) name: String,
}

/// What is wrong with a key that names a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BadFlow {
    UnknownAlias(String),
    ToItself(String),
}

impl Slot {
    /// Takes a key apart.
    ///
    /// # Errors
    /// The alias, when the key names a flow that cannot be.
    pub(super) fn parse(key: &str, aliases: &[ClusterAlias]) -> Result<Self, BadFlow> {
        if let Some((source, rest)) = key.split_once("->") {
            let source = source.trim_end();
            let (target, rest) = split_alias(rest.trim_start(), aliases).map_err(BadFlow::UnknownAlias)?;
            let Some(source) = aliases.iter().find(|alias| alias.as_str() == source) else {
                return Err(BadFlow::UnknownAlias(source.to_owned()));
            };
            if source == target {
                return Err(BadFlow::ToItself(source.to_string()));
            }
            return Ok(Self::within(At::Flow(source.clone(), target.clone()), rest));
        }
        // An alias may be the beginning of an option's name: `replication`, for one.
        let stands_alone = keys::named(key).any(|opt| !opt.name.ends_with('*') && on_its_own(opt.scope));
        match split_alias(key, aliases) {
            Ok((alias, rest)) if !stands_alone => Ok(Self::within(At::Cluster(alias.clone()), rest)),
            _ => Ok(Self::within(At::Top, key)),
        }
    }

    fn within(at: At, rest: &str) -> Self {
        let (prefix, name) = split_prefix(&at, rest);
        Self { at, prefix, name: name.to_owned() }
    }
}

fn on_its_own(scope: Scope) -> bool {
    !matches!(scope, Scope::Client(_))
}

/// The longest alias that a text begins with, and what is behind its dot; else the text that stands for an alias.
fn split_alias<'a, 'b>(
    text: &'a str,
    aliases: &'b [ClusterAlias],
) -> Result<(&'b ClusterAlias, &'a str), String> {
    aliases
        .iter()
        .filter_map(|alias| Some((alias, text.strip_prefix(alias.as_str())?.strip_prefix('.')?)))
        .max_by_key(|(alias, _)| alias.as_str().len())
        .ok_or_else(|| text.split_once('.').map_or(text, |(before, _)| before).to_owned())
}

fn split_prefix<'a>(at: &At, rest: &'a str) -> (Prefix, &'a str) {
    if keys::named(rest).any(|opt| on_its_own(opt.scope)) {
        return (Prefix::None, rest);
    }
    if !matches!(at, At::Cluster(_)) {
        for side in Side::ALL {
            let Some(behind) = rest.strip_prefix(side.name()).and_then(|behind| behind.strip_prefix('.'))
            else {
                continue;
            };
            if let Some(name) = behind.strip_prefix("cluster.") {
                return (Prefix::Side(side), name);
            }
            if let Some((role, name)) = split_role(behind) {
                return (Prefix::SideRole(side, role), name);
            }
        }
    }
    match split_role(rest) {
        Some((role, name)) => match name.strip_prefix("override.") {
            Some(name) if !matches!(at, At::Cluster(_)) => (Prefix::Override(role), name),
            _ => (Prefix::Role(role), name),
        },
        None => (Prefix::None, rest),
    }
}

fn split_role(text: &str) -> Option<(Role, &str)> {
    let (word, name) = text.split_once('.')?;
    Role::ALL.into_iter().find(|role| role.name() == word).map(|role| (role, name))
}

/// `A -> B.enabled = true`: to a properties reader the key ends at the first blank, so the arrow lands in the value.
/// Gives back what was meant.
pub(super) fn join_spaced_arrow(key: &str, value: &str) -> Option<(String, String)> {
    // A secret may begin with an arrow.
    let is_secret = |key: &str| keys::options().any(|opt| opt.is_secret() && sets(key, opt));
    let (source, rest) = match (key.strip_suffix("->"), value.strip_prefix("->")) {
        (Some(source), None) if !source.is_empty() => (source, value),
        (None, Some(rest)) if !key.contains("->") && !is_secret(key) => (key, rest.trim_start()),
        _ => return None,
    };
    let end = rest.find([' ', '\t', '=', ':'])?;
    let (target_key, rest) = rest.split_at(end);
    let rest = rest.trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start();
    Some((format!("{source}->{target_key}"), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aliases(names: &[&str]) -> Vec<ClusterAlias> {
        names.iter().map(|name| ClusterAlias::new(name)).collect()
    }

    fn slot(key: &str, names: &[&str]) -> Slot {
        Slot::parse(key, &aliases(names)).unwrap()
    }

    fn expect(key: &str, names: &[&str], at: At, prefix: Prefix, name: &str) {
        assert_eq!(slot(key, names), Slot { at, prefix, name: name.into() }, "{key}");
    }

    fn cluster(name: &str) -> At {
        At::Cluster(ClusterAlias::new(name))
    }

    fn flow(source: &str, target: &str) -> At {
        At::Flow(ClusterAlias::new(source), ClusterAlias::new(target))
    }

    #[test]
    fn places() {
        let names = ["A", "B"];
        expect("topics", &names, At::Top, Prefix::None, "topics");
        expect("A.bootstrap.servers", &names, cluster("A"), Prefix::None, "bootstrap.servers");
        expect("A->B.topics", &names, flow("A", "B"), Prefix::None, "topics");
        expect("A -> B.topics", &names, flow("A", "B"), Prefix::None, "topics");
        expect("C.bootstrap.servers", &names, At::Top, Prefix::None, "C.bootstrap.servers");
    }

    #[test]
    fn roles() {
        let names = ["A", "B"];
        let consumer = Role::Consumer;
        expect("A.consumer.client.id", &names, cluster("A"), Prefix::Role(consumer), "client.id");
        expect("consumer.client.id", &names, At::Top, Prefix::Role(consumer), "client.id");
        let source_consumer = Prefix::SideRole(Side::Source, consumer);
        expect("source.consumer.client.id", &names, At::Top, source_consumer, "client.id");
        expect("A->B.source.consumer.client.id", &names, flow("A", "B"), source_consumer, "client.id");
        expect("A->B.target.cluster.x", &names, flow("A", "B"), Prefix::Side(Side::Target), "x");
        expect(
            "A->B.producer.override.acks",
            &names,
            flow("A", "B"),
            Prefix::Override(Role::Producer),
            "acks",
        );
    }

    #[test]
    fn names_that_look_like_roles() {
        expect("consumer.poll.timeout.ms", &["A"], At::Top, Prefix::None, "consumer.poll.timeout.ms");
        expect("A->B.admin.timeout.ms", &["A", "B"], flow("A", "B"), Prefix::None, "admin.timeout.ms");
        expect(
            "A.admin.request.timeout.ms",
            &["A"],
            cluster("A"),
            Prefix::Role(Role::Admin),
            "request.timeout.ms",
        );
    }

    #[test]
    fn aliases_with_dots_dashes_and_words_of_the_grammar() {
        let names = ["us", "us.west", "us-east"];
        expect("us.west.bootstrap.servers", &names, cluster("us.west"), Prefix::None, "bootstrap.servers");
        expect("us.bootstrap.servers", &names, cluster("us"), Prefix::None, "bootstrap.servers");
        expect("us.west->us-east.topics", &names, flow("us.west", "us-east"), Prefix::None, "topics");
        let names = ["source", "destination"];
        let role = Prefix::Role(Role::Consumer);
        expect("source.consumer.client.id", &names, cluster("source"), role, "client.id");
        expect("replication.factor", &["replication"], At::Top, Prefix::None, "replication.factor");
    }

    #[test]
    fn flows_that_cannot_be() {
        let names = aliases(&["A", "B"]);
        assert_eq!(Slot::parse("A->C.topics", &names), Err(BadFlow::UnknownAlias("C".into())));
        assert_eq!(Slot::parse("C->A.topics", &names), Err(BadFlow::UnknownAlias("C".into())));
        assert_eq!(Slot::parse("A->A.topics", &names), Err(BadFlow::ToItself("A".into())));
        assert_eq!(Slot::parse("->", &names), Err(BadFlow::UnknownAlias(String::new())));
    }

    #[test]
    fn arrows_with_blanks() {
        let meant = Some(("A->B.enabled".to_owned(), "true".to_owned()));
        assert_eq!(join_spaced_arrow("A", "-> B.enabled = true"), meant);
        assert_eq!(join_spaced_arrow("A", "->B.enabled=true"), meant);
        assert_eq!(join_spaced_arrow("A->", "B.enabled : true"), meant);
        assert_eq!(join_spaced_arrow("A->B.enabled", "true"), None);
        assert_eq!(join_spaced_arrow("topics", "a->b"), None);
        assert_eq!(join_spaced_arrow("A.ssl.key.password", "->hush hush"), None);
    }
}
