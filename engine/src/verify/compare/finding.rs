//! What a comparison finds. Values only. Pure.

/// Offsets from the first to the last, both in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first offset.
    pub first: i64,
    /// The last offset.
    pub last: i64,
}

impl Span {
    /// One offset.
    pub fn at(offset: i64) -> Self {
        Self { first: offset, last: offset }
    }
}

/// One of the two logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The source's.
    Source,
    /// The target's.
    Target,
}

/// What differs between two records that stand at the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    /// The keys.
    pub key: bool,
    /// The values.
    pub value: bool,
    /// The headers.
    pub headers: bool,
    /// The timestamps.
    pub timestamp: bool,
}

impl Fields {
    /// The names of those that differ.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.key, "key"),
            (self.value, "value"),
            (self.headers, "headers"),
            (self.timestamp, "timestamp"),
        ];
        all.into_iter().filter(|(differs, _)| *differs).map(|(_, name)| name)
    }
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The target lacks the records of the source span. They would stand at, or right before, the target offset.
    Missing,
    /// The source has no such records as those of the target span. They stand where the source offset would come.
    Extra,
    /// The record at the target is not the one at the source.
    Altered(Fields),
    /// The target has the record at another place.
    OutOfOrder,
    /// The batch at this side cannot be read: its checksum or its layout is wrong.
    Damaged(Which),
}

impl Kind {
    /// Its name, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Altered(_) => "altered",
            Self::OutOfOrder => "out-of-order",
            Self::Damaged(Which::Source) => "damaged-at-source",
            Self::Damaged(Which::Target) => "damaged-at-target",
        }
    }
}

/// A difference, with its place in both logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// Where at the source.
    pub source: Span,
    /// Where at the target.
    pub target: Span,
    /// How many records are concerned; batches for damaged ones.
    pub records: u64,
}

/// How much was compared and how much differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Records that are the same on both sides.
    pub matched: u64,
    /// Records that the target lacks.
    pub missing: u64,
    /// Records that the source does not have.
    pub extra: u64,
    /// Records with other contents.
    pub altered: u64,
    /// Records at other places.
    pub out_of_order: u64,
    /// Batches that cannot be read, of both sides.
    pub damaged: u64,
    /// Records that one side's log cleaner removed: it has a later record of their key.
    pub compacted: u64,
    /// Records behind the end of what must be at the target, which it does not have yet.
    pub not_yet: u64,
    /// Pairs of batches compared byte by byte without decompressing.
    pub whole_batches: u64,
    /// Batches that were opened, of both sides.
    pub opened_batches: u64,
}

impl Counts {
    /// How many differences there are.
    pub fn differences(&self) -> u64 {
        self.missing + self.extra + self.altered + self.out_of_order + self.damaged
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.matched += other.matched;
        self.missing += other.missing;
        self.extra += other.extra;
        self.altered += other.altered;
        self.out_of_order += other.out_of_order;
        self.damaged += other.damaged;
        self.compacted += other.compacted;
        self.not_yet += other.not_yet;
        self.whole_batches += other.whole_batches;
        self.opened_batches += other.opened_batches;
    }
}

/// Findings, of which the first ones are kept and all are counted.
#[derive(Debug, Default)]
pub struct Findings {
    /// The first ones.
    pub listed: Vec<Finding>,
    /// How many more there are.
    pub left_out: u64,
}

/// Findings kept of one partition at most. A run of neighbours that are missing or extra is one finding.
pub const FINDINGS_LISTED_MAX: usize = 1000;

impl Findings {
    pub(super) fn add(&mut self, finding: Finding) {
        if let Some(last) = self.listed.last_mut().filter(|_| self.left_out == 0)
            && last.goes_on_with(&finding)
        {
            last.source.last = last.source.last.max(finding.source.last);
            last.target.last = last.target.last.max(finding.target.last);
            last.records += finding.records;
        } else if self.listed.len() < FINDINGS_LISTED_MAX {
            self.listed.push(finding);
        } else {
            self.left_out += 1;
        }
    }

    /// Adds what another comparison of the same partition found.
    pub fn extend(&mut self, other: Self) {
        other.listed.into_iter().for_each(|finding| self.add(finding));
        self.left_out += other.left_out;
    }
}

impl Finding {
    /// Whether the other is the next of the same run: nothing stands between them on either side.
    fn goes_on_with(&self, next: &Self) -> bool {
        match (self.kind, next.kind) {
            (Kind::Missing, Kind::Missing) => {
                self.target == next.target && self.source.last + 1 == next.source.first
            }
            (Kind::Extra, Kind::Extra) => {
                self.source == next.source && self.target.last + 1 == next.target.first
            }
            _ => false,
        }
    }
}
