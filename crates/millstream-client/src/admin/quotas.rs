//! Quotas of users, client ids and addresses.

use millstream_client_core::admin as core;

use super::{Admin, AdminError, BatchResult, QuotaChange, QuotaEntity, QuotaFilter, Quotas};

impl Admin {
    /// The quotas of the entities that fit a filter (KIP-546).
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_client_quotas(&self, filter: QuotaFilter) -> Result<Quotas, AdminError> {
        self.whole(core::describe_client_quotas(filter)).await
    }

    /// Changes quotas; those not named stay as they are.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn alter_client_quotas(
        &self,
        changes: impl IntoIterator<Item = (QuotaEntity, Vec<QuotaChange>)>,
    ) -> BatchResult<QuotaEntity, ()> {
        self.batch(core::alter_client_quotas(changes, false)).await
    }

    /// Says what [`alter_client_quotas`](Self::alter_client_quotas) would do, and does nothing.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn validate_alter_client_quotas(
        &self,
        changes: impl IntoIterator<Item = (QuotaEntity, Vec<QuotaChange>)>,
    ) -> BatchResult<QuotaEntity, ()> {
        self.batch(core::alter_client_quotas(changes, true)).await
    }
}
