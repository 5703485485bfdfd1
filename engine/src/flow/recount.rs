//! Finds how far a former writer of a partition came: reads the source again from the last progress on, and the target's
//! end where counting is no proof. What the records mean is decided in `count`.

use kmirror_protocol::client::{ClientError, Cluster};
use kmirror_protocol::wire::batch::Entry;
use kmirror_protocol::wire::fetch::IsolationLevel;

use super::count::{Alignment, Count};
use super::epochs::EpochHistory;
use super::event::{Found, Recount};
use crate::ids::{SourceOffset, TargetOffset};
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
) -> Result<Option<Found>, ClientError> {
    let isolation = match asked.read_committed {
        true => IsolationLevel::ReadCommitted,
        false => IsolationLevel::ReadUncommitted,
    };
    let mut reader =
        PartitionReader::new(source.clone(), asked.source.topic.clone(), asked.source.partition, isolation);
    let first = reader.earliest().await?.max(asked.from.0);
    reader.end = reader.latest().await?;
    let mut epochs = EpochHistory::default();
    let is_whole = first == asked.from.0;
    if is_whole && !asked.by_content {
        reader.next = first;
        let landed = count(&mut reader, asked, &mut epochs).await?;
        if let Some(landed) = landed.filter(|_| !reader.gaps) {
            return Ok(Some(Found { landed, epochs, cut_off: 0 }));
        }
    }
    reader.next = first;
    let end = SourceOffset(reader.end);
    let Some(alignment) = compare(&mut reader, target, asked, &mut epochs).await? else { return Ok(None) };
    Ok(alignment.found(asked, epochs, is_whole && !reader.gaps, end))
}

fn learn(epochs: &mut EpochHistory, entries: &[Entry]) {
    for entry in entries {
        if let Entry::Batch(batch) = entry {
            epochs.learn(batch.header.partition_leader_epoch, SourceOffset(batch.header.base_offset));
        }
    }
}

/// Counts by headers, until offsets are missing.
async fn count(
    reader: &mut PartitionReader,
    asked: &Recount,
    epochs: &mut EpochHistory,
) -> Result<Option<Landed>, ClientError> {
    let mut count = Count::new(asked.from, asked.records, asked.epoch);
    loop {
        let entries = reader.read().await?;
        learn(epochs, &entries);
        if reader.gaps || entries.is_empty() || entries.iter().any(|entry| count.take(entry)) {
            return Ok(count.landed());
        }
    }
}

/// Compares contents.
async fn compare(
    reader: &mut PartitionReader,
    target: &Cluster,
    asked: &Recount,
    epochs: &mut EpochHistory,
) -> Result<Option<Alignment>, ClientError> {
    let Some(end) = asked.end.filter(|_| asked.records <= COMPARED_MAX) else { return Ok(None) };
    let mut printer = Printer::default();
    let held = held(&mut printer, target, asked, end).await?;
    if i32::try_from(held.len()) != Ok(asked.records) {
        // The target was compacted, or others write there, too.
        return Ok(None);
    }
    let mut alignment = Alignment::new(asked.from, &held, asked.timestamps);
    let mut looked_at = 0;
    let mut prints = Vec::new();
    while looked_at < i64::from(asked.records) + LEFT_OUT_MAX {
        let from = SourceOffset(reader.next);
        let entries = reader.read().await?;
        if entries.is_empty() {
            break;
        }
        learn(epochs, &entries);
        prints.clear();
        for entry in &entries {
            let read = printer.prints(entry, from.0, i64::MAX, &mut prints);
            read.map_err(|error| reader.damaged(error))?;
        }
        looked_at += i64::try_from(prints.len()).unwrap_or(i64::MAX);
        if prints.iter().any(|print| alignment.take(print)) {
            break;
        }
    }
    Ok(Some(alignment))
}

/// The last records of the target partition before `end`.
async fn held(
    printer: &mut Printer,
    target: &Cluster,
    asked: &Recount,
    end: TargetOffset,
) -> Result<Vec<Print>, ClientError> {
    let (topic, partition) = asked.target.clone();
    let mut reader = PartitionReader::new(target.clone(), topic, partition, IsolationLevel::ReadUncommitted);
    reader.end = end.0;
    reader.next = (end.0 - i64::from(asked.records)).max(0);
    let mut prints = Vec::new();
    loop {
        let from = reader.next;
        let entries = reader.read().await?;
        if entries.is_empty() {
            return Ok(prints);
        }
        for entry in &entries {
            let read = printer.prints(entry, from, end.0, &mut prints);
            read.map_err(|error| reader.damaged(error))?;
        }
    }
}
