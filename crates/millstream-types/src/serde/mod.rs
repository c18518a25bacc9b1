//! Serdes: how keys and values become bytes, byte for byte as Java's built-in ones
//! (`org.apache.kafka.common.serialization`).

mod builtin;

use std::fmt;
use std::sync::Arc;

use crate::Headers;

/// Writes values of one type as bytes.
pub trait Serializer<T>: Send + Sync {
    /// Appends the bytes of `value` to `out`; `topic` and `headers` are the record's.
    ///
    /// # Errors
    /// [`SerdeError`] if the value has no encoding; `out` is then of no use.
    fn serialize(
        &self,
        topic: &str,
        headers: &mut Headers,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), SerdeError>;

    /// The size in bytes of every value, for serializers that never fail and lose nothing.
    ///
    /// Stores may then write a value once per commit instead of once per change.
    fn fixed_size(&self) -> Option<usize> {
        None
    }
}

/// Reads values of one type from bytes.
pub trait Deserializer<T>: Send + Sync {
    /// Reads a value from all of `bytes`; `topic` and `headers` are the record's.
    ///
    /// # Errors
    /// [`SerdeError`] if the bytes are no such value.
    fn deserialize(&self, topic: &str, headers: &Headers, bytes: &[u8]) -> Result<T, SerdeError>;
}

/// A serializer and a deserializer of one type; cloning it costs two reference counts.
pub struct Serde<T> {
    serializer: Arc<dyn Serializer<T>>,
    deserializer: Arc<dyn Deserializer<T>>,
}

impl<T> Serde<T> {
    /// Pairs a serializer with a deserializer.
    pub fn new(
        serializer: impl Serializer<T> + 'static,
        deserializer: impl Deserializer<T> + 'static,
    ) -> Self {
        Self { serializer: Arc::new(serializer), deserializer: Arc::new(deserializer) }
    }

    /// The half that writes.
    #[must_use]
    pub fn serializer(&self) -> &Arc<dyn Serializer<T>> {
        &self.serializer
    }

    /// The half that reads.
    #[must_use]
    pub fn deserializer(&self) -> &Arc<dyn Deserializer<T>> {
        &self.deserializer
    }
}

impl<T> Clone for Serde<T> {
    fn clone(&self) -> Self {
        Self { serializer: self.serializer.clone(), deserializer: self.deserializer.clone() }
    }
}

impl<T> fmt::Debug for Serde<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serde<{}>", std::any::type_name::<T>())
    }
}

/// A type with one obvious serde, used where a program names none.
pub trait DefaultSerde: Sized {
    /// The serde.
    fn default_serde() -> Serde<Self>;
}

/// A key or value that could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SerdeError {
    /// The bytes have the wrong length for the type.
    #[error("{type_name} takes {expected} bytes, not {actual}")]
    Length {
        /// The type's name.
        type_name: &'static str,
        /// The bytes it takes.
        expected: usize,
        /// The bytes there were.
        actual: usize,
    },
    /// The bytes are not UTF-8.
    #[error("invalid UTF-8 at byte {0}")]
    Utf8(usize),
    /// A serde of the application refused the value or the bytes.
    #[error("{0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl SerdeError {
    /// Wraps the error of an application's serde.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }
}
