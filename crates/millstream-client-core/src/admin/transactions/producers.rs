//! The producers that a partition's leader, or another replica, knows (KIP-664).

use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_protocol::messages::describe_producers_request::TopicRequest;
use millstream_protocol::messages::describe_producers_response::ProducerState;
use millstream_types::{BrokerId, Offset, ProducerId, Timestamp, TopicPartition};

use super::super::command::AdminCall;
use super::super::offsets::about_partition;
use super::super::operation::{Operation, Placement, Refusal, Results, Said};
use super::super::wire::{leader, numbers_by_topic, partition, topic_name};
use crate::cx::Cx;
use crate::outbox::{Destination, RequestBody, Response, WrongResponse};

/// A producer that writes, or lately wrote, to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: i32,
    /// The last sequence number it wrote.
    pub last_sequence: i32,
    /// The time of the last batch it wrote.
    pub last_timestamp: Option<Timestamp>,
    /// The epoch of the coordinator that last wrote a marker of it.
    pub coordinator_epoch: Option<i32>,
    /// Where its open transaction begins, if it has one.
    pub transaction_start: Option<Offset>,
}

/// Describes the producers of partitions: as their leaders know them, or as `broker` does.
pub fn describe_producers(
    partitions: impl IntoIterator<Item = TopicPartition>,
    broker: Option<BrokerId>,
) -> AdminCall<Results<TopicPartition, Vec<ActiveProducer>>> {
    let partitions = partitions.into_iter().map(|partition| (partition, ()));
    AdminCall::new(Describe { broker }, partitions)
}

#[derive(Debug)]
struct Describe {
    broker: Option<BrokerId>,
}

impl Operation for Describe {
    type Key = TopicPartition;
    type Input = ();
    type Output = Vec<ActiveProducer>;
    type Done = Results<TopicPartition, Vec<ActiveProducer>>;

    fn about(&self, key: &TopicPartition) -> String {
        about_partition(key)
    }

    fn place(&self, key: &TopicPartition, (): &(), cx: &mut Cx<'_>) -> Placement {
        match self.broker {
            Some(broker) => Placement::At(Destination::Broker(broker)),
            None => leader(key, cx),
        }
    }

    fn request(&self, items: &[(&TopicPartition, &())], _timeout: Duration) -> RequestBody {
        let partitions = items.iter().map(|(partition, ())| *partition);
        let topics = numbers_by_topic(partitions).into_iter().map(|(topic, numbers)| {
            TopicRequest::default().with_name(topic_name(topic)).with_partition_indexes(numbers)
        });
        m::DescribeProducersRequest::default().with_topics(topics.collect()).into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&TopicPartition, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::DescribeProducersResponse::try_from(response.body)?;
        let said = answer.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|found| {
                let check = Refusal::check(found.error_code, found.error_message.as_deref());
                let producers = found.active_producers.iter().map(read_producer);
                let key = partition(&topic.name, found.partition_index);
                (key, check.map(|()| producers.collect()).into())
            })
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<TopicPartition, Vec<ActiveProducer>>) -> Self::Done {
        results
    }
}

fn read_producer(state: &ProducerState) -> ActiveProducer {
    ActiveProducer {
        producer_id: ProducerId(state.producer_id.0),
        producer_epoch: state.producer_epoch,
        last_sequence: state.last_sequence,
        last_timestamp: Some(Timestamp(state.last_timestamp)).filter(|time| time.0 >= 0),
        coordinator_epoch: Some(state.coordinator_epoch).filter(|epoch| *epoch >= 0),
        transaction_start: Some(Offset(state.current_txn_start_offset)).filter(|at| at.0 >= 0),
    }
}
