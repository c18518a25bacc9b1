//! Building requests: for each broker in turn, one batch from each partition in its line.

use std::sync::Arc;
use std::time::Instant;

use indexmap::IndexMap;
use millstream_types::{BrokerId, TopicName};

use super::batch::Batch;
use super::partition::{Due, Pace};
use super::{Cx, InFlight, Part, ProducerMachine};
use crate::outbox::{Destination, Lane, ProducePartition, ProduceRequest, ProduceTopic, Request};

/// The first version of Produce that names topics by id (KIP-516).
const FIRST_VERSION_BY_ID: i16 = 13;

/// The first version of Produce that adds partitions to the transaction (KIP-890).
const FIRST_VERSION_THAT_ADDS: i16 = 12;

/// A request that is being filled.
#[derive(Default)]
struct Filling {
    topics: IndexMap<TopicName, ProduceTopic>,
    parts: Vec<Part>,
    bytes: usize,
    records: u64,
}

impl ProducerMachine {
    /// Sends what may be sent to every broker.
    pub(super) fn drain_all(&mut self, cx: &mut Cx<'_>) {
        let max = self.shared.config.max_in_flight;
        loop {
            let next = self
                .brokers
                .iter()
                .find(|(_, broker)| !broker.line.is_empty() && broker.in_flight < max);
            let Some((broker, _)) = next else { return };
            // Each partition in its line is sent or leaves it, perhaps for another line.
            self.drain(*broker, cx);
        }
    }

    /// Fills and sends one request.
    fn drain(&mut self, id: BrokerId, cx: &mut Cx<'_>) {
        let pace = self.pace(cx.now);
        let in_line = self.brokers.get(&id).map_or(0, |broker| broker.line.len());
        let mut filling = Filling::default();
        for _ in 0..in_line {
            let next = self.brokers.get_mut(&id).and_then(|broker| broker.line.pop_front());
            let Some(index) = next else { break };
            if !self.fill(id, index, &pace, &mut filling) {
                break;
            }
        }
        if !filling.parts.is_empty() {
            self.send(id, filling, cx);
        }
        self.look_at_inbox(cx);
    }

    /// Adds the next batch of a partition to a request. Answers whether there is room for others.
    fn fill(&mut self, to: BrokerId, index: usize, pace: &Pace, filling: &mut Filling) -> bool {
        let partition = &mut self.partitions[index];
        partition.in_line_of = None;
        if partition.leader != Some(to)
            || partition.wants_identity()
            || partition.due(pace) != Due::Now
        {
            self.inbox.partitions.push(index);
            return true;
        }
        let max = self.shared.config.max_request_size;
        if filling.bytes > 0 && filling.bytes + self.next_size(index) > max {
            self.partitions[index].in_line_of = Some(to);
            if let Some(broker) = self.brokers.get_mut(&to) {
                broker.line.push_front(index);
            }
            return false;
        }
        let Some(batch) = self.take_next(index, pace.now) else {
            self.inbox.partitions.push(index);
            return true;
        };
        self.count_batch(index, &batch, pace.now);
        let partition = &mut self.partitions[index];
        let name = partition.shared.topic.clone();
        filling.bytes += batch.bytes.len();
        filling.records += u64::from(batch.records.unsigned_abs());
        filling.parts.push(Part {
            index,
            key: batch.key,
            topic: name.clone(),
            topic_id: partition.topic_id,
            partition: partition.shared.id,
        });
        let id = partition.topic_id;
        let topic = filling.topics.entry(name);
        let topic = topic.or_insert_with_key(|name| ProduceTopic {
            name: name.clone(),
            id,
            partitions: Vec::new(),
        });
        topic
            .partitions
            .push(ProducePartition { partition: partition.shared.id, batch: batch.bytes.clone() });
        partition.sent(batch, to);
        // What stands behind it goes with the next request.
        self.inbox.partitions.push(index);
        true
    }

    fn send(&mut self, to: BrokerId, filling: Filling, cx: &mut Cx<'_>) {
        self.count_request(to, filling.records, filling.bytes);
        let config = &self.shared.config;
        let by_id = filling.topics.values().all(|topic| topic.id.is_known());
        for name in filling.topics.keys() {
            // What is written to must not be forgotten for idleness.
            cx.metadata.request_topic(name, cx.now);
        }
        let request = ProduceRequest {
            transactional_id: self.gate.as_ref().map(|gate| Arc::clone(&gate.id)),
            acks: config.acks,
            timeout: config.request_timeout,
            topics: filling.topics.into_values().collect(),
        };
        let mut request = Request::new(Destination::Broker(to), Lane::Produce, request)
            .timeout(config.request_timeout);
        if let Some(gate) = &self.gate {
            request = if gate.is_implicit {
                request.version_min(FIRST_VERSION_THAT_ADDS)
            } else {
                request.version_max(FIRST_VERSION_THAT_ADDS - 1)
            };
        }
        let is_old = self.gate.as_ref().is_some_and(|gate| !gate.is_implicit);
        if !by_id && !is_old {
            request = request.version_max(FIRST_VERSION_BY_ID - 1);
        }
        let id = cx.send(request);
        let in_flight = InFlight { broker: to, sent_at: cx.now, parts: filling.parts };
        self.requests.insert(id, in_flight);
        if let Some(broker) = self.brokers.get_mut(&to) {
            broker.in_flight += 1;
            broker.waits_since.get_or_insert(cx.now);
        }
    }

    /// The size of the next batch, or more.
    fn next_size(&self, index: usize) -> usize {
        let partition = &self.partitions[index];
        if let Some(batch) = partition.retries.front() {
            return batch.bytes.len();
        }
        let queue = partition.shared.queue();
        match (queue.closed.front(), &queue.open) {
            (Some(closed), _) => closed.sealed_size(),
            (None, Some(open)) => open.size(),
            (None, None) => 0,
        }
    }

    /// Takes the next batch of a partition that is due, with its sequence number.
    fn take_next(&mut self, index: usize, now: Instant) -> Option<Batch> {
        let idempotent = self.shared.config.idempotence;
        if let Some(mut batch) = self.partitions[index].retries.pop_front() {
            if idempotent && batch.sequence.is_none() {
                let sequence = self.partitions[index].draw_sequence(batch.records, now)?;
                batch.resequence(sequence);
            }
            return Some(batch);
        }
        let shared = Arc::clone(&self.partitions[index].shared);
        let mut queue = shared.queue();
        if queue.closed.is_empty() {
            let open = shared.close_open(&mut queue)?;
            self.open.remove(&index);
            drop(queue);
            self.shared.seal_soon(&shared, open, false);
            queue = shared.queue();
        } else {
            self.took_full_batch = true;
        }
        let sealed = queue.closed.front()?.take_sealed()?;
        let handle = queue.closed.pop_front()?;
        drop(queue);
        let key = self.next_key();
        let records = sealed.batch.record_count();
        let sequence =
            if idempotent { self.partitions[index].draw_sequence(records, now) } else { None };
        Some(Batch::new(handle, sealed, key, sequence, self.gate.is_some()))
    }
}
