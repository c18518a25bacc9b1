//! Why a request got no answer.

use std::time::Duration;

use millstream_protocol::{ApiKey, ErrorClass, ErrorCode};

/// Why a request got no answer that could be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestFailure {
    /// Its time was up before it was on the wire whole: the broker has not applied it.
    #[error("{api} was not sent within {waited:?}: {waiting_for}")]
    TimedOutUnsent {
        /// The API.
        api: ApiKey,
        /// How long it waited.
        waited: Duration,
        /// What it waited for, and the last error met meanwhile.
        waiting_for: String,
    },
    /// Its time was up while the broker had it: the broker may or may not have applied it.
    #[error("{api} got no answer from {broker} within {waited:?}")]
    TimedOut {
        /// The API.
        api: ApiKey,
        /// The broker asked.
        broker: String,
        /// How long it waited.
        waited: Duration,
    },
    /// The connection ended, or could not be made, before the request was on the wire whole: the
    /// broker has not applied it.
    #[error("{api} was not sent to {broker}: {reason}")]
    DisconnectedUnsent {
        /// The API.
        api: ApiKey,
        /// The broker it was for.
        broker: String,
        /// What ended the connection.
        reason: String,
    },
    /// The connection ended while the broker had the request: it may or may not have applied it.
    #[error("the connection to {broker} ended before it answered {api}: {reason}")]
    Disconnected {
        /// The API.
        api: ApiKey,
        /// The broker asked.
        broker: String,
        /// What ended the connection.
        reason: String,
    },
    /// The metadata knows no such broker (any more). An update has been requested.
    #[error("{api} has no broker to go to: {broker} is not in the cluster's metadata")]
    UnknownBroker {
        /// The API.
        api: ApiKey,
        /// The broker.
        broker: String,
    },
    /// Too many requests wait for the broker already: the broker has not applied it.
    #[error("{api} was not sent: {waiting} requests wait for {broker} already; try again later")]
    QueueFull {
        /// The API.
        api: ApiKey,
        /// The broker it was for.
        broker: String,
        /// How many wait.
        waiting: usize,
    },
    /// The broker and this client have no version in common that can carry the request.
    #[error("{broker} cannot serve {api}: {reason}; use a newer broker")]
    UnsupportedVersion {
        /// The API.
        api: ApiKey,
        /// The broker.
        broker: String,
        /// What does not fit.
        reason: String,
    },
    /// The request could not be written.
    #[error("{api} could not be encoded: {reason}")]
    Unencodable {
        /// The API.
        api: ApiKey,
        /// What was wrong with it.
        reason: String,
    },
    /// The answer could not be read: the broker may have applied the request.
    #[error("the answer of {broker} to {api} is malformed: {reason}")]
    Malformed {
        /// The API.
        api: ApiKey,
        /// The broker.
        broker: String,
        /// What was wrong with it.
        reason: String,
    },
    /// The finder asked for the coordinator and was refused for good (not authorised, for one).
    #[error("{api} has no coordinator to go to: {reason}")]
    NoCoordinator {
        /// The API.
        api: ApiKey,
        /// The broker's error.
        error: ErrorCode,
        /// What was asked, and what the broker said.
        reason: String,
    },
}

impl RequestFailure {
    /// Whether the broker may have applied the request.
    #[must_use]
    pub const fn may_be_applied(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::Disconnected { .. } | Self::Malformed { .. })
    }

    /// Whether it tells of a broker that is out of reach, whose roles others may have by now.
    #[must_use]
    pub const fn is_of_connection(&self) -> bool {
        matches!(
            self,
            Self::TimedOut { .. }
                | Self::Disconnected { .. }
                | Self::DisconnectedUnsent { .. }
                | Self::UnknownBroker { .. }
        )
    }

    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::TimedOutUnsent { .. }
            | Self::TimedOut { .. }
            | Self::DisconnectedUnsent { .. }
            | Self::Disconnected { .. }
            | Self::QueueFull { .. }
            | Self::Malformed { .. } => ErrorClass::Retriable,
            Self::UnknownBroker { .. } => ErrorClass::RefreshAndRetry,
            Self::UnsupportedVersion { .. } | Self::Unencodable { .. } => ErrorClass::Fatal,
            Self::NoCoordinator { error, .. } => error.class(),
        }
    }
}
