//! The brokers of a cluster: which of them are up, and what follows for the partitions when one goes or comes. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Cluster;
use super::sessions::Sessions;

/// A broker as the cluster's metadata shows it.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) address: SocketAddr,
    pub(crate) rack: Option<String>,
    pub(crate) up: bool,
    pub(crate) sessions: Sessions,
}

impl Cluster {
    /// Whether the broker is there and runs.
    pub(crate) fn is_up(&self, broker: i32) -> bool {
        self.brokers.get(&broker).is_some_and(|broker| broker.up)
    }

    /// The brokers that run, by id.
    pub(crate) fn live_brokers(&self) -> impl Iterator<Item = (i32, &Broker)> {
        self.brokers.iter().filter(|(_, broker)| broker.up).map(|(id, broker)| (*id, broker))
    }

    /// The broker with the lowest id that runs plays the controller.
    pub(crate) fn controller(&self) -> Option<i32> {
        self.live_brokers().map(|(id, _)| id).next()
    }

    /// The coordinator of a group or a transactional id: the same broker for the same key while it runs, then the next.
    pub(crate) fn coordinator(&self, key: &str) -> Option<i32> {
        let hash = key.bytes().fold(0usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        let first = hash.checked_rem(self.brokers.len())?;
        let around = self.brokers.iter().cycle().skip(first).take(self.brokers.len());
        around.filter(|(_, broker)| broker.up).map(|(id, _)| *id).next()
    }

    /// The broker has stopped: what it led goes to a replica in sync, or to nobody while it was the last.
    pub(crate) fn broker_stopped(&mut self, id: i32) {
        if let Some(broker) = self.brokers.get_mut(&id) {
            broker.up = false;
            broker.sessions = Sessions::default();
        }
        for partition in self.topics.values_mut().flat_map(|topic| &mut topic.partitions) {
            if partition.in_sync.len() > 1 {
                partition.in_sync.retain(|replica| *replica != id);
            }
            if partition.leader == Some(id) {
                partition.elect(partition.in_sync.iter().copied().find(|replica| *replica != id));
            }
        }
    }

    /// The broker runs (again): it is in sync at once, and leads what has no leader.
    pub(crate) fn broker_started(&mut self, id: i32) {
        if let Some(broker) = self.brokers.get_mut(&id) {
            broker.up = true;
        }
        for partition in self.topics.values_mut().flat_map(|topic| &mut topic.partitions) {
            if partition.leader.is_none() && partition.in_sync.contains(&id) {
                partition.elect(Some(id));
            }
            if partition.leader.is_some()
                && partition.replicas.contains(&id)
                && !partition.in_sync.contains(&id)
            {
                partition.in_sync.push(id);
            }
        }
    }

    /// Replicas for `count` new partitions, the first being numbered `first`: round the live brokers, as a broker does.
    pub(crate) fn assign(&self, first: usize, count: usize, replication_factor: usize) -> Vec<Vec<i32>> {
        let live: Vec<_> = self.live_brokers().map(|(id, _)| id).collect();
        let replica = |partition: usize, n: usize| live.get((partition + n) % live.len().max(1)).copied();
        let replicas = |partition| (0..replication_factor).filter_map(|n| replica(partition, n)).collect();
        (first..first + count).map(replicas).collect()
    }
}

/// Brokers 1 to the number of addresses, racks given out in turn.
pub(crate) fn brokers(addresses: &[SocketAddr], racks: &[String]) -> BTreeMap<i32, Broker> {
    let rack = |n: usize| racks.get(n.checked_rem(racks.len())?).cloned();
    let broker = |n: usize, address: &SocketAddr| Broker {
        address: *address,
        rack: rack(n),
        up: true,
        sessions: Sessions::default(),
    };
    (1..).zip(addresses.iter().enumerate().map(|(n, address)| broker(n, address))).collect()
}
