//! Where each leader epoch of a partition begins (KIP-101, Kafka's `LeaderEpochFileCache`). Pure.

/// The epochs of a log, oldest first, each with the offset of its first record.
#[derive(Debug, Default)]
pub(crate) struct Epochs {
    starts: Vec<EpochStart>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct EpochStart {
    epoch: i32,
    start_offset: i64,
}

/// The last offset (exclusive) of the greatest epoch that is not above a requested one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpochEnd {
    pub(crate) epoch: i32,
    pub(crate) end_offset: i64,
}

impl Epochs {
    /// From `start_offset` on records have `epoch`, unless a newer one has begun. An epoch without records gives way.
    pub(crate) fn begin(&mut self, epoch: i32, start_offset: i64) {
        if self.starts.last().is_some_and(|last| last.epoch >= epoch) {
            return;
        }
        self.starts.retain(|start| start.start_offset < start_offset);
        self.starts.push(EpochStart { epoch, start_offset });
    }

    /// The log now ends at `end_offset`.
    pub(crate) fn truncate_end(&mut self, end_offset: i64) {
        self.starts.retain(|start| start.start_offset < end_offset);
    }

    /// The log now begins at `start_offset`: the epoch that covers it begins there, earlier ones are forgotten.
    pub(crate) fn truncate_start(&mut self, start_offset: i64) {
        let covering = self.starts.partition_point(|start| start.start_offset <= start_offset).checked_sub(1);
        if let Some(covering) = covering {
            self.starts.drain(..covering);
            self.starts[0].start_offset = start_offset;
        }
    }

    /// `LeaderEpochFileCache.endOffsetFor`: for the newest epoch the log end; for an older one the start of the next; for
    /// one below all the known, that epoch itself with the first known start; `None` for one above all.
    pub(crate) fn end_of(&self, epoch: i32, log_end: i64) -> Option<EpochEnd> {
        let newest = self.starts.last()?;
        if epoch == newest.epoch {
            return Some(EpochEnd { epoch, end_offset: log_end });
        }
        let next = self.starts.iter().position(|start| start.epoch > epoch)?;
        let floor = next.checked_sub(1).map_or(epoch, |floor| self.starts[floor].epoch);
        Some(EpochEnd { epoch: floor, end_offset: self.starts[next].start_offset })
    }

    /// The epoch of the record at `offset`.
    pub(crate) fn of_offset(&self, offset: i64) -> Option<i32> {
        let next = self.starts.partition_point(|start| start.start_offset <= offset);
        next.checked_sub(1).map(|covering| self.starts[covering].epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs() -> Epochs {
        let mut epochs = Epochs::default();
        epochs.begin(1, 0);
        epochs.begin(1, 5);
        epochs.begin(3, 10);
        epochs.begin(4, 20);
        epochs
    }

    #[test]
    fn ends_of_epochs() {
        let end = |epoch| epochs().end_of(epoch, 25).map(|end| (end.epoch, end.end_offset));
        assert_eq!(end(0), Some((0, 0)));
        assert_eq!(end(1), Some((1, 10)));
        assert_eq!(end(2), Some((1, 10)));
        assert_eq!(end(4), Some((4, 25)));
        assert_eq!(end(5), None);
    }

    #[test]
    fn truncation_forgets_epochs_behind_and_in_front() {
        let mut epochs = epochs();
        epochs.truncate_end(20);
        assert_eq!(epochs.end_of(4, 20), None);
        epochs.begin(5, 15);
        assert_eq!((epochs.of_offset(12), epochs.of_offset(15)), (Some(3), Some(5)));
        epochs.truncate_start(12);
        assert_eq!((epochs.of_offset(11), epochs.of_offset(12)), (None, Some(3)));
        assert_eq!(epochs.end_of(1, 30), Some(EpochEnd { epoch: 1, end_offset: 12 }));
    }

    #[test]
    fn a_new_epoch_at_the_same_offset_takes_the_place() {
        let mut epochs = epochs();
        epochs.begin(6, 20);
        assert_eq!(epochs.end_of(4, 30).map(|end| end.epoch), Some(3));
    }
}
