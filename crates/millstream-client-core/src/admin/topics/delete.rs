//! Deleting topics, through the controller, by name or by id.

use std::fmt;
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::delete_topics_request::DeleteTopicState;
use millstream_protocol::messages::delete_topics_response::DeletableTopicResult;
use millstream_types::{TopicId, TopicName};

use super::super::command::AdminCall;
use super::super::operation::{
    Lot, Operation, Placement, Refusal, Results, Said, Verdict, VerdictOf,
};
use super::super::wire::{controller, millis, topic_name};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// Deletes topics.
pub fn delete_topics(
    topics: impl IntoIterator<Item = TopicName>,
) -> AdminCall<Results<TopicName, ()>> {
    AdminCall::new(Delete(ByName), topics.into_iter().map(|name| (name, ())))
}

/// Deletes topics by their ids (Kafka 2.8).
pub fn delete_topics_by_id(
    topics: impl IntoIterator<Item = TopicId>,
) -> AdminCall<Results<TopicId, ()>> {
    AdminCall::new(Delete(ById), topics.into_iter().map(|id| (id, ())))
}

#[derive(Debug)]
struct Delete<B>(B);

/// What names a topic to delete.
trait By: fmt::Debug + Send + 'static {
    type Key: Ord + Clone + fmt::Debug + fmt::Display + Send + 'static;
    const VERSION_MIN: Option<i16>;
    /// The error that says that there is no such topic.
    const ABSENT: ErrorCode;
    fn write(key: &Self::Key) -> DeleteTopicState;
    fn read(answer: &DeletableTopicResult) -> Option<Self::Key>;
}

#[derive(Debug)]
struct ByName;

#[derive(Debug)]
struct ById;

impl By for ByName {
    type Key = TopicName;
    const VERSION_MIN: Option<i16> = None;
    const ABSENT: ErrorCode = ErrorCode::UnknownTopicOrPartition;

    fn write(key: &TopicName) -> DeleteTopicState {
        DeleteTopicState::default().with_name(Some(topic_name(key)))
    }

    fn read(answer: &DeletableTopicResult) -> Option<TopicName> {
        Some(TopicName::from(answer.name.as_ref()?.0.as_str()))
    }
}

impl By for ById {
    type Key = TopicId;
    const VERSION_MIN: Option<i16> = Some(6);
    const ABSENT: ErrorCode = ErrorCode::UnknownTopicId;

    fn write(key: &TopicId) -> DeleteTopicState {
        DeleteTopicState::default().with_name(None).with_topic_id(key.0)
    }

    fn read(answer: &DeletableTopicResult) -> Option<TopicId> {
        Some(TopicId(answer.topic_id))
    }
}

impl<B: By> Operation for Delete<B> {
    type Key = B::Key;
    type Input = ();
    type Output = ();
    type Done = Results<B::Key, ()>;

    fn about(&self, key: &B::Key) -> String {
        format!("topic {key}")
    }

    fn place(&self, _key: &B::Key, (): &(), _cx: &mut Cx<'_>) -> Placement {
        controller()
    }

    fn versions(&self, _lot: Lot) -> (Option<i16>, Option<i16>) {
        (B::VERSION_MIN, None)
    }

    fn request(&self, items: &[(&B::Key, &())], timeout: Duration) -> RequestBody {
        m::DeleteTopicsRequest::default()
            .with_topics(items.iter().map(|(key, ())| B::write(key)).collect())
            .with_timeout_ms(millis(timeout))
            .into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&B::Key, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::DeleteTopicsResponse::try_from(response.body)?;
        let said = answer.responses.iter().filter_map(|topic| {
            let result = Refusal::check(topic.error_code, topic.error_message.as_deref());
            Some((B::read(topic)?, result.into()))
        });
        Ok(said.collect())
    }

    /// An earlier try, whose answer was lost, deleted it.
    fn when_repeated(&self, _key: &B::Key, (): &(), code: ErrorCode) -> Option<VerdictOf<Self>> {
        (code == B::ABSENT).then_some(Verdict::Done(()))
    }

    /// A topic that is not there will not be there later: no use in trying again.
    fn is_retriable(&self, (): &(), code: ErrorCode) -> bool {
        code.class().is_retriable() && code != B::ABSENT
    }

    fn merge(self, results: Results<B::Key, ()>) -> Self::Done {
        results
    }
}
