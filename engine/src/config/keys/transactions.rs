//! The rows about writing in transactions.

use super::Kind::{Choice, Int, Memory};
use super::Opt;
use super::Role::Producer;
use super::Scope::{Client, Flow, Worker};

/// Whether records are written in transactions.
pub static EXACTLY_ONCE: Opt = Opt::used(
    "exactly.once.source.support",
    Worker,
    Choice(&["disabled", "preparing", "enabled"]),
    "disabled",
    "`enabled` writes records, progress and offset maps in transactions (KIP-618): who reads the target with \
     `isolation.level=read_committed` sees each record once, whatever happens. Without it a restart is exact, too, except \
     where the log cleaner or an unclean election leaves no proof; then records may be repeated, and the number is told. \
     The target has to be Kafka 2.5 or later. `preparing` is the same as `disabled`.",
)
.since("3.5");
/// How often a transaction ends.
pub static TRANSACTION_INTERVAL: Opt = Opt::used(
    "transaction.boundary.interval.ms",
    Flow,
    Int { min: 1, max: 900_000 },
    "500",
    "With `exactly.once.source.support=enabled`: how long a transaction stays open, and so how long readers of committed \
     records wait at most. Connect reads it with `transaction.boundary=interval` only.",
)
.since("3.5");
/// How large a transaction gets.
pub static TRANSACTION_BYTES: Opt = Opt::used(
    "kmirror.transaction.max.bytes",
    Flow,
    Memory { min: 1 << 10 },
    "64m",
    "With `exactly.once.source.support=enabled`: from so many bytes on a transaction ends before its time.",
)
.since("kmirror");
/// When the target's coordinator aborts a transaction.
pub static TRANSACTION_TIMEOUT: Opt = Opt::used(
    "transaction.timeout.ms",
    Client(&[Producer]),
    Int { min: 1000, max: i32::MAX as i64 },
    "60000",
    "With `exactly.once.source.support=enabled`: a transaction that is open for longer is aborted by the target, and its \
     records are written again. After so long at most those of a process that died are out of the readers' way. The \
     target has a bound of its own (`transaction.max.timeout.ms`, 15 minutes).",
);

/// The rows of this file.
pub(super) fn transactions_rows() -> impl Iterator<Item = &'static Opt> {
    let used: [&'static Opt; 4] =
        [&EXACTLY_ONCE, &TRANSACTION_INTERVAL, &TRANSACTION_BYTES, &TRANSACTION_TIMEOUT];
    used.into_iter()
}
