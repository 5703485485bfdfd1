//! What it means that a position lies outside the source's log. Pure.

use std::fmt;

use uuid::Uuid;

use crate::ids::SourceOffset;

/// The offsets a source partition holds: `[earliest, latest)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRange {
    /// The log start offset.
    pub earliest: SourceOffset,
    /// The offset the next record will get.
    pub latest: SourceOffset,
}

/// Source offsets that cannot be mirrored any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The records `[from, to)` were deleted at the source before they were mirrored (retention, DeleteRecords).
    Expired {
        /// The first record that is missing.
        from: SourceOffset,
        /// The first record that is still there.
        to: SourceOffset,
    },
    /// The source's log is shorter than what was mirrored: the target holds `[from, to)` of a log that the source
    /// no longer has (unclean leader election, a log restored from an older copy).
    Truncated {
        /// Where the source's log ends now.
        from: SourceOffset,
        /// Where it ended when it was mirrored.
        to: SourceOffset,
    },
    /// The topic was deleted and created again: `mirrored` offsets of the old one are at the target, and whatever
    /// it held behind that is gone.
    Recreated {
        /// The end of what was mirrored of the old topic.
        mirrored: SourceOffset,
    },
}

impl Loss {
    /// How many source offsets are concerned; zero where it cannot be known.
    pub fn offsets(&self) -> u64 {
        let count = match self {
            Self::Expired { from, to } | Self::Truncated { from, to } => to.0 - from.0,
            Self::Recreated { .. } => 0,
        };
        u64::try_from(count).unwrap_or(0)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { from, to } => write!(
                f,
                "source offsets {from} to {} ({} offsets) were deleted at the source before they were mirrored",
                to.0 - 1,
                self.offsets()
            ),
            Self::Truncated { from, to } => write!(
                f,
                "the source's log was truncated to offset {from}: the target holds {} offsets ({from} to {}) \
                 that the source no longer has",
                self.offsets(),
                to.0 - 1
            ),
            Self::Recreated { mirrored } => write!(
                f,
                "the source topic was deleted and created again: the target holds records of the old one, \
                 mirrored up to offset {mirrored}; what came behind that is gone"
            ),
        }
    }
}

/// Where to go on from `position` in a log that now holds `range`, and what was lost.
pub fn judge(position: SourceOffset, range: LogRange) -> (SourceOffset, Option<Loss>) {
    if position < range.earliest {
        (range.earliest, Some(Loss::Expired { from: position, to: range.earliest }))
    } else if position > range.latest {
        (range.latest, Some(Loss::Truncated { from: range.latest, to: position }))
    } else {
        (position, None)
    }
}

/// Whether what is known of a topic with the id `then` is true of the one with the id `now`: where an id is not known
/// nothing speaks against it.
pub fn is_same_topic(then: Option<Uuid>, now: Option<Uuid>) -> bool {
    then.zip(now).is_none_or(|(then, now)| then == now)
}

/// Where a partition begins.
///
/// `progress` is what was mirrored before, with the topic id it is true for where that is known; `topic_id` is the
/// topic's id now. `from_latest` leaves out what is in the log already where there is no progress. With `marked` the
/// former writer may have come further than its progress: what it left at the target is found out from there, and only
/// then it shows what is lost.
pub fn start(
    progress: Option<(SourceOffset, Option<Uuid>)>,
    topic_id: Option<Uuid>,
    range: LogRange,
    from_latest: bool,
    marked: bool,
) -> (SourceOffset, Option<Loss>) {
    match progress {
        Some((mirrored, then)) if !is_same_topic(then, topic_id) => {
            (range.earliest, Some(Loss::Recreated { mirrored }))
        }
        Some((next, _)) if marked => (next, None),
        Some((next, _)) => judge(next, range),
        None if from_latest => (range.latest, None),
        None => (range.earliest, None),
    }
}

/// Where to begin again in a source's log that has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    /// It was cut off here: not behind this.
    CutOff(SourceOffset),
    /// It begins here now: not before this.
    BeginsAt(SourceOffset),
}

impl Restart {
    /// Where a partition goes on of which the target holds what lies before `reached`.
    pub(crate) fn position(self, reached: SourceOffset) -> SourceOffset {
        match self {
            Self::CutOff(at) => at.min(reached),
            Self::BeginsAt(at) => at.max(reached),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: LogRange = LogRange { earliest: SourceOffset(100), latest: SourceOffset(200) };

    #[test]
    fn begins_where_it_stopped_or_where_it_is_told_to() {
        let (old, new) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let progress = |offset, id| Some((SourceOffset(offset), id));
        assert_eq!(start(None, None, RANGE, false, false), (SourceOffset(100), None));
        assert_eq!(start(None, None, RANGE, true, false), (SourceOffset(200), None));
        assert_eq!(start(progress(150, Some(old)), Some(old), RANGE, true, false), (SourceOffset(150), None));
        assert_eq!(start(progress(150, None), Some(new), RANGE, false, false), (SourceOffset(150), None));
        assert_eq!(start(progress(40, Some(old)), Some(old), RANGE, false, true), (SourceOffset(40), None));
        let recreated = Loss::Recreated { mirrored: SourceOffset(150) };
        assert_eq!(
            start(progress(150, Some(old)), Some(new), RANGE, true, false),
            (SourceOffset(100), Some(recreated))
        );
    }

    fn judged(position: i64) -> (i64, Option<Loss>) {
        let (next, loss) = judge(SourceOffset(position), RANGE);
        (next.0, loss)
    }

    #[test]
    fn inside_the_log_nothing_is_lost() {
        assert_eq!(judged(100), (100, None));
        assert_eq!(judged(200), (200, None));
    }

    #[test]
    fn before_the_log_records_expired() {
        let (next, loss) = judged(40);
        assert_eq!((next, loss.unwrap().offsets()), (100, 60));
    }

    #[test]
    fn behind_the_log_it_was_truncated() {
        let (next, loss) = judged(230);
        assert_eq!(next, 200);
        assert_eq!(loss, Some(Loss::Truncated { from: SourceOffset(200), to: SourceOffset(230) }));
    }
}
