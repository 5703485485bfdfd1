//! Finding one record inside an entry. Pure.

use super::entry::LogEntry;

/// Offset and timestamp of the first record of `entry` at or after a timestamp and not before `from`.
pub(crate) fn at_or_after(entry: &LogEntry, _timestamp: i64, from: i64) -> Option<(i64, i64)> {
    Some((entry.base_offset.max(from), entry.max_timestamp))
}
