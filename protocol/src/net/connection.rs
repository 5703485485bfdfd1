//! One connection: requests go out in order, pipelined up to a bound, and responses come back in that order.
//!
//! Two thin tasks own the socket's halves: [`writer`] takes whole requests from a bounded queue, so nobody who
//! gives up waiting can tear a frame; [`reader`] takes frames off the socket and wakes those who wait. What they
//! share with callers lies behind one short lock that is never held across an await. The first failure breaks the
//! connection for good, and everyone who waits learns that one cause.

mod authenticate;
mod handshake;
mod reader;
mod session;
mod shared;
mod writer;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::address::Address;
use super::error::NetError;
use super::facts::ConnectionFacts;
use super::options::ConnectionOptions;
use super::pool::BufferPool;
use super::transport;
use crate::wire::api::ApiKey;
use crate::wire::messages::{self, Request};
use shared::{Closer, Shared};

/// A connection to a broker that has said which versions it speaks. Clones share it; it closes when the last
/// clone and the last [`ResponseWaiter`] are gone.
#[derive(Debug, Clone)]
pub struct Connection {
    closer: Arc<Closer>,
    versions: Arc<BTreeMap<ApiKey, i16>>,
    facts: Arc<ConnectionFacts>,
}

impl Connection {
    /// Connects: tries the addresses of the host one after the other until one answers as Kafka.
    ///
    /// With a pool, every response takes its credit there before it is read off the socket, and waits for it.
    ///
    /// # Errors
    /// The [`NetError`] of the last address tried.
    pub async fn open(
        address: &Address,
        options: &ConnectionOptions,
        pool: Option<Arc<BufferPool>>,
    ) -> Result<Self, NetError> {
        let mut failure = NetError::NoAddresses { address: address.clone() };
        for peer in transport::resolve(address, options).await? {
            let opened = match transport::open(address, peer, options).await {
                Ok(stream) => Self::start(address, peer, stream, options, pool.clone()).await,
                Err(error) => Err(error),
            };
            match opened {
                Ok(connection) => return Ok(connection),
                // The same broker would say the same at its next address, and some lock users out for that.
                Err(error @ NetError::Sasl { .. }) => return Err(error),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn start(
        address: &Address,
        peer: SocketAddr,
        stream: transport::Stream,
        options: &ConnectionOptions,
        pool: Option<Arc<BufferPool>>,
    ) -> Result<Self, NetError> {
        let bound = options.max_in_flight.max(1);
        let (queue, requests) = mpsc::channel(bound);
        let shared = Arc::new(Shared::new(address.clone(), options, stream.encryption, queue));
        let writer = tokio::spawn(writer::run(Arc::clone(&shared), stream.write, requests));
        let reader = tokio::spawn(reader::run(Arc::clone(&shared), stream.read, options.clone(), pool));
        let closer = Arc::new(Closer::new(shared, [writer.abort_handle(), reader.abort_handle()]));
        let versions = handshake::versions(&closer).await?;
        let session = match options.security.sasl() {
            Some(sasl) => session::begin(&closer, sasl, &versions, options).await?,
            None => None,
        };
        let facts = ConnectionFacts { peer, tls: stream.facts, apis: versions.len(), session };
        Ok(Self { closer, versions: Arc::new(versions), facts: Arc::new(facts) })
    }

    /// Who is on the other side, as it was named to [`open`](Self::open).
    pub fn address(&self) -> &Address {
        self.closer.shared().address()
    }

    /// How it was opened.
    pub fn facts(&self) -> &ConnectionFacts {
        &self.facts
    }

    /// The highest version of an API that the broker and we speak; `None` where the broker lacks it.
    pub fn version_for(&self, api: ApiKey) -> Option<i16> {
        self.versions.get(&api).copied()
    }

    /// The same, with the error to give where there is none.
    ///
    /// # Errors
    /// [`NetError::Unsupported`].
    pub fn require(&self, api: ApiKey) -> Result<i16, NetError> {
        let unsupported = || NetError::Unsupported { address: self.address().clone(), api };
        self.version_for(api).ok_or_else(unsupported)
    }

    /// Whether it has not failed and was not closed.
    pub fn is_open(&self) -> bool {
        self.closer.shared().broken().is_none()
    }

    /// Asks in the highest common version, and waits for the answer.
    ///
    /// # Errors
    /// Any [`NetError`]; [`NetError::Unsupported`] for an API that the broker lacks.
    pub async fn call<R: Request>(&self, request: R) -> Result<R::Response, NetError> {
        let version = self.require(R::API)?;
        let wire = |source| NetError::wire(self.address(), source);
        let body = messages::encode_request(&request, version).map_err(wire)?;
        let response = self.send(R::API, version, vec![body]).await?.await?;
        messages::decode_response::<R>(version, response).map_err(wire)
    }

    /// Sends a request whose body is given in chunks, which go out one behind the other without being copied.
    ///
    /// Waits for a place among the requests in flight, queues the request and returns; requests leave in the
    /// order in which this returned. Whoever gives up before sends nothing, whoever drops the waiter only
    /// forgoes the answer.
    ///
    /// # Errors
    /// Any [`NetError`].
    pub async fn send(
        &self,
        api: ApiKey,
        version: i16,
        body: Vec<Bytes>,
    ) -> Result<ResponseWaiter, NetError> {
        send(&self.closer, api, version, body).await
    }
}

async fn send(
    closer: &Arc<Closer>,
    api: ApiKey,
    version: i16,
    body: Vec<Bytes>,
) -> Result<ResponseWaiter, NetError> {
    let shared = closer.shared();
    let place = shared.place().await?;
    let answer = shared.submit(Some(place), api, version, body)?;
    Ok(ResponseWaiter { answer, closer: Arc::clone(closer) })
}

/// The response to come: resolves to the body behind the response header.
#[derive(Debug)]
#[must_use = "dropping it forgoes the answer"]
pub struct ResponseWaiter {
    answer: oneshot::Receiver<Result<Bytes, NetError>>,
    closer: Arc<Closer>,
}

impl Future for ResponseWaiter {
    type Output = Result<Bytes, NetError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer)
            .poll(context)
            .map(|answer| answer.unwrap_or_else(|_| Err(self.closer.shared().broken_or_closed())))
    }
}

#[cfg(test)]
mod tests;
