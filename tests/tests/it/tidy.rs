//! Rules a compiler cannot see: which modules are pure, that every file says what it is, no loose ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kmirror_tests::cache::repository;
use kmirror_tests::process::run;

/// Files below these paths are pure: no runtime, no clock. Besides them, any file of the protocol or the engine
/// whose head says "Pure".
const PURE: [&str; 6] = [
    "protocol/src/wire/",
    "engine/src/config/",
    "engine/src/plan",
    "engine/src/policy",
    "engine/src/filter",
    "engine/src/flow/lane",
];
/// What a pure file may not name, outside comments and its tests.
const IMPURE: [&str; 5] = ["tokio", "Instant::now", "SystemTime::now", "std::net", "tracing::"];

struct Source {
    path: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = repository();
    let crates = ["protocol", "engine", "cli", "sandbox", "tests", "benches", "fuzz"];
    let mut files = Vec::new();
    for name in crates {
        collect(&root.join(name), &mut files);
    }
    assert!(files.len() > 20, "found only {} Rust files in {}", files.len(), root.display());
    let relative = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
    files
        .iter()
        .map(|path| Source { path: relative(path), text: fs::read_to_string(path).unwrap() })
        .collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

impl Source {
    fn head(&self) -> String {
        self.text.lines().take_while(|line| line.starts_with("//!")).collect()
    }

    fn is_pure(&self) -> bool {
        let ours = self.path.starts_with("protocol/") || self.path.starts_with("engine/");
        let says_so = ours && self.head().split(|c: char| !c.is_alphanumeric()).any(|word| word == "Pure");
        PURE.iter().any(|prefix| self.path.starts_with(prefix)) || says_so
    }

    /// Lines of code with their numbers, without comments and the tests at the end.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
        let code = lines.map(|line| line.split("//").next().unwrap_or_default());
        (1..).zip(code)
    }
}

fn no_findings(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    // A file of tests beside its module is named for what it is.
    let sources = sources().into_iter().filter(|source| !source.path.ends_with("/tests.rs"));
    let bare = sources.filter(|source| !source.text.starts_with("//!"));
    no_findings(&bare.map(|source| format!("{}: begins with no //! head", source.path)).collect::<Vec<_>>());
}

#[test]
fn pure_modules_know_no_runtime_and_no_clock() {
    let mut findings = Vec::new();
    let mut seen = 0;
    for source in sources().iter().filter(|source| source.is_pure()) {
        seen += 1;
        for (number, line) in source.code() {
            for name in IMPURE.iter().filter(|name| line.contains(*name)) {
                findings.push(format!("{}:{number}: {name} in a pure module", source.path));
            }
        }
    }
    assert!(seen > 5, "only {seen} pure files found: the list of paths is out of date");
    no_findings(&findings);
}

#[test]
fn every_queue_has_a_bound() {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| !source.path.ends_with("tidy.rs")) {
        for (number, line) in source.code() {
            let unbounded = line.contains("unbounded_channel") || line.contains("unbounded()");
            let standard = line.contains("mpsc::channel()");
            if unbounded || standard {
                findings.push(format!("{}:{number}: a queue without bound", source.path));
            }
        }
    }
    no_findings(&findings);
}

#[test]
fn nothing_is_left_to_do_without_an_issue() {
    // Put together here, or this file would be the first finding.
    let words = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|parts| parts.concat());
    let mut findings = Vec::new();
    for source in sources() {
        for (number, line) in (1..).zip(source.text.lines()) {
            let loose = |word: &String| {
                line.split_once(word.as_str()).is_some_and(|(before, behind)| {
                    let whole = !before.ends_with(char::is_alphanumeric)
                        && !behind.starts_with(char::is_alphanumeric);
                    whole && !behind.starts_with("(#")
                })
            };
            if words.iter().any(loose) {
                findings.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
            if line.contains(&["todo", "!("].concat()) || line.contains(&["unimplemented", "!("].concat()) {
                findings.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    no_findings(&findings);
}

/// Licences that go with Apache-2.0 in one binary.
const LICENCES: [&str; 9] = [
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unlicense",
    "Unicode-3.0",
    "CDLA-Permissive-2.0",
];

#[test]
fn dependencies_come_from_the_registry_with_licences_that_fit() {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(repository()).args(["metadata", "--format-version", "1", "--locked"]);
    let metadata: serde_json::Value = serde_json::from_str(&run(&mut cargo).unwrap()).unwrap();
    let fits = |alternative: &str| {
        let parts = alternative.split(" AND ").map(|part| part.trim_matches(['(', ')', ' ']));
        parts.into_iter().all(|licence| LICENCES.contains(&licence))
    };
    let mut findings = Vec::new();
    let packages = metadata["packages"].as_array().unwrap();
    for package in packages.iter().filter(|package| !package["source"].is_null()) {
        let (name, source) = (&package["name"], package["source"].as_str().unwrap());
        if source != "registry+https://github.com/rust-lang/crates.io-index" {
            findings.push(format!("{name} comes from {source}"));
        }
        let licence = package["license"].as_str().unwrap_or_default();
        if !licence.split(" OR ").flat_map(|part| part.split('/')).any(fits) {
            findings.push(format!("{name} has the licence '{licence}'"));
        }
    }
    assert!(packages.len() > 100, "only {} packages", packages.len());
    no_findings(&findings);
}
