//! Finds how far a former writer of a partition came: reads the source again from the last progress on, and the target's
//! end where counting is no proof. What the records mean is decided in `count`.

use kmirror_protocol::client::{ClientError, Cluster};
use kmirror_protocol::wire::fetch::IsolationLevel;

use super::count::{Alignment, Count, epochs};
use super::event::{Recount, Recounted};
use crate::ids::SourceOffset;
use crate::offsets::stretch::Landed;
use crate::print::{Print, Printer};
use crate::read::PartitionReader;

/// Records that are compared by content at most: some 40 bytes each.
const COMPARED_MAX: i32 = 1_000_000;
/// So many records of the source more than the target holds are looked at: those that were left out on the way.
const LEFT_OUT_MAX: i64 = 10_000;

/// The records of the source that are the `asked.records` last ones at the target; `None` where that cannot be proved.
pub(crate) async fn recount(
    source: &Cluster,
    target: &Cluster,
    asked: &Recount,
) -> Result<Option<Recounted>, ClientError> {
    let isolation = match asked.read_committed {
        true => IsolationLevel::ReadCommitted,
        false => IsolationLevel::ReadUncommitted,
    };
    let mut reader =
        PartitionReader::new(source.clone(), asked.source.topic.clone(), asked.source.partition, isolation);
    let first = reader.earliest().await?.max(asked.from.0);
    reader.end = reader.latest().await?;
    if first == asked.from.0 && !asked.by_content {
        reader.next = first;
        if let Some(landed) = count(&mut reader, asked).await? {
            return Ok(Some(landed));
        }
    }
    reader.next = first;
    compare(&mut reader, target, asked).await
}

/// Adds the records that were found to the epochs seen before them.
fn found(landed: Option<Landed>, mut seen: Vec<(i32, SourceOffset)>) -> Option<Recounted> {
    let landed = landed?;
    seen.retain(|(_, first)| *first < landed.next);
    Some(Recounted { landed, epochs: seen })
}

/// Counts by headers; `None` when offsets are missing.
async fn count(reader: &mut PartitionReader, asked: &Recount) -> Result<Option<Recounted>, ClientError> {
    let mut count = Count::new(asked.from, asked.records);
    let mut seen = Vec::new();
    loop {
        let entries = reader.read().await?;
        if reader.gaps || entries.is_empty() {
            return Ok(None);
        }
        seen.extend(epochs(&entries, SourceOffset(i64::MAX)));
        if entries.iter().any(|entry| count.take(entry)) {
            return Ok(found(count.landed(), seen));
        }
    }
}

/// Compares contents.
async fn compare(
    reader: &mut PartitionReader,
    target: &Cluster,
    asked: &Recount,
) -> Result<Option<Recounted>, ClientError> {
    if asked.records > COMPARED_MAX {
        return Ok(None);
    }
    let mut printer = Printer::default();
    let held = held(&mut printer, target, asked).await?;
    if i32::try_from(held.len()) != Ok(asked.records) {
        // The target was compacted, or others write there, too.
        return Ok(None);
    }
    let mut alignment = Alignment::new(asked.from, &held, asked.timestamps);
    let mut looked_at = 0;
    let (mut prints, mut seen) = (Vec::new(), Vec::new());
    while looked_at < i64::from(asked.records) + LEFT_OUT_MAX {
        let from = SourceOffset(reader.next);
        let entries = reader.read().await?;
        if entries.is_empty() {
            break;
        }
        prints.clear();
        seen.extend(epochs(&entries, SourceOffset(i64::MAX)));
        for entry in &entries {
            let read = printer.prints(entry, from.0, i64::MAX, &mut prints);
            read.map_err(|error| reader.damaged(error))?;
        }
        looked_at += i64::try_from(prints.len()).unwrap_or(i64::MAX);
        if prints.iter().any(|print| alignment.take(print)) {
            break;
        }
    }
    Ok(found(alignment.landed(), seen))
}

/// The last records of the target partition.
async fn held(printer: &mut Printer, target: &Cluster, asked: &Recount) -> Result<Vec<Print>, ClientError> {
    let (topic, partition) = asked.target.clone();
    let mut reader = PartitionReader::new(target.clone(), topic, partition, IsolationLevel::ReadUncommitted);
    reader.end = reader.latest().await?;
    reader.next = (reader.end - i64::from(asked.records)).max(0);
    let mut prints = Vec::new();
    loop {
        let from = reader.next;
        let entries = reader.read().await?;
        if entries.is_empty() {
            return Ok(prints);
        }
        for entry in &entries {
            let read = printer.prints(entry, from, i64::MAX, &mut prints);
            read.map_err(|error| reader.damaged(error))?;
        }
    }
}
