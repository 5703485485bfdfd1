//! The lane's connections: who leads what, which brokers are connected, and what happens when one goes.

use std::sync::Arc;

use kmirror_protocol::client::Metadata;
use kmirror_protocol::wire::produce::FIRST_BY_TOPIC_ID;

use super::event::{Action, Cause, LinkEvent, LinkVersions, Side, Slot};
use super::lane::{Lane, Timer};
use super::partition::{NodeId, Role, backoff};

impl Lane {
    pub(super) fn learn(&mut self, side: Side, metadata: Arc<Metadata>) {
        self.refreshing[side as usize] = false;
        self.metadata[side as usize] = Some(metadata);
        for index in 0..self.partitions.len() {
            self.lead(side, Slot(index));
        }
    }

    pub(super) fn refresh_failed(&mut self, side: Side, cause: &Cause) {
        self.refreshing[side as usize] = false;
        let leaderless = |slot: &Slot| {
            self.partition(*slot).is_some_and(|partition| match side {
                Side::Source => {
                    partition.source_leader.is_none() && !matches!(partition.role, Role::Outlet(_))
                }
                Side::Target => {
                    partition.target_leader.is_none() && !matches!(partition.role, Role::Reader(_))
                }
            })
        };
        let waiting: Vec<Slot> = (0..self.partitions.len()).map(Slot).filter(leaderless).collect();
        for slot in waiting {
            self.report_retry(slot, Arc::clone(cause));
            let Some(partition) = self.partition_mut(slot) else { continue };
            match side {
                Side::Source => partition.source_attempts = partition.source_attempts.max(1),
                Side::Target => partition.target_attempts = partition.target_attempts.max(1),
            }
        }
        self.refresh_later(side);
    }

    /// The names of the topics of one side.
    pub fn topics(&self, side: Side) -> Vec<Arc<str>> {
        let mut topics: Vec<_> = match side {
            Side::Source => self.slots.keys().map(Arc::clone).collect(),
            Side::Target => self
                .partitions
                .iter()
                .flatten()
                .map(|partition| Arc::clone(&partition.target_topic))
                .collect(),
        };
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    /// Looks up who leads a partition, and opens what is needed.
    fn lead(&mut self, side: Side, slot: Slot) {
        let Some(metadata) = self.metadata[side as usize].clone() else { return };
        let Some(partition) = self.partition_mut(slot) else { return };
        let (topic, index) = match (side, &partition.role) {
            (Side::Source, Role::Outlet(_)) | (Side::Target, Role::Reader(_)) => return,
            (Side::Source, _) => (&partition.source.topic, partition.source.partition),
            (Side::Target, _) => (&partition.target_topic, partition.target_partition),
        };
        let known = metadata
            .topics
            .get(topic)
            .and_then(|topic| topic.partitions.iter().find(|partition| partition.index == index));
        let leader = known.and_then(|known| known.leader);
        match side {
            Side::Source => {
                partition.source_leader = leader;
                let epoch = known.and_then(|known| known.leader_epoch).unwrap_or(-1);
                partition.unvalidated |= epoch > partition.source_leader_epoch;
                partition.source_leader_epoch = epoch;
                self.sync_session(slot);
            }
            Side::Target => {
                // Another broker may not remember what this one acknowledged.
                if partition.target_leader != leader {
                    partition.acknowledged_at = None;
                }
                partition.target_leader = leader;
                self.sync_session(slot);
                self.make_ready(slot);
            }
        }
        if let Some(node) = leader {
            self.open(side, node);
        } else {
            self.refresh_later(side);
        }
    }

    /// Opens a link unless it is open, opening, or waiting for its next attempt.
    pub(crate) fn open(&mut self, side: Side, node: NodeId) {
        let fresh = match side {
            Side::Source => self.sources.entry(node).or_default().link.begin(),
            Side::Target => self.targets.entry(node).or_default().link.begin(),
        };
        if fresh {
            self.actions.push(Action::Open(side, node));
        }
    }

    pub(super) fn link_event(&mut self, side: Side, node: NodeId, event: LinkEvent) {
        match (side, event) {
            (_, LinkEvent::Opened(versions)) => self.link_opened(side, node, versions),
            (_, LinkEvent::Closed(cause)) => self.link_closed(side, node, &cause),
            (Side::Source, LinkEvent::Answer(body)) => self.fetched(node, body),
            (Side::Target, LinkEvent::Answer(body)) => self.produced(node, body),
        }
    }

    fn link_opened(&mut self, side: Side, node: NodeId, versions: LinkVersions) {
        match side {
            Side::Source => {
                let broker = self.sources.entry(node).or_default();
                broker.link = Link::Open(versions.fetch);
                broker.attempts = 0;
                self.reset_session(node);
                for slot in self.led_by(Side::Source, node) {
                    // A broker that was away may have come back with less than it had.
                    if let Some(partition) = self.partition_mut(slot) {
                        partition.unvalidated = true;
                    }
                    self.sync_session(slot);
                }
            }
            Side::Target => {
                let broker = self.targets.entry(node).or_default();
                // Version 13 names topics by id; names do as well, and a topic created anew keeps its name.
                broker.link = Link::Open(versions.produce.min(FIRST_BY_TOPIC_ID - 1));
                broker.attempts = 0;
                self.make_ready_on(node);
            }
        }
    }

    fn link_closed(&mut self, side: Side, node: NodeId, cause: &Cause) {
        let attempts = match side {
            Side::Source => self.source_closed(node, cause),
            Side::Target => self.target_closed(node, cause),
        };
        let pause = backoff(attempts, self.options.retry_backoff, self.options.retry_backoff_max);
        self.set_timer(pause, Timer::Reconnect(side == Side::Source, node));
        self.refresh(side);
    }

    /// Asks who leads, unless that is being asked already.
    pub(crate) fn refresh(&mut self, side: Side) {
        if !std::mem::replace(&mut self.refreshing[side as usize], true) {
            self.actions.push(Action::Refresh(side));
        }
    }

    /// Asks who leads after a pause: the last answer named nobody.
    fn refresh_later(&mut self, side: Side) {
        if !std::mem::replace(&mut self.refreshing[side as usize], true) {
            self.set_timer(self.options.retry_backoff, Timer::Refresh(side == Side::Source));
        }
    }

    /// Connects again, if the broker still leads something.
    pub(super) fn reconnect(&mut self, side: Side, node: NodeId) {
        match side {
            Side::Source => self.sources.entry(node).or_default().link = Link::Idle,
            Side::Target => self.targets.entry(node).or_default().link = Link::Idle,
        }
        let leads = self.partitions.iter().flatten().any(|partition| {
            let leader = match side {
                Side::Source => partition.source_leader,
                Side::Target => partition.target_leader,
            };
            leader == Some(node)
        });
        if leads {
            self.open(side, node);
        }
    }
}

/// A connection as the lane sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Link {
    /// Never opened, or free to be opened again.
    #[default]
    Idle,
    /// Being opened.
    Opening,
    /// Open, with the negotiated version of its one API.
    Open(i16),
    /// Closed; a timer will open it again.
    Waiting,
}

impl Link {
    /// Goes from idle to opening; whether it was idle.
    fn begin(&mut self) -> bool {
        let idle = *self == Self::Idle;
        if idle {
            *self = Self::Opening;
        }
        idle
    }

    pub(crate) fn version(self) -> Option<i16> {
        match self {
            Self::Open(version) => Some(version),
            _ => None,
        }
    }
}

pub(super) fn side_of(source: bool) -> Side {
    if source { Side::Source } else { Side::Target }
}
