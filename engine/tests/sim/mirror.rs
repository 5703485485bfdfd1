//! One process: a lane, and what its driver does for it, on the world's clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kmirror_engine::flow::event::{Action, Begin, Described, Event, Note, Question, Recount, Side, Slot};
use kmirror_engine::flow::lane::Lane;
use kmirror_engine::flow::partition::{Assignment, Former};
use kmirror_engine::flow::position::{self, LogRange};
use kmirror_engine::flow::rewrite::TargetRules;
use kmirror_engine::ids::{Identity, ProducerMark, SourceOffset, SourcePartition, TargetOffset};
use kmirror_engine::offsets::map::OffsetMap;
use kmirror_engine::offsets::stretch::Settled;
use kmirror_engine::status::{FlowStatus, PartitionStatus};
use kmirror_protocol::client::{Metadata, NodeId, Partition, Topic};
use kmirror_protocol::wire::error::ErrorCode;
use kmirror_protocol::wire::fetch::EpochEnd;
use kmirror_sandbox::Still;
use kmirror_sandbox::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kmirror_sandbox::messages::{
    BrokerId, DescribeProducersRequest, InitProducerIdRequest, OffsetForLeaderEpochRequest, TopicName,
    describe_producers_request,
};

use crate::world::{SOURCE_TOPIC, TARGET_TOPIC, What, World};

/// How often a mirror writes down how far it is.
const FLUSH: Duration = Duration::from_secs(2);
/// How long a mirror that is to stop waits for what is in flight.
const DRAIN: Duration = Duration::from_secs(30);

/// A question to a cluster beside the data path.
pub(crate) enum Inquiry {
    List(Slot, SourcePartition),
    EpochEnd(Slot, SourcePartition, i32),
    Describe { question: Question, partition: i32, identity: Identity },
    Recount(Question, Recount),
    Renew { question: Question, raised: Option<Identity>, claim: Option<(SourcePartition, SourceOffset)> },
    Refresh(Side),
}

/// What is written down of a partition.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) partition: i32,
    pub(crate) next: SourceOffset,
    pub(crate) leader_epoch: Option<i32>,
    pub(crate) mark: Option<ProducerMark>,
    /// Written down before it.
    pub(crate) map: Option<OffsetMap>,
}

pub(crate) struct Mirror {
    pub(crate) lane: Lane,
    pub(crate) identity: Identity,
    pub(crate) status: Arc<FlowStatus>,
    pub(crate) links: BTreeMap<(usize, NodeId), u64>,
    wakes_at: Option<Duration>,
    writes_until: Duration,
    /// It is to stop, by then at the latest.
    pub(crate) stops: Option<Duration>,
}

impl World {
    pub(crate) fn start_mirror(&mut self) {
        if !self.mirrors.is_empty() {
            return;
        }
        let Some(identity) = self.new_identity() else {
            return self.later(Duration::from_secs(1), What::Start);
        };
        self.lives += 1;
        let life = self.lives;
        self.newest = life;
        self.say(|| format!("mirror {life} starts"));
        self.count("starts");
        let status = Arc::new(FlowStatus::new(SOURCE_TOPIC.into(), TARGET_TOPIC.into()));
        let lane = Lane::new(self.weather.options.clone(), identity, Arc::clone(&status), self.instant());
        let (links, writes_until) = (BTreeMap::new(), self.now);
        let mirror = Mirror { lane, identity, status, links, wakes_at: None, writes_until, stops: None };
        self.mirrors.insert(life, mirror);
        let count = i32::try_from(self.logs.len()).unwrap();
        self.assign(life, identity, 0..count);
        self.later(FLUSH, What::Flush(life));
    }

    /// As discovery does.
    pub(crate) fn assign(&mut self, life: u64, identity: Identity, partitions: std::ops::Range<i32>) {
        let assignments: Vec<_> = partitions.map(|partition| self.assignment(life, partition)).collect();
        for one in assignments.iter().filter(|one| one.former.is_none()) {
            let claim = Kept {
                partition: one.source.partition,
                next: one.start,
                leader_epoch: one.status.epoch_before(one.start),
                mark: Some(ProducerMark { identity, sequence: 0 }),
                map: None,
            };
            self.keep(claim);
        }
        self.apply(life, Event::Assign(assignments));
    }

    fn keep(&mut self, kept: Kept) {
        let before = self.progress.remove(&kept.partition).and_then(|before| before.map);
        let map = kept.map.or(before);
        self.progress.insert(kept.partition, Kept { map, ..kept });
    }

    fn assignment(&mut self, life: u64, partition: i32) -> Assignment {
        let kept = self.progress.get(&partition).cloned();
        let kept = kept.as_ref();
        let range = self.range(partition);
        let mirrored = kept.map(|kept| (kept.next, None));
        let mark = kept.and_then(|kept| kept.mark);
        let (start, _) = position::start(mirrored, None, range, false, mark.is_some());
        let source = SourcePartition { topic: SOURCE_TOPIC.into(), partition };
        let status = Arc::new(PartitionStatus::new(
            source.clone(),
            TARGET_TOPIC.into(),
            start,
            range.latest,
            offset_map(kept, start),
        ));
        if let Some(epoch) = kept.filter(|kept| kept.next == start).and_then(|kept| kept.leader_epoch) {
            status.epochs().learn(epoch, SourceOffset(start.0 - 1));
        }
        self.mirrors[&life].status.insert(Arc::clone(&status));
        let former = mark.map(|mark| Former { mark, holds: self.described(partition, mark.identity) });
        let target_end = former.is_none().then(|| self.target_end(partition));
        Assignment {
            source,
            topic_id: self.source.direct().topic_id(SOURCE_TOPIC),
            target_topic: TARGET_TOPIC.into(),
            start,
            former,
            rules: TargetRules { max_batch_bytes: 1 << 20, ..TargetRules::default() },
            deal_to: None,
            shared_target: false,
            was_here: false,
            unclaimed: false,
            target_end,
            status,
        }
    }

    fn range(&self, partition: i32) -> LogRange {
        let source = self.source.direct();
        LogRange {
            earliest: SourceOffset(source.start_offset(SOURCE_TOPIC, partition).unwrap()),
            latest: SourceOffset(source.end_offset(SOURCE_TOPIC, partition).unwrap()),
        }
    }

    fn new_identity(&self) -> Option<Identity> {
        let request = InitProducerIdRequest::default().with_transactional_id(None);
        let mut brokers = 1..=i32::from(self.weather.brokers);
        let answer = brokers.find_map(|broker| self.target.ask_message(broker, 4, &request))?;
        Some(Identity { producer_id: answer.producer_id.0, producer_epoch: answer.producer_epoch })
    }

    pub(crate) fn apply(&mut self, life: u64, event: Event) {
        let now = self.instant();
        let credit = if self.dice.chance(self.weather.no_memory) { 0 } else { 24 << 20 };
        let Some(mirror) = self.mirrors.get_mut(&life) else { return };
        mirror.lane.apply(now, event);
        mirror.lane.pump(credit);
        for action in mirror.lane.take_actions() {
            self.perform(life, action);
        }
        self.check(life);
        self.wake_in_time(life);
        self.end_if_drained(life);
    }

    fn check(&mut self, life: u64) {
        let read_committed = self.weather.options.read_committed;
        for one in self.mirrors[&life].status.partitions() {
            let partition = usize::try_from(one.source.partition).unwrap();
            let (held, log) = (&mut self.held[partition], &self.logs[partition]);
            held.check_progress(life, one.acknowledged_next().0, log, read_committed);
        }
    }

    fn wake_in_time(&mut self, life: u64) {
        let Some(deadline) = self.mirrors[&life].lane.next_deadline() else { return };
        let at = self.since(deadline).max(self.now);
        let mirror = self.mirrors.get_mut(&life).unwrap();
        if mirror.wakes_at.is_none_or(|known| at < known) {
            mirror.wakes_at = Some(at);
            self.at(at, What::Wake(life));
        }
    }

    pub(crate) fn wake(&mut self, life: u64) {
        let Some(mirror) = self.mirrors.get_mut(&life) else { return };
        if mirror.wakes_at.is_some_and(|at| at <= self.now) {
            mirror.wakes_at = None;
            self.apply(life, Event::Tick);
        }
    }

    fn perform(&mut self, life: u64, action: Action) {
        match action {
            Action::Open(side, node) => self.connect(life, side, node),
            Action::Send { side, node, version, body } => {
                let link = self.mirrors[&life].links.get(&(side as usize, node)).copied();
                self.send(link.expect("it is open"), version, body.concat().into());
            }
            Action::Reencode { question, entries, begin, shape, timestamps: _ } => {
                let Begin::At(from) = begin else { panic!("nothing is dealt out here") };
                let encoded = self.reencoder.reencode(&entries, from.0, &shape);
                let delay = self.dice.ms(0, 20);
                self.later(delay, What::Tell(life, Event::Reencoded(question, encoded)));
            }
            Action::List(slot, partition) => self.inquire(life, Inquiry::List(slot, partition)),
            Action::EpochEnd(slot, partition, epoch) => {
                self.inquire(life, Inquiry::EpochEnd(slot, partition, epoch));
            }
            Action::Describe { question, partition, identity, .. } => {
                self.inquire(life, Inquiry::Describe { question, partition, identity });
            }
            Action::Recount(question, recount) => {
                self.inquire(life, Inquiry::Recount(question, recount));
            }
            Action::Renew { question, raised, claim } => {
                self.inquire(life, Inquiry::Renew { question, raised, claim });
            }
            Action::Refresh(side) => self.inquire(life, Inquiry::Refresh(side)),
            Action::Rediscover | Action::GrowMemory => {}
            Action::Note(partition, note) => {
                self.say(|| format!("mirror {life}: {partition}: {note}"));
                self.note(&note);
            }
            Action::RaiseLimit { .. } | Action::DeadLetter { .. } => panic!("nothing is refused here"),
            Action::Join(..) | Action::Closed { .. } | Action::Abort(_) => {
                panic!("there are no transactions here")
            }
        }
    }

    fn note(&mut self, note: &Note) {
        self.count(match note {
            Note::Retrying(_) => "retries",
            Note::Stopped(why) => {
                // Its log ends before what it acknowledged, and it remembers no producer: then a person has to look.
                let expected = self.was_cut_off && why.contains("where the batch before it lies");
                assert!(expected, "a partition stopped: {why}");
                "stops"
            }
            Note::Lost(_) => "losses",
            Note::Resumed(_) => "resumed",
            Note::PossibleDuplicates(_) => "possible duplicates",
            Note::TargetLost(_) => "lost at the target",
            _ => "other notes",
        });
    }

    fn inquire(&mut self, life: u64, inquiry: Inquiry) {
        let delay = self.delay();
        self.later(delay, What::Ask(life, inquiry));
    }

    /// A question came to its cluster.
    pub(crate) fn asked(&mut self, life: u64, inquiry: Inquiry) {
        let fails = self.dice.chance(self.weather.failed_questions);
        let event = match inquiry {
            Inquiry::List(slot, _) if fails => Event::Listed(slot, Err("no answer".into())),
            Inquiry::List(slot, partition) => Event::Listed(slot, Ok(self.range(partition.partition))),
            Inquiry::EpochEnd(slot, partition, epoch) => {
                let end = self.epoch_end(partition.partition, epoch).filter(|_| !fails);
                let end = end.ok_or_else(|| "no answer".into());
                Event::EpochEnd(slot, epoch, end.map(|end| Some(end).filter(|end| end.epoch >= 0)))
            }
            Inquiry::Describe { question, partition, identity } => {
                Event::Described(question, self.described(partition, identity))
            }
            Inquiry::Recount(question, _) if fails => Event::Recounted(question, Err("no answer".into())),
            Inquiry::Recount(question, recount) => {
                self.count("recounts");
                Event::Recounted(question, Ok(self.recount(&recount)))
            }
            Inquiry::Renew { question, raised, claim } => {
                let identity = raised.or_else(|| self.new_identity()).filter(|_| !fails);
                if let Some((identity, (partition, next))) = identity.zip(claim) {
                    return self.claim(life, question, (partition.partition, next), identity);
                }
                Event::Renewed(question, identity.ok_or_else(|| "no answer".into()))
            }
            Inquiry::Refresh(side) if fails => Event::RefreshFailed(side, "no answer".into()),
            Inquiry::Refresh(side) => Event::Metadata(side, self.metadata(side)),
        };
        self.say(|| format!("mirror {life} will hear {event:?}").chars().take(300).collect());
        let delay = self.delay();
        self.later(delay, What::Tell(life, event));
    }

    fn metadata(&self, side: Side) -> Arc<Metadata> {
        let (cluster, name) = match side {
            Side::Source => (self.source.direct(), SOURCE_TOPIC),
            Side::Target => (self.target.direct(), TARGET_TOPIC),
        };
        let brokers = || (1..=i32::from(self.weather.brokers)).map(NodeId).collect();
        let partition = |index| {
            let (leader, epoch) = cluster.leader(name, index).unwrap();
            Partition {
                index,
                leader: leader.map(NodeId),
                leader_epoch: Some(epoch),
                replicas: brokers(),
                in_sync_replicas: brokers(),
                error: ErrorCode::None,
            }
        };
        let partitions = (0..cluster.partitions(name).unwrap()).map(partition).collect();
        let (id, error) = (cluster.topic_id(name), ErrorCode::None);
        let topic = Topic { name: name.into(), id, internal: false, error, partitions };
        let topics = [(topic.name.clone(), Arc::new(topic))].into();
        Arc::new(Metadata { topics, ..Metadata::default() })
    }

    fn described(&mut self, partition: i32, ours: Identity) -> Described {
        if self.dice.chance(self.weather.failed_questions) {
            return Described::Failed("no answer".into());
        }
        self.describe(partition, ours)
    }

    fn target_end(&self, partition: i32) -> TargetOffset {
        TargetOffset(self.target.direct().end_offset(TARGET_TOPIC, partition).unwrap())
    }

    fn describe(&self, partition: i32, ours: Identity) -> Described {
        let end = self.target_end(partition);
        if self.weather.target_is_dumb {
            return Described::CannotTell("it is dumb".into(), end);
        }
        let topic = describe_producers_request::TopicRequest::default()
            .with_name(topic_name(TARGET_TOPIC))
            .with_partition_indexes(vec![partition]);
        let request = DescribeProducersRequest::default().with_topics(vec![topic]);
        let answer = leader(&self.target, TARGET_TOPIC, partition)
            .and_then(|leader| self.target.ask_message(leader, 0, &request));
        let Some(answer) = answer else { return Described::Failed("no answer".into()) };
        let answer = &answer.topics[0].partitions[0];
        assert_eq!(answer.error_code, 0, "the leader was asked");
        let found = answer.active_producers.iter().find(|one| one.producer_id.0 == ours.producer_id);
        Described::of(found.map(|one| (one.producer_epoch, one.last_sequence)), ours, end, true)
    }

    pub(crate) fn epoch_end(&self, partition: i32, epoch: i32) -> Option<EpochEnd> {
        let asked = OffsetForLeaderPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(-1)
            .with_leader_epoch(epoch);
        let topic =
            OffsetForLeaderTopic::default().with_topic(topic_name(SOURCE_TOPIC)).with_partitions(vec![asked]);
        let request =
            OffsetForLeaderEpochRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
        let leader = leader(&self.source, SOURCE_TOPIC, partition)?;
        let answer = self.source.ask_message(leader, 4, &request)?;
        let end = &answer.topics[0].partitions[0];
        assert_eq!(end.error_code, 0, "the leader was asked");
        Some(EpochEnd { epoch: end.leader_epoch, end_offset: end.end_offset })
    }

    /// A new identity is written down before it is used.
    fn claim(
        &mut self,
        life: u64,
        question: Question,
        (partition, next): (i32, SourceOffset),
        identity: Identity,
    ) {
        let (there, back) = (self.delay(), self.delay());
        let Some(mirror) = self.mirrors.get_mut(&life) else { return };
        let known = mirror.status.partitions().into_iter().find(|one| one.source.partition == partition);
        let leader_epoch = known.and_then(|one| one.epoch_before(next));
        let mark = Some(ProducerMark { identity, sequence: 0 });
        mirror.writes_until = mirror.writes_until.max(self.now + there);
        let at = mirror.writes_until;
        self.at(at, What::Written(life, vec![Kept { partition, next, leader_epoch, mark, map: None }]));
        self.at(at + back, What::Claimed(life, question, identity, (partition, next)));
    }

    pub(crate) fn claimed(
        &mut self,
        life: u64,
        question: Question,
        identity: Identity,
        (partition, next): (i32, SourceOffset),
    ) {
        let Some(mirror) = self.mirrors.get(&life) else { return };
        let of_it = |one: &Arc<PartitionStatus>| one.source.partition == partition;
        let known = mirror.status.partitions().into_iter().find(of_it);
        known.unwrap().set_mark(next, ProducerMark { identity, sequence: 0 });
        self.apply(life, Event::Renewed(question, Ok(identity)));
    }

    /// What it writes down takes its time, and arrives in order.
    pub(crate) fn flush(&mut self, life: u64) {
        let delay = self.delay();
        let Some(mirror) = self.mirrors.get_mut(&life) else { return };
        let kept = kept(mirror);
        mirror.writes_until = mirror.writes_until.max(self.now + delay);
        let at = mirror.writes_until;
        self.at(at, What::Written(life, kept));
        self.later(FLUSH, What::Flush(life));
    }

    pub(crate) fn written(&mut self, life: u64, kept: Vec<Kept>) {
        // Of a mirror that is no more it may be lost; it is not written after its successor began.
        let alive = self.mirrors.contains_key(&life);
        if alive || (life == self.newest && self.dice.chance(500)) {
            kept.into_iter().for_each(|one| self.keep(one));
        }
    }

    fn end_if_drained(&mut self, life: u64) {
        let mirror = &self.mirrors[&life];
        if mirror.stops.is_none() || !mirror.lane.is_drained() {
            return;
        }
        let kept = kept(mirror);
        kept.into_iter().for_each(|one| self.keep(one));
        self.count("clean stops");
        self.end(life);
    }

    /// Asks a mirror to stop; it starts again when it has, or is killed in the end.
    pub(crate) fn stop(&mut self, life: u64) {
        let until = self.now + DRAIN;
        if let Some(mirror) = self.mirrors.get_mut(&life).filter(|one| one.stops.is_none()) {
            mirror.stops = Some(until);
            self.say(|| format!("mirror {life} is to stop"));
            self.apply(life, Event::Drain);
        }
    }

    pub(crate) fn kill(&mut self, life: u64) {
        self.count("kills");
        self.end(life);
    }

    /// A process is no more; what it sent may still arrive.
    fn end(&mut self, life: u64) {
        self.say(|| format!("mirror {life} is gone"));
        let Some(mirror) = self.mirrors.remove(&life) else { return };
        self.announced += mirror.status.counters.possible_duplicates();
        for connection in mirror.links.into_values() {
            self.cut(connection);
        }
        let delay = self.dice.ms(0, 3_000);
        self.later(delay, What::Start);
    }
}

fn kept(mirror: &Mirror) -> Vec<Kept> {
    let moved = mirror.status.partitions().into_iter().filter(|one| one.has_moved());
    let kept = |one: Arc<PartitionStatus>| {
        let map = Some(one.offset_map().clone());
        let (next, mark) = one.acknowledged();
        let leader_epoch = one.epoch_before(next);
        Kept { partition: one.source.partition, next, leader_epoch, mark, map }
    };
    moved.map(kept).collect()
}

/// The map to go on with, as discovery makes it.
fn offset_map(kept: Option<&Kept>, start: SourceOffset) -> OffsetMap {
    let mut map = kept.and_then(|kept| kept.map.clone()).unwrap_or_else(|| OffsetMap::new(1 << 20));
    if let Some(kept) = kept {
        map.resume(kept.next);
        if start < kept.next {
            map.apply(Settled::CutOff(start));
        }
    }
    map
}

fn topic_name(name: &str) -> TopicName {
    TopicName(name.to_owned().into())
}

pub(crate) fn leader(cluster: &Still, topic: &str, partition: i32) -> Option<i32> {
    cluster.direct().leader(topic, partition).unwrap().0
}
