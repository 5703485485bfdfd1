//! Connections: each keeps the order of its requests and of its answers, and may end in either direction at any moment.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use kmirror_engine::flow::event::{Event, LinkEvent, LinkVersions, Side};
use kmirror_protocol::client::NodeId;
use kmirror_sandbox::ApiKey;

use crate::world::{What, World};

/// Codes with which a leader refuses a batch before it appends it: NOT_LEADER_OR_FOLLOWER, REQUEST_TIMED_OUT,
/// NOT_ENOUGH_REPLICAS, KAFKA_STORAGE_ERROR, UNKNOWN_TOPIC_OR_PARTITION, CORRUPT_MESSAGE.
const BEFORE_APPEND: [i16; 6] = [6, 7, 19, 56, 3, 2];
/// And after it: REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS_AFTER_APPEND, NOT_LEADER_OR_FOLLOWER.
const AFTER_APPEND: [i16; 3] = [7, 20, 6];
/// Codes of fetches: NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, KAFKA_STORAGE_ERROR, UNKNOWN_SERVER_ERROR.
const OF_FETCH: [i16; 4] = [6, 74, 56, -1];
/// An answer to a fetch of at most this many bytes has no records, and would have been waited for.
const EMPTY_BYTES: usize = 130;

pub(crate) struct Connection {
    pub(crate) mirror: u64,
    pub(crate) side: Side,
    pub(crate) node: NodeId,
    requests: VecDeque<(i16, Bytes)>,
    answers: VecDeque<Bytes>,
    last_arrival: Duration,
    last_answer: Duration,
    /// Requests still on the way come no sooner: they lie in a buffer of the broker's.
    not_before: Duration,
    /// Nothing that is sent from now on arrives.
    pub(crate) requests_end: bool,
    answers_end: bool,
    /// The mirror knows that it is closed.
    pub(crate) closed: bool,
}

impl World {
    pub(crate) fn delay(&mut self) -> Duration {
        let most = self.weather.delay_ms;
        // Now and then much longer than usual.
        let most = if self.dice.chance(10) { most * 20 } else { most };
        self.dice.ms(0, most)
    }

    pub(crate) fn connect(&mut self, mirror: u64, side: Side, node: NodeId) {
        self.lives += 1;
        let id = self.lives;
        let connection = Connection {
            mirror,
            side,
            node,
            requests: VecDeque::new(),
            answers: VecDeque::new(),
            last_arrival: self.now,
            last_answer: self.now,
            not_before: self.now,
            requests_end: false,
            answers_end: false,
            closed: false,
        };
        self.connections.insert(id, connection);
        if let Some(mirror) = self.mirrors.get_mut(&mirror) {
            mirror.links.insert((side as usize, node), id);
        }
        let delay = self.delay();
        let refused = self.weather.cuts > 0 && self.dice.chance(100);
        let up = self.is_up(side, node);
        if refused || !up {
            self.later(delay, What::Closed(id, "refused".into()));
        } else {
            self.later(delay, What::Opened(id));
        }
    }

    pub(crate) fn is_up(&self, side: Side, node: NodeId) -> bool {
        let cluster = if side == Side::Source { &self.source } else { &self.target };
        cluster.ask(node.0, ApiKey::ApiVersions, 0, Bytes::new(), None).is_some()
    }

    pub(crate) fn opened(&mut self, id: u64) {
        let versions =
            LinkVersions { fetch: self.weather.fetch_version, produce: self.weather.produce_version };
        let Some(connection) = self.connections.get(&id).filter(|one| !one.closed) else { return };
        let (mirror, side, node) = (connection.mirror, connection.side, connection.node);
        self.say(|| format!("connection {id} of mirror {mirror} to broker {node} of the {side} is open"));
        self.apply(mirror, Event::Link(side, node, LinkEvent::Opened(versions)));
    }

    pub(crate) fn send(&mut self, id: u64, version: i16, body: Bytes) {
        let delay = self.delay();
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.requests_end || connection.closed {
            return;
        }
        connection.requests.push_back((version, body));
        connection.last_arrival = connection.last_arrival.max(self.now + delay);
        let at = connection.last_arrival;
        self.at(at, What::Arrive(id));
    }

    pub(crate) fn arrive(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.not_before > self.now {
            let at = connection.not_before;
            return self.at(at, What::Arrive(id));
        }
        let Some((version, body)) = connection.requests.pop_front() else { return };
        let (side, node) = (connection.side, connection.node);
        let answer = match side {
            Side::Source => self.fetch(node, version, body),
            Side::Target => self.produce(node, version, body),
        };
        let Some(answer) = answer else { return self.cut(id) };
        self.mix(answer.len() as u64);
        self.say(|| {
            format!("broker {node} of the {side} answers on connection {id}: {} bytes", answer.len())
        });
        let mut delay = self.delay();
        if side == Side::Source && answer.len() <= EMPTY_BYTES {
            delay += self.dice.ms(0, 500);
        }
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.answers_end {
            return;
        }
        connection.answers.push_back(answer);
        connection.last_answer = connection.last_answer.max(self.now + delay);
        let at = connection.last_answer;
        self.at(at, What::Answer(id));
    }

    fn fetch(&mut self, node: NodeId, version: i16, body: Bytes) -> Option<Bytes> {
        let refuse = self.dice.chance(self.weather.refusals).then(|| self.dice.pick(&OF_FETCH));
        self.count("fetches");
        self.source.ask(node.0, ApiKey::Fetch, version, body, refuse)
    }

    fn produce(&mut self, node: NodeId, version: i16, body: Bytes) -> Option<Bytes> {
        self.count("produces");
        let ask = |refusal| self.target.ask(node.0, ApiKey::Produce, version, body.clone(), refusal);
        let before = self.target_ends();
        let answer = if !self.dice.chance(self.weather.refusals) {
            ask(None)
        } else if self.dice.chance(500) {
            ask(Some(self.dice.pick(&BEFORE_APPEND)))
        } else {
            ask(None).and_then(|_| ask(Some(self.dice.pick(&AFTER_APPEND))))
        };
        let ends = self.target_ends();
        self.say(|| format!("broker {node} of the target has appended: ends {before:?} to {ends:?}"));
        self.look_at_target();
        answer
    }

    fn target_ends(&self) -> Vec<i64> {
        let partitions = 0..i32::try_from(self.held.len()).unwrap();
        let end = |one| self.target.direct().end_offset(crate::world::TARGET_TOPIC, one).unwrap();
        partitions.map(end).collect()
    }

    pub(crate) fn answer(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.closed {
            return;
        }
        let Some(answer) = connection.answers.pop_front() else { return };
        let (mirror, side, node) = (connection.mirror, connection.side, connection.node);
        self.apply(mirror, Event::Link(side, node, LinkEvent::Answer(answer)));
    }

    /// Ends a connection, in one direction or both. Some of what is on the way still arrives, perhaps much later.
    pub(crate) fn cut(&mut self, id: u64) {
        let (which, all) = (self.dice.below(3), self.dice.chance(500));
        let buffered = if self.dice.chance(300) { self.dice.ms(0, 5_000) } else { Duration::ZERO };
        let notice = if self.dice.chance(100) { self.dice.ms(0, 30_000) } else { self.delay() };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let asked = connection.requests.len();
        let kept = if all { asked } else { self.dice.place(asked + 1) };
        if which != 0 {
            connection.requests.truncate(kept);
            connection.requests_end = true;
            connection.not_before = self.now + buffered;
        }
        if which != 1 {
            let kept = self.dice.place(connection.answers.len() + 1);
            connection.answers.truncate(kept);
            connection.answers_end = true;
        }
        self.count("cuts");
        self.later(notice, What::Closed(id, "cut".into()));
    }

    /// The mirror learns that a connection is closed.
    pub(crate) fn closed(&mut self, id: u64, cause: kmirror_engine::flow::event::Cause) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if std::mem::replace(&mut connection.closed, true) {
            return;
        }
        connection.requests_end = true;
        let (mirror, side, node) = (connection.mirror, connection.side, connection.node);
        self.say(|| {
            format!("connection {id} of mirror {mirror} to broker {node} of the {side} is closed: {cause}")
        });
        self.apply(mirror, Event::Link(side, node, LinkEvent::Closed(cause)));
    }
}
