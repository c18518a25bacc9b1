//! Replicas: electing leaders, moving them between brokers and between folders.

use std::collections::BTreeMap;

use millstream_client_core::admin as core;
use millstream_types::{BrokerId, TopicPartition};

use super::{
    Admin, AdminError, BatchResult, Election, ElectionType, LogDirs, Reassignment, ReplicaLogDirs,
    TopicPartitionReplica,
};

impl Admin {
    /// Elects leaders of partitions: the preferred replica, or any where none in sync is left.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn elect_leaders(
        &self,
        kind: ElectionType,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> BatchResult<TopicPartition, Election> {
        let partitions = partitions.into_iter().collect();
        self.nested(core::elect_leaders(kind, Some(partitions))).await
    }

    /// Elects leaders of all partitions that need it.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn elect_all_leaders(
        &self,
        kind: ElectionType,
    ) -> BatchResult<TopicPartition, Election> {
        self.nested(core::elect_leaders(kind, None)).await
    }

    /// Begins to move partitions to these brokers, the preferred leader first (KIP-455); `None` calls
    /// a move that is under way off.
    ///
    /// # Errors
    /// See [`BatchResult`]. Where nothing moves, calling it off is refused with
    /// `NO_REASSIGNMENT_IN_PROGRESS`.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn alter_partition_reassignments(
        &self,
        targets: impl IntoIterator<Item = (TopicPartition, Option<Vec<BrokerId>>)>,
    ) -> BatchResult<TopicPartition, ()> {
        self.batch(core::alter_partition_reassignments(targets)).await
    }

    /// Which of these partitions are moving.
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn list_partition_reassignments(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, Reassignment>, AdminError> {
        let partitions = partitions.into_iter().collect();
        self.whole(core::list_partition_reassignments(Some(partitions))).await
    }

    /// All partitions that are moving.
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn list_all_partition_reassignments(
        &self,
    ) -> Result<BTreeMap<TopicPartition, Reassignment>, AdminError> {
        self.whole(core::list_partition_reassignments(None)).await
    }

    /// What is in the folders of brokers (KIP-113).
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_log_dirs(
        &self,
        brokers: impl IntoIterator<Item = BrokerId>,
    ) -> BatchResult<BrokerId, LogDirs> {
        self.batch(core::describe_log_dirs(brokers)).await
    }

    /// Begins to move replicas to these folders of their brokers.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn alter_replica_log_dirs(
        &self,
        targets: impl IntoIterator<Item = (TopicPartitionReplica, impl Into<String>)>,
    ) -> BatchResult<TopicPartitionReplica, ()> {
        let targets = targets.into_iter().map(|(replica, path)| (replica, path.into()));
        self.batch(core::alter_replica_log_dirs(targets)).await
    }

    /// In which folders of their brokers replicas are, and are moving to.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_replica_log_dirs(
        &self,
        replicas: impl IntoIterator<Item = TopicPartitionReplica>,
    ) -> BatchResult<TopicPartitionReplica, ReplicaLogDirs> {
        self.batch(core::describe_replica_log_dirs(replicas)).await
    }
}
