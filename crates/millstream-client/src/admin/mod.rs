//! The admin client: topics, configs, offsets, the cluster.

mod builder;

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_client_core::admin::{AdminCommand, AdminCompletion};
use millstream_client_core::consumer::IsolationLevel;
use millstream_client_core::{Completion, Engine};
use millstream_protocol::ErrorClass;
use millstream_types::{ClusterId, GroupId, Offset, OffsetAndMetadata, TopicName, TopicPartition};

pub use builder::AdminBuilder;
pub use millstream_client_core::admin::{
    AdminError as CallError, AdminErrors, Cluster, ConfigChange, ConfigEntry, ConfigResource,
    ConfigSource, CreatedTopic, ListedOffset, NewTopic, OffsetSpec,
};
pub use millstream_client_core::metadata::{Broker, Partition, Topic};

use crate::config::ClientConfig;
use crate::driver::ClientHandle;
use crate::error::{BuildError, ClientClosed};

/// Looks after topics, settings and offsets of a cluster.
///
/// Cloning gives another end of the same client; when the last one is dropped its connections are
/// closed. Its methods can be called from any runtime, or from none by a `block_on`.
///
/// A call about several things gives a result for each: `Ok` if all succeeded, otherwise
/// [`AdminErrors`] with what succeeded and what failed. Failures that pass by themselves are tried
/// again until the client's `api_timeout` is over.
///
/// ```no_run
/// use millstream_client::{Admin, NewTopic};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let admin = Admin::connect(["localhost:9092"]).await?;
/// let orders = NewTopic::new("orders", 6).replication(3).config("cleanup.policy", "compact");
/// admin.create_topics([orders]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Admin {
    client: Arc<Client>,
}

#[derive(Debug)]
struct Client {
    handle: ClientHandle,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

/// An admin call failed as a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The cluster refused it, or gave no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The client is closed.
    #[error(transparent)]
    Closed(#[from] ClientClosed),
}

impl AdminError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Call(error) => error.class(),
            Self::Closed(_) => ErrorClass::Fatal,
        }
    }
}

/// Some of the things that an admin call was about failed, or all because the client is closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError<K: std::fmt::Debug, T: std::fmt::Debug> {
    /// Each thing has a result of its own; at least one failed.
    #[error(transparent)]
    Some(#[from] Box<AdminErrors<K, T>>),
    /// The client is closed.
    #[error(transparent)]
    Closed(#[from] ClientClosed),
}

impl<K: Ord + std::fmt::Debug, T: std::fmt::Debug> BatchError<K, T> {
    /// What a caller can do about the first failure.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Some(errors) => errors.class(),
            Self::Closed(_) => ErrorClass::Fatal,
        }
    }

    /// What failed, by what it was about; empty if the client is closed.
    pub fn failed(&self) -> impl Iterator<Item = (&K, &CallError)> {
        let failed = match self {
            Self::Some(errors) => Some(&errors.failed),
            Self::Closed(_) => None,
        };
        failed.into_iter().flatten()
    }
}

/// The results of a call about several things.
pub type BatchResult<K, T> = Result<BTreeMap<K, T>, BatchError<K, T>>;

/// An admin client could not be made, or the cluster did not answer it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// It could not be made.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The cluster did not answer.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

impl ConnectError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Build(error) => error.class(),
            Self::Admin(error) => error.class(),
        }
    }
}

/// Posts a command and gives what its completion holds.
macro_rules! call {
    ($self:ident, $name:ident $(($($argument:expr),*))?) => {
        match $self.client.handle.call(AdminCommand::$name $(($($argument),*))?).await? {
            Completion::Admin(AdminCompletion::$name(result)) => result,
            // The engine answers each command by the completion of its name.
            _ => return Err(ClientClosed.into()),
        }
    };
}

impl Admin {
    /// Connects to a cluster with Java's defaults.
    ///
    /// # Errors
    /// The addresses are malformed, or the cluster gave no answer within 60 s.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn connect(
        bootstrap: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, ConnectError> {
        Self::builder(bootstrap).connect().await
    }

    /// Begins the configuration of a client for these bootstrap servers (`host:port`).
    pub fn builder(bootstrap: impl IntoIterator<Item = impl Into<String>>) -> AdminBuilder {
        AdminBuilder::new(bootstrap)
    }

    fn new(handle: ClientHandle) -> Self {
        Self { client: Arc::new(Client { handle }) }
    }

    /// Creates topics.
    ///
    /// # Errors
    /// See [`BatchResult`]. A topic that is there already is refused with `TOPIC_ALREADY_EXISTS`;
    /// this client's own earlier try may have made it, if its answer was lost.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn create_topics(
        &self,
        topics: impl IntoIterator<Item = NewTopic>,
    ) -> BatchResult<TopicName, CreatedTopic> {
        let results = call!(self, CreateTopics(topics.into_iter().collect()));
        Ok(AdminErrors::sort(results).map_err(Box::new)?)
    }

    /// Deletes topics.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn delete_topics(
        &self,
        topics: impl IntoIterator<Item = impl Into<TopicName>>,
    ) -> BatchResult<TopicName, ()> {
        let topics = topics.into_iter().map(Into::into).collect();
        Ok(AdminErrors::sort(call!(self, DeleteTopics(topics))).map_err(Box::new)?)
    }

    /// Raises the number of partitions of topics to these.
    ///
    /// # Errors
    /// See [`BatchResult`]. A number that is not higher than before is refused.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn create_partitions(
        &self,
        counts: impl IntoIterator<Item = (impl Into<TopicName>, i32)>,
    ) -> BatchResult<TopicName, ()> {
        let counts = counts.into_iter().map(|(topic, count)| (topic.into(), count));
        let results = call!(self, CreatePartitions(counts.collect()));
        Ok(AdminErrors::sort(results).map_err(Box::new)?)
    }

    /// Describes topics with their partitions.
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
        let topics = topics.into_iter().map(Into::into).collect();
        Ok(AdminErrors::sort(call!(self, DescribeTopics(topics))).map_err(Box::new)?)
    }

    /// Lists all topics with their partitions, Kafka's own among them ([`Topic::is_internal`]).
    ///
    /// # Errors
    /// No broker answered in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn list_topics(&self) -> Result<BTreeMap<TopicName, Topic>, AdminError> {
        Ok(call!(self, ListTopics)?)
    }

    /// The cluster's id and brokers.
    ///
    /// # Errors
    /// No broker answered in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_cluster(&self) -> Result<Cluster, AdminError> {
        Ok(call!(self, DescribeCluster)?)
    }

    /// The cluster's id; every Kafka since 0.10.1 has one.
    ///
    /// # Errors
    /// No broker answered in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn cluster_id(&self) -> Result<Option<ClusterId>, AdminError> {
        Ok(self.describe_cluster().await?.id)
    }

    /// All settings of topics and brokers, with where each value comes from.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_configs(
        &self,
        resources: impl IntoIterator<Item = ConfigResource>,
    ) -> BatchResult<ConfigResource, BTreeMap<String, ConfigEntry>> {
        let results = call!(self, DescribeConfigs(resources.into_iter().collect()));
        Ok(AdminErrors::sort(results).map_err(Box::new)?)
    }

    /// Changes single settings; the others stay as they are (KIP-339).
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn alter_configs(
        &self,
        changes: impl IntoIterator<Item = (ConfigResource, Vec<ConfigChange>)>,
    ) -> BatchResult<ConfigResource, ()> {
        let results = call!(self, AlterConfigs(changes.into_iter().collect()));
        Ok(AdminErrors::sort(results).map_err(Box::new)?)
    }

    /// The first, last or timed offsets of partitions, counting records of open transactions.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn list_offsets(
        &self,
        specs: impl IntoIterator<Item = (TopicPartition, OffsetSpec)>,
    ) -> BatchResult<TopicPartition, ListedOffset> {
        self.list_offsets_at(IsolationLevel::ReadUncommitted, specs).await
    }

    /// As [`Admin::list_offsets`]; with [`IsolationLevel::ReadCommitted`] the latest offset is the
    /// last stable one.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn list_offsets_at(
        &self,
        isolation: IsolationLevel,
        specs: impl IntoIterator<Item = (TopicPartition, OffsetSpec)>,
    ) -> BatchResult<TopicPartition, ListedOffset> {
        let results = call!(self, ListOffsets(specs.into_iter().collect(), isolation));
        Ok(AdminErrors::sort(results).map_err(Box::new)?)
    }

    /// Deletes the records before these offsets; gives the first offset there is then.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn delete_records(
        &self,
        before: impl IntoIterator<Item = (TopicPartition, Offset)>,
    ) -> BatchResult<TopicPartition, Offset> {
        let results = call!(self, DeleteRecords(before.into_iter().collect()));
        Ok(AdminErrors::sort(results).map_err(Box::new)?)
    }

    /// All offsets that a group has committed.
    ///
    /// # Errors
    /// The coordinator refused, no broker answered in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn group_offsets(
        &self,
        group: impl Into<GroupId>,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, AdminError> {
        Ok(call!(self, GroupOffsets(group.into()))?)
    }
}

/// Starts the engine of an admin client.
fn start(client: &ClientConfig) -> Result<Admin, BuildError> {
    let config = client.engine()?;
    let engine = Engine::new(&config, None, None);
    let io = client.thread()?;
    Ok(Admin::new(crate::driver::spawn(&io, engine, client.connector(), ())))
}
