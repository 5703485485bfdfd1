//! From the plan's settings to the clients of one flow.

use std::sync::Arc;
use std::time::Duration;

use kmirror_protocol::client::{ClientError, Cluster, ClusterOptions, Metadata, Topics};
use kmirror_protocol::net::{BufferPool, ConnectionOptions, Throttling};

use crate::flow::event::Side;
use crate::plan::{ClientPlan, ClusterAlias, FlowPlan};
use crate::status::FlowStatus;

/// Frames that are not record data stay below this.
const CONTROL_FRAME_BYTES_MAX: usize = 100 << 20;

/// How long one question may take with its retries (`default.api.timeout.ms`); the asker then tries again.
const API_TIMEOUT: Duration = Duration::from_secs(60);

/// The four clients of a flow, as MirrorMaker 2 has them.
#[derive(Clone)]
pub(crate) struct Clients {
    /// Fetches records.
    pub(crate) source: Cluster,
    /// Produces records; reads and writes progress.
    pub(crate) target: Cluster,
    /// Asks the source for topics and their settings.
    pub(crate) source_admin: Cluster,
    /// Creates topics at the target.
    pub(crate) target_admin: Cluster,
}

impl Clients {
    /// Throttling by brokers is counted in the flow's status.
    pub(crate) fn new(plan: &FlowPlan, pool: &Arc<BufferPool>, status: &FlowStatus) -> Self {
        let pool = Some(Arc::clone(pool));
        let in_flight = plan.produce.max_in_flight;
        let (source, target) = (status.throttling(Side::Source), status.throttling(Side::Target));
        Self {
            source: counting(source, &plan.source, &plan.source_client, 1, pool),
            target: counting(target, &plan.target, &plan.target_client, in_flight, None),
            source_admin: counting(source, &plan.source, &plan.source_admin, 1, None),
            target_admin: counting(target, &plan.target, &plan.target_admin, 1, None),
        }
    }
}

/// A client of one cluster. Frames are read into `pool`, if there is one.
pub fn cluster(
    alias: &ClusterAlias,
    plan: &ClientPlan,
    max_in_flight: usize,
    pool: Option<Arc<BufferPool>>,
) -> Cluster {
    counting(&Arc::default(), alias, plan, max_in_flight, pool)
}

/// The same; how long its brokers ask for silence is counted.
fn counting(
    throttling: &Arc<Throttling>,
    alias: &ClusterAlias,
    plan: &ClientPlan,
    max_in_flight: usize,
    pool: Option<Arc<BufferPool>>,
) -> Cluster {
    let options = ClusterOptions {
        alias: alias.shared(),
        bootstrap: plan.bootstrap.clone(),
        connection: ConnectionOptions {
            client_id: plan.client_id.as_str().into(),
            connect_timeout: plan.connect_timeout,
            request_timeout: plan.request_timeout,
            max_in_flight,
            max_frame_bytes: CONTROL_FRAME_BYTES_MAX,
            idle_close: plan.idle_close,
            send_buffer: plan.send_buffer.and_then(|bytes| u32::try_from(bytes).ok()),
            receive_buffer: plan.receive_buffer.and_then(|bytes| u32::try_from(bytes).ok()),
            security: plan.security.clone(),
            route: plan.route.clone(),
            throttling: Arc::clone(throttling),
        },
        metadata_max_age: plan.metadata_max_age,
        retry_backoff: plan.retry_backoff,
        retry_backoff_max: plan.retry_backoff_max,
        reconnect_backoff: plan.reconnect_backoff,
        reconnect_backoff_max: plan.reconnect_backoff_max,
        api_timeout: API_TIMEOUT,
    };
    Cluster::new(options, pool)
}

/// How long a cluster may take to answer where somebody is waiting for it.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What a cluster holds; an error when it does not answer within [`ANSWER_WITHIN`].
pub(crate) async fn first_look(cluster: &Cluster) -> Result<Arc<Metadata>, ClientError> {
    let silent = || ClientError::Deadline {
        cluster: Arc::clone(cluster.alias()),
        doing: "asking for its topics",
        after: ANSWER_WITHIN,
    };
    let asked = tokio::time::timeout(ANSWER_WITHIN, cluster.refresh(Topics::All)).await;
    asked.unwrap_or_else(|_| Err(silent()))
}
