//! Frames: the four-byte length before every request and response, and the cap on it.

use bytes::{Buf, Bytes, BytesMut};

/// The largest frame a client takes unless told otherwise: 100 MiB, as `socket.request.max.bytes`.
pub const DEFAULT_MAX_FRAME: usize = 100 * 1024 * 1024;

const PREFIX: usize = 4;

/// The length before a frame cannot be right; nothing after it can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is above the cap.
    #[error(
        "the peer announced a frame of {length} bytes where at most {max} are taken{}; \
         is this address a Kafka listener, of the same security protocol?",
        hint(*.length)
    )]
    Oversized {
        /// The length the peer announced.
        length: u32,
        /// The cap.
        max: usize,
    },
    /// The length is negative.
    #[error(
        "the peer announced a frame of {length} bytes; \
         is this address a Kafka listener, of the same security protocol?"
    )]
    Negative {
        /// The length the peer announced.
        length: i32,
    },
    /// A frame to be sent does not fit a four-byte length.
    #[error("a frame of {length} bytes cannot be sent: the protocol ends at 2147483647")]
    TooLongToSend {
        /// The length of the frame.
        length: usize,
    },
}

/// Says what the first bytes of a wrong peer look like, so that a wrong port explains itself.
fn hint(length: u32) -> &'static str {
    match length.to_be_bytes() {
        [b'H', b'T', b'T', b'P'] => " (these bytes are an HTTP answer)",
        [0x15 | 0x16, 0x03, ..] => " (these bytes are a TLS record)",
        [b'S', b'S', b'H', b'-'] => " (these bytes are an SSH greeting)",
        _ => "",
    }
}

/// Cuts a stream of bytes into frames.
///
/// Bytes go in through [`buffer`](Self::buffer) or [`extend`](Self::extend), whole frames (without
/// their length) come out of [`next_frame`](Self::next_frame) and share the buffer's memory. The
/// buffer grows with the bytes that arrived, never with the length announced, up to a bound.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: BytesMut,
    max: usize,
}

impl FrameDecoder {
    /// A decoder which refuses frames longer than `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { buffer: BytesMut::new(), max }
    }

    /// The buffer to read a socket into.
    pub const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Appends bytes that arrived.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// How many bytes wait for the rest of their frame.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// How many more bytes the frame that has begun needs; `None` while its length is incomplete.
    ///
    /// # Errors
    /// The length is refused.
    pub fn missing(&self) -> Result<Option<usize>, FrameError> {
        let Some(length) = self.length()? else {
            return Ok(None);
        };
        Ok(Some((PREFIX + length).saturating_sub(self.buffer.len())))
    }

    /// The next whole frame without its length; `None` until more bytes arrive.
    ///
    /// # Errors
    /// The length before the frame is refused. The stream cannot be read on: close the connection.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = self.length()? else {
            return Ok(None);
        };
        if self.buffer.len() < PREFIX + length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    fn length(&self) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        check_length(i32::from_be_bytes(*prefix), self.max).map(Some)
    }
}

/// Checks the length announced before a frame against the cap `max`.
///
/// # Errors
/// The length is negative or above the cap.
pub fn check_length(length: i32, max: usize) -> Result<usize, FrameError> {
    match usize::try_from(length) {
        Err(_) => Err(FrameError::Negative { length }),
        Ok(size) if size > max => Err(FrameError::Oversized { length: length.unsigned_abs(), max }),
        Ok(size) => Ok(size),
    }
}

/// Marks where a frame begins in a buffer; made by [`begin_frame`].
#[derive(Debug)]
#[must_use = "the frame's length is written by finish_frame"]
pub struct FrameStart(usize);

/// Begins a frame at the end of `out`: leaves room for its length.
pub fn begin_frame(out: &mut BytesMut) -> FrameStart {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX]);
    FrameStart(start)
}

/// Ends the frame begun at `start`: writes its length, to which `following` bytes are added which
/// are sent after `out` but are not in it (record batches go out from their own buffers).
///
/// # Errors
/// The frame is longer than a length can say.
pub fn finish_frame(
    out: &mut BytesMut,
    start: FrameStart,
    following: usize,
) -> Result<(), FrameError> {
    let length = (out.len() - start.0 - PREFIX).saturating_add(following);
    let Ok(prefix) = i32::try_from(length) else {
        return Err(FrameError::TooLongToSend { length });
    };
    out[start.0..start.0 + PREFIX].copy_from_slice(&prefix.to_be_bytes());
    Ok(())
}
