//! A consumer's batch as the task engine reads it: one record at a time, kept between turns.

use millstream_client::{Batch, RecordCursor};
use millstream_core::{RawRecord, RecordBatch};
use millstream_types::{LeaderEpoch, Offset};

/// A batch and how far it was read.
pub(super) struct BatchReader {
    batch: Batch,
    cursor: RecordCursor,
    left: usize,
}

impl BatchReader {
    pub(super) fn new(batch: Batch) -> Self {
        let (left, cursor) = (batch.len(), batch.cursor());
        Self { batch, cursor, left }
    }
}

impl RecordBatch for BatchReader {
    fn next(&mut self) -> Option<RawRecord<'_>> {
        let record = self.batch.next_record(&mut self.cursor)?;
        self.left -= 1;
        Some(RawRecord {
            offset: record.offset(),
            timestamp: record.timestamp(),
            key: record.key(),
            value: record.value(),
            headers: record.headers().to_headers(),
        })
    }

    fn remaining(&self) -> usize {
        self.left
    }

    fn next_offset(&self) -> Offset {
        self.batch.next_offset()
    }

    fn leader_epoch(&self) -> Option<LeaderEpoch> {
        self.batch.leader_epoch()
    }
}
