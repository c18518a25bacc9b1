//! What the machine counts, and which brokers it tells callers to avoid.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use millstream_types::BrokerId;

use super::batch::Batch;
use super::{InFlight, ProducerMachine};
use crate::outbox::{RequestFailure, Response};
use crate::producer::metrics::add;
use crate::timer::earliest;

impl ProducerMachine {
    /// A batch goes into a request.
    pub(super) fn count_batch(&self, index: usize, batch: &Batch, now: Instant) {
        let records = u64::from(batch.records.unsigned_abs());
        let bytes = batch.bytes.len() as u64;
        let client = &self.shared.counters.client;
        let topic = &self.partitions[index].shared.common.counters;
        add(&client.record_send_total, records);
        add(&topic.record_send_total, records);
        add(&topic.byte_total, bytes);
        client.batch_size.record(bytes);
        if batch.attempts == 0 {
            let waited = now.saturating_duration_since(batch.handle.opened);
            client.record_queue_time_us.record_time(waited);
        } else {
            add(&client.record_retry_total, records);
            add(&topic.record_retry_total, records);
        }
    }

    /// A request goes to a broker.
    pub(super) fn count_request(&self, to: BrokerId, records: u64, bytes: usize) {
        let client = &self.shared.counters.client;
        add(&client.produce_request_total, 1);
        client.records_per_request.record(records);
        let Some(broker) = self.brokers.get(&to) else { return };
        add(&broker.counters.request_total, 1);
        add(&broker.counters.outgoing_byte_total, bytes as u64);
    }

    /// A request has its answer, or will never have one.
    pub(super) fn count_answer(
        &mut self,
        request: &InFlight,
        result: &Result<Response, RequestFailure>,
        now: Instant,
    ) {
        let client = &self.shared.counters.client;
        add(&client.produce_response_total, 1);
        let Some(broker) = self.brokers.get_mut(&request.broker) else { return };
        broker.waits_since = (broker.in_flight > 0).then_some(now);
        add(&broker.counters.response_total, 1);
        let Ok(response) = result else { return };
        let latency = now.saturating_duration_since(request.sent_at);
        client.request_latency_us.record_time(latency);
        broker.counters.request_latency_us.record_time(latency);
        let throttle = u64::from(response.body.throttle_time_ms().unsigned_abs());
        client.produce_throttle_time_us.record_time(Duration::from_millis(throttle));
    }

    /// Tells callers of brokers that have not answered for `partitioner.availability.timeout.ms`,
    /// and of those that answer again.
    pub(super) fn note_availability(&mut self, now: Instant) {
        let timeout = self.shared.config.availability_timeout;
        if timeout.is_zero() {
            return;
        }
        let mut changed = false;
        for broker in self.brokers.values_mut() {
            let is_avoided = broker.waits_since.is_some_and(|since| since + timeout <= now);
            changed |= is_avoided != broker.is_avoided;
            broker.is_avoided = is_avoided;
        }
        if changed {
            self.spread_availability();
        }
    }

    /// Tells the partitions what their leaders' availability is.
    pub(super) fn spread_availability(&self) {
        if self.shared.config.availability_timeout.is_zero() {
            return;
        }
        for partition in &self.partitions {
            let leader = partition.leader.and_then(|leader| self.brokers.get(&leader));
            let is_avoided = leader.is_some_and(|leader| leader.is_avoided);
            partition.shared.is_avoided.store(is_avoided, Ordering::Relaxed);
        }
    }

    /// When the next broker will have been silent for too long.
    pub(super) fn availability_timeout(&self) -> Option<Instant> {
        let timeout = self.shared.config.availability_timeout;
        if timeout.is_zero() {
            return None;
        }
        let waiting = self.brokers.values().filter(|broker| !broker.is_avoided);
        let waiting = waiting.map(|broker| broker.waits_since.map(|since| since + timeout));
        waiting.fold(None, earliest)
    }
}
