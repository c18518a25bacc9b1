//! Topics: creating, deleting, extending, describing and listing them.

use std::collections::BTreeMap;

use millstream_client_core::admin as core;
use millstream_types::{TopicId, TopicName};

use super::{Admin, AdminError, BatchResult, CreatedTopic, NewPartitions, NewTopic, Topic};

impl Admin {
    /// Creates topics.
    ///
    /// # Errors
    /// See [`BatchResult`]. A topic that is there already is refused with `TOPIC_ALREADY_EXISTS`. If the
    /// answer to an earlier try was lost, that try may have made it: then a topic of as many partitions
    /// and replicas as wanted counts as created.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn create_topics(
        &self,
        topics: impl IntoIterator<Item = NewTopic>,
    ) -> BatchResult<TopicName, CreatedTopic> {
        self.batch(core::create_topics(topics, false)).await
    }

    /// Says what [`create_topics`](Self::create_topics) would do, and does nothing.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn validate_create_topics(
        &self,
        topics: impl IntoIterator<Item = NewTopic>,
    ) -> BatchResult<TopicName, CreatedTopic> {
        self.batch(core::create_topics(topics, true)).await
    }

    /// Deletes topics.
    ///
    /// # Errors
    /// See [`BatchResult`]. A topic that is not there is refused with `UNKNOWN_TOPIC_OR_PARTITION`,
    /// unless the answer to an earlier try was lost: then that try counts as having deleted it.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn delete_topics(
        &self,
        topics: impl IntoIterator<Item = impl Into<TopicName>>,
    ) -> BatchResult<TopicName, ()> {
        let topics = topics.into_iter().map(Into::into);
        self.batch(core::delete_topics(topics)).await
    }

    /// Deletes topics by their ids, so that one that was created anew under the same name is spared
    /// (Kafka 2.8).
    ///
    /// # Errors
    /// See [`BatchResult`]. A topic that is not there is refused with `UNKNOWN_TOPIC_ID`.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn delete_topics_by_id(
        &self,
        topics: impl IntoIterator<Item = TopicId>,
    ) -> BatchResult<TopicId, ()> {
        self.batch(core::delete_topics_by_id(topics)).await
    }

    /// Raises the number of partitions of topics to these: a number, or [`NewPartitions`] that are
    /// placed by hand.
    ///
    /// # Errors
    /// See [`BatchResult`]. A number that is not higher than before is refused with
    /// `INVALID_PARTITIONS`.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn create_partitions(
        &self,
        counts: impl IntoIterator<Item = (impl Into<TopicName>, impl Into<NewPartitions>)>,
    ) -> BatchResult<TopicName, ()> {
        let counts = counts.into_iter().map(|(topic, count)| (topic.into(), count.into()));
        self.batch(core::create_partitions(counts, false)).await
    }

    /// Says what [`create_partitions`](Self::create_partitions) would do, and does nothing.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn validate_create_partitions(
        &self,
        counts: impl IntoIterator<Item = (impl Into<TopicName>, impl Into<NewPartitions>)>,
    ) -> BatchResult<TopicName, ()> {
        let counts = counts.into_iter().map(|(topic, count)| (topic.into(), count.into()));
        self.batch(core::create_partitions(counts, true)).await
    }

    /// Describes topics with their partitions, page by page where there are many.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_topics(
        &self,
        topics: impl IntoIterator<Item = impl Into<TopicName>>,
    ) -> BatchResult<TopicName, Topic> {
        let topics = topics.into_iter().map(Into::into);
        self.batch(core::describe_topics(topics)).await
    }

    /// Lists all topics with their partitions, Kafka's own among them ([`Topic::is_internal`]).
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn list_topics(&self) -> Result<BTreeMap<TopicName, Topic>, AdminError> {
        self.whole(core::list_topics()).await
    }
}
