//! Puts the commit into `--version`, when the sources are a git checkout; without git the version stands alone.

use std::path::Path;
use std::process::Command;

fn main() {
    let commit = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let commit = commit.ok().filter(|output| output.status.success());
    let version = env!("CARGO_PKG_VERSION");
    let text = match commit.and_then(|output| String::from_utf8(output.stdout).ok()) {
        Some(commit) => format!("{version} ({})", commit.trim()),
        None => version.to_owned(),
    };
    println!("cargo::rustc-env=KMIRROR_VERSION={text}");
    println!("cargo::rerun-if-changed=build.rs");
    // Each commit and each checkout writes a line there.
    if Path::new("../.git/logs/HEAD").exists() {
        println!("cargo::rerun-if-changed=../.git/logs/HEAD");
    }
}
