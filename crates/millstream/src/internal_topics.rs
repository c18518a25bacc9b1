//! Making repartition and changelog topics ready (`InternalTopicManager.java`).

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_client::admin::CallError;
use millstream_client::{Admin, BatchError, ErrorCode, NewTopic};
use millstream_types::TopicName;

use crate::error::InternalTopicError;

/// How long brokers may take to show a topic that they created.
const VISIBLE_TIMEOUT: Duration = Duration::from_secs(30);
const VISIBLE_POLL: Duration = Duration::from_millis(50);

/// How often, and how long after another, a source topic is looked for before it is missing.
const FIND_TRIES: u32 = 10;
const FIND_PAUSE: Duration = Duration::from_millis(200);

/// A topic that the topology needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InternalTopic {
    pub(crate) name: TopicName,
    pub(crate) partitions: i32,
    pub(crate) configs: BTreeMap<String, String>,
}

/// Creates what is missing and checks what is there.
#[derive(Clone, Debug)]
pub(crate) struct InternalTopics {
    admin: Admin,
    replication_factor: Option<i16>,
    /// The application's `topic.` properties: they win over the library's.
    overrides: BTreeMap<String, String>,
}

impl InternalTopics {
    pub(crate) const fn new(
        admin: Admin,
        replication_factor: Option<i16>,
        overrides: BTreeMap<String, String>,
    ) -> Self {
        Self { admin, replication_factor, overrides }
    }

    /// Returns when every topic is there with as many partitions as it needs.
    pub(crate) async fn ensure(&self, wanted: &[InternalTopic]) -> Result<(), InternalTopicError> {
        let mut missing = self.missing(wanted).await?;
        if missing.is_empty() {
            return Ok(());
        }
        let new = missing.iter().map(|topic| self.new_topic(topic));
        match self.admin.create_topics(new).await {
            Ok(_) => {}
            // Another leader of the group may have been quicker.
            Err(BatchError::Some(errors)) => {
                all_with(errors.failed.into_values(), ErrorCode::TopicAlreadyExists)?;
            }
            Err(error) => return Err(InternalTopicError::Closed(error.to_string())),
        }
        // A created topic shows only once its controller's word has reached the brokers.
        let tries = VISIBLE_TIMEOUT.as_millis() / VISIBLE_POLL.as_millis();
        for _ in 0..tries {
            missing = self.missing(&missing).await?;
            if missing.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(VISIBLE_POLL).await;
        }
        let topic = missing.swap_remove(0).name;
        Err(InternalTopicError::Invisible { topic, seconds: VISIBLE_TIMEOUT.as_secs() })
    }

    /// How many partitions these topics have, as soon as all are there; none of a topic that does
    /// not turn up for a while. A topic that was just created need not show on every broker.
    pub(crate) async fn find(&self, topics: &[TopicName]) -> BTreeMap<TopicName, i32> {
        let mut found = BTreeMap::new();
        for _ in 0..FIND_TRIES {
            let described = match self.admin.describe_topics(topics.iter().cloned()).await {
                Ok(described) => described,
                Err(BatchError::Some(errors)) => errors.succeeded,
                Err(_) => return found,
            };
            found.extend(described.into_iter().filter_map(|(name, topic)| {
                let count = i32::try_from(topic.partitions.len()).ok()?;
                (count > 0).then_some((name, count))
            }));
            if topics.iter().all(|topic| found.contains_key(topic)) {
                break;
            }
            tokio::time::sleep(FIND_PAUSE).await;
        }
        found
    }

    async fn missing(
        &self,
        wanted: &[InternalTopic],
    ) -> Result<Vec<InternalTopic>, InternalTopicError> {
        let names = wanted.iter().map(|topic| topic.name.clone());
        let described = match self.admin.describe_topics(names).await {
            Ok(described) => described,
            Err(BatchError::Some(errors)) => {
                all_with(errors.failed.into_values(), ErrorCode::UnknownTopicOrPartition)?;
                errors.succeeded
            }
            Err(error) => return Err(InternalTopicError::Closed(error.to_string())),
        };
        let mut missing = Vec::new();
        for topic in wanted {
            match described.get(&topic.name) {
                Some(description) => check(topic, description.partitions.len())?,
                None => missing.push(topic.clone()),
            }
        }
        Ok(missing)
    }

    fn new_topic(&self, topic: &InternalTopic) -> NewTopic {
        let mut new = NewTopic::new(topic.name.as_str(), topic.partitions);
        if let Some(factor) = self.replication_factor {
            new = new.replication(factor);
        }
        let configs = topic.configs.iter().chain(&self.overrides);
        configs.fold(new, |new, (name, value)| new.config(name, value))
    }
}

/// The first failure that is not of the one kind that does no harm.
fn all_with(
    errors: impl IntoIterator<Item = CallError>,
    harmless: ErrorCode,
) -> Result<(), InternalTopicError> {
    let mut errors = errors.into_iter().filter(|error| error.code() != Some(harmless));
    errors.next().map_or(Ok(()), |error| Err(error.into()))
}

fn check(topic: &InternalTopic, actual: usize) -> Result<(), InternalTopicError> {
    let actual = i32::try_from(actual).unwrap_or(i32::MAX);
    if actual != topic.partitions {
        let (topic, expected) = (topic.name.clone(), topic.partitions);
        return Err(InternalTopicError::Partitions { topic, expected, actual });
    }
    Ok(())
}
