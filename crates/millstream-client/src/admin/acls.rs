//! Rules of access.

use std::collections::BTreeSet;

use millstream_client_core::admin as core;

use super::{AclBinding, AclFilter, Admin, AdminError, BatchResult, Results};

impl Admin {
    /// Creates rules of access; one that is there already stays.
    ///
    /// # Errors
    /// See [`BatchResult`]. A cluster without an authorizer refuses with `SECURITY_DISABLED`.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn create_acls(
        &self,
        rules: impl IntoIterator<Item = AclBinding>,
    ) -> BatchResult<AclBinding, ()> {
        self.batch(core::create_acls(rules)).await
    }

    /// The rules of access that fit a filter.
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed. A cluster
    /// without an authorizer refuses with `SECURITY_DISABLED`.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_acls(
        &self,
        filter: AclFilter,
    ) -> Result<BTreeSet<AclBinding>, AdminError> {
        self.whole(core::describe_acls(filter)).await
    }

    /// Deletes the rules of access that fit filters; gives what each found, and whether it is gone.
    /// If the answer to a first try is lost, the next finds nothing.
    ///
    /// # Errors
    /// See [`BatchResult`]. A cluster without an authorizer refuses with `SECURITY_DISABLED`.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn delete_acls(
        &self,
        filters: impl IntoIterator<Item = AclFilter>,
    ) -> BatchResult<AclFilter, Results<AclBinding, ()>> {
        self.batch(core::delete_acls(filters)).await
    }
}
