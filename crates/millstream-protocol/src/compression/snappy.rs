//! Snappy: written in the framing of xerial's snappy-java, as Java does; read with it or without.
//!
//! Framing: the magic bytes, a version and the lowest compatible version (4 bytes each), then blocks
//! of a 4-byte length and raw Snappy each (`SnappyOutputStream.java`).

use snap::raw;

use super::output::Output;
use super::{Compression, CompressionError};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER: usize = 16;
/// The version, and the lowest version that can read it.
const VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// `SnappyOutputStream.DEFAULT_BLOCK_SIZE`
const BLOCK: usize = 32 * 1024;
/// A copy element of 3 bytes gives 64, so no input grows by more than this.
const GROWTH_MAX: usize = 22;

/// Writes xerial's framing.
#[derive(Debug)]
pub(super) struct Encoder {
    raw: raw::Encoder,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { raw: raw::Encoder::new() }
    }
}

impl Encoder {
    pub(super) fn compress(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        output.extend_from_slice(&MAGIC);
        output.extend_from_slice(&VERSIONS);
        for block in input.chunks(BLOCK) {
            let length_at = output.len();
            let start = length_at + 4;
            output.resize(start + raw::max_compress_len(block.len()), 0);
            let length = self.raw.compress(block, &mut output[start..]).map_err(|_| {
                CompressionError::Encoder {
                    codec: Compression::Snappy,
                    what: "a block does not fit its room",
                }
            })?;
            output[length_at..start].copy_from_slice(&(length as u32).to_be_bytes());
            output.truncate(start + length);
        }
        Ok(())
    }
}

/// Reads xerial's framing, and raw Snappy as other clients write it.
#[derive(Debug)]
pub(super) struct Decoder {
    raw: raw::Decoder,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { raw: raw::Decoder::new() }
    }
}

impl Decoder {
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        output: &mut Output,
    ) -> Result<(), CompressionError> {
        if !input.starts_with(&MAGIC) {
            return self.block(input, output);
        }
        let mut rest = input;
        while !rest.is_empty() {
            // Streams may stand one behind the other, each with its header.
            if rest.starts_with(&MAGIC) {
                rest = rest.get(HEADER..).ok_or_else(|| cut_off(output))?;
                continue;
            }
            let Some((length, after)) = rest.split_first_chunk::<4>() else {
                return Err(cut_off(output));
            };
            let length = u32::from_be_bytes(*length) as usize;
            let Some((block, after)) = after.split_at_checked(length) else {
                return Err(cut_off(output));
            };
            self.block(block, output)?;
            rest = after;
        }
        Ok(())
    }

    fn block(&mut self, block: &[u8], output: &mut Output) -> Result<(), CompressionError> {
        let invalid = output.malformed("a block is invalid");
        let length = raw::decompress_len(block).map_err(|_| invalid.clone())?;
        // The length is only a claim: believe no more of it than the block can hold.
        if length > block.len() * GROWTH_MAX {
            return Err(invalid);
        }
        let room = output.exactly(length)?;
        let written = self.raw.decompress(block, room).map_err(|_| invalid)?;
        output.advance(written);
        Ok(())
    }
}

const fn cut_off(output: &Output) -> CompressionError {
    output.malformed("it is cut off")
}
