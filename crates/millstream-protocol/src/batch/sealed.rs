//! A closed batch, ready for the wire but for the fields that are known late.

use bytes::Bytes;
use millstream_types::{LeaderEpoch, ProducerEpoch, ProducerId};

use super::check::open_trusted;
use super::header::{Attributes, BATCH_OVERHEAD, write_crc, write_flag, write_producer};
use super::records::{Layout, Records};
use super::{BatchHeader, BatchMut, CheckError, CheckedBatch};
use crate::compression::{Compression, Decompressor};

/// A closed batch of format 2.
///
/// Set producer, transaction and control, then call [`finish`](Self::finish): it computes the
/// checksum over all of it. Any setter but that of the leader epoch makes the checksum stale again.
#[derive(Debug)]
pub struct SealedBatch {
    bytes: Vec<u8>,
    record_count: i32,
    finished: bool,
}

impl SealedBatch {
    pub(super) const fn new(bytes: Vec<u8>, record_count: i32) -> Self {
        Self { bytes, record_count, finished: false }
    }

    /// Sets the idempotent producer and the sequence number of the first record.
    pub fn set_producer(&mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) {
        write_producer(&mut self.bytes, id, epoch, base_sequence);
        self.finished = false;
    }

    /// Says whether the batch belongs to a transaction.
    pub fn set_transactional(&mut self, on: bool) {
        write_flag(&mut self.bytes, Attributes::TRANSACTIONAL, on);
        self.finished = false;
    }

    /// Says whether the batch holds a broker's markers.
    pub fn set_control(&mut self, on: bool) {
        write_flag(&mut self.bytes, Attributes::CONTROL, on);
        self.finished = false;
    }

    /// Sets the leader epoch, which the checksum does not cover.
    pub fn set_partition_leader_epoch(&mut self, epoch: LeaderEpoch) {
        if let Ok(mut batch) = BatchMut::new(&mut self.bytes) {
            batch.set_partition_leader_epoch(epoch);
        }
    }

    /// Computes the checksum, if it is stale, and gives the batch as it goes to the wire.
    pub fn finish(&mut self) -> &[u8] {
        if !self.finished {
            write_crc(&mut self.bytes);
            self.finished = true;
        }
        &self.bytes
    }

    /// The batch as it stands; its checksum is right only after [`finish`](Self::finish).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        debug_assert!(self.finished, "a batch is finished before it is sent");
        &self.bytes
    }

    /// Gives memory beyond `capacity` back, as codecs reserve more than they fill.
    pub fn shrink_to(&mut self, capacity: usize) {
        self.bytes.shrink_to(capacity);
    }

    /// Finishes the batch and gives its buffer, as for the wire or back to a pool.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.finish();
        self.bytes
    }

    /// Gives the buffer back without finishing the batch.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    /// The size of the batch, header included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The number of records.
    #[must_use]
    pub const fn record_count(&self) -> i32 {
        self.record_count
    }

    /// The header as it stands.
    ///
    /// # Errors
    /// Never for a batch that a builder sealed.
    pub fn header(&self) -> Result<BatchHeader, super::BatchError> {
        BatchHeader::parse(&self.bytes)
    }

    /// The records, with offsets from 0, of a batch that is not compressed; otherwise see
    /// [`open`](Self::open).
    #[must_use]
    pub fn records(&self) -> Option<Records<'_>> {
        let header = self.header().ok()?;
        if header.attributes.compression() != Ok(Compression::None) {
            return None;
        }
        Some(Records::trusted(
            &self.bytes[BATCH_OVERHEAD..],
            self.record_count as u32,
            Layout::of(&header),
        ))
    }

    /// Reads the batch again, compressed or not: how a record that was not written is given back.
    /// Copies the batch, and does not look at its checksum.
    ///
    /// # Errors
    /// Only when the decompressor's limit is below the size of the batch's records.
    pub fn open(&self, decompressor: &mut Decompressor) -> Result<CheckedBatch, CheckError> {
        let header = self.header()?;
        open_trusted(header, Bytes::copy_from_slice(&self.bytes), decompressor)
    }
}
