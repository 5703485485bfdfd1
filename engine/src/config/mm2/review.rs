//! Goes over every key of the file: unknown ones, misplaced ones, ignored ones, those that would change records.

use std::collections::BTreeSet;

use super::reader::{Reader, comment_hint};
use super::settings::{FlowName, Setting};
use super::slot::{At, Prefix};
use crate::config::keys::{self, Kind, Opt, Role, Scope, Status};
use crate::config::problem::{Notice, Problem};
use crate::config::suggestions::nearest;
use crate::plan::ClusterAlias;

/// Keys on their own that MirrorMaker 2 hands to its workers (`MirrorMakerConfig.workerConfig`).
const WORKER_KEYS_ON_THEIR_OWN: [&str; 8] = [
    "offset.storage",
    "config.storage",
    "status.storage",
    "key.converter",
    "value.converter",
    "header.converter",
    "task",
    "worker",
];

/// How a piece of a value comes to stand where a key should.
pub(super) const CONTINUED: &str =
    "is a value continued without a backslash at the line's end, or with a blank behind it?";

impl Reader<'_> {
    /// Reviews all settings. `runs` tells the flows that are enabled: what changes records matters only to them.
    pub(super) fn review(&mut self, aliases: &[ClusterAlias], runs: &dyn Fn(&FlowName) -> bool) {
        let mut told = BTreeSet::new();
        for setting in &self.settings.all {
            let mut named = keys::named(&setting.slot.name).peekable();
            if named.peek().is_none() {
                self.unknown(setting, aliases);
                continue;
            }
            let Some(opt) = keys::named(&setting.slot.name).find(|opt| may_stand(opt.scope, setting)) else {
                let hint = named.next().map(|opt| place_hint(opt, setting));
                self.notice(Some(setting.origin.clone()), Notice::WrongPlace, hint);
                continue;
            };
            self.review_known(setting, opt, &mut told, runs);
        }
    }

    fn review_known(
        &mut self,
        setting: &Setting,
        opt: &'static Opt,
        told: &mut BTreeSet<&'static str>,
        runs: &dyn Fn(&FlowName) -> bool,
    ) {
        let origin = || Some(setting.origin.clone());
        match opt.status {
            Status::Ignored { reason } => {
                // Once for a key, however many clusters it is set for.
                if told.insert(opt.name) {
                    self.notice(origin(), Notice::Ignored { reason }, None);
                }
            }
            Status::RefusedUnless { harmless, reason } => {
                let concerns = match &setting.slot.at {
                    At::Flow(source, target) => {
                        runs(&FlowName { source: source.clone(), target: target.clone() })
                    }
                    At::Top | At::Cluster(_) => true,
                };
                if concerns && !is_harmless(setting.value.expose(), harmless) {
                    self.refuse(
                        setting,
                        reason,
                        opt.kind == Kind::Class && !opt.name.ends_with("transforms"),
                    );
                }
            }
            Status::Used => {
                if setting.slot.name != opt.name && !opt.name.ends_with('*') {
                    self.older_name(setting, opt);
                }
                if beyond_mirror_maker(opt, setting) {
                    self.notice(origin(), Notice::BeyondMirrorMaker, None);
                }
            }
        }
    }

    fn refuse(&mut self, setting: &Setting, reason: &'static str, is_class: bool) {
        let hint = comment_hint(setting.value.expose());
        let problem = if is_class {
            Problem::ForeignClass { class: setting.value.expose().to_owned() }
        } else {
            Problem::Refused { reason }
        };
        self.error(
            Some(setting.origin.clone()),
            problem,
            hint.or_else(|| is_class.then(|| reason.to_owned())),
        );
    }

    fn older_name(&mut self, setting: &Setting, opt: &'static Opt) {
        let newer = |other: &&Setting| {
            other.slot.name == opt.name && (other.slot.at == setting.slot.at || other.slot.at == At::Top)
        };
        let notice = match self.settings.all.iter().find(newer) {
            Some(newer) => Notice::OlderNameOverridden { by: newer.origin.to_string() },
            None => Notice::OlderName { name: opt.name },
        };
        self.notice(Some(setting.origin.clone()), notice, None);
    }

    fn unknown(&mut self, setting: &Setting, aliases: &[ClusterAlias]) {
        let Some(written) = setting.origin.key() else {
            self.notice(Some(setting.origin.clone()), Notice::NoOption, Some(CONTINUED.to_owned()));
            return;
        };
        let name = setting.slot.name.as_str();
        let before = written.strip_suffix(name).unwrap_or_default();
        let hint = alias_hint(setting, aliases).or_else(|| {
            let meant = nearest(name, keys::options().flat_map(names_of))?;
            Some(format!("probably meant: `{before}{meant}`"))
        });
        self.notice(Some(setting.origin.clone()), Notice::UnknownKey, hint);
    }
}

fn names_of(opt: &'static Opt) -> impl Iterator<Item = &'static str> {
    let name = Some(opt.name).filter(|name| !name.ends_with('*'));
    name.into_iter().chain(opt.older_names.iter().copied())
}

/// `C.bootstrap.servers`, where `C` is no alias.
fn alias_hint(setting: &Setting, aliases: &[ClusterAlias]) -> Option<String> {
    let name = setting.slot.name.as_str();
    let known_behind = name.match_indices('.').find(|(at, _)| {
        let behind = name.get(at + 1..).unwrap_or_default();
        let bare = Role::ALL.iter().find_map(|role| behind.strip_prefix(role.name())?.strip_prefix('.'));
        keys::named(bare.unwrap_or(behind)).any(|opt| !matches!(opt.scope, Scope::Process | Scope::Flow))
    })?;
    let (alias, behind) = (name.get(..known_behind.0)?, name.get(known_behind.0..)?);
    if setting.slot.at != At::Top {
        return None;
    }
    let listed = aliases.iter().map(ClusterAlias::as_str);
    Some(match nearest(alias, listed.clone()) {
        Some(meant) => {
            format!("no cluster `{alias}` is listed in `clusters`; probably meant: `{meant}{behind}`")
        }
        None => {
            let listed: Vec<&str> = listed.collect();
            format!("no cluster `{alias}` is listed in `clusters`, only {}", listed.join(", "))
        }
    })
}

fn is_harmless(value: &str, harmless: &[&str]) -> bool {
    let bare = |class: &str| class.rsplit('.').next().map(ToOwned::to_owned);
    value.is_empty() || harmless.iter().any(|word| value == *word || Some(value) == bare(word).as_deref())
}

/// Whether an option has a meaning in a place.
fn may_stand(scope: Scope, setting: &Setting) -> bool {
    let slot = &setting.slot;
    match (scope, slot.prefix) {
        (Scope::Process, prefix) => prefix == Prefix::None && slot.at == At::Top,
        (Scope::Flow, prefix) => prefix == Prefix::None && !matches!(slot.at, At::Cluster(_)),
        (Scope::Worker, prefix) => prefix == Prefix::None,
        (Scope::Cluster, Prefix::None) => !matches!(slot.at, At::Flow(..)),
        (Scope::Cluster, Prefix::Side(_)) => matches!(slot.at, At::Flow(..)),
        (Scope::Cluster, _) => true,
        (Scope::Client(roles), prefix) => prefix.role().is_some_and(|role| roles.contains(&role)),
    }
}

/// Whether MirrorMaker 2 would have ignored a key in its place.
fn beyond_mirror_maker(opt: &Opt, setting: &Setting) -> bool {
    let slot = &setting.slot;
    match opt.scope {
        Scope::Process | Scope::Flow => false,
        Scope::Worker => match slot.at {
            At::Top => !WORKER_KEYS_ON_THEIR_OWN.iter().any(|beginning| slot.name.starts_with(beginning)),
            At::Cluster(_) => false,
            At::Flow(..) => true,
        },
        Scope::Cluster | Scope::Client(_) => slot.at == At::Top && slot.prefix != Prefix::None,
    }
}

/// Where a key would have its effect.
fn place_hint(opt: &Opt, setting: &Setting) -> String {
    let name = &setting.slot.name;
    match opt.scope {
        Scope::Process => format!("it stands on its own: `{name}`"),
        Scope::Flow => format!("it belongs to a flow, `A->B.{name}`, or on its own to all flows"),
        Scope::Worker => format!("it belongs to the cluster a flow writes to: `B.{name}`"),
        Scope::Cluster => format!("it belongs to a cluster: `A.{name}`"),
        Scope::Client(roles) => {
            let alias = match &setting.slot.at {
                At::Cluster(alias) => alias.as_str(),
                At::Top | At::Flow(..) => "A",
            };
            let places: Vec<String> =
                roles.iter().map(|role| format!("`{alias}.{}.{name}`", role.name())).collect();
            format!("it belongs to a client of a cluster: {}", places.join(", "))
        }
    }
}
