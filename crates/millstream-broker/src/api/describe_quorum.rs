//! DescribeQuorum 0 to the newest: the nodes as a quorum of controllers (KIP-595, KIP-836).
//!
//! There is no log of metadata: all voters are always caught up at the same offset.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use millstream_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

use super::{Api, Call, Served, sentence, text};
use crate::core::state::State;

/// The one topic of which it may be asked.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// The first version that tells when voters fetched.
const TELLS_TIMES: i16 = 1;
/// The first version that tells messages and nodes.
const TELLS_NODES: i16 = 2;

impl Api for DescribeQuorumRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<DescribeQuorumResponse> {
        let one = self.topics.first().filter(|_| self.topics.len() == 1);
        let valid = one.is_some_and(|topic| {
            topic.topic_name.as_str() == METADATA_TOPIC
                && topic.partitions.len() == 1
                && topic.partitions.iter().all(|partition| partition.partition_index == 0)
        });
        if !valid {
            let code = ErrorCode::UnknownTopicOrPartition;
            return Served::Now(refuse_partitions(&self, call.version, code));
        }
        let topic = TopicData::default()
            .with_topic_name(super::topic_name(METADATA_TOPIC))
            .with_partitions(vec![describe(state, call)]);
        let response = DescribeQuorumResponse::default().with_topics(vec![topic]);
        if call.version < TELLS_NODES {
            return Served::Now(response);
        }
        let nodes = state.nodes.alive().map(|node| {
            let listener = Listener::default()
                .with_name(text("CONTROLLER"))
                .with_host(text(&node.host))
                .with_port(node.port);
            Node::default().with_node_id(m::BrokerId(node.id.0)).with_listeners(vec![listener])
        });
        Served::Now(response.with_nodes(nodes.collect()))
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> DescribeQuorumResponse {
        let response = DescribeQuorumResponse::default().with_error_code(code.code());
        let message = (version >= TELLS_NODES).then(|| sentence(code));
        response.with_error_message(message.or(Some(text(""))))
    }
}

fn describe(state: &State, call: &Call) -> PartitionData {
    // A made-up log that grows as nothing else does here.
    let end = i64::try_from(state.topics.iter().count()).unwrap_or(i64::MAX);
    let voters = state.nodes.ids().map(|id| {
        let voter =
            ReplicaState::default().with_replica_id(m::BrokerId(id.0)).with_log_end_offset(end);
        if call.version < TELLS_TIMES {
            return voter;
        }
        voter.with_last_fetch_timestamp(call.wall.0).with_last_caught_up_timestamp(call.wall.0)
    });
    PartitionData::default()
        .with_leader_id(m::BrokerId(state.nodes.controller().0))
        .with_leader_epoch(1)
        .with_high_watermark(end)
        .with_current_voters(voters.collect())
}

fn refuse_partitions(
    request: &DescribeQuorumRequest,
    version: i16,
    code: ErrorCode,
) -> DescribeQuorumResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let data = PartitionData::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code.code());
            let message = (version >= TELLS_NODES).then(|| sentence(code));
            data.with_error_message(message.or(Some(text(""))))
        });
        TopicData::default()
            .with_topic_name(topic.topic_name.clone())
            .with_partitions(partitions.collect())
    });
    DescribeQuorumResponse::default().with_topics(topics.collect())
}
