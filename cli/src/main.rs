//! `kmirror`: flags, files, signals, exit codes.
fn main() {}
