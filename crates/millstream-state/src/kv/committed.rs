//! The committed half of a store: frozen overlays over an engine's tree.

use std::sync::Arc;

use millstream_types::Timestamp;

use super::KeyValueIter;
use crate::{
    Direction, Engine, KeyRange, LogIdentity, OffsetRow, OffsetVerdict, SmallBytes, StoreError,
    Tree, ValueFormat,
};

/// A changelog record to restore.
#[derive(Clone, Copy, Debug)]
pub struct RestoreRecord<'a> {
    /// The key's bytes.
    pub key: &'a [u8],
    /// The value's bytes as they lie in the changelog; none deletes the key.
    pub value: Option<&'a [u8]>,
    /// The record's time, which becomes part of a timestamped value.
    pub timestamp: Timestamp,
}

/// What is committed of a store: shared by the stream thread, the thread that restores and applies,
/// and the threads that query.
///
/// After a failed write, read or restore it is poisoned: every call gives
/// [`StoreError::Poisoned`], because the store is a cache of its changelog and no longer a sure one.
#[derive(Debug)]
pub struct CommittedState {
    tree: Arc<dyn Tree>,
}

impl CommittedState {
    /// Opens or creates the tree `name` (see [`tree_name`](crate::tree_name)). To wipe a store, drop
    /// its tree first ([`Engine::drop_tree`]).
    ///
    /// # Errors
    /// [`StoreError`] if the engine cannot open it.
    pub fn open(engine: &dyn Engine, name: &str) -> Result<Self, StoreError> {
        Ok(Self { tree: engine.open_tree(name)? })
    }

    /// The tree's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.tree.name()
    }

    /// The committed bytes of `key`.
    ///
    /// # Errors
    /// [`StoreError`] if the engine cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<SmallBytes>, StoreError> {
        let _ = key;
        todo!()
    }

    /// The committed entries of a range; consistent per key, not as a whole.
    ///
    /// # Errors
    /// [`StoreError`] if the state is poisoned; the iterator's items may be errors too.
    pub fn range(
        &self,
        range: &KeyRange,
        direction: Direction,
    ) -> Result<KeyValueIter, StoreError> {
        let _ = (range, direction);
        todo!()
    }

    /// The newest offset row, frozen or in the engine.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the row is unreadable, others if the engine cannot be read.
    pub fn offset_row(&self) -> Result<Option<OffsetRow>, StoreError> {
        todo!()
    }

    /// Where to restore from in the log `log`, or that the store is to be wiped first, and why.
    ///
    /// # Errors
    /// [`StoreError`] if the engine cannot be read.
    pub fn judge(&self, log: &LogIdentity) -> Result<OffsetVerdict, StoreError> {
        let _ = log;
        todo!()
    }

    /// Writes a batch of changelog records to the engine, past cache and changelog, and then the
    /// offset row behind them. Frozen overlays are applied first. The stream thread must not be
    /// writing to the store.
    ///
    /// Restoring records again that are there already changes nothing in the end.
    ///
    /// # Errors
    /// [`StoreError`] of the first write that failed.
    pub fn restore<'a>(
        &self,
        format: ValueFormat,
        records: impl IntoIterator<Item = RestoreRecord<'a>>,
        offset: &OffsetRow,
    ) -> Result<(), StoreError> {
        let _ = (format, records.into_iter().count(), offset);
        todo!()
    }

    /// Merges the frozen overlays that are there into one, so that reads stay cheap while nothing is
    /// applied. Call it now and then from the thread that applies.
    pub fn merge_frozen(&self) {
        todo!()
    }

    /// Writes all frozen overlays that are there to the engine, row by row, the offset row last.
    /// Returns how many rows were written.
    ///
    /// # Errors
    /// [`StoreError`] of the first write that failed.
    pub fn apply_frozen(&self) -> Result<usize, StoreError> {
        todo!()
    }

    /// The bytes in frozen overlays: apply them when there are many.
    #[must_use]
    pub fn frozen_bytes(&self) -> u64 {
        todo!()
    }
}
