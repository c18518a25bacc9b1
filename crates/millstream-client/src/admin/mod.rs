//! The admin client: every operation of Java's `Admin`, a file for each subject.

mod acls;
mod builder;
mod cluster;
mod configs;
mod groups;
mod offsets;
mod quotas;
mod replicas;
mod scram;
mod topics;
mod transactions;
mod users;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use millstream_client_core::admin::AdminCall;
use millstream_client_core::{Completion, Engine};
use millstream_protocol::ErrorClass;

pub use crate::consumer::IsolationLevel;
pub use builder::AdminBuilder;
pub use groups::Lag;
pub use millstream_client_core::Endpoint;
pub use millstream_client_core::admin::{
    AbortTransaction, AclBinding, AclFilter, AclOperation, AclOperations, AclPatternFilter,
    AclPermission, AclResourceType, ActiveProducer, AdminError as CallError, AdminErrors,
    ClassicGroup, ClassicMember, Cluster, ClusterScope, ConfigChange, ConfigDetail, ConfigEntry,
    ConfigKind, ConfigResource, ConfigSource, ConfigSynonym, ConfigType, ConsumerGroup,
    CreatedTopic, DelegationToken, Election, ElectionType, FeatureUpdate, Features, FencedProducer,
    FinalizedFeature, GroupFilter, GroupListing, GroupMember, GroupOffsetsSpec, GroupState,
    GroupType, KafkaPrincipal, ListedOffset, LogDir, LogDirs, MemberToRemove, NewDelegationToken,
    NewPartitions, NewTopic, OffsetSpec, PatternType, Quorum, QuorumReplica, QuotaChange,
    QuotaEntity, QuotaFilter, QuotaMatch, Quotas, Reassignment, ReplicaInLogDir, ReplicaLogDir,
    ReplicaLogDirs, Results, ScramIterations, ScramMechanism, ShareGroup, ShareMember, ShareOffset,
    StreamsGroup, StreamsMember, StreamsSubtopology, StreamsTasks, StreamsTopicInfo,
    TopicPartitionReplica, TransactionDescription, TransactionFilter, TransactionListing,
    TransactionState, UnknownWord, UpgradeType, VoterEndpoint,
};
pub use millstream_client_core::metadata::{Broker, Partition, Topic};
pub use scram::ScramChange;

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
    options: CallOptions,
}

#[derive(Debug)]
struct Client {
    handle: ClientHandle,
    /// It speaks to controllers, not to brokers.
    is_of_controllers: bool,
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
pub enum BatchError<K: fmt::Debug, T: fmt::Debug> {
    /// Each thing has a result of its own; at least one failed.
    #[error(transparent)]
    Some(#[from] Box<AdminErrors<K, T>>),
    /// What the things are could not be had: nothing is known of any.
    #[error(transparent)]
    Whole(CallError),
    /// The client is closed.
    #[error(transparent)]
    Closed(#[from] ClientClosed),
}

impl<K: Ord + fmt::Debug, T: fmt::Debug> BatchError<K, T> {
    /// What a caller can do about the first failure.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Some(errors) => errors.class(),
            Self::Whole(error) => error.class(),
            Self::Closed(_) => ErrorClass::Fatal,
        }
    }

    /// What failed, by what it was about; empty if the client is closed.
    pub fn failed(&self) -> impl Iterator<Item = (&K, &CallError)> {
        let failed = match self {
            Self::Some(errors) => Some(&errors.failed),
            Self::Whole(_) | Self::Closed(_) => None,
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

/// What every call of an [`Admin`] is made with.
#[derive(Clone, Copy, Debug, Default)]
struct CallOptions {
    timeout: Option<Duration>,
    fails_when_throttled: bool,
    authorized_operations: bool,
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

    /// Begins the configuration of a client that speaks to controllers instead of brokers
    /// (KIP-919), `host:port` of some of them.
    ///
    /// It serves what the active controller does, such as
    /// [`describe_metadata_quorum`](Self::describe_metadata_quorum), the settings and features of
    /// the cluster, and [`describe_cluster`](Self::describe_cluster), which describes the
    /// controllers. All else is refused ([`CallError::is_unsupported`]).
    #[doc(alias = "bootstrap.controllers")]
    pub fn builder_for_controllers(
        controllers: impl IntoIterator<Item = impl Into<String>>,
    ) -> AdminBuilder {
        AdminBuilder::of_controllers(controllers)
    }

    fn new(handle: ClientHandle, is_of_controllers: bool) -> Self {
        let client = Arc::new(Client { handle, is_of_controllers });
        Self { client, options: CallOptions::default() }
    }

    /// The same client, whose calls each take at most this long instead of the client's
    /// `api_timeout`.
    #[must_use]
    pub fn within(&self, timeout: Duration) -> Self {
        let options = CallOptions { timeout: Some(timeout), ..self.options };
        Self { client: Arc::clone(&self.client), options }
    }

    /// The same client, whose calls fail with `THROTTLING_QUOTA_EXCEEDED` at once where the cluster
    /// wants fewer changes, instead of waiting that out (KIP-599).
    #[must_use]
    pub fn failing_when_throttled(&self) -> Self {
        let options = CallOptions { fails_when_throttled: true, ..self.options };
        Self { client: Arc::clone(&self.client), options }
    }

    /// The same client, whose descriptions of groups and of the cluster also tell what the caller
    /// may do to them (KIP-430).
    #[must_use]
    pub fn with_authorized_operations(&self) -> Self {
        let options = CallOptions { authorized_operations: true, ..self.options };
        Self { client: Arc::clone(&self.client), options }
    }

    /// Posts a call and gives what it returned.
    async fn call<T: Send + 'static>(&self, call: AdminCall<T>) -> Result<T, ClientClosed> {
        let mut call = call;
        if let Some(timeout) = self.options.timeout {
            call = call.timeout(timeout);
        }
        if self.options.fails_when_throttled {
            call = call.failing_when_throttled();
        }
        match self.client.handle.call(call).await? {
            Completion::Admin(completion) => AdminCall::read(completion).ok_or(ClientClosed),
            // The engine answers each call of the admin machine by its completion.
            _ => Err(ClientClosed),
        }
    }

    /// A call about several things.
    async fn batch<K, T>(&self, call: AdminCall<Results<K, T>>) -> BatchResult<K, T>
    where
        K: Ord + fmt::Debug + Send + 'static,
        T: fmt::Debug + Send + 'static,
    {
        Ok(AdminErrors::sort(self.call(call).await?).map_err(Box::new)?)
    }

    /// A call that fails as a whole or is about several things.
    async fn nested<K, T>(
        &self,
        call: AdminCall<Result<Results<K, T>, CallError>>,
    ) -> BatchResult<K, T>
    where
        K: Ord + fmt::Debug + Send + 'static,
        T: fmt::Debug + Send + 'static,
    {
        let results = self.call(call).await?.map_err(BatchError::Whole)?;
        Ok(AdminErrors::sort(results).map_err(Box::new)?)
    }

    /// A call about one thing.
    async fn whole<T: Send + 'static>(
        &self,
        call: AdminCall<Result<T, CallError>>,
    ) -> Result<T, AdminError> {
        Ok(self.call(call).await??)
    }
}

/// The result of a call about one thing that could have been about several.
fn only<K, T>(results: BatchResult<K, T>) -> Result<T, AdminError>
where
    K: Ord + fmt::Debug,
    T: fmt::Debug,
{
    match results {
        Ok(mut found) => {
            found.pop_first().map(|(_, found)| found).ok_or_else(|| ClientClosed.into())
        }
        Err(BatchError::Some(mut errors)) => Err(errors
            .failed
            .pop_first()
            .map_or_else(|| ClientClosed.into(), |(_, error): (K, CallError)| error.into())),
        Err(BatchError::Whole(error)) => Err(error.into()),
        Err(BatchError::Closed(closed)) => Err(closed.into()),
    }
}

/// Starts the engine of an admin client.
fn start(client: &ClientConfig) -> Result<Admin, BuildError> {
    let config = client.engine()?;
    let engine = Engine::new(&config, None, None);
    let io = client.thread()?;
    let handle = crate::driver::spawn(&io, engine, client.connector(), ());
    Ok(Admin::new(handle, config.bootstrap_is_of_controllers))
}
