//! How the process ends. The numbers are documented in docs/operations.md and do not change.

use std::process::ExitCode;

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All that was asked for is done.
    Success = 0,
    /// A verification found that source and target differ.
    Differs = 1,
    /// The command line is wrong (clap's own code), or the file cannot be read or is wrong.
    Configuration = 2,
    /// Nothing could be started, or not all could be compared: clusters that cannot be reached or do not take us. MirrorMaker 2's code.
    StartFailed = 3,
    /// The flows must not run: one cluster under two names, or a loop.
    Refused = 4,
    /// A run until synced ended with something left out, the demonstration's copy differs, a group was not set, or rights are
    /// missing.
    Incomplete = 5,
    /// A signal ended it before it was done.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
