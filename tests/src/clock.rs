//! Other clocks for other programs: Debian's `libfaketime` gives a process a time of day that is off.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Where Debian's package puts it; `FAKETIME_LIBRARY` names another place.
const PLACES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/// The library.
pub fn library() -> Result<String> {
    let named = std::env::var("FAKETIME_LIBRARY").ok();
    let mut places = named.into_iter().chain(PLACES.map(str::to_owned));
    places
        .find(|path| Path::new(path).is_file())
        .context("libfaketime is not there (Debian's package libfaketime)")
}

/// Whether the library can be put under a program: not under one that is linked statically.
#[must_use]
pub fn goes_under(program: &Path) -> bool {
    // A program names its loader within its first page.
    const LOADER: &[u8] = b"/ld-linux";
    fs::read(program).is_ok_and(|bytes| {
        bytes.iter().take(4096).copied().collect::<Vec<_>>().windows(LOADER.len()).any(|at| at == LOADER)
    })
}

/// Environment variables under which a dynamically linked program has a clock that is so many seconds ahead.
///
/// Waits go by the monotonic clock, which stays right. Without the last variable the library corrects for an old fault
/// of glibc, after which waits end at once.
#[must_use]
pub fn ahead(library: &str, seconds: i64) -> [(&'static str, String); 4] {
    [
        ("LD_PRELOAD", library.to_owned()),
        ("FAKETIME", format!("{seconds:+}s")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("FAKETIME_FORCE_MONOTONIC_FIX", "0".to_owned()),
    ]
}
