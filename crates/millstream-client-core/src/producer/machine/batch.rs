//! A batch that the machine has taken: frozen bytes, its sequence number, and its history.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use millstream_protocol::batch::{
    AppendError, BatchBuilder, BatchMut, CheckedBatch, RawBatch, next_sequence,
};
use millstream_protocol::compression::{Compressor, Decompressor};
use millstream_types::{ProducerEpoch, ProducerId};

use super::stage::Stage;
use crate::producer::delivery::{BatchHandle, SealedBuffer};
use crate::producer::error::DeliveryCause;

/// Who writes to a partition: one epoch of a producer id.
///
/// Producer state in a broker is per partition, so each partition has an epoch of its own here, and
/// one whose sequence broke begins anew without disturbing the others (KIP-360).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
}

impl Identity {
    /// The same id in its next epoch, if it has one.
    pub(crate) fn bumped(self) -> Option<Self> {
        let epoch = self.epoch.value().checked_add(1)?;
        Some(Self { epoch: ProducerEpoch(epoch), ..self })
    }
}

/// The place of a batch in its partition's sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) identity: Identity,
    pub(crate) base: i32,
    /// Counts the batches of the partition that got a place.
    pub(crate) ordinal: u64,
}

/// Orders the batches of a partition; the parts of a split batch stand in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BatchKey {
    pub(crate) serial: u64,
    pub(crate) part: u32,
}

/// A batch that the machine has taken.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) handle: Arc<BatchHandle>,
    /// The batch as it goes to the wire. Clones of these bytes are with the requests that carry
    /// it; the buffer returns to the pool with the last of them.
    pub(crate) bytes: Bytes,
    pub(crate) records: i32,
    pub(crate) key: BatchKey,
    pub(crate) sequence: Option<Sequence>,
    pub(crate) stage: Stage,
    /// Whether an attempt may have written it: some request that carried it got no answer.
    pub(crate) may_be_written: bool,
    /// How many requests carried it.
    pub(crate) attempts: u32,
    /// How many of them reached a broker and asked for another try (`retries`).
    pub(crate) retries: u32,
    pub(crate) last_error: Option<DeliveryCause>,
}

impl Batch {
    /// Takes a sealed batch, with its place in the sequence if it is to have one.
    pub(crate) fn new(
        handle: Arc<BatchHandle>,
        sealed: SealedBuffer,
        key: BatchKey,
        sequence: Option<Sequence>,
        is_transactional: bool,
    ) -> Self {
        let SealedBuffer { mut batch, mut charge } = sealed;
        let records = batch.record_count();
        if let Some(Sequence { identity, base, .. }) = sequence {
            batch.set_producer(identity.id, identity.epoch, base);
        }
        if is_transactional {
            batch.set_transactional(true);
        }
        charge.put_back(batch.into_bytes());
        Self {
            handle,
            bytes: charge.into_bytes(),
            records,
            key,
            sequence,
            stage: Stage::Taken,
            may_be_written: false,
            attempts: 0,
            retries: 0,
            last_error: None,
        }
    }

    /// Gives the batch another place in the sequence. Requests on their way keep the old bytes.
    pub(crate) fn resequence(&mut self, sequence: Sequence) {
        let mut bytes = self.bytes.to_vec();
        if let Ok(mut batch) = BatchMut::new(&mut bytes) {
            batch.set_producer(sequence.identity.id, sequence.identity.epoch, sequence.base);
        }
        self.bytes = bytes.into();
        self.sequence = Some(sequence);
    }

    /// Takes a batch that the broker finds too large apart into two, which share the range of its
    /// sequence numbers (`ProducerBatch.split`).
    ///
    /// # Errors
    /// What is wrong with the batch; it is as it was.
    pub(crate) fn split(&self, compressor: &mut Compressor) -> Result<[Self; 2], String> {
        let raw = RawBatch::parse(self.bytes.clone()).map_err(|error| error.to_string())?;
        let batch = CheckedBatch::check(raw, &mut Decompressor::default())
            .map_err(|error| error.error.to_string())?;
        let half = batch.len() / 2;
        let next = self.sequence.map(|low| Sequence {
            base: next_sequence(low.base, i32::try_from(half).unwrap_or(0)),
            ordinal: low.ordinal + 1,
            ..low
        });
        let low = self.rebuild(&batch, 0..half, self.sequence, compressor);
        let high = self.rebuild(&batch, half..batch.len(), next, compressor);
        match (low, high) {
            (Ok(low), Ok(high)) => Ok([low, high]),
            (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
        }
    }

    fn rebuild(
        &self,
        batch: &CheckedBatch,
        range: Range<usize>,
        sequence: Option<Sequence>,
        compressor: &mut Compressor,
    ) -> Result<Self, AppendError> {
        let mut builder = BatchBuilder::new(Vec::new(), usize::MAX);
        for record in batch.records().skip(range.start).take(range.len()) {
            builder.append(record.timestamp, record.key, record.value, record.headers())?;
        }
        let (mut sealed, _) = builder.seal_compressed(compressor, Vec::new());
        sealed.set_transactional(batch.header().attributes.is_transactional());
        if let Some(Sequence { identity, base, .. }) = sequence {
            sealed.set_producer(identity.id, identity.epoch, base);
        }
        let handle = &self.handle;
        let handle = BatchHandle::new(
            handle.topic.clone(),
            handle.partition,
            handle.flush_epoch,
            handle.opened,
        );
        let records = sealed.record_count();
        handle.set_records(records);
        Ok(Self {
            handle,
            bytes: sealed.into_bytes().into(),
            records,
            key: BatchKey {
                part: self.key.part + u32::try_from(range.start).unwrap_or(u32::MAX),
                ..self.key
            },
            sequence,
            stage: Stage::ToResend,
            may_be_written: false,
            attempts: self.attempts,
            retries: self.retries,
            last_error: self.last_error.clone(),
        })
    }
}
