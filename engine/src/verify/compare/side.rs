//! What is at hand of one side of a comparison: batches as they came, and the records of those that were opened. Pure.

use std::collections::VecDeque;

use kmirror_protocol::wire::batch::{Batch, Entry, TimestampType};

use crate::print::{Print, Printer};

/// One side.
#[derive(Debug)]
pub(super) struct Side {
    /// Opened, in front of `items`.
    pub(super) prints: VecDeque<Print>,
    items: VecDeque<Entry>,
    /// Records outside `[from, until)` do not count.
    from: i64,
    until: i64,
    /// The offset behind the last record that was taken off.
    pub(super) taken: i64,
    /// The offset behind all that came.
    pub(super) next: i64,
    /// Nothing more will come.
    pub(super) ended: bool,
    /// Batches that were opened.
    pub(super) opened: u64,
}

/// Whether so many records are at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    Enough,
    /// More has to come first.
    Wants,
    /// There are no more.
    Ended,
}

/// A batch that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Side {
    pub(super) fn new(from: i64, until: i64) -> Self {
        Self {
            prints: VecDeque::new(),
            items: VecDeque::new(),
            from,
            until,
            taken: from,
            next: from,
            ended: false,
            opened: 0,
        }
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.next = self.next.max(entry.last_offset().saturating_add(1));
        self.items.push_back(entry);
    }

    /// No record is at hand that was opened.
    pub(super) fn at_border(&self) -> bool {
        self.prints.is_empty()
    }

    /// Nothing is at hand.
    pub(super) fn is_empty(&self) -> bool {
        self.prints.is_empty() && self.items.is_empty()
    }

    /// Nothing is at hand and nothing will come.
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.is_empty()
    }

    /// The batch that comes next, if it counts as a whole and nothing of it was taken off.
    pub(super) fn whole_batch(&self) -> Option<&Batch> {
        match self.items.front()? {
            Entry::Batch(batch) if self.prints.is_empty() => {
                let header = &batch.header;
                (header.base_offset >= self.from && header.next_offset() <= self.until).then_some(batch)
            }
            _ => None,
        }
    }

    /// Takes the next batch off as a whole.
    pub(super) fn pass_batch(&mut self) {
        if let Some(entry) = self.items.pop_front() {
            self.taken = entry.last_offset().saturating_add(1);
        }
    }

    /// Opens batches until `count` records are at hand. `stamps_itself` becomes true where the log's broker put the
    /// timestamps there. A damaged batch is passed over and told of.
    pub(super) fn fill(
        &mut self,
        count: usize,
        printer: &mut Printer,
        stamps_itself: &mut bool,
        damaged: &mut Vec<Damaged>,
    ) -> Fill {
        let mut opened = Vec::new();
        while self.prints.len() < count {
            let Some(entry) = self.items.pop_front() else {
                return if self.ended { Fill::Ended } else { Fill::Wants };
            };
            opened.clear();
            match printer.prints(&entry, self.from, self.until, &mut opened) {
                Ok(()) => self.prints.extend(&opened),
                Err(_) => damaged.push(Damaged { first: entry.first_offset(), last: entry.last_offset() }),
            }
            self.opened += 1;
            *stamps_itself |= is_stamped(&entry);
        }
        Fill::Enough
    }

    /// The offset of what comes next, as far as it is at hand.
    pub(super) fn first_at_hand(&self) -> Option<i64> {
        let opened = self.prints.front().map(|print| print.offset);
        opened.or_else(|| self.items.front().map(Entry::first_offset))
    }

    /// Takes one record off.
    pub(super) fn take_one(&mut self) -> Option<Print> {
        let print = self.prints.pop_front()?;
        self.taken = print.offset.saturating_add(1);
        Some(print)
    }

    /// Takes `count` records off.
    pub(super) fn take(&mut self, count: usize) -> Vec<Print> {
        let taken: Vec<Print> = self.prints.drain(..count.min(self.prints.len())).collect();
        if let Some(last) = taken.last() {
            self.taken = last.offset.saturating_add(1);
        }
        taken
    }
}

/// Whether the broker put the timestamps there when it appended the batch.
pub(super) fn is_stamped(entry: &Entry) -> bool {
    matches!(entry, Entry::Batch(batch) if batch.header.timestamp_type() == TimestampType::LogAppend)
}
