//! Creating, deleting, extending, describing and listing topics.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::StrBytes;
use millstream_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use millstream_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use millstream_protocol::messages::delete_topics_request::DeleteTopicState;
use millstream_protocol::messages::metadata_request::MetadataRequestTopic;
use millstream_protocol::messages::metadata_response::MetadataResponseTopic;
use millstream_types::{TopicId, TopicName};

use super::call::{AllSaid, Handler, Placement, Refusal};
use super::cluster::only;
use super::{AdminCompletion, Results};
use crate::cx::Cx;
use crate::metadata::Topic;
use crate::outbox::{Destination, RequestBody, Response};

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: TopicName,
    /// How many partitions; `None`: the broker's `num.partitions`.
    pub partitions: Option<i32>,
    /// How many replicas of each; `None`: the broker's `default.replication.factor`.
    pub replication: Option<i16>,
    /// Settings that differ from the broker's.
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    /// A topic of this many partitions and the broker's replication factor.
    pub fn new(name: impl Into<TopicName>, partitions: i32) -> Self {
        Self { partitions: Some(partitions), ..Self::with_defaults(name) }
    }

    /// A topic as the broker makes them by default.
    pub fn with_defaults(name: impl Into<TopicName>) -> Self {
        Self { name: name.into(), partitions: None, replication: None, configs: BTreeMap::new() }
    }

    /// Sets how many replicas each partition has.
    #[must_use]
    pub const fn replication(mut self, factor: i16) -> Self {
        self.replication = Some(factor);
        self
    }

    /// Sets a setting, such as `cleanup.policy`.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(name.into(), value.into());
        self
    }
}

/// A topic that was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id; [`TopicId::ZERO`] from brokers before 2.8.
    pub id: TopicId,
    /// How many partitions it has, from brokers that tell it (2.4).
    pub partitions: Option<i32>,
    /// How many replicas each has, from brokers that tell it (2.4).
    pub replication: Option<i16>,
}

fn about_topic(name: &TopicName) -> String {
    format!("topic {name}")
}

fn millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}

pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn topic_name(name: &TopicName) -> m::TopicName {
    m::TopicName(text(name.as_str()))
}

/// Creates topics, through the controller.
#[derive(Debug)]
pub(super) struct Create;

impl Handler for Create {
    type Key = TopicName;
    type Input = NewTopic;
    type Output = CreatedTopic;

    fn about(key: &TopicName) -> String {
        about_topic(key)
    }

    fn place(&self, _key: &TopicName, _cx: &mut Cx<'_>) -> Placement {
        Placement::At(Destination::Controller)
    }

    fn request(&self, items: &[(&TopicName, &NewTopic)], timeout: Duration) -> RequestBody {
        let topics = items.iter().map(|(name, topic)| {
            let configs = topic.configs.iter().map(|(name, value)| {
                CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
            });
            CreatableTopic::default()
                .with_name(topic_name(name))
                .with_num_partitions(topic.partitions.unwrap_or(-1))
                .with_replication_factor(topic.replication.unwrap_or(-1))
                .with_configs(configs.collect())
        });
        m::CreateTopicsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(millis(timeout))
            .into()
    }

    fn read(&self, response: Response) -> AllSaid<TopicName, CreatedTopic> {
        let answer = m::CreateTopicsResponse::try_from(response.body)?;
        let said = answer.topics.into_iter().map(|topic| {
            let name = TopicName::from(topic.name.0.as_str());
            let created = CreatedTopic {
                id: TopicId(topic.topic_id),
                partitions: Some(topic.num_partitions).filter(|count| *count > 0),
                replication: Some(topic.replication_factor).filter(|factor| *factor > 0),
            };
            let result = Refusal::check(topic.error_code, topic.error_message.as_deref());
            (name, result.map(|()| created))
        });
        Ok(said.collect())
    }

    fn complete(results: Results<TopicName, CreatedTopic>) -> AdminCompletion {
        AdminCompletion::CreateTopics(results)
    }
}

/// Deletes topics, through the controller.
#[derive(Debug)]
pub(super) struct Delete;

impl Handler for Delete {
    type Key = TopicName;
    type Input = ();
    type Output = ();

    fn about(key: &TopicName) -> String {
        about_topic(key)
    }

    fn place(&self, _key: &TopicName, _cx: &mut Cx<'_>) -> Placement {
        Placement::At(Destination::Controller)
    }

    fn request(&self, items: &[(&TopicName, &())], timeout: Duration) -> RequestBody {
        let topics = items
            .iter()
            .map(|(name, ())| DeleteTopicState::default().with_name(Some(topic_name(name))));
        m::DeleteTopicsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(millis(timeout))
            .into()
    }

    fn read(&self, response: Response) -> AllSaid<TopicName, ()> {
        let answer = m::DeleteTopicsResponse::try_from(response.body)?;
        let said = answer.responses.into_iter().filter_map(|topic| {
            let name = TopicName::from(topic.name.as_ref()?.0.as_str());
            let result = Refusal::check(topic.error_code, topic.error_message.as_deref());
            Some((name, result))
        });
        Ok(said.collect())
    }

    fn complete(results: Results<TopicName, ()>) -> AdminCompletion {
        AdminCompletion::DeleteTopics(results)
    }

    fn is_done_already(&self, code: ErrorCode) -> Option<()> {
        matches!(code, ErrorCode::UnknownTopicOrPartition).then_some(())
    }

    /// A topic that is not there will not be there later: no use in trying again.
    fn is_retriable(&self, code: ErrorCode) -> bool {
        code.class().is_retriable() && !matches!(code, ErrorCode::UnknownTopicOrPartition)
    }
}

/// Raises partition counts, through the controller.
#[derive(Debug)]
pub(super) struct Extend;

impl Handler for Extend {
    type Key = TopicName;
    type Input = i32;
    type Output = ();

    fn about(key: &TopicName) -> String {
        about_topic(key)
    }

    fn place(&self, _key: &TopicName, _cx: &mut Cx<'_>) -> Placement {
        Placement::At(Destination::Controller)
    }

    fn request(&self, items: &[(&TopicName, &i32)], timeout: Duration) -> RequestBody {
        let topics = items.iter().map(|(name, count)| {
            CreatePartitionsTopic::default()
                .with_name(topic_name(name))
                .with_count(**count)
                .with_assignments(None)
        });
        m::CreatePartitionsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(millis(timeout))
            .into()
    }

    fn read(&self, response: Response) -> AllSaid<TopicName, ()> {
        let answer = m::CreatePartitionsResponse::try_from(response.body)?;
        let said = answer.results.into_iter().map(|topic| {
            let name = TopicName::from(topic.name.0.as_str());
            let result = Refusal::check(topic.error_code, topic.error_message.as_deref());
            (name, result)
        });
        Ok(said.collect())
    }

    fn complete(results: Results<TopicName, ()>) -> AdminCompletion {
        AdminCompletion::CreatePartitions(results)
    }
}

/// Describes topics by name.
#[derive(Debug)]
pub(super) struct Describe;

impl Handler for Describe {
    type Key = TopicName;
    type Input = ();
    type Output = Topic;

    fn about(key: &TopicName) -> String {
        about_topic(key)
    }

    fn place(&self, _key: &TopicName, _cx: &mut Cx<'_>) -> Placement {
        Placement::At(Destination::AnyBroker)
    }

    fn request(&self, items: &[(&TopicName, &())], _timeout: Duration) -> RequestBody {
        let topics = items
            .iter()
            .map(|(name, ())| MetadataRequestTopic::default().with_name(Some(topic_name(name))));
        metadata_request(Some(topics.collect()))
    }

    fn read(&self, response: Response) -> AllSaid<TopicName, Topic> {
        read_topics(response)
    }

    fn complete(results: Results<TopicName, Topic>) -> AdminCompletion {
        AdminCompletion::DescribeTopics(results)
    }

    fn is_retriable(&self, code: ErrorCode) -> bool {
        code.class().is_retriable() && !matches!(code, ErrorCode::UnknownTopicOrPartition)
    }
}

/// Lists all topics.
#[derive(Debug)]
pub(super) struct List;

impl Handler for List {
    type Key = ();
    type Input = ();
    type Output = BTreeMap<TopicName, Topic>;

    fn about((): &()) -> String {
        "the list of topics".to_owned()
    }

    fn place(&self, (): &(), _cx: &mut Cx<'_>) -> Placement {
        Placement::At(Destination::AnyBroker)
    }

    fn request(&self, _items: &[(&(), &())], _timeout: Duration) -> RequestBody {
        metadata_request(None)
    }

    fn read(&self, response: Response) -> AllSaid<(), BTreeMap<TopicName, Topic>> {
        let topics = read_topics(response)?.into_iter();
        let topics = topics.filter_map(|(name, topic)| Some((name, topic.ok()?)));
        Ok(vec![((), Ok(topics.collect()))])
    }

    fn complete(mut results: Results<(), BTreeMap<TopicName, Topic>>) -> AdminCompletion {
        AdminCompletion::ListTopics(only(&mut results, Self::about(&())))
    }
}

fn metadata_request(topics: Option<Vec<MetadataRequestTopic>>) -> RequestBody {
    m::MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(false).into()
}

fn read_topics(response: Response) -> AllSaid<TopicName, Topic> {
    let answer = m::MetadataResponse::try_from(response.body)?;
    let said = |topic: &MetadataResponseTopic| {
        let name = TopicName::from(topic.name.as_ref()?.0.as_str());
        let result = Refusal::check(topic.error_code, None);
        Some((name.clone(), result.map(|()| Topic::read(name, topic))))
    };
    Ok(answer.topics.iter().filter_map(said).collect())
}
