//! Zstandard in Rust: one level to write, everything to read.

use std::fmt;
use std::io::{Cursor, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::{CompressionLevel, FrameCompressor, MatchGeneratorDriver};

use super::super::output::Output;
use super::super::{Compression, CompressionError};
use super::WINDOW_LOG_MAX;

/// Kafka's default level; ruzstd has one level, which stands for it.
const DEFAULT_LEVEL: i32 = 3;
/// How many bytes are decoded before they are counted against the limit.
const STEP: usize = 128 * 1024;

type Frames = FrameCompressor<Cursor<Vec<u8>>, Vec<u8>, MatchGeneratorDriver>;

/// Writes one frame a batch.
pub(in super::super) struct Encoder {
    frames: Frames,
    /// Where the input is copied to: the compressor wants a reader it may keep.
    input: Vec<u8>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { frames: FrameCompressor::new(CompressionLevel::Fastest), input: Vec::new() }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("zstd::Encoder")
    }
}

impl Encoder {
    pub(in super::super) fn with_level(level: i32) -> Result<Self, &'static str> {
        if level == DEFAULT_LEVEL {
            Ok(Self::default())
        } else {
            Err("3, or build with the feature `zstd-c` for the other levels")
        }
    }

    pub(in super::super) fn compress(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        let mut source = std::mem::take(&mut self.input);
        source.clear();
        source.extend_from_slice(input);
        self.frames.set_source(Cursor::new(source));
        self.frames.set_drain(std::mem::take(output));
        self.frames.compress();
        if let Some(source) = self.frames.take_source() {
            self.input = source.into_inner();
        }
        let Some(drained) = self.frames.take_drain() else {
            return Err(CompressionError::Encoder {
                codec: Compression::Zstd,
                what: "the compressor kept its output",
            });
        };
        *output = drained;
        Ok(())
    }
}

/// Reads frames one behind the other.
#[derive(Default)]
pub(in super::super) struct Decoder {
    frames: FrameDecoder,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("zstd::Decoder")
    }
}

impl Decoder {
    pub(in super::super) fn decompress(
        &mut self,
        mut input: &[u8],
        output: &mut Output,
    ) -> Result<(), CompressionError> {
        self.frames.set_max_window_size(1 << WINDOW_LOG_MAX);
        while !input.is_empty() {
            match self.frames.reset(&mut input) {
                Ok(()) => self.frame(&mut input, output)?,
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let rest = input.get(length as usize..);
                    input = rest.ok_or_else(|| output.malformed("it is cut off"))?;
                }
                Err(_) => return Err(output.malformed("its frame header is invalid")),
            }
        }
        Ok(())
    }

    fn frame(&mut self, input: &mut &[u8], output: &mut Output) -> Result<(), CompressionError> {
        let left = output.left();
        let mut decoded = 0;
        loop {
            self.frames
                .decode_blocks(&mut *input, BlockDecodingStrategy::UptoBytes(STEP))
                .map_err(|_| output.malformed("a block is invalid"))?;
            while self.frames.can_collect() > 0 {
                let read = self.frames.read(output.some()?);
                let read = read.map_err(|_| output.malformed("a block is invalid"))?;
                output.advance(read);
            }
            if self.frames.is_finished() {
                break;
            }
            // The decoder keeps back as much as the window, so what came out says too little.
            decoded += STEP;
            if decoded > left {
                return Err(output.bomb());
            }
        }
        let stored = self.frames.get_checksum_from_data();
        if stored.is_some() && stored != self.frames.get_calculated_checksum() {
            return Err(output.malformed("its checksum does not match"));
        }
        Ok(())
    }
}
