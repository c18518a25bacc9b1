//! DescribeTopicPartitions 0: topics page by page (KIP-966); Java's tools describe topics with it.
//!
//! Omitted: eligible leader replicas (none are ever known).

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use millstream_protocol::messages::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
};

use super::metadata::{TOPIC_OPERATIONS, broker_ids};
use super::{Api, Call, Served};
use crate::core::state::{State, check_topic_name};
use crate::core::topic::{Partition, Topic};

/// The most partitions of one page (`max.request.partition.size.limit`).
const PAGE_MAX: usize = 2000;

impl Api for DescribeTopicPartitionsRequest {
    fn serve(self, state: &mut State, _: &Call) -> Served<DescribeTopicPartitionsResponse> {
        let limit = usize::try_from(self.response_partition_limit).unwrap_or(0);
        let limit = limit.clamp(1, PAGE_MAX);
        let (start, mut first) = match &self.cursor {
            Some(cursor) => (
                cursor.topic_name.to_string(),
                usize::try_from(cursor.partition_index).unwrap_or(0),
            ),
            None => (String::new(), 0),
        };
        let mut names: Vec<String> = if self.topics.is_empty() {
            state.topics.iter().map(|topic| topic.name.to_string()).collect()
        } else {
            self.topics.iter().map(|topic| topic.name.to_string()).collect()
        };
        names.retain(|name| *name >= start);
        names.sort_unstable();
        names.dedup();
        let mut left = limit;
        let mut response = DescribeTopicPartitionsResponse::default();
        for name in names {
            if left == 0 {
                response.next_cursor = Some(cursor(&name, 0));
                break;
            }
            let from = if name == start { first } else { 0 };
            first = 0;
            let Some(topic) = state.topics.get(&name) else {
                response.topics.push(unknown(&name));
                continue;
            };
            let described = describe(state, topic, from, left);
            let next = from + described.partitions.len();
            left -= described.partitions.len().min(left);
            response.topics.push(described);
            if next < topic.partitions.len() {
                response.next_cursor = Some(cursor(&name, next));
                break;
            }
        }
        Served::Now(response)
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> DescribeTopicPartitionsResponse {
        let topics = self.topics.iter().map(|topic| {
            DescribeTopicPartitionsResponseTopic::default()
                .with_name(Some(topic.name.clone()))
                .with_error_code(code.code())
        });
        DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
    }
}

fn cursor(topic: &str, partition: usize) -> Cursor {
    Cursor::default()
        .with_topic_name(super::topic_name(topic))
        .with_partition_index(i32::try_from(partition).unwrap_or(i32::MAX))
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let code = match check_topic_name(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(refused) => refused.code,
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(super::topic_name(name)))
        .with_topic_authorized_operations(TOPIC_OPERATIONS)
        .with_error_code(code.code())
}

fn describe(
    state: &State,
    topic: &Topic,
    from: usize,
    limit: usize,
) -> DescribeTopicPartitionsResponseTopic {
    let partitions = topic.partitions.iter().zip(0..).skip(from).take(limit);
    let partitions = partitions.map(|(partition, index)| describe_one(state, partition, index));
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(super::topic_name(topic.name.as_str())))
        .with_topic_id(topic.id)
        .with_is_internal(topic.is_internal())
        .with_topic_authorized_operations(TOPIC_OPERATIONS)
        .with_partitions(partitions.collect())
}

fn describe_one(
    state: &State,
    partition: &Partition,
    index: i32,
) -> DescribeTopicPartitionsResponsePartition {
    let code = match partition.leader {
        Some(_) => ErrorCode::None,
        None => ErrorCode::LeaderNotAvailable,
    };
    DescribeTopicPartitionsResponsePartition::default()
        .with_error_code(code.code())
        .with_partition_index(index)
        .with_leader_id(m::BrokerId(partition.leader.map_or(-1, |id| id.0)))
        .with_leader_epoch(partition.epoch.0)
        .with_replica_nodes(broker_ids(partition.replicas.iter().copied()))
        .with_isr_nodes(broker_ids(partition.isr.iter().copied()))
        .with_eligible_leader_replicas(Some(Vec::new()))
        .with_last_known_elr(Some(Vec::new()))
        .with_offline_replicas(broker_ids(partition.offline(&state.nodes)))
}
