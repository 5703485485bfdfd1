//! The place of a connection to one broker for one purpose: which it is, and when it may next be opened.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Inner, Purpose};
use crate::client::backoff::Backoff;
use crate::client::error::ClientError;
use crate::client::metadata::NodeId;
use crate::net::{Address, Connection, ConnectionOptions};

/// A connection that broke within this time counts as a failure to connect: a broker that accepts and hangs up
/// must not be asked in a tight loop.
const STEADY_AFTER: Duration = Duration::from_secs(5);

/// The pause after a failure that is about certificates or logins: at some brokers users are locked out who fail often.
const DENIED_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Slot {
    connection: Option<Connection>,
    opened: Instant,
    backoff: Backoff,
    not_before: Instant,
}

impl Slot {
    fn new(inner: &Inner) -> Self {
        let now = Instant::now();
        let backoff = Backoff::new(inner.options.reconnect_backoff, inner.options.reconnect_backoff_max);
        Self { connection: None, opened: now, backoff, not_before: now }
    }

    /// The connection, if it is whole and leads where the broker is now.
    pub(super) fn usable(&self, address: &Address) -> Option<Connection> {
        self.connection.as_ref().filter(|held| held.is_open() && held.address() == address).cloned()
    }

    /// Takes leave of the connection there was, and says when the next may be opened.
    fn prepare(&mut self) -> Instant {
        if let Some(old) = self.connection.take().filter(|old| !old.is_open()) {
            drop(old);
            if self.opened.elapsed() < STEADY_AFTER {
                self.failed();
            } else {
                self.backoff.reset();
            }
        }
        self.not_before
    }

    fn failed(&mut self) {
        self.not_before = Instant::now() + self.backoff.failed();
    }
}

/// Opens the connection of a slot, in its turn. Runs once at a time for each slot.
pub(super) async fn open(
    inner: &Arc<Inner>,
    node: NodeId,
    purpose: Purpose,
    address: Address,
) -> Result<Connection, ClientError> {
    let not_before = {
        let mut state = inner.state();
        let slot = state.slots.entry((node, purpose)).or_insert_with(|| Slot::new(inner));
        match slot.usable(&address) {
            Some(connection) => return Ok(connection),
            None => slot.prepare(),
        }
    };
    sleep_until(not_before).await;

    let pool = inner.pool.clone().filter(|_| matches!(purpose, Purpose::Fetch(_)));
    let opened = Connection::open(&address, &options(inner, purpose), pool).await;

    let mut state = inner.state();
    let slot = state.slots.entry((node, purpose)).or_insert_with(|| Slot::new(inner));
    match opened {
        Ok(connection) => {
            slot.opened = Instant::now();
            slot.connection = Some(connection.clone());
            Ok(connection)
        }
        Err(source) => {
            slot.failed();
            if source.is_security() {
                slot.not_before = slot.not_before.max(Instant::now() + DENIED_PAUSE);
            }
            tracing::debug!(cluster = %inner.options.alias, %node, error = %source, "cannot connect");
            Err(inner.broker_error(node, source))
        }
    }
}

/// Large socket buffers are for those who move data.
fn options(inner: &Inner, purpose: Purpose) -> ConnectionOptions {
    let mut options = inner.options.connection.clone();
    if !matches!(purpose, Purpose::Fetch(_)) {
        options.receive_buffer = None;
    }
    if !matches!(purpose, Purpose::Produce(_)) {
        options.send_buffer = None;
    }
    options
}
