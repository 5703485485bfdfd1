//! What a running mirror tells about itself: counters that the flows write and anybody may read.
//!
//! Writers are the lanes (one per flow); readers are the commit task, the command line, metrics. All numbers are
//! atomics, so reading never holds up the data path.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use kmirror_protocol::net::tls::CertificateInfo;
use kmirror_protocol::net::{Security, Throttling};
use tokio::sync::watch;

use crate::flow::event::Side;
use crate::flow::rewrite::{DropReason, ReencodeReason};
use crate::ids::SourcePartition;
use crate::share::shards::Shards;
pub use partition::{PartitionState, PartitionStatus};

mod partition;

/// Batches, records and bytes of one kind.
#[derive(Debug, Default)]
pub struct Tally {
    batches: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    pub(crate) fn add(&self, batches: u64, bytes: u64) {
        self.batches.fetch_add(batches, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Source batches counted.
    pub fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// Their bytes at the source.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// What one flow did so far.
#[derive(Debug, Default)]
pub struct FlowCounters {
    /// Batches that went as they were.
    pub forwarded: Tally,
    reencoded: [Tally; ReencodeReason::ALL.len()],
    dropped: [Tally; DropReason::ALL.len()],
    recoveries: AtomicU64,
    possible_duplicates: AtomicU64,
    committed: AtomicU64,
    aborted: AtomicU64,
}

impl FlowCounters {
    /// Batches that were re-encoded for this reason.
    pub fn reencoded(&self, reason: ReencodeReason) -> &Tally {
        &self.reencoded[reason as usize]
    }

    /// Batches that were dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> &Tally {
        &self.dropped[reason as usize]
    }

    /// How often a partition had to ask the target what it holds.
    pub fn recoveries(&self) -> u64 {
        self.recoveries.load(Ordering::Relaxed)
    }

    /// At most this many records may be at the target twice.
    pub fn possible_duplicates(&self) -> u64 {
        self.possible_duplicates.load(Ordering::Relaxed)
    }

    pub(crate) fn add_recovery(&self) {
        self.recoveries.fetch_add(1, Ordering::Relaxed);
    }

    /// Transactions at the target that count.
    pub fn committed_transactions(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// Transactions at the target that were aborted, and written again.
    pub fn aborted_transactions(&self) -> u64 {
        self.aborted.load(Ordering::Relaxed)
    }

    pub(crate) fn add_transaction(&self, commits: bool) {
        let counter = if commits { &self.committed } else { &self.aborted };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_possible_duplicates(&self, records: u64) {
        self.possible_duplicates.fetch_add(records, Ordering::Relaxed);
    }
}

/// One flow: its counters and its partitions.
#[derive(Debug)]
pub struct FlowStatus {
    /// The source cluster's alias.
    pub source: Arc<str>,
    /// The target cluster's alias.
    pub target: Arc<str>,
    /// What it did so far.
    pub counters: FlowCounters,
    partitions: RwLock<BTreeMap<SourcePartition, Arc<PartitionStatus>>>,
    trouble: Mutex<BTreeMap<Arc<str>, Arc<str>>>,
    throttling: [Arc<Throttling>; 2],
    topics: RwLock<BTreeMap<Arc<str>, Arc<str>>>,
    /// What this process may mirror.
    owned: RwLock<Shards>,
    discovered: AtomicBool,
    waiting: AtomicBool,
    denied: AtomicBool,
    leads: watch::Sender<bool>,
}

impl FlowStatus {
    /// A flow of which nothing is known yet.
    pub fn new(source: Arc<str>, target: Arc<str>) -> Self {
        Self {
            source,
            target,
            counters: FlowCounters::default(),
            partitions: RwLock::default(),
            trouble: Mutex::default(),
            throttling: Default::default(),
            topics: RwLock::default(),
            owned: RwLock::new(Shards::NONE),
            discovered: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            denied: AtomicBool::new(false),
            leads: watch::Sender::new(false),
        }
    }

    /// `source->target`.
    pub fn name(&self) -> String {
        format!("{}->{}", self.source, self.target)
    }

    /// How often and how long the brokers of one side asked for silence because of their quotas (KIP-219).
    pub fn throttling(&self, side: Side) -> &Arc<Throttling> {
        &self.throttling[side as usize]
    }

    /// The partitions this process mirrors, by source topic and index.
    pub fn partitions(&self) -> Vec<Arc<PartitionStatus>> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect()
    }

    /// The source topics of the flow, whichever process mirrors them, with what they are called at the target.
    pub fn topics(&self) -> BTreeMap<Arc<str>, Arc<str>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_owned(&self, shards: Shards) {
        *self.owned.write().unwrap_or_else(PoisonError::into_inner) = shards;
    }

    /// Whether a partition is this process's to mirror, known or not.
    pub(crate) fn is_ours(&self, partition: &SourcePartition) -> bool {
        self.owned.read().unwrap_or_else(PoisonError::into_inner).has(partition)
    }

    pub(crate) fn set_topics(&self, topics: BTreeMap<Arc<str>, Arc<str>>) {
        *self.topics.write().unwrap_or_else(PoisonError::into_inner) = topics;
    }

    /// Whether this process mirrors the partition.
    pub(crate) fn has(&self, partition: &SourcePartition) -> bool {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner).contains_key(partition)
    }

    /// What cannot be done at the moment, by the topic (or other thing) it concerns.
    pub fn trouble(&self) -> BTreeMap<Arc<str>, Arc<str>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the topics of the source were listed at least once.
    pub fn is_discovered(&self) -> bool {
        self.discovered.load(Ordering::Acquire)
    }

    /// Whether every partition known reached the end it had when it was found, and no topic is in trouble.
    pub fn is_synced(&self) -> bool {
        self.is_discovered()
            && self.trouble().is_empty()
            && self.partitions().iter().all(|partition| partition.is_synced())
    }

    /// Whether other processes are waited for: they have the partitions, or keep this one out.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether the last attempt to start it failed for the sake of security: certificates, logins. Trying again soon is
    /// no help, and locks users out at some brokers.
    pub fn is_denied(&self) -> bool {
        self.denied.load(Ordering::Relaxed)
    }

    /// Whether this process runs what exactly one process of the flow runs.
    pub fn leads(&self) -> bool {
        *self.leads.borrow()
    }

    /// Waits until this process is the one.
    pub(crate) async fn leading(&self) {
        let _ = self.leads.subscribe().wait_for(|leads| *leads).await;
    }

    pub(crate) fn set_waiting(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    pub(crate) fn set_denied(&self, denied: bool) {
        self.denied.store(denied, Ordering::Relaxed);
    }

    pub(crate) fn set_leads(&self, leads: bool) {
        self.leads.send_if_modified(|known| std::mem::replace(known, leads) != leads);
    }

    pub(crate) fn set_discovered(&self) {
        self.discovered.store(true, Ordering::Release);
    }

    pub(crate) fn set_trouble(&self, about: &Arc<str>, what: Option<Arc<str>>) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match what {
            Some(what) => trouble.insert(Arc::clone(about), what),
            None => trouble.remove(about),
        };
    }

    /// A partition is being mirrored from now on.
    pub fn insert(&self, partition: Arc<PartitionStatus>) {
        let mut partitions = self.partitions.write().unwrap_or_else(PoisonError::into_inner);
        partitions.insert(partition.source.clone(), partition);
    }

    pub(crate) fn remove(&self, partition: &SourcePartition) {
        self.partitions.write().unwrap_or_else(PoisonError::into_inner).remove(partition);
    }
}

/// The whole mirror.
#[derive(Debug)]
pub struct Status {
    /// Its flows, in the order of the plan.
    pub flows: Vec<Arc<FlowStatus>>,
    /// How their clusters are secured.
    pub(crate) securities: Vec<(Arc<str>, Security)>,
}

impl Status {
    /// The certificates in use, and those that brokers showed, with the clusters they belong to.
    pub fn certificates(&self) -> Vec<(Arc<str>, CertificateInfo)> {
        let of = |(cluster, security): &(Arc<str>, Security)| {
            let certificates = security.tls().map(|tls| tls.certificates()).unwrap_or_default();
            certificates.into_iter().map(|one| (Arc::clone(cluster), one)).collect::<Vec<_>>()
        };
        self.securities.iter().flat_map(of).collect()
    }

    /// Whether every flow is synced, see [`FlowStatus::is_synced`].
    pub fn is_synced(&self) -> bool {
        self.flows.iter().all(|flow| flow.is_synced())
    }
}
