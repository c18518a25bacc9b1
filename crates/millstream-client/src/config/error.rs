//! What can be wrong with a configuration.

use std::io;
use std::path::PathBuf;

use millstream_protocol::ErrorClass;

/// A setting is wrong. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value does not fit its property.
    #[error("{name} = {value:?} is not {expected}")]
    Invalid {
        /// Kafka's name of the setting.
        name: &'static str,
        /// What it was set to.
        value: String,
        /// What it can be.
        expected: String,
    },
    /// A value does not fit a property whose name has a part of the caller's own.
    #[error("{name} = {value:?} is not {expected}")]
    InvalidNamed {
        /// The property.
        name: String,
        /// What it was set to.
        value: String,
        /// What it can be.
        expected: &'static str,
    },
    /// Two settings contradict each other.
    #[error("{first} and {second} contradict each other: {reason}")]
    Conflict {
        /// Kafka's name of the one.
        first: &'static str,
        /// Kafka's name of the other.
        second: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// A producer's settings contradict each other, or its codec has no such level.
    #[error(transparent)]
    Producer(#[from] millstream_client_core::producer::ProducerConfigError),
    /// A setting without a default is not set.
    #[error("{name} is not set")]
    Missing {
        /// Kafka's name of the setting.
        name: &'static str,
    },
    /// No Kafka client knows a property of this name.
    #[error("there is no property {name:?}{}", .suggestion.map(|s| format!("; is {s} meant?")).unwrap_or_default())]
    UnknownProperty {
        /// The name.
        name: String,
        /// A property that is spelled alike.
        suggestion: Option<&'static str>,
    },
    /// Java knows the property, this client cannot honour it.
    #[error("{name} = {value:?} is not supported: {reason}")]
    Unsupported {
        /// The property.
        name: String,
        /// What it was set to.
        value: String,
        /// Why, and what to do instead.
        reason: &'static str,
    },
    /// A line of a properties file cannot be read.
    #[error("line {line} of the properties cannot be read: {reason}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A properties file cannot be read.
    #[error("the properties file {} cannot be read", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ConfigError {
    /// What a caller can do about it: set it right.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::InvalidConfiguration
    }
}
