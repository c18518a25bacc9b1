//! The error of `send`, which both accepts a record and waits for its end.

use millstream_client_core::producer::{DeliveryError, EnqueueError};
use millstream_protocol::ErrorClass;

/// A record was not accepted, or not acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It was not accepted: nothing of it is kept.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// It was accepted and is not known to be written.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

impl SendError {
    /// What a caller can do about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Enqueue(error) => error.class(),
            Self::Delivery(error) => error.class(),
        }
    }
}
