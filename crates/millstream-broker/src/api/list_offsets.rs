//! ListOffsets 1 to the newest: offsets by time, or the ends of the log.
//!
//! Special times: -1 the end, -2 the start, -3 the record with the largest time (KIP-734), -4 the
//! local start (as -2, since nothing is tiered), -5 and -6 the tiered ends (never any, so offset
//! -1). For who reads committed records the end is the last stable offset, and nothing is found behind
//! it.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::list_offsets_request::ListOffsetsPartition;
use millstream_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use millstream_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use millstream_types::{Offset, Timestamp};

use super::{Api, Call, Served};
use crate::core::batch::first_since;
use crate::core::log::Log;
use crate::core::state::State;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

impl Api for ListOffsetsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<ListOffsetsResponse> {
        let committed_only = self.isolation_level == 1;
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|wanted| {
                let found = look_up(state, call, &topic.name, wanted, committed_only);
                let found = found.unwrap_or_else(|code| failure(wanted.partition_index, code));
                // Older versions cannot say an epoch.
                let epoch = if call.version >= 4 { found.leader_epoch } else { -1 };
                found.with_leader_epoch(epoch)
            });
            ListOffsetsTopicResponse::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        Served::Now(ListOffsetsResponse::default().with_topics(topics.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> ListOffsetsResponse {
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter();
            let partitions = partitions.map(|wanted| failure(wanted.partition_index, code));
            ListOffsetsTopicResponse::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        ListOffsetsResponse::default().with_topics(topics.collect())
    }
}

fn failure(index: i32, code: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse::default()
        .with_partition_index(index)
        .with_error_code(code.code())
        .with_timestamp(-1)
        .with_offset(-1)
}

fn look_up(
    state: &State,
    call: &Call,
    topic: &str,
    wanted: &ListOffsetsPartition,
    committed_only: bool,
) -> Result<ListOffsetsPartitionResponse, ErrorCode> {
    let topic = state.topics.get(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition =
        topic.partition(wanted.partition_index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    partition.check_leader(call.node, wanted.current_leader_epoch)?;
    check_time(wanted.timestamp, call.version)?;
    let log = &partition.log;
    let end = log.readable_end(committed_only);
    let mut answer = failure(wanted.partition_index, ErrorCode::None);
    let found = match wanted.timestamp {
        LATEST => {
            answer.offset = end.0;
            answer.leader_epoch = partition.epoch.0;
            return Ok(answer);
        }
        EARLIEST | EARLIEST_LOCAL => {
            answer.offset = log.start().0;
            answer.leader_epoch = log.epoch_at(log.start()).map_or(-1, |epoch| epoch.0);
            return Ok(answer);
        }
        MAX_TIMESTAMP => latest_by_time(log),
        time if time >= 0 => since(log, Timestamp(time)),
        _ => None,
    };
    if let Some((offset, time)) = found.filter(|(offset, _)| *offset < end) {
        answer.offset = offset.0;
        answer.timestamp = time.0;
        answer.leader_epoch = log.epoch_at(offset).map_or(-1, |epoch| epoch.0);
    }
    Ok(answer)
}

/// Special times came with the versions (`ReplicaManager.fetchOffset`).
const fn check_time(time: i64, version: i16) -> Result<(), ErrorCode> {
    let since = match time {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        EARLIEST | LATEST | 0.. => 0,
        _ => return Err(ErrorCode::UnsupportedVersion),
    };
    if version < since { Err(ErrorCode::UnsupportedVersion) } else { Ok(()) }
}

fn since(log: &Log, time: Timestamp) -> Option<(Offset, Timestamp)> {
    let mut batches = log.batches_since(time);
    let found = batches.find_map(|batch| first_since(batch, time, log.start()))?;
    Some((found.offset, found.timestamp))
}

fn latest_by_time(log: &Log) -> Option<(Offset, Timestamp)> {
    let batch = log.latest_by_time()?;
    let found = first_since(batch, batch.max_timestamp, log.start())?;
    Some((found.offset, found.timestamp))
}
