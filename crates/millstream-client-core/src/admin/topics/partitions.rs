//! Raising partition counts, through the controller.

use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use millstream_types::{BrokerId, TopicName};

use super::super::command::AdminCall;
use super::super::operation::{
    Lot, Operation, Placement, Refusal, Results, Said, Verdict, VerdictOf,
};
use super::super::wire::{anywhere, controller, message_broker_ids, millis, topic_name};
use super::{about_topic, metadata_request};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, ResponseBody, WrongResponse};

/// How many partitions a topic shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    /// How many, those there are included.
    pub count: i32,
    /// The brokers of each partition that is added, leader first; `None`: the controller chooses.
    pub assignment: Option<Vec<Vec<BrokerId>>>,
}

impl NewPartitions {
    /// This many, placed by the controller.
    #[must_use]
    pub const fn to(count: i32) -> Self {
        Self { count, assignment: None }
    }

    /// Places the partitions that are added: the brokers of each, leader first.
    #[must_use]
    pub fn assignment(mut self, added: impl IntoIterator<Item = Vec<BrokerId>>) -> Self {
        self.assignment = Some(added.into_iter().collect());
        self
    }
}

impl From<i32> for NewPartitions {
    fn from(count: i32) -> Self {
        Self::to(count)
    }
}

/// Raises the number of partitions of topics, or only says what would become of it.
pub fn create_partitions(
    topics: impl IntoIterator<Item = (TopicName, NewPartitions)>,
    validate_only: bool,
) -> AdminCall<Results<TopicName, ()>> {
    let item = |(name, wanted)| (name, Extension { wanted, is_confirmed: false });
    AdminCall::new(Extend { validate_only }, topics.into_iter().map(item))
}

#[derive(Debug)]
struct Extend {
    validate_only: bool,
}

#[derive(Debug)]
struct Extension {
    wanted: NewPartitions,
    /// It was refused, perhaps because an earlier try did it: look how many there are.
    is_confirmed: bool,
}

impl Operation for Extend {
    type Key = TopicName;
    type Input = Extension;
    type Output = ();
    type Done = Results<TopicName, ()>;

    fn about(&self, key: &TopicName) -> String {
        about_topic(key)
    }

    fn place(&self, _key: &TopicName, input: &Extension, _cx: &mut Cx<'_>) -> Placement {
        if input.is_confirmed { anywhere() } else { controller() }
    }

    fn lot(&self, _key: &TopicName, input: &Extension) -> Lot {
        Lot::Shared(u8::from(input.is_confirmed))
    }

    fn request(&self, items: &[(&TopicName, &Extension)], timeout: Duration) -> RequestBody {
        if items.first().is_some_and(|(_, input)| input.is_confirmed) {
            return metadata_request(Some(items.iter().map(|(name, _)| *name)));
        }
        let topics = items.iter().map(|(name, input)| {
            let assignments = input.wanted.assignment.as_ref().map(|added| {
                let partition = |brokers: &Vec<BrokerId>| {
                    CreatePartitionsAssignment::default()
                        .with_broker_ids(message_broker_ids(brokers))
                };
                added.iter().map(partition).collect()
            });
            CreatePartitionsTopic::default()
                .with_name(topic_name(name))
                .with_count(input.wanted.count)
                .with_assignments(assignments)
        });
        m::CreatePartitionsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(millis(timeout))
            .with_validate_only(self.validate_only)
            .into()
    }

    fn read(
        &self,
        response: Response,
        asked: &[(&TopicName, &Extension)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        if let ResponseBody::Metadata(answer) = response.body {
            let said = asked.iter().zip(&answer.topics).map(|((name, input), found)| {
                let wanted = usize::try_from(input.wanted.count).ok();
                let verdict = match Refusal::check(found.error_code, None) {
                    Ok(()) if wanted == Some(found.partitions.len()) => Verdict::Done(()),
                    Ok(()) => Verdict::Refused(Refusal {
                        code: ErrorCode::InvalidPartitions,
                        message: Some(format!("there are {}", found.partitions.len())),
                    }),
                    Err(refusal) => Verdict::Refused(refusal),
                };
                ((*name).clone(), verdict)
            });
            return Ok(said.collect());
        }
        let answer = m::CreatePartitionsResponse::try_from(response.body)?;
        let said = answer.results.into_iter().map(|topic| {
            let name = TopicName::from(topic.name.0.as_str());
            let result = Refusal::check(topic.error_code, topic.error_message.as_deref());
            (name, result.into())
        });
        Ok(said.collect())
    }

    /// That there are as many already may be this call's own doing.
    fn when_repeated(
        &self,
        key: &TopicName,
        input: &Extension,
        code: ErrorCode,
    ) -> Option<VerdictOf<Self>> {
        let is_refused = code == ErrorCode::InvalidPartitions && !input.is_confirmed;
        let extension = || Extension { wanted: input.wanted.clone(), is_confirmed: true };
        is_refused.then(|| Verdict::Become(vec![(key.clone(), extension())]))
    }

    /// A topic that is not there will not be there later: no use in trying again.
    fn is_retriable(&self, _input: &Extension, code: ErrorCode) -> bool {
        code.class().is_retriable() && code != ErrorCode::UnknownTopicOrPartition
    }

    fn merge(self, results: Results<TopicName, ()>) -> Self::Done {
        results
    }
}
