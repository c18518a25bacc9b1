//! Produce in discard mode (`ClusterConfig::discard`): acknowledges and throws away.
//!
//! For measuring clients alone. The leader, the batch's head and its size are checked, and offsets
//! advance; checksums, records and sequence numbers are not looked at, so any idempotent producer is
//! accepted. Transactions begin and end, but no batch is refused for want of one. A log is always
//! empty: it begins where it ends.

use bytes::Bytes;
use millstream_protocol::ErrorCode;
use millstream_protocol::batch::RawBatch;
use millstream_protocol::messages::produce_response::{
    PartitionProduceResponse, TopicProduceResponse,
};
use millstream_protocol::messages::{ProduceRequest, ProduceResponse};

use super::{Call, Served};
use crate::core::state::State;
use crate::core::topic::{Topic, TopicRef};

/// The first version that names topics by id.
const BY_ID: i16 = 13;

/// Acknowledges every batch of a request.
pub(super) fn serve(
    request: ProduceRequest,
    state: &mut State,
    call: &Call,
) -> Served<ProduceResponse> {
    let mut failed = false;
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for data in request.topic_data {
        let name = TopicRef::of(call.version >= BY_ID, data.topic_id, &data.name);
        let mut topic = state.topics.find_mut(&name);
        let mut answers = Vec::with_capacity(data.partition_data.len());
        for partition in data.partition_data {
            let bytes = partition.records.unwrap_or_default();
            let offset = match &mut topic {
                Ok(topic) => discard(topic, call, partition.index, bytes),
                Err(code) => Err(*code),
            };
            failed |= offset.is_err();
            answers.push(answer(partition.index, offset));
        }
        let response = TopicProduceResponse::default().with_name(data.name);
        let response = response.with_topic_id(data.topic_id);
        responses.push(response.with_partition_responses(answers));
    }
    match (request.acks, failed) {
        (0, true) => Served::Close,
        (0, false) => Served::Silent,
        _ => Served::Now(ProduceResponse::default().with_responses(responses)),
    }
}

/// Counts a batch; gives the offset of its first record.
fn discard(topic: &mut Topic, call: &Call, index: i32, bytes: Bytes) -> Result<i64, ErrorCode> {
    let Topic { partitions, configs, .. } = topic;
    let index = usize::try_from(index).ok();
    let partition = index.and_then(|index| partitions.get_mut(index));
    let partition = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    partition.check_leader(call.node, -1)?;
    if bytes.len() > configs.max_message_bytes {
        return Err(ErrorCode::MessageTooLarge);
    }
    let batch = RawBatch::parse(bytes).map_err(|_| ErrorCode::CorruptMessage)?;
    Ok(partition.log.skip(i64::from(batch.header().last_offset_delta) + 1).0)
}

fn answer(index: i32, offset: Result<i64, ErrorCode>) -> PartitionProduceResponse {
    let answer = PartitionProduceResponse::default().with_index(index);
    match offset {
        Ok(offset) => answer.with_base_offset(offset).with_log_start_offset(offset),
        Err(code) => answer.with_base_offset(-1).with_error_code(code.code()),
    }
}
