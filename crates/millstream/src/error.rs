//! What can go wrong with an application, as types that a program can branch on.

use std::sync::Arc;

use millstream_client::admin::{CallError, ConnectError};
use millstream_client::{AdminError, BuildError, CommitError, ConsumerError, FetchError};
use millstream_core::TaskId;
use millstream_state::StoreError;
use millstream_types::{TopicName, TopicPartition};

use crate::assignment::AssignmentDataError;
use crate::state_dir::StateDirError;

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` cannot be `{value}`: {reason}")]
pub struct StreamsConfigError {
    /// Kafka's name of the setting.
    pub name: String,
    /// The value it was given.
    pub value: String,
    /// Why not.
    pub reason: String,
}

impl StreamsConfigError {
    pub(crate) fn invalid(name: &str, value: &str, reason: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.to_owned(), reason: reason.into() }
    }
}

/// Why an application could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting cannot be.
    #[error(transparent)]
    Config(#[from] StreamsConfigError),
    /// The state directory is in use or cannot be written.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The database in the state directory cannot be opened.
    #[error("the state store cannot be opened")]
    Store(#[source] StoreError),
    /// A client could not be built, or the cluster was not reached.
    #[error("the cluster cannot be reached")]
    Connect(#[from] ConnectError),
    /// The cluster did not answer a first question.
    #[error("the cluster did not describe itself")]
    Admin(#[from] AdminError),
    /// The cluster has no id: it is older than any that is supported.
    #[error("the cluster gives no cluster id: Kafka 2.1 or later is needed")]
    NoClusterId,
    /// The system gave no thread.
    #[error("a thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Why a stream thread died; what the uncaught-exception handler is given.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamsError {
    /// A task failed: a record could not be read or written, or user code failed.
    #[error("task {task} failed: {cause}")]
    Task {
        /// The task.
        task: TaskId,
        /// What its engine said.
        #[source]
        cause: Arc<millstream_core::TaskError>,
    },
    /// User code panicked; the task's state since the last commit is given up.
    #[error("user code panicked in task {task}: {message}")]
    Panic {
        /// The task.
        task: TaskId,
        /// The panic's message.
        message: String,
    },
    /// Records could not be read.
    #[error("records cannot be read: {0}")]
    Fetch(#[source] Arc<FetchError>),
    /// An input topic is not there, or is gone.
    #[error(
        "not all input topics exist ({}): create them, then start the application again",
        join(topics)
    )]
    MissingSourceTopic {
        /// The input topics of the topology.
        topics: Vec<TopicName>,
    },
    /// The group's leader could not place the tasks; its log says why.
    #[error("the group's leader could not place the tasks ({code}): see its log")]
    AssignmentFailed {
        /// The code that it sent.
        code: String,
    },
    /// Records were not written, or may not have been; nothing was committed after them.
    #[error("{records} records for {partition} were not written: {cause}")]
    Produce {
        /// Where to.
        partition: TopicPartition,
        /// How many.
        records: u64,
        /// What the producer said.
        cause: String,
    },
    /// Offsets could not be committed.
    #[error("offsets cannot be committed: {0}")]
    Commit(#[source] Arc<CommitError>),
    /// A consumer could not do as it was told.
    #[error("the consumer failed: {0}")]
    Consumer(#[source] Arc<ConsumerError>),
    /// Topics could not be described.
    #[error("changelog topics cannot be described: {0}")]
    Topics(String),
    /// A client could not be built.
    #[error("a client cannot be built: {0}")]
    Client(#[source] Arc<BuildError>),
    /// The group's coordinator did not say where to start.
    #[error("the committed offsets of task {task} were not to be had")]
    CommittedTimeout {
        /// The task.
        task: TaskId,
    },
    /// A state store failed: it is rebuilt from its changelog when the task starts again.
    #[error("a state store of task {task} failed: {cause}")]
    Store {
        /// The task.
        task: TaskId,
        /// What the store said.
        #[source]
        cause: Arc<StoreError>,
    },
    /// The group's leader sent an assignment that cannot be read.
    #[error("the assignment cannot be read: {0}")]
    Assignment(#[source] Arc<AssignmentDataError>),
    /// Internal topics are missing or have another number of partitions.
    #[error("{0}")]
    InternalTopics(#[source] Arc<InternalTopicError>),
    /// An instance of the application asked all of them to close.
    #[error("another instance asked the application to shut down")]
    ShutdownRequested,
    /// The application was closed.
    #[error("the application was closed")]
    Closed,
    /// A thread beside the stream thread ended.
    #[error("the state updater ended: {0}")]
    Updater(String),
}

fn join(topics: &[TopicName]) -> String {
    topics.iter().map(TopicName::as_str).collect::<Vec<_>>().join(", ")
}

/// Why an internal topic cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InternalTopicError {
    /// It exists with another number of partitions.
    #[error(
        "internal topic {topic} has {actual} partitions, but the topology needs {expected}: \
         reset the application, or give it another application.id"
    )]
    Partitions {
        /// The topic.
        topic: TopicName,
        /// What the topology needs.
        expected: i32,
        /// What the topic has.
        actual: i32,
    },
    /// It could not be created or described.
    #[error("internal topics cannot be made ready: {0}")]
    Admin(#[from] CallError),
    /// The application closed meanwhile.
    #[error("internal topics cannot be made ready: {0}")]
    Closed(String),
    /// It was created, but the brokers do not show it.
    #[error("internal topic {topic} was created, but no broker shows it after {seconds} s")]
    Invisible {
        /// The topic.
        topic: TopicName,
        /// How long that took.
        seconds: u64,
    },
}
