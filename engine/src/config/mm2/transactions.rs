//! Whether and how a flow writes in transactions, from the options to the plan.

use std::time::Duration;

use super::client::Owner;
use super::reader::Reader;
use super::settings::{FlowName, flow_places, worker_places};
use crate::config::keys;
use crate::config::problem::Problem;
use crate::plan::TransactionPlan;

impl Reader<'_> {
    pub(super) fn transactions(&mut self, flow: &FlowName, producer: Owner<'_>) -> Option<TransactionPlan> {
        let support = &keys::EXACTLY_ONCE;
        let timeout = &keys::TRANSACTION_TIMEOUT;
        let plan = TransactionPlan {
            interval: Duration::from_millis(self.int(&flow_places(flow), &keys::TRANSACTION_INTERVAL)),
            max_bytes: self.int(&flow_places(flow), &keys::TRANSACTION_BYTES),
            timeout: Duration::from_millis(self.int(&producer.places(timeout), timeout)),
        };
        if self.choice(&worker_places(flow, support), support).value != "enabled" {
            return None;
        }
        self.check_goes_with_transactions(flow, producer);
        Some(plan)
    }

    fn check_goes_with_transactions(&mut self, flow: &FlowName, producer: Owner<'_>) {
        let partitioning = self.choice(&flow_places(flow), &keys::PARTITIONING);
        let collisions = self.flag(&flow_places(flow), &keys::RENAME_COLLISIONS);
        let acks = self.choice(&producer.places(&keys::ACKS), &keys::ACKS);
        let hint = || Some(format!("or leave `{}` at `disabled`", keys::EXACTLY_ONCE.name));
        if partitioning.value == "by-key" {
            let reason = "in transactions each source partition goes to one target partition of its own";
            self.error(Some(partitioning.origin), Problem::Refused { reason }, hint());
        }
        if collisions.value {
            let reason = "in transactions no two source topics go to one target topic";
            self.error(Some(collisions.origin), Problem::Refused { reason }, hint());
        }
        if acks.value == "1" {
            let reason = "transactions need the acknowledgement of all in-sync replicas";
            self.error(Some(acks.origin), Problem::Refused { reason }, hint());
        }
    }
}
