//! One partition's log: record batches as they came, in memory.
//!
//! A batch is kept as the bytes that the producer sent. The two fields that a broker assigns, base
//! offset and leader epoch, stand beside them and are laid over the first bytes when the batch is
//! read, so neither writing nor reading copies a large batch. Nothing is replicated, so the high
//! watermark is the end; the last stable offset is where the oldest open transaction begins. Aborted
//! transactions are listed as `TransactionIndex.java` lists them. Omitted: retention by time and size,
//! and compaction; only DeleteRecords shortens a log.

use bytes::{BufMut, Bytes};
use millstream_protocol::ErrorCode;
use millstream_protocol::batch::{BatchHeader, ControlRecord};
use millstream_types::{LeaderEpoch, Offset, ProducerId, Timestamp};

use super::frame::FrameWriter;
use super::producers::{Marker, Producers};

/// The bytes of a batch that the broker assigns: base offset, length, leader epoch.
const ASSIGNED_BYTES: usize = 16;
const LENGTH_AT: usize = 8;

/// One stored batch.
#[derive(Clone, Debug)]
pub(crate) struct StoredBatch {
    pub(crate) base_offset: Offset,
    pub(crate) last_offset: Offset,
    pub(crate) max_timestamp: Timestamp,
    pub(crate) leader_epoch: LeaderEpoch,
    /// The end of a transaction, where the batch is one.
    marker: Option<Marker>,
    bytes: Bytes,
}

/// A transaction that was aborted, as fetches of committed records tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AbortedTransaction {
    pub(crate) producer_id: ProducerId,
    /// Its first record.
    pub(crate) first: Offset,
    /// Its marker.
    last: Offset,
    /// Where the log was stable up to, once it was aborted.
    last_stable: Offset,
}

impl StoredBatch {
    /// The bytes it takes on the wire.
    pub(crate) const fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Writes it with its offset and epoch.
    pub(crate) fn write(&self, out: &mut FrameWriter) {
        let mut head = [0; ASSIGNED_BYTES];
        let mut cursor = &mut head[..];
        cursor.put_i64(self.base_offset.0);
        cursor.put_slice(&self.bytes[LENGTH_AT..LENGTH_AT + 4]);
        cursor.put_i32(self.leader_epoch.0);
        out.put_slice(&head);
        out.put_bytes(self.bytes.slice(ASSIGNED_BYTES..));
    }

    /// The batch as one piece, with its offset and epoch: a copy.
    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut out = FrameWriter::new();
        self.write(&mut out);
        out.finish().into_bytes()
    }
}

/// Where an epoch begins in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EpochStart {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) start: Offset,
}

/// The log of one partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    batches: Vec<StoredBatch>,
    start: i64,
    end: i64,
    bytes: u64,
    epochs: Vec<EpochStart>,
    /// In the order of their markers.
    aborted: Vec<AbortedTransaction>,
    /// What is known of idempotent producers.
    pub(crate) producers: Producers,
}

impl Log {
    /// The first offset that can be read (`log start offset`).
    pub(crate) const fn start(&self) -> Offset {
        Offset(self.start)
    }

    /// The offset that the next record gets; also the high watermark.
    pub(crate) const fn end(&self) -> Offset {
        Offset(self.end)
    }

    /// The offset below which every transaction has ended (`last stable offset`).
    pub(crate) fn last_stable(&self) -> Offset {
        match self.producers.first_open() {
            Some(open) => open.max(self.start()),
            None => self.end(),
        }
    }

    /// What a reader may read up to.
    pub(crate) fn readable_end(&self, committed_only: bool) -> Offset {
        if committed_only { self.last_stable() } else { self.end() }
    }

    /// The bytes of all batches.
    pub(crate) const fn size(&self) -> u64 {
        self.bytes
    }

    /// A new leader begins to write; an epoch that wrote nothing leaves no trace.
    pub(crate) fn begin_epoch(&mut self, epoch: LeaderEpoch) {
        let start = self.end();
        self.epochs.retain(|known| known.start < start);
        self.epochs.push(EpochStart { epoch, start });
    }

    /// Appends a checked batch and gives the offset of its first record.
    pub(crate) fn append(
        &mut self,
        header: &BatchHeader,
        bytes: Bytes,
        epoch: LeaderEpoch,
        max_timestamp: Timestamp,
    ) -> Offset {
        let base = self.end;
        let last = base + i64::from(header.last_offset_delta);
        self.bytes += bytes.len() as u64;
        self.batches.push(StoredBatch {
            base_offset: Offset(base),
            last_offset: Offset(last),
            max_timestamp,
            leader_epoch: epoch,
            marker: None,
            bytes,
        });
        self.end = last + 1;
        Offset(base)
    }

    /// Appends the end of a transaction as a control batch and gives its offset.
    ///
    /// # Errors
    /// The marker is of an old epoch of its producer or of the coordinator.
    pub(crate) fn append_marker(
        &mut self,
        marker: Marker,
        epoch: LeaderEpoch,
        time: Timestamp,
    ) -> Result<Offset, ErrorCode> {
        self.producers.check_marker(&marker)?;
        let coordinator_epoch = marker.coordinator_epoch;
        let record = match marker.commit {
            true => ControlRecord::Commit { coordinator_epoch },
            false => ControlRecord::Abort { coordinator_epoch },
        };
        let batch = record.to_batch(marker.producer_id, marker.epoch, time);
        let bytes = batch.ok_or(ErrorCode::UnknownServerError)?.into_bytes();
        let offset = self.end();
        self.bytes += bytes.len() as u64;
        self.batches.push(StoredBatch {
            base_offset: offset,
            last_offset: offset,
            max_timestamp: time,
            leader_epoch: epoch,
            marker: Some(marker),
            bytes: bytes.into(),
        });
        self.end += 1;
        self.end_transaction(&marker, offset, time);
        Ok(offset)
    }

    fn end_transaction(&mut self, marker: &Marker, last: Offset, time: Timestamp) {
        let Some(first) = self.producers.ended(marker, time) else {
            return;
        };
        if !marker.commit {
            let stable = self.producers.first_open().unwrap_or(Offset(last.0 + 1));
            let producer_id = marker.producer_id;
            self.aborted.push(AbortedTransaction { producer_id, first, last, last_stable: stable });
        }
    }

    /// The aborted transactions that a reader of `from` up to `end` has to know.
    pub(crate) fn aborted(&self, from: Offset, end: Offset) -> Vec<AbortedTransaction> {
        let begin = self.aborted.partition_point(|aborted| aborted.last < from);
        let mut found = Vec::new();
        for aborted in &self.aborted[begin..] {
            if aborted.first < end {
                found.push(*aborted);
            }
            if aborted.last_stable >= end {
                break;
            }
        }
        found
    }

    /// Counts records without keeping them: the log stays empty and ends further on.
    pub(crate) fn skip(&mut self, records: i64) -> Offset {
        let base = self.end;
        self.end += records.max(1);
        self.start = self.end;
        Offset(base)
    }

    /// The batches from the one that holds `offset` on.
    pub(crate) fn batches_from(&self, offset: Offset) -> &[StoredBatch] {
        let first = self.batches.partition_point(|batch| batch.last_offset < offset);
        &self.batches[first..]
    }

    /// The bytes before `end` that a fetch from `offset` could be given, counted up to `limit`.
    pub(crate) fn available(&self, offset: Offset, end: Offset, limit: usize) -> usize {
        let mut sum = 0;
        for batch in self.batches_from(offset).iter().take_while(|batch| batch.base_offset < end) {
            sum += batch.size();
            if sum >= limit {
                break;
            }
        }
        sum
    }

    /// The first batch that may hold a record of this time or a later one. Timestamps need not grow.
    pub(crate) fn batches_since(&self, time: Timestamp) -> impl Iterator<Item = &StoredBatch> {
        self.batches.iter().filter(move |batch| batch.max_timestamp >= time)
    }

    /// The earliest batch among those with the largest timestamp.
    pub(crate) fn latest_by_time(&self) -> Option<&StoredBatch> {
        let latest = self.batches.iter().map(|batch| batch.max_timestamp).max()?;
        self.batches.iter().find(|batch| batch.max_timestamp == latest)
    }

    /// The epoch that wrote `offset`, or would be the newest before it.
    pub(crate) fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let at = self.epochs.partition_point(|entry| entry.start <= offset);
        self.epochs[..at].last().map(|entry| entry.epoch)
    }

    /// The newest epoch at or below `epoch` and the offset where it ends, as
    /// `LeaderEpochFileCache.endOffsetFor` finds them.
    pub(crate) fn end_of_epoch(
        &self,
        epoch: LeaderEpoch,
        current: LeaderEpoch,
    ) -> Option<(LeaderEpoch, Offset)> {
        if epoch == current {
            return Some((epoch, self.end()));
        }
        if epoch > current || epoch.0 < 0 {
            return None;
        }
        let after = self.epochs.partition_point(|entry| entry.epoch <= epoch);
        let next = self.epochs.get(after);
        let end = next.map_or_else(|| self.end(), |next| next.start);
        match self.epochs[..after].last() {
            Some(found) => Some((found.epoch, end)),
            // An epoch older than all that are left: it ended where the log starts.
            None => Some((epoch, end.max(self.start()))),
        }
    }

    /// Deletes all records before `offset` (KIP-107). Whole batches are dropped.
    pub(crate) fn delete_before(&mut self, offset: Offset) {
        self.start = self.start.max(offset.0.min(self.end));
        let gone = self.batches.partition_point(|batch| batch.last_offset.0 < self.start);
        for batch in self.batches.drain(..gone) {
            self.bytes -= batch.bytes.len() as u64;
        }
        let start = self.start();
        self.aborted.retain(|aborted| aborted.last >= start);
        let at = self.epochs.partition_point(|entry| entry.start <= start);
        if at > 1 {
            self.epochs.drain(..at - 1);
        }
        if let Some(first) = self.epochs.first_mut() {
            first.start = first.start.max(start);
        }
    }

    /// Cuts the log so that it ends at or before `end`, on a batch boundary: what an unclean leader
    /// election does.
    pub(crate) fn truncate(&mut self, end: Offset) {
        let kept = self.batches.partition_point(|batch| batch.last_offset < end);
        for batch in self.batches.drain(kept..) {
            self.bytes -= batch.bytes.len() as u64;
        }
        self.end = self.batches.last().map_or(self.start, |batch| batch.last_offset.0 + 1);
        let end = self.end();
        self.epochs.retain(|entry| entry.start < end);
        self.rebuild_producers();
    }

    /// Learns of producers and transactions anew from the batches that are left, as Kafka does after
    /// a truncation (`UnifiedLog.rebuildProducerState`).
    fn rebuild_producers(&mut self) {
        self.producers = Producers::default();
        self.aborted.clear();
        for index in 0..self.batches.len() {
            let batch = &self.batches[index];
            let (base, time) = (batch.base_offset, batch.max_timestamp);
            if let Some(marker) = batch.marker {
                self.end_transaction(&marker, base, time);
            } else if let Ok(header) = BatchHeader::parse(&batch.bytes)
                && header.producer_id != ProducerId::NONE
            {
                self.producers.appended(&header, base, time);
            }
        }
    }
}
