//! Giving a partition to another process: nothing more of it is fetched, the answers to what is in flight are awaited, and
//! then its status says that it is released. Who reads its progress afterwards knows exactly where to go on.

use std::sync::Arc;

use super::event::Slot;
use super::lane::Lane;
use super::partition::{Partition, Role};
use crate::status::PartitionStatus;

impl Lane {
    pub(crate) fn release(&mut self, partitions: Vec<Arc<PartitionStatus>>) {
        for status in partitions {
            if let Some(slot) = self.slot(&status.source.topic, status.source.partition) {
                let lets_go = self.may_let_go(slot);
                if let Some(partition) = self.partition_mut(slot).filter(|_| lets_go) {
                    partition.stopped = true;
                    partition.drop_buffers();
                }
                self.sync_session(slot);
            }
            self.releasing.push(status);
        }
    }

    /// After each event: lets go of those of which nothing is on its way any more.
    pub(crate) fn finish_releases(&mut self) {
        if self.releasing.is_empty() {
            return;
        }
        for status in std::mem::take(&mut self.releasing) {
            let slot = self.slot(&status.source.topic, status.source.partition);
            if slot.is_some_and(|slot| self.is_under_way(slot)) {
                self.releasing.push(status);
            } else {
                slot.into_iter().for_each(|slot| self.released_in_transaction(slot));
                self.revoke(&status.source);
                status.set_released();
            }
        }
    }

    /// Whether it is to be let go.
    pub(crate) fn is_releasing(&self, slot: Slot) -> bool {
        let is_it = |one: &Partition| self.releasing.iter().any(|status| status.source == one.source);
        !self.releasing.is_empty() && self.partition(slot).is_some_and(is_it)
    }

    /// What was dealt out to target partitions already is sent: progress ends where all outlets are.
    fn is_under_way(&self, slot: Slot) -> bool {
        let in_flight = |slot: Slot| self.partition(slot).is_some_and(|one| one.outstanding > 0);
        let unsent = |slot: Slot| self.partition(slot).and_then(Partition::front).is_some();
        match self.partition(slot).map(|one| &one.role) {
            Some(Role::Reader(outlets)) => outlets.iter().any(|&outlet| in_flight(outlet) || unsent(outlet)),
            _ => in_flight(slot) || !self.may_let_go(slot),
        }
    }
}
