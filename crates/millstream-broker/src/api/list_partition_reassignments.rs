//! ListPartitionReassignments 0: the moves of partitions that are under way (KIP-455).

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use millstream_protocol::messages::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::metadata::broker_ids;
use super::{Api, Call, Served, sentence, topic_name};
use crate::core::state::State;
use crate::core::topic::Topic;

impl Api for ListPartitionReassignmentsRequest {
    fn serve(self, state: &mut State, _: &Call) -> Served<ListPartitionReassignmentsResponse> {
        let wants = |topic: &Topic, index: i32| {
            self.topics.as_ref().is_none_or(|topics| {
                topics.iter().any(|wanted| {
                    wanted.name.as_str() == topic.name.as_str()
                        && wanted.partition_indexes.contains(&index)
                })
            })
        };
        let topics = state.topics.iter().filter_map(|topic| {
            let moving = topic.partitions.iter().zip(0..).filter_map(|(partition, index)| {
                let running = partition.reassignment.as_ref().filter(|_| wants(topic, index))?;
                Some(
                    OngoingPartitionReassignment::default()
                        .with_partition_index(index)
                        .with_replicas(broker_ids(partition.replicas.iter().copied()))
                        .with_adding_replicas(broker_ids(running.adding()))
                        .with_removing_replicas(broker_ids(running.removing())),
                )
            });
            let moving: Vec<_> = moving.collect();
            (!moving.is_empty()).then(|| {
                OngoingTopicReassignment::default()
                    .with_name(topic_name(topic.name.as_str()))
                    .with_partitions(moving)
            })
        });
        let response = ListPartitionReassignmentsResponse::default().with_error_message(None);
        Served::Now(response.with_topics(topics.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> ListPartitionReassignmentsResponse {
        ListPartitionReassignmentsResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(sentence(code)))
    }
}
