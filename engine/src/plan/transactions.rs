//! How records are written in transactions.

use std::time::Duration;

/// `exactly.once.source.support=enabled`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionPlan {
    /// `transaction.boundary.interval.ms`: how long a transaction stays open.
    pub interval: Duration,
    /// `kmirror.transaction.max.bytes`: how large it gets.
    pub max_bytes: u64,
    /// `transaction.timeout.ms`: when the target aborts it.
    pub timeout: Duration,
}
