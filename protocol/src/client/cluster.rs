//! One cluster: who its brokers are, and the connections to them.
//!
//! Metadata is fetched by one caller for all who want it; connections are opened by one caller for all who want
//! them, and kept by broker and purpose, so that a long poll never stands before a short question. Bootstrap
//! servers are asked when no known broker answers, and for nothing else.

mod connections;
mod refresh;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::error::ClientError;
use super::flight::Flights;
use super::metadata::{Metadata, NodeId};
use crate::net::{Address, BufferPool, Connection, ConnectionOptions, NetError};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::Request;
use connections::Slot;

/// How to reach a cluster. The defaults of [`ClusterOptions::new`] are those of the Java clients.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// What we call it, in messages.
    pub alias: Arc<str>,
    /// Where to begin.
    pub bootstrap: Vec<Address>,
    /// How to connect.
    pub connection: ConnectionOptions,
    /// How old metadata may be (`metadata.max.age.ms`).
    pub metadata_max_age: Duration,
    /// The first pause before something is tried again (`retry.backoff.ms`).
    pub retry_backoff: Duration,
    /// The longest pause (`retry.backoff.max.ms`).
    pub retry_backoff_max: Duration,
    /// The first pause before a broker is connected to again (`reconnect.backoff.ms`).
    pub reconnect_backoff: Duration,
    /// The longest pause (`reconnect.backoff.max.ms`).
    pub reconnect_backoff_max: Duration,
    /// How long a call may take with all its retries (`default.api.timeout.ms`).
    pub api_timeout: Duration,
}

impl ClusterOptions {
    /// The cluster behind these bootstrap servers, and defaults.
    pub fn new(alias: impl Into<Arc<str>>, bootstrap: Vec<Address>) -> Self {
        Self {
            alias: alias.into(),
            bootstrap,
            connection: ConnectionOptions::default(),
            metadata_max_age: Duration::from_secs(300),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            api_timeout: Duration::from_secs(60),
        }
    }
}

/// Which topics metadata is wanted of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topics {
    /// All that we may see.
    All,
    /// None: only the brokers.
    None,
    /// These, whether they are there or not. Asking does not create them.
    Named(Vec<Arc<str>>),
}

/// What a connection is for. Each purpose has its own, so that none waits behind another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Short questions.
    General,
    /// Fetching, by lane. Its responses are read into the buffer pool, and wait for credit there.
    Fetch(u16),
    /// Producing, by lane.
    Produce(u16),
}

/// A cluster as we know it. Clones share everything.
#[derive(Debug, Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ClusterOptions,
    pool: Option<Arc<BufferPool>>,
    state: Mutex<State>,
    refreshes: Flights<Topics, Result<Arc<Metadata>, ClientError>>,
    openings: Flights<(NodeId, Purpose), Result<Connection, ClientError>>,
}

#[derive(Debug, Default)]
struct State {
    metadata: Option<(Arc<Metadata>, Instant)>,
    slots: HashMap<(NodeId, Purpose), Slot>,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broker_error(&self, node: NodeId, source: NetError) -> ClientError {
        ClientError::Broker { cluster: Arc::clone(&self.options.alias), node, source }
    }
}

impl Cluster {
    /// A cluster that is connected to when it is first asked something. Connections for fetching use `pool`.
    pub fn new(options: ClusterOptions, pool: Option<Arc<BufferPool>>) -> Self {
        let inner = Inner {
            options,
            pool,
            state: Mutex::default(),
            refreshes: Flights::default(),
            openings: Flights::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What we call the cluster.
    pub fn alias(&self) -> &Arc<str> {
        &self.inner.options.alias
    }

    /// How it was told to reach the cluster.
    pub fn options(&self) -> &ClusterOptions {
        &self.inner.options
    }

    /// The pauses between retries of a call.
    pub fn backoff(&self) -> Backoff {
        Backoff::new(self.inner.options.retry_backoff, self.inner.options.retry_backoff_max)
    }

    /// When a call that begins now must have succeeded.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.inner.options.api_timeout
    }

    pub(super) fn deadline_error(&self, doing: &'static str) -> ClientError {
        ClientError::Deadline {
            cluster: Arc::clone(self.alias()),
            doing,
            after: self.inner.options.api_timeout,
        }
    }

    pub(super) fn refused(&self, api: ApiKey, code: ErrorCode, message: Option<&str>) -> ClientError {
        ClientError::Refused { cluster: Arc::clone(self.alias()), api, code, message: message.map(Arc::from) }
    }

    /// The metadata last fetched, however old.
    pub fn metadata(&self) -> Option<Arc<Metadata>> {
        self.inner.state().metadata.as_ref().map(|(metadata, _)| Arc::clone(metadata))
    }

    /// Fetches metadata. Who asks for the same topics at the same time shares one request. A few known brokers
    /// are asked first, then all bootstrap servers.
    ///
    /// # Errors
    /// [`ClientError::Bootstrap`] when nobody answers.
    pub async fn refresh(&self, topics: Topics) -> Result<Arc<Metadata>, ClientError> {
        let inner = Arc::clone(&self.inner);
        let wanted = topics.clone();
        let fetched =
            self.inner.refreshes.join(topics, || async move { refresh::fetch(&inner, wanted).await });
        fetched.await.unwrap_or_else(|| Err(self.inner_error()))
    }

    /// Fetches metadata, unless these topics have been asked for after the generation `known`, the one a failure was
    /// seen with.
    ///
    /// # Errors
    /// As [`refresh`](Self::refresh).
    pub async fn refresh_after(&self, known: u64, topics: Topics) -> Result<Arc<Metadata>, ClientError> {
        match self.metadata() {
            Some(metadata) if metadata.is_newer_than(known, &topics) => Ok(metadata),
            _ => self.refresh(topics).await,
        }
    }

    /// The metadata at hand if it is young enough and has these topics, or else a fresh one.
    ///
    /// # Errors
    /// As [`refresh`](Self::refresh).
    pub async fn current(&self, topics: Topics) -> Result<Arc<Metadata>, ClientError> {
        let max_age = self.inner.options.metadata_max_age;
        let at_hand = self.inner.state().metadata.clone();
        let young = at_hand.filter(|(_, fetched)| fetched.elapsed() < max_age).map(|(metadata, _)| metadata);
        let covers = |metadata: &Arc<Metadata>| match &topics {
            Topics::All => false,
            Topics::None => true,
            Topics::Named(names) => {
                names.iter().all(|name| metadata.topics.get(name).is_some_and(|topic| topic.error.is_none()))
            }
        };
        match young.filter(covers) {
            Some(metadata) => Ok(metadata),
            None => self.refresh(topics).await,
        }
    }

    /// A connection to a broker: the one there is, or a new one. After failures it first waits its turn.
    ///
    /// # Errors
    /// [`ClientError::UnknownNode`], or [`ClientError::Broker`] with the failure to connect.
    pub async fn connection(&self, node: NodeId, purpose: Purpose) -> Result<Connection, ClientError> {
        let Some(address) = self.address_of(node) else {
            return Err(ClientError::UnknownNode { cluster: Arc::clone(self.alias()), node });
        };
        let at_hand = self.inner.state().slots.get(&(node, purpose)).and_then(|slot| slot.usable(&address));
        if let Some(connection) = at_hand {
            return Ok(connection);
        }
        let inner = Arc::clone(&self.inner);
        let open = || async move { connections::open(&inner, node, purpose, address).await };
        let opened = self.inner.openings.join((node, purpose), open);
        opened.await.unwrap_or_else(|| Err(self.inner_error()))
    }

    fn address_of(&self, node: NodeId) -> Option<Address> {
        let metadata = self.metadata()?;
        metadata.brokers.get(&node).map(|broker| broker.address.clone())
    }

    fn inner_error(&self) -> ClientError {
        ClientError::Inner { cluster: Arc::clone(self.alias()) }
    }

    /// Asks one broker, once.
    ///
    /// # Errors
    /// [`ClientError::Broker`] and what [`connection`](Self::connection) gives.
    pub async fn call_node<R: Request>(&self, node: NodeId, request: R) -> Result<R::Response, ClientError> {
        let connection = self.connection(node, Purpose::General).await?;
        connection.call(request).await.map_err(|source| self.inner.broker_error(node, source))
    }

    /// Asks some broker: a few are tried, each once.
    ///
    /// # Errors
    /// The last one's failure, or that of finding any.
    pub async fn call_any<R: Request + Clone>(&self, request: R) -> Result<R::Response, ClientError> {
        let metadata = self.current(Topics::None).await?;
        let mut failure = None;
        for node in refresh::some_brokers(&metadata) {
            match self.call_node(node, request.clone()).await {
                Ok(response) => return Ok(response),
                Err(error) => failure = Some(error),
            }
        }
        // All we know may be gone. Whoever answers now knows who is there.
        let metadata = self.refresh(Topics::None).await?;
        match (refresh::some_brokers(&metadata).first(), failure) {
            (Some(&node), _) => self.call_node(node, request).await,
            (None, Some(failure)) => Err(failure),
            (None, None) => Err(self.inner_error()),
        }
    }

    /// Asks the controller, or with KRaft any broker, once.
    ///
    /// # Errors
    /// As [`call_node`](Self::call_node); when the controller is not known, as [`call_any`](Self::call_any).
    pub async fn call_controller<R: Request + Clone>(&self, request: R) -> Result<R::Response, ClientError> {
        match self.current(Topics::None).await?.controller {
            Some(controller) => self.call_node(controller, request).await,
            None => self.call_any(request).await,
        }
    }

    /// Closes all connections. The next call opens new ones.
    pub fn close(&self) {
        self.inner.state().slots.clear();
    }
}

#[cfg(test)]
mod tests;
