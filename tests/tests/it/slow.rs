//! What is slow or full: a slow target, a leader that is gone, idle partitions by the thousand, quotas, limits, long
//! links. Memory stays in the budget, and nobody waits for another.

use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kmirror_tests::cache::scratch;
use kmirror_tests::java::java_source;
use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::{Process, Signal, run};
use kmirror_tests::proxy::{Link, Proxy};

use crate::acls::configs;
use crate::fixture::{SOON, assert_same, create, eventually, many_processes, source, stop, target};

/// What the program takes beside `kmirror.buffer.memory`, in megabytes: its code, its threads, what the allocator keeps.
const PROGRAM_MB: f64 = 22.0;
const MB: f64 = 1_000_000.0;
/// How long anything here may take on a busy machine.
const LATE: Duration = Duration::from_secs(150);

/// Two clusters of one broker each, each behind a link of its own.
struct Pair {
    source: KafkaCluster,
    target: KafkaCluster,
    to_source: Vec<Proxy>,
    to_target: Vec<Proxy>,
}

/// How a run went.
struct Run {
    took: f64,
    peak_mb: f64,
    stderr: String,
}

impl Pair {
    fn start() -> Self {
        // Quotas are kept over three seconds instead of eleven, so that a short run shows them.
        let options = || Options::default().behind_proxy().with("quota.window.num", "3");
        let source = KafkaCluster::start(Version::V3_9_1, options()).unwrap();
        let target = KafkaCluster::start(Version::V4_3_0, options()).unwrap();
        let to_source = source.proxies(Link::default()).unwrap();
        let to_target = target.proxies(Link::default()).unwrap();
        Self { source, target, to_source, to_target }
    }

    fn properties(&self, alias: &str, topics: &str) -> Properties {
        let (source, target) = (self.source.bootstrap_of("FAR_PROXY"), self.target.bootstrap_of("FAR_PROXY"));
        Properties::flow((alias, &source), ("there", &target), topics)
    }

    /// Records of 1000 bytes that do not compress, in batches of 64 KB, over 4 partitions.
    fn load(&self, topic: &str, megabytes: u32) {
        load(&self.source, topic, 4, megabytes * 1000);
    }

    /// Mirrors what is there, over links that behave so.
    fn run(&self, properties: &Properties, to_source: Link, to_target: Link) -> Run {
        self.to_source.iter().for_each(|link| link.set(to_source));
        self.to_target.iter().for_each(|link| link.set(to_target));
        let process = kmirror::start_run(properties, &["--until-synced"]).unwrap();
        let mut peak_mb = 0.0;
        process
            .wait_until("the end", LATE, || {
                peak_mb = peak(&process).unwrap_or(peak_mb);
                process.stderr().contains(" records, ") || process.exited().is_some()
            })
            .unwrap_or_default();
        let exit = process.wait(LATE).unwrap();
        assert_eq!(exit.code(), Some(0), "{}", process.tail(40));
        let took = exit.at.duration_since(process.started()).as_secs_f64();
        Run { took, peak_mb, stderr: process.stderr() }
    }

    /// Bytes a second that the target's log of a topic grows by, from a fifth to four fifths of what there is, and the
    /// round trip in seconds of a small request over the slower link meanwhile.
    fn speed(&self, properties: &Properties, to_source: Link, to_target: Link, topic: &str) -> (f64, f64) {
        self.to_source.iter().for_each(|link| link.set(to_source));
        self.to_target.iter().for_each(|link| link.set(to_target));
        let all = log_bytes(&self.source, topic.split_once('.').unwrap().1);
        let process = kmirror::start_run(properties, &["--until-synced"]).unwrap();
        let reached = |share: f64| {
            let mut bytes = 0.0;
            process
                .wait_until("records", LATE, || {
                    bytes = log_bytes(&self.target, topic);
                    bytes > share * all
                })
                .unwrap();
            (bytes, Instant::now())
        };
        let first = reached(0.2);
        let far = if to_source.delay > to_target.delay { &self.to_source } else { &self.to_target };
        let pings = Pings::start(far[0].address());
        let last = reached(0.8);
        let round_trip = pings.mean();
        assert_eq!(process.wait(LATE).unwrap().code(), Some(0), "{}", process.tail(40));
        ((last.0 - first.0) / last.1.duration_since(first.1).as_secs_f64(), round_trip)
    }
}

/// Asks a broker again and again for its versions, and takes the time.
struct Pings(Arc<AtomicBool>, JoinHandle<Vec<f64>>);

impl Pings {
    fn start(broker: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let times = thread::spawn(move || {
            let mut stream = TcpStream::connect(broker).unwrap();
            let mut times = Vec::new();
            while !stopped.load(Ordering::Relaxed) || times.is_empty() {
                let began = Instant::now();
                // Length, ApiVersions 0, correlation id, no client id.
                stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 255, 255]).unwrap();
                let mut length = [0; 4];
                stream.read_exact(&mut length).unwrap();
                stream.read_exact(&mut vec![0; u32::from_be_bytes(length) as usize]).unwrap();
                times.push(began.elapsed().as_secs_f64());
            }
            times
        });
        Self(stop, times)
    }

    /// Of all that began meanwhile, in seconds.
    fn mean(self) -> f64 {
        self.0.store(true, Ordering::Relaxed);
        let times = self.1.join().unwrap();
        times.iter().sum::<f64>() / times.len() as f64
    }
}

fn load(cluster: &KafkaCluster, topic: &str, partitions: i32, records: u32) {
    oracle::create_topic(&cluster.bootstrap(), topic, partitions, 1, &[]).unwrap();
    let (partitions, records) = (partitions.to_string(), records.to_string());
    let bootstrap = cluster.bootstrap();
    let what = [&bootstrap, topic, &partitions, &records, "1000", "100", "none"];
    let how = ["batch.size=65536", "linger.ms=500", "max.block.ms=60000"];
    let said = run(&mut java_source(cluster.version(), "Load.java", &[&what[..], &how].concat()).unwrap());
    assert_eq!(said.unwrap().trim(), records);
}

/// Bytes in the logs of a topic.
fn log_bytes(cluster: &KafkaCluster, topic: &str) -> f64 {
    let segments = |partition: i32| {
        let directory = cluster.data(1).unwrap().join(format!("{topic}-{partition}"));
        let files = fs::read_dir(directory).into_iter().flatten().flatten();
        files.filter(|file| file.path().extension().is_some_and(|one| one == "log")).collect::<Vec<_>>()
    };
    let files = (0..4).flat_map(segments);
    files.map(|file| file.metadata().map_or(0, |data| data.len())).sum::<u64>() as f64
}

/// The most memory a process had in use so far, in megabytes.
fn peak(process: &Process) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes / 1000.0)
}

/// Seconds that a side throttled us for, as the summary tells it.
fn throttled(run: &Run, side: &str) -> f64 {
    let about = format!("throttled by quotas of the {side} for ");
    let told = run.stderr.lines().find_map(|line| line.trim().strip_prefix(&about));
    told.and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0.0)
}

#[test]
fn slow_targets_and_quotas_are_kept_to_within_the_budget() {
    let pair = Pair::start();
    pair.load("much", 30);
    let properties = |alias: &str| pair.properties(alias, "much").with("kmirror.buffer.memory", "4m");

    // A target that takes 5 MB a second: 30 MB wait, 4 of them in memory.
    let slow = Link { bytes_per_second: Some(5_000_000), ..Link::default() };
    let slowly = pair.run(&properties("slow"), Link::default(), slow);
    eprintln!("slow target: 30 MB at 5 MB/s in {:.1} s, peak {:.1} MB", slowly.took, slowly.peak_mb);
    assert!(slowly.took > 5.5, "the link was not slow: {}", slowly.took);
    assert!(slowly.peak_mb < 4.2 + PROGRAM_MB, "{}", slowly.peak_mb);
    assert_same(&pair.source, "much", &pair.target, "slow.much");
    assert!((throttled(&slowly, "source"), throttled(&slowly, "target")) == (0.0, 0.0), "{}", slowly.stderr);

    for (side, cluster, quota) in
        [("source", &pair.source, "consumer_byte_rate"), ("target", &pair.target, "producer_byte_rate")]
    {
        const RATE: f64 = 3.0 * MB;
        let of_all = ["--alter", "--entity-type", "clients", "--entity-default"];
        let set = format!("{quota}=3000000");
        configs(cluster, &[&of_all[..], &["--add-config", &set]].concat());
        let run = pair.run(&properties(side), Link::default(), Link::default());
        configs(cluster, &[&of_all[..], &["--delete-config", quota]].concat());
        let told = throttled(&run, side);
        eprintln!(
            "{quota} of 3 MB/s: 30 MB in {:.1} s, throttled {told:.1} s, peak {:.1} MB",
            run.took, run.peak_mb
        );
        // The first three seconds' worth may pass at once; the rest keeps to the quota, and comes near it.
        let whole = 30.0 * MB / RATE;
        assert!(run.took > whole - 3.5 && run.took < whole * 1.5, "{}", run.took);
        // Over several connections at once, and what was asked for at the end counts, too.
        assert!(told > whole / 2.0 && told < 3.0 * run.took, "{told} of {}", run.took);
        assert!(run.peak_mb < 4.2 + PROGRAM_MB, "{}", run.peak_mb);
        assert_same(&pair.source, "much", &pair.target, &format!("{side}.much"));
        let other = if side == "source" { "target" } else { "source" };
        assert!(throttled(&run, other) == 0.0, "{}", run.stderr);
    }
}

const NINE_TENTHS: f64 = 0.9;

/// The largest share of a window that was used, of at most three runs under other aliases: what else the machine does takes
/// from it, and never adds.
fn largest_share(window: f64, name: &str, run: impl Fn(&str) -> (f64, f64)) -> f64 {
    let mut largest = 0.0;
    for number in 1..=3 {
        let (speed, round_trip) = run(&format!("{name}{number}"));
        eprintln!(
            "{name} far: {:.1} MB/s of {:.1} ({round_trip:.3} s)",
            speed / MB,
            window / round_trip / MB
        );
        largest = f64::max(largest, speed * round_trip / window);
        if largest > NINE_TENTHS {
            break;
        }
    }
    largest
}

/// 200 ms there and back: what the options let be under way at once, divided by that, is what can be had. How long the
/// way really takes while the records pass, on a machine that has other things to do, is measured beside them.
#[test]
fn a_round_trip_of_200_ms_leaves_nine_tenths_of_the_window() {
    let _alone = many_processes();
    let pair = Pair::start();
    pair.load("far", 60);
    let near = Link::default();
    let far = Link { delay: Duration::from_millis(100), ..near };

    // Towards a far target 10 requests at a time, each with one batch of each of the 4 partitions: 64 records of 1008
    // bytes. They come to 2.6 MB, which is less than what is buffered.
    let window = 10.0 * 4.0 * 64.0 * 1008.0;
    let share = largest_share(window, "to", |alias| {
        let properties = pair.properties(alias, "far");
        let properties = properties.with("there.producer.max.in.flight.requests.per.connection", "10");
        pair.speed(&properties, near, far, &format!("{alias}.far"))
    });
    assert!(share > NINE_TENTHS, "{share}");

    // From a far source one fetch of so much at a time.
    let window = 3.0 * MB;
    let share = largest_share(window, "from", |alias| {
        let limit = format!("{alias}.consumer.fetch.max.bytes");
        let properties = pair.properties(alias, "far").with(&limit, "3000000");
        pair.speed(&properties, far, near, &format!("{alias}.far"))
    });
    assert!(share > NINE_TENTHS, "{share}");

    // As it comes it asks for more and more at a time, and may take memory for it; where that is set, it keeps to it.
    let grown = pair.run(&pair.properties("grown", "far"), far, near);
    let properties = pair.properties("kept", "far").with("kmirror.buffer.memory", "24m");
    let kept = pair.run(&properties, far, near);
    for (run, mebibytes) in [(&grown, 64), (&kept, 24)] {
        eprintln!("far source, {mebibytes} MiB: {:.1} s, {:.1} MB", run.took, run.peak_mb);
        let limit = f64::from(mebibytes << 20) / MB + PROGRAM_MB;
        assert!(run.peak_mb < limit, "{} MB of {limit}\n{}", run.peak_mb, run.stderr);
        let told = run.stderr.contains("may hold 64 MiB of records from now on");
        assert_eq!(told, mebibytes == 64, "{}", run.stderr);
    }
}

/// A properties file that may be written again under a mirror.
struct File {
    path: PathBuf,
    properties: Properties,
}

impl File {
    fn new(properties: Properties) -> Self {
        let path = properties.write(&scratch("limits").unwrap()).unwrap();
        Self { path, properties }
    }

    fn rewrite(&self, lines: &[(&str, &str)], mirror: &Process) {
        let text = lines.iter().fold(self.properties.clone(), |text, (key, value)| text.with(key, value));
        fs::write(&self.path, text.text()).unwrap();
        mirror.signal(Signal::HUP);
    }
}

#[test]
fn limits_change_while_a_mirror_runs_and_nothing_else_does() {
    let (source, target) = (source(), target());
    load(source, "paced", 2, 30_000);
    let file = File::new(Properties::between(("reload", source), ("target", target), "paced"));
    let limit = "kmirror.max.bytes.per.second";
    fs::write(&file.path, file.properties.clone().with(limit, "1m").text()).unwrap();
    let mirror = kmirror::start(&["run", file.path.to_str().unwrap()]).unwrap();
    let held = || oracle::offsets_held(&target.bootstrap(), "reload.paced").unwrap_or(0);
    eventually("the first records", || held() > 0);
    let (before, began) = (held(), Instant::now());
    thread::sleep(Duration::from_secs(4));
    // A record is 1 KB and a little.
    let (records, seconds) = ((held() - before) as f64, began.elapsed().as_secs_f64());
    eprintln!("limit of 1 MiB/s: {:.2} MB/s", records * 1010.0 / MB / seconds);
    assert!(records / seconds < 1400.0 && records / seconds > 500.0, "{records} in {seconds}");

    // A file that is wrong changes nothing.
    file.rewrite(&[(limit, "many")], &mirror);
    eventually("the complaint", || mirror.stderr().contains("changes nothing"));
    assert!(mirror.stderr().contains("`many`") && mirror.exited().is_none(), "{}", mirror.tail(20));
    // What needs a restart is named; the limit goes at once.
    file.rewrite(&[("reload->target.topics", "paced, other"), ("tasks.max", "7")], &mirror);
    eventually("the warning", || {
        mirror.stderr().contains("before a restart: reload->target.topics, tasks.max")
    });
    eventually("all records", || held() == 30_000);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    stop(&mirror);
    assert_same(source, "paced", target, "reload.paced");
}

/// How fast records came to the source and to the target in the same time: a busy machine's producer is slow, too.
struct Pace {
    came: u64,
    arrived: u64,
    seconds: f64,
}

impl Pace {
    fn over(time: Duration, source: impl Fn() -> u64, target: impl Fn() -> u64) -> Self {
        let (came, arrived, began) = (source(), target(), Instant::now());
        thread::sleep(time);
        let (came, arrived) = (source() - came, target() - arrived);
        Self { came, arrived, seconds: began.elapsed().as_secs_f64() }
    }

    /// Whether so many records arrived a second at least, and nearly all that came.
    fn is_kept(&self, at_least: f64) -> bool {
        let arrived = self.arrived as f64;
        arrived > at_least * self.seconds && arrived > 0.9 * self.came as f64
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [came, arrived] = [self.came, self.arrived].map(|records| records as f64 / self.seconds);
        write!(f, "{arrived:.0} records/s of {came:.0}")
    }
}

/// Of three brokers one is gone for a while, and with it the only replica of a partition.
#[test]
fn partitions_of_other_leaders_keep_their_speed() {
    let mut source = KafkaCluster::start(Version::V3_9_1, Options::three_brokers()).unwrap();
    let bootstrap = source.bootstrap();
    oracle::create_topic(&bootstrap, "gone", 3, 1, &[]).unwrap();
    oracle::produce(&bootstrap, "gone", &["--case", "plain", "--partitions", "3"]).unwrap();
    let properties = Properties::between(("led", &source), ("target", target()), "gone");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    let held = || oracle::offsets_held(&target().bootstrap(), "led.gone").unwrap_or(0);
    eventually("the first records", || held() == 3000);

    let options = ["--case", "plain", "--partitions", "2", "--first", "1000", "--rate", "1000"];
    let arguments = [&[bootstrap.as_str(), "gone"], &options[..]].concat();
    let producer = oracle::start("produce", "produce", &arguments, source.directory()).unwrap();
    eventually("more records", || held() > 5000);
    let leader = oracle::ask("admin", &[&bootstrap, "leader", "gone", "2"]).unwrap();
    let leader = i32::try_from(leader.as_i64().unwrap()).unwrap();
    source.stop_broker(leader).unwrap();
    let others = || oracle::ask("admin", &[&bootstrap, "held", "gone", "0", "1"]).unwrap().as_u64().unwrap();
    let pace = Pace::over(Duration::from_secs(8), others, held);
    eprintln!("with a leader gone: {pace}");
    assert!(pace.is_kept(850.0), "{pace}\n{}", mirror.tail(40));
    producer.stop(SOON).unwrap();
    source.start_broker(leader).unwrap();
    let options = ["--case", "plain", "--partitions", "3", "--seed", "after"];
    oracle::produce(&bootstrap, "gone", &options).unwrap();
    let all = oracle::offsets_held(&bootstrap, "gone").unwrap();
    eventually("all records", || held() == all);
    stop(&mirror);
    assert_same(&source, "gone", target(), "led.gone");
}

/// Few requests a second go over a long way, with one batch of a partition each: what comes meanwhile goes together.
#[test]
fn small_batches_keep_their_pace_over_a_round_trip_of_200_ms() {
    let pair = Pair::start();
    let source = pair.source.bootstrap();
    oracle::create_topic(&source, "little", 1, 1, &[]).unwrap();
    pair.to_target
        .iter()
        .for_each(|link| link.set(Link { delay: Duration::from_millis(100), ..Link::default() }));
    let mirror = kmirror::start_run(&pair.properties("small", "little"), &[]).unwrap();
    let arguments = [&source, "little", "--case", "plain", "--rate", "3000"];
    let producer = oracle::start("produce", "produce", &arguments, pair.source.directory()).unwrap();
    let held = || oracle::offsets_held(&pair.target.bootstrap(), "small.little").unwrap_or(0);
    eventually("the first records", || held() > 1000);
    let pace = Pace::over(Duration::from_secs(6), || oracle::offsets_held(&source, "little").unwrap(), held);
    eprintln!("small batches over 200 ms: {pace}");
    assert!(pace.is_kept(2550.0), "{pace}\n{}", mirror.tail(40));
    producer.stop(SOON).unwrap();
    let all = oracle::offsets_held(&source, "little").unwrap();
    eventually("all records", || held() == all);
    stop(&mirror);
    assert_same(&pair.source, "little", &pair.target, "small.little");
}

/// The same at the target, where what was fetched for the partition would wait. `KMIRROR_LEADER_GONE_SECONDS` says for how
/// long.
#[test]
fn a_target_partition_without_leader_takes_neither_memory_nor_time_from_others() {
    let gone = std::env::var("KMIRROR_LEADER_GONE_SECONDS").map_or(8, |seconds| seconds.parse().unwrap());
    let mut target = KafkaCluster::start(Version::V3_9_1, Options::three_brokers()).unwrap();
    let at = target.bootstrap();
    for (topic, replicas) in [("steady", 3), ("waiting", 1)] {
        create(topic, 2, &[]);
        oracle::create_topic(&at, &format!("held.{topic}"), 2, replicas, &[]).unwrap();
    }
    let properties = Properties::between(("held", source()), ("target", &target), "steady, waiting")
        .with("offset.storage.replication.factor", "3")
        .with("kmirror.buffer.memory", "4194304");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    let producers = ["steady", "waiting"].map(|topic| {
        let bootstrap = source().bootstrap();
        let options = ["--case", "plain", "--partitions", "2", "--rate", "1000"];
        let arguments = [&[bootstrap.as_str(), topic], &options[..]].concat();
        oracle::start("produce", topic, &arguments, target.directory()).unwrap()
    });
    let held = |topic: &str| oracle::offsets_held(&at, &format!("held.{topic}")).unwrap_or(0);
    eventually("records of both", || held("steady").min(held("waiting")) > 2000);

    let leader = oracle::ask("admin", &[&at, "leader", "held.waiting", "0"]).unwrap();
    let leader = i32::try_from(leader.as_i64().unwrap()).unwrap();
    target.stop_broker(leader).unwrap();
    let came = || oracle::offsets_held(&source().bootstrap(), "steady").unwrap();
    let pace = Pace::over(Duration::from_secs(gone), came, || held("steady"));
    let peak = peak(&mirror).unwrap();
    eprintln!("a target leader gone for {gone} s: {pace}, {peak:.1} MB");
    assert!(pace.is_kept(850.0), "{pace}\n{}", mirror.tail(40));
    assert!(peak < 4.2 + PROGRAM_MB, "{peak} MB");
    target.start_broker(leader).unwrap();
    for (producer, topic) in producers.iter().zip(["steady", "waiting"]) {
        producer.stop(SOON).unwrap();
        let all = oracle::offsets_held(&source().bootstrap(), topic).unwrap();
        eventually("all records", || held(topic) == all);
    }
    stop(&mirror);
    for topic in ["steady", "waiting"] {
        assert_same(source(), topic, &target, &format!("held.{topic}"));
    }
}

/// Thousands of partitions of which ten are written to. `KMIRROR_IDLE_PARTITIONS` says how many.
#[test]
fn idle_partitions_cost_nothing() {
    let idle: i32 = std::env::var("KMIRROR_IDLE_PARTITIONS").map_or(500, |count| count.parse().unwrap());
    let began = Instant::now();
    let one =
        || KafkaCluster::start(Version::V3_9_1, Options { heap_mb: 1024, ..Options::default() }).unwrap();
    let (source, target) = (one(), one());
    let (from, to) = (source.bootstrap(), target.bootstrap());
    let topics: Vec<String> = (0..idle.div_euclid(500)).map(|number| format!("idle-{number}")).collect();
    for topic in &topics {
        oracle::create_topic(&from, topic, 500, 1, &[]).unwrap();
    }
    oracle::create_topic(&from, "busy", 10, 1, &[]).unwrap();
    let made = began.elapsed();
    let properties = Properties::between(("many", &source), ("target", &target), "idle-.*, busy");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    mirror.wait_until("the start", LATE * 4, || mirror.stderr().contains("mirroring")).unwrap();
    let started = mirror.started().elapsed();
    let options = ["--case", "plain", "--partitions", "10", "--rate", "5000"];
    let arguments = [&[from.as_str(), "busy"], &options[..]].concat();
    let producer = oracle::start("produce", "produce", &arguments, source.directory()).unwrap();
    let held = || oracle::offsets_held(&to, "many.busy").unwrap_or(0);
    eventually("the first records", || held() > 1000);
    let cpu = cpu_of(&mirror);
    let came = || oracle::offsets_held(&from, "busy").unwrap();
    let pace = Pace::over(Duration::from_secs(6), came, held);
    let cpu = (cpu_of(&mirror) - cpu) / pace.seconds;
    let peak = peak(&mirror).unwrap();
    eprintln!(
        "{idle} idle partitions: made in {:.1} s, mirror started in {:.1} s, then {pace} with {cpu:.2} CPU s a second, \
         peak {peak:.1} MB",
        made.as_secs_f64(),
        started.as_secs_f64(),
    );
    assert!(pace.is_kept(4000.0), "{pace}\n{}", mirror.tail(40));
    assert!(cpu < 0.3, "{cpu}");
    // Beside the budget each partition has its state.
    assert!(peak < 25.2 + PROGRAM_MB + 0.006 * f64::from(idle), "{peak}");
    producer.stop(SOON).unwrap();
    let all = oracle::offsets_held(&from, "busy").unwrap();
    eventually("all records", || held() == all);
    stop(&mirror);
    assert_same(&source, "busy", &target, "many.busy");
}

/// CPU seconds a process has used, to a hundredth.
fn cpu_of(process: &Process) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap();
    let behind = stat.rsplit_once(") ").unwrap().1;
    let fields: Vec<&str> = behind.split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}
