//! Compression: Kafka's four codecs, each behind one capped reader.
//!
//! Codecs write into a capped buffer, which refuses to grow past the limit it was
//! given: a decompression bomb is an error, whatever its codec. Contexts and buffers are kept from
//! one batch to the next.

mod gzip;
mod lz4;
mod output;
mod snappy;
mod zstd;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::ErrorClass;
use crate::batch::BufferPool;

pub use output::Opened;

/// A codec of record batches (`compression.type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Compression {
    /// Records as they are.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy, framed as xerial's snappy-java does.
    Snappy,
    /// LZ4's frame format, blocks of 64 KiB that do not depend on each other.
    Lz4,
    /// Zstandard (KIP-110).
    Zstd,
}

impl Compression {
    /// All codecs, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec's number in a batch's attributes.
    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The codec of this number.
    #[must_use]
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The codec's name in Kafka's configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = CompressionError;

    fn from_str(name: &str) -> Result<Self, CompressionError> {
        let found = Self::ALL.into_iter().find(|codec| codec.name() == name);
        found.ok_or_else(|| CompressionError::UnknownName(name.to_owned()))
    }
}

/// Why bytes could not be compressed or decompressed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// No codec has this name.
    #[error("unknown compression `{0}`: use none, gzip, snappy, lz4 or zstd")]
    UnknownName(String),
    /// The codec, as it is built here, does not have this level.
    #[error("{codec} has no level {level} here: use {supported}")]
    UnsupportedLevel {
        /// The codec.
        codec: Compression,
        /// The level that was asked for.
        level: i32,
        /// The levels that there are.
        supported: &'static str,
    },
    /// The compressed bytes are damaged.
    #[error("the {codec} data is malformed: {what}")]
    Malformed {
        /// The codec.
        codec: Compression,
        /// What is wrong.
        what: &'static str,
    },
    /// The decompressed bytes would pass the limit.
    #[error("the {codec} data decompresses to more than the limit of {limit} bytes")]
    DecompressionBomb {
        /// The codec.
        codec: Compression,
        /// The limit.
        limit: usize,
    },
    /// The codec could not write.
    #[error("{codec} cannot compress: {what}")]
    Encoder {
        /// The codec.
        codec: Compression,
        /// What it says.
        what: &'static str,
    },
}

impl CompressionError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::UnknownName(_)
            | Self::UnsupportedLevel { .. }
            | Self::DecompressionBomb { .. } => ErrorClass::InvalidConfiguration,
            Self::Malformed { .. } | Self::Encoder { .. } => ErrorClass::Fatal,
        }
    }
}

/// Compresses batches with one codec, and keeps its context from one to the next.
#[derive(Debug)]
pub struct Compressor {
    encoder: Encoder,
}

#[derive(Debug)]
enum Encoder {
    None,
    Gzip(Box<gzip::Encoder>),
    Snappy(Box<snappy::Encoder>),
    Lz4(lz4::Encoder),
    Zstd(Box<zstd::Encoder>),
}

impl Compressor {
    /// A compressor at the codec's default level.
    #[must_use]
    pub fn new(codec: Compression) -> Self {
        let encoder = match codec {
            Compression::None => Encoder::None,
            Compression::Gzip => Encoder::Gzip(Box::default()),
            Compression::Snappy => Encoder::Snappy(Box::default()),
            Compression::Lz4 => Encoder::Lz4(lz4::Encoder::default()),
            Compression::Zstd => Encoder::Zstd(Box::default()),
        };
        Self { encoder }
    }

    /// A compressor at a level of Kafka's `compression.gzip.level`, `compression.lz4.level` or
    /// `compression.zstd.level` (KIP-390).
    ///
    /// # Errors
    /// When the codec has no such level here; a level is never silently another.
    pub fn with_level(codec: Compression, level: i32) -> Result<Self, CompressionError> {
        let unsupported =
            |supported| CompressionError::UnsupportedLevel { codec, level, supported };
        let encoder = match codec {
            Compression::None => return Err(unsupported("no level")),
            Compression::Gzip => {
                gzip::Encoder::with_level(level).map(|it| Encoder::Gzip(Box::new(it)))
            }
            Compression::Snappy => return Err(unsupported("no level")),
            Compression::Lz4 => lz4::Encoder::with_level(level).map(Encoder::Lz4),
            Compression::Zstd => {
                zstd::Encoder::with_level(level).map(|it| Encoder::Zstd(Box::new(it)))
            }
        };
        Ok(Self { encoder: encoder.map_err(unsupported)? })
    }

    /// The codec.
    #[must_use]
    pub const fn compression(&self) -> Compression {
        match self.encoder {
            Encoder::None => Compression::None,
            Encoder::Gzip(_) => Compression::Gzip,
            Encoder::Snappy(_) => Compression::Snappy,
            Encoder::Lz4(_) => Compression::Lz4,
            Encoder::Zstd(_) => Compression::Zstd,
        }
    }

    /// Compresses `input` behind what `output` holds.
    ///
    /// # Errors
    /// When the codec fails, which none does when it writes to memory.
    pub fn compress(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), CompressionError> {
        match &mut self.encoder {
            Encoder::None => {
                output.extend_from_slice(input);
                Ok(())
            }
            Encoder::Gzip(encoder) => encoder.compress(input, output),
            Encoder::Snappy(encoder) => encoder.compress(input, output),
            Encoder::Lz4(encoder) => encoder.compress(input, output),
            Encoder::Zstd(encoder) => encoder.compress(input, output),
        }
    }
}

/// Decompresses batches of any codec up to a limit, and keeps contexts and buffers.
#[derive(Debug)]
pub struct Decompressor {
    limit: usize,
    pool: BufferPool,
    gzip: Option<gzip::Decoder>,
    snappy: snappy::Decoder,
    zstd: Option<zstd::Decoder>,
}

impl Decompressor {
    /// The default limit of one batch's decompressed records.
    pub const DEFAULT_LIMIT: usize = 128 * 1024 * 1024;

    /// A decompressor that opens at most `limit` bytes, with a pool of its own.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self::with_pool(limit, BufferPool::default())
    }

    /// A decompressor that takes its buffers from `pool`.
    #[must_use]
    pub fn with_pool(limit: usize, pool: BufferPool) -> Self {
        Self { limit, pool, gzip: None, snappy: snappy::Decoder::default(), zstd: None }
    }

    /// The most bytes that one batch may decompress to.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// The pool that batches give their buffers back to.
    #[must_use]
    pub const fn pool(&self) -> &BufferPool {
        &self.pool
    }

    /// Decompresses `input` into `buffer`, whose contents go. `magic` is the batch's format: old
    /// clients wrote LZ4 frames with a wrong header checksum into formats below 2 (KAFKA-3160).
    ///
    /// # Errors
    /// When the input is malformed, or decompresses to more than the limit.
    pub fn open(
        &mut self,
        codec: Compression,
        magic: i8,
        input: &[u8],
        buffer: Vec<u8>,
    ) -> Result<Opened, CompressionError> {
        let mut output = output::Output::new(codec, buffer, self.limit);
        match codec {
            Compression::None => output.extend(input)?,
            Compression::Gzip => {
                let decoder = self.gzip.get_or_insert_with(gzip::Decoder::default);
                decoder.decompress(input, &mut output)?;
            }
            Compression::Snappy => self.snappy.decompress(input, &mut output)?,
            Compression::Lz4 => lz4::decompress(input, magic, &mut output)?,
            Compression::Zstd => {
                let decoder = self.zstd.get_or_insert_with(zstd::Decoder::default);
                decoder.decompress(input, &mut output)?;
            }
        }
        Ok(output.finish())
    }
}

impl Default for Decompressor {
    fn default() -> Self {
        Self::new(Self::DEFAULT_LIMIT)
    }
}

#[cfg(test)]
mod tests;
