//! Produce 3 to 13: appends one batch per partition, for all `acks`.
//!
//! A batch is validated as `LogValidator` does by its header and checksum: exactly one whole batch
//! of format 2, no control batch, consistent counts, a known codec. Records are looked at only for
//! null keys where the topic is compacted, and for times where the header shows one that is out of
//! range. Idempotence and transactions are checked by
//! [`Producers`](crate::core::producers::Producers): a transactional batch needs a transaction that
//! its coordinator knows of, to which versions from 12 on add the partition (KIP-890). With `acks=all` nothing is waited for, because
//! nothing is replicated; too small an ISR refuses the batch. An error with `acks=0` closes the
//! connection, as in Kafka, so that the client looks for the leader anew. Omitted: recompression
//! (`compression.type`).

mod gate;
mod validate;

use std::time::Duration;

use bytes::Bytes;
use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    TopicProduceResponse,
};
use millstream_protocol::messages::{ProduceRequest, ProduceResponse};
use millstream_types::{BrokerId, Timestamp, TimestampType};

use super::{Api, Call, Served, text};
use crate::core::configs::TopicConfigs;
use crate::core::producers::SequenceCheck;
use crate::core::state::{Refused, State};
use crate::core::topic::{Partition, Topic, TopicRef};
use gate::Gate;
use validate::{Invalid, stamp, validate};

/// `acks=all`.
const ALL: i16 = -1;
/// The first version that names topics by id.
const BY_ID: i16 = 13;
/// The first version that tells which records are at fault (KIP-467).
const TELLS_RECORDS: i16 = 8;
/// The first version that tells the leader (KIP-951).
const TELLS_LEADER: i16 = 10;

impl Api for ProduceRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<ProduceResponse> {
        if !matches!(self.acks, -1..=1) {
            return Served::Now(self.refuse(call.version, ErrorCode::InvalidRequiredAcks));
        }
        let gate = match Gate::open(state, call, &self) {
            Ok(gate) => gate,
            Err(_) if self.acks == 0 => return Served::Close,
            Err(code) => return Served::Now(self.refuse(call.version, code)),
        };
        if state.config.discard {
            return super::discard::serve(self, state, call);
        }
        let mut failed = false;
        let mut leaders = Vec::new();
        let mut responses = Vec::with_capacity(self.topic_data.len());
        for (at, data) in self.topic_data.into_iter().enumerate() {
            let topic = TopicRef::of(call.version >= BY_ID, data.topic_id, &data.name);
            let mut partitions = Vec::with_capacity(data.partition_data.len());
            for (index, partition) in data.partition_data.into_iter().enumerate() {
                let verdict = gate.verdict((at, index));
                let answer =
                    append(state, call, self.acks, &topic, partition, verdict, &mut leaders);
                failed |= answer.error_code != 0;
                partitions.push(answer);
            }
            responses.push(
                TopicProduceResponse::default()
                    .with_name(data.name)
                    .with_topic_id(data.topic_id)
                    .with_partition_responses(partitions),
            );
        }
        if self.acks == 0 {
            return if failed { Served::Close } else { Served::Silent };
        }
        let mut response = ProduceResponse::default().with_responses(responses);
        if call.version >= TELLS_LEADER {
            response.node_endpoints = endpoints(state, leaders);
        }
        Served::Now(response)
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> ProduceResponse {
        let responses = self.topic_data.iter().map(|data| {
            let partitions = data.partition_data.iter();
            let partitions = partitions.map(|partition| failure(partition.index, code));
            TopicProduceResponse::default()
                .with_name(data.name.clone())
                .with_topic_id(data.topic_id)
                .with_partition_responses(partitions.collect())
        });
        ProduceResponse::default().with_responses(responses.collect())
    }
}

fn failure(index: i32, code: ErrorCode) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(code.code())
        .with_base_offset(-1)
}

fn endpoints(state: &State, mut leaders: Vec<BrokerId>) -> Vec<NodeEndpoint> {
    leaders.sort_unstable();
    leaders.dedup();
    let nodes = leaders.into_iter().filter_map(|id| state.nodes.get(id));
    nodes
        .map(|node| {
            NodeEndpoint::default()
                .with_node_id(m::BrokerId(node.id.0))
                .with_host(text(&node.host))
                .with_port(i32::from(node.port))
        })
        .collect()
}

fn append(
    state: &mut State,
    call: &Call,
    acks: i16,
    topic: &TopicRef,
    data: m::produce_request::PartitionProduceData,
    verdict: Option<&Result<(), Refused>>,
    leaders: &mut Vec<BrokerId>,
) -> PartitionProduceResponse {
    let found = match state.topics.find_mut(topic) {
        Ok(topic) => topic,
        Err(code) => return failure(data.index, code),
    };
    let Topic { partitions, configs, .. } = found;
    let index = usize::try_from(data.index).ok();
    let Some(partition) = index.and_then(|index| partitions.get_mut(index)) else {
        return failure(data.index, ErrorCode::UnknownTopicOrPartition);
    };
    if let Err(code) = partition.check_leader(call.node, -1) {
        let mut answer = failure(data.index, code);
        if call.version >= TELLS_LEADER
            && let Some(leader) = partition.leader
        {
            leaders.push(leader);
            answer.current_leader = LeaderIdAndEpoch::default()
                .with_leader_id(m::BrokerId(leader.0))
                .with_leader_epoch(partition.epoch.0);
        }
        return answer;
    }
    let needed = configs.min_insync_replicas.min(partition.replicas.len());
    if acks == ALL && partition.isr.len() < needed {
        return failure(data.index, ErrorCode::NotEnoughReplicas);
    }
    let log_start = partition.log.start();
    let bytes = data.records.unwrap_or_default();
    let expiration = state.config.transactions.producer_expiration;
    let appended = match verdict {
        Some(Err(refused)) => Err(refused.clone()),
        _ => append_batch(partition, configs, call, expiration, bytes, verdict.is_some()),
    };
    match appended {
        Ok(answer) => {
            state.woken.extend(partition.waiting.drain(..));
            answer.with_index(data.index)
        }
        Err(refused) => {
            let mut answer = failure(data.index, refused.code);
            if tells_log_start(refused.code) {
                answer.log_start_offset = log_start.0;
            }
            if call.version >= TELLS_RECORDS && !refused.message.is_empty() {
                answer.error_message = Some(text(refused.message));
            }
            answer
        }
    }
}

/// Whether a refusal comes with the start of the log, as `ReplicaManager.appendToLocalLog` decides.
const fn tells_log_start(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::OutOfOrderSequenceNumber | ErrorCode::InvalidProducerEpoch)
}

fn append_batch(
    partition: &mut Partition,
    configs: &TopicConfigs,
    call: &Call,
    expiration: Duration,
    bytes: Bytes,
    verified: bool,
) -> Result<PartitionProduceResponse, Refused> {
    let header = match validate(&bytes, configs, call.version, call.wall) {
        Ok(header) => header,
        Err(Invalid::Batch(refused)) => return Err(refused),
        Err(Invalid::Records { code, records, reason }) => {
            return Ok(rejected(partition, call.version, code, &records, reason));
        }
    };
    let answer = PartitionProduceResponse::default();
    if header.producer_id.0 >= 0 {
        partition.log.producers.expire(call.wall, expiration);
        if let SequenceCheck::Duplicate { base_offset, timestamp } =
            partition.log.producers.check(&header, verified)?
        {
            return Ok(answer
                .with_base_offset(base_offset.0)
                .with_log_append_time_ms(timestamp.0)
                .with_log_start_offset(partition.log.start().0));
        }
    }
    let (bytes, max_timestamp, append_time) = match configs.timestamp_type {
        TimestampType::CreateTime => (bytes, header.max_timestamp, Timestamp::NONE),
        TimestampType::LogAppendTime => (stamp(&bytes, call.wall), call.wall, call.wall),
    };
    let epoch = partition.epoch;
    let base = partition.log.append(&header, bytes, epoch, max_timestamp);
    if header.producer_id.0 >= 0 {
        partition.log.producers.appended(&header, base, max_timestamp);
    }
    Ok(answer
        .with_base_offset(base.0)
        .with_log_append_time_ms(append_time.0)
        .with_log_start_offset(partition.log.start().0))
}

/// The answer to a batch of which some records cannot be taken: none was (KIP-467).
fn rejected(
    partition: &Partition,
    version: i16,
    code: ErrorCode,
    records: &[i32],
    reason: &str,
) -> PartitionProduceResponse {
    let answer = failure(0, code).with_log_start_offset(partition.log.start().0);
    if version < TELLS_RECORDS {
        return answer;
    }
    let errors = records.iter().map(|index| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(*index)
            .with_batch_index_error_message(Some(text(reason)))
    });
    answer
        .with_record_errors(errors.collect())
        .with_error_message(Some(text("One or more records have been rejected")))
}
