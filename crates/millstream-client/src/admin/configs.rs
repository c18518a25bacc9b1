//! Settings of topics, brokers, groups and client metrics.

use std::collections::{BTreeMap, BTreeSet};

use millstream_client_core::admin as core;

use super::{
    Admin, AdminError, BatchResult, ConfigChange, ConfigDetail, ConfigEntry, ConfigKind,
    ConfigResource,
};

impl Admin {
    /// All settings of topics, brokers and others, with where each value comes from.
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
        self.describe_configs_with(resources, ConfigDetail::default()).await
    }

    /// As [`describe_configs`](Self::describe_configs), with more detail.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_configs_with(
        &self,
        resources: impl IntoIterator<Item = ConfigResource>,
        detail: ConfigDetail,
    ) -> BatchResult<ConfigResource, BTreeMap<String, ConfigEntry>> {
        self.batch(core::describe_configs(resources, detail)).await
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
        self.batch(core::alter_configs(changes, false)).await
    }

    /// Says what [`alter_configs`](Self::alter_configs) would do, and does nothing.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn validate_alter_configs(
        &self,
        changes: impl IntoIterator<Item = (ConfigResource, Vec<ConfigChange>)>,
    ) -> BatchResult<ConfigResource, ()> {
        self.batch(core::alter_configs(changes, true)).await
    }

    /// Lists what has settings of its own, of these kinds; of all kinds if none is named (KIP-1142,
    /// Kafka 4.1; client metrics alone from 3.7 on).
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn list_config_resources(
        &self,
        kinds: impl IntoIterator<Item = ConfigKind>,
    ) -> Result<BTreeSet<ConfigResource>, AdminError> {
        self.whole(core::list_config_resources(kinds)).await
    }
}
