//! Real Kafka clusters on loopback: start, stop, kill and restart brokers by what was started, nothing else.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

pub use crate::artefacts::Version;
use crate::broker::{Node, NodeSettings, random_id};
use crate::cache;
use crate::disk::Disk;
use crate::java::{quick_flags, server_flags};
use crate::process::{Process, Signal};
use crate::proxy::{Link, Proxy};
use crate::zookeeper::ZooKeeper;

/// Ports are taken below the range the kernel gives to outgoing connections, or one of those could sit on a
/// broker's port while it restarts.
const PORTS: std::ops::Range<u32> = 20_000..32_000;

/// The file of an archive of classes.
const ARCHIVE: &str = "classes.jsa";

/// How a cluster differs from one small broker with an open listener.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of nodes, each broker and controller.
    pub brokers: i32,
    /// Heap of each node.
    pub heap_mb: u32,
    /// Further or changed server properties. `{port.NAME}` is replaced by a free port of that name, the same on
    /// every use within a node; `{dir}` by the node's own directory.
    pub properties: Vec<(String, String)>,
    /// It is measured: with the collector and the compiler that Kafka's own scripts give a broker.
    pub measured: bool,
    /// Largest size of any file of a broker, in bytes: beyond it writing fails, as on a full disk.
    pub file_size_limit: Option<u64>,
    /// Further flags of each node's JVM.
    pub flags: Vec<String>,
    /// The broker whose directory `{dir}/data-2` is a disk of its own that [`KafkaCluster::disk`] fills; for root.
    pub small_disk: Option<i32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            brokers: 1,
            heap_mb: 512,
            properties: Vec::new(),
            measured: false,
            flags: Vec::new(),
            file_size_limit: None,
            small_disk: None,
        }
    }
}

impl Options {
    /// A cluster of three brokers.
    #[must_use]
    pub fn three_brokers() -> Self {
        Self { brokers: 3, heap_mb: 384, ..Self::default() }
    }

    /// A broker for measuring: the heap Kafka's scripts give it and its thread counts.
    #[must_use]
    pub fn bench() -> Self {
        let threads = [("num.network.threads", "3"), ("num.io.threads", "8")];
        threads
            .into_iter()
            .fold(Self { heap_mb: 1024, measured: true, ..Self::default() }, |o, (k, v)| o.with(k, v))
    }

    /// A further listener `FAR` that tells clients to come by `port.FAR_PROXY`, where a [`crate::proxy::Proxy`]
    /// started by the caller stands for a long link. For brokers with KRaft.
    #[must_use]
    pub fn behind_proxy(self) -> Self {
        let listeners = "PLAINTEXT://127.0.0.1:{port.PLAINTEXT},FAR://127.0.0.1:{port.FAR},\
                         CONTROLLER://127.0.0.1:{port.CONTROLLER}";
        let advertised = "PLAINTEXT://127.0.0.1:{port.PLAINTEXT},FAR://127.0.0.1:{port.FAR_PROXY}";
        let protocols = "PLAINTEXT:PLAINTEXT,FAR:PLAINTEXT,CONTROLLER:PLAINTEXT";
        self.with("listeners", listeners)
            .with("advertised.listeners", advertised)
            .with("listener.security.protocol.map", protocols)
    }

    /// Adds a flag of the JVM.
    #[must_use]
    pub fn with_flag(mut self, flag: String) -> Self {
        self.flags.push(flag);
        self
    }

    /// Sets a server property.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.properties.push((key.to_owned(), value.to_owned()));
        self
    }
}

/// A running cluster; gone, with its data, when dropped.
pub struct KafkaCluster {
    version: Version,
    id: String,
    directory: PathBuf,
    nodes: Vec<Node>,
    ports: Vec<BTreeMap<String, u16>>,
    /// Beside brokers of releases that need it; dropped behind them.
    _zookeeper: Option<ZooKeeper>,
}

/// The flags for a JVM of that release that lives for a minute. It takes its classes from an archive of what a broker loads,
/// and starts in a third of the CPU time. The archive is made once, by a broker that starts and stops; a JVM for which it is none starts without it.
pub fn short_lived_flags(version: Version, heap_mb: u32) -> Result<Vec<String>> {
    let mut flags = quick_flags(heap_mb);
    if version.needs_zookeeper() {
        return Ok(flags);
    }
    let entry = cache::entry(&format!("classes-{}", version.name()), |directory| {
        let file = directory.join(ARCHIVE);
        let flags = [quick_flags(512), vec![format!("-XX:ArchiveClassesAtExit={}", file.display())]].concat();
        let mut cluster = KafkaCluster::start_with(version, &Options::default(), &flags)?;
        cluster.stop_broker(1)
    })?;
    flags.push(format!("-XX:SharedArchiveFile={}", entry.join(ARCHIVE).display()));
    Ok(flags)
}

impl KafkaCluster {
    /// Starts a cluster and waits until every broker serves.
    pub fn start(version: Version, options: Options) -> Result<Self> {
        let flags = match options.measured {
            true => server_flags(options.heap_mb),
            false => short_lived_flags(version, options.heap_mb)?,
        };
        Self::start_with(version, &options, &[flags, options.flags.clone()].concat())
    }

    fn start_with(version: Version, options: &Options, flags: &[String]) -> Result<Self> {
        let mut cluster = Self::create(version, options, flags)?;
        for node in &mut cluster.nodes {
            node.start()?;
        }
        for node in &cluster.nodes {
            node.wait_ready()?;
        }
        if version.needs_zookeeper() {
            cluster.id = cluster.node(1)?.stored_cluster_id()?;
        }
        Ok(cluster)
    }

    fn create(version: Version, options: &Options, flags: &[String]) -> Result<Self> {
        let directory = cache::scratch(&format!("kafka-{}", version.name()))?;
        let id = random_id()?;
        let zookeeper = version
            .needs_zookeeper()
            .then(|| ZooKeeper::start(version, &directory, free_port()?))
            .transpose()?;
        let mut ports = Vec::new();
        for _ in 0..options.brokers {
            let pair = [("PLAINTEXT".to_owned(), free_port()?), ("CONTROLLER".to_owned(), free_port()?)];
            ports.push(BTreeMap::from(pair));
        }
        let voters: Vec<String> =
            (1..).zip(&ports).map(|(id, ports)| format!("{id}@127.0.0.1:{}", ports["CONTROLLER"])).collect();
        let mut nodes = Vec::new();
        for (node_id, ports) in (1..).zip(&mut ports) {
            let mut properties = base_properties(options.brokers);
            properties.extend(match &zookeeper {
                Some(zookeeper) => zookeeper_properties(node_id, &zookeeper.address()),
                None => kraft_properties(node_id, &voters.join(",")),
            });
            for (key, value) in &options.properties {
                properties.insert(key.clone(), value.clone());
            }
            for value in properties.values_mut() {
                *value = with_ports(value, ports)?;
            }
            let settings = NodeSettings {
                version,
                id: node_id,
                cluster_id: id.clone(),
                properties,
                jvm_flags: flags.to_vec(),
                file_size_limit: options.file_size_limit,
                small_disk: options.small_disk == Some(node_id),
                environment: Vec::new(),
            };
            nodes.push(Node::create(settings, directory_of(&directory, node_id)?)?);
        }
        Ok(Self { version, id, directory, nodes, ports, _zookeeper: zookeeper })
    }

    /// The release it runs.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The cluster id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Addresses of all brokers' open listeners, separated by commas.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.bootstrap_of("PLAINTEXT")
    }

    /// Addresses of the listener named so in the options' properties, separated by commas.
    #[must_use]
    pub fn bootstrap_of(&self, listener: &str) -> String {
        let ports = self.ports.iter().filter_map(|ports| ports.get(listener));
        ports.map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
    }

    /// Where a directory for files of this cluster's clients may be made; kept when a test fails.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        &self.directory
    }

    /// Where broker `id` keeps its partitions, one directory each.
    pub fn data(&self, id: i32) -> Result<PathBuf> {
        Ok(self.node(id)?.directory().join("data"))
    }

    /// Port of broker `id` (1, 2, ...) that the options call `name`; the open listener's is `PLAINTEXT`.
    pub fn port(&self, id: i32, name: &str) -> Result<u16> {
        let ports = self.ports.get(usize::try_from(id - 1)?);
        ports
            .and_then(|ports| ports.get(name))
            .copied()
            .with_context(|| format!("broker {id} has no port {name}"))
    }

    /// Starts the proxies of all brokers of a cluster made with [`Options::behind_proxy`]; clients then use
    /// [`Self::bootstrap_of`] `FAR_PROXY`.
    pub fn proxies(&self, link: Link) -> Result<Vec<Proxy>> {
        let start = |ports: &BTreeMap<String, u16>| {
            let port = |name| ports.get(name).copied().with_context(|| format!("no port {name}"));
            Proxy::start(port("FAR_PROXY")?, ([127, 0, 0, 1], port("FAR")?).into(), link)
        };
        self.ports.iter().map(start).collect()
    }

    /// PIDs of the brokers that run.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.nodes.iter().filter_map(Node::pid).collect()
    }

    /// The process of broker `id`, when it runs.
    pub fn broker(&self, id: i32) -> Result<&Process> {
        self.node(id)?.process().with_context(|| format!("broker {id} does not run"))
    }

    /// Shuts broker `id` down cleanly.
    pub fn stop_broker(&mut self, id: i32) -> Result<()> {
        self.node_mut(id)?.stop().map(drop)
    }

    /// Kills broker `id`, as a power cut would.
    pub fn kill_broker(&mut self, id: i32) -> Result<()> {
        self.node_mut(id)?.kill().map(drop)
    }

    /// Sends a signal to broker `id`: SIGSTOP makes it hang, SIGCONT goes on.
    pub fn signal_broker(&self, id: i32, signal: Signal) -> Result<()> {
        self.node(id)?.signal(signal);
        Ok(())
    }

    /// Starts broker `id` again on its data and waits until it serves.
    pub fn start_broker(&mut self, id: i32) -> Result<()> {
        let node = self.node_mut(id)?;
        if node.process().is_some_and(|process| process.exited().is_none()) {
            bail!("broker {id} runs already");
        }
        node.start()?;
        node.wait_ready()
    }

    /// Changes a server property for the next start of broker `id`.
    pub fn set_property(&mut self, id: i32, key: &str, value: &str) -> Result<()> {
        self.node_mut(id)?.set(key, value);
        Ok(())
    }

    /// Limits the file sizes of broker `id` from its next start on; see [`Options::file_size_limit`].
    pub fn limit_file_size(&mut self, id: i32, bytes: Option<u64>) -> Result<()> {
        self.node_mut(id)?.limit_file_size(bytes);
        Ok(())
    }

    /// Gives broker `id` further environment variables from its next start on, instead of those it had.
    pub fn set_environment(&mut self, id: i32, variables: &[(&str, String)]) -> Result<()> {
        self.node_mut(id)?.set_environment(variables);
        Ok(())
    }

    /// The disk of its own that broker `id` has; see [`Options::small_disk`].
    pub fn disk(&self, id: i32) -> Result<&Disk> {
        self.node(id)?.disk().with_context(|| format!("broker {id} has no disk of its own"))
    }

    /// The log broker `id` wrote since its last start.
    pub fn broker_log(&self, id: i32) -> Result<String> {
        let process = self.broker(id)?;
        Ok(process.stdout() + &process.stderr())
    }

    fn node(&self, id: i32) -> Result<&Node> {
        let index = usize::try_from(id - 1)?;
        self.nodes.get(index).with_context(|| format!("there is no broker {id}"))
    }

    fn node_mut(&mut self, id: i32) -> Result<&mut Node> {
        let index = usize::try_from(id - 1)?;
        self.nodes.get_mut(index).with_context(|| format!("there is no broker {id}"))
    }
}

impl Drop for KafkaCluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.kill().ok();
            // Data is of no use to anyone; logs stay until the run is over.
            std::fs::remove_dir_all(node.directory().join("data")).ok();
        }
    }
}

fn directory_of(cluster: &std::path::Path, node: i32) -> Result<PathBuf> {
    let directory = cluster.join(format!("node-{node}"));
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Server properties every test cluster has: small, quick to start, nothing made by itself.
fn base_properties(brokers: i32) -> BTreeMap<String, String> {
    let replicas = brokers.min(3).to_string();
    owned(&[
        ("advertised.listeners", "PLAINTEXT://127.0.0.1:{port.PLAINTEXT}"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("auto.create.topics.enable", "false"),
        ("offsets.topic.replication.factor", &replicas),
        ("offsets.topic.num.partitions", "4"),
        ("transaction.state.log.replication.factor", &replicas),
        ("transaction.state.log.min.isr", "1"),
        ("transaction.state.log.num.partitions", "4"),
        ("share.coordinator.state.topic.replication.factor", &replicas),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("share.coordinator.state.topic.num.partitions", "4"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("num.network.threads", "2"),
        ("num.io.threads", "4"),
        ("log.cleaner.dedupe.buffer.size", "16777216"),
        ("log.cleaner.backoff.ms", "500"),
        ("log.segment.delete.delay.ms", "1000"),
        // The records of the cases carry fixed timestamps, older than any usual retention.
        ("log.retention.ms", "-1"),
        ("log.retention.check.interval.ms", "1000"),
        ("log.initial.task.delay.ms", "500"),
        ("controlled.shutdown.enable", "true"),
    ])
}

fn kraft_properties(node: i32, voters: &str) -> BTreeMap<String, String> {
    let listeners = "PLAINTEXT://127.0.0.1:{port.PLAINTEXT},CONTROLLER://127.0.0.1:{port.CONTROLLER}";
    owned(&[
        ("process.roles", "broker,controller"),
        ("node.id", &node.to_string()),
        ("controller.quorum.voters", voters),
        ("listeners", listeners),
        ("controller.listener.names", "CONTROLLER"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("broker.session.timeout.ms", "4000"),
        ("broker.heartbeat.interval.ms", "500"),
    ])
}

fn zookeeper_properties(node: i32, zookeeper: &str) -> BTreeMap<String, String> {
    owned(&[
        ("broker.id", &node.to_string()),
        ("zookeeper.connect", zookeeper),
        ("zookeeper.session.timeout.ms", "6000"),
        ("listeners", "PLAINTEXT://127.0.0.1:{port.PLAINTEXT}"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT"),
    ])
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Replaces each `{port.NAME}` by the port of that name, taking a free one at its first use.
fn with_ports(value: &str, ports: &mut BTreeMap<String, u16>) -> Result<String> {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, behind)) = rest.split_once("{port.") {
        let (name, after) = behind.split_once('}').with_context(|| format!("no closing brace in {value}"))?;
        let port = match ports.get(name) {
            Some(port) => *port,
            None => *ports.entry(name.to_owned()).or_insert(free_port()?),
        };
        out.push_str(before);
        out.push_str(&port.to_string());
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// A port on loopback nobody listens on, not given out before by this process.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let size = PORTS.end - PORTS.start;
    for _ in 0..size {
        // Concurrent test processes begin far apart.
        let turn = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id().wrapping_mul(37));
        let port = u16::try_from(PORTS.start + turn % size)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between {} and {}", PORTS.start, PORTS.end)
}
