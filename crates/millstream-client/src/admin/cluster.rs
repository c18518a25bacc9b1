//! The cluster: its brokers and controllers, features, the quorum of its metadata.

use millstream_client_core::admin as core;
use millstream_types::{BrokerId, ClusterId};
use uuid::Uuid;

use super::{
    Admin, AdminError, BatchResult, Cluster, ClusterScope, FeatureUpdate, Features, Quorum,
    VoterEndpoint,
};

impl Admin {
    /// The cluster's id and the brokers that are up; where the client speaks to controllers, these.
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_cluster(&self) -> Result<Cluster, AdminError> {
        let of_controllers = self.client.is_of_controllers;
        let scope = if of_controllers { ClusterScope::Controllers } else { ClusterScope::Brokers };
        self.describe_cluster_with(scope).await
    }

    /// As [`describe_cluster`](Self::describe_cluster), with the nodes that `scope` names.
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_cluster_with(&self, scope: ClusterScope) -> Result<Cluster, AdminError> {
        let operations = self.options.authorized_operations;
        self.whole(core::describe_cluster(scope, operations)).await
    }

    /// The cluster's id; every Kafka since 0.10.1 has one.
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn cluster_id(&self) -> Result<Option<ClusterId>, AdminError> {
        Ok(self.describe_cluster().await?.id)
    }

    /// The features that the cluster could run and runs (KIP-584), as one broker knows them.
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_features(&self) -> Result<Features, AdminError> {
        self.whole(core::describe_features()).await
    }

    /// Moves the levels of features; since Kafka 4.0 all of them or none.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn update_features(
        &self,
        updates: impl IntoIterator<Item = (impl Into<String>, FeatureUpdate)>,
    ) -> BatchResult<String, ()> {
        let updates = updates.into_iter().map(|(name, update)| (name.into(), update));
        self.batch(core::update_features(updates, false)).await
    }

    /// Says what [`update_features`](Self::update_features) would do, and does nothing.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn validate_update_features(
        &self,
        updates: impl IntoIterator<Item = (impl Into<String>, FeatureUpdate)>,
    ) -> BatchResult<String, ()> {
        let updates = updates.into_iter().map(|(name, update)| (name.into(), update));
        self.batch(core::update_features(updates, true)).await
    }

    /// The quorum of controllers that keeps the cluster's metadata (KIP-836).
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_metadata_quorum(&self) -> Result<Quorum, AdminError> {
        self.whole(core::describe_metadata_quorum()).await
    }

    /// Makes a controller that follows the metadata log a voter (KIP-853).
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn add_raft_voter(
        &self,
        voter: BrokerId,
        directory: Uuid,
        endpoints: impl IntoIterator<Item = VoterEndpoint>,
    ) -> Result<(), AdminError> {
        self.whole(core::add_raft_voter(voter, directory, endpoints)).await
    }

    /// Takes a controller's vote away (KIP-853).
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn remove_raft_voter(
        &self,
        voter: BrokerId,
        directory: Uuid,
    ) -> Result<(), AdminError> {
        self.whole(core::remove_raft_voter(voter, directory)).await
    }

    /// Forgets a broker that is down for good.
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn unregister_broker(&self, broker: BrokerId) -> Result<(), AdminError> {
        self.whole(core::unregister_broker(broker)).await
    }
}
