//! What happens by itself: records are written, logs expire, leaders and brokers go, links are cut, mirrors are killed.

use std::time::Duration;

use kmirror_engine::flow::event::Side;
use kmirror_engine::status::PartitionState;
use kmirror_protocol::client::NodeId;
use kmirror_sandbox::Still;

use crate::log::Wanted;
use crate::mirror::{Mirror, leader};
use crate::world::{SOURCE_TOPIC, TARGET_TOPIC, What, World};

/// Producers of transactions at the source.
const PRODUCERS: [i64; 3] = [1, 2, 3];
/// A target may forget a producer that was silent for so long; brokers wait a day.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
/// Nothing is written to a partition that the mirror is so many offsets behind in.
const BEHIND_MAX: i64 = 4_000;

impl World {
    /// One turn.
    pub(crate) fn nature(&mut self) {
        if self.calm {
            self.restart_what_stopped();
            return self.later(Duration::from_secs(1), What::Nature);
        }
        let pause = self.dice.ms(1, 60);
        if self.dice.chance(self.weather.silences) {
            self.silence();
        } else {
            self.later(pause, What::Nature);
        }
        if self.dice.chance(600) {
            let partition = self.any_partition();
            for _ in 0..self.dice.between(1, 5) {
                self.write(partition);
            }
        }
        self.change_clusters();
        self.change_mirrors();
    }

    fn any_partition(&mut self) -> i32 {
        i32::try_from(self.dice.place(self.logs.len())).unwrap()
    }

    fn log(&mut self, partition: i32) -> &mut crate::log::Log {
        &mut self.logs[usize::try_from(partition).unwrap()]
    }

    fn write(&mut self, partition: i32) {
        let (leader, leader_epoch) = self.source.direct().leader(SOURCE_TOPIC, partition).unwrap();
        let end = self.source.direct().end_offset(SOURCE_TOPIC, partition).unwrap();
        if leader.is_none() || end - self.acknowledged(partition) > BEHIND_MAX {
            return;
        }
        let transactional = self.dice.chance(self.weather.transactions);
        let producer = transactional.then(|| self.dice.pick(&PRODUCERS));
        let wanted = Wanted {
            partition,
            base_offset: end,
            leader_epoch,
            value_bytes: self.weather.value_bytes,
            holes: self.dice.chance(self.weather.holes),
            producer,
        };
        let batch = self.logs[usize::try_from(partition).unwrap()].write(&mut self.dice, &wanted);
        self.source.direct().store_verbatim(SOURCE_TOPIC, partition, &batch).unwrap();
        if transactional && self.dice.chance(300) {
            let (producer, commits) = (self.dice.pick(&PRODUCERS), self.dice.chance(600));
            self.end_transaction(partition, producer, commits);
        }
    }

    /// How far the partition is mirrored, as far as that is known.
    fn acknowledged(&self, partition: i32) -> i64 {
        let of_mirror = self.mirrors.values().flat_map(|one| one.status.partitions());
        let here = of_mirror.filter(|one| one.source.partition == partition);
        here.map(|one| one.acknowledged_next().0).max().unwrap_or(0)
    }

    fn end_transaction(&mut self, partition: i32, producer: i64, commits: bool) {
        if let Some(commits) = self.log(partition).decide(producer, commits) {
            let identity = (producer, 0);
            let marker = self.source.end_transaction(SOURCE_TOPIC, partition, identity, commits).unwrap();
            self.log(partition).ended(producer, marker, commits);
        }
    }

    fn change_clusters(&mut self) {
        let weather = self.weather.clone();
        for side in [Side::Source, Side::Target] {
            if self.dice.chance(weather.elections) {
                let (partition, broker) = (self.any_partition(), self.any_broker());
                let (cluster, topic) = self.cluster(side);
                let _ = cluster.direct().move_leader(topic, partition, broker);
                self.count("elections");
            }
            if self.dice.chance(weather.broker_stops) {
                let broker = self.any_broker();
                self.stop_broker(side, broker);
            } else if self.dice.chance(50) {
                let broker = self.any_broker();
                self.start_broker(side, broker);
            }
        }
        if self.dice.chance(weather.expiry) {
            let partition = self.any_partition();
            self.expire(partition);
        }
        if self.dice.chance(weather.source_cut_off) {
            let partition = self.any_partition();
            self.cut_off_source(partition);
        }
        if self.dice.chance(weather.target_cut_off) {
            let partition = self.any_partition();
            self.cut_off_target(partition);
        }
        if self.dice.chance(weather.growth) && self.logs.len() < 6 {
            self.grow();
        }
    }

    fn any_broker(&mut self) -> i32 {
        let brokers = u64::from(self.weather.brokers);
        self.dice.between(1, brokers) as i32
    }

    fn cluster(&self, side: Side) -> (&Still, &'static str) {
        match side {
            Side::Source => (&self.source, SOURCE_TOPIC),
            Side::Target => (&self.target, TARGET_TOPIC),
        }
    }

    fn stop_broker(&mut self, side: Side, broker: i32) {
        self.count("broker stops");
        self.cluster(side).0.stop_broker(broker);
        self.break_connections(side, broker);
    }

    fn break_connections(&mut self, side: Side, broker: i32) {
        let to_it = |one: &crate::wire::Connection| one.side == side && one.node.0 == broker && !one.closed;
        let broken: Vec<u64> =
            self.connections.iter().filter(|(_, one)| to_it(one)).map(|(id, _)| *id).collect();
        broken.into_iter().for_each(|id| self.cut(id));
    }

    fn start_broker(&mut self, side: Side, broker: i32) {
        self.cluster(side).0.start_broker(broker);
    }

    /// Retention, up to anywhere.
    fn expire(&mut self, partition: i32) {
        let source = self.source.direct();
        let (start, end) = (
            source.start_offset(SOURCE_TOPIC, partition).unwrap(),
            source.end_offset(SOURCE_TOPIC, partition).unwrap(),
        );
        let to = start + self.dice.below((end - start + 1).cast_unsigned()).cast_signed();
        self.source.direct().advance_start(SOURCE_TOPIC, partition, to).unwrap();
        self.log(partition).expire(to);
        self.count("expiries");
        self.say(|| format!("partition {partition} begins at {to} now"));
    }

    /// An unclean election: some of the last batches are gone.
    fn cut_off_source(&mut self, partition: i32) {
        let source = self.source.direct();
        let end = source.end_offset(SOURCE_TOPIC, partition).unwrap();
        let start = source.start_offset(SOURCE_TOPIC, partition).unwrap();
        let at = (end - self.dice.between(1, 60).cast_signed()).max(start);
        let broker = self.any_broker();
        let before = leader(&self.source, SOURCE_TOPIC, partition);
        let end = self.source.direct().truncate(SOURCE_TOPIC, partition, at).unwrap();
        let _ = self.source.direct().move_leader(SOURCE_TOPIC, partition, broker);
        // A broker that leads again with less than before was away meanwhile.
        if before == Some(broker) {
            self.break_connections(Side::Source, broker);
        }
        self.log(partition).cut_off(end);
        self.count("source logs cut off");
        self.say(|| format!("partition {partition} of the source was cut off at {end}"));
    }

    fn cut_off_target(&mut self, partition: i32) {
        let target = self.target.direct();
        let end = target.end_offset(TARGET_TOPIC, partition).unwrap();
        let at = (end - self.dice.between(1, 60).cast_signed()).max(0);
        let end = target.truncate(TARGET_TOPIC, partition, at).unwrap();
        let index = usize::try_from(partition).unwrap();
        for number in self.held[index].recount(&self.target, partition) {
            self.logs[index].records[number].gone = true;
        }
        self.was_cut_off = true;
        self.count("target logs cut off");
        self.say(|| format!("partition {partition} of the target was cut off at {end}"));
    }

    fn grow(&mut self) {
        let count = i32::try_from(self.logs.len()).unwrap();
        // Replicas are spread over the brokers that run.
        let mut brokers = (1..=i32::from(self.weather.brokers)).map(NodeId);
        if !brokers.all(|node| self.is_up(Side::Source, node) && self.is_up(Side::Target, node)) {
            return;
        }
        let grown = self.source.direct().grow_topic(SOURCE_TOPIC, count + 1).is_ok()
            && self.target.direct().grow_topic(TARGET_TOPIC, count + 1).is_ok();
        if !grown {
            return;
        }
        self.add_partitions(count + 1);
        self.count("growth");
        let lives: Vec<u64> = self.mirrors.keys().copied().collect();
        for life in lives {
            let identity = self.mirrors[&life].identity;
            self.assign(life, identity, count..count + 1);
        }
    }

    /// Nothing is written for a while, in which the target may forget who wrote before.
    fn silence(&mut self) {
        self.later(FORGOTTEN_AFTER * 2, What::Nature);
        for (partition, appended_at) in (0..).zip(&self.appended_at) {
            if self.now > *appended_at + FORGOTTEN_AFTER && self.dice.chance(500) {
                self.target.direct().forget_producers(TARGET_TOPIC, partition).unwrap();
                *self.figures.entry("forgotten producers").or_default() += 1;
            }
        }
    }

    fn change_mirrors(&mut self) {
        let open: Vec<u64> =
            self.connections.iter().filter(|(_, one)| !one.closed).map(|(id, _)| *id).collect();
        if !open.is_empty() && self.dice.chance(self.weather.cuts) {
            let id = self.dice.pick(&open);
            self.cut(id);
        }
        let Some(life) = self.mirrors.keys().next().copied() else { return };
        if self.restart_what_stopped() {
            return;
        }
        let late = self.mirrors[&life].stops.is_some_and(|until| until < self.now);
        if late || self.dice.chance(self.weather.crashes) {
            if late || self.dice.chance(600) { self.kill(life) } else { self.stop(life) }
        }
    }

    /// A person starts a mirror again when it says that a partition stopped.
    fn restart_what_stopped(&mut self) -> bool {
        let stopped = |mirror: &Mirror| {
            mirror.status.partitions().iter().any(|one| one.state() == PartitionState::Stopped)
        };
        let life = self.mirrors.iter().find(|(_, mirror)| stopped(mirror)).map(|(life, _)| *life);
        life.into_iter().for_each(|life| self.kill(life));
        life.is_some()
    }

    /// Everything is mended, and nothing goes wrong any more.
    pub(crate) fn calm_down(&mut self) {
        self.calm = true;
        self.weather.clear();
        for broker in 1..=i32::from(self.weather.brokers) {
            self.source.start_broker(broker);
            self.target.start_broker(broker);
        }
        for partition in 0..i32::try_from(self.logs.len()).unwrap() {
            for producer in PRODUCERS {
                self.end_transaction(partition, producer, true);
            }
        }
        if let Some((life, mirror)) = self.mirrors.first_key_value()
            && mirror.stops.is_some()
        {
            self.kill(*life);
        }
    }
}
