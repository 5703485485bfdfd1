//! Configuration providers: `${NAME:path:key}` in a value stands for what a file, a directory of files or the
//! environment holds (Kafka classes `ConfigTransformer`, `FileConfigProvider`, `DirectoryConfigProvider`,
//! `EnvVarConfigProvider`). Pure: says what it wants to know ([`wanted`]) and is told ([`Surroundings`]).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use fancy_regex::Regex;
use zeroize::Zeroizing;

use super::keys::CONFIG_PROVIDERS;
use super::properties::{self, Entry};
use super::surroundings::Surroundings;
use crate::filter::java_regex::{Flags, translate};

/// Bytes that a provider's file may have.
pub const PROVIDED_BYTES_MAX: usize = 1 << 20;
/// Bytes of all values of a file together, once they are resolved.
const RESOLVED_BYTES_MAX: usize = 16 << 20;

/// What has to be read before a file can be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Files.
    pub files: BTreeSet<PathBuf>,
    /// Environment variables.
    pub variables: BTreeSet<String>,
}

/// What the values of a properties file ask for.
pub fn wanted(text: &str) -> Wanted {
    let entries = properties::parse(text).entries;
    let (providers, _) = Providers::read(&entries);
    let mut wanted = Wanted::default();
    for variable in entries.iter().flat_map(|entry| variables(&entry.value)) {
        match providers.named.get(variable.provider).map(|provider| provider.place(&variable)) {
            Some(Ok(Place::File { path, .. })) => {
                wanted.files.insert(path);
            }
            Some(Ok(Place::Variable(name))) => {
                wanted.variables.insert(name.to_owned());
            }
            Some(Err(_)) | None => {}
        }
    }
    wanted
}

/// Why a value cannot be had. Names where it should come from, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// A provider without a class.
    #[error("the configuration provider `{name}` has no class")]
    NoClass {
        /// Its name.
        name: String,
    },
    /// A class that kmirror does not stand in for.
    #[error("the configuration provider `{name}` is the Java class `{class}`; kmirror runs none")]
    ForeignClass {
        /// Its name.
        name: String,
        /// Its class.
        class: String,
    },
    /// A restriction that cannot be understood.
    #[error("the configuration provider `{name}`: {what}")]
    BadRestriction {
        /// Its name.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// A variable without what the provider needs.
    #[error("`{variable}` does not say where to look: {needs}")]
    Incomplete {
        /// The variable as it is written.
        variable: String,
        /// How it has to be written.
        needs: &'static str,
    },
    /// Outside the paths or names that are allowed.
    #[error("`{variable}` is outside of what `{restriction}` allows")]
    NotAllowed {
        /// The variable as it is written.
        variable: String,
        /// The restricting key.
        restriction: String,
    },
    /// The file cannot be read.
    #[error("`{variable}` cannot be had: {path}: {why}")]
    Unreadable {
        /// The variable as it is written.
        variable: String,
        /// The file.
        path: String,
        /// The operating system's words.
        why: String,
    },
    /// There is nothing by that name. Kafka would leave the variable in the value.
    #[error("`{variable}` stands for nothing: {missing}")]
    Missing {
        /// The variable as it is written.
        variable: String,
        /// What is not there.
        missing: String,
    },
    /// More than a configuration can be.
    #[error(
        "the values that configuration providers supply have more than {RESOLVED_BYTES_MAX} bytes together"
    )]
    TooLarge,
}

impl ProviderError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        matches!(self, Self::NoClass { .. } | Self::ForeignClass { .. }).then_some(
            "there are FileConfigProvider, DirectoryConfigProvider and EnvVarConfigProvider of \
             org.apache.kafka.common.config.provider",
        )
    }
}

/// `${provider:[path:]key}`
struct Variable<'a> {
    /// As it is written, with its braces.
    text: &'a str,
    at: usize,
    provider: &'a str,
    path: &'a str,
    key: &'a str,
}

/// The variables in a value. What stands for one is not looked at again.
fn variables(value: &str) -> impl Iterator<Item = Variable<'_>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let at = from + value.get(from..)?.find("${")?;
            let length = value.get(at..)?.find('}')? + 1;
            let text = value.get(at..at + length)?;
            from = at + length;
            let inside = text.get(2..length - 1)?;
            let Some((provider, rest)) = inside.split_once(':') else { continue };
            let (path, key) = rest.split_once(':').unwrap_or(("", rest));
            return Some(Variable { text, at, provider, path, key });
        }
    })
}

/// One provider of the file.
enum Provider {
    File(AllowedPaths),
    Directory(AllowedPaths),
    Environment { allowed: Option<Regex>, restriction: String },
}

/// Where a variable's value is.
enum Place<'a> {
    File {
        path: PathBuf,
        /// The key within the file, if it is not the whole file.
        key: Option<&'a str>,
    },
    Variable(&'a str),
}

impl Provider {
    fn place<'a>(&self, variable: &Variable<'a>) -> Result<Place<'a>, ProviderError> {
        let incomplete = |needs| Err(ProviderError::Incomplete { variable: variable.text.to_owned(), needs });
        match self {
            Self::File(_) if variable.path.is_empty() || variable.key.is_empty() => {
                incomplete("write `${NAME:/file:key}`")
            }
            Self::File(allowed) => {
                let path = allowed.check(Path::new(variable.path), variable)?;
                Ok(Place::File { path, key: Some(variable.key) })
            }
            Self::Directory(_)
                if variable.path.is_empty()
                    || variable.key.contains('/')
                    || matches!(variable.key, "" | "." | "..") =>
            {
                incomplete("write `${NAME:/directory:file}`")
            }
            Self::Directory(allowed) => {
                let directory = allowed.check(Path::new(variable.path), variable)?;
                Ok(Place::File { path: directory.join(variable.key), key: None })
            }
            Self::Environment { .. } if !variable.path.is_empty() || variable.key.is_empty() => {
                incomplete("write `${NAME:VARIABLE}`")
            }
            Self::Environment { allowed, restriction } => {
                let is_allowed = |regex: &Regex| regex.is_match(variable.key).unwrap_or(false);
                if allowed.as_ref().is_none_or(is_allowed) {
                    return Ok(Place::Variable(variable.key));
                }
                let restriction = restriction.clone();
                Err(ProviderError::NotAllowed { variable: variable.text.to_owned(), restriction })
            }
        }
    }
}

/// `allowed.paths` (Kafka class `AllowedPaths`): as there, names decide, not what links lead to.
struct AllowedPaths {
    paths: Option<Vec<PathBuf>>,
    restriction: String,
}

impl AllowedPaths {
    fn check(&self, path: &Path, variable: &Variable<'_>) -> Result<PathBuf, ProviderError> {
        let path = normal(path);
        match &self.paths {
            Some(allowed) if !allowed.iter().any(|one| path.starts_with(one)) => {
                Err(ProviderError::NotAllowed {
                    variable: variable.text.to_owned(),
                    restriction: self.restriction.clone(),
                })
            }
            _ => Ok(path),
        }
    }
}

/// Without `.` and, as far as names tell, `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(normal.components().next_back(), Some(Component::Normal(_))) => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

/// The providers of a file, by their names.
pub(super) struct Providers {
    named: BTreeMap<String, Provider>,
    /// The files that were looked into, taken apart.
    files: BTreeMap<PathBuf, BTreeMap<String, Zeroizing<String>>>,
    resolved_bytes: usize,
}

/// A value without its variables.
pub(super) struct Resolved {
    pub(super) value: Zeroizing<String>,
    /// The variables, as they are written.
    pub(super) variables: Vec<String>,
}

impl Providers {
    /// Those that `config.providers` names, and what is wrong with them, with the line it is about.
    pub(super) fn read(entries: &[Entry]) -> (Self, Vec<(usize, ProviderError)>) {
        let find = |key: &str| entries.iter().rev().find(|entry| entry.key == key);
        let mut named = BTreeMap::new();
        let mut errors = Vec::new();
        if let Some(list) = find(CONFIG_PROVIDERS.name) {
            for name in list.value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                let key = |end: &str| format!("{}.{name}.{end}", CONFIG_PROVIDERS.name);
                match provider(name, &key, &find) {
                    Ok(provider) => {
                        named.insert(name.to_owned(), provider);
                    }
                    Err(error) => errors.push((find(&key("class")).unwrap_or(list).line, error)),
                }
            }
        }
        (Self { named, files: BTreeMap::new(), resolved_bytes: 0 }, errors)
    }

    /// Puts what providers supply in the place of their variables; nothing, if there are none in the value.
    ///
    /// # Errors
    /// The first variable that cannot be had. One of a provider that the file does not name is left as it is.
    pub(super) fn resolve(
        &mut self,
        value: &str,
        surroundings: &Surroundings,
    ) -> Result<Option<Resolved>, ProviderError> {
        let mut resolved = Resolved { value: Zeroizing::new(String::new()), variables: Vec::new() };
        let mut done = 0;
        for variable in variables(value) {
            let Some(provider) = self.named.get(variable.provider) else { continue };
            let place = provider.place(&variable)?;
            let supplied = supplied(&variable, &place, surroundings, &mut self.files)?;
            self.resolved_bytes = self.resolved_bytes.saturating_add(supplied.len());
            if self.resolved_bytes > RESOLVED_BYTES_MAX {
                return Err(ProviderError::TooLarge);
            }
            resolved.value.push_str(value.get(done..variable.at).unwrap_or_default());
            resolved.value.push_str(&supplied);
            resolved.variables.push(variable.text.to_owned());
            done = variable.at + variable.text.len();
        }
        if resolved.variables.is_empty() {
            return Ok(None);
        }
        resolved.value.push_str(value.get(done..).unwrap_or_default());
        Ok(Some(resolved))
    }
}

fn provider<'a>(
    name: &str,
    key: &impl Fn(&str) -> String,
    find: &impl Fn(&str) -> Option<&'a Entry>,
) -> Result<Provider, ProviderError> {
    let value = |end: &str| find(&key(end)).map(|entry| entry.value.trim().to_owned());
    let class = value("class").filter(|class| !class.is_empty());
    let class = class.ok_or_else(|| ProviderError::NoClass { name: name.to_owned() })?;
    let paths = || {
        let restriction = key("param.allowed.paths");
        let paths = value("param.allowed.paths").filter(|paths| !paths.is_empty());
        let paths: Option<Vec<PathBuf>> =
            paths.map(|paths| paths.split(',').map(|path| normal(Path::new(path.trim()))).collect());
        if paths.iter().flatten().any(|path| !path.is_absolute()) {
            let what = "the paths in `param.allowed.paths` begin with `/`".to_owned();
            return Err(ProviderError::BadRestriction { name: name.to_owned(), what });
        }
        Ok(AllowedPaths { paths, restriction })
    };
    match class.as_str() {
        "org.apache.kafka.common.config.provider.FileConfigProvider" | "FileConfigProvider" => {
            Ok(Provider::File(paths()?))
        }
        "org.apache.kafka.common.config.provider.DirectoryConfigProvider" | "DirectoryConfigProvider" => {
            Ok(Provider::Directory(paths()?))
        }
        // Strimzi's came before Kafka's and reads the same variables.
        "org.apache.kafka.common.config.provider.EnvVarConfigProvider"
        | "EnvVarConfigProvider"
        | "io.strimzi.kafka.EnvVarConfigProvider" => {
            let allowed =
                value("param.allowlist.pattern").map(|pattern| compile(name, &pattern)).transpose()?;
            Ok(Provider::Environment { allowed, restriction: key("param.allowlist.pattern") })
        }
        _ => Err(ProviderError::ForeignClass { name: name.to_owned(), class }),
    }
}

/// A Java expression that has to match a whole name; an empty one matches none.
fn compile(name: &str, pattern: &str) -> Result<Regex, ProviderError> {
    let bad = |what: String| ProviderError::BadRestriction { name: name.to_owned(), what };
    let translation = translate(pattern, Flags::default()).map_err(|error| bad(error.to_string()))?;
    Regex::new(&format!(r"\A(?:{})\z", translation.text)).map_err(|error| bad(error.to_string()))
}

/// What stands for a variable.
fn supplied(
    variable: &Variable<'_>,
    place: &Place<'_>,
    surroundings: &Surroundings,
    files: &mut BTreeMap<PathBuf, BTreeMap<String, Zeroizing<String>>>,
) -> Result<Zeroizing<String>, ProviderError> {
    let missing = |missing: String| ProviderError::Missing { variable: variable.text.to_owned(), missing };
    match place {
        Place::Variable(name) => match surroundings.variables.get(*name) {
            Some(value) => Ok(Zeroizing::new(value.expose().to_owned())),
            None => Err(missing(format!("the environment has no variable {name}"))),
        },
        Place::File { path, key } => {
            let unreadable = |why: &str| ProviderError::Unreadable {
                variable: variable.text.to_owned(),
                path: path.display().to_string(),
                why: why.to_owned(),
            };
            let text = match surroundings.files.get(path) {
                Some(Ok(text)) => text,
                Some(Err(why)) => return Err(unreadable(why)),
                None => return Err(unreadable("it was not read")),
            };
            let Some(key) = key else {
                // Editors and `echo` end files so; no value does.
                let whole = text.expose();
                let whole =
                    whole.strip_suffix('\n').map_or(whole, |line| line.strip_suffix('\r').unwrap_or(line));
                return Ok(Zeroizing::new(whole.to_owned()));
            };
            let taken_apart = || {
                let entries = properties::parse(text.expose()).entries;
                entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
            };
            let entries = files.entry(path.clone()).or_insert_with(taken_apart);
            let value = entries.get(*key).cloned();
            value.ok_or_else(|| missing(format!("{} has no key {key}", path.display())))
        }
    }
}

#[cfg(test)]
mod tests;
