//! OffsetForLeaderEpoch 2 to 4: where an epoch ended, so that a client can see whether the log was
//! truncated under it (KIP-320).

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use millstream_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use millstream_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use millstream_types::LeaderEpoch;

use super::{Api, Call, Served};
use crate::core::state::State;

impl Api for OffsetForLeaderEpochRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<OffsetForLeaderEpochResponse> {
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|wanted| {
                look_up(state, call, &topic.topic, wanted)
                    .unwrap_or_else(|code| answer(wanted, code))
            });
            OffsetForLeaderTopicResult::default()
                .with_topic(topic.topic.clone())
                .with_partitions(partitions.collect())
        });
        Served::Now(OffsetForLeaderEpochResponse::default().with_topics(topics.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> OffsetForLeaderEpochResponse {
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|wanted| answer(wanted, code));
            OffsetForLeaderTopicResult::default()
                .with_topic(topic.topic.clone())
                .with_partitions(partitions.collect())
        });
        OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
    }
}

fn answer(wanted: &OffsetForLeaderPartition, code: ErrorCode) -> EpochEndOffset {
    EpochEndOffset::default()
        .with_partition(wanted.partition)
        .with_error_code(code.code())
        .with_leader_epoch(-1)
        .with_end_offset(-1)
}

fn look_up(
    state: &State,
    call: &Call,
    topic: &str,
    wanted: &OffsetForLeaderPartition,
) -> Result<EpochEndOffset, ErrorCode> {
    let topic = state.topics.get(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = topic.partition(wanted.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    partition.check_leader(call.node, wanted.current_leader_epoch)?;
    let found = answer(wanted, ErrorCode::None);
    let asked = LeaderEpoch(wanted.leader_epoch);
    Ok(match partition.log.end_of_epoch(asked, partition.epoch) {
        Some((epoch, end)) => found.with_leader_epoch(epoch.0).with_end_offset(end.0),
        None => found,
    })
}
