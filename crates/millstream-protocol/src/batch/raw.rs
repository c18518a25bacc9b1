//! Splitting what a fetch brought into batches, without a copy and without looking inside.

use bytes::{Buf, Bytes};

use super::header::{ATTRIBUTES_AT, LOG_OVERHEAD, MAGIC_AT, checksum, i32_at, i64_at};
use super::{BatchError, BatchHeader, legacy};

/// A batch that was split off but not checked: its header can be read, its records cannot.
#[derive(Clone, Debug)]
pub struct RawBatch {
    header: BatchHeader,
    bytes: Bytes,
}

impl RawBatch {
    /// Takes the bytes of exactly one batch.
    ///
    /// # Errors
    /// When the bytes end before the batch or go on behind it, or its head is malformed.
    pub fn parse(bytes: Bytes) -> Result<Self, BatchError> {
        let size = batch_size(&bytes)?;
        if size.is_none_or(|size| size > bytes.len()) {
            return Err(BatchError::Truncated {
                needed: size.unwrap_or(LOG_OVERHEAD + legacy::LENGTH_MIN),
                available: bytes.len(),
            });
        }
        let batch = Self::whole(bytes)?;
        match batch.bytes.len() - batch.header.size() {
            0 => Ok(batch),
            extra => Err(BatchError::TrailingBytes { extra }),
        }
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The bytes of the whole batch.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The header and the bytes.
    #[must_use]
    pub fn into_parts(self) -> (BatchHeader, Bytes) {
        (self.header, self.bytes)
    }

    /// Proves the checksum and what the header says of itself, without opening the records: what a
    /// broker asks of a produced batch (`LogValidator.validateBatch`).
    ///
    /// # Errors
    /// When the checksum does not match, or the numbers of the header contradict each other or are
    /// not those of a batch that a producer writes.
    pub fn verify(&self) -> Result<(), BatchError> {
        let header = &self.header;
        let invalid = |what| BatchError::Header { base_offset: header.base_offset.0, what };
        self.verify_crc()?;
        if header.attributes.compression().is_err() {
            return Err(invalid("its codec is unknown"));
        }
        if header.record_count < 1 || header.last_offset_delta != header.record_count - 1 {
            return Err(invalid("its record count and its last offset do not agree"));
        }
        let has_producer = header.producer_id.0 >= 0;
        let control = header.attributes.is_control();
        if has_producer && header.base_sequence < 0 && !control {
            return Err(invalid("it has a producer id and no sequence number"));
        }
        if header.attributes.is_transactional() && !has_producer {
            return Err(invalid("it belongs to a transaction and has no producer id"));
        }
        Ok(())
    }

    /// Proves the checksum alone.
    pub(super) fn verify_crc(&self) -> Result<(), BatchError> {
        let (stored, computed) = match self.header.magic {
            0 | 1 => (self.header.crc, legacy::checksum(&self.bytes)),
            _ => (self.header.crc, checksum(&self.bytes[ATTRIBUTES_AT..])),
        };
        if stored == computed {
            return Ok(());
        }
        Err(BatchError::Crc { base_offset: self.header.base_offset.0, stored, computed })
    }

    fn whole(bytes: Bytes) -> Result<Self, BatchError> {
        let header = match bytes[MAGIC_AT] as i8 {
            0 | 1 => legacy::header(&bytes)?,
            _ => BatchHeader::parse(&bytes).map_err(|error| match error {
                BatchError::Truncated { .. } => BatchError::Length {
                    base_offset: i64_at(&bytes, 0),
                    length: i32_at(&bytes, LOG_OVERHEAD - 4),
                },
                error => error,
            })?,
        };
        Ok(Self { header, bytes })
    }
}

/// The batches of a fetch answer, or of a produce request, one behind the other.
///
/// A broker cuts its answer off where the fetch's limit is reached, so the last batch is often not
/// whole: that ends the iteration, and [`truncated`](Self::truncated) tells of it. A malformed head
/// is an error after which nothing more comes, since nobody knows where the next batch begins.
#[derive(Clone, Debug)]
pub struct RawBatches {
    rest: Bytes,
    truncated: Option<TruncatedBatch>,
    any: bool,
}

/// The batch at the end of an answer that did not fit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruncatedBatch {
    /// The bytes that arrived.
    pub available: usize,
    /// The bytes of the whole batch, if its length arrived.
    pub needed: Option<usize>,
    /// Whether it is the only batch of the answer. Kafka sends the first batch whole even past
    /// the limit (KIP-74), so a fetch that meets this must ask for more.
    pub is_first: bool,
}

impl RawBatches {
    /// Over the records field of one partition.
    #[must_use]
    pub const fn new(records: Bytes) -> Self {
        Self { rest: records, truncated: None, any: false }
    }

    /// The cut-off batch at the end, once the iteration reached it.
    #[must_use]
    pub const fn truncated(&self) -> Option<TruncatedBatch> {
        self.truncated
    }

    fn cut_off(&mut self, needed: Option<usize>) {
        self.truncated =
            Some(TruncatedBatch { available: self.rest.len(), needed, is_first: !self.any });
        self.rest.clear();
    }
}

impl Iterator for RawBatches {
    type Item = Result<RawBatch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let size = match batch_size(&self.rest) {
            Ok(Some(size)) => size,
            Ok(None) => {
                self.cut_off(None);
                return None;
            }
            Err(error) => {
                self.rest.clear();
                return Some(Err(error));
            }
        };
        if size > self.rest.len() {
            self.cut_off(Some(size));
            return None;
        }
        self.any = true;
        let batch = RawBatch::whole(self.rest.split_to(size));
        if batch.is_err() {
            self.rest.advance(self.rest.len());
        }
        Some(batch)
    }
}

/// The size of the batch at the front; none while its length has not arrived.
fn batch_size(bytes: &[u8]) -> Result<Option<usize>, BatchError> {
    if bytes.len() < LOG_OVERHEAD {
        return Ok(None);
    }
    let length = i32_at(bytes, LOG_OVERHEAD - 4);
    // DefaultRecordBatch and LegacyRecord refuse less as well (`ByteBufferLogInputStream`).
    if length < legacy::LENGTH_MIN as i32 {
        return Err(BatchError::Length { base_offset: i64_at(bytes, 0), length });
    }
    Ok(Some(LOG_OVERHEAD + length as usize))
}
