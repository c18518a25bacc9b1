//! Why a transaction, or a verb of one, failed.

use std::time::Duration;

use millstream_protocol::{ErrorClass, ErrorCode};
use millstream_types::TopicPartition;

use crate::consumer::CommitError;
use crate::outbox::RequestFailure;
use crate::producer::DeliveryCause;

/// Why a transaction or its producer cannot go on.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// Another producer has taken the transactional id over, or the coordinator has ended the
    /// transaction at its timeout: to the coordinator both look alike.
    #[error(
        "transactional id {transactional_id} is fenced: {api} was answered with {code}; another \
         producer has taken over, or the transaction took longer than {timeout:?} \
         (transaction.timeout.ms); build a new producer if this one is to go on"
    )]
    Fenced {
        /// The transactional id.
        transactional_id: String,
        /// What was asked.
        api: &'static str,
        /// The answer.
        code: ErrorCode,
        /// The transaction's timeout.
        timeout: Duration,
    },
    /// The coordinator refuses for good.
    #[error("transactional id {transactional_id} cannot be used: {api} was answered with {code}")]
    Refused {
        /// The transactional id.
        transactional_id: String,
        /// What was asked.
        api: &'static str,
        /// The answer.
        code: ErrorCode,
    },
    /// Records of the transaction were not written, or may not have been: it can only be aborted.
    #[error("a record for {partition} failed, so the transaction can only be aborted")]
    Record {
        /// The partition.
        partition: TopicPartition,
        /// What happened to the record.
        #[source]
        cause: DeliveryCause,
    },
    /// The coordinator did not take a partition into the transaction: it can only be aborted.
    #[error("{partition} was not added to the transaction, which can only be aborted: {code}")]
    Partition {
        /// The partition.
        partition: TopicPartition,
        /// The answer.
        code: ErrorCode,
    },
    /// The group's offsets were not taken into the transaction: it can only be aborted.
    #[error(
        "the offsets of group {group} were not added to the transaction, which can only be \
         aborted: {what} was answered with {code}"
    )]
    Offsets {
        /// The group.
        group: String,
        /// The request, and the partition if it is one's.
        what: String,
        /// The answer.
        code: ErrorCode,
    },
    /// The offsets are not this member's to commit; nothing was sent.
    #[error(transparent)]
    NotOwned(CommitError),
    /// The coordinator ended the transaction before: it was not committed.
    #[error(
        "the coordinator has no such transaction any more ({code}): it was ended by somebody else; \
         begin another one"
    )]
    NotOngoing {
        /// The answer.
        code: ErrorCode,
    },
    /// The coordinator wants the transaction aborted.
    #[error("{api} was answered with {code}: the transaction can only be aborted")]
    Abortable {
        /// What was asked.
        api: &'static str,
        /// The answer.
        code: ErrorCode,
    },
    /// A request could not be sent for good: a broker does not serve it, for one.
    #[error("the transaction cannot go on")]
    Request(#[source] RequestFailure),
    /// It took too long. The driver goes on with what it was doing.
    #[error("{what} took longer than {waited:?}{}", because(.last_error.as_deref()))]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// How long.
        waited: Duration,
        /// The last error met.
        last_error: Option<String>,
    },
    /// The transaction was aborted.
    #[error("the transaction was aborted{}", because(.reason.as_deref()))]
    Aborted {
        /// Why, if it was not asked for.
        reason: Option<String>,
    },
    /// The producer is closed.
    #[error("the transactional producer is closed")]
    Closed,
}

impl TransactionError {
    /// What a caller can do about it: [`ErrorClass::Abortable`] asks for an abort and another
    /// transaction, [`ErrorClass::Fenced`] to give way or build a new producer.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Fenced { .. } => ErrorClass::Fenced,
            Self::Refused { code, .. } => match code.class() {
                ErrorClass::InvalidConfiguration => ErrorClass::InvalidConfiguration,
                _ => ErrorClass::Fatal,
            },
            Self::Record { .. }
            | Self::Partition { .. }
            | Self::Offsets { .. }
            | Self::NotOngoing { .. }
            | Self::Abortable { .. }
            | Self::Aborted { .. } => ErrorClass::Abortable,
            Self::NotOwned(error) => error.class(),
            Self::TimedOut { .. } => ErrorClass::Retriable,
            Self::Request(failure) => failure.class(),
            Self::Closed => ErrorClass::Fatal,
        }
    }

    /// Whether the producer is of no more use.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::Refused { .. } | Self::Closed)
    }
}

/// How a commit failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitFailure {
    /// Nothing of the transaction is, or will be, visible to readers of committed records.
    #[error("the transaction was not committed")]
    NotCommitted(#[source] TransactionError),
    /// The coordinator may or may not have committed it.
    #[error("the transaction may or may not be committed")]
    Unknown(#[source] TransactionError),
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TransactionOutcome {
    /// All of it is visible.
    Committed,
    /// Nothing of it is visible.
    Aborted,
    /// Nobody can tell any more: the coordinator has forgotten the transactional id.
    Undetermined,
}

/// A cause that may be missing, as the end of a sentence.
fn because(cause: Option<&str>) -> String {
    cause.map_or_else(String::new, |cause| format!(": {cause}"))
}
