//! The state of one fetch session (KIP-227): what the broker has been told, and what it has yet to be told.
//!
//! A full request lists every partition and, where the broker grants it, opens a session. From then on a request
//! lists only the partitions that changed and those to forget, and the answer only those with news. Requests of
//! one session follow one another: build, send, accept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::request::{Asked, Request};
use super::response::{self, TopicRef};
use super::{FIRST_BY_TOPIC_ID, FIRST_WITH_SESSIONS, FetchParams, FetchPosition, FetchResponse, TopicKey};
use crate::wire::api::ApiKey;
use crate::wire::error::{ErrorCode, WireError};

/// The session id of those who have none.
const NO_SESSION: i32 = 0;
/// The epoch of a full request.
const FULL: i32 = 0;

/// The partitions to read from one broker, and the session that spares repeating them.
///
/// The broker goes on from the position it was last told: whoever got records must [`set`](Self::set) the next
/// position (or [`remove`](Self::remove) the partition, to pause it) before the next request, or gets them again.
#[derive(Debug, Default)]
pub struct FetchSession {
    id: i32,
    /// The epoch of the next request.
    epoch: i32,
    /// Whether the session names topics by id.
    by_topic_id: bool,
    /// A request was built and its answer not accepted yet.
    unanswered: bool,
    topics: BTreeMap<Arc<str>, Topic>,
    names: HashMap<Uuid, Arc<str>>,
    partitions: BTreeMap<(Arc<str>, i32), Slot>,
    /// Partitions the broker has to be told about (anew).
    changed: BTreeSet<(Arc<str>, i32)>,
    /// Partitions the broker knows and should not.
    forgotten: BTreeSet<(TopicKey, i32)>,
    /// Topics that lost their last partition since the last request: an answer may still speak of them.
    unwanted: Vec<TopicKey>,
    /// How many topics have no id.
    without_id: usize,
    /// How many full requests were built; each begins one partition further on, so that none is starved where
    /// there are no sessions.
    full_requests: usize,
}

#[derive(Debug)]
struct Topic {
    key: TopicKey,
    /// How many partitions of it are wanted.
    partitions: usize,
}

#[derive(Debug)]
struct Slot {
    position: FetchPosition,
    /// The broker's session has it.
    known: bool,
}

impl FetchSession {
    /// No partitions, no session.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wants a partition read from this position. A topic of the same name and another id (it was recreated)
    /// replaces the old one with all its partitions.
    pub fn set(&mut self, topic: &TopicKey, partition: i32, position: FetchPosition) {
        if self.topics.get(&topic.name).is_some_and(|known| known.key.id != topic.id) {
            self.remove_topic(&topic.name);
        }
        let entry = self
            .topics
            .entry(Arc::clone(&topic.name))
            .or_insert_with(|| Topic { key: topic.clone(), partitions: 0 });
        if entry.partitions == 0 {
            entry.key = topic.clone();
            if !topic.id.is_nil() {
                self.names.insert(topic.id, Arc::clone(&topic.name));
            }
        }
        let key = (Arc::clone(&entry.key.name), partition);
        match self.partitions.get_mut(&key) {
            Some(slot) if slot.position == position => return,
            Some(slot) => slot.position = position,
            None => {
                entry.partitions += 1;
                if entry.partitions == 1 && entry.key.id.is_nil() {
                    self.without_id += 1;
                }
                let known = self.forgotten.remove(&(entry.key.clone(), partition));
                self.partitions.insert(key.clone(), Slot { position, known });
            }
        }
        self.changed.insert(key);
    }

    /// No longer wants a partition.
    pub fn remove(&mut self, topic: &TopicKey, partition: i32) {
        let key = (Arc::clone(&topic.name), partition);
        let Some(slot) = self.partitions.remove(&key) else { return };
        self.changed.remove(&key);
        if let Some(entry) = self.topics.get_mut(&topic.name) {
            entry.partitions -= 1;
            if slot.known {
                self.forgotten.insert((entry.key.clone(), partition));
            }
            if entry.partitions == 0 {
                self.unwanted.push(entry.key.clone());
                if entry.key.id.is_nil() {
                    self.without_id -= 1;
                }
            }
        }
    }

    /// No longer wants the partitions for which `keep` says no.
    pub fn retain(&mut self, keep: impl Fn(&TopicKey, i32) -> bool) {
        let unwanted = |(name, partition): &&(Arc<str>, i32)| {
            self.topics.get(name).is_some_and(|topic| !keep(&topic.key, *partition))
        };
        let unwanted: Vec<(Arc<str>, i32)> = self.partitions.keys().filter(unwanted).cloned().collect();
        for (name, partition) in unwanted {
            let Some(key) = self.topics.get(&name).map(|topic| topic.key.clone()) else { continue };
            self.remove(&key, partition);
        }
    }

    fn remove_topic(&mut self, name: &Arc<str>) {
        let Some(key) = self.topics.get(name).map(|topic| topic.key.clone()) else { return };
        let all = (Arc::clone(name), i32::MIN)..=(Arc::clone(name), i32::MAX);
        let partitions: Vec<i32> = self.partitions.range(all).map(|((_, partition), _)| *partition).collect();
        for partition in partitions {
            self.remove(&key, partition);
        }
    }

    /// How many partitions are wanted.
    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    /// Whether no partition is wanted.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The position a partition is wanted from.
    pub fn position(&self, topic: &TopicKey, partition: i32) -> Option<FetchPosition> {
        self.partitions.get(&(Arc::clone(&topic.name), partition)).map(|slot| slot.position)
    }

    /// Whether the broker granted a session.
    pub fn is_incremental(&self) -> bool {
        self.epoch != FULL
    }

    /// The version to speak where `negotiated` is the highest: one with names if some topic has no id.
    pub fn version(&self, negotiated: i16) -> i16 {
        if self.without_id > 0 { negotiated.min(FIRST_BY_TOPIC_ID - 1) } else { negotiated }
    }

    /// The body of the next request. When the last one was never answered, the session begins anew, as the
    /// broker may or may not have seen it.
    ///
    /// # Errors
    /// [`WireError::Unsendable`] for a topic without an id in a version that names topics by id (see
    /// [`version`](Self::version)) and for names that are too long. The session then begins anew.
    pub fn build(&mut self, version: i16, params: &FetchParams) -> Result<Bytes, WireError> {
        let by_topic_id = version >= FIRST_BY_TOPIC_ID;
        if self.unanswered || by_topic_id != self.by_topic_id {
            self.reset();
        }
        self.by_topic_id = by_topic_id;
        self.unanswered = true;
        self.drop_unwanted_topics();

        let full = version < FIRST_WITH_SESSIONS || self.epoch == FULL;
        let request = Request {
            params,
            session_id: self.id,
            session_epoch: self.epoch,
            wanted: if full { self.everything() } else { self.asked(self.changed.iter()) },
            forgotten: if full { Vec::new() } else { self.to_forget() },
        };
        let body =
            super::request::encode(version, &request).map_err(|error| error.of(ApiKey::Fetch, version))?;

        for key in std::mem::take(&mut self.changed) {
            if let Some(slot) = self.partitions.get_mut(&key) {
                slot.known = true;
            }
        }
        if full {
            self.partitions.values_mut().for_each(|slot| slot.known = true);
            self.full_requests = self.full_requests.wrapping_add(1);
        }
        self.forgotten.clear();
        Ok(body)
    }

    /// Takes the answer to the request last built.
    ///
    /// # Errors
    /// Any [`WireError`] for bytes that are no such answer; the session then begins anew.
    pub fn accept(&mut self, version: i16, body: Bytes) -> Result<FetchResponse, WireError> {
        let resolve = |topic: TopicRef<'_>| match topic {
            TopicRef::Name(name) => self.topics.get_key_value(name).map(|(name, _)| Arc::clone(name)),
            TopicRef::Id(id) => self.names.get(&id).map(Arc::clone),
        };
        let answer = match response::decode(version, body, resolve) {
            Ok(answer) => answer,
            Err(error) => {
                self.reset();
                return Err(error.of(ApiKey::Fetch, version));
            }
        };
        self.unanswered = false;
        if answer.error.is_none() {
            self.advance(answer.session_id);
        } else {
            self.reset();
            if answer.error == ErrorCode::FetchSessionIdNotFound {
                self.id = NO_SESSION;
            }
        }
        Ok(FetchResponse {
            throttle_time_ms: answer.throttle_time_ms,
            error: answer.error,
            partitions: answer.partitions,
        })
    }

    /// Begins anew: the next request lists everything. To be called when an answer was lost with its connection.
    ///
    /// The id is kept, as a full request with an id tells the broker to close that session.
    pub fn reset(&mut self) {
        self.epoch = FULL;
        self.unanswered = false;
        self.forgotten.clear();
    }

    fn advance(&mut self, session_id: i32) {
        let continues = self.epoch == FULL || session_id == self.id;
        self.id = session_id;
        self.epoch = match self.epoch {
            _ if session_id == NO_SESSION || !continues => FULL,
            i32::MAX => 1,
            epoch => epoch + 1,
        };
    }

    fn drop_unwanted_topics(&mut self) {
        for key in std::mem::take(&mut self.unwanted) {
            let wanted_again = self.topics.get(&key.name).filter(|topic| topic.partitions > 0);
            if wanted_again.is_none_or(|topic| topic.key.id != key.id) {
                self.names.remove(&key.id);
            }
            if wanted_again.is_none() {
                self.topics.remove(&key.name);
            }
        }
    }

    fn asked<'a>(&'a self, keys: impl Iterator<Item = &'a (Arc<str>, i32)>) -> Vec<Asked<'a>> {
        keys.filter_map(|key| {
            let topic = &self.topics.get(&key.0)?.key;
            let position = Some(self.partitions.get(key)?.position);
            Some(Asked { topic, partition: key.1, position })
        })
        .collect()
    }

    fn everything(&self) -> Vec<Asked<'_>> {
        let start = self.full_requests % self.partitions.len().max(1);
        self.asked(self.partitions.keys().skip(start).chain(self.partitions.keys().take(start)))
    }

    /// What to forget. Where topics go by name, one that was recreated and is wanted again must not be forgotten:
    /// the broker takes removals last (Kafka class `FetchSession`).
    fn to_forget(&self) -> Vec<Asked<'_>> {
        let wanted_again = |topic: &TopicKey, partition: i32| {
            !self.by_topic_id && self.partitions.contains_key(&(Arc::clone(&topic.name), partition))
        };
        self.forgotten
            .iter()
            .filter(|(topic, partition)| !wanted_again(topic, *partition))
            .map(|(topic, partition)| Asked { topic, partition: *partition, position: None })
            .collect()
    }
}

#[cfg(test)]
impl FetchSession {
    pub(super) fn set_epoch_for_test(&mut self, epoch: i32) {
        self.epoch = epoch;
    }
}
