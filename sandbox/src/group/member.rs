//! One member of a group.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Joined, Synced};

/// What a member says of itself when it joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberSpec {
    /// Its name for itself that survives a restart (KIP-345).
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    /// Protocols it can do with their metadata, the best liked first.
    pub(crate) protocols: Vec<(String, Bytes)>,
}

/// A member with the requests of it that wait.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) spec: MemberSpec,
    pub(crate) assignment: Bytes,
    heard: Instant,
    joining: Option<oneshot::Sender<Result<Joined, ResponseError>>>,
    syncing: Option<oneshot::Sender<Result<Synced, ResponseError>>>,
    /// Whether it has asked for its assignment in this generation.
    pub(super) synced: bool,
}

impl Member {
    pub(super) fn new(id: String, spec: MemberSpec, now: Instant) -> Self {
        Self { id, spec, assignment: Bytes::new(), heard: now, joining: None, syncing: None, synced: false }
    }

    /// It has been heard of.
    pub(super) fn touch(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Neither heard of within its session timeout nor waiting for an answer.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        !self.is_joining() && self.syncing.is_none() && now >= self.heard + self.spec.session_timeout
    }

    pub(super) fn is_joining(&self) -> bool {
        self.joining.is_some()
    }

    /// The metadata it gave for a protocol.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let named = self.spec.protocols.iter().find(|(name, _)| name == protocol);
        named.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    pub(super) fn wait_for_join(&mut self) -> oneshot::Receiver<Result<Joined, ResponseError>> {
        let (sender, receiver) = oneshot::channel();
        self.joining = Some(sender);
        receiver
    }

    pub(super) fn wait_for_sync(&mut self) -> oneshot::Receiver<Result<Synced, ResponseError>> {
        let (sender, receiver) = oneshot::channel();
        self.syncing = Some(sender);
        receiver
    }

    /// Answers a join that waits. One whose connection is gone is not there to hear it.
    pub(super) fn answer_join(&mut self, answer: Result<Joined, ResponseError>) {
        if let Some(joining) = self.joining.take() {
            let _ = joining.send(answer);
        }
    }

    /// Answers a sync that waits.
    pub(super) fn answer_sync(&mut self, answer: Result<Synced, ResponseError>) {
        if let Some(syncing) = self.syncing.take() {
            let _ = syncing.send(answer);
        }
    }
}
