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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_the_bytes_arrive() {
        let mut stream = Vec::new();
        for frame in [&b"first"[..], b"", b"third"] {
            stream.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_be_bytes());
            stream.extend_from_slice(frame);
        }
        for step in 1..=stream.len() {
            let mut decoder = FrameDecoder::new(5);
            let mut frames = Vec::new();
            for chunk in stream.chunks(step) {
                decoder.extend(chunk);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, [&b"first"[..], b"", b"third"], "in steps of {step}");
            assert_eq!(decoder.pending(), 0);
        }
    }

    #[test]
    fn a_two_gigabyte_length_is_refused_without_memory() {
        let mut decoder = FrameDecoder::new(DEFAULT_MAX_FRAME);
        decoder.extend(&0x7fff_ffff_u32.to_be_bytes());
        let error = decoder.next_frame().unwrap_err();
        let max = DEFAULT_MAX_FRAME;
        assert_eq!(error, FrameError::Oversized { length: 0x7fff_ffff, max });
        assert!(decoder.buffer().capacity() < 1024);
    }

    #[test]
    fn a_negative_length_is_refused() {
        let mut decoder = FrameDecoder::new(10);
        decoder.extend(&[0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(decoder.next_frame().unwrap_err(), FrameError::Negative { length: -2 });
    }

    #[test]
    fn a_wrong_peer_is_named() {
        let told = |bytes: &[u8; 4]| {
            let mut decoder = FrameDecoder::new(1024);
            decoder.extend(bytes);
            decoder.next_frame().unwrap_err().to_string()
        };
        assert!(told(b"HTTP").contains("an HTTP answer"), "{}", told(b"HTTP"));
        assert!(told(&[0x15, 3, 3, 0]).contains("a TLS record"));
        assert!(told(b"SSH-").contains("an SSH greeting"));
        assert!(!told(b"abcd").contains("these bytes"));
    }

    #[test]
    fn the_missing_bytes_of_a_frame_are_known() {
        let mut decoder = FrameDecoder::new(100);
        assert_eq!(decoder.missing(), Ok(None));
        decoder.extend(&[0, 0, 0, 10, 1, 2]);
        assert_eq!(decoder.missing(), Ok(Some(8)));
        decoder.extend(&[0; 20]);
        assert_eq!(decoder.missing(), Ok(Some(0)));
    }

    #[test]
    fn a_frame_counts_what_follows_it_from_elsewhere() {
        let mut out = BytesMut::from(&b"earlier"[..]);
        let start = begin_frame(&mut out);
        out.extend_from_slice(b"head");
        finish_frame(&mut out, start, 1000).unwrap();
        assert_eq!(&out[7..], &[0, 0, 3, 236, b'h', b'e', b'a', b'd']);
        let start = begin_frame(&mut out);
        let error = finish_frame(&mut out, start, usize::MAX).unwrap_err();
        assert_eq!(error, FrameError::TooLongToSend { length: usize::MAX });
    }
}
