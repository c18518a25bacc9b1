//! LZ4's frame format around block codecs, as `Lz4BlockOutputStream.java` and `Lz4BlockInputStream.java`
//! have it.
//!
//! The frame is read and written here, so that blocks go straight from the batch into its buffer and
//! the table of the encoder is kept. Written are independent blocks of 64 KiB without checksums.

use std::fmt;

use lz4_flex::block::{
    CompressTable, DecompressError, compress_into_with_table, decompress_into_with_dict,
    get_maximum_output_size,
};
use twox_hash::XxHash32;

use super::output::Output;
use super::{Compression, CompressionError};

const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();
/// Version 1, independent blocks; blocks of 64 KiB; the second byte of the descriptor's xxHash.
const DESCRIPTOR: [u8; 3] = [0x60, 0x40, 0x82];
const BLOCK: usize = 64 * 1024;
/// The level that is `LZ4Factory.fastCompressor` in Java, and Kafka's default.
const DEFAULT_LEVEL: i32 = 9;
/// How far back a block that depends on others may reach.
const WINDOW: usize = 64 * 1024;

const FLAG_VERSION: u8 = 0xc0;
const FLAG_INDEPENDENT: u8 = 0x20;
const FLAG_BLOCK_CHECKSUM: u8 = 0x10;
const FLAG_CONTENT_SIZE: u8 = 0x08;
const FLAG_DICTIONARY: u8 = 0x01;
const STORED: u32 = 0x8000_0000;

/// Writes one frame a batch.
pub(super) struct Encoder {
    table: CompressTable,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { table: CompressTable::large() }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lz4::Encoder")
    }
}

impl Encoder {
    pub(super) fn with_level(level: i32) -> Result<Self, &'static str> {
        if level == DEFAULT_LEVEL {
            Ok(Self::default())
        } else {
            Err("9, which is the fast compressor, as in Java")
        }
    }

    pub(super) fn compress(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        output.extend_from_slice(&MAGIC);
        output.extend_from_slice(&DESCRIPTOR);
        for block in input.chunks(BLOCK) {
            self.block(block, output)?;
        }
        output.extend_from_slice(&[0; 4]);
        Ok(())
    }

    fn block(&mut self, block: &[u8], output: &mut Vec<u8>) -> Result<(), CompressionError> {
        let length_at = output.len();
        let start = length_at + 4;
        output.resize(start + get_maximum_output_size(block.len()), 0);
        let length = compress_into_with_table(block, &mut output[start..], &mut self.table)
            .map_err(|_| CompressionError::Encoder {
                codec: Compression::Lz4,
                what: "a block does not fit its room",
            })?;
        let (length, word) = if length < block.len() {
            (length, length as u32)
        } else {
            output[start..start + block.len()].copy_from_slice(block);
            (block.len(), block.len() as u32 | STORED)
        };
        output[length_at..start].copy_from_slice(&word.to_le_bytes());
        output.truncate(start + length);
        Ok(())
    }
}

/// What the frame's descriptor says.
struct Descriptor {
    independent: bool,
    block_checksums: bool,
    block_max: usize,
}

/// Reads one frame; what follows it is ignored, as in Java.
pub(super) fn decompress(
    input: &[u8],
    magic: i8,
    output: &mut Output,
) -> Result<(), CompressionError> {
    let (descriptor, mut rest) = read_descriptor(input, magic, output)?;
    loop {
        let Some((word, after)) = rest.split_first_chunk::<4>() else {
            return Err(output.malformed("it is cut off"));
        };
        let word = u32::from_le_bytes(*word);
        // The end mark. A checksum of the contents may follow; Java does not look at it either, and
        // the batch has its own.
        if word == 0 {
            return Ok(());
        }
        let length = (word & !STORED) as usize;
        if length > descriptor.block_max {
            return Err(output.malformed("a block is longer than the frame allows"));
        }
        let Some((block, after)) = after.split_at_checked(length) else {
            return Err(output.malformed("it is cut off"));
        };
        rest = after;
        if descriptor.block_checksums {
            let Some((sum, after)) = rest.split_first_chunk::<4>() else {
                return Err(output.malformed("it is cut off"));
            };
            if XxHash32::oneshot(0, block) != u32::from_le_bytes(*sum) {
                return Err(output.malformed("a block's checksum does not match"));
            }
            rest = after;
        }
        if word & STORED != 0 {
            output.extend(block)?;
        } else {
            read_block(block, &descriptor, output)?;
        }
    }
}

fn read_block(
    block: &[u8],
    descriptor: &Descriptor,
    output: &mut Output,
) -> Result<(), CompressionError> {
    let (filled, room) = output.split(descriptor.block_max);
    let capped = room.len() < descriptor.block_max;
    let window =
        if descriptor.independent { &[] } else { &filled[filled.len().saturating_sub(WINDOW)..] };
    match decompress_into_with_dict(block, room, window) {
        Ok(written) => {
            output.advance(written);
            Ok(())
        }
        Err(DecompressError::OutputTooSmall { .. }) if capped => Err(output.bomb()),
        Err(_) => Err(output.malformed("a block is invalid")),
    }
}

fn read_descriptor<'a>(
    input: &'a [u8],
    magic: i8,
    output: &Output,
) -> Result<(Descriptor, &'a [u8]), CompressionError> {
    let cut_off = || output.malformed("it is cut off");
    let Some(frame) = input.strip_prefix(&MAGIC) else {
        return Err(output.malformed("it does not begin with LZ4's magic number"));
    };
    let [flags, block, ..] = *frame else {
        return Err(cut_off());
    };
    if flags & FLAG_VERSION != 0x40 || flags & FLAG_DICTIONARY != 0 {
        return Err(output.malformed("its frame is of another version, or needs a dictionary"));
    }
    let block_max = match block {
        0x40 => 64 * 1024,
        0x50 => 256 * 1024,
        0x60 => 1024 * 1024,
        0x70 => 4 * 1024 * 1024,
        _ => return Err(output.malformed("its block size is unknown")),
    };
    let size = if flags & FLAG_CONTENT_SIZE == 0 { 2 } else { 10 };
    let Some((fields, [checksum, rest @ ..])) = frame.split_at_checked(size) else {
        return Err(cut_off());
    };
    // KAFKA-3160: below format 2, producers computed this byte over the wrong range.
    let sum = (XxHash32::oneshot(0, fields) >> 8) as u8;
    if magic >= 2 && sum != *checksum {
        return Err(output.malformed("its descriptor's checksum does not match"));
    }
    Ok((
        Descriptor {
            independent: flags & FLAG_INDEPENDENT != 0,
            block_checksums: flags & FLAG_BLOCK_CHECKSUM != 0,
            block_max,
        },
        rest,
    ))
}
