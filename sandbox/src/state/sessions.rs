//! Incremental fetch sessions of one broker (KIP-227, Kafka's `FetchManager` and `FetchSession`). Pure.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use kafka_protocol::ResponseError;
use uuid::Uuid;

/// Sessions a broker keeps (`max.incremental.fetch.session.cache.slots`); there is no eviction, further clients fetch
/// without one.
const SESSIONS_MAX: usize = 1000;

/// Epoch of a request that wants a session.
const INITIAL_EPOCH: i32 = 0;

/// Epoch of a request that wants none, and ends the one it names.
const FINAL_EPOCH: i32 = -1;

/// A partition as a client names it: by id since version 13, by name before.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FetchKey {
    pub(crate) topic: TopicRef,
    pub(crate) partition: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TopicRef {
    Name(Arc<str>),
    Id(Uuid),
}

/// Where a client reads a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FetchFrom {
    pub(crate) offset: i64,
    pub(crate) current_leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
    pub(crate) max_bytes: i32,
}

/// What was last told about a partition: it is left out of an answer while this stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Told {
    high_watermark: i64,
    log_start_offset: i64,
}

#[derive(Debug)]
struct Member {
    from: FetchFrom,
    told: Option<Told>,
}

#[derive(Debug)]
struct Session {
    epoch: i32,
    uses_ids: bool,
    /// In the order in which they are to be read: partitions that gave data go to the end.
    members: IndexMap<FetchKey, Member>,
}

/// The sessions of a broker by id.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    sessions: HashMap<i32, Session>,
    last_id: i32,
}

/// What of a request concerns sessions.
#[derive(Debug)]
pub(crate) struct SessionRequest {
    pub(crate) id: i32,
    pub(crate) epoch: i32,
    pub(crate) uses_ids: bool,
    pub(crate) named: Vec<(FetchKey, FetchFrom)>,
    pub(crate) forgotten: Vec<FetchKey>,
}

/// The partitions to answer about.
#[derive(Debug)]
pub(crate) struct SessionView {
    /// 0 for an answer outside of a session.
    pub(crate) id: i32,
    /// Whether partitions without news are left out.
    pub(crate) incremental: bool,
    pub(crate) partitions: Vec<(FetchKey, FetchFrom)>,
}

impl Sessions {
    /// Begins, continues or ends a session as the request asks.
    pub(crate) fn open(&mut self, request: SessionRequest) -> Result<SessionView, ResponseError> {
        match (request.id, request.epoch) {
            (id, INITIAL_EPOCH) => {
                self.sessions.remove(&id);
                Ok(self.begin(request))
            }
            (id, FINAL_EPOCH) => {
                self.sessions.remove(&id);
                Ok(SessionView { id: 0, incremental: false, partitions: request.named })
            }
            _ => self.go_on(request),
        }
    }

    fn begin(&mut self, request: SessionRequest) -> SessionView {
        let partitions = request.named.clone();
        if request.named.is_empty() || self.sessions.len() >= SESSIONS_MAX {
            return SessionView { id: 0, incremental: false, partitions };
        }
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let members =
            request.named.into_iter().map(|(key, from)| (key, Member { from, told: None })).collect();
        self.sessions.insert(self.last_id, Session { epoch: 1, uses_ids: request.uses_ids, members });
        SessionView { id: self.last_id, incremental: false, partitions }
    }

    fn go_on(&mut self, request: SessionRequest) -> Result<SessionView, ResponseError> {
        let session = self.sessions.get_mut(&request.id).ok_or(ResponseError::FetchSessionIdNotFound)?;
        if request.epoch != session.epoch {
            return Err(ResponseError::InvalidFetchSessionEpoch);
        }
        if request.uses_ids != session.uses_ids {
            return Err(ResponseError::FetchSessionTopicIdError);
        }
        for key in &request.forgotten {
            session.members.shift_remove(key);
        }
        for (key, from) in request.named {
            session.members.entry(key).or_insert(Member { from, told: None }).from = from;
        }
        if session.members.is_empty() {
            self.sessions.remove(&request.id);
            return Ok(SessionView { id: 0, incremental: false, partitions: Vec::new() });
        }
        session.epoch = session.epoch.checked_add(1).unwrap_or(1);
        let partitions = session.members.iter().map(|(key, member)| (key.clone(), member.from)).collect();
        Ok(SessionView { id: request.id, incremental: true, partitions })
    }

    /// Whether an answer of `session` has to show the partition although it has neither records nor an error; notes what
    /// it shows (`CachedPartition.maybeUpdateResponseData`).
    pub(crate) fn has_news(
        &mut self,
        session: i32,
        key: &FetchKey,
        high_watermark: i64,
        log_start_offset: i64,
    ) -> bool {
        let Some(member) = self.sessions.get_mut(&session).and_then(|session| session.members.get_mut(key))
        else {
            return true;
        };
        let told = Told { high_watermark, log_start_offset };
        member.told.replace(told) != Some(told)
    }

    /// The partition gave records: others are read before it next time.
    pub(crate) fn gave_records(&mut self, session: i32, key: &FetchKey) {
        if let Some(session) = self.sessions.get_mut(&session)
            && let Some(index) = session.members.get_index_of(key)
        {
            session.members.move_index(index, session.members.len() - 1);
        }
    }

    /// Makes the next answer show the partition again, as after an error.
    pub(crate) fn forget_told(&mut self, session: i32, key: &FetchKey) {
        if let Some(member) = self.sessions.get_mut(&session).and_then(|session| session.members.get_mut(key))
        {
            member.told = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(partition: i32) -> FetchKey {
        FetchKey { topic: TopicRef::Name("t".into()), partition }
    }

    fn request(id: i32, epoch: i32, named: &[i32], forgotten: &[i32]) -> SessionRequest {
        let from = FetchFrom { offset: 0, current_leader_epoch: -1, last_fetched_epoch: -1, max_bytes: 100 };
        SessionRequest {
            id,
            epoch,
            uses_ids: false,
            named: named.iter().map(|partition| (key(*partition), from)).collect(),
            forgotten: forgotten.iter().map(|partition| key(*partition)).collect(),
        }
    }

    fn partitions(view: &SessionView) -> Vec<i32> {
        view.partitions.iter().map(|(key, _)| key.partition).collect()
    }

    #[test]
    fn a_session_remembers_what_it_was_told() {
        let mut sessions = Sessions::default();
        let id = sessions.open(request(0, 0, &[0, 1, 2], &[])).unwrap().id;
        assert_ne!(id, 0);
        let view = sessions.open(request(id, 1, &[3], &[1])).unwrap();
        assert!(view.incremental);
        assert_eq!(partitions(&view).len(), 3);
        assert!(!partitions(&view).contains(&1));
        sessions.gave_records(id, &key(0));
        let view = sessions.open(request(id, 2, &[], &[])).unwrap();
        assert_eq!(partitions(&view).last(), Some(&0));
    }

    #[test]
    fn wrong_ids_and_epochs_are_refused() {
        let mut sessions = Sessions::default();
        let id = sessions.open(request(0, 0, &[0], &[])).unwrap().id;
        let refused =
            |sessions: &mut Sessions, id, epoch| sessions.open(request(id, epoch, &[], &[])).unwrap_err();
        assert_eq!(refused(&mut sessions, id, 2), ResponseError::InvalidFetchSessionEpoch);
        assert_eq!(refused(&mut sessions, id + 1, 1), ResponseError::FetchSessionIdNotFound);
        let by_id = SessionRequest { uses_ids: true, ..request(id, 1, &[], &[]) };
        assert_eq!(sessions.open(by_id).unwrap_err(), ResponseError::FetchSessionTopicIdError);
        sessions.open(request(id, -1, &[0], &[])).unwrap();
        assert_eq!(refused(&mut sessions, id, 1), ResponseError::FetchSessionIdNotFound);
    }

    #[test]
    fn news_are_told_once() {
        let mut sessions = Sessions::default();
        let id = sessions.open(request(0, 0, &[0], &[])).unwrap().id;
        assert!(sessions.has_news(id, &key(0), 5, 0));
        assert!(!sessions.has_news(id, &key(0), 5, 0));
        assert!(sessions.has_news(id, &key(0), 5, 1));
        sessions.forget_told(id, &key(0));
        assert!(sessions.has_news(id, &key(0), 5, 1));
    }
}
