//! The error codes a broker answers with, and what each means for the caller.

mod table;

use std::fmt;

pub use table::ErrorCode;

/// What can be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// Try again after a while.
    Retriable,
    /// Ask for metadata (or the coordinator) again, then try again.
    RefreshAndRetry,
    /// The transaction must be aborted; the producer can go on after that.
    Abortable,
    /// Another instance or a newer epoch took over: join or initialise anew, or give way.
    Fenced,
    /// It will not succeed by trying again.
    Fatal,
    /// Something the user or operator has set is wrong: configuration, permissions, names.
    InvalidConfiguration,
}

impl ErrorClass {
    /// Whether trying again (after a refresh where needed) can succeed.
    #[must_use]
    pub const fn is_retriable(self) -> bool {
        matches!(self, Self::Retriable | Self::RefreshAndRetry)
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retriable => "retriable",
            Self::RefreshAndRetry => "refresh and retry",
            Self::Abortable => "abortable",
            Self::Fenced => "fenced",
            Self::Fatal => "fatal",
            Self::InvalidConfiguration => "invalid configuration",
        })
    }
}

impl ErrorCode {
    /// Whether the code says that all went well.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        matches!(self, Self::None)
    }

    /// `Ok` where the code says that all went well, the code itself otherwise.
    ///
    /// # Errors
    /// Any code but [`ErrorCode::None`].
    pub const fn ok(self) -> Result<(), Self> {
        if self.is_ok() { Ok(()) } else { Err(self) }
    }

    /// `Ok` where the number on the wire says that all went well, the code otherwise.
    ///
    /// # Errors
    /// Any code but 0.
    pub fn check(code: i16) -> Result<(), Self> {
        Self::from(code).ok()
    }
}

impl From<ErrorCode> for i16 {
    fn from(error: ErrorCode) -> Self {
        error.code()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unrecognized(code) => {
                write!(f, "error code {code}, which this client does not know")
            }
            known => write!(f, "{} ({})", known.message(), known.name()),
        }
    }
}

impl std::error::Error for ErrorCode {}

macro_rules! error_codes {
    ($($variant:ident = $code:literal, $name:literal, $class:ident, $message:literal;)*) => {
        /// An error code of Kafka's protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(
                #[doc = concat!("`", $name, "` (", stringify!($code), "): ", $message, ".")]
                $variant,
            )*
            /// A code that this crate does not know: the broker is newer.
            Unrecognized(i16),
        }

        impl ErrorCode {
            /// Every known code, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> i16 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Unrecognized(code) => code,
                }
            }

            /// Kafka's name of the code.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Unrecognized(_) => "UNRECOGNIZED",
                }
            }

            /// What the code means, in a sentence.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)*
                    Self::Unrecognized(_) => "a code this client does not know",
                }
            }

            /// What a caller can do about it, where the request it answers does not say otherwise.
            ///
            /// Follows KIP-1050 and the hierarchy of Java's exceptions; where a code is retriable in
            /// practice though not by its Java class (a rebalance, a moved controller), by practice.
            #[must_use]
            pub const fn class(self) -> crate::error_code::ErrorClass {
                match self {
                    $(Self::$variant => crate::error_code::ErrorClass::$class,)*
                    Self::Unrecognized(_) => crate::error_code::ErrorClass::Fatal,
                }
            }
        }

        impl From<i16> for ErrorCode {
            fn from(code: i16) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    other => Self::Unrecognized(other),
                }
            }
        }
    };
}
use error_codes;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_kafka_without_a_gap() {
        let codes: Vec<i16> = ErrorCode::ALL.iter().map(|error| error.code()).collect();
        assert_eq!(codes, (-1..=136).collect::<Vec<i16>>());
        for code in codes {
            assert_eq!(ErrorCode::from(code).code(), code);
            assert!(!ErrorCode::from(code).message().ends_with('.'));
        }
    }

    #[test]
    fn an_unknown_code_survives() {
        let error = ErrorCode::from(9999);
        assert_eq!((error, error.code()), (ErrorCode::Unrecognized(9999), 9999));
        assert_eq!(error.class(), ErrorClass::Fatal);
        assert!(error.to_string().contains("9999"));
    }

    #[test]
    fn classes_follow_what_a_client_does() {
        use ErrorClass::*;
        for (error, class) in [
            (ErrorCode::RequestTimedOut, Retriable),
            (ErrorCode::CoordinatorLoadInProgress, Retriable),
            (ErrorCode::RebalanceInProgress, Retriable),
            (ErrorCode::NotLeaderOrFollower, RefreshAndRetry),
            (ErrorCode::NotCoordinator, RefreshAndRetry),
            (ErrorCode::FencedLeaderEpoch, RefreshAndRetry),
            (ErrorCode::UnknownTopicId, RefreshAndRetry),
            (ErrorCode::RebootstrapRequired, RefreshAndRetry),
            (ErrorCode::TransactionAbortable, Abortable),
            (ErrorCode::ProducerFenced, Fenced),
            (ErrorCode::FencedInstanceId, Fenced),
            (ErrorCode::UnknownMemberId, Fenced),
            (ErrorCode::TopicAuthorizationFailed, InvalidConfiguration),
            (ErrorCode::MessageTooLarge, InvalidConfiguration),
            (ErrorCode::UnknownServerError, Fatal),
        ] {
            assert_eq!(error.class(), class, "{error}");
        }
    }

    #[test]
    fn zero_is_no_error() {
        assert_eq!(ErrorCode::check(0), Ok(()));
        assert_eq!(ErrorCode::check(3), Err(ErrorCode::UnknownTopicOrPartition));
        assert_eq!(
            ErrorCode::CorruptMessage.to_string().split(' ').next_back(),
            Some("(CORRUPT_MESSAGE)")
        );
    }
}
