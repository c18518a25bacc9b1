//! What users prove themselves with: SCRAM credentials and delegation tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use millstream_client_core::admin as core;
use millstream_types::Timestamp;

use super::scram::{self, ScramChange};
use super::{
    Admin, AdminError, AdminErrors, BatchResult, DelegationToken, KafkaPrincipal,
    NewDelegationToken, ScramIterations,
};

impl Admin {
    /// Which SCRAM credentials users have, and how often their passwords are hashed (KIP-554).
    ///
    /// # Errors
    /// See [`BatchResult`]. A user without any is refused with `RESOURCE_NOT_FOUND`.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_user_scram_credentials(
        &self,
        users: impl IntoIterator<Item = impl Into<String>>,
    ) -> BatchResult<String, ScramIterations> {
        let users = users.into_iter().map(Into::into).collect();
        self.nested(core::describe_user_scram_credentials(Some(users))).await
    }

    /// As [`describe_user_scram_credentials`](Self::describe_user_scram_credentials), of all users.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_all_user_scram_credentials(
        &self,
    ) -> BatchResult<String, ScramIterations> {
        self.nested(core::describe_user_scram_credentials(None)).await
    }

    /// Sets and takes away SCRAM credentials, those of one user in order. Passwords are salted and hashed here, on a thread of their
    /// own, and are not sent.
    ///
    /// # Errors
    /// See [`BatchResult`]. A password without characters, or a count of iterations that Kafka does not
    /// take (4,096 to 16,384), is refused with `UNACCEPTABLE_CREDENTIAL`.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn alter_user_scram_credentials(
        &self,
        changes: impl IntoIterator<Item = ScramChange>,
    ) -> BatchResult<String, ()> {
        let (salted, refused) = scram::salt(changes.into_iter().collect()).await;
        let mut results = if salted.is_empty() {
            BTreeMap::new()
        } else {
            self.call(core::alter_user_scram_credentials(salted)).await?
        };
        results.extend(refused.into_iter().map(|(user, error)| (user, Err(error))));
        Ok(AdminErrors::sort(results).map_err(Box::new)?)
    }

    /// Creates a delegation token (KIP-48). It is not tried again when an answer is lost, for each try
    /// makes another.
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn create_delegation_token(
        &self,
        token: NewDelegationToken,
    ) -> Result<DelegationToken, AdminError> {
        self.whole(core::create_delegation_token(token)).await
    }

    /// Lets a token, named by its secret, end this much later; by the broker's measure if `None`. Gives
    /// when it ends.
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn renew_delegation_token(
        &self,
        hmac: Bytes,
        by: Option<Duration>,
    ) -> Result<Timestamp, AdminError> {
        self.whole(core::renew_delegation_token(hmac, by)).await
    }

    /// Lets a token, named by its secret, end after this time; at once if `None`. Gives when it ends.
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn expire_delegation_token(
        &self,
        hmac: Bytes,
        after: Option<Duration>,
    ) -> Result<Timestamp, AdminError> {
        self.whole(core::expire_delegation_token(hmac, after)).await
    }

    /// The delegation tokens of these owners.
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_delegation_tokens(
        &self,
        owners: impl IntoIterator<Item = KafkaPrincipal>,
    ) -> Result<Vec<DelegationToken>, AdminError> {
        let owners = owners.into_iter().collect();
        self.whole(core::describe_delegation_tokens(Some(owners))).await
    }

    /// All delegation tokens that the caller may see.
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_all_delegation_tokens(&self) -> Result<Vec<DelegationToken>, AdminError> {
        self.whole(core::describe_delegation_tokens(None)).await
    }
}
