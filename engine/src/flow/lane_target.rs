//! The lane's half that produces: one pipelined stream of Produce requests per target broker, each with at most
//! one batch per partition (`ProduceRequest.validateRecords`).

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use kmirror_protocol::wire::batch::{Stamp, next_sequence};
use kmirror_protocol::wire::error::ErrorCode;
use kmirror_protocol::wire::produce::{self, ProduceEntry, Produced, TopicRef};
use uuid::Uuid;

use super::event::{Action, Cause, Side, Slot};
use super::lane::{Lane, Ready};
use super::lane_link::Link;
use super::lane_session::clamp_i32;
use super::ledger::Ticket;
use super::partition::{NodeId, Outgoing, Partition, Queued};
use crate::ids::TargetOffset;

/// A broker that records are sent to.
#[derive(Debug, Default)]
pub(crate) struct TargetBroker {
    pub(crate) link: Link,
    pub(crate) attempts: u32,
    /// Partitions with something to send, each at most once.
    ready: Ready,
    /// Requests without an answer, the oldest first.
    requests: VecDeque<Vec<Sent>>,
}

impl TargetBroker {
    pub(crate) fn in_flight(&self) -> usize {
        self.requests.len()
    }
}

/// One batch of a request.
#[derive(Debug)]
pub(crate) struct Sent {
    slot: Slot,
    ticket: Ticket,
    records: u64,
    bytes: usize,
}

impl Sent {
    pub(crate) fn slot(&self) -> Slot {
        self.slot
    }

    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Lane {
    pub(crate) fn pump_targets(&mut self) {
        let nodes: Vec<NodeId> = self
            .targets
            .iter()
            .filter(|(_, broker)| !broker.ready.is_empty())
            .map(|(node, _)| *node)
            .collect();
        for node in nodes {
            while self.send_one_request(node) {}
        }
    }

    /// Sends one request to the broker, if it may take one and there is something to send.
    fn send_one_request(&mut self, node: NodeId) -> bool {
        let limit = self.options.max_in_flight;
        let Some(broker) = self.targets.get_mut(&node) else { return false };
        let Some(version) = broker.link.version().filter(|_| broker.requests.len() < limit) else {
            return false;
        };
        let mut ready = std::mem::take(&mut broker.ready);
        let (entries, sent) = self.fill_request(node, &mut ready);
        let Some(broker) = self.targets.get_mut(&node) else { return false };
        broker.ready.extend(ready);
        if entries.is_empty() {
            return false;
        }
        broker.requests.push_back(sent);
        let timeout = clamp_i32(self.options.produce_timeout.as_millis());
        let id = self.options.transaction.as_ref().map(|options| &*options.id);
        match produce::encode(version, id, self.options.acks, timeout, &entries) {
            Ok(body) => self.actions.push(Action::Send { side: Side::Target, node, version, body }),
            Err(error) => self.unsendable(node, &error.to_string().into()),
        }
        true
    }

    /// Takes back the request that was just written down.
    fn unsendable(&mut self, node: NodeId, cause: &Cause) {
        let request = self.targets.get_mut(&node).and_then(|broker| broker.requests.pop_back());
        for one in request.into_iter().flatten() {
            self.answered(one.slot);
            self.target_failed(one.slot, Arc::clone(cause), true);
        }
    }

    /// Takes one batch from each ready partition until the request is full. Partitions with more to send go to
    /// the back of the queue.
    fn fill_request(&mut self, node: NodeId, ready: &mut Ready) -> (Vec<ProduceEntry>, Vec<Sent>) {
        let (mut entries, mut sent, mut size) = (Vec::new(), Vec::new(), 0);
        for _ in 0..ready.len() {
            let Some(slot) = ready.pop_front() else { break };
            let may_send = self.may_send(slot);
            let sendable = |one: &&Partition| may_send && one.target_leader == Some(node);
            let front = self.partition(slot).filter(sendable).and_then(Partition::front);
            let Some(bytes) = front.map(Outgoing::size) else {
                // Its leader moved, or it waits for answers from the old one: it comes back by itself.
                self.clear_ready(slot);
                self.make_ready(slot);
                continue;
            };
            if size > 0 && size + bytes > self.options.max_request_bytes {
                ready.push_front(slot);
                break;
            }
            if self.meets_another(slot, &entries) {
                ready.push_back(slot);
                continue;
            }
            size += bytes;
            match self.take_front(node, slot) {
                Ok(Some((entry, one))) => {
                    self.sent_in_transaction(bytes);
                    entries.push(entry);
                    sent.push(one);
                }
                Ok(None) => {}
                Err(error) => self.stop(slot, error.to_string().into()),
            }
            let more = self.partition(slot).is_some_and(|one| one.front().is_some());
            if more && self.may_send(slot) {
                ready.push_back(slot);
            } else {
                self.clear_ready(slot);
            }
        }
        (entries, sent)
    }

    fn clear_ready(&mut self, slot: Slot) {
        if let Some(partition) = self.partition_mut(slot) {
            partition.ready_on = None;
        }
    }

    /// Stamps the partition's next batch and writes it into the ledger.
    fn take_front(
        &mut self,
        node: NodeId,
        slot: Slot,
    ) -> Result<Option<(ProduceEntry, Sent)>, super::ledger::LedgerError> {
        let transactional = self.is_transactional();
        let Some(partition) = self.partition_mut(slot) else { return Ok(None) };
        let (Some(identity), Some(Queued::Batch(outgoing))) =
            (partition.identity, partition.queue.pop_front())
        else {
            return Ok(None);
        };
        let base_sequence = partition.next_sequence;
        let records = outgoing.header.record_count;
        let bytes = outgoing.size();
        let ticket =
            partition.ledger.send(outgoing.first, outgoing.next, base_sequence, records, outgoing.runs)?;
        partition.next_sequence = next_sequence(base_sequence, records);
        partition.sending_to = Some(node);
        partition.outstanding += 1;
        partition.buffered = partition.buffered.saturating_sub(bytes);
        let stamp = Stamp {
            producer_id: identity.producer_id,
            producer_epoch: identity.producer_epoch,
            base_sequence,
            transactional,
        };
        let entry = ProduceEntry {
            topic: Arc::clone(&partition.target_topic),
            topic_id: Uuid::nil(),
            partition: partition.target_partition,
            header: outgoing.header.stamped(outgoing.payload.len(), stamp),
            payload: outgoing.payload,
        };
        self.prepare(slot);
        self.partition_mut(slot).map_or(Ok(()), Partition::settle_skips)?;
        self.sync_session(slot);
        Ok(Some((entry, Sent { slot, ticket, records: u64::from(records.unsigned_abs()), bytes })))
    }

    /// Puts a partition into its leader's queue, if it has something to send.
    pub(crate) fn make_ready(&mut self, slot: Slot) {
        self.prepare(slot);
        let Some(partition) = self.partition_mut(slot) else { return };
        if let Err(error) = partition.settle_skips() {
            return self.stop(slot, error.to_string().into());
        }
        self.publish(slot, 0, 0);
        let Some(partition) = self.partition_mut(slot) else { return };
        if let Some(Queued::SetAside(..)) = partition.queue.front() {
            return self.set_aside(slot);
        }
        let Some(node) = partition.target_leader else { return };
        if partition.ready_on == Some(node) || partition.front().is_none() || !self.may_send(slot) {
            return;
        }
        let before = self.partition_mut(slot).and_then(|partition| partition.ready_on.replace(node));
        if let Some(broker) = before.and_then(|before| self.targets.get_mut(&before)) {
            broker.ready.retain(|one| *one != slot);
        }
        self.targets.entry(node).or_default().ready.push_back(slot);
    }

    pub(crate) fn make_ready_on(&mut self, node: NodeId) {
        for slot in self.led_by(Side::Target, node) {
            self.make_ready(slot);
        }
    }

    pub(crate) fn produced(&mut self, node: NodeId, body: Bytes) {
        let Some(broker) = self.targets.get_mut(&node) else { return };
        let (Some(version), Some(sent)) = (broker.link.version(), broker.requests.pop_front()) else {
            return;
        };
        let answers = match produce::decode(version, body) {
            Ok(response) => response.partitions,
            Err(error) => {
                let cause: Cause =
                    format!("the produce answer of target broker {node} is malformed: {error}").into();
                for one in &sent {
                    self.answered(one.slot);
                    self.target_failed(one.slot, Arc::clone(&cause), false);
                }
                return;
            }
        };
        for one in sent {
            self.answered(one.slot);
            match self.answer_for(&answers, one.slot) {
                Some(answer) if answer.error == ErrorCode::None => {
                    self.acknowledged(&one, answer.base_offset)
                }
                Some(answer) => {
                    let (code, message) = (answer.error, answer.message.clone());
                    self.refused(&one, code, message.as_deref());
                }
                None => {
                    let cause = format!("target broker {node} did not answer for this partition");
                    self.target_failed(one.slot, cause.into(), false);
                }
            }
        }
    }

    fn answer_for<'a>(&self, answers: &'a [Produced], slot: Slot) -> Option<&'a Produced> {
        let partition = self.partition(slot)?;
        let named =
            |topic: &TopicRef| matches!(topic, TopicRef::Name(name) if *name == partition.target_topic);
        answers.iter().find(|answer| answer.partition == partition.target_partition && named(&answer.topic))
    }

    /// One request less in flight for this partition.
    fn answered(&mut self, slot: Slot) {
        if let Some(partition) = self.partition_mut(slot) {
            partition.outstanding = partition.outstanding.saturating_sub(1);
        }
    }

    fn acknowledged(&mut self, sent: &Sent, base_offset: i64) {
        let slot = sent.slot;
        let now = self.now;
        let Some(partition) = self.partition_mut(slot) else { return };
        partition.acknowledged_at = Some(now);
        // A duplicate that the broker no longer remembers is answered without an offset (-1).
        let base_offset = Some(TargetOffset(base_offset)).filter(|offset| offset.0 >= 0);
        if let Some(base) = base_offset
            && let Some(end) = partition.given_up_at.take_if(|end| *end < base)
        {
            self.possible_duplicates(slot, base.0 - end.0);
        }
        let Some(partition) = self.partition_mut(slot) else { return };
        match partition.ledger.acknowledge(sent.ticket, base_offset) {
            Ok(_) => {
                partition.target_recovered();
                self.publish(slot, sent.records, sent.bytes as u64);
            }
            Err(error) => return self.stop(slot, error.to_string().into()),
        }
        self.after_answer(slot);
    }

    pub(crate) fn target_closed(&mut self, node: NodeId, cause: &Cause) -> u32 {
        let broker = self.targets.entry(node).or_default();
        broker.link = Link::Waiting;
        broker.attempts = broker.attempts.saturating_add(1);
        let attempts = broker.attempts;
        let ready = std::mem::take(&mut broker.ready);
        let requests = std::mem::take(&mut broker.requests);
        for slot in &ready {
            self.clear_ready(*slot);
        }
        for one in requests.iter().flatten() {
            self.answered(one.slot);
        }
        for slot in self.led_by(Side::Target, node) {
            self.target_failed(slot, Arc::clone(cause), false);
        }
        // Some may have got another leader since they were put into this one's queue.
        for slot in ready {
            self.make_ready(slot);
        }
        attempts
    }
}
