//! Several processes share one flow: who has what as they come, go, die and are paused; and MirrorMaker 2 and kmirror on
//! one flow keep each other out.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use kmirror_tests::cache::scratch;
use kmirror_tests::java::mirror_maker_2;
use kmirror_tests::kafka::{KafkaCluster, Version, short_lived_flags};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::{Process, Signal};
use serde_json::Value;

use crate::fixture::{SOON, eventually, many_processes, source_of, stop, target_of, verify};

const PARTITIONS: usize = 12;
/// The shortest that brokers allow by default.
const SESSION: Duration = Duration::from_secs(6);
/// What looking may add to a time that is promised: a process is started for each look.
const LOOK: Duration = Duration::from_secs(1);

/// A flow with processes that come and go.
struct Shared {
    source: &'static KafkaCluster,
    target: &'static KafkaCluster,
    topic: String,
    alias: String,
    file: String,
    properties: Properties,
}

/// What `kmirror status` tells. Members are called by their instance's name, or else by their id.
#[derive(Debug, Clone)]
struct Standing {
    /// Partitions of each member.
    members: BTreeMap<String, u64>,
    leaders: usize,
    owners: BTreeMap<u64, String>,
    progress: BTreeMap<u64, i64>,
}

impl Shared {
    fn new(versions: (Version, Version), topic: &str) -> Self {
        let (source, target) = (source_of(versions.0), target_of(versions.1));
        let alias = format!("shared-{topic}");
        oracle::create_topic(&source.bootstrap(), topic, 12, 1, &[]).unwrap();
        let properties = Properties::between((&alias, source), ("target", target), topic)
            .with("offset.flush.interval.ms", "200")
            .with("session.timeout.ms", "6000");
        let file = properties.write(&scratch(topic).unwrap()).unwrap().display().to_string();
        Self { source, target, topic: topic.to_owned(), alias, file, properties }
    }

    fn start(&self) -> Process {
        kmirror::start_run(&self.properties, &[]).unwrap()
    }

    /// One with a name that is its own.
    fn start_as(&self, instance: &str) -> Process {
        kmirror::start_run(&self.properties.clone().with("kmirror.group.instance.id", instance), &[]).unwrap()
    }

    fn producer(&self, rate: &str) -> Process {
        let bootstrap = self.source.bootstrap();
        let options = ["--case", "plain", "--partitions", "12", "--rate", rate, "--codec", "lz4"];
        let arguments = [&[bootstrap.as_str(), self.topic.as_str()], &options[..]].concat();
        oracle::start("produce", &self.topic, &arguments, &scratch(&self.topic).unwrap()).unwrap()
    }

    fn look(&self) -> Standing {
        let told = kmirror::finish(&["status", &self.file, "--json"], SOON).unwrap();
        let value: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{}", told.stderr));
        let flow = &value["flows"][0];
        let members = flow["members"].as_array().unwrap();
        let partitions = flow["partitions"].as_array().unwrap();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let number = |one: &Value| one["partition"].as_u64().unwrap();
        let name =
            |one: &Value| text(&one["instance_id"]).unwrap_or_else(|| text(&one["member_id"]).unwrap());
        let names: BTreeMap<String, String> =
            members.iter().map(|one| (text(&one["member_id"]).unwrap(), name(one))).collect();
        let owner = |one: &Value| names.get(one["owner"].as_str()?).cloned();
        Standing {
            members: members.iter().map(|one| (name(one), one["partitions"].as_u64().unwrap())).collect(),
            leaders: members.iter().filter(|one| one["leads"] == true).count(),
            owners: partitions.iter().filter_map(|one| Some((number(one), owner(one)?))).collect(),
            progress: partitions
                .iter()
                .filter_map(|one| Some((number(one), one["progress"].as_i64()?)))
                .collect(),
        }
    }

    /// Waits until so many processes have shared everything out, about evenly: bytes count, not partitions.
    fn settled(&self, members: usize, what: &str) -> Standing {
        let deadline = Instant::now() + SOON;
        loop {
            let now = self.look();
            let even = (PARTITIONS / members) as u64;
            let even = now.members.values().all(|count| count.abs_diff(even) <= 1);
            if now.members.len() == members && even && now.owners.len() == PARTITIONS {
                assert_eq!(now.leaders, 1, "{now:?}");
                return now;
            }
            assert!(Instant::now() < deadline, "{what}: {now:?}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until these partitions are mirrored further than before, and says how long that took.
    fn went_on(&self, partitions: &BTreeSet<u64>, before: &Standing, since: Instant) -> Duration {
        loop {
            let now = self.look();
            if partitions.iter().all(|one| now.progress[one] > before.progress[one]) {
                return since.elapsed();
            }
            assert!(since.elapsed() < SOON, "{partitions:?} stand still: {now:?}");
        }
    }
}

impl Standing {
    fn of(&self, member: &str) -> BTreeSet<u64> {
        self.owners.iter().filter(|(_, owner)| *owner == member).map(|(partition, _)| *partition).collect()
    }

    /// Those that somebody else has now.
    fn moved(&self, then: &Self) -> BTreeSet<u64> {
        let other = |(partition, owner): &(&u64, &String)| then.owners.get(*partition) != Some(owner);
        self.owners.iter().filter(other).map(|(partition, _)| *partition).collect()
    }

    fn newcomer(&self, then: &Self) -> String {
        self.members.keys().find(|id| !then.members.contains_key(*id)).unwrap().clone()
    }
}

fn come_and_go(versions: (Version, Version), topic: &str) {
    let shared = Shared::new(versions, topic);
    let producer = shared.producer("2000");
    let a = shared.start();
    let one = shared.settled(1, "one has all");
    let b = shared.start();
    let two = shared.settled(2, "two share");
    let second = two.newcomer(&one);
    assert_eq!(two.moved(&one), two.of(&second), "only what must move does: {two:?}");
    let c = shared.start();
    let three = shared.settled(3, "three share");
    let third = three.newcomer(&two);
    assert_eq!(three.moved(&two), three.of(&third), "only what must move does: {three:?}");

    // One is killed: its partitions go on elsewhere, and only they move.
    let orphans = three.of(&third);
    let before = shared.look();
    let killed = Instant::now();
    c.kill().unwrap();
    let took = shared.went_on(&orphans, &before, killed);
    assert!(took < SESSION + Duration::from_secs(2) + LOOK, "after {took:?}\n{}", a.tail(20));
    let after = shared.settled(2, "two are left");
    assert_eq!(after.moved(&three), orphans);

    // One is stopped: the other goes on with all of it at once.
    let left = after.of(&second);
    stop(&b);
    let (before, stopped) = (shared.look(), Instant::now());
    let took = shared.went_on(&left, &before, stopped);
    assert!(took < Duration::from_secs(1) + LOOK, "after {took:?}\n{}", a.tail(20));
    let alone = shared.settled(1, "one is left");
    assert_eq!(alone.moved(&after), left);

    // One is paused for longer than its session and finds everything taken.
    let d = shared.start();
    let again = shared.settled(2, "two share again");
    let fourth = again.newcomer(&alone);
    d.signal(Signal::STOP);
    let (before, paused) = (shared.look(), Instant::now());
    let took = shared.went_on(&again.of(&fourth), &before, paused);
    assert!(took < SESSION + Duration::from_secs(2) + LOOK, "after {took:?}\n{}", a.tail(20));
    thread::sleep((SESSION + Duration::from_secs(3)).saturating_sub(paused.elapsed()));
    d.signal(Signal::CONT);
    d.wait_until("it is told that it was given up", SOON, || d.stderr().contains("gave this process up"))
        .unwrap();
    shared.settled(2, "the one that woke takes part again");

    let exit = producer.stop(SOON).unwrap();
    assert!(exit.status.success(), "{}", producer.tail(20));
    let held = oracle::offsets_held(&shared.source.bootstrap(), topic).unwrap();
    let mirrored = format!("{}.{topic}", shared.alias);
    oracle::wait_for_offsets(&shared.target.bootstrap(), &mirrored, held, SOON).unwrap();
    stop(&d);
    stop(&a);
    verify((shared.source, topic), (shared.target, &mirrored)).assert_exact(20_000);
    let nobody = shared.look();
    assert!(nobody.members.is_empty() && nobody.progress.len() == PARTITIONS, "{nobody:?}");
}

#[test]
fn processes_come_and_go_on_4_3_0() {
    come_and_go((Version::V3_9_1, Version::V4_3_0), "share-new");
}

#[test]
fn processes_come_and_go_on_3_9_1() {
    come_and_go((Version::V4_3_0, Version::V3_9_1), "share-old");
}

#[test]
fn names_outlive_restarts_and_more_than_tasks_max_wait() {
    let mut shared = Shared::new((Version::V3_9_1, Version::V4_3_0), "share-named");
    shared.properties = shared.properties.with("tasks.max", "2");
    // So few that their measured rates, which a busy machine disturbs, weigh less than the partitions do.
    let producer = shared.producer("240");
    let a = shared.start_as("a");
    shared.settled(1, "one has all");
    let b = shared.start_as("b");
    // Loads that are not known yet are levelled later; until then they would move.
    eventually("two share alike", || {
        shared.look().members.values().all(|count| *count == PARTITIONS as u64 / 2)
    });
    let two = shared.settled(2, "two share");
    let c = shared.start_as("c");
    eventually("the third waits", || shared.look().members.get("c") == Some(&0));
    assert_eq!(shared.look().owners, two.owners);

    // A name that comes back within its session has what it had, and nobody else meanwhile.
    stop(&b);
    thread::sleep(Duration::from_secs(2));
    let gone = shared.look();
    assert_eq!(gone.owners, two.owners);
    let b = shared.start_as("b");
    shared.went_on(&two.of("b"), &gone, Instant::now());
    assert_eq!(shared.look().owners, two.owners);

    // One that does not leaves its place to who waits.
    let (before, killed) = (shared.look(), Instant::now());
    b.kill().unwrap();
    let took = shared.went_on(&two.of("b"), &before, killed);
    assert!(took < SESSION + Duration::from_secs(2) + LOOK, "after {took:?}\n{}", a.tail(20));
    let after = shared.settled(2, "the third has a place");
    assert_eq!((after.of("a"), after.of("c")), (two.of("a"), two.of("b")));
    assert!(producer.stop(SOON).unwrap().status.success(), "{}", producer.tail(20));
    stop(&c);
    stop(&a);
}

#[test]
fn mirror_maker_and_kmirror_keep_each_other_out() {
    let _alone = many_processes();
    let version = Version::V3_9_1;
    let shared = Shared::new((version, version), "share-mm2");
    let (topic, mirrored) = (shared.topic.as_str(), format!("{}.{}", shared.alias, shared.topic));
    let (from, to) = (shared.source.bootstrap(), shared.target.bootstrap());
    let produce = |first: &str| {
        let options = ["--case", "plain", "--partitions", "12", "--records", "100", "--first", first];
        oracle::produce(&from, topic, &options).unwrap();
    };
    let java = |name: &str| {
        let directory = scratch(name).unwrap();
        let file = shared.properties.write(&directory).unwrap();
        mirror_maker_2(version, &file, &short_lived_flags(version, 256).unwrap(), &directory).unwrap()
    };
    let exact = || verify((shared.source, topic), (shared.target, &mirrored)).assert_exact(1200);

    produce("0");
    let mirror_maker = java("mm2-first");
    let mirrored_by_java = || oracle::offsets_held(&to, &mirrored).is_ok_and(|held| held == 1200);
    mirror_maker.wait_until("its copy", Duration::from_secs(120), mirrored_by_java).unwrap();
    let ours = shared.start();
    let told = format!("group {}-mm2 on cluster target is in use by a MirrorMaker 2", shared.alias);
    ours.wait_until("it is told who is there", SOON, || ours.stderr().contains(&told)).unwrap();
    produce("100");
    oracle::wait_for_offsets(&to, &mirrored, 2400, SOON).unwrap();
    thread::sleep(Duration::from_secs(2));
    exact();
    assert_eq!(ours.stderr().matches(&told).count(), 1, "said once\n{}", ours.tail(40));

    mirror_maker.stop(Duration::from_secs(60)).unwrap();
    produce("200");
    oracle::wait_for_offsets(&to, &mirrored, 3600, SOON).unwrap();
    let late = java("mm2-second");
    late.wait_until("it is kept out", Duration::from_secs(60), || {
        (late.stdout() + &late.stderr()).contains("InconsistentGroupProtocolException")
    })
    .unwrap();
    produce("300");
    oracle::wait_for_offsets(&to, &mirrored, 4800, SOON).unwrap();
    thread::sleep(Duration::from_secs(2));
    exact();
    late.kill().unwrap();
    stop(&ours);
}
