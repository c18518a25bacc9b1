//! Reading answers: what became of each batch of a request.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::ProduceResponse;
use millstream_protocol::messages::produce_response::{
    PartitionProduceResponse, TopicProduceResponse,
};
use millstream_types::{BrokerId, LeaderEpoch, Offset, Timestamp, TopicPartition};

use super::batch::Batch;
use super::ends::Failure;
use super::verdict::{Verdict, verdict};
use super::{Cx, InFlight, Part, ProducerMachine};
use crate::config::Endpoint;
use crate::outbox::{RequestFailure, Response, ResponseBody};
use crate::producer::delivery::Outcome;
use crate::producer::error::DeliveryCause;
use crate::producer::metrics::add;

/// A partition's answer, as the machine needs it.
#[derive(Default)]
struct Answer {
    base_offset: Option<Offset>,
    append_time: Option<Timestamp>,
    record_messages: Vec<(u32, String)>,
}

impl ProducerMachine {
    /// A Produce request is answered, or never will be.
    pub(super) fn handle_answer(
        &mut self,
        request: InFlight,
        result: Result<Response, RequestFailure>,
        cx: &mut Cx<'_>,
    ) {
        match result {
            Err(failure) => self.fail_parts(request.parts, &failure, cx),
            Ok(Response { body: ResponseBody::None, .. }) => {
                for part in request.parts {
                    self.conclude(&part, Verdict::Written, None, Answer::default(), cx);
                }
            }
            Ok(response) => match ProduceResponse::try_from(response.body) {
                Ok(response) => self.read_answer(request.parts, response, cx),
                // Another API's answer to our request: as good as none.
                Err(_) => self.leave_out(request.parts, cx),
            },
        }
    }

    /// The request got no answer.
    fn fail_parts(&mut self, parts: Vec<Part>, failure: &RequestFailure, cx: &mut Cx<'_>) {
        let verdict = match failure {
            RequestFailure::UnsupportedVersion { .. } | RequestFailure::Unencodable { .. } => {
                Verdict::Refused
            }
            _ => Verdict::Retry { refresh: true, may_be_written: failure.may_be_applied() },
        };
        for part in parts {
            let cause = DeliveryCause::Request(failure.clone());
            self.conclude(&part, verdict, Some(cause), Answer::default(), cx);
        }
    }

    /// Partitions that an answer leaves out may have been written.
    fn leave_out(&mut self, parts: Vec<Part>, cx: &mut Cx<'_>) {
        for part in parts {
            let verdict = Verdict::Retry { refresh: true, may_be_written: true };
            let cause = Some(DeliveryCause::NotAnswered);
            self.conclude(&part, verdict, cause, Answer::default(), cx);
        }
    }

    fn read_answer(&mut self, mut parts: Vec<Part>, response: ProduceResponse, cx: &mut Cx<'_>) {
        let endpoints: Vec<(BrokerId, Endpoint)> = response
            .node_endpoints
            .iter()
            .filter_map(|node| {
                let endpoint =
                    Endpoint { host: node.host.to_string(), port: u16::try_from(node.port).ok()? };
                Some((BrokerId(node.node_id.0), endpoint))
            })
            .collect();
        for topic in response.responses {
            let TopicProduceResponse { name, topic_id, partition_responses, .. } = topic;
            for answer in partition_responses {
                let is_it = |part: &Part| {
                    let same_topic = if topic_id.is_nil() {
                        part.topic == *name.0.as_str()
                    } else {
                        part.topic_id.0 == topic_id
                    };
                    same_topic && part.partition.value() == answer.index
                };
                // Answers come in the order of the request: the first is nearly always it. A
                // partition answered twice, or never asked for, is passed over.
                let Some(at) = parts.iter().position(is_it) else {
                    continue;
                };
                let part = parts.remove(at);
                self.take_hint(&part, &answer, &endpoints, cx);
                self.read_partition(&part, answer, cx);
            }
        }
        if !parts.is_empty() {
            self.leave_out(parts, cx);
        }
    }

    /// KIP-951: an answer may name the new leader.
    fn take_hint(
        &self,
        part: &Part,
        answer: &PartitionProduceResponse,
        endpoints: &[(BrokerId, Endpoint)],
        cx: &mut Cx<'_>,
    ) {
        let leader = BrokerId(answer.current_leader.leader_id.0);
        if leader.value() < 0 || answer.error_code == 0 {
            return;
        }
        let endpoint = endpoints.iter().find(|(id, _)| *id == leader);
        let partition = TopicPartition::new(&part.topic, part.partition);
        let epoch = LeaderEpoch(answer.current_leader.leader_epoch);
        let endpoint = endpoint.map(|(_, endpoint)| endpoint.clone());
        cx.metadata.update_leader(&partition, leader, epoch, endpoint);
    }

    fn read_partition(&mut self, part: &Part, answer: PartitionProduceResponse, cx: &mut Cx<'_>) {
        let code = ErrorCode::from(answer.error_code);
        let base_offset = (answer.base_offset >= 0).then_some(Offset(answer.base_offset));
        let append_time = answer.log_append_time_ms;
        let append_time = (append_time >= 0).then_some(Timestamp(append_time));
        let record_messages = answer.record_errors.into_iter().filter_map(|error| {
            let message = error.batch_index_error_message?.to_string();
            Some((u32::try_from(error.batch_index).ok()?, message))
        });
        let record_messages = record_messages.collect();
        let verdict = verdict(code, base_offset.is_some());
        let cause = (verdict != Verdict::Written).then(|| DeliveryCause::Broker {
            code,
            message: answer.error_message.map(|message| message.to_string()),
        });
        // A duplicate may be told without its offset.
        let base_offset = base_offset.filter(|_| verdict == Verdict::Written);
        let answer = Answer { base_offset, append_time, record_messages };
        self.conclude(part, verdict, cause, answer, cx);
    }

    /// Does with one batch what the verdict says.
    fn conclude(
        &mut self,
        part: &Part,
        verdict: Verdict,
        cause: Option<DeliveryCause>,
        answer: Answer,
        cx: &mut Cx<'_>,
    ) {
        let index = part.index;
        self.inbox.partitions.push(index);
        let Some((mut batch, is_oldest)) = self.partitions[index].answered(part.key) else {
            return;
        };
        let shared = Arc::clone(&self.partitions[index].shared);
        if verdict == Verdict::Written {
            self.partitions[index].written(batch.sequence);
            self.end_written(&shared, &batch, answer.base_offset, answer.append_time);
            return;
        }
        let cause = cause.unwrap_or(DeliveryCause::NotAnswered);
        tracing::debug!(partition = %shared.id, topic = %shared.topic, %cause, "a batch is not acknowledged");
        batch.last_error = Some(cause.clone());
        if batch.handle.is_resolved() {
            // Its time was up while it was on its way; nobody waits for it any more.
            self.partitions[index].lost(batch.sequence);
            return;
        }
        match verdict {
            Verdict::Retry { refresh, may_be_written } => {
                batch.may_be_written |= may_be_written;
                if refresh {
                    cx.metadata.request_update();
                }
                self.retry(index, batch, cx);
            }
            Verdict::SequenceBroken if batch.sequence.is_some() => {
                if is_oldest {
                    // All before it is settled, so the gap is in the log: it is not there, and
                    // neither is what was sent behind it.
                    batch.may_be_written = false;
                    self.partitions[index].need_epoch();
                }
                self.retry(index, batch, cx);
            }
            Verdict::NewProducer if batch.sequence.is_some() => {
                self.partitions[index].need_id();
                self.retry(index, batch, cx);
            }
            Verdict::TooLarge if batch.records > 1 && !batch.may_be_written => {
                self.split(index, &batch, cx);
            }
            _ => {
                let mut failure = Failure::of(&batch, cause);
                failure.record_messages = answer.record_messages;
                self.end_failed(&shared, &batch.handle, cx.now, failure);
                self.partitions[index].lost(batch.sequence);
            }
        }
    }

    /// Puts a batch back to be sent again, after a wait.
    fn retry(&mut self, index: usize, batch: Batch, cx: &Cx<'_>) {
        if let Some(error) = &batch.last_error {
            self.shared.set_last_error(error.to_string());
        }
        let partition = &mut self.partitions[index];
        if partition.retry(batch) {
            partition.failures += 1;
            let backoff = self.shared.config.retry_backoff;
            let wait = backoff.after(partition.failures, &mut self.rng);
            partition.retry_at = Some(cx.now + wait);
        }
    }

    /// Sends a batch that is too large in two parts (KIP-126).
    fn split(&mut self, index: usize, batch: &Batch, cx: &Cx<'_>) {
        let shared = Arc::clone(&self.partitions[index].shared);
        let mut compressor = shared.common.codec.take();
        let parts = batch.split(&mut compressor);
        shared.common.codec.put_back(compressor);
        match parts {
            Ok(parts) => {
                self.shared.tallies.split_batch(batch.handle.flush_epoch, 2);
                shared.unresolved.fetch_add(1, Ordering::Relaxed);
                add(&self.shared.counters.client.batch_split_total, 1);
                let first = batch.key.part;
                let of = |part: &Batch| (part.key.part - first, Arc::clone(&part.handle));
                let outcome = Outcome::Split(parts.iter().map(of).collect());
                batch.handle.resolve(outcome);
                for part in parts {
                    self.partitions[index].retry(part);
                }
                // The parts take other places in the sequence than the whole.
                self.partitions[index].lost(batch.sequence);
            }
            Err(error) => {
                let failure = Failure::of(batch, DeliveryCause::Split(error));
                self.end_failed(&shared, &batch.handle, cx.now, failure);
                self.partitions[index].lost(batch.sequence);
            }
        }
    }
}
