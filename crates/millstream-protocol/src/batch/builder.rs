//! The open batch: records encoded one behind the other into one buffer.

use millstream_types::Timestamp;
use thiserror::Error;

use super::header::{BATCH_OVERHEAD, Head, write_head};
use super::records::{HeaderView, Layout, Records};
use super::{SealedBatch, varint};
use crate::compression::{Compression, Compressor};

/// How many bytes of the buffer are initialised at once, at least, where it has them.
const GROWTH_MIN: usize = 4 * 1024;

/// An open batch of format 2.
///
/// It encodes into the buffer it is given, grows that only past its capacity for a record that needs
/// it, and gives it back when sealed. Offsets count from 0 and sequence numbers are set late, on the [`SealedBatch`].
#[derive(Debug)]
pub struct BatchBuilder {
    /// Initialised further than the batch reaches, so that a record costs no zeroing of its bytes.
    buffer: Vec<u8>,
    /// How far the batch reaches.
    size: usize,
    limit: usize,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

/// Why a record was not appended; the batch is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The record would take the batch past its limit.
    #[error("the record takes the batch to {needed} bytes, its limit is {limit}")]
    Full {
        /// The size of the batch with this record.
        needed: usize,
        /// The limit that the batch was opened with.
        limit: usize,
    },
    /// The timestamp is negative and not "none" (`MemoryRecordsBuilder.appendWithOffset`).
    #[error("the record has the invalid timestamp {0}")]
    InvalidTimestamp(i64),
}

impl BatchBuilder {
    /// Opens a batch of at most `limit` bytes, header included, in `buffer`, whose contents go. A
    /// buffer that comes back from a batch is best given as it is, not cleared: it need not be
    /// initialised again.
    #[must_use]
    pub fn new(mut buffer: Vec<u8>, limit: usize) -> Self {
        if buffer.len() < BATCH_OVERHEAD {
            buffer.resize(BATCH_OVERHEAD, 0);
        }
        Self {
            buffer,
            size: BATCH_OVERHEAD,
            // A batch's length is an i32 on the wire.
            limit: limit.min(i32::MAX as usize),
            count: 0,
            base_timestamp: Timestamp::NONE.0,
            max_timestamp: Timestamp::NONE.0,
        }
    }

    /// Encodes a record behind those that are there and returns its place in the batch.
    ///
    /// Headers are anything that can be walked twice: a slice of `RecordHeader`, `&Headers`, or the
    /// headers of a [`RecordView`](super::RecordView).
    ///
    /// # Errors
    /// When the record does not fit the limit, or its timestamp is invalid.
    #[inline]
    pub fn append<'h, H>(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: H,
    ) -> Result<i32, AppendError>
    where
        H: IntoIterator<Item: Into<HeaderView<'h>>> + Clone,
    {
        let plan = self.plan(timestamp, key, value, headers.clone());
        let start = self.size;
        let end = start + plan.size();
        if end > self.limit || self.count == i32::MAX {
            return Err(AppendError::Full { needed: end, limit: self.limit });
        }
        if timestamp.0 < Timestamp::NONE.0 {
            return Err(AppendError::InvalidTimestamp(timestamp.0));
        }
        if end > self.buffer.len() {
            self.grow(end);
        }
        plan.write(&mut self.buffer[start..end], key, value, headers);
        self.size = end;
        if self.count == 0 {
            self.base_timestamp = timestamp.0;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp.0);
        let index = self.count;
        self.count += 1;
        Ok(index)
    }

    /// Initialises the buffer at least as far as `end`, and within its capacity by steps that double,
    /// so that a batch of one record does not pay for a large buffer.
    #[cold]
    fn grow(&mut self, end: usize) {
        let roomy = (self.buffer.len() * 2).max(GROWTH_MIN).min(self.buffer.capacity());
        self.buffer.resize(roomy.max(end), 0);
    }

    /// The exact number of bytes that this record would add to the batch as it stands.
    #[must_use]
    pub fn record_size<'h, H>(
        &self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: H,
    ) -> usize
    where
        H: IntoIterator<Item: Into<HeaderView<'h>>>,
    {
        self.plan(timestamp, key, value, headers).size()
    }

    /// The size of a batch that holds this record alone.
    #[must_use]
    pub fn single_record_size<'h, H>(key: Option<&[u8]>, value: Option<&[u8]>, headers: H) -> usize
    where
        H: IntoIterator<Item: Into<HeaderView<'h>>>,
    {
        BATCH_OVERHEAD + Plan::new(0, 0, key, value, headers).size()
    }

    /// The number of records.
    #[must_use]
    pub const fn record_count(&self) -> i32 {
        self.count
    }

    /// Whether no record was appended.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The size of the batch so far, header included, uncompressed.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// The size that the batch may reach.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Raises the limit, as for a buffer of the next size class.
    pub fn raise_limit(&mut self, limit: usize) {
        self.limit = self.limit.max(limit.min(i32::MAX as usize));
    }

    /// The timestamp of the first record, from which the others count.
    #[must_use]
    pub const fn base_timestamp(&self) -> Timestamp {
        Timestamp(self.base_timestamp)
    }

    /// The largest timestamp.
    #[must_use]
    pub const fn max_timestamp(&self) -> Timestamp {
        Timestamp(self.max_timestamp)
    }

    /// The records appended so far, with offsets from 0.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records::trusted(
            &self.buffer[BATCH_OVERHEAD..self.size],
            self.count as u32,
            Layout::built(self.base_timestamp),
        )
    }

    /// Gives the buffer back, records and all.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Closes the batch as it is, uncompressed.
    #[must_use]
    pub fn seal(mut self) -> SealedBatch {
        self.buffer.truncate(self.size);
        let head = self.head(Compression::None);
        write_head(&mut self.buffer, &head);
        SealedBatch::new(self.buffer, head.record_count)
    }

    /// Closes the batch with its records compressed into `output`, whose contents go. Returns the
    /// buffer of the builder too, for its pool.
    ///
    /// A codec that fails, which none does when it writes to memory, leaves the batch
    /// uncompressed: that is always valid, and no record is lost by it.
    #[must_use]
    pub fn seal_compressed(
        self,
        compressor: &mut Compressor,
        mut output: Vec<u8>,
    ) -> (SealedBatch, Vec<u8>) {
        output.clear();
        output.resize(BATCH_OVERHEAD, 0);
        let records = &self.buffer[BATCH_OVERHEAD..self.size];
        if compressor.compress(records, &mut output).is_err() || output.len() > i32::MAX as usize {
            return (self.seal(), output);
        }
        let head = self.head(compressor.compression());
        write_head(&mut output, &head);
        (SealedBatch::new(output, head.record_count), self.buffer)
    }

    const fn head(&self, compression: Compression) -> Head {
        Head {
            attributes: compression.id() as i16,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            record_count: self.count,
        }
    }

    #[inline]
    fn plan<'h, H>(
        &self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: H,
    ) -> Plan
    where
        H: IntoIterator<Item: Into<HeaderView<'h>>>,
    {
        let delta = if self.count == 0 { 0 } else { timestamp.0.wrapping_sub(self.base_timestamp) };
        Plan::new(delta, self.count, key, value, headers)
    }
}

/// The numbers of one record, computed before a byte is written.
struct Plan {
    /// The bytes behind the length.
    body: usize,
    header_count: usize,
    timestamp_delta: i64,
    offset_delta: i32,
}

impl Plan {
    #[inline]
    fn new<'h, H>(
        timestamp_delta: i64,
        offset_delta: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: H,
    ) -> Self
    where
        H: IntoIterator<Item: Into<HeaderView<'h>>>,
    {
        let mut header_count = 0;
        let mut header_bytes = 0;
        for header in headers {
            let header: HeaderView<'h> = header.into();
            header_count += 1;
            header_bytes += field_size(Some(header.key)) + field_size(header.value);
        }
        // One byte of attributes, all of them unused.
        let body = 1
            + varint::size(timestamp_delta)
            + varint::size(i64::from(offset_delta))
            + field_size(key)
            + field_size(value)
            + varint::size(header_count as i64)
            + header_bytes;
        Self { body, header_count, timestamp_delta, offset_delta }
    }

    /// The bytes of the record with its length.
    #[inline]
    const fn size(&self) -> usize {
        varint::size(self.body as i64) + self.body
    }

    /// Writes the record over `out`, which is exactly [`size`](Self::size) bytes.
    #[inline]
    fn write<'h, H>(&self, out: &mut [u8], key: Option<&[u8]>, value: Option<&[u8]>, headers: H)
    where
        H: IntoIterator<Item: Into<HeaderView<'h>>>,
    {
        let mut at = varint::write(out, 0, self.body as i64);
        out[at] = 0;
        at = varint::write(out, at + 1, self.timestamp_delta);
        at = varint::write(out, at, i64::from(self.offset_delta));
        at = write_field(out, at, key);
        at = write_field(out, at, value);
        at = varint::write(out, at, self.header_count as i64);
        for header in headers {
            let header: HeaderView<'h> = header.into();
            at = write_field(out, at, Some(header.key));
            at = write_field(out, at, header.value);
        }
    }
}

#[inline]
const fn field_size(field: Option<&[u8]>) -> usize {
    match field {
        Some(bytes) => varint::size(bytes.len() as i64) + bytes.len(),
        None => 1,
    }
}

#[inline]
fn write_field(out: &mut [u8], at: usize, field: Option<&[u8]>) -> usize {
    let Some(bytes) = field else {
        return varint::write(out, at, -1);
    };
    let start = varint::write(out, at, bytes.len() as i64);
    let end = start + bytes.len();
    out[start..end].copy_from_slice(bytes);
    end
}
