//! The markers that a broker writes among the records of transactions.

use millstream_types::{ProducerEpoch, ProducerId, Timestamp};

use super::header::{i16_at, i32_at};
use super::{BatchBuilder, RecordView, SealedBatch};

/// A record of a control batch (KIP-98; `ControlRecordType.java`, `EndTransactionMarker.java`).
///
/// Key: version 2, type 2. Value of an end marker: version 2, coordinator epoch 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlRecord {
    /// The producer's records since its last marker are void.
    Abort {
        /// The epoch of the transaction coordinator that wrote the marker.
        coordinator_epoch: i32,
    },
    /// The producer's records since its last marker count.
    Commit {
        /// The epoch of the transaction coordinator that wrote the marker.
        coordinator_epoch: i32,
    },
    /// A marker that is no end of a transaction: a reader steps over it.
    Unknown {
        /// The type's number; none where the key is not one of a control record.
        kind: Option<i16>,
    },
}

const ABORT: i16 = 0;
const COMMIT: i16 = 1;

impl ControlRecord {
    /// Reads a record of a control batch.
    #[must_use]
    pub fn read(record: &RecordView<'_>) -> Self {
        let Some(key) = record.key.and_then(<[u8]>::first_chunk::<4>) else {
            return Self::Unknown { kind: None };
        };
        let kind = i16_at(key, 2);
        // Later versions of key and value only add fields behind these.
        let epoch = record.value.and_then(<[u8]>::first_chunk::<6>);
        match (kind, epoch.map(|value| i32_at(value, 2))) {
            (ABORT, Some(coordinator_epoch)) => Self::Abort { coordinator_epoch },
            (COMMIT, Some(coordinator_epoch)) => Self::Commit { coordinator_epoch },
            _ => Self::Unknown { kind: Some(kind) },
        }
    }

    /// The batch of one marker that ends a producer's transaction; none for an unknown marker.
    #[must_use]
    pub fn to_batch(
        self,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        timestamp: Timestamp,
    ) -> Option<SealedBatch> {
        let (kind, epoch) = match self {
            Self::Abort { coordinator_epoch } => (ABORT, coordinator_epoch),
            Self::Commit { coordinator_epoch } => (COMMIT, coordinator_epoch),
            Self::Unknown { .. } => return None,
        };
        let mut key = [0; 4];
        key[2..].copy_from_slice(&kind.to_be_bytes());
        let mut value = [0; 6];
        value[2..].copy_from_slice(&epoch.to_be_bytes());
        let mut builder = BatchBuilder::new(Vec::new(), usize::MAX);
        let none: [super::HeaderView<'_>; 0] = [];
        builder.append(timestamp, Some(&key), Some(&value), none).ok()?;
        let mut batch = builder.seal();
        batch.set_producer(producer_id, producer_epoch, -1);
        batch.set_transactional(true);
        batch.set_control(true);
        batch.finish();
        Some(batch)
    }
}
