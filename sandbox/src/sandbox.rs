//! The handle of a running cluster.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_protocol::messages::ApiKey;
use tokio::task::AbortHandle;

use crate::control::{ControlId, RequestInfo, Verdict};
use crate::net::{RunningBroker, listen};
use crate::options::SandboxOptions;
use crate::shared::Shared;
use crate::state::Cluster;

/// A Kafka cluster in this process. Dropping it stops it.
pub struct Sandbox {
    pub(crate) shared: Arc<Shared>,
    running: Mutex<BTreeMap<i32, RunningBroker>>,
    /// None where time is told.
    clock: Option<AbortHandle>,
}

/// How often members and transactions are looked over for lateness.
const TICK: Duration = Duration::from_millis(50);

/// What a sandbox cannot do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// A listening socket could not be had.
    #[error("broker {broker} cannot listen on {address}")]
    Listen {
        /// The broker's id.
        broker: i32,
        /// Where it was to listen.
        address: SocketAddr,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// There is no such broker.
    #[error("there is no broker {0}")]
    UnknownBroker(i32),
    /// The cluster refused, with Kafka's error and the broker's words if it has some.
    #[error("{error}{}", message.as_ref().map(|message| format!(": {message}")).unwrap_or_default())]
    Refused {
        /// Kafka's error.
        error: kafka_protocol::ResponseError,
        /// The broker's words.
        message: Option<String>,
    },
    /// Bytes that were to be stored are no batches.
    #[error("the bytes are no record batches")]
    Batch(#[from] kmirror_protocol::wire::batch::BatchError),
    /// Bytes that were to be stored end inside a batch.
    #[error("the bytes end inside a record batch")]
    Torn,
}

impl Sandbox {
    /// Starts a cluster on the current tokio runtime, each broker with a port of its own on 127.0.0.1.
    pub async fn start(options: SandboxOptions) -> Result<Self, SandboxError> {
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for broker in 1..=i32::from(options.brokers) {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let failed = |source| SandboxError::Listen { broker, address, source };
            let listener = listen(address).await.map_err(failed)?;
            addresses.push(listener.local_addr().map_err(failed)?);
            listeners.push((broker, listener));
        }
        let shared = Arc::new(Shared::new(Cluster::new(options, &addresses)));
        let start = |(id, listener)| (id, RunningBroker::start(id, listener, Arc::clone(&shared)));
        let running = listeners.into_iter().map(start).collect();
        let clock = tokio::spawn(tick(Arc::clone(&shared))).abort_handle();
        Ok(Self { shared, running: Mutex::new(running), clock: Some(clock) })
    }

    /// A cluster without sockets and clock.
    pub(crate) fn still(shared: Arc<Shared>) -> Self {
        Self { shared, running: Mutex::default(), clock: None }
    }

    /// The addresses of all brokers, for `bootstrap.servers`; those that are stopped too.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let cluster = self.shared.cluster();
        let addresses: Vec<_> = cluster.brokers.values().map(|broker| broker.address.to_string()).collect();
        addresses.join(",")
    }

    /// The cluster's id, as clients see it.
    #[must_use]
    pub fn cluster_id(&self) -> String {
        self.shared.cluster().id.clone()
    }

    /// Where a broker listens.
    #[must_use]
    pub fn address(&self, broker: i32) -> Option<SocketAddr> {
        self.shared.cluster().brokers.get(&broker).map(|broker| broker.address)
    }

    /// Stops a broker: its listener and connections are closed when this returns, and what it led goes to other replicas.
    pub async fn stop_broker(&self, broker: i32) -> Result<(), SandboxError> {
        let stopped = self.running().remove(&broker).ok_or(SandboxError::UnknownBroker(broker))?;
        // First the sockets: a broker that is killed tells nobody that it leads no more.
        stopped.stop().await;
        self.shared.cluster().broker_stopped(broker);
        Ok(())
    }

    /// Starts a broker that was stopped, where it listened before.
    pub async fn start_broker(&self, broker: i32) -> Result<(), SandboxError> {
        let address = self.address(broker).ok_or(SandboxError::UnknownBroker(broker))?;
        if self.running().contains_key(&broker) {
            return Ok(());
        }
        let listener =
            listen(address).await.map_err(|source| SandboxError::Listen { broker, address, source })?;
        let running = RunningBroker::start(broker, listener, Arc::clone(&self.shared));
        self.running().insert(broker, running);
        self.shared.cluster().broker_started(broker);
        Ok(())
    }

    /// Has `script` judge every request of `api` from now on, before anything is done about it. Of several scripts the
    /// first whose verdict is not [`Verdict::Default`] decides.
    pub fn control(
        &self,
        api: ApiKey,
        script: impl FnMut(&RequestInfo) -> Verdict + Send + 'static,
    ) -> ControlId {
        self.shared.rules().add(api, false, Box::new(script))
    }

    /// As [`control`](Self::control), until the script's first verdict that is not [`Verdict::Default`].
    pub fn control_once(
        &self,
        api: ApiKey,
        script: impl FnMut(&RequestInfo) -> Verdict + Send + 'static,
    ) -> ControlId {
        self.shared.rules().add(api, true, Box::new(script))
    }

    /// Takes a script back.
    pub fn release(&self, control: ControlId) {
        self.shared.rules().remove(control);
    }

    /// Requests of an API that the brokers have had.
    #[must_use]
    pub fn requests(&self, api: ApiKey) -> u64 {
        self.shared.requests(None, api)
    }

    /// Requests of an API that one broker has had.
    #[must_use]
    pub fn requests_at(&self, broker: i32, api: ApiKey) -> u64 {
        self.shared.requests(Some(broker), api)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<i32, RunningBroker>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(clock) = &self.clock {
            clock.abort();
        }
    }
}

async fn tick(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        let now = ticks.tick().await;
        let mut cluster = shared.cluster();
        cluster.groups.tick(now);
        cluster.expire_transactions(now, shared.now_ms());
    }
}
