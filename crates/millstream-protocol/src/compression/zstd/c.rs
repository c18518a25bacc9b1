//! Zstandard by the C library: all levels, four to five times faster than the one in Rust.

use std::fmt;

use zstd::stream::raw::{
    CParameter, DParameter, Encoder as Frames, InBuffer, Operation, OutBuffer,
};

use super::super::output::Output;
use super::super::{Compression, CompressionError};
use super::WINDOW_LOG_MAX;

/// `ZstdCompression.DEFAULT_LEVEL`
const DEFAULT_LEVEL: i32 = 3;

/// Writes one frame a batch.
pub(in super::super) struct Encoder {
    level: i32,
    frames: Option<Frames<'static>>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { level: DEFAULT_LEVEL, frames: None }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "zstd::Encoder(level {})", self.level)
    }
}

impl Encoder {
    pub(in super::super) fn with_level(level: i32) -> Result<Self, &'static str> {
        if zstd::compression_level_range().contains(&level) {
            Ok(Self { level, frames: None })
        } else {
            Err("-131072 to 22")
        }
    }

    pub(in super::super) fn compress(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        self.try_compress(input, output).map_err(|_| CompressionError::Encoder {
            codec: Compression::Zstd,
            what: "the C library reports an error",
        })
    }

    fn try_compress(&mut self, input: &[u8], output: &mut Vec<u8>) -> std::io::Result<()> {
        let mut frames = match self.frames.take() {
            Some(frames) => frames,
            None => {
                let mut frames = Frames::new(self.level)?;
                // Kafka's readers do not look at it, and the batch has a checksum of its own.
                frames.set_parameter(CParameter::ChecksumFlag(false))?;
                frames
            }
        };
        frames.reinit()?;
        frames.set_pledged_src_size(Some(input.len() as u64))?;
        let start = output.len();
        output.resize(start + zstd::zstd_safe::compress_bound(input.len()), 0);
        let mut source = InBuffer::around(input);
        let mut drain = OutBuffer::around(&mut output[start..]);
        while source.pos() < input.len() {
            frames.run(&mut source, &mut drain)?;
        }
        // The room is what the library needs at most, so nothing can be left to flush.
        let left = frames.finish(&mut drain, true)?;
        let written = drain.pos();
        output.truncate(start + written);
        if left > 0 {
            return Err(std::io::Error::other("bytes are left to flush"));
        }
        self.frames = Some(frames);
        Ok(())
    }
}

/// Reads frames one behind the other.
#[derive(Default)]
pub(in super::super) struct Decoder {
    frames: Option<zstd::stream::raw::Decoder<'static>>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("zstd::Decoder")
    }
}

impl Decoder {
    pub(in super::super) fn decompress(
        &mut self,
        input: &[u8],
        output: &mut Output,
    ) -> Result<(), CompressionError> {
        let invalid = output.malformed("the C library refuses it");
        let mut frames = match self.frames.take() {
            Some(frames) => frames,
            None => new_frames().map_err(|_| invalid.clone())?,
        };
        frames.reinit().map_err(|_| invalid.clone())?;
        read_frames(&mut frames, input, output, &invalid)?;
        self.frames = Some(frames);
        Ok(())
    }
}

fn new_frames() -> std::io::Result<zstd::stream::raw::Decoder<'static>> {
    let mut frames = zstd::stream::raw::Decoder::new()?;
    frames.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
    Ok(frames)
}

fn read_frames(
    frames: &mut zstd::stream::raw::Decoder<'static>,
    input: &[u8],
    output: &mut Output,
    invalid: &CompressionError,
) -> Result<(), CompressionError> {
    let mut source = InBuffer::around(input);
    let mut finished = true;
    loop {
        // At the limit a probe byte tells whether the stream is at its end.
        let mut probe = [0];
        let full = output.is_full();
        let room = if full { &mut probe[..] } else { output.some()? };
        let size = room.len();
        let before = source.pos();
        if finished && before == input.len() {
            return Ok(());
        }
        let mut drain = OutBuffer::around(room);
        let hint = frames.run(&mut source, &mut drain);
        let written = drain.pos();
        let hint = hint.map_err(|_| invalid.clone())?;
        if full && written > 0 {
            return Err(output.bomb());
        }
        output.advance(written);
        finished = hint == 0;
        let stuck = source.pos() == before && written < size;
        if stuck && !finished {
            return Err(output.malformed("it is cut off"));
        }
    }
}
