//! The door for programs that embed the engine: a plan in, a handle out.

use std::sync::Arc;
use std::thread::available_parallelism;

use kmirror_protocol::net::BufferPool;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::clients::Clients;
use crate::control::{Flow, Refusal, SeenClusters, Shared};
use crate::expiry;
use crate::flow::workers::Workers;
use crate::heartbeat;
use crate::metrics;
use crate::plan::{LimitPlan, Plan, SecurityChange};
use crate::status::{FlowStatus, Status};

/// A mirror that runs. Dropping it stops it at once; [`Mirror::stop`] stops it in good order.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use kmirror_engine::{Mirror, plan::{Plan, PlanArgs}};
///
/// let text = std::fs::read_to_string("mm2.properties")?;
/// let plan = Plan::from_properties(&text, "mm2.properties", &PlanArgs::default())?;
/// let mirror = Mirror::start(plan)?;
/// while !mirror.status().is_synced() {
///     tokio::time::sleep(std::time::Duration::from_millis(100)).await;
/// }
/// mirror.stop().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Mirror {
    plan: Arc<Plan>,
    status: Arc<Status>,
    stop: CancellationToken,
    flows: JoinSet<Result<(), Refusal>>,
    /// Each flow's limits, in the order of the status.
    limits: Vec<watch::Sender<Arc<LimitPlan>>>,
}

impl Mirror {
    /// Starts every enabled flow of the plan, and its heartbeats. Must be called inside a tokio runtime with I/O and time enabled.
    ///
    /// Returns at once: whether and how the flows run is in [`Mirror::status`].
    ///
    /// # Errors
    /// When the operating system has no thread to give for re-encoding.
    pub fn start(plan: Plan) -> std::io::Result<Self> {
        let plan = Arc::new(plan);
        let pool = BufferPool::new(plan.buffer.bytes);
        let workers = available_parallelism().map_or(1, usize::from);
        let shared = Shared {
            workers: Arc::new(Workers::start(workers, &pool)?),
            pool,
            seen: Arc::new(SeenClusters::default()),
            stop: CancellationToken::new(),
            plan: Arc::clone(&plan),
        };
        let mut status = Status { flows: Vec::new(), securities: expiry::securities(&plan) };
        let mut flows = JoinSet::new();
        let mut limits = Vec::new();
        for flow_plan in plan.enabled_flows() {
            let flow_status = Arc::new(FlowStatus::new(flow_plan.source.shared(), flow_plan.target.shared()));
            status.flows.push(Arc::clone(&flow_status));
            let (limit, limited) = watch::channel(Arc::new(flow_plan.limits.clone()));
            limits.push(limit);
            let flow = Flow {
                clients: Clients::new(flow_plan, &shared.pool, &flow_status),
                limits: limited,
                shared: shared.clone(),
                plan: Arc::new(flow_plan.clone()),
                status: flow_status,
            };
            flows.spawn(flow.run());
        }
        for heartbeats in plan.heartbeats.clone() {
            // Whoever looks after the flow writes them; of a pair without one, after the flow back.
            let (source, target) = (heartbeats.source.as_str(), heartbeats.target.as_str());
            let at = place(&status.flows, source, target).or_else(|| place(&status.flows, target, source));
            let flow = at.and_then(|at| status.flows.get(at)).cloned();
            let running = heartbeat::run(heartbeats, flow, shared.stop.clone());
            flows.spawn(async {
                running.await;
                Ok(())
            });
        }
        let watching = expiry::watch(status.securities.clone(), shared.stop.clone());
        flows.spawn(async {
            watching.await;
            Ok(())
        });
        Ok(Self { plan, status: Arc::new(status), stop: shared.stop, flows, limits })
    }

    /// What the flows are doing. Stays readable after the mirror is gone.
    pub fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// The numbers of [`Mirror::status`] in Prometheus' text format.
    pub fn metrics(&self) -> String {
        metrics::render(&self.status)
    }

    /// Changes how much a flow may carry, from now on. Whether there is such a flow.
    ///
    /// What was fetched already is not held back. Limits count for this process alone.
    pub fn set_limits(&self, source: &str, target: &str, limits: LimitPlan) -> bool {
        let at = place(&self.status.flows, source, target);
        let Some(sender) = at.and_then(|at| self.limits.get(at)) else { return false };
        sender.send_replace(Arc::new(limits));
        true
    }

    /// Secures connections as a plan says that was read again: the next connections, and the next re-authentications.
    /// What changed is in the answer, and what cannot change while the mirror runs.
    pub fn set_security(&self, again: &Plan) -> SecurityChange {
        let change = self.plan.security_change(again);
        for (_, running, present) in &change.changed {
            running.replace(present.settings());
        }
        change
    }

    /// Waits until a flow is refused; for ever, if none is.
    ///
    /// # Errors
    /// The refusal. The other flows go on until the mirror is stopped or dropped.
    pub async fn refused(&mut self) -> Refusal {
        while let Some(ended) = self.flows.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(refusal)) => return refusal,
                Err(panic) => error!("a flow ended badly: {panic}"),
            }
        }
        std::future::pending().await
    }

    /// Stops in good order: nothing more is fetched, what is in flight is awaited, progress is written.
    ///
    /// # Errors
    /// A refusal that nobody was told about yet.
    pub async fn stop(mut self) -> Result<(), Refusal> {
        self.begin_stop();
        self.ended().await
    }

    /// Begins what [`Mirror::stop`] does. What clusters ask for to let us in may still change until all has ended.
    pub fn begin_stop(&self) {
        self.stop.cancel();
    }

    /// Waits until all flows have ended.
    ///
    /// # Errors
    /// A refusal that nobody was told about yet.
    pub async fn ended(&mut self) -> Result<(), Refusal> {
        let mut result = Ok(());
        while let Some(ended) = self.flows.join_next().await {
            match ended {
                Ok(Err(refusal)) => result = Err(refusal),
                Ok(Ok(())) => {}
                Err(panic) => error!("a flow ended badly: {panic}"),
            }
        }
        result
    }
}

/// Where the flow from `source` to `target` stands.
fn place(flows: &[Arc<FlowStatus>], source: &str, target: &str) -> Option<usize> {
    flows.iter().position(|flow| *flow.source == *source && *flow.target == *target)
}
