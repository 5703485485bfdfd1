//! Core files: that of a crash would leave passwords on a disk. Knows no configuration.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use tracing::warn;

/// From here on the kernel writes this process's memory to no core file and pipes it to no program, and no debugger of the
/// same user reads it (`PR_SET_DUMPABLE` of prctl(2)).
pub(crate) fn forbid() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        warn!("a crash may write a core file, which shows passwords: it cannot be forbidden ({error})");
    }
}
