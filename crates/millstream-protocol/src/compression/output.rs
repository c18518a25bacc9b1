//! The capped buffer that every codec decompresses into.

use super::{Compression, CompressionError};

/// How far a buffer grows at first, and at least.
const GROWTH_MIN: usize = 16 * 1024;

/// A growing buffer with a limit.
///
/// The buffer's bytes are kept initialised from one use to the next, so that a pooled buffer is not
/// zeroed again for each batch; `filled` says how many of them count.
#[derive(Debug)]
pub(super) struct Output {
    codec: Compression,
    bytes: Vec<u8>,
    filled: usize,
    limit: usize,
}

impl Output {
    pub(super) const fn new(codec: Compression, buffer: Vec<u8>, limit: usize) -> Self {
        Self { codec, bytes: buffer, filled: 0, limit }
    }

    /// Room for exactly `size` more bytes, behind what is filled; refused if that passes the limit.
    pub(super) fn exactly(&mut self, size: usize) -> Result<&mut [u8], CompressionError> {
        if size > self.limit - self.filled {
            return Err(self.bomb());
        }
        let end = self.filled + size;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        Ok(&mut self.bytes[self.filled..end])
    }

    /// Everything filled so far, and room for at most `size` more bytes, cut at the limit: for codecs
    /// that copy from what they wrote.
    pub(super) fn split(&mut self, size: usize) -> (&[u8], &mut [u8]) {
        let end = self.limit.min(self.filled + size);
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let (filled, room) = self.bytes[..end].split_at_mut(self.filled);
        (filled, room)
    }

    /// Some room, at least one byte: for codecs that stream.
    pub(super) fn some(&mut self) -> Result<&mut [u8], CompressionError> {
        if self.filled == self.limit {
            return Err(self.bomb());
        }
        if self.filled == self.bytes.len() {
            let size = (self.bytes.len() * 2).max(GROWTH_MIN).min(self.limit);
            self.bytes.resize(size, 0);
        }
        let end = self.bytes.len().min(self.limit);
        Ok(&mut self.bytes[self.filled..end])
    }

    /// Counts `size` bytes as filled, after they were written into the room.
    pub(super) fn advance(&mut self, size: usize) {
        self.filled = (self.filled + size).min(self.bytes.len());
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) -> Result<(), CompressionError> {
        self.exactly(bytes.len())?.copy_from_slice(bytes);
        self.advance(bytes.len());
        Ok(())
    }

    /// Whether the limit is reached.
    pub(super) const fn is_full(&self) -> bool {
        self.filled == self.limit
    }

    /// How many bytes may still be filled: for a codec that holds output back.
    #[cfg(not(feature = "zstd-c"))]
    pub(super) const fn left(&self) -> usize {
        self.limit - self.filled
    }

    pub(super) const fn bomb(&self) -> CompressionError {
        CompressionError::DecompressionBomb { codec: self.codec, limit: self.limit }
    }

    pub(super) const fn malformed(&self, what: &'static str) -> CompressionError {
        CompressionError::Malformed { codec: self.codec, what }
    }

    pub(super) fn finish(self) -> Opened {
        Opened { bytes: self.bytes, len: self.filled }
    }
}

/// What a codec decompressed, in the buffer it was given.
#[derive(Debug, Default)]
pub struct Opened {
    bytes: Vec<u8>,
    len: usize,
}

impl Opened {
    /// The decompressed bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The memory that the buffer takes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The buffer, for its next use.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}
