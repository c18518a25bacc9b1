//! Errors that every client can give.

use std::io;

use millstream_client_core::transaction::TransactionError;
use millstream_protocol::ErrorClass;

use crate::config::ConfigError;

/// A client could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The thread for its input and output could not be started.
    #[error("the client's i/o thread could not be started: raise the process's limits")]
    Thread(#[source] io::Error),
    /// The coordinator gave a transactional producer no producer id.
    #[error("no producer id for the transactional producer")]
    Transaction(#[from] TransactionError),
}

impl BuildError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Config(error) => error.class(),
            Self::Thread(_) => ErrorClass::Fatal,
            Self::Transaction(error) => error.class(),
        }
    }
}

/// The client is closed, or its driver has ended: the call was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client is closed")]
pub struct ClientClosed;
