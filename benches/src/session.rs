//! Two real clusters with the data sets on the source, and one measured run after the other.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kmirror_tests::cache::scratch;
use kmirror_tests::java::java_source;
use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::oracle;
use kmirror_tests::process::{Process, run};
use kmirror_tests::proxy::{Link, Proxy};
use kmirror_tests::stores::{STORE_PASSWORD, Stores};

use crate::case::{Case, DataSet, Kind, PARTITIONS};
use crate::floor;
use crate::measure::{FirstRecord, Measure, PeakMemory, cpu_seconds, log_bytes};
use crate::peer::{self, Job, Peer, Programs};

/// No run may take longer.
const RUN_LIMIT: Duration = Duration::from_secs(300);
/// One way through the link of [`Kind::FarTarget`].
const FAR_DELAY: Duration = Duration::from_millis(25);
/// One way through those of [`Kind::VeryFarTarget`] and [`Kind::VeryFarSource`].
const VERY_FAR_DELAY: Duration = Duration::from_millis(100);
/// Settings of a topic whose log is cleaned as soon as may be.
const COMPACTED: &[&str] = &[
    "cleanup.policy=compact",
    "min.cleanable.dirty.ratio=0.001",
    "segment.bytes=262144",
    "max.message.bytes=1048588",
];
/// Pause between runs: what a run left to the brokers is not to count for the next.
const SETTLE: Duration = Duration::from_secs(2);

/// The options with an encrypted listener beside those of [`Options::behind_proxy`].
fn encrypted(options: Options, stores: &Stores) -> Options {
    let ours = "127.0.0.1:{port.TLS}";
    let mut options = options
        .with("ssl.keystore.location", &stores.path("broker.p12"))
        .with("ssl.keystore.type", "PKCS12")
        .with("ssl.keystore.password", STORE_PASSWORD);
    for (key, value) in &mut options.properties {
        match key.as_str() {
            "listeners" | "advertised.listeners" => value.push_str(&format!(",TLS://{ours}")),
            "listener.security.protocol.map" => value.push_str(",TLS:SSL"),
            _ => {}
        }
    }
    options
}

/// The clusters.
pub struct Session {
    source: KafkaCluster,
    target: KafkaCluster,
    to_source: Vec<Proxy>,
    to_target: Vec<Proxy>,
    /// The certificates of the brokers' encrypted listeners.
    stores: Stores,
    /// The data sets on the source, with the records there are to copy.
    loaded: BTreeMap<&'static str, u64>,
    run: u32,
}

impl Session {
    /// Starts both clusters.
    pub fn start(version: Version) -> Result<Self> {
        eprintln!("starting two clusters of Kafka {}", version.name());
        let stores = Stores::make()?;
        let options = encrypted(Options::bench().behind_proxy(), &stores);
        let source = KafkaCluster::start(version, options.clone())?;
        let target = KafkaCluster::start(version, options)?;
        let to_source = source.proxies(Link::default())?;
        let to_target = target.proxies(Link::default())?;
        Ok(Self { source, target, to_source, to_target, stores, loaded: BTreeMap::new(), run: 0 })
    }

    /// Loads a data set, once, and returns its size in the source's logs.
    pub fn load(&mut self, data: &DataSet) -> Result<u64> {
        let bootstrap = self.source.bootstrap();
        if !self.loaded.contains_key(data.topic) {
            self.loaded.insert(data.topic, data.records);
            oracle::create_topic(
                &bootstrap,
                data.topic,
                PARTITIONS,
                1,
                if data.compacted { COMPACTED } else { &[] },
            )?;
            if data.records > 0 {
                eprintln!("loading {}: {} records", data.topic, data.records);
                let numbers = [PARTITIONS.to_string(), data.records.to_string()];
                let sizes = [data.value_bytes.to_string(), data.random_percent.to_string()];
                let codec = format!("compression.type={}", data.codec);
                let mut arguments = vec![bootstrap.as_str(), data.topic, &numbers[0], &numbers[1]];
                let keys = if data.compacted { "repeated" } else { "none" };
                arguments.extend([sizes[0].as_str(), &sizes[1], keys, &codec]);
                arguments.extend(data.producer);
                let acknowledged = run(&mut java_source(self.source.version(), "Load.java", &arguments)?)?;
                ensure!(acknowledged.trim() == data.records.to_string(), "loaded only {acknowledged}");
            }
            if data.compacted {
                let left = self.wait_for_cleaner(data)?;
                self.loaded.insert(data.topic, left);
            }
        }
        Ok(log_bytes(&self.source.data(1)?, data.topic))
    }

    /// Waits until most of what later records replaced is gone; how many records are left.
    fn wait_for_cleaner(&self, data: &DataSet) -> Result<u64> {
        eprintln!("waiting for the log cleaner");
        let deadline = Instant::now() + RUN_LIMIT;
        let mut before = 0;
        loop {
            let found = oracle::dump(&self.source.bootstrap(), data.topic, &[])?;
            let left: u64 = found.values().map(|partition| partition.records).sum();
            if left == before && left < data.records * 93 / 100 {
                return Ok(left);
            }
            before = left;
            ensure!(Instant::now() < deadline, "{left} records are left");
            thread::sleep(3 * SETTLE);
        }
    }

    /// Measures one run of one peer on a case that copies.
    pub fn copy(&mut self, peer: Peer, programs: &Programs, case: &Case) -> Result<Measure> {
        let bytes = self.load(&case.data)?;
        if peer == Peer::Relay {
            let stores = Some(&self.stores).filter(|_| case.kind == Kind::Tls);
            return floor::run(bytes, RUN_LIMIT, stores);
        }
        self.run += 1;
        let job = self.job(case, self.loaded.get(case.data.topic).copied().unwrap_or(0));
        let topic = peer.target_topic(job.topic, job.run);
        self.make_room(peer, case, &topic)?;
        thread::sleep(SETTLE);
        let measured = self.measure(peer, programs, &job, &topic);
        let complete = oracle::offsets_held(&self.target.bootstrap(), &topic);
        oracle::delete_topics(&self.target.bootstrap(), &[&topic]).ok();
        let measured = measured?;
        let complete = complete?;
        ensure!(complete == job.records, "{} records arrived of {}", complete, job.records);
        Ok(measured)
    }

    fn job<'a>(&self, case: &Case, records: u64) -> Job<'a> {
        let (far_source, far_target) = match case.kind {
            Kind::FarTarget => (None, Some(FAR_DELAY)),
            Kind::VeryFarTarget => (None, Some(VERY_FAR_DELAY)),
            Kind::VeryFarSource => (Some(VERY_FAR_DELAY), None),
            Kind::Bulk | Kind::Tls | Kind::Latency => (None, None),
        };
        let is_encrypted = case.kind == Kind::Tls;
        let bootstrap = |cluster: &KafkaCluster, links: &[Proxy], delay: Option<Duration>| {
            let Some(delay) = delay else {
                return if is_encrypted { cluster.bootstrap_of("TLS") } else { cluster.bootstrap() };
            };
            links.iter().for_each(|link| link.set(Link { delay, ..Link::default() }));
            cluster.bootstrap_of("FAR_PROXY")
        };
        Job {
            source: bootstrap(&self.source, &self.to_source, far_source),
            target: bootstrap(&self.target, &self.to_target, far_target),
            topic: case.data.topic,
            codec: case.target_codec.unwrap_or(case.data.codec),
            records,
            trust: is_encrypted.then(|| self.stores.path("ca.pem")),
            run: self.run,
        }
    }

    fn make_room(&self, peer: Peer, case: &Case, topic: &str) -> Result<()> {
        let codec = case.target_codec.map(|codec| format!("compression.type={codec}"));
        // Nobody is to wait for the target's log cleaner.
        if peer.creates_topics() && codec.is_none() && !case.data.compacted {
            return Ok(());
        }
        let configs: Vec<&str> = codec.as_deref().into_iter().collect();
        oracle::create_topic(&self.target.bootstrap(), topic, PARTITIONS, 1, &configs)
    }

    fn measure(&self, peer: Peer, programs: &Programs, job: &Job<'_>, topic: &str) -> Result<Measure> {
        let directory = scratch(peer.name())?;
        let brokers = [&self.source, &self.target].map(|cluster| cluster.broker(1).map(Process::pid));
        let [source, target] = brokers;
        let (source, target) = (source?, target?);
        let before = (cpu_seconds(source)?, cpu_seconds(target)?);
        let first = FirstRecord::of(&self.target.data(1)?, topic);
        // MirrorMaker does not end by itself: another client says when all is there.
        let watch = if matches!(peer, Peer::MirrorMaker1 | Peer::MirrorMaker2) {
            let records = job.records.to_string();
            Some(oracle::start("watch", "watch", &[&self.target.bootstrap(), topic, &records], &directory)?)
        } else {
            None
        };
        let process = peer::start(peer, programs, job, &directory)?;
        let memory = PeakMemory::of(process.pid());
        let (end, cpu) = match &watch {
            Some(watch) => (wait_for(watch, &process)?, cpu_seconds(process.pid())?),
            None => finish(&process)?,
        };
        let after = (cpu_seconds(source)?, cpu_seconds(target)?);
        let since_start = |at: Instant| at.duration_since(process.started()).as_secs_f64();
        Ok(Measure {
            wall: since_start(end),
            cpu,
            peak_mb: memory.megabytes(),
            source_cpu: after.0 - before.0,
            target_cpu: after.1 - before.1,
            first: first.at().map(since_start),
        })
    }

    /// Measures the latency through a peer, or, without one, of the clients and one broker alone.
    pub fn latency(
        &mut self,
        peer: Option<Peer>,
        programs: &Programs,
        case: &Case,
        seconds: u32,
    ) -> Result<crate::latency::Latency> {
        self.load(&case.data)?;
        self.run += 1;
        let job = self.job(case, 0);
        let source = (self.source.bootstrap(), case.data.topic.to_owned());
        let Some(peer) = peer else { return crate::latency::measure(&source, &source, seconds) };
        let topic = peer.target_topic(job.topic, job.run);
        self.make_room(peer, case, &topic)?;
        let directory = scratch(peer.name())?;
        let process = peer::start(peer, programs, &job, &directory)?;
        let measured = crate::latency::measure(&source, &(self.target.bootstrap(), topic.clone()), seconds)
            .with_context(|| process.tail(20));
        process.stop(Duration::from_secs(20))?;
        oracle::delete_topics(&self.target.bootstrap(), &[&topic])?;
        measured
    }
}

fn wait_for(watch: &Process, process: &Process) -> Result<Instant> {
    let deadline = Instant::now() + RUN_LIMIT;
    loop {
        if let Some(exit) = watch.exited() {
            ensure!(exit.status.success(), "watching failed\n{}", watch.tail(20));
            return Ok(exit.at);
        }
        if process.exited().is_some() || Instant::now() > deadline {
            bail!("it did not copy everything\n{}", process.tail(30));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn finish(process: &Process) -> Result<(Instant, f64)> {
    let exit = process.wait(RUN_LIMIT)?;
    ensure!(exit.status.success(), "it ended with {}\n{}", exit.status, process.tail(30));
    Ok((exit.at, exit.cpu().as_secs_f64()))
}
