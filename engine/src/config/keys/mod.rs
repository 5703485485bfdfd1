//! The option table: every key there is, once, with its type, default, place and meaning.
//!
//! Reading, checking, the reference page and the suggestions for misspelt keys are all derived from it. A key that is
//! not here does not exist. The rows are in the files beside this one; this one has the columns.

mod clients;
mod mirror;
mod sasl;
mod security;
mod share;
mod sync;
mod transactions;
mod worker;

use std::sync::LazyLock;

pub use clients::*;
pub use mirror::*;
pub use sasl::*;
pub use security::*;
pub use share::*;
pub use sync::*;
pub use transactions::*;
pub use worker::*;

/// Where a key may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// On its own: `clusters`.
    Process,
    /// With a cluster: `A.bootstrap.servers`; on its own it counts for all clusters; with a role for its client.
    Cluster,
    /// On its own for all flows, or for one: `A->B.topics`.
    Flow,
    /// A Connect worker's key, of the flow's target: `B.offset.flush.interval.ms`.
    Worker,
    /// A key of the clients in these roles: `A.consumer.fetch.max.bytes`.
    Client(&'static [Role]),
}

/// The roles that a client can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// `consumer.`
    Consumer,
    /// `producer.`
    Producer,
    /// `admin.`
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Consumer, Self::Producer, Self::Admin];

    /// The word before the dot.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Producer => "producer",
            Self::Admin => "admin",
        }
    }
}

/// What a value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number within bounds.
    Int {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// A number between 0 and 1, within bounds in percent.
    Fraction {
        /// The smallest.
        min: u8,
        /// The largest.
        max: u8,
    },
    /// A number of bytes, with `k`, `m` or `g` behind it if it is a key of our own.
    Memory {
        /// The smallest.
        min: i64,
    },
    /// Any text.
    Text,
    /// Names with commas between them.
    List,
    /// Names and Java expressions with commas between them.
    Patterns,
    /// `host:port` with commas or semicolons between them.
    Servers,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// The name of a Java class.
    Class,
    /// Text that must not be shown.
    Secret,
}

/// What kmirror does with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It has its effect.
    Used,
    /// It is accepted and means nothing here.
    Ignored {
        /// Why.
        reason: &'static str,
    },
    /// It would change the records; any value but those named is refused.
    RefusedUnless {
        /// The values that change nothing.
        harmless: &'static [&'static str],
        /// What kmirror would have to do.
        reason: &'static str,
    },
}

/// One row: one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opt {
    /// The name; one that ends in `*` stands for all keys that begin so.
    pub name: &'static str,
    /// Older names of the same setting.
    pub older_names: &'static [&'static str],
    /// Where it may stand.
    pub scope: Scope,
    /// What its value has to be.
    pub kind: Kind,
    /// The default as it would be written; empty when there is none.
    pub default: &'static str,
    /// What kmirror does with it.
    pub status: Status,
    /// What it means, in one line.
    pub doc: &'static str,
    /// The Kafka release that brought it, or `kmirror` for our own.
    pub since: &'static str,
}

impl Opt {
    const fn used(
        name: &'static str,
        scope: Scope,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        let (older_names, since): (&[&str], &str) = (&[], "2.4");
        Self { name, older_names, scope, kind, default, status: Status::Used, doc, since }
    }

    const fn since(mut self, since: &'static str) -> Self {
        self.since = since;
        self
    }

    const fn older(mut self, names: &'static [&'static str]) -> Self {
        self.older_names = names;
        self
    }

    const fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Whether a key is this option's, by its name of today or an older one, or as one of its family.
    pub fn is_named(&self, key: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(beginning) => key.starts_with(beginning),
            None => key == self.name || self.older_names.contains(&key),
        }
    }

    /// Whether the value must not be shown.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }
}

/// A row for keys that mean nothing here, or that go with something this version does not do.
const fn ignored(name: &'static str, scope: Scope, reason: &'static str) -> Opt {
    Opt::used(name, scope, Kind::Text, "", "").status(Status::Ignored { reason })
}

/// Every row, in the order of the reference page.
static TABLE: LazyLock<Vec<&'static Opt>> = LazyLock::new(|| {
    mirror_rows()
        .chain(sync_rows())
        .chain(worker_rows())
        .chain(share_rows())
        .chain(transactions_rows())
        .chain(clients_rows())
        .chain(security_rows())
        .chain(sasl_rows())
        .collect()
});

/// All options.
pub fn options() -> impl Iterator<Item = &'static Opt> {
    TABLE.iter().copied()
}

/// The options that have a name, today's or an older one; exact names come before families.
pub fn named(key: &str) -> impl Iterator<Item = &'static Opt> {
    let exact = move |opt: &&'static Opt| !opt.name.ends_with('*') && opt.is_named(key);
    let family = move |opt: &&'static Opt| opt.name.ends_with('*') && opt.is_named(key);
    options().filter(exact).chain(options().filter(family))
}

#[cfg(test)]
mod tests;
