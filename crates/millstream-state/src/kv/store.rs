//! The store that a task's processors use: all layers together.

use std::sync::Arc;

use super::{
    CacheForwarding, Change, CommittedState, FlushedEntry, KeyValueIter, KeyValueOptions, ValueRef,
};
use crate::{ChangelogSink, Direction, KeyRange, OffsetRow, RecordContext, StoreError};

/// A key-value store of one task, used by its stream thread alone.
///
/// A cached store makes work when it is full: whenever [`flush_pending`](Self::flush_pending) says so
/// after a call of [`get`](Self::get), [`put`](Self::put) or [`update`](Self::update), the caller
/// takes entries from [`next_flushed`](Self::next_flushed) until there is none and forwards each,
/// before it does anything else. (Java flushes inside those calls; here the processors downstream
/// need the store themselves.)
#[derive(Debug)]
pub struct KeyValueStore {
    committed: Arc<CommittedState>,
    options: KeyValueOptions,
}

impl KeyValueStore {
    /// Puts a store's layers on top of what is committed.
    #[must_use]
    pub fn new(committed: Arc<CommittedState>, options: KeyValueOptions) -> Self {
        Self { committed, options }
    }

    /// The part that is shared with the thread that restores, applies and queries.
    #[must_use]
    pub const fn committed(&self) -> &Arc<CommittedState> {
        &self.committed
    }

    /// Sets what a flush of the record cache hands out, once the operators above are known.
    pub fn set_forwarding(&mut self, forwarding: CacheForwarding) {
        self.options.forwarding = forwarding;
    }

    /// The stored bytes of `key`.
    ///
    /// # Errors
    /// [`StoreError`] if the engine could not be read.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<ValueRef<'_>>, StoreError> {
        todo!("{key:?}")
    }

    /// Puts or, with none, deletes `key`. `value` is in the store's
    /// [`ValueFormat`](crate::ValueFormat). `context` is that of the record being processed.
    ///
    /// # Errors
    /// [`StoreError`] if the changelog refuses the record; the store is then unchanged.
    pub fn put(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &RecordContext,
        log: &mut dyn ChangelogSink,
    ) -> Result<(), StoreError> {
        let _ = (key, value, context, log);
        todo!()
    }

    /// Reads `key` and writes what `change` makes of it, with one look-up where the key is cached.
    ///
    /// `change` is given the stored bytes and an empty buffer to write the new ones to. If it fails,
    /// the store is as before.
    ///
    /// # Errors
    /// What `change` fails with, or [`StoreError`] as for [`get`](Self::get) and [`put`](Self::put).
    pub fn update<E: From<StoreError>>(
        &mut self,
        key: &[u8],
        context: &RecordContext,
        log: &mut dyn ChangelogSink,
        change: impl FnOnce(Option<&[u8]>, &mut Vec<u8>) -> Result<Change, E>,
    ) -> Result<(), E> {
        let _ = (key, context, log, change);
        todo!()
    }

    /// The entries of a range as they are now: the iterator borrows nothing and does not see later
    /// writes. Inverted ranges are empty.
    ///
    /// The iterator must not be kept across a [`freeze`](Self::freeze).
    ///
    /// # Errors
    /// None now; the iterator's items may be errors.
    pub fn range(
        &mut self,
        range: &KeyRange,
        direction: Direction,
    ) -> Result<KeyValueIter, StoreError> {
        let _ = (range, direction);
        todo!()
    }

    /// Queues all dirty entries of the record cache, in Java's order, for
    /// [`next_flushed`](Self::next_flushed). A store without a cache queues nothing.
    pub fn begin_flush(&mut self) {
        todo!()
    }

    /// Whether entries are queued.
    #[must_use]
    pub fn flush_pending(&self) -> bool {
        todo!()
    }

    /// Whether the record cache holds changes that are not below it yet, queued or not.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        todo!()
    }

    /// Writes the next queued entry below the cache, logs it and gives what is to be forwarded.
    /// Entries that nobody listens for, and deletions of keys that never were, are not given
    /// (`CachingKeyValueStore.putAndMaybeForward`). None: the queue is empty.
    ///
    /// # Errors
    /// [`StoreError`] if the engine cannot be read or the changelog refuses the record; the entry is
    /// then still queued.
    pub fn next_flushed(
        &mut self,
        log: &mut dyn ChangelogSink,
    ) -> Result<Option<FlushedEntry>, StoreError> {
        let _ = log;
        todo!()
    }

    /// Whether the thread's uncommitted rows exceed their budget: commit after this record.
    #[must_use]
    pub fn wants_commit(&self) -> bool {
        self.options.uncommitted.exceeded()
    }

    /// At a commit: makes the uncommitted rows an immutable overlay that belongs to the committed
    /// state, together with the offset row that is true once they are applied (none: it stays).
    /// Dirty entries of the record cache stay where they are.
    ///
    /// # Errors
    /// [`StoreError`] if the committed state is poisoned.
    pub fn freeze(&mut self, offset: Option<OffsetRow>) -> Result<(), StoreError> {
        let _ = offset;
        todo!()
    }

    /// After an abort or an unknown outcome: discards everything uncommitted, the record cache with
    /// it. Restore from the changelog before going on.
    pub fn abort(&mut self) {
        todo!()
    }
}
