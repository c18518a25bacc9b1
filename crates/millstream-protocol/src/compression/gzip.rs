//! gzip, with zlib's contexts reused.
//!
//! The member's header and trailer are read here and only the deflate stream by zlib: its own gzip
//! decoder allocates anew for each member.

use flate2::{Compress, Crc, Decompress, FlushCompress, FlushDecompress, Status};

use super::output::Output;
use super::{Compression, CompressionError};

const HEADER: usize = 10;
const TRAILER: usize = 8;
/// zlib's largest window, the one Java uses.
const WINDOW_BITS: u8 = 15;

const FLAG_HEADER_CRC: u8 = 0x02;
const FLAG_EXTRA: u8 = 0x04;
const FLAG_NAME: u8 = 0x08;
const FLAG_COMMENT: u8 = 0x10;
const FLAGS_RESERVED: u8 = 0xe0;

/// Writes one member a batch.
#[derive(Debug)]
pub(super) struct Encoder {
    deflate: Compress,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { deflate: Compress::new_gzip(flate2::Compression::default(), WINDOW_BITS) }
    }
}

impl Encoder {
    /// Levels as `GzipCompression.java` has them: -1 is zlib's default.
    pub(super) fn with_level(level: i32) -> Result<Self, &'static str> {
        let level = match level {
            -1 => flate2::Compression::default(),
            1..=9 => flate2::Compression::new(level as u32),
            _ => return Err("1 to 9, or -1 for the default"),
        };
        Ok(Self { deflate: Compress::new_gzip(level, WINDOW_BITS) })
    }

    pub(super) fn compress(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        self.deflate.reset();
        output.reserve(input.len() / 3 + 64);
        loop {
            let read = self.deflate.total_in() as usize;
            let status = self
                .deflate
                .compress_vec(&input[read..], output, FlushCompress::Finish)
                .map_err(|_| failed("zlib reports an error"))?;
            match status {
                Status::StreamEnd => return Ok(()),
                Status::Ok | Status::BufError => output.reserve(output.len().max(1024)),
            }
        }
    }
}

const fn failed(what: &'static str) -> CompressionError {
    CompressionError::Encoder { codec: Compression::Gzip, what }
}

/// Reads members one behind the other.
#[derive(Debug)]
pub(super) struct Decoder {
    inflate: Decompress,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { inflate: Decompress::new(false) }
    }
}

impl Decoder {
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        output: &mut Output,
    ) -> Result<(), CompressionError> {
        let mut rest = self.member(input, output)?;
        // What follows a member and is none is ignored, as `GZIPInputStream` does.
        while rest.starts_with(&[0x1f, 0x8b]) {
            rest = self.member(rest, output)?;
        }
        Ok(())
    }

    /// Reads the member at the front of `input`; gives what follows it.
    fn member<'a>(
        &mut self,
        input: &'a [u8],
        output: &mut Output,
    ) -> Result<&'a [u8], CompressionError> {
        let Some(body) = skip_header(input) else {
            return Err(output.malformed("its header is invalid"));
        };
        self.inflate.reset(false);
        let mut crc = Crc::new();
        loop {
            let read = self.inflate.total_in() as usize;
            let written = self.inflate.total_out();
            // At the limit a probe byte tells whether the stream is at its end.
            let mut probe = [0];
            let full = output.is_full();
            let room = if full { &mut probe[..] } else { output.some()? };
            let status = self.inflate.decompress(&body[read..], room, FlushDecompress::None);
            let fresh = (self.inflate.total_out() - written) as usize;
            if full && fresh > 0 {
                return Err(output.bomb());
            }
            crc.update(&room[..fresh]);
            output.advance(fresh);
            let stuck = fresh == 0 && self.inflate.total_in() as usize == read;
            match status {
                Ok(Status::StreamEnd) => break,
                Ok(_) if stuck => return Err(output.malformed("it is cut off")),
                Ok(_) => {}
                Err(_) => return Err(output.malformed("its deflate stream is invalid")),
            }
        }
        let after = &body[self.inflate.total_in() as usize..];
        let Some((trailer, rest)) = after.split_first_chunk::<TRAILER>() else {
            return Err(output.malformed("it is cut off"));
        };
        let sum = u64::from(crc.sum()) | u64::from(crc.amount()) << 32;
        if u64::from_le_bytes(*trailer) != sum {
            return Err(output.malformed("its checksum does not match"));
        }
        Ok(rest)
    }
}

/// Steps over a member's header (RFC 1952); `None` where it is none.
fn skip_header(input: &[u8]) -> Option<&[u8]> {
    let (head, mut rest) = input.split_first_chunk::<HEADER>()?;
    let [0x1f, 0x8b, 8, flags, ..] = *head else {
        return None;
    };
    if flags & FLAGS_RESERVED != 0 {
        return None;
    }
    if flags & FLAG_EXTRA != 0 {
        let (length, after) = rest.split_first_chunk::<2>()?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & FLAG_HEADER_CRC != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}
