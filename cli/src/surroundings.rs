//! What counts beside the configuration file, read: the JAAS file, what configuration providers supply, Java's options
//! in the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kmirror_engine::config::jaas::JAAS_BYTES_MAX;
use kmirror_engine::config::java_options::JavaOptions;
use kmirror_engine::config::properties;
use kmirror_engine::config::providers::{PROVIDED_BYTES_MAX, Wanted, wanted};
use kmirror_engine::config::reload::holds_secrets;
use kmirror_engine::config::surroundings::{Provided, Surroundings};
use kmirror_engine::plan::Plan;
use kmirror_protocol::Secret;
use tracing::warn;
use zeroize::Zeroizing;

use crate::args::FileArguments;

/// Where Java takes options from, those that win behind the others.
const JAVA_OPTIONS: [&str; 4] =
    ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "KAFKA_JVM_PERFORMANCE_OPTS", "KAFKA_OPTS"];

/// Reads what counts beside a file with that text, and how the files were before. What cannot be read is told where it
/// is needed.
pub(crate) fn read(arguments: &FileArguments, text: &str) -> (Surroundings, Watched) {
    let mut java = JavaOptions::default();
    if let Some((_, home)) = variable("HOME".to_owned()) {
        java.properties.insert("user.home".to_owned(), home);
    }
    for name in JAVA_OPTIONS {
        if let Some(options) = std::env::var_os(name) {
            java.read(&options.to_string_lossy());
        }
    }
    let Wanted { files, variables } = wanted(text);
    let jaas = jaas_path(arguments, &java);
    let watched = Watched::look(files.iter().chain(&jaas));
    let krb5_conf = arguments.krb5_conf.clone().or_else(|| java.krb5_conf.as_ref().map(PathBuf::from));
    let surroundings = Surroundings {
        jaas: jaas.map(|path| {
            let held = provided(&path, JAAS_BYTES_MAX);
            (path, held)
        }),
        krb5_conf: krb5_conf.or_else(|| std::env::var_os("KRB5_CONFIG").and_then(first_of_list)),
        files: files
            .into_iter()
            .map(|path| {
                let held = provided(&path, PROVIDED_BYTES_MAX);
                (path, held)
            })
            .collect(),
        variables: variables.into_iter().filter_map(variable).collect(),
        java,
    };
    (surroundings, watched)
}

fn jaas_path(arguments: &FileArguments, java: &JavaOptions) -> Option<PathBuf> {
    arguments.jaas.clone().or_else(|| java.login_config.as_ref().map(PathBuf::from))
}

/// `KRB5_CONFIG` may be a list; as far as the first of it goes it is what all its readers agree on.
fn first_of_list(list: OsString) -> Option<PathBuf> {
    std::env::split_paths(&list).next().filter(|path| !path.as_os_str().is_empty())
}

fn variable(name: String) -> Option<(String, Secret)> {
    let value = std::env::var_os(&name)?;
    Some((name, Secret::new(value.to_string_lossy())))
}

/// What a file holds, no more than may be in it.
fn provided(path: &Path, limit: usize) -> Provided {
    let bytes = bounded(path, limit).map_err(|error| error.to_string())?;
    Ok(Secret::new(properties::decode(&bytes)))
}

/// A file's bytes.
///
/// # Errors
/// When it cannot be read, is no file, or is larger.
fn bounded(path: &Path, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let room = usize::try_from(metadata.len().min(most)).unwrap_or(limit).saturating_add(2);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::other(format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

/// The state of the files beside a configuration, by which a change is seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Watched(BTreeMap<PathBuf, Option<Stamp>>);

/// Another file, or another content. Kubernetes puts another directory behind a link, which shows as another inode.
type Stamp = (u64, u64, i64, i64, u64);

impl Watched {
    fn look<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Self {
        Self(paths.map(|path| (path.clone(), stamp(path))).collect())
    }

    /// Whether one of them is another than when they were looked at before.
    pub(crate) fn look_again(&mut self) -> bool {
        let now = Self::look(self.0.keys());
        let differs = now != *self;
        *self = now;
        differs
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let is = fs::metadata(path).ok()?;
    Some((is.dev(), is.ino(), is.mtime(), is.mtime_nsec(), is.len()))
}

/// Warns of files with secrets that everybody on this host may read.
pub(crate) fn warn_of_readable(
    arguments: &FileArguments,
    text: &str,
    surroundings: &Surroundings,
    plan: &Plan,
) {
    let mut files = plan.secret_files();
    files.extend(surroundings.files.keys().cloned());
    files.extend(surroundings.jaas.iter().map(|(path, _)| path.clone()));
    if holds_secrets(text) {
        files.insert(arguments.file.clone());
    }
    for path in files {
        let mode = fs::metadata(&path).as_ref().map(Metadata::mode).unwrap_or_default();
        if is_for_all(mode) {
            warn!("{} holds secrets, and everybody on this host may read it: chmod o-r", path.display());
        }
    }
}

/// Whether those may read a file who neither own it nor are in its group.
fn is_for_all(mode: u32) -> bool {
    mode & 0o004 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_read() {
        assert!(is_for_all(0o100_644) && is_for_all(0o100_004));
        assert!(!is_for_all(0o100_640) && !is_for_all(0o100_600) && !is_for_all(0));
    }

    #[test]
    fn files_are_read_as_far_as_they_may_go() {
        let directory = std::env::temp_dir().join(format!("kmirror-surroundings-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join("secret");
        fs::write(&file, "swordfish").unwrap();
        assert_eq!(provided(&file, 9).unwrap().expose(), "swordfish");
        assert!(provided(&file, 8).unwrap_err().contains("more than 8 bytes"));
        assert!(provided(&directory, 8).is_err());
        let mut watched = Watched::look(std::iter::once(&file));
        assert!(!watched.look_again());
        fs::write(&file, "swordfish2").unwrap();
        assert!(watched.look_again() && !watched.look_again());
        fs::remove_dir_all(&directory).unwrap();
        assert!(watched.look_again());
    }
}
