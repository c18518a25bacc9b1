//! OffsetCommit 2 to the newest: keeps the offsets of a group, with leader epoch and metadata.
//!
//! Topics must exist. Omitted: expiry (`retention_time_ms` is ignored, offsets stay until they or
//! their topic are deleted).

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::OffsetCommitRequest;
use millstream_protocol::messages::OffsetCommitResponse;
use millstream_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use millstream_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use millstream_types::TopicName;

use super::{Api, Call, Served, instance};
use crate::core::group::{CommitRequest, CommittedOffset};
use crate::core::state::State;
use crate::core::topic::TopicRef;

/// The first version that names topics by id.
const BY_ID: i16 = 10;

impl Api for OffsetCommitRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<OffsetCommitResponse> {
        if let Err(code) = check(state, call, &self) {
            return Served::Now(self.refuse(call.version, code));
        }
        let topics = self.topics.iter().map(|topic| {
            let name = TopicRef::of(call.version >= BY_ID, topic.topic_id, &topic.name);
            let partitions = topic.partitions.iter().map(|wanted| {
                let committed = commit(state, call, &self.group_id, &name, wanted);
                partition(wanted, committed.err().unwrap_or(ErrorCode::None))
            });
            answer(topic, partitions.collect())
        });
        Served::Now(OffsetCommitResponse::default().with_topics(topics.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> OffsetCommitResponse {
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter();
            answer(topic, partitions.map(|wanted| partition(wanted, code)).collect())
        });
        OffsetCommitResponse::default().with_topics(topics.collect())
    }
}

fn answer(
    topic: &OffsetCommitRequestTopic,
    partitions: Vec<OffsetCommitResponsePartition>,
) -> OffsetCommitResponseTopic {
    OffsetCommitResponseTopic::default()
        .with_name(topic.name.clone())
        .with_topic_id(topic.topic_id)
        .with_partitions(partitions)
}

fn partition(
    wanted: &OffsetCommitRequestPartition,
    code: ErrorCode,
) -> OffsetCommitResponsePartition {
    OffsetCommitResponsePartition::default()
        .with_partition_index(wanted.partition_index)
        .with_error_code(code.code())
}

fn check(state: &mut State, call: &Call, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
    state.check_coordinator(call.node, &request.group_id)?;
    let committer = CommitRequest {
        member: request.member_id.as_str().into(),
        instance: instance(request.group_instance_id.as_ref()),
        generation: request.generation_id_or_member_epoch,
    };
    // Who manages its own assignment may commit to a group that does not exist yet.
    let create = committer.generation < 0;
    let checked = state.with_group(&request.group_id, call.now, create, |group, cx| {
        group.check_commit(cx, &committer)
    });
    checked.unwrap_or(Err(ErrorCode::IllegalGeneration))
}

fn commit(
    state: &mut State,
    call: &Call,
    group: &str,
    topic: &TopicRef,
    wanted: &OffsetCommitRequestPartition,
) -> Result<(), ErrorCode> {
    let found = state.topics.find(topic)?;
    if found.partition(wanted.partition_index).is_none() {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    let metadata = wanted.committed_metadata.as_deref().unwrap_or_default();
    if metadata.len() > state.config.groups.offset_metadata_max_bytes {
        return Err(ErrorCode::OffsetMetadataTooLarge);
    }
    let name: TopicName = found.name.clone();
    let offset = CommittedOffset {
        offset: wanted.committed_offset,
        leader_epoch: wanted.committed_leader_epoch,
        metadata: metadata.to_owned(),
    };
    state.with_group(group, call.now, false, |group, _| {
        group.commit(name, wanted.partition_index, offset);
    });
    Ok(())
}
