//! MirrorMaker 2's dedicated mode: one properties file for all clusters and flows (`MirrorMakerConfig`).
//!
//! From the entries of the file to a plan: keys are taken apart ([`slot`]), put in their places ([`settings`]), read
//! with their types ([`reader`]), and put together flow by flow. All that is wrong is told at once.

mod check;
mod client;
mod flow;
mod kerberos;
mod limits;
mod login;
mod naming;
mod oauth;
mod provided;
mod reader;
mod review;
mod security;
mod settings;
mod slot;
mod sync;
mod tls;
mod transactions;

use std::collections::BTreeMap;
use std::sync::Arc;

use kmirror_protocol::Secret;

use self::reader::{Reader, Sourced, comment_hint, split_list};
use self::review::CONTINUED;
use self::security::Secured;
use self::settings::{FlowName, Setting, Settings, line_origin, process_places};
use self::slot::{BadFlow, Slot, join_spaced_arrow};
use super::keys;
use super::origin::Origin;
use super::problem::{ConfigError, ConfigErrors, Finding, Notice, Problem};
use super::properties::{self, Entry};
use super::suggestions::nearest;
use super::surroundings::Surroundings;
use crate::plan::{BufferPlan, ClusterAlias, Plan, PlanArgs};
use crate::policy::is_legal_topic_name;

/// What the process may hold of records once a source is found to be far away, if nothing else is said.
const FAR_BUFFER_BYTES: usize = 64 << 20;
/// Bytes a file may have.
pub const FILE_BYTES_MAX: usize = 4 << 20;
/// Clusters a file may list.
pub const CLUSTERS_MAX: usize = 64;

/// Reads a file into a plan.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(text: &str, file_name: &str, args: &PlanArgs) -> Result<Plan, ConfigErrors> {
    if text.len() > FILE_BYTES_MAX {
        let problem = Problem::FileTooLarge { bytes: text.len(), limit: FILE_BYTES_MAX };
        let error = ConfigError { origin: None, problem, hint: None };
        return Err(ConfigErrors { errors: vec![error], findings: Vec::new() });
    }
    let file: Arc<str> = Arc::from(file_name);
    let loaded = load(text, &file, &args.surroundings);
    // Without these values everything else would seem wrong, too.
    if loaded.errors.iter().any(|error| matches!(error.problem, Problem::Provider(_))) {
        return Err(ConfigErrors { errors: loaded.errors, findings: loaded.findings });
    }
    let mut reader = Reader {
        settings: &loaded.settings,
        surroundings: &args.surroundings,
        secured: Secured::default(),
        errors: loaded.errors,
        findings: loaded.findings,
    };
    let plan = reader.plan(&loaded.aliases, args);
    let Reader { mut errors, mut findings, .. } = reader;
    provided::hide(&loaded.settings, &mut errors, &mut findings);
    errors.sort_by_key(|error| line_of(error.origin.as_ref()));
    findings.sort_by_key(|finding| line_of(finding.origin.as_ref()));
    if errors.is_empty() { Ok(Plan { findings, ..plan }) } else { Err(ConfigErrors { errors, findings }) }
}

/// What is about no line comes last.
fn line_of(origin: Option<&Origin>) -> usize {
    origin.and_then(Origin::file_line).map_or(usize::MAX, |(_, line)| line)
}

/// A file in its places.
struct Loaded {
    aliases: Vec<ClusterAlias>,
    settings: Settings,
    errors: Vec<ConfigError>,
    findings: Vec<Finding>,
}

fn load(text: &str, file: &Arc<str>, surroundings: &Surroundings) -> Loaded {
    let properties = properties::parse(text);
    let (mut errors, mut findings) = (Vec::new(), Vec::new());
    for line in properties.malformed {
        let origin = Some(line_origin(file, line, "\\u"));
        let expected = "`\\u` and four hexadecimal digits".to_owned();
        let problem = Problem::BadValue { value: "the escape".to_owned(), expected };
        let hint = Some("write `\\\\u` for a backslash and a `u`".to_owned());
        errors.push(ConfigError { origin, problem, hint });
    }
    let entries = join_spaced_arrows(properties.entries, file, &mut findings);
    let entries = last_of_each(entries, file, &mut findings);
    let entries = provided::resolve(entries, file, surroundings, &mut errors);
    let aliases = match entries.iter().find(|(entry, _)| entry.key == keys::CLUSTERS.name) {
        Some((entry, _)) => aliases(entry, file, &mut errors),
        None => {
            errors.push(no_clusters(&entries, file));
            Vec::new()
        }
    };
    let mut settings = Vec::with_capacity(entries.len());
    for (entry, variables) in entries {
        let origin = line_origin(file, entry.line, &entry.key);
        match Slot::parse(&entry.key, &aliases) {
            Ok(slot) => {
                let value = Secret::new(entry.value.trim());
                settings.push(Setting { slot, value, origin, variables });
            }
            // Without any alias each of them would be unknown.
            Err(_) if aliases.is_empty() => {}
            Err(bad) => errors.push(bad_flow(bad, origin, &aliases)),
        }
    }
    Loaded { aliases, settings: Settings::new(settings), errors, findings }
}

/// Puts `A -> B.enabled` together again.
fn join_spaced_arrows(entries: Vec<Entry>, file: &Arc<str>, findings: &mut Vec<Finding>) -> Vec<Entry> {
    let mut join = |entry: Entry| match join_spaced_arrow(&entry.key, &entry.value) {
        Some((key, value)) => {
            let origin = Some(line_origin(file, entry.line, &key));
            findings.push(Finding { origin, notice: Notice::SpacedArrow, hint: None });
            Entry { key, value: value.into(), line: entry.line }
        }
        None => entry,
    };
    entries.into_iter().map(&mut join).collect()
}

/// Of keys that stand in the file more than once the last counts.
fn last_of_each(entries: Vec<Entry>, file: &Arc<str>, findings: &mut Vec<Finding>) -> Vec<Entry> {
    let last: BTreeMap<String, usize> = entries.iter().map(|entry| (entry.key.clone(), entry.line)).collect();
    let (kept, overridden): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| last.get(&entry.key) == Some(&entry.line));
    for entry in overridden {
        let by_line = last.get(&entry.key).copied().unwrap_or(entry.line);
        let origin = Some(line_origin(file, entry.line, &entry.key));
        findings.push(Finding { origin, notice: Notice::Repeated { by_line }, hint: None });
    }
    kept
}

fn no_clusters(entries: &[provided::Resolved], file: &Arc<str>) -> ConfigError {
    let connector = entries.iter().find(|(entry, _)| keys::CONNECTOR_KEYS.contains(&entry.key.as_str()));
    match connector {
        Some((entry, _)) => ConfigError {
            origin: Some(line_origin(file, entry.line, &entry.key)),
            problem: Problem::ConnectorConfiguration,
            hint: Some(
                "kmirror reads the file of connect-mirror-maker.sh: list both aliases in `clusters`, write \
                 `A.bootstrap.servers`, `B.bootstrap.servers` and `A->B.enabled = true`"
                    .to_owned(),
            ),
        },
        None => ConfigError {
            origin: None,
            problem: Problem::NoClusters,
            hint: Some("begin with `clusters = A, B`".to_owned()),
        },
    }
}

fn aliases(entry: &Entry, file: &Arc<str>, errors: &mut Vec<ConfigError>) -> Vec<ClusterAlias> {
    let origin = || Some(line_origin(file, entry.line, &entry.key));
    let mut push = |problem, hint| errors.push(ConfigError { origin: origin(), problem, hint });
    let names = split_list(&entry.value);
    if names.len() > CLUSTERS_MAX {
        push(Problem::TooManyClusters { count: names.len(), limit: CLUSTERS_MAX }, None);
    }
    let mut aliases: Vec<ClusterAlias> = Vec::new();
    for name in names.iter().filter(|name| !name.is_empty()).take(CLUSTERS_MAX) {
        let alias = ClusterAlias::new(name);
        if !is_legal_topic_name(name) {
            let hint = comment_hint(&entry.value).or_else(|| alias_list_hint(name));
            push(Problem::IllegalAlias { alias: name.clone() }, hint);
            // What was meant, so that the keys with this alias are not all unknown.
            let meant = name.split_whitespace().next().unwrap_or_default();
            aliases.extend(is_legal_topic_name(meant).then(|| ClusterAlias::new(meant)));
        } else if aliases.contains(&alias) {
            push(Problem::RepeatedAlias { alias: name.clone() }, None);
        } else {
            aliases.push(alias);
        }
    }
    if names.iter().all(String::is_empty) {
        push(Problem::NoClusters, Some("write `clusters = A, B`".to_owned()));
    }
    aliases
}

fn alias_list_hint(name: &str) -> Option<String> {
    name.contains([' ', ';']).then(|| "aliases have commas between them".to_owned())
}

fn bad_flow(bad: BadFlow, origin: Origin, aliases: &[ClusterAlias]) -> ConfigError {
    let (problem, hint) = match bad {
        // The alias would be a part of what may not be shown.
        _ if origin.key().is_none() => (Problem::NoFlow, Some(CONTINUED.to_owned())),
        BadFlow::UnknownAlias(alias) => {
            let hint = unknown_alias_hint(&alias, aliases);
            (Problem::UnknownAlias { alias }, Some(hint))
        }
        BadFlow::ToItself(alias) => (Problem::FlowToItself { alias }, None),
    };
    ConfigError { origin: Some(origin), problem, hint }
}

fn unknown_alias_hint(alias: &str, aliases: &[ClusterAlias]) -> String {
    match nearest(alias, aliases.iter().map(ClusterAlias::as_str)) {
        Some(meant) => format!("probably meant: `{meant}`"),
        None => {
            let listed: Vec<&str> = aliases.iter().map(ClusterAlias::as_str).collect();
            format!("listed are: {}", listed.join(", "))
        }
    }
}

impl Reader<'_> {
    /// The plan, sound only if there are no errors in the end.
    fn plan(&mut self, aliases: &[ClusterAlias], args: &PlanArgs) -> Plan {
        let buffer = self.buffer();
        let Sourced { value: allowed_by_file, .. } = self.flag(&process_places(), &keys::ALLOW_SAME_CLUSTER);
        let mut plan = Plan {
            clusters: BTreeMap::new(),
            flows: Vec::new(),
            heartbeats: Vec::new(),
            findings: Vec::new(),
            allow_same_cluster: allowed_by_file || args.allow_same_cluster,
            buffer,
        };
        let targets = self.chosen_targets(aliases, args);
        let names = self.flow_names(aliases);
        for (name, enabled) in names.iter().filter(|(name, _)| targets.contains(&name.target)) {
            if *enabled {
                plan.flows.push(self.flow(name, true, buffer));
                for alias in [&name.source, &name.target] {
                    if !plan.clusters.contains_key(alias) {
                        plan.clusters.insert(alias.clone(), self.cluster(alias));
                    }
                }
            } else {
                plan.flows.extend(self.sketch(name, buffer));
            }
        }
        plan.heartbeats = self.heartbeats(aliases, &targets);
        self.review(aliases, &|name| names.iter().any(|(other, enabled)| *enabled && other == name));
        self.review_security(&plan);
        if !aliases.is_empty() {
            self.check(&plan, names.iter().any(|(_, enabled)| *enabled));
        }
        plan
    }

    fn buffer(&mut self) -> BufferPlan {
        let bytes = self.int(&process_places(), &keys::BUFFER_MEMORY);
        let is_set = self.settings.find(&process_places(), &keys::BUFFER_MEMORY).is_some();
        BufferPlan { bytes, far_bytes: if is_set { bytes } else { FAR_BUFFER_BYTES } }
    }

    /// A flow that is not enabled, for show; what is wrong with it does not matter.
    fn sketch(&self, name: &FlowName, buffer: BufferPlan) -> Option<crate::plan::FlowPlan> {
        let mut aside = self.aside();
        let flow = aside.flow(name, false, buffer);
        aside.errors.is_empty().then_some(flow)
    }

    /// A reader of the same file whose errors are nobody's.
    fn aside(&self) -> Self {
        Reader {
            settings: self.settings,
            surroundings: self.surroundings,
            secured: self.secured.clone(),
            errors: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// The clusters this process writes to (`--clusters`).
    fn chosen_targets(&mut self, aliases: &[ClusterAlias], args: &PlanArgs) -> Vec<ClusterAlias> {
        let Some(chosen) = args.clusters.as_ref().filter(|chosen| !chosen.is_empty()) else {
            return aliases.to_vec();
        };
        let mut targets = Vec::new();
        for name in chosen {
            match aliases.iter().find(|alias| alias.as_str() == name) {
                Some(alias) => targets.push(alias.clone()),
                None if aliases.is_empty() => {}
                None => {
                    let hint = Some(unknown_alias_hint(name, aliases));
                    let origin = Some(Origin::Argument { name: "--clusters" });
                    self.error(origin, Problem::UnknownAlias { alias: name.clone() }, hint);
                }
            }
        }
        targets
    }

    /// The flows the file speaks of, and whether they are enabled.
    ///
    /// `enabled = true` on its own enables every pair of clusters: MirrorMaker 2 starts a herder for each, for the
    /// sake of heartbeats, and hands the key to its connectors.
    fn flow_names(&mut self, aliases: &[ClusterAlias]) -> Vec<(FlowName, bool)> {
        let all_enabled = self.flag(&process_places(), &keys::ENABLED).value;
        let mut names = self.settings.flows();
        if all_enabled {
            for source in aliases {
                for target in aliases.iter().filter(|target| *target != source) {
                    let name = FlowName { source: source.clone(), target: target.clone() };
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
        }
        let order = |alias: &ClusterAlias| aliases.iter().position(|other| other == alias);
        names.sort_by_key(|name| (order(&name.source), order(&name.target)));
        names
            .into_iter()
            .map(|name| {
                let errors_before = self.errors.len();
                let enabled = self.flow_flag(&name, &keys::ENABLED);
                // Something was to be said: as if it were `true`, so that the rest of the flow is looked at.
                let wrong = self.errors.len() > errors_before;
                (name, enabled || wrong)
            })
            .collect()
    }
}

#[cfg(test)]
mod secured_tests;
#[cfg(test)]
mod tests;
