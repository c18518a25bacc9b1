//! How a commit and a begin can fail.

use std::fmt;

use millstream_client_core::Completion;
use millstream_client_core::transaction::{
    CommitFailure, TransactionCommand, TransactionCompletion, TransactionError,
};
use millstream_protocol::ErrorClass;

use super::TransactionalProducer;
use crate::driver::ClientHandle;

/// A transaction was not committed, or nobody knows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitTransactionError {
    /// Nothing of the transaction is, or will be, visible to readers of committed records. What it
    /// left open is aborted by the driver.
    #[error("the transaction was not committed: {0}")]
    NotCommitted(#[source] TransactionError),
    /// The coordinator may or may not have committed it. [`UnknownCommit::resolve`] finds out, and so
    /// does the next begin.
    #[error("{0}")]
    Unknown(UnknownCommit),
}

impl CommitTransactionError {
    /// What a caller can do about it: [`ErrorClass::Abortable`] to do the work again in another
    /// transaction, [`ErrorClass::Retriable`] to resolve an unknown outcome,
    /// [`ErrorClass::Fenced`] to give way or build a new producer.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::NotCommitted(TransactionError::TimedOut { .. }) => ErrorClass::Abortable,
            Self::NotCommitted(error) => error.class(),
            Self::Unknown(unknown) => unknown.error.class(),
        }
    }

    pub(super) fn new(
        failure: CommitFailure,
        number: u64,
        producer: &TransactionalProducer,
    ) -> Self {
        match failure {
            CommitFailure::NotCommitted(error) => Self::NotCommitted(error),
            CommitFailure::Unknown(error) => Self::Unknown(UnknownCommit {
                number,
                error,
                timeout: producer.max_block,
                handle: producer.producer.handle.clone(),
            }),
            // A kind of failure that is not known here must not be read as "not committed".
            _ => Self::Unknown(UnknownCommit {
                number,
                error: TransactionError::Closed,
                timeout: producer.max_block,
                handle: producer.producer.handle.clone(),
            }),
        }
    }
}

/// A commit whose outcome is not known: the coordinator has not answered definitely.
///
/// Dropping it loses nothing but this way to ask: the driver goes on with the same commit until the
/// answer is definite, and the next begin tells the outcome
/// ([`OpenTransaction::previous`](super::OpenTransaction::previous)).
#[derive(Debug)]
#[must_use = "the transaction may or may not be committed; resolve it, or let the next begin"]
pub struct UnknownCommit {
    number: u64,
    error: TransactionError,
    timeout: std::time::Duration,
    handle: ClientHandle,
}

impl UnknownCommit {
    /// What stands in the way of an answer.
    #[must_use]
    pub const fn error(&self) -> &TransactionError {
        &self.error
    }

    /// Waits for the definite outcome of the same commit, `max.block` at most: `Ok` if it was
    /// committed.
    ///
    /// # Errors
    /// [`CommitTransactionError::NotCommitted`], or [`CommitTransactionError::Unknown`] again.
    ///
    /// # Cancel safety
    /// Dropping the future only loses the answer.
    pub async fn resolve(self) -> Result<(), CommitTransactionError> {
        let Self { number, timeout, handle, .. } = self;
        let again = |error| Self { number, error, timeout, handle: handle.clone() };
        let asked = TransactionCommand::Resolve { number, timeout };
        let result = match handle.call(asked).await {
            Ok(Completion::Transaction(TransactionCompletion::Committed(result))) => result,
            _ => Err(CommitFailure::Unknown(TransactionError::Closed)),
        };
        result.map_err(|failure| match failure {
            CommitFailure::NotCommitted(error) => CommitTransactionError::NotCommitted(error),
            CommitFailure::Unknown(error) => CommitTransactionError::Unknown(again(error)),
            _ => CommitTransactionError::Unknown(again(TransactionError::Closed)),
        })
    }
}

impl fmt::Display for UnknownCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the transaction may or may not be committed: {}", self.error)
    }
}

/// A transaction could not be begun; the producer comes back.
#[derive(Debug)]
pub struct BeginError {
    /// The producer, to begin again or to close.
    pub producer: TransactionalProducer,
    /// What stood in the way.
    pub error: TransactionError,
}

impl BeginError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        self.error.class()
    }
}

impl fmt::Display for BeginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no transaction was begun: {}", self.error)
    }
}

impl std::error::Error for BeginError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
