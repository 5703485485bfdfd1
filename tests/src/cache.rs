//! Where downloaded artefacts and the files of a test run live. Knows nothing of Kafka.
//!
//! The cache outlives runs and is shared by concurrent ones: each entry is made once, under a file lock,
//! and appears under its final name only when complete.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, anyhow};

use crate::reaper;

/// The root of the repository this harness was built from.
#[must_use]
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// The cache directory: `KMIRROR_TEST_CACHE`, or `.cache` in the repository.
#[must_use]
pub fn root() -> PathBuf {
    std::env::var_os("KMIRROR_TEST_CACHE").map_or_else(|| repository().join(".cache"), PathBuf::from)
}

/// Puts other bytes into a file, whole at once: who reads it finds the old ones or the new ones.
pub fn replace(file: &Path, bytes: &[u8]) -> Result<()> {
    let new = file.with_file_name("..new");
    fs::write(&new, bytes)?;
    fs::rename(new, file).with_context(|| format!("cannot replace {}", file.display()))
}

/// The cache entry `name`, made by `make` when it is not there yet. `make` gets an empty directory of another
/// name, which becomes the entry when it succeeds. Other processes wanting the same entry wait.
pub fn entry(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let root = root();
    fs::create_dir_all(&root).with_context(|| format!("cannot create the cache {}", root.display()))?;
    let (entry, partial) = (root.join(name), root.join(format!("{name}.partial")));
    let lock = File::create(root.join(format!("{name}.lock")))?;
    lock.lock().with_context(|| format!("cannot lock {name} in {}", root.display()))?;
    if entry.is_dir() {
        return Ok(entry);
    }
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(&partial)?;
    make(&partial).with_context(|| format!("cannot make {name} in {}", root.display()))?;
    fs::rename(&partial, &entry)?;
    Ok(entry)
}

/// A new empty directory for this process alone, gone when the process ends, however it ends, unless a test
/// panicked in it: then it stays, with all log files, and the panic message says where.
pub fn scratch(name: &str) -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let directory = run_directory()?.join(format!("{number:03}-{name}"));
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

fn run_directory() -> Result<&'static Path> {
    static RUN: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    let run = RUN.get_or_init(|| make_run_directory().map_err(|error| format!("{error:#}")));
    run.as_deref().map_err(|error| anyhow!("no directory for this run: {error}"))
}

fn make_run_directory() -> Result<PathBuf> {
    let base = std::env::var_os("KMIRROR_TEST_TMP").map_or_else(std::env::temp_dir, PathBuf::from);
    let run = base.join(format!("kmirror-run-{}", std::process::id()));
    fs::create_dir_all(&run).with_context(|| format!("cannot create {}", run.display()))?;
    reaper::remove_at_exit(&run)?;
    keep_when_a_test_panics(run.clone());
    Ok(run)
}

fn keep_when_a_test_panics(run: PathBuf) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        keep_run(&run);
    }));
}

/// Keeps the log files of this process, and says where.
pub fn keep() {
    if let Ok(run) = run_directory() {
        keep_run(run);
    }
}

fn keep_run(run: &Path) {
    if fs::write(run.join(reaper::KEEP), b"").is_ok() {
        eprintln!("log files are kept in {}", run.display());
    }
}
