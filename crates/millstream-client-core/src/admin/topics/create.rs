//! Creating topics, through the controller.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use millstream_protocol::messages::metadata_response::MetadataResponseTopic;
use millstream_types::{BrokerId, TopicId, TopicName};

use super::super::command::AdminCall;
use super::super::operation::{
    Lot, Operation, Placement, Refusal, Results, Said, Verdict, VerdictOf,
};
use super::super::wire::{anywhere, controller, message_broker_ids, millis, text, topic_name};
use super::{about_topic, metadata_request};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, ResponseBody, WrongResponse};

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: TopicName,
    /// How many partitions; `None`: the broker's `num.partitions`.
    pub partitions: Option<i32>,
    /// How many replicas of each; `None`: the broker's `default.replication.factor`.
    pub replication: Option<i16>,
    /// The brokers of each partition, leader first; if given, it alone says how many partitions and
    /// replicas there are.
    pub assignment: Option<Vec<Vec<BrokerId>>>,
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
        Self {
            name: name.into(),
            partitions: None,
            replication: None,
            assignment: None,
            configs: BTreeMap::new(),
        }
    }

    /// Sets how many replicas each partition has.
    #[must_use]
    pub const fn replication(mut self, factor: i16) -> Self {
        self.replication = Some(factor);
        self
    }

    /// Places the replicas: the brokers of each partition, leader first. What was said of the
    /// number of partitions and replicas counts no more.
    #[must_use]
    pub fn assignment(mut self, partitions: impl IntoIterator<Item = Vec<BrokerId>>) -> Self {
        self.assignment = Some(partitions.into_iter().collect());
        self
    }

    /// Sets a setting, such as `cleanup.policy`.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(name.into(), value.into());
        self
    }

    fn write(&self) -> CreatableTopic {
        let configs = self.configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
        });
        let topic = CreatableTopic::default()
            .with_name(topic_name(&self.name))
            .with_configs(configs.collect());
        let Some(assignment) = &self.assignment else {
            return topic
                .with_num_partitions(self.partitions.unwrap_or(-1))
                .with_replication_factor(self.replication.unwrap_or(-1));
        };
        let assignments = assignment.iter().zip(0..).map(|(brokers, partition)| {
            CreatableReplicaAssignment::default()
                .with_partition_index(partition)
                .with_broker_ids(message_broker_ids(brokers))
        });
        topic
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_assignments(assignments.collect())
    }

    /// Whether a topic that is there could be this one: as many partitions and replicas.
    fn is_like(&self, created: &CreatedTopic) -> bool {
        let (partitions, replication) = match &self.assignment {
            Some(assignment) => (
                i32::try_from(assignment.len()).ok(),
                assignment.first().and_then(|brokers| i16::try_from(brokers.len()).ok()),
            ),
            None => (self.partitions, self.replication),
        };
        partitions.is_none_or(|count| created.partitions == Some(count))
            && replication.is_none_or(|factor| created.replication == Some(factor))
    }
}

/// A topic that was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id; [`TopicId::ZERO`] from brokers before 2.8, and where it was only validated.
    pub id: TopicId,
    /// How many partitions it has, from brokers that tell it (2.4).
    pub partitions: Option<i32>,
    /// How many replicas each has, from brokers that tell it (2.4).
    pub replication: Option<i16>,
}

/// Creates topics, or only says what would become of it.
pub fn create_topics(
    topics: impl IntoIterator<Item = NewTopic>,
    validate_only: bool,
) -> AdminCall<Results<TopicName, CreatedTopic>> {
    let item = |topic: NewTopic| (topic.name.clone(), Creation { topic, is_confirmed: false });
    AdminCall::new(Create { validate_only }, topics.into_iter().map(item))
}

#[derive(Debug)]
struct Create {
    validate_only: bool,
}

#[derive(Debug)]
struct Creation {
    topic: NewTopic,
    /// It is there, perhaps by an earlier try whose answer was lost: look whether it is the same.
    is_confirmed: bool,
}

impl Create {
    /// What the metadata say of a topic that an earlier try may have created.
    fn confirm(asked: &Creation, found: &MetadataResponseTopic) -> VerdictOf<Self> {
        if let Err(refusal) = Refusal::check(found.error_code, None) {
            return Verdict::Refused(refusal);
        }
        let replicas = found.partitions.first().map_or(0, |first| first.replica_nodes.len());
        let created = CreatedTopic {
            id: TopicId(found.topic_id),
            partitions: i32::try_from(found.partitions.len()).ok(),
            replication: i16::try_from(replicas).ok(),
        };
        if asked.topic.is_like(&created) {
            return Verdict::Done(created);
        }
        Verdict::Refused(Refusal {
            code: ErrorCode::TopicAlreadyExists,
            message: Some("with another number of partitions or replicas".to_owned()),
        })
    }
}

impl Operation for Create {
    type Key = TopicName;
    type Input = Creation;
    type Output = CreatedTopic;
    type Done = Results<TopicName, CreatedTopic>;

    fn about(&self, key: &TopicName) -> String {
        about_topic(key)
    }

    fn place(&self, _key: &TopicName, input: &Creation, _cx: &mut Cx<'_>) -> Placement {
        if input.is_confirmed { anywhere() } else { controller() }
    }

    fn lot(&self, _key: &TopicName, input: &Creation) -> Lot {
        Lot::Shared(u8::from(input.is_confirmed))
    }

    fn request(&self, items: &[(&TopicName, &Creation)], timeout: Duration) -> RequestBody {
        if items.first().is_some_and(|(_, input)| input.is_confirmed) {
            return metadata_request(Some(items.iter().map(|(name, _)| *name)));
        }
        m::CreateTopicsRequest::default()
            .with_topics(items.iter().map(|(_, input)| input.topic.write()).collect())
            .with_timeout_ms(millis(timeout))
            .with_validate_only(self.validate_only)
            .into()
    }

    fn read(
        &self,
        response: Response,
        asked: &[(&TopicName, &Creation)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        if let ResponseBody::Metadata(answer) = response.body {
            let said = asked.iter().zip(&answer.topics);
            return Ok(said
                .map(|((name, asked), found)| ((*name).clone(), Self::confirm(asked, found)))
                .collect());
        }
        let answer = m::CreateTopicsResponse::try_from(response.body)?;
        let said = answer.topics.into_iter().map(|topic| {
            let name = TopicName::from(topic.name.0.as_str());
            let created = CreatedTopic {
                id: TopicId(topic.topic_id),
                partitions: Some(topic.num_partitions).filter(|count| *count > 0),
                replication: Some(topic.replication_factor).filter(|factor| *factor > 0),
            };
            let result = Refusal::check(topic.error_code, topic.error_message.as_deref());
            (name, result.map(|()| created).into())
        });
        Ok(said.collect())
    }

    /// That it is there now may be this call's own doing.
    fn when_repeated(
        &self,
        key: &TopicName,
        input: &Creation,
        code: ErrorCode,
    ) -> Option<VerdictOf<Self>> {
        let is_there = code == ErrorCode::TopicAlreadyExists && !input.is_confirmed;
        let creation = || Creation { topic: input.topic.clone(), is_confirmed: true };
        is_there.then(|| Verdict::Become(vec![(key.clone(), creation())]))
    }

    fn merge(self, results: Results<TopicName, CreatedTopic>) -> Self::Done {
        results
    }
}
