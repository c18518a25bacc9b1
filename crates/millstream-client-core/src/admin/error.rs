//! Why an admin call, or a part of one, failed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use millstream_protocol::{ErrorClass, ErrorCode};

use crate::outbox::RequestFailure;

/// Why one thing that an admin call was about failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The cluster refused.
    #[error("{about}: {code}{}", .message.as_ref().map(|m| format!(": {m}")).unwrap_or_default())]
    Refused {
        /// What the call was about.
        about: String,
        /// The broker's error.
        code: ErrorCode,
        /// What the broker said beside it.
        message: Option<String>,
    },
    /// The call's time was up before the cluster gave a final answer.
    #[error("{about}: no final answer within {waited:?}; last error: {last_error}")]
    TimedOut {
        /// What the call was about.
        about: String,
        /// How long it was tried.
        waited: Duration,
        /// The last error met, or what it waited for.
        last_error: String,
    },
    /// A request got no answer, and another try would fare no better.
    #[error("{about}: {failure}")]
    Request {
        /// What the call was about.
        about: String,
        /// Why there is no answer.
        failure: RequestFailure,
    },
    /// Too many calls are under way: nothing was sent.
    #[error("{about}: not asked, for {pending} calls are under way already; try again later")]
    Busy {
        /// What the call was about.
        about: String,
        /// How many calls are under way.
        pending: usize,
    },
    /// The cluster answered, but said nothing about this.
    #[error("{about}: the broker's answer leaves it out")]
    LeftOut {
        /// What the call was about.
        about: String,
    },
}

impl AdminError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Refused { code, .. } => code.class(),
            Self::TimedOut { .. } | Self::Busy { .. } => ErrorClass::Retriable,
            Self::Request { failure, .. } => failure.class(),
            Self::LeftOut { .. } => ErrorClass::Fatal,
        }
    }

    /// Whether the cluster does not serve such a call: it is too old, or lacks the feature.
    #[must_use]
    pub const fn is_unsupported(&self) -> bool {
        match self {
            Self::Refused { code, .. } => matches!(code, ErrorCode::UnsupportedVersion),
            Self::Request { failure, .. } => {
                matches!(failure, RequestFailure::UnsupportedVersion { .. })
            }
            _ => false,
        }
    }

    /// The broker's error, if it was the broker that refused.
    #[must_use]
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// Some of the things that an admin call was about failed.
#[derive(Debug)]
pub struct AdminErrors<K, T> {
    /// What succeeded.
    pub succeeded: BTreeMap<K, T>,
    /// What failed; at least one.
    pub failed: BTreeMap<K, AdminError>,
}

impl<K: Ord, T> AdminErrors<K, T> {
    /// All results of a call, or its failures.
    ///
    /// # Errors
    /// At least one of them failed.
    pub fn sort(results: BTreeMap<K, Result<T, AdminError>>) -> Result<BTreeMap<K, T>, Self> {
        let mut succeeded = BTreeMap::new();
        let mut failed = BTreeMap::new();
        for (key, result) in results {
            match result {
                Ok(value) => drop(succeeded.insert(key, value)),
                Err(error) => drop(failed.insert(key, error)),
            }
        }
        if failed.is_empty() { Ok(succeeded) } else { Err(Self { succeeded, failed }) }
    }

    /// What a caller can do about the first failure.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        let first = self.failed.values().next();
        first.map_or(ErrorClass::Fatal, AdminError::class)
    }
}

impl<K, T> fmt::Display for AdminErrors<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.failed.values().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl<K: fmt::Debug, T: fmt::Debug> std::error::Error for AdminErrors<K, T> {}
