//! The rows about several processes that share flows: the group they are in on each flow's target.

use super::Kind::{Int, Text};
use super::Opt;
use super::Scope::{Flow, Worker};

/// The group.
pub static GROUP_ID: Opt = Opt::used(
    "group.id",
    Worker,
    Text,
    "<source>-mm2",
    "The group on the target in which processes share a flow. It is MirrorMaker 2's, so that a MirrorMaker 2 of the same \
     flow and kmirror keep each other out; kmirror needs READ for it.",
);
/// When a process is given up.
pub static SESSION_TIMEOUT: Opt = Opt::used(
    "session.timeout.ms",
    Worker,
    Int { min: 1000, max: 1_800_000 },
    "10000",
    "After so long without a sign of life a process's partitions go to others, and it writes nothing any more. The \
     target's brokers have bounds of their own (`group.min.session.timeout.ms`, 6000).",
);
/// How often a process shows that it lives.
pub static HEARTBEAT_INTERVAL: Opt = Opt::used(
    "heartbeat.interval.ms",
    Worker,
    Int { min: 10, max: 600_000 },
    "300",
    "How often a process asks whether others joined or left (Connect's default is 3000): so long it takes at most until \
     the others know. No more than a third of `session.timeout.ms` is used.",
);
/// How long others are waited for.
pub static REBALANCE_TIMEOUT: Opt = Opt::used(
    "rebalance.timeout.ms",
    Worker,
    Int { min: 1000, max: 1_800_000 },
    "60000",
    "How long the target's coordinator waits for the processes to join again when one came or went. Partitions that \
     stay where they are go on meanwhile.",
);
/// How many processes share a flow.
pub static TASKS_MAX: Opt = Opt::used(
    "tasks.max",
    Flow,
    Int { min: 0, max: i32::MAX as i64 },
    "0",
    "How many processes may have partitions of a flow at once, 0 for any number. A process needs one task for a flow \
     however many partitions it has; MirrorMaker 2's default of 1 is Connect's, and leaves further processes idle.",
);
/// Static membership.
pub static GROUP_INSTANCE_ID: Opt = Opt::used(
    "kmirror.group.instance.id",
    Flow,
    Text,
    "",
    "A name for this process, different in each (KIP-345): one that is restarted within `session.timeout.ms` gets its \
     partitions back, and they go to nobody else meanwhile, not even after a clean stop.",
)
.since("kmirror");

/// The rows of this file.
pub(super) fn share_rows() -> impl Iterator<Item = &'static Opt> {
    let used: [&'static Opt; 6] = [
        &GROUP_ID,
        &SESSION_TIMEOUT,
        &HEARTBEAT_INTERVAL,
        &REBALANCE_TIMEOUT,
        &TASKS_MAX,
        &GROUP_INSTANCE_ID,
    ];
    used.into_iter()
}
