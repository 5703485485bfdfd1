//! Where a group's position lies at the target, and how well that is known. Pure.

use std::fmt;

use super::map::{Translation, WhyUnknown};
use super::mm2_syncs::Mm2Syncs;
use crate::ids::{SourceOffset, SourcePartition, TargetOffset};

/// Where a position lies at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// There, exactly: no record is read again, none is missed.
    Exact(TargetOffset),
    /// There or later, as MirrorMaker 2's offset syncs tell it: records may be read again.
    LikeMm2(TargetOffset),
    /// It lies beyond what is mirrored.
    Behind {
        /// The end of what is mirrored.
        target: TargetOffset,
        /// How many source offsets are missing up to the position.
        missing: i64,
    },
    /// Nobody knows.
    Unknown(WhyUnknown),
}

impl Located {
    /// What the exact map says, or where that says nothing, what MirrorMaker 2's syncs say.
    pub fn find(
        exact: Translation,
        syncs: &Mm2Syncs,
        partition: &SourcePartition,
        position: SourceOffset,
    ) -> Self {
        match exact {
            Translation::Exact(target) => Self::Exact(target),
            Translation::Behind { target, missing } => Self::Behind { target, missing },
            Translation::Unknown(why) => match syncs.translate(partition, position) {
                Some(target) => Self::LikeMm2(target),
                None => Self::Unknown(why),
            },
        }
    }

    /// The target offset that a group may be set to without missing a record.
    pub fn target(&self) -> Option<TargetOffset> {
        match self {
            Self::Exact(target) | Self::LikeMm2(target) | Self::Behind { target, .. } => Some(*target),
            Self::Unknown(_) => None,
        }
    }

    /// Its name in listings.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exact(_) => "exact",
            Self::LikeMm2(_) => "as-mirrormaker2",
            Self::Behind { .. } => "behind",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(_) => f.write_str("exact"),
            Self::LikeMm2(_) => f.write_str("only as good as MirrorMaker 2's offset syncs"),
            Self::Behind { missing, .. } => write!(f, "{missing} source offsets beyond what is mirrored"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offsets::records::OffsetSync;

    #[test]
    fn syncs_count_only_where_the_map_says_nothing() {
        let partition = SourcePartition { topic: "orders".into(), partition: 3 };
        let (upstream, downstream) = (SourceOffset(10), TargetOffset(7));
        let mut syncs = Mm2Syncs::default();
        syncs.insert(OffsetSync { partition: partition.clone(), upstream, downstream });
        let find = |exact, at| Located::find(exact, &syncs, &partition, SourceOffset(at));
        let exact = Translation::Exact(TargetOffset(50));
        assert_eq!(find(exact, 60), Located::Exact(TargetOffset(50)));
        let behind = Translation::Behind { target: TargetOffset(50), missing: 2 };
        assert_eq!(find(behind, 60), Located::Behind { target: TargetOffset(50), missing: 2 });
        let unknown = Translation::Unknown(WhyUnknown::NotSeen);
        assert_eq!(find(unknown.clone(), 60), Located::LikeMm2(TargetOffset(8)));
        assert_eq!(find(unknown, 9), Located::Unknown(WhyUnknown::NotSeen));
    }
}
