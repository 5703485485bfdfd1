//! One broker's listening socket and the tasks behind it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::connection;
use crate::shared::Shared;

/// A broker that listens. Dropping it closes the listener and all connections.
#[derive(Debug)]
pub(crate) struct RunningBroker {
    stop: CancellationToken,
    accepting: Option<JoinHandle<()>>,
}

impl RunningBroker {
    /// Serves `listener` as broker `id` on the current runtime.
    pub(crate) fn start(id: i32, listener: TcpListener, shared: Arc<Shared>) -> Self {
        let stop = CancellationToken::new();
        let accepting = tokio::spawn(accept(id, listener, shared, stop.clone()));
        Self { stop, accepting: Some(accepting) }
    }

    /// Closes everything and waits until it is closed.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        if let Some(accepting) = self.accepting.take() {
            // It cannot fail but by a panic, which has been reported where it happened.
            let _ = accepting.await;
        }
    }
}

impl Drop for RunningBroker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A listening socket on a port of `address` (0: any free one).
pub(crate) async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

async fn accept(id: i32, listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection::serve(id, stream, Arc::clone(&shared)));
                }
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}
