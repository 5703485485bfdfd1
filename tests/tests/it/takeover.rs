//! kmirror goes on where the real MirrorMaker 2 stopped, and the real MirrorMaker 2 where kmirror stopped.

use kmirror_tests::cache::scratch;
use kmirror_tests::java::mirror_maker_2;
use kmirror_tests::kafka::{KafkaCluster, Version, short_lived_flags};
use kmirror_tests::kmirror::Properties;
use kmirror_tests::oracle;

use crate::fixture::{source_of, sync, target_of, verify};
use crate::groups;
use crate::mm2_suite::{Positions, checkpoints, commit, committed, group};

/// Records of a round, and those of one partition.
const RECORDS: u64 = 6000;
const ROUND: i64 = 2000;
const PARTITIONS: i32 = 3;
const TIME_FOR_JAVA: std::time::Duration = std::time::Duration::from_secs(120);

fn produce(source: &KafkaCluster, topic: &str, round: i64, transactional: bool) {
    let first = (round * ROUND).to_string();
    let options =
        ["--case", "plain", "--partitions", "3", "--records", "2000", "--first", &first, "--codec", "lz4"];
    let more: &[&str] = if transactional { &["--transactional", "commit"] } else { &[] };
    oracle::produce(&source.bootstrap(), topic, &[&options[..], more].concat()).unwrap();
}

/// Runs the real MirrorMaker 2 until the target holds `offsets` and `done`, then stops it cleanly.
fn run_mirror_maker(
    version: Version,
    properties: &Properties,
    target: &KafkaCluster,
    topic: &str,
    offsets: u64,
    done: impl Fn() -> bool,
) {
    let directory = scratch("mm2").unwrap();
    let file = properties.write(&directory).unwrap();
    let mirror_maker =
        mirror_maker_2(version, &file, &short_lived_flags(version, 256).unwrap(), &directory).unwrap();
    if let Err(error) = oracle::wait_for_offsets(&target.bootstrap(), topic, offsets, TIME_FOR_JAVA) {
        panic!("{error:#}\n{}", mirror_maker.tail(60));
    }
    mirror_maker.wait_until("checkpoints that went on", TIME_FOR_JAVA, done).unwrap();
    // Connect writes positions at a clean stop too, but the stop is only as clean as its producer.
    std::thread::sleep(std::time::Duration::from_secs(2));
    mirror_maker.stop(TIME_FOR_JAVA).unwrap();
}

/// One flow that both programs run in turn, and a group that both look after.
struct Relay {
    source: &'static KafkaCluster,
    target: &'static KafkaCluster,
    alias: String,
    topic: String,
    mirrored: String,
    properties: Properties,
    /// Each round is a transaction, whose marker takes an offset at the source only.
    transactional: bool,
    /// Where the group stood at the target after the last run, in each partition.
    stood: Positions,
}

impl Relay {
    fn new(version: Version, topic: &str, transactional: bool) -> Self {
        let (source, target) = (source_of(version), target_of(version));
        oracle::create_topic(&source.bootstrap(), topic, PARTITIONS, 1, &[]).unwrap();
        let alias = format!("shared-{topic}");
        let properties = Properties::between((&alias, source), ("target", target), topic)
            .with("groups", &format!("{}.*", group(&alias)))
            .with("emit.checkpoints.interval.seconds", "1")
            .with("sync.group.offsets.enabled", "true")
            .with("sync.group.offsets.interval.seconds", "1");
        let (topic, mirrored) = (topic.to_owned(), format!("{alias}.{topic}"));
        Self { source, target, alias, topic, mirrored, properties, transactional, stood: Positions::new() }
    }

    /// What a source offset is at the target: nothing but the rounds' records is in either log.
    fn exact(&self, source_offset: i64) -> i64 {
        let marker = i64::from(self.transactional);
        source_offset - source_offset / (ROUND + marker) * marker
    }

    /// Produces once more, and has the group read all but three records of each partition. Where it stands then, at the
    /// target.
    fn produce(&self, round: i64) -> i64 {
        produce(self.source, &self.topic, round, self.transactional);
        let at = ROUND * (round + 1) - 3;
        let at_source = at + i64::from(self.transactional) * round;
        let positions: Vec<(i32, i64)> = (0..PARTITIONS).map(|one| (one, at_source)).collect();
        commit(self.source, &group(&self.alias), &self.topic, &positions);
        at
    }

    fn mirror_maker(&mut self, version: Version, round: i64) {
        let at = self.produce(round);
        // MirrorMaker 2 comes close to where the group stands, and how close is up to it.
        let went_on = || (0..PARTITIONS).all(|one| self.last_checkpoint(one) > Some(ROUND * round));
        let offsets = RECORDS * (round.unsigned_abs() + 1);
        run_mirror_maker(version, &self.properties, self.target, &self.mirrored, offsets, went_on);
        self.look(round, |stands| stands > ROUND * round && stands <= at);
    }

    fn kmirror(&mut self, round: i64) {
        let at = self.produce(round);
        sync(&self.properties);
        self.look(round, |stands| stands == at);
    }

    /// Has a group come late, that stands in what MirrorMaker 2 mirrored and in what kmirror will mirror.
    fn come_late(&self) {
        commit(self.source, &self.late(), &self.topic, &[(0, 1000), (1, 2500), (2, 4000)]);
    }

    fn late(&self) -> String {
        format!("{}-late", group(&self.alias))
    }

    /// What MirrorMaker 2 mirrored is known as well as its offset syncs tell, what kmirror mirrored exactly.
    fn look_at_late(&self) {
        let told = groups::report("groups", &self.properties, &[], 0);
        let told = told["flows"][0]["groups"].as_array().unwrap().iter();
        let late = told.into_iter().find(|one| one["group"] == self.late()).unwrap();
        let positions = late["positions"].as_array().unwrap();
        let known: Vec<&str> = positions.iter().map(|one| one["known"].as_str().unwrap()).collect();
        assert_eq!(known, ["as-mirrormaker2", "exact", "exact"], "{positions:#?}");
        let stands = committed(self.target, &self.late(), &self.mirrored);
        assert_eq!(stands[&0], self.as_mirror_maker_knows(1000), "{stands:?}");
        assert_eq!((stands[&1], stands[&2]), (self.exact(2500), self.exact(4000)));
    }

    /// Where a position of partition 0 is by the nearest of MirrorMaker 2's syncs. How near that is depends on how fast
    /// it could write them.
    fn as_mirror_maker_knows(&self, at: i64) -> i64 {
        let topic = "mm2-offset-syncs.target.internal";
        let syncs = oracle::ask("mm2", &[&self.source.bootstrap(), "syncs", topic]).unwrap();
        let of_partition = syncs.as_array().unwrap().iter().filter(|one| one[0] == self.topic && one[1] == 0);
        let pairs = of_partition.map(|one| (one[2].as_i64().unwrap(), one[3].as_i64().unwrap()));
        let (upstream, downstream) = pairs.filter(|one| one.0 <= at).max().unwrap();
        assert!(downstream > 0, "only the first record was synced: nothing to look at");
        downstream + i64::from(upstream < at)
    }

    fn last_checkpoint(&self, partition: i32) -> Option<i64> {
        checkpoints(self.target, &self.alias, &self.mirrored, partition).last().map(|one| one.1)
    }

    /// Every record is there exactly once, no checkpoint went back or passes its record, and the group stands as it must.
    fn look(&mut self, round: i64, as_it_must: impl Fn(i64) -> bool) {
        let records = RECORDS * (round.unsigned_abs() + 1);
        verify((self.source, &self.topic), (self.target, &self.mirrored)).assert_exact(records);
        let stands = committed(self.target, &group(&self.alias), &self.mirrored);
        for partition in 0..PARTITIONS {
            let checkpoints = checkpoints(self.target, &self.alias, &self.mirrored, partition);
            assert!(checkpoints.is_sorted_by_key(|one| one.1), "round {round}: {checkpoints:?}");
            let sound = checkpoints.iter().all(|one| one.1 <= self.exact(one.0));
            assert!(sound, "round {round}: {checkpoints:?}");
            assert!(as_it_must(stands[&partition]), "round {round}: {stands:?}");
            assert!(self.stood.get(&partition) <= stands.get(&partition), "round {round}: {stands:?}");
        }
        self.stood = stands;
    }
}

/// MirrorMaker 2, kmirror, MirrorMaker 2, kmirror: every record exactly once, and no position goes back.
fn hand_over(version: Version, topic: &str, transactional: bool) {
    let mut relay = Relay::new(version, topic, transactional);
    relay.mirror_maker(version, 0);
    relay.come_late();
    relay.kmirror(1);
    relay.look_at_late();
    relay.mirror_maker(version, 2);
    relay.kmirror(3);
}

#[test]
fn from_and_to_mirror_maker_3_9_1() {
    hand_over(Version::V3_9_1, "relay-old", false);
}

#[test]
fn from_and_to_mirror_maker_4_3_0() {
    hand_over(Version::V4_3_0, "relay-new", true);
}
