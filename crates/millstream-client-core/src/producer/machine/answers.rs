//! Reading answers: what became of each batch of a request.

use std::collections::VecDeque;
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
use super::stage::{Stage, StageEvent};
use super::verdict::{Verdict, verdict};
use super::{Cx, InFlight, Part, ProducerMachine};
use crate::config::Endpoint;
use crate::outbox::{RequestFailure, Response, ResponseBody};
use crate::producer::delivery::Outcome;
use crate::producer::error::{DeliveryCause, RecordErrors};
use crate::producer::metrics::add;

/// Why a batch is not acknowledged.
struct Refusal {
    cause: DeliveryCause,
    record_errors: RecordErrors,
    /// Whether the broker got the request.
    was_sent: bool,
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
                    self.conclude_written(&part, None, None, cx);
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
        let may_be_written = failure.may_be_applied();
        let verdict = match failure {
            RequestFailure::UnsupportedVersion { .. } | RequestFailure::Unencodable { .. } => {
                Verdict::Refused
            }
            _ => Verdict::Retry { refresh: true, may_be_written },
        };
        for part in parts {
            let cause = DeliveryCause::Request(failure.clone());
            let record_errors = RecordErrors::default();
            let refusal = Refusal { cause, record_errors, was_sent: may_be_written };
            self.conclude(&part, verdict, refusal, cx);
        }
    }

    /// Partitions that an answer leaves out may have been written.
    fn leave_out(&mut self, parts: impl IntoIterator<Item = Part>, cx: &mut Cx<'_>) {
        for part in parts {
            let verdict = Verdict::Retry { refresh: true, may_be_written: true };
            let cause = DeliveryCause::NotAnswered;
            let record_errors = RecordErrors::default();
            self.conclude(&part, verdict, Refusal { cause, record_errors, was_sent: true }, cx);
        }
    }

    fn read_answer(&mut self, parts: Vec<Part>, response: ProduceResponse, cx: &mut Cx<'_>) {
        let endpoints: Vec<(BrokerId, Endpoint)> = response
            .node_endpoints
            .iter()
            .filter_map(|node| {
                let endpoint =
                    Endpoint { host: node.host.to_string(), port: u16::try_from(node.port).ok()? };
                Some((BrokerId(node.node_id.0), endpoint))
            })
            .collect();
        let mut parts = VecDeque::from(parts);
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
                let at = parts.iter().position(is_it);
                let Some(part) = at.and_then(|at| parts.remove(at)) else {
                    continue;
                };
                self.take_hint(&part, &answer, &endpoints, cx);
                self.read_partition(&part, answer, cx);
            }
        }
        self.leave_out(parts, cx);
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
        let verdict = verdict(code, base_offset.is_some());
        if verdict == Verdict::Written {
            return self.conclude_written(part, base_offset, append_time, cx);
        }
        let named = answer.record_errors.into_iter().filter_map(|error| {
            let message = error.batch_index_error_message.map(|message| message.to_string());
            Some((u32::try_from(error.batch_index).ok()?, message))
        });
        let record_errors = RecordErrors::new(code, named.collect());
        let message = answer.error_message.map(|message| message.to_string());
        let cause = DeliveryCause::Broker { code, message };
        self.conclude(part, verdict, Refusal { cause, record_errors, was_sent: true }, cx);
    }

    /// A batch is in the log.
    fn conclude_written(
        &mut self,
        part: &Part,
        base_offset: Option<Offset>,
        append_time: Option<Timestamp>,
        cx: &Cx<'_>,
    ) {
        let index = part.index;
        self.inbox.partitions.push(index);
        let partition = &mut self.partitions[index];
        let Some((mut batch, _)) = partition.answered(part.key) else {
            return;
        };
        partition.written(batch.sequence, cx.now);
        // A topic made anew has other offsets.
        let base_offset = base_offset.filter(|_| partition.topic_id == part.topic_id);
        if batch.stage == Stage::OnTheWay {
            batch.stage = batch.stage.on(StageEvent::End);
            self.end_written(index, &batch, base_offset, append_time);
        }
    }

    /// Does with a batch that is not acknowledged what the verdict says.
    fn conclude(&mut self, part: &Part, verdict: Verdict, refusal: Refusal, cx: &mut Cx<'_>) {
        let index = part.index;
        self.inbox.partitions.push(index);
        let Some((mut batch, is_oldest)) = self.partitions[index].answered(part.key) else {
            return;
        };
        let Refusal { cause, record_errors, was_sent } = refusal;
        let (topic, id) = (&part.topic, part.partition);
        tracing::debug!(%topic, partition = %id, %cause, "a batch is not acknowledged");
        if let Verdict::Retry { refresh: true, .. } = verdict {
            cx.metadata.request_update();
        }
        if batch.stage == Stage::GivenUp {
            // Nobody waits for it any more; the sequence does.
            self.partitions[index].lost(batch.sequence);
            return;
        }
        batch.may_be_written |= verdict.may_be_written();
        batch.last_error = Some(cause.clone());
        batch.retries += u32::from(was_sent);
        let may_retry = batch.retries <= self.shared.config.retries;
        let is_ours = batch.sequence.is_some() && self.gate.is_none();
        match verdict {
            Verdict::Retry { .. } if may_retry => return self.retry(index, batch, cx),
            Verdict::SequenceBroken if batch.sequence.is_some() && !is_oldest && may_retry => {
                return self.retry(index, batch, cx);
            }
            Verdict::SequenceBroken if is_oldest && batch.sequence.is_some() => {
                // All before it is settled, so the gap is in the log: it is not there, and neither
                // is what was sent behind it.
                batch.may_be_written = false;
                if is_ours && may_retry {
                    self.retry(index, batch, cx);
                    return self.partitions[index].need_epoch();
                }
                self.partitions[index].need_epoch();
            }
            Verdict::NewProducer if is_ours && may_retry => {
                self.retry(index, batch, cx);
                return self.partitions[index].need_id();
            }
            Verdict::TooLarge if batch.records > 1 && !batch.may_be_written => {
                return self.split(index, batch, cx);
            }
            _ => {}
        }
        let mut failure = Failure::of(&batch, cause);
        failure.record_errors = record_errors;
        self.partitions[index].lost(batch.sequence);
        self.end_failed(index, batch.key, &batch.handle, cx.now, failure);
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

    /// Sends a batch that is too large in two parts (KIP-126). As Java does: at once, and without
    /// counting it as a retry.
    fn split(&mut self, index: usize, mut batch: Batch, cx: &Cx<'_>) {
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
                batch.stage = batch.stage.on(StageEvent::Divide);
                batch.handle.resolve(outcome);
                self.partitions[index].split(batch.sequence, parts);
            }
            Err(error) => {
                self.end_batch(index, batch, cx.now, |_| DeliveryCause::Split(error.clone()));
            }
        }
    }
}
