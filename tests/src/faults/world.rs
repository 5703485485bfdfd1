//! Two clusters of three brokers, each behind proxies, and the topics of the load.

use std::collections::BTreeMap;
use std::thread;

use anyhow::{Context, Result, anyhow};

use crate::clock;
use crate::disk::Disk;
use crate::faults::plan::{BROKERS, DISK_BROKER, Side};
use crate::kafka::{KafkaCluster, Options, Version};
use crate::oracle;
use crate::passwords::{LOGIN_MODULE, Passwords};
use crate::proxy::{Link, Proxy};

/// Numbered records outside of transactions.
pub const NUMBERED: &str = "numbered";
/// Records of transactions that are committed or aborted.
pub const TRANSACTIONS: &str = "transactions";
/// Partitions of each at the beginning.
pub const PARTITIONS: i32 = 6;
/// Six brokers run on one small machine.
const HEAP_MB: u32 = 384;
/// How long a login of kmirror counts: it authenticates again while faults go on.
const SESSION_MS: &str = "20000";

/// A cluster and the links to it.
pub struct Site {
    /// Which of the two.
    pub side: Side,
    /// The brokers.
    pub cluster: KafkaCluster,
    /// One for each broker, by its number.
    pub links: BTreeMap<i32, Proxy>,
    /// Addresses for the load and its judges, past the proxies.
    pub near: String,
    /// Addresses for kmirror.
    pub far: String,
    /// What kmirror logs in with there.
    pub passwords: Passwords,
}

/// What this machine cannot do, and so is left out of the plan when it is carried out.
#[derive(Clone, Debug)]
pub struct Means {
    /// Only root may mount a disk.
    pub disks: bool,
    /// The library that gives a broker another clock.
    pub clocks: Option<String>,
}

impl Means {
    /// Finds out.
    #[must_use]
    pub fn find() -> Self {
        Self { disks: Disk::possible(), clocks: clock::library().ok() }
    }
}

/// Starts both clusters at once and makes the topics at the source.
pub fn start(source: Version, target: Version, means: &Means) -> Result<(Site, Site)> {
    let (source, target) = thread::scope(|scope| {
        let source = scope.spawn(|| site(Side::Source, source, means));
        let target = scope.spawn(|| site(Side::Target, target, means));
        (source.join(), target.join())
    });
    let started = |site: thread::Result<Result<Site>>| {
        site.unwrap_or_else(|_| Err(anyhow!("a cluster's start panicked")))
    };
    let (source, target) = (started(source)?, started(target)?);
    for topic in [NUMBERED, TRANSACTIONS] {
        oracle::create_topic(&source.near, topic, PARTITIONS, BROKERS, &["min.insync.replicas=2"])?;
    }
    Ok((source, target))
}

fn site(side: Side, version: Version, means: &Means) -> Result<Site> {
    let options = Options {
        brokers: BROKERS,
        heap_mb: HEAP_MB,
        small_disk: means.disks.then_some(DISK_BROKER),
        ..Options::default()
    };
    let options = options
        .behind_proxy()
        .with("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,FAR:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT")
        .with("sasl.enabled.mechanisms", "SCRAM-SHA-512")
        .with("listener.name.far.scram-sha-512.sasl.jaas.config", &format!("{LOGIN_MODULE};"))
        .with("connections.max.reauth.ms", SESSION_MS)
        .with("min.insync.replicas", "2")
        .with("transaction.state.log.min.isr", "2")
        .with("log.dirs", "{dir}/data-1,{dir}/data-2")
        .with("metadata.log.dir", "{dir}/data-metadata");
    let cluster = KafkaCluster::start(version, options).with_context(|| format!("the {side} cluster"))?;
    let links = (1..).zip(cluster.proxies(Link::default())?).collect();
    let (near, far) = (cluster.bootstrap(), cluster.bootstrap_of("FAR_PROXY"));
    let passwords = Passwords::first(&near)?;
    Ok(Site { side, cluster, links, near, far, passwords })
}
