//! Finding one record inside an entry. Pure.

use kmirror_protocol::wire::compress::Decompressor;

use super::entry::LogEntry;
use super::records::each_record;

/// Offset and timestamp of the first record of `entry` at or after a timestamp and not before offset `from`. An entry that
/// cannot be looked into is taken as a whole.
pub(crate) fn at_or_after(entry: &LogEntry, timestamp: i64, from: i64) -> Option<(i64, i64)> {
    let whole = (entry.base_offset.max(from), entry.max_timestamp);
    let Some((header, payload)) = entry.parts() else { return Some(whole) };
    let mut found = None;
    let looked = each_record(header, payload, &mut Decompressor::default(), |record| {
        if found.is_none() && record.timestamp >= timestamp && record.offset >= from {
            found = Some((record.offset, record.timestamp));
        }
    });
    if looked.is_ok() { found } else { Some(whole) }
}
