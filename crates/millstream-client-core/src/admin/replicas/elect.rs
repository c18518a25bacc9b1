//! Electing leaders of partitions, through the controller (KIP-183, KIP-460).

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::elect_leaders_request::TopicPartitions;
use millstream_types::TopicPartition;

use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::operation::{Lot, Operation, Placement, Refusal, Results, Said, only};
use super::super::texts::spelled;
use super::super::wire::{controller, millis, numbers_by_topic, partition, topic_name};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// Whom an election may make leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionType {
    /// The first replica, if it is in sync.
    Preferred,
    /// Any replica, if none in sync is there; what it has not got is lost (Kafka 2.4).
    Unclean,
}

spelled!(ElectionType { Preferred = "PREFERRED", Unclean = "UNCLEAN" });

/// What came of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// There is another leader.
    Elected,
    /// The leader is the right one already.
    NotNeeded,
}

/// Elects leaders of these partitions, of all if `None`. Of all partitions, those where there was
/// nothing to do are left out.
pub fn elect_leaders(
    kind: ElectionType,
    partitions: Option<Vec<TopicPartition>>,
) -> AdminCall<Result<Results<TopicPartition, Election>, AdminError>> {
    AdminCall::new(Elect { kind, partitions }, [((), ())])
}

#[derive(Debug)]
struct Elect {
    kind: ElectionType,
    partitions: Option<Vec<TopicPartition>>,
}

const ABOUT: &str = "the election of leaders";

impl Operation for Elect {
    type Key = ();
    type Input = ();
    type Output = Results<TopicPartition, Election>;
    type Done = Result<Results<TopicPartition, Election>, AdminError>;

    fn about(&self, (): &()) -> String {
        ABOUT.to_owned()
    }

    fn place(&self, (): &(), (): &(), _cx: &mut Cx<'_>) -> Placement {
        controller()
    }

    /// Version 0 elects preferred leaders whatever is asked for.
    fn versions(&self, _lot: Lot) -> (Option<i16>, Option<i16>) {
        ((self.kind == ElectionType::Unclean).then_some(1), None)
    }

    fn request(&self, _items: &[(&(), &())], timeout: Duration) -> RequestBody {
        let topics = self.partitions.as_ref().map(|partitions| {
            let topics = numbers_by_topic(partitions).into_iter().map(|(topic, numbers)| {
                TopicPartitions::default().with_topic(topic_name(topic)).with_partitions(numbers)
            });
            topics.collect()
        });
        m::ElectLeadersRequest::default()
            .with_election_type(i8::from(self.kind == ElectionType::Unclean))
            .with_topic_partitions(topics)
            .with_timeout_ms(millis(timeout))
            .into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&(), &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::ElectLeadersResponse::try_from(response.body)?;
        let mut results = BTreeMap::new();
        for topic in &answer.replica_election_results {
            for result in &topic.partition_result {
                let partition = partition(&topic.topic, result.partition_id);
                let election = match ErrorCode::from(result.error_code) {
                    ErrorCode::None => Ok(Election::Elected),
                    ErrorCode::ElectionNotNeeded => Ok(Election::NotNeeded),
                    code => Err(AdminError::Refused {
                        about: format!("the election of the leader of {partition}"),
                        code,
                        message: result.error_message.as_deref().map(str::to_owned),
                    }),
                };
                results.insert(partition, election);
            }
        }
        let whole = Refusal::check(answer.error_code, None);
        Ok(vec![((), whole.map(|()| results).into())])
    }

    fn merge(self, results: Results<(), Self::Output>) -> Self::Done {
        only(results, ABOUT)
    }
}
