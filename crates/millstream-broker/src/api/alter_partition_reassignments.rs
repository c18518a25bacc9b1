//! AlterPartitionReassignments 0 to the newest: moves partitions to other replicas or cancels moves
//! (KIP-455), checked as `ReplicationControlManager.alterPartitionReassignments` does.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::alter_partition_reassignments_request::ReassignablePartition;
use millstream_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use millstream_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
};
use millstream_types::BrokerId;

use super::create_topics::check_replicas;
use super::{Api, Call, Served, sentence, text};
use crate::core::state::{Refused, State};

/// The first version that may forbid another number of replicas (KIP-860).
const GUARDS_FACTOR: i16 = 1;

impl Api for AlterPartitionReassignmentsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<AlterPartitionReassignmentsResponse> {
        let keep_factor = call.version >= GUARDS_FACTOR && !self.allow_replication_factor_change;
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|wanted| {
                let moved = reassign(state, call, &topic.name, wanted, keep_factor);
                answer(wanted.partition_index, moved.err())
            });
            ReassignableTopicResponse::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        let topics = topics.collect();
        let mut response = AlterPartitionReassignmentsResponse::default().with_error_message(None);
        if call.version >= GUARDS_FACTOR {
            response.allow_replication_factor_change = self.allow_replication_factor_change;
        }
        Served::Now(response.with_responses(topics))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> AlterPartitionReassignmentsResponse {
        AlterPartitionReassignmentsResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(sentence(code)))
    }
}

fn reassign(
    state: &mut State,
    call: &Call,
    topic: &str,
    wanted: &ReassignablePartition,
    keep_factor: bool,
) -> Result<(), Refused> {
    let index = wanted.partition_index;
    let unknown = |why: String| Refused::new(ErrorCode::UnknownTopicOrPartition, why);
    let found = state.topics.get(topic);
    let found = found.ok_or_else(|| unknown(format!("Unable to find a topic named {topic}.")))?;
    let partition = found.partition(index);
    let partition =
        partition.ok_or_else(|| unknown(format!("Unable to find partition {topic}:{index}.")))?;
    let Some(target) = &wanted.replicas else {
        return state.cancel_move(topic, index);
    };
    let target: Vec<_> = target.iter().map(|id| BrokerId(id.0)).collect();
    check_replicas(state, &target, target.len())?;
    let (current, new) = (partition.factor(), target.len());
    if keep_factor && current != new {
        let why = format!("The replication factor is changed from {current} to {new}");
        return Err(Refused::new(ErrorCode::InvalidReplicationFactor, why));
    }
    state.reassign(topic, index, target, call.now)
}

fn answer(index: i32, refused: Option<Refused>) -> ReassignablePartitionResponse {
    let answer = ReassignablePartitionResponse::default()
        .with_partition_index(index)
        .with_error_message(None);
    match refused {
        None => answer,
        Some(refused) => answer
            .with_error_code(refused.code.code())
            .with_error_message(Some(refused.message).filter(|why| !why.is_empty()).map(text)),
    }
}

/// The answer that says `code` of each partition.
pub(super) fn refuse_partitions(
    request: &AlterPartitionReassignmentsRequest,
    _: i16,
    code: ErrorCode,
) -> Option<AlterPartitionReassignmentsResponse> {
    let topics = request.topics.iter().map(|topic| {
        let refused = || Some(Refused::new(code, sentence(code).as_str()));
        let partitions =
            topic.partitions.iter().map(|wanted| answer(wanted.partition_index, refused()));
        ReassignableTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    Some(AlterPartitionReassignmentsResponse::default().with_responses(topics.collect()))
}
