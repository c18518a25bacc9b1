//! ElectLeaders 0 to the newest: makes the preferred replica the leader, or any that is alive where
//! nobody leads (KIP-183, KIP-460). Without a list all partitions are tried and those that need it
//! are answered.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::elect_leaders_response::{
    PartitionResult, ReplicaElectionResult,
};
use millstream_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

use super::{Api, Call, Served, sentence, text, topic_name};
use crate::core::reassign::Election;
use crate::core::state::{Refused, State};

impl Api for ElectLeadersRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<ElectLeadersResponse> {
        // Version 0 knows preferred leaders alone.
        let election = match self.election_type {
            0 => Election::Preferred,
            1 => Election::Unclean,
            _ => return Served::Now(self.refuse(call.version, ErrorCode::InvalidRequest)),
        };
        let wanted: Vec<(m::TopicName, Vec<i32>)> = match &self.topic_partitions {
            Some(topics) => {
                topics.iter().map(|topic| (topic.topic.clone(), topic.partitions.clone())).collect()
            }
            None => every(state),
        };
        let all = self.topic_partitions.is_none();
        let mut results = Vec::new();
        for (topic, indexes) in wanted {
            let partitions = indexes.iter().map(|index| {
                let elected = state.elect(&topic, *index, election);
                answer(*index, elected.err())
            });
            let needed = |one: &PartitionResult| {
                !all || one.error_code != ErrorCode::ElectionNotNeeded.code()
            };
            let partitions: Vec<_> = partitions.filter(needed).collect();
            if !partitions.is_empty() {
                results.push(
                    ReplicaElectionResult::default()
                        .with_topic(topic)
                        .with_partition_result(partitions),
                );
            }
        }
        Served::Now(ElectLeadersResponse::default().with_replica_election_results(results))
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> ElectLeadersResponse {
        let response = refuse_partitions(self, version, code).unwrap_or_default();
        if version >= 1 { response.with_error_code(code.code()) } else { response }
    }
}

fn every(state: &State) -> Vec<(m::TopicName, Vec<i32>)> {
    let topics = state.topics.iter();
    topics
        .map(|topic| {
            let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            (topic_name(topic.name.as_str()), (0..count).collect())
        })
        .collect()
}

fn answer(index: i32, refused: Option<Refused>) -> PartitionResult {
    let answer = PartitionResult::default().with_partition_id(index).with_error_message(None);
    match refused {
        None => answer,
        Some(refused) => answer
            .with_error_code(refused.code.code())
            .with_error_message(Some(text(refused.message))),
    }
}

/// The answer that says `code` of each partition.
pub(super) fn refuse_partitions(
    request: &ElectLeadersRequest,
    _: i16,
    code: ErrorCode,
) -> Option<ElectLeadersResponse> {
    let topics = request.topic_partitions.iter().flatten().map(|topic| {
        let refused = || Some(Refused::new(code, sentence(code).as_str()));
        let partitions = topic.partitions.iter().map(|index| answer(*index, refused()));
        ReplicaElectionResult::default()
            .with_topic(topic.topic.clone())
            .with_partition_result(partitions.collect())
    });
    Some(ElectLeadersResponse::default().with_replica_election_results(topics.collect()))
}
