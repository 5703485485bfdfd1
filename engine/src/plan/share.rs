//! How processes share a flow.

use std::time::Duration;

/// The group that a flow's processes are in on its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharePlan {
    /// `group.id`, by default `<source>-mm2`.
    pub group: String,
    /// `kmirror.group.instance.id`
    pub instance_id: Option<String>,
    /// `session.timeout.ms`
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`, no more than a third of the session timeout.
    pub heartbeat_interval: Duration,
    /// `rebalance.timeout.ms`
    pub rebalance_timeout: Duration,
    /// `tasks.max`: how many processes may have partitions; none for any number.
    pub members_max: Option<usize>,
}
