//! DescribeProducers 0: the producers that a partition remembers (KIP-664), with the first offset of
//! their open transaction. Only the leader answers.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use millstream_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};

use super::{Api, Call, Served, text};
use crate::core::state::{State, check_topic_name};

impl Api for DescribeProducersRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<DescribeProducersResponse> {
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|index| {
                let found = describe(state, call, &topic.name, *index);
                match found {
                    Ok(producers) => answer(*index).with_active_producers(producers),
                    Err(code) => failed(*index, code),
                }
            });
            TopicResponse::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        Served::Now(DescribeProducersResponse::default().with_topics(topics.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> DescribeProducersResponse {
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|index| failed(*index, code));
            TopicResponse::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        DescribeProducersResponse::default().with_topics(topics.collect())
    }
}

fn answer(index: i32) -> PartitionResponse {
    PartitionResponse::default().with_partition_index(index)
}

fn failed(index: i32, code: ErrorCode) -> PartitionResponse {
    answer(index).with_error_code(code.code()).with_error_message(Some(text(code.message())))
}

fn describe(
    state: &mut State,
    call: &Call,
    topic: &str,
    index: i32,
) -> Result<Vec<ProducerState>, ErrorCode> {
    check_topic_name(topic).map_err(|refused| refused.code)?;
    let expiration = state.config.transactions.producer_expiration;
    let topic = state.topics.topic_mut(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = topic.partition_mut(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    partition.check_leader(call.node, -1)?;
    partition.log.producers.expire(call.wall, expiration);
    let producers = partition.log.producers.active().map(|producer| {
        ProducerState::default()
            .with_producer_id(m::ProducerId(producer.id.0))
            .with_producer_epoch(producer.epoch.0.into())
            .with_last_sequence(producer.last_sequence)
            .with_last_timestamp(producer.last_timestamp.0)
            .with_coordinator_epoch(producer.coordinator_epoch)
            .with_current_txn_start_offset(producer.transaction_start.map_or(-1, |offset| offset.0))
    });
    Ok(producers.collect())
}
