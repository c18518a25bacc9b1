//! What can be wrong with bytes on the wire, or with a message that should become bytes.

use crate::api::{ApiKey, VersionRange};
use crate::error_code::ErrorClass;
use crate::frame::FrameError;

/// Bytes from a peer are not the message they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The message ends inside a field.
    #[error("message ends inside a field of {needed} bytes at byte {at}: {left} bytes are left")]
    Truncated {
        /// Where the field begins.
        at: usize,
        /// How many bytes the field needs.
        needed: usize,
        /// How many bytes are left.
        left: usize,
    },
    /// A length or count promises more than the bytes that are left can hold.
    #[error(
        "message announces {declared} bytes or entries at byte {at} where {left} bytes are left"
    )]
    Oversized {
        /// Where the length or count begins.
        at: usize,
        /// The length or count.
        declared: u64,
        /// How many bytes are left after it.
        left: usize,
    },
    /// A field holds what the protocol does not allow there.
    #[error("message is malformed at byte {at}: {reason}")]
    Malformed {
        /// Where the field begins.
        at: usize,
        /// What is wrong with it.
        reason: Malformed,
    },
    /// The API or this version of it is not known here.
    #[error("version {version} of api key {api} is not supported here")]
    Unsupported {
        /// The number of the API on the wire.
        api: i16,
        /// The version.
        version: i16,
    },
}

impl DecodeError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Unsupported { .. } => ErrorClass::InvalidConfiguration,
            _ => ErrorClass::Fatal,
        }
    }
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// A length below -1.
    #[error("a negative length")]
    NegativeLength,
    /// A version below the first.
    #[error("a version below the first")]
    NegativeVersion,
    /// Null where the schema allows none.
    #[error("null in a field that cannot be null")]
    UnexpectedNull,
    /// The byte before a nullable struct is neither 1 nor -1.
    #[error("a presence byte that is neither 1 nor -1")]
    Presence,
    /// A variable-length integer of more than five bytes.
    #[error("a variable-length integer that does not end")]
    Varint,
    /// A string that is not UTF-8.
    #[error("a string that is not utf-8")]
    Utf8,
    /// A tagged field whose size is not that of its content.
    #[error("a tagged field whose size does not match its content")]
    TagSize,
    /// A tag that appears twice.
    #[error("a tag out of order")]
    TagOrder,
    /// Bytes are left after the last field.
    #[error("bytes are left after the last field")]
    TrailingBytes,
    /// The message passed every check of ours and the decoder still refused it.
    #[error("the message decoder refused it")]
    Refused,
}

/// A message cannot be written in the version asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// This crate does not speak the version.
    #[error("{api} is spoken here in versions {supported}, not in {version}")]
    Unsupported {
        /// The API.
        api: ApiKey,
        /// The version asked for.
        version: i16,
        /// The versions there are.
        supported: VersionRange,
    },
    /// A field is set that the version cannot carry, or a value is too long for its field.
    #[error("{api} version {version} cannot carry this message: {reason}")]
    Inexpressible {
        /// The API.
        api: ApiKey,
        /// The version asked for.
        version: i16,
        /// What the encoder said.
        reason: String,
    },
    /// A message inside another one cannot be written.
    #[error("{message} version {version} cannot be written: {reason}")]
    Embedded {
        /// Kafka's name of the message.
        message: &'static str,
        /// The version asked for.
        version: i16,
        /// What the encoder said.
        reason: String,
    },
    /// The frame is too long.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl EncodeError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::InvalidConfiguration
    }
}
