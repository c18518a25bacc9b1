//! A batch that was proved readable before anyone reads it.

use bytes::Bytes;
use millstream_types::Offset;
use thiserror::Error;

use super::header::BATCH_OVERHEAD;
use super::records::{Layout, RawRecord};
use super::{
    BatchError, BatchHeader, BufferPool, ControlRecord, Cursor, RawBatch, RecordDefect, RecordView,
    Records, legacy,
};
use crate::compression::{Compression, Decompressor, Opened};

/// A batch whose checksum and whose every record was checked, decompressed where it was compressed.
///
/// It owns its bytes, so it may go to another thread and outlive the fetch; dropping it gives a
/// decompression buffer back to its pool. Reading it cannot fail.
#[derive(Debug)]
pub struct CheckedBatch {
    header: BatchHeader,
    body: Body,
    layout: Layout,
    count: u32,
}

/// A malformed batch: what is wrong, and the records before that.
#[derive(Debug, Error)]
#[error("{error}")]
pub struct CheckError {
    /// What is wrong.
    #[source]
    pub error: BatchError,
    /// The records before the malformed one, if the batch was intact up to there. Its header is the
    /// whole batch's: the position behind these records is not `next_offset`.
    pub prefix: Option<Box<CheckedBatch>>,
}

impl From<BatchError> for CheckError {
    fn from(error: BatchError) -> Self {
        Self { error, prefix: None }
    }
}

/// Where the records stand.
enum Body {
    /// In the bytes as they were fetched, from here on.
    Fetched(Bytes, usize),
    Opened(OpenedBuffer),
}

/// A decompression buffer on loan from its pool.
struct OpenedBuffer {
    opened: Opened,
    pool: BufferPool,
}

impl Drop for OpenedBuffer {
    fn drop(&mut self) {
        self.pool.put(std::mem::take(&mut self.opened).into_buffer());
    }
}

impl Body {
    #[inline]
    fn records(&self) -> &[u8] {
        match self {
            Self::Fetched(bytes, start) => &bytes[*start..],
            Self::Opened(buffer) => buffer.opened.bytes(),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Fetched(..) => "fetched",
            Self::Opened(_) => "decompressed",
        };
        write!(f, "{} bytes, {kind}", self.records().len())
    }
}

impl CheckedBatch {
    /// Proves the checksum and the structure of a batch, and decompresses it if it is compressed.
    ///
    /// # Errors
    /// What is wrong with the batch, along with the records before that.
    pub fn check(raw: RawBatch, decompressor: &mut Decompressor) -> Result<Self, CheckError> {
        raw.verify_crc()?;
        let (header, bytes) = raw.into_parts();
        if header.magic < 2 {
            return check_legacy(header, bytes, decompressor);
        }
        open_trusted(header, bytes, decompressor)
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The number of records that are there, which compaction may have made less than the batch
    /// was written with.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether no record is left: compaction keeps empty batches for their producer's sequence.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether the batch holds markers ([`ControlRecord`]), which are no records of the topic.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        self.header.attributes.is_control()
    }

    /// The offset at which the log goes on behind this batch.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        self.header.next_offset()
    }

    /// The records, in order.
    #[inline]
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records::trusted(self.body.records(), self.count, self.layout)
    }

    /// The records from `cursor` on, as for a reader that seeks into the batch.
    #[inline]
    #[must_use]
    pub fn records_from(&self, cursor: Cursor) -> Records<'_> {
        self.records().starting_at(cursor)
    }

    /// The record at `cursor`, which moves behind it: for a reader that keeps the batch but no
    /// borrow of it. The cursor belongs to this batch alone.
    #[inline]
    pub fn next_record(&self, cursor: &mut Cursor) -> Option<RecordView<'_>> {
        let mut records = self.records_from(*cursor);
        let record = records.next();
        *cursor = records.cursor();
        record
    }

    /// The marker of a control batch; none of any other.
    #[must_use]
    pub fn control_record(&self) -> Option<ControlRecord> {
        if !self.is_control() {
            return None;
        }
        self.records().next().map(|record| ControlRecord::read(&record))
    }

    /// The bytes of memory that the batch holds beyond those fetched: its decompression buffer.
    #[must_use]
    pub fn decompressed_bytes(&self) -> usize {
        match &self.body {
            Body::Fetched(..) => 0,
            Body::Opened(buffer) => buffer.opened.capacity(),
        }
    }
}

/// Opens a format 2 batch whose checksum holds, or does not matter.
pub(super) fn open_trusted(
    header: BatchHeader,
    bytes: Bytes,
    decompressor: &mut Decompressor,
) -> Result<CheckedBatch, CheckError> {
    let invalid = |what| BatchError::Header { base_offset: header.base_offset.0, what };
    let Ok(declared) = u32::try_from(header.record_count) else {
        return Err(invalid("its record count is negative").into());
    };
    if header.last_offset_delta < 0 {
        return Err(invalid("its last offset is before its first").into());
    }
    let body = match codec(&header)? {
        Compression::None => Body::Fetched(bytes, BATCH_OVERHEAD),
        codec => decompress(&header, codec, &bytes[BATCH_OVERHEAD..], decompressor)?,
    };
    let (count, defect) = check_records(body.records(), declared, header.last_offset_delta);
    let batch = CheckedBatch { layout: Layout::of(&header), header, body, count };
    match defect {
        None => Ok(batch),
        Some(defect) => Err(CheckError {
            error: BatchError::Record { base_offset: header.base_offset.0, index: count, defect },
            prefix: (count > 0).then(|| Box::new(batch)),
        }),
    }
}

fn codec(header: &BatchHeader) -> Result<Compression, BatchError> {
    header.attributes.compression().map_err(|_| BatchError::Header {
        base_offset: header.base_offset.0,
        what: "its codec is unknown",
    })
}

fn decompress(
    header: &BatchHeader,
    codec: Compression,
    input: &[u8],
    decompressor: &mut Decompressor,
) -> Result<Body, BatchError> {
    let pool = decompressor.pool().clone();
    match decompressor.open(codec, header.magic, input, pool.take()) {
        Ok(opened) => Ok(Body::Opened(OpenedBuffer { opened, pool })),
        Err(source) => Err(BatchError::Compression { base_offset: header.base_offset.0, source }),
    }
}

/// Walks all records; gives how many are good, and what is wrong with the next.
fn check_records(bytes: &[u8], declared: u32, last_delta: i32) -> (u32, Option<RecordDefect>) {
    let mut at = 0;
    let mut previous = -1;
    for index in 0..declared {
        if at == bytes.len() {
            return (index, Some(RecordDefect::Missing));
        }
        match check_record(bytes, &mut at) {
            Ok(delta) if delta > previous && delta <= last_delta => previous = delta,
            Ok(_) => return (index, Some(RecordDefect::Offset)),
            Err(defect) => return (index, Some(defect)),
        }
    }
    let excess = at < bytes.len();
    (declared, excess.then_some(RecordDefect::Excess))
}

#[inline]
fn check_record(bytes: &[u8], at: &mut usize) -> Result<i32, RecordDefect> {
    let record = RawRecord::read(bytes, at)?;
    record.check_headers()?;
    Ok(record.offset_delta)
}

/// Opens a message of format 0 or 1 whose checksum holds: alone, or with the set that is compressed in it.
fn check_legacy(
    header: BatchHeader,
    bytes: Bytes,
    decompressor: &mut Decompressor,
) -> Result<CheckedBatch, CheckError> {
    let base_offset = header.base_offset.0;
    let (body, set) = match codec(&header)? {
        Compression::None => (Body::Fetched(bytes, 0), legacy::single()),
        codec => {
            let value = legacy::read_message(&bytes, &mut 0).and_then(|message| message.value);
            let input = value.ok_or(BatchError::Header {
                base_offset,
                what: "a compressed message has a null value",
            })?;
            let body = decompress(&header, codec, input, decompressor)?;
            let set = legacy::check_set(&header, body.records())?;
            (body, set)
        }
    };
    Ok(CheckedBatch { header, body, layout: set.layout, count: set.count })
}
