//! What to set a group at the target to. Pure.
//!
//! Only groups that nobody is in, or that are not there; never backwards unless that is asked for; never before the
//! first record the target still has.

use std::collections::HashMap;
use std::sync::Arc;

use kmirror_protocol::client::groups::{CommittedOffset, DescribedGroup, GroupKind};

use crate::ids::TargetOffset;

/// The leader epoch of what we set: those of the source mean nothing at the target.
const NO_EPOCH: i32 = -1;

/// A partition at the target.
pub(crate) type Place = (Arc<str>, i32);

/// Where a group should stand in a partition of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The partition.
    pub(crate) place: Place,
    /// The position.
    pub(crate) target: TargetOffset,
    /// Whether it is exact; a group goes back for nothing less.
    pub(crate) exact: bool,
    /// What the group wrote beside it at the source.
    pub(crate) metadata: Arc<str>,
}

/// Whether positions of a group may be set at the target. `shares` says that the source's is a share group.
pub(crate) fn may_be_set(group: DescribedGroup, shares: bool) -> bool {
    let absent = group.state == kmirror_protocol::client::groups::GroupState::Dead;
    group.state.is_idle() && (absent || (group.kind == GroupKind::Share) == shares)
}

/// The positions to set. `current` is where the group stands at the target, `starts` the first offsets that the
/// target's partitions still have.
pub(crate) fn due(
    wanted: &[Wanted],
    current: &[CommittedOffset],
    starts: &HashMap<Place, i64>,
    may_go_back: bool,
) -> Vec<CommittedOffset> {
    let current: HashMap<Place, i64> =
        current.iter().map(|one| ((Arc::clone(&one.topic), one.partition), one.offset)).collect();
    let set = wanted.iter().filter_map(|one| {
        let start = starts.get(&one.place).copied().unwrap_or(0);
        let offset = one.target.0.max(start).max(0);
        let moves = match current.get(&one.place) {
            // Some clients reset a position by committing a negative one.
            Some(at) if *at >= 0 => offset > *at || (may_go_back && one.exact && offset < *at),
            _ => true,
        };
        moves.then(|| CommittedOffset {
            topic: Arc::clone(&one.place.0),
            partition: one.place.1,
            offset,
            leader_epoch: NO_EPOCH,
            metadata: Arc::clone(&one.metadata),
        })
    });
    set.collect()
}

/// Those of `wanted` that may have to be set, before it is known where the target's logs begin.
pub(crate) fn differing<'a>(
    wanted: &'a [Wanted],
    current: &'a [CommittedOffset],
) -> impl Iterator<Item = &'a Wanted> {
    let current: HashMap<(&str, i32), i64> =
        current.iter().map(|one| ((&*one.topic, one.partition), one.offset)).collect();
    wanted
        .iter()
        .filter(move |one| current.get(&(&*one.place.0, one.place.1)).is_none_or(|at| *at != one.target.0))
}

#[cfg(test)]
mod tests {
    use kmirror_protocol::client::groups::GroupState;
    use proptest::prelude::*;

    use super::*;

    fn place(partition: i32) -> Place {
        ("a.orders".into(), partition)
    }

    fn wanted(partition: i32, target: i64, exact: bool) -> Wanted {
        Wanted { place: place(partition), target: TargetOffset(target), exact, metadata: "note".into() }
    }

    fn at(partition: i32, offset: i64) -> CommittedOffset {
        let (topic, metadata) = (place(partition).0, "".into());
        CommittedOffset { topic, partition, offset, leader_epoch: 4, metadata }
    }

    fn set(wanted: &[Wanted], current: &[CommittedOffset], may_go_back: bool) -> Vec<(i32, i64)> {
        let starts = HashMap::from([(place(7), 100)]);
        let due = due(wanted, current, &starts, may_go_back);
        assert!(due.iter().all(|one| &*one.metadata == "note" && one.leader_epoch == NO_EPOCH));
        due.iter().map(|one| (one.partition, one.offset)).collect()
    }

    #[test]
    fn groups_go_on_and_not_back() {
        let wanted = [wanted(0, 10, true), wanted(1, 10, true), wanted(2, 10, true), wanted(3, 10, true)];
        let current = [at(1, 9), at(2, 10), at(3, 11)];
        assert_eq!(set(&wanted, &current, false), [(0, 10), (1, 10)]);
        assert_eq!(set(&wanted, &current, true), [(0, 10), (1, 10), (3, 10)]);
    }

    #[test]
    fn nothing_goes_back_for_a_guess() {
        assert_eq!(set(&[wanted(0, 10, false)], &[at(0, 11)], true), []);
        assert_eq!(set(&[wanted(0, 10, false)], &[at(0, 9)], true), [(0, 10)]);
    }

    #[test]
    fn expired_positions_go_to_the_first_record_there_is() {
        assert_eq!(set(&[wanted(7, 10, true)], &[], false), [(7, 100)]);
        assert_eq!(set(&[wanted(7, 10, true)], &[at(7, 100)], true), [], "and stay there");
    }

    #[test]
    fn a_negative_position_is_none() {
        assert_eq!(set(&[wanted(0, 10, true)], &[at(0, -1)], false), [(0, 10)]);
    }

    #[test]
    fn groups_with_members_are_left_alone() {
        let group = |kind, state| DescribedGroup { kind, state };
        for kind in [GroupKind::Classic, GroupKind::Consumer, GroupKind::Streams] {
            assert!(may_be_set(group(kind, GroupState::Empty), false));
            assert!(!may_be_set(group(kind, GroupState::Active), false));
            assert!(!may_be_set(group(kind, GroupState::Untold), false));
        }
        assert!(may_be_set(group(GroupKind::Classic, GroupState::Dead), false));
        assert!(may_be_set(group(GroupKind::Classic, GroupState::Dead), true));
        assert!(!may_be_set(group(GroupKind::Share, GroupState::Empty), false), "another kind of that name");
        assert!(!may_be_set(group(GroupKind::Classic, GroupState::Empty), true), "another kind of that name");
        assert!(may_be_set(group(GroupKind::Share, GroupState::Empty), true));
    }

    proptest! {
        #[test]
        fn no_position_ever_goes_back_unasked(target in 0i64..200, current in prop::option::of(-2i64..200), exact: bool, asked: bool) {
            let current: Vec<_> = current.map(|offset| at(7, offset)).into_iter().collect();
            let wanted = [wanted(7, target, exact)];
            for (_, offset) in set(&wanted, &current, asked) {
                prop_assert!(offset >= 100, "before the log's start");
                if let Some(before) = current.first().filter(|before| before.offset >= 0) {
                    prop_assert!(offset > before.offset || (asked && exact));
                }
            }
        }
    }
}
