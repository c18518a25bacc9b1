//! Metadata 0 to 13: the nodes, and the topics with their leaders.
//!
//! A topic that is missing is created at once where the client and the cluster allow it, and stands
//! in the same answer (Kafka answers `UNKNOWN_TOPIC_OR_PARTITION` once and creates meanwhile).
//! Omitted: listeners, racks, authorisation (all operations are allowed).

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use millstream_protocol::messages::{MetadataRequest, MetadataResponse};
use millstream_types::BrokerId;

use super::{Api, Call, Served, text, topic_name};
use crate::core::acl::resource;
use crate::core::state::State;
use crate::core::topic::{Partition, Topic};

/// READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS (`AclOperation`).
pub(super) const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// The same for a cluster: CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS,
/// ALTER_CONFIGS, IDEMPOTENT_WRITE.
pub(super) const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;

/// The first version in which a topic may have no name.
const NULLABLE_NAME: i16 = 12;

impl Api for MetadataRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<MetadataResponse> {
        let all = match &self.topics {
            None => true,
            Some(topics) => topics.is_empty() && call.version == 0,
        };
        let create = self.allow_auto_topic_creation && state.config.auto_create_topics;
        let mut topics = Vec::new();
        if all {
            let seen = state.topics.iter();
            let seen =
                seen.filter(|topic| state.may_describe(&call.client_id, topic.name.as_str()));
            topics.extend(seen.map(|topic| describe(state, topic)));
        } else {
            for wanted in self.topics.iter().flatten() {
                topics.push(one(state, wanted, create, call.version));
            }
        }
        if self.include_topic_authorized_operations {
            for topic in &mut topics {
                let name = topic.name.as_ref().map_or("", |name| name.as_str());
                topic.topic_authorized_operations =
                    state.permitted(&call.client_id, TOPIC_OPERATIONS, resource::TOPIC, name);
            }
        }
        let mut response = MetadataResponse::default()
            .with_brokers(brokers(state))
            .with_cluster_id(Some(text(state.cluster_id.as_str())))
            .with_controller_id(m::BrokerId(state.nodes.controller().0))
            .with_topics(topics);
        if self.include_cluster_authorized_operations {
            response.cluster_authorized_operations = state.permitted(
                &call.client_id,
                CLUSTER_OPERATIONS,
                resource::CLUSTER,
                resource::CLUSTER_NAME,
            );
        }
        Served::Now(response)
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> MetadataResponse {
        // KIP-1102: it is said of the whole, and the rest is left out.
        let whole = version >= 13 && code == ErrorCode::RebootstrapRequired;
        let topics = self.topics.iter().flatten().filter(|_| !whole).map(|wanted| {
            MetadataResponseTopic::default()
                .with_error_code(code.code())
                .with_name(wanted.name.clone().or_else(|| Some(topic_name(""))))
                .with_topic_id(wanted.topic_id)
        });
        let response = MetadataResponse::default().with_topics(topics.collect());
        if version >= 13 { response.with_error_code(code.code()) } else { response }
    }
}

/// The answer that says `code` of each topic.
pub(super) fn refuse_topics(
    request: &MetadataRequest,
    version: i16,
    code: ErrorCode,
) -> Option<MetadataResponse> {
    Some(request.refuse(version, code).with_error_code(0))
}

fn brokers(state: &State) -> Vec<MetadataResponseBroker> {
    let node = |node: &crate::core::node::Node| {
        MetadataResponseBroker::default()
            .with_node_id(m::BrokerId(node.id.0))
            .with_host(text(&node.host))
            .with_port(i32::from(node.port))
    };
    state.nodes.alive().map(node).collect()
}

fn one(
    state: &mut State,
    wanted: &m::metadata_request::MetadataRequestTopic,
    create: bool,
    version: i16,
) -> MetadataResponseTopic {
    let Some(name) = &wanted.name else {
        return match state.topics.by_id(wanted.topic_id) {
            Some(topic) => describe(state, topic),
            None => MetadataResponseTopic::default()
                .with_name(if version >= NULLABLE_NAME { None } else { Some(topic_name("")) })
                .with_topic_id(wanted.topic_id)
                .with_error_code(ErrorCode::UnknownTopicId.code()),
        };
    };
    if state.topics.get(name).is_none() && create {
        let key = millstream_types::TopicName::from(name.as_str());
        if let Err(refused) = state.auto_create_topic(&key) {
            return failed(name, refused.code);
        }
    }
    match state.topics.get(name) {
        Some(topic) => describe(state, topic),
        None => match crate::core::state::check_topic_name(name) {
            Err(refused) => failed(name, refused.code),
            Ok(()) => failed(name, ErrorCode::UnknownTopicOrPartition),
        },
    }
}

fn failed(name: &m::TopicName, code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic::default().with_error_code(code.code()).with_name(Some(name.clone()))
}

fn describe(state: &State, topic: &Topic) -> MetadataResponseTopic {
    let partitions = topic.partitions.iter().zip(0..);
    MetadataResponseTopic::default()
        .with_name(Some(topic_name(topic.name.as_str())))
        .with_topic_id(topic.id)
        .with_is_internal(topic.is_internal())
        .with_partitions(
            partitions
                .map(|(partition, index)| describe_partition(state, partition, index))
                .collect(),
        )
}

fn describe_partition(
    state: &State,
    partition: &Partition,
    index: i32,
) -> MetadataResponsePartition {
    let code = match partition.leader {
        Some(_) => ErrorCode::None,
        None => ErrorCode::LeaderNotAvailable,
    };
    MetadataResponsePartition::default()
        .with_error_code(code.code())
        .with_partition_index(index)
        .with_leader_id(m::BrokerId(partition.leader.map_or(-1, |id| id.0)))
        .with_leader_epoch(partition.epoch.0)
        .with_replica_nodes(broker_ids(partition.replicas.iter().copied()))
        .with_isr_nodes(broker_ids(partition.isr.iter().copied()))
        .with_offline_replicas(broker_ids(partition.offline(&state.nodes)))
}

/// Broker ids as messages carry them.
pub(super) fn broker_ids(ids: impl Iterator<Item = BrokerId>) -> Vec<m::BrokerId> {
    ids.map(|id| m::BrokerId(id.0)).collect()
}
