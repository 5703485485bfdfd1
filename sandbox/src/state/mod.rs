//! The state of a whole cluster, and the synchronous operations on it. One lock guards it, held for an operation and never
//! across an await. No sockets; time is handed in.

mod append;
pub(crate) mod brokers;
pub(crate) mod config;
mod coordinator;
pub(crate) mod entry;
pub(crate) mod epochs;
pub(crate) mod log;
pub(crate) mod lookup;
pub(crate) mod producers;
mod records;
mod serve;
pub(crate) mod sessions;
pub(crate) mod topic;
mod topics;
pub(crate) mod transactions;
pub(crate) mod validate;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) use append::{Append, Appended};
use brokers::Broker;
use coordinator::Transaction;
pub(crate) use coordinator::TransactionalProducer;
use topic::Topic;
pub(crate) use topics::NewTopic;
use uuid::Uuid;

use crate::group::Groups;
use crate::options::SandboxOptions;

/// First producer id a new cluster gives out.
const FIRST_PRODUCER_ID: i64 = 1000;

/// Everything the brokers know. They all see the same at once, as if metadata and data travelled in no time.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) options: SandboxOptions,
    pub(crate) id: String,
    pub(crate) brokers: BTreeMap<i32, Broker>,
    pub(crate) topics: BTreeMap<Arc<str>, Topic>,
    pub(crate) groups: Groups,
    transactions: BTreeMap<String, Transaction>,
    topic_names: HashMap<Uuid, Arc<str>>,
    /// Bytes of memory that all logs take, about.
    footprint: usize,
    next_producer_id: i64,
    /// What all random numbers follow from.
    seed: u64,
    drawn: u64,
}

impl Cluster {
    /// A cluster of brokers that listen at `addresses`.
    pub(crate) fn new(options: SandboxOptions, addresses: &[SocketAddr]) -> Self {
        let mut cluster = Self {
            id: String::new(),
            brokers: brokers::brokers(addresses, &options.racks),
            topics: BTreeMap::new(),
            groups: Groups::new(options.group_initial_delay),
            transactions: BTreeMap::new(),
            topic_names: HashMap::new(),
            footprint: 0,
            next_producer_id: FIRST_PRODUCER_ID,
            seed: options.seed.unwrap_or_else(|| RandomState::new().hash_one(0)),
            drawn: 0,
            options,
        };
        cluster.id = match cluster.options.cluster_id.clone() {
            Some(id) => id,
            None => format!("sandbox-{:014x}", cluster.draw() >> 8),
        };
        cluster
    }

    /// A producer id that nobody has.
    pub(crate) fn allocate_producer_id(&mut self) -> i64 {
        self.next_producer_id += 1;
        self.next_producer_id - 1
    }

    /// An id as brokers give to topics and members: random, and different for each call.
    pub(crate) fn random_uuid(&mut self) -> Uuid {
        let bytes = [self.draw().to_be_bytes(), self.draw().to_be_bytes()].concat();
        <[u8; 16]>::try_from(bytes)
            .map_or_else(|_| Uuid::nil(), |bytes| uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        let mut hasher = DefaultHasher::new();
        (self.seed, self.drawn).hash(&mut hasher);
        hasher.finish()
    }
}
