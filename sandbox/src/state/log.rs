//! The log of one partition: its entries in the order of their offsets, its leader epochs, producers and transactions.
//! Pure: no clock, no sockets. What may be appended is decided in `validate`; this only keeps the books.

use std::collections::VecDeque;

use super::entry::LogEntry;
use super::epochs::Epochs;
use super::producers::Producers;
use super::transactions::LogTransactions;

/// One partition's records. The high watermark is the end offset: every replica has everything at once.
#[derive(Debug, Default)]
pub(crate) struct Log {
    start_offset: i64,
    end_offset: i64,
    entries: VecDeque<LogEntry>,
    footprint: usize,
    pub(crate) epochs: Epochs,
    pub(crate) producers: Producers,
    pub(crate) transactions: LogTransactions,
}

/// Where a read stands in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadBound {
    /// Up to the high watermark (`read_uncommitted`).
    HighWatermark,
    /// Up to the first offset of the oldest open transaction (`read_committed`).
    LastStable,
}

impl Log {
    /// First offset that can be read.
    pub(crate) fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// Offset of the next record; also the high watermark.
    pub(crate) fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// First offset of the oldest open transaction, or the end.
    pub(crate) fn last_stable_offset(&self) -> i64 {
        self.transactions.first_open_offset().unwrap_or(self.end_offset)
    }

    pub(crate) fn bound(&self, bound: ReadBound) -> i64 {
        match bound {
            ReadBound::HighWatermark => self.end_offset,
            ReadBound::LastStable => self.last_stable_offset(),
        }
    }

    /// Bytes of memory that the entries take, about.
    pub(crate) fn footprint(&self) -> usize {
        self.footprint
    }

    /// Bytes of all entries as they lie on the wire.
    pub(crate) fn size(&self) -> usize {
        self.entries.iter().map(LogEntry::len).sum()
    }

    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &LogEntry> {
        self.entries.iter()
    }

    /// Adds an entry whose offsets are not below the end. An entry further on leaves a gap, as the log cleaner does.
    pub(crate) fn push(&mut self, entry: LogEntry) {
        debug_assert!(entry.base_offset >= self.end_offset, "offsets go up");
        if entry.leader_epoch >= 0 {
            self.epochs.begin(entry.leader_epoch, entry.base_offset);
        }
        self.end_offset = entry.last_offset + 1;
        self.footprint += entry.footprint();
        self.entries.push_back(entry);
    }

    /// Remembers what the header of an appended batch says about its producer and its transaction.
    pub(crate) fn note_producer(&mut self, entry: &LogEntry) {
        let Some(header) = entry.header().filter(|header| header.producer_id >= 0 && !header.is_control())
        else {
            return;
        };
        self.producers.note_batch(header);
        if header.is_transactional() {
            self.transactions.open(header.producer_id, header.base_offset);
        }
    }

    /// Entries from the one that holds `offset` (or the next behind a gap) to the last that begins before `bound`.
    pub(crate) fn read(&self, offset: i64, bound: i64) -> impl Iterator<Item = &LogEntry> {
        let first = self.entries.partition_point(|entry| entry.last_offset < offset);
        self.entries.range(first..).take_while(move |entry| entry.base_offset < bound)
    }

    /// The first entry with a record at or after `timestamp`, by the headers' greatest timestamps.
    pub(crate) fn find_timestamp(&self, timestamp: i64) -> Option<&LogEntry> {
        self.entries
            .iter()
            .find(|entry| entry.last_offset >= self.start_offset && entry.max_timestamp >= timestamp)
    }

    /// The first of the entries with the greatest timestamp.
    pub(crate) fn max_timestamp(&self) -> Option<&LogEntry> {
        let newer = |best: Option<&LogEntry>, entry: &LogEntry| {
            best.is_none_or(|best| entry.max_timestamp > best.max_timestamp)
        };
        self.entries.iter().fold(None, |best, entry| if newer(best, entry) { Some(entry) } else { best })
    }

    /// Moves the first offset up to `offset` (at most the end) and frees what lies wholly before it. Answers the bytes
    /// of memory freed.
    pub(crate) fn advance_start(&mut self, offset: i64) -> usize {
        let before = self.footprint;
        self.start_offset = offset.clamp(self.start_offset, self.end_offset);
        let gone = self.entries.partition_point(|entry| entry.last_offset < self.start_offset);
        self.footprint -= self.entries.drain(..gone).map(|entry| entry.footprint()).sum::<usize>();
        self.epochs.truncate_start(self.start_offset);
        self.transactions.truncate_start(self.start_offset);
        before - self.footprint
    }

    /// Frees the oldest entry, as retention does. Answers the bytes of memory freed; `None` when there is nothing.
    pub(crate) fn drop_oldest(&mut self) -> Option<usize> {
        let oldest = self.entries.front()?.last_offset;
        Some(self.advance_start(oldest + 1))
    }

    /// Cuts the log at the batch that holds `offset`: that batch and all behind it are gone. What is known of producers
    /// and transactions is what the rest tells. Answers the bytes of memory freed.
    pub(crate) fn truncate(&mut self, offset: i64) -> usize {
        let before = self.footprint;
        let keep = self.entries.partition_point(|entry| entry.last_offset < offset);
        if let Some(cut) = self.entries.get(keep) {
            self.end_offset = cut.base_offset.max(self.start_offset);
        }
        self.footprint -= self.entries.drain(keep..).map(|entry| entry.footprint()).sum::<usize>();
        self.epochs.truncate_end(self.end_offset);
        self.rebuild_producers();
        before - self.footprint
    }

    fn rebuild_producers(&mut self) {
        self.producers = Producers::default();
        let markers = self.transactions.markers_before(self.end_offset);
        self.transactions = LogTransactions::default();
        let entries: Vec<_> = self.entries.iter().cloned().collect();
        for entry in &entries {
            match markers.iter().find(|marker| marker.offset == entry.base_offset) {
                Some(marker) => {
                    let (id, epoch) = (marker.producer_id, marker.producer_epoch);
                    self.producers.note_marker(id, epoch, marker.coordinator_epoch, entry.max_timestamp);
                    self.transactions.close(*marker);
                }
                None => self.note_producer(entry),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// Entries of ten offsets each, from 0 on.
    fn log(entries: i64) -> Log {
        let mut log = Log::default();
        for n in 0..entries {
            let mut entry = LogEntry::raw(Bytes::from_static(&[0; 10]), n * 10, n * 10 + 9);
            entry.max_timestamp = [5, 9, 7][usize::try_from(n % 3).unwrap()];
            log.push(entry);
        }
        log
    }

    fn offsets(log: &Log, from: i64, bound: i64) -> Vec<i64> {
        log.read(from, bound).map(|entry| entry.base_offset).collect()
    }

    #[test]
    fn reads_whole_entries_from_the_one_with_the_offset() {
        let log = log(4);
        assert_eq!(offsets(&log, 19, 40), [10, 20, 30]);
        assert_eq!(offsets(&log, 20, 21), [20]);
        assert!(offsets(&log, 40, 40).is_empty());
    }

    #[test]
    fn gaps_are_read_over() {
        let mut log = log(1);
        log.push(LogEntry::raw(Bytes::new(), 50, 50));
        assert_eq!(offsets(&log, 10, 51), [50]);
        assert_eq!(log.end_offset(), 51);
    }

    #[test]
    fn the_start_may_lie_inside_an_entry() {
        let mut log = log(3);
        let freed = log.advance_start(15);
        assert_eq!(freed, 170);
        assert_eq!((log.start_offset(), offsets(&log, 15, 30)), (15, vec![10, 20]));
        assert!(log.drop_oldest().is_some());
        assert_eq!(log.start_offset(), 20);
        log.advance_start(99);
        assert_eq!((log.start_offset(), log.footprint(), log.drop_oldest()), (30, 0, None));
    }

    #[test]
    fn truncation_removes_the_entry_with_the_offset() {
        let mut log = log(3);
        log.truncate(15);
        assert_eq!((log.end_offset(), log.footprint()), (10, 170));
        log.truncate(99);
        assert_eq!(log.end_offset(), 10);
    }

    #[test]
    fn timestamps_find_the_first_entry() {
        let log = log(6);
        assert_eq!(log.find_timestamp(6).map(|entry| entry.base_offset), Some(10));
        assert_eq!(log.find_timestamp(10).map(|entry| entry.base_offset), None);
        assert_eq!(log.max_timestamp().map(|entry| entry.base_offset), Some(10));
    }
}
