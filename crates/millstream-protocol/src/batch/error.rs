//! What can be wrong with a record batch.

use thiserror::Error;

use crate::ErrorClass;
use crate::compression::CompressionError;

/// Why a batch could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The bytes end before the batch does.
    #[error("record batch is cut off: it needs {needed} bytes and {available} are there")]
    Truncated {
        /// The bytes that a whole batch takes.
        needed: usize,
        /// The bytes that are there.
        available: usize,
    },
    /// The length field is impossible for any batch.
    #[error("record batch at offset {base_offset} claims a length of {length} bytes")]
    Length {
        /// The base offset beside the length.
        base_offset: i64,
        /// The length, as it stands on the wire.
        length: i32,
    },
    /// Bytes are left behind the batch where one alone was expected.
    #[error("{extra} bytes follow the record batch where it should end")]
    TrailingBytes {
        /// How many bytes are left.
        extra: usize,
    },
    /// The format is not 0, 1 or 2.
    #[error("record batch at offset {base_offset} has the unknown format (magic) {magic}")]
    Magic {
        /// The base offset of the batch.
        base_offset: i64,
        /// The format's number.
        magic: i8,
    },
    /// The checksum does not match: the batch was damaged on its way or on disk.
    #[error(
        "record batch at offset {base_offset} is corrupt: its checksum is {computed:#010x}, \
         its header says {stored:#010x}"
    )]
    Crc {
        /// The base offset of the batch.
        base_offset: i64,
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// The header contradicts itself.
    #[error("record batch at offset {base_offset} has an invalid header: {what}")]
    Header {
        /// The base offset of the batch.
        base_offset: i64,
        /// What is wrong.
        what: &'static str,
    },
    /// The records could not be decompressed.
    #[error("record batch at offset {base_offset} cannot be decompressed")]
    Compression {
        /// The base offset of the batch.
        base_offset: i64,
        /// What the codec found.
        source: CompressionError,
    },
    /// A record is malformed; those before it can be read.
    #[error("record {index} of the batch at offset {base_offset} is malformed: {defect}")]
    Record {
        /// The base offset of the batch.
        base_offset: i64,
        /// The record's place in the batch, from 0.
        index: u32,
        /// What is wrong with it.
        defect: RecordDefect,
    },
}

impl BatchError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            // As `CorruptRecordException`: it may have happened on the way.
            Self::Crc { .. } => ErrorClass::Retriable,
            Self::Compression { source, .. } => source.class(),
            _ => ErrorClass::Fatal,
        }
    }
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordDefect {
    /// The record's length is negative or reaches past the batch.
    #[error("its length is impossible")]
    Length,
    /// A field reaches past the record's end, or is no number.
    #[error("a field reaches past its end")]
    Field,
    /// The record is longer than its fields.
    #[error("bytes are left behind its last field")]
    Trailing,
    /// The offset lies outside the batch, or does not grow.
    #[error("its offset is out of order")]
    Offset,
    /// A header has a null key.
    #[error("a header has no key")]
    NullHeaderKey,
    /// The number of headers is negative or cannot fit.
    #[error("its number of headers is impossible")]
    HeaderCount,
    /// The batch says it has more records than it has.
    #[error("it is missing: the batch ends before it")]
    Missing,
    /// Bytes follow the last record that the batch counts.
    #[error("the batch holds bytes behind its last record")]
    Excess,
    /// A message of format 0 or 1 fails its own checksum.
    #[error("its checksum does not match")]
    Crc,
    /// A compressed message holds a message of another format, or a compressed one.
    #[error("it cannot stand inside a compressed message")]
    Nested,
}
