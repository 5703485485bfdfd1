//! Values that configuration providers supply: put in their places, and kept out of messages.

use std::sync::Arc;

use super::settings::{Settings, line_origin};
use crate::config::problem::{ConfigError, Finding, Notice, Problem};
use crate::config::properties::Entry;
use crate::config::providers::Providers;
use crate::config::security_problem::SecurityNotice;
use crate::config::surroundings::Surroundings;

/// An entry, and the variables that were in its value.
pub(super) type Resolved = (Entry, Vec<String>);

/// Resolves the variables in all values. An entry whose value cannot be had is an error and left out.
pub(super) fn resolve(
    entries: Vec<Entry>,
    file: &Arc<str>,
    surroundings: &Surroundings,
    errors: &mut Vec<ConfigError>,
) -> Vec<Resolved> {
    let (mut providers, wrong) = Providers::read(&entries);
    let mut error = |line, key: &str, error: crate::config::providers::ProviderError| {
        let hint = error.hint().map(ToOwned::to_owned);
        errors.push(ConfigError { origin: Some(line_origin(file, line, key)), problem: error.into(), hint });
    };
    for (line, problem) in wrong {
        let key =
            entries.iter().find(|entry| entry.line == line).map_or("config.providers", |entry| &entry.key);
        error(line, key, problem);
    }
    let mut resolved = Vec::with_capacity(entries.len());
    for entry in entries {
        match providers.resolve(&entry.value, surroundings) {
            Ok(None) => resolved.push((entry, Vec::new())),
            Ok(Some(found)) => {
                let Entry { key, line, .. } = entry;
                resolved.push((Entry { key, value: found.value, line }, found.variables));
            }
            Err(problem) => error(entry.line, &entry.key, problem),
        }
    }
    resolved
}

/// What is said of a line may quote its value. Where a configuration provider supplied it, less is said.
pub(super) fn hide(settings: &Settings, errors: &mut [ConfigError], findings: &mut [Finding]) {
    for setting in settings.all.iter().filter(|setting| !setting.variables.is_empty()) {
        let value = setting.value.expose();
        let variables = || setting.variables.join(", ");
        let quotes =
            |text: String| value.split([',', ';', ' ']).any(|part| !part.is_empty() && text.contains(part));
        for error in errors.iter_mut().filter(|error| error.origin.as_ref() == Some(&setting.origin)) {
            let never_quotes =
                matches!(error.problem, Problem::Provider(_) | Problem::Login(_) | Problem::Jaas(_));
            if !never_quotes && quotes(error.to_string()) {
                error.problem = Problem::BadSupply { variables: variables() };
                error.hint = None;
            }
        }
        for finding in findings.iter_mut().filter(|finding| finding.origin.as_ref() == Some(&setting.origin))
        {
            let never_quotes = match &finding.notice {
                Notice::Security(notice) => !matches!(notice, SecurityNotice::MissingSuites { .. }),
                Notice::UnknownKey | Notice::NoOption | Notice::Ignored { .. } => true,
                _ => false,
            };
            if !never_quotes && quotes(finding.to_string()) {
                finding.notice = Notice::OddSupply { variables: variables() };
                finding.hint = None;
            }
        }
    }
}
