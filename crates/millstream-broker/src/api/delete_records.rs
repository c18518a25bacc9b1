//! DeleteRecords 0 to 2: moves the start of a log forward (KIP-107).
//!
//! Offset -1 means the high watermark. Topics whose `cleanup.policy` is `compact` alone refuse with
//! `POLICY_VIOLATION`, as in Kafka.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::delete_records_request::DeleteRecordsPartition;
use millstream_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use millstream_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use millstream_types::Offset;

use super::{Api, Call, Served};
use crate::core::state::State;

/// The high watermark.
const ALL: i64 = -1;

impl Api for DeleteRecordsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<DeleteRecordsResponse> {
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|wanted| {
                match delete(state, call, &topic.name, wanted) {
                    Ok(start) => result(wanted, ErrorCode::None).with_low_watermark(start.0),
                    Err(code) => result(wanted, code),
                }
            });
            DeleteRecordsTopicResult::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        Served::Now(DeleteRecordsResponse::default().with_topics(topics.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> DeleteRecordsResponse {
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|wanted| result(wanted, code));
            DeleteRecordsTopicResult::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        DeleteRecordsResponse::default().with_topics(topics.collect())
    }
}

fn result(wanted: &DeleteRecordsPartition, code: ErrorCode) -> DeleteRecordsPartitionResult {
    DeleteRecordsPartitionResult::default()
        .with_partition_index(wanted.partition_index)
        .with_low_watermark(-1)
        .with_error_code(code.code())
}

fn delete(
    state: &mut State,
    call: &Call,
    topic: &str,
    wanted: &DeleteRecordsPartition,
) -> Result<Offset, ErrorCode> {
    let topic = state.topics.topic_mut(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let deletable = topic.configs.deletable;
    let partition =
        topic.partition_mut(wanted.partition_index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    partition.check_leader(call.node, -1)?;
    if !deletable {
        return Err(ErrorCode::PolicyViolation);
    }
    let end = partition.log.end();
    let before = match wanted.offset {
        ALL => end,
        offset if (0..=end.0).contains(&offset) => Offset(offset),
        _ => return Err(ErrorCode::OffsetOutOfRange),
    };
    partition.log.delete_before(before);
    Ok(partition.log.start())
}
