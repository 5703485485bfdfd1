//! Which checkpoints are due, by MirrorMaker 2's rule (`MirrorCheckpointTask.checkpointIsMoreRecent`). Pure.

use std::collections::HashMap;
use std::sync::Arc;

use super::records::Checkpoint;
use crate::ids::{SourceOffset, TargetOffset};

type Written = HashMap<(Arc<str>, i32), (SourceOffset, TargetOffset)>;

/// The checkpoints that the topic holds, by group and target partition.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints(HashMap<Arc<str>, Written>);

impl Checkpoints {
    /// Takes in what was written: by us, by MirrorMaker 2 before us, or in an earlier life.
    pub(crate) fn note(&mut self, checkpoint: &Checkpoint) {
        let group = self.0.entry(Arc::clone(&checkpoint.group)).or_default();
        let place = (Arc::clone(&checkpoint.topic), checkpoint.partition);
        group.insert(place, (checkpoint.upstream, checkpoint.downstream));
    }

    /// Whether a checkpoint is to be written: the first of its place, or after the group went back at the source, or
    /// on at the target. A target position never goes back for any other reason.
    pub(crate) fn is_due(&self, checkpoint: &Checkpoint) -> bool {
        let place = (Arc::clone(&checkpoint.topic), checkpoint.partition);
        match self.0.get(&checkpoint.group).and_then(|group| group.get(&place)) {
            None => true,
            Some((upstream, downstream)) => {
                checkpoint.upstream < *upstream || checkpoint.downstream > *downstream
            }
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.values().map(HashMap::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(group: &str, upstream: i64, downstream: i64) -> Checkpoint {
        Checkpoint {
            group: group.into(),
            topic: "a.orders".into(),
            partition: 0,
            upstream: SourceOffset(upstream),
            downstream: TargetOffset(downstream),
            metadata: "".into(),
        }
    }

    #[test]
    fn what_goes_on_or_was_rewound_is_due() {
        let mut written = Checkpoints::default();
        assert!(written.is_due(&checkpoint("g", 10, 10)));
        written.note(&checkpoint("g", 10, 10));
        assert!(!written.is_due(&checkpoint("g", 10, 10)), "a repetition");
        assert!(written.is_due(&checkpoint("g", 11, 11)));
        assert!(!written.is_due(&checkpoint("g", 12, 9)), "nothing goes back by itself");
        assert!(!written.is_due(&checkpoint("g", 12, 10)), "MirrorMaker 2 waits for the target to go on");
        assert!(written.is_due(&checkpoint("g", 3, 4)), "the group was rewound");
        assert!(written.is_due(&checkpoint("h", 1, 1)), "another group");
        assert_eq!(written.len(), 1);
    }
}
