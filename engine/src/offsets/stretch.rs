//! What became of stretches of the source's log: the words in which the ledger tells the offset map. Pure.

use crate::ids::{SourceOffset, TargetOffset};

/// Which source offsets the records of a batch have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runs {
    /// The source offset of the first record.
    pub first_record: SourceOffset,
    /// The records whose source offset does not follow on that of the record before them: their source offsets and
    /// their places in the batch.
    pub breaks: Vec<(SourceOffset, i32)>,
}

impl Runs {
    /// Records at consecutive offsets.
    pub fn dense(first_record: SourceOffset) -> Self {
        Self { first_record, breaks: Vec::new() }
    }

    /// The beginnings of all stretches of consecutive offsets, with their places in the batch.
    pub fn starts(&self) -> impl Iterator<Item = (SourceOffset, i32)> + '_ {
        std::iter::once((self.first_record, 0)).chain(self.breaks.iter().copied())
    }
}

/// Records of the source that are at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// Their source offsets.
    pub runs: Runs,
    /// How many they are.
    pub records: i32,
    /// The source offset behind the last of them, and behind what was left out there.
    pub next: SourceOffset,
    /// The target offset of the first; the target does not always tell it.
    pub base: Option<TargetOffset>,
}

impl Landed {
    /// The source offset behind the last record.
    pub fn record_end(&self) -> SourceOffset {
        let (source, place) = self.runs.breaks.last().copied().unwrap_or((self.runs.first_record, 0));
        SourceOffset(source.0 + i64::from(self.records - place))
    }
}

/// What became of a stretch of the source's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is at the target.
    Landed(Landed),
    /// Everything up to here that did not land was left out.
    Skipped(SourceOffset),
    /// The source's log was cut off here; what comes behind it is another log.
    CutOff(SourceOffset),
}
