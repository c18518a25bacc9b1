//! Moving replicas between brokers, through the controller (KIP-455).

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use millstream_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use millstream_types::{BrokerId, TopicPartition};

use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::operation::{
    Operation, Placement, Refusal, Results, Said, Verdict, VerdictOf, only,
};
use super::super::wire::{
    broker_ids, by_topic, controller, message_broker_ids, millis, numbers_by_topic, partition,
    topic_name,
};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// A partition whose replicas are moving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassignment {
    /// All its replicas now, those that come and those that go too.
    pub replicas: Vec<BrokerId>,
    /// Those that come.
    pub adding: Vec<BrokerId>,
    /// Those that go.
    pub removing: Vec<BrokerId>,
}

/// Begins to move partitions to these brokers, the preferred leader first; `None` calls a move that
/// is under way off.
pub fn alter_partition_reassignments(
    targets: impl IntoIterator<Item = (TopicPartition, Option<Vec<BrokerId>>)>,
) -> AdminCall<Results<TopicPartition, ()>> {
    AdminCall::new(Alter, targets)
}

/// Lists which of these partitions are moving, of all if `None`.
pub fn list_partition_reassignments(
    partitions: Option<Vec<TopicPartition>>,
) -> AdminCall<Result<BTreeMap<TopicPartition, Reassignment>, AdminError>> {
    AdminCall::new(List { partitions }, [((), ())])
}

#[derive(Debug)]
struct Alter;

impl Operation for Alter {
    type Key = TopicPartition;
    type Input = Option<Vec<BrokerId>>;
    type Output = ();
    type Done = Results<TopicPartition, ()>;

    fn about(&self, key: &TopicPartition) -> String {
        format!("moving partition {key}")
    }

    fn place(&self, _: &TopicPartition, _: &Self::Input, _cx: &mut Cx<'_>) -> Placement {
        controller()
    }

    fn request(&self, items: &[(&TopicPartition, &Self::Input)], timeout: Duration) -> RequestBody {
        let topics = by_topic(items).into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(number, target)| {
                ReassignablePartition::default()
                    .with_partition_index(number)
                    .with_replicas(target.as_deref().map(message_broker_ids))
            });
            ReassignableTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(partitions.collect())
        });
        m::AlterPartitionReassignmentsRequest::default()
            .with_timeout_ms(millis(timeout))
            .with_topics(topics.collect())
            .into()
    }

    fn read(
        &self,
        response: Response,
        asked: &[(&TopicPartition, &Self::Input)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::AlterPartitionReassignmentsResponse::try_from(response.body)?;
        let whole = Refusal::check(answer.error_code, answer.error_message.as_deref());
        if let Err(refusal) = whole {
            return Ok(refusal.of_all::<Self>(asked));
        }
        let said = answer.responses.iter().flat_map(|topic| {
            topic.partitions.iter().map(|result| {
                let check = Refusal::check(result.error_code, result.error_message.as_deref());
                (partition(&topic.name, result.partition_index), check.into())
            })
        });
        Ok(said.collect())
    }

    /// An earlier try, whose answer was lost, called it off.
    fn when_repeated(
        &self,
        _key: &TopicPartition,
        target: &Self::Input,
        code: ErrorCode,
    ) -> Option<VerdictOf<Self>> {
        let is_off = target.is_none() && code == ErrorCode::NoReassignmentInProgress;
        is_off.then_some(Verdict::Done(()))
    }

    /// A topic that is not there will not be there later: no use in trying again.
    fn is_retriable(&self, _target: &Self::Input, code: ErrorCode) -> bool {
        code.class().is_retriable() && code != ErrorCode::UnknownTopicOrPartition
    }

    fn merge(self, results: Results<TopicPartition, ()>) -> Self::Done {
        results
    }
}

#[derive(Debug)]
struct List {
    partitions: Option<Vec<TopicPartition>>,
}

const ABOUT: &str = "the list of partitions that are moving";

impl Operation for List {
    type Key = ();
    type Input = ();
    type Output = BTreeMap<TopicPartition, Reassignment>;
    type Done = Result<BTreeMap<TopicPartition, Reassignment>, AdminError>;

    fn about(&self, (): &()) -> String {
        ABOUT.to_owned()
    }

    fn place(&self, (): &(), (): &(), _cx: &mut Cx<'_>) -> Placement {
        controller()
    }

    fn request(&self, _items: &[(&(), &())], timeout: Duration) -> RequestBody {
        let topics = self.partitions.as_ref().map(|partitions| {
            let topics = numbers_by_topic(partitions).into_iter().map(|(topic, numbers)| {
                ListPartitionReassignmentsTopics::default()
                    .with_name(topic_name(topic))
                    .with_partition_indexes(numbers)
            });
            topics.collect()
        });
        m::ListPartitionReassignmentsRequest::default()
            .with_timeout_ms(millis(timeout))
            .with_topics(topics)
            .into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&(), &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::ListPartitionReassignmentsResponse::try_from(response.body)?;
        let moving = answer.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|found| {
                let reassignment = Reassignment {
                    replicas: broker_ids(&found.replicas),
                    adding: broker_ids(&found.adding_replicas),
                    removing: broker_ids(&found.removing_replicas),
                };
                (partition(&topic.name, found.partition_index), reassignment)
            })
        });
        let whole = Refusal::check(answer.error_code, answer.error_message.as_deref());
        Ok(vec![((), whole.map(|()| moving.collect()).into())])
    }

    fn merge(self, results: Results<(), Self::Output>) -> Self::Done {
        only(results, ABOUT)
    }
}
