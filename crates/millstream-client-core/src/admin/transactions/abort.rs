//! Ending a transaction that hangs in a partition, by a marker written to its leader (KIP-664).

use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};
use millstream_types::{ProducerEpoch, ProducerId, TopicPartition};

use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::operation::{Operation, Placement, Refusal, Results, Said, only};
use super::super::wire::{leader, partition, topic_name};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// A transaction that hangs in a partition: its coordinator does not know of it any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbortTransaction {
    /// The partition.
    pub partition: TopicPartition,
    /// Its producer's id there, as
    /// [`describe_producers`](super::describe_producers) tells it.
    pub producer_id: ProducerId,
    /// Its producer's epoch there.
    pub producer_epoch: ProducerEpoch,
    /// The epoch of the coordinator that last wrote a marker of it there; 0 if none did.
    pub coordinator_epoch: i32,
}

/// Writes the marker that ends a hanging transaction in one partition.
pub fn abort_transaction(hanging: AbortTransaction) -> AdminCall<Result<(), AdminError>> {
    let key = hanging.partition.clone();
    AdminCall::new(Abort { hanging }, [(key, ())])
}

#[derive(Debug)]
struct Abort {
    hanging: AbortTransaction,
}

impl Operation for Abort {
    type Key = TopicPartition;
    type Input = ();
    type Output = ();
    type Done = Result<(), AdminError>;

    fn about(&self, key: &TopicPartition) -> String {
        format!("the transaction of producer {} in {key}", self.hanging.producer_id)
    }

    fn place(&self, key: &TopicPartition, (): &(), cx: &mut Cx<'_>) -> Placement {
        leader(key, cx)
    }

    fn request(&self, items: &[(&TopicPartition, &())], _timeout: Duration) -> RequestBody {
        let topics = items.iter().map(|(partition, ())| {
            WritableTxnMarkerTopic::default()
                .with_name(topic_name(&partition.topic))
                .with_partition_indexes(vec![partition.partition.value()])
        });
        let marker = WritableTxnMarker::default()
            .with_producer_id(m::ProducerId(self.hanging.producer_id.0))
            .with_producer_epoch(self.hanging.producer_epoch.0)
            .with_transaction_result(false)
            .with_coordinator_epoch(self.hanging.coordinator_epoch)
            .with_topics(topics.collect());
        m::WriteTxnMarkersRequest::default().with_markers(vec![marker]).into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&TopicPartition, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::WriteTxnMarkersResponse::try_from(response.body)?;
        let topics = answer.markers.iter().flat_map(|marker| &marker.topics);
        let said = topics.flat_map(|topic| {
            topic.partitions.iter().map(|result| {
                let check = Refusal::check(result.error_code, None);
                (partition(&topic.name, result.partition_index), check.into())
            })
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<TopicPartition, ()>) -> Self::Done {
        only(results, "the transaction")
    }
}
