//! A cluster without sockets and without a clock: requests are handed in one by one and answered at once, and what time it
//! is is told. For simulations: with a seed in the options everything it does can be repeated.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Request};

use crate::api::{Answer, Call, Peer, run};
use crate::options::SandboxOptions;
use crate::sandbox::{Sandbox, SandboxError};
use crate::shared::Shared;
use crate::state::Cluster;
use crate::state::transactions::Marker;

/// See the module's description.
pub struct Still {
    direct: Sandbox,
    peers: BTreeMap<i32, Peer>,
}

impl Still {
    /// A cluster as the options say.
    #[must_use]
    pub fn new(options: SandboxOptions) -> Self {
        let brokers = 1..=i32::from(options.brokers);
        let addresses: Vec<_> = brokers.clone().map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, 9))).collect();
        let shared = Arc::new(Shared::new(Cluster::new(options, &addresses)));
        let peer = |broker| {
            let mut peer = Peer::new(broker, Arc::clone(&shared));
            peer.waits = false;
            (broker, peer)
        };
        let peers = brokers.map(peer).collect();
        Self { direct: Sandbox::still(shared), peers }
    }

    /// What can be done to a cluster without speaking the protocol.
    #[must_use]
    pub fn direct(&self) -> &Sandbox {
        &self.direct
    }

    /// What time it is, in milliseconds since 1970.
    pub fn tell_time(&self, now_ms: i64) {
        self.direct.shared.tell_time(now_ms);
    }

    /// What a broker answers to the body of a request, or with `refusal` the answer that refuses all of it with this code.
    /// `None`: it closes the connection, or does not run.
    #[must_use]
    pub fn ask(
        &self,
        broker: i32,
        api: ApiKey,
        version: i16,
        body: Bytes,
        refusal: Option<i16>,
    ) -> Option<Bytes> {
        let peer = self.peers.get(&broker)?;
        if !self.direct.shared.cluster().is_up(broker) {
            return None;
        }
        let call = Call { peer, version, frame_len: body.len(), client_id: None };
        let mut context = Context::from_waker(Waker::noop());
        match pin!(run(api, &call, body, refusal)).poll(&mut context) {
            Poll::Ready(Answer::Body(pieces)) => Some(pieces.concat().into()),
            _ => None,
        }
    }

    /// The same with messages.
    #[must_use]
    pub fn ask_message<R: Request>(&self, broker: i32, version: i16, request: &R) -> Option<R::Response> {
        let mut body = BytesMut::new();
        request.encode(&mut body, version).ok()?;
        let answer = self.ask(broker, ApiKey::try_from(R::KEY).ok()?, version, body.freeze(), None);
        R::Response::decode(&mut answer?, version).ok()
    }

    /// Stops a broker: what it led goes to other replicas.
    pub fn stop_broker(&self, broker: i32) {
        self.direct.shared.cluster().broker_stopped(broker);
    }

    /// Starts a broker that was stopped.
    pub fn start_broker(&self, broker: i32) {
        self.direct.shared.cluster().broker_started(broker);
    }

    /// Ends the open transaction of a producer in a partition with a marker.
    ///
    /// # Errors
    /// When there is no such partition, or the epoch is fenced.
    pub fn end_transaction(
        &self,
        topic: &str,
        partition: i32,
        (producer_id, producer_epoch): (i64, i16),
        commit: bool,
    ) -> Result<i64, SandboxError> {
        let now_ms = self.direct.shared.now_ms();
        let marker = Marker { offset: 0, producer_id, producer_epoch, coordinator_epoch: 0, commit };
        Ok(self.direct.shared.cluster().append_marker(topic, partition, marker, now_ms)?)
    }

    /// The batches from the one that holds `offset` on, as they would be fetched.
    ///
    /// # Errors
    /// When there is no such partition.
    pub fn read_from(&self, topic: &str, partition: i32, offset: i64) -> Result<Bytes, SandboxError> {
        let cluster = self.direct.shared.cluster();
        let log = &cluster.partition(topic, partition)?.log;
        let pieces: Vec<_> = log.read(offset, log.end_offset()).map(|entry| entry.to_bytes()).collect();
        Ok(pieces.concat().into())
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::MetadataRequest;

    use super::*;
    use crate::direct::TopicSpec;

    #[test]
    fn answers_without_a_runtime_and_repeats_itself() {
        let still = |seed| {
            let still =
                Still::new(SandboxOptions { brokers: 2, seed: Some(seed), ..SandboxOptions::default() });
            let id = still.direct().create_topic(&TopicSpec::new("t", 1)).unwrap();
            let told = still.ask_message(1, 12, &MetadataRequest::default().with_topics(None)).unwrap();
            assert_eq!((told.topics[0].topic_id, told.brokers.len()), (id, 2));
            still.stop_broker(1);
            assert!(still.ask_message(1, 12, &MetadataRequest::default()).is_none());
            id
        };
        assert_eq!(still(7), still(7));
        assert_ne!(still(7), still(8));
    }
}
