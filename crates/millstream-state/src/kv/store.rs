//! The store that a task's processors use: all layers together.

use std::sync::Arc;

use super::cache::RecordCache;
use super::overlay::UncommittedOverlay;
use super::{
    CacheForwarding, Change, CommittedState, FlushedEntry, FrozenOverlay, KeyValueIter,
    KeyValueOptions, ValueRef,
};
use crate::{
    ByteBudget, ChangelogSink, Direction, KeyRange, OffsetRow, RecordContext, SmallBytes,
    StoreError, ValueFormat,
};

/// A key-value store of one task, used by its stream thread alone.
///
/// A cached store makes work when it is full: whenever [`flush_pending`](Self::flush_pending) says so
/// after a call of [`get`](Self::get), [`put`](Self::put) or [`update`](Self::update), the caller
/// takes entries from [`next_flushed`](Self::next_flushed) until there is none and forwards each,
/// before it does anything else. (Java flushes inside those calls; here the processors downstream
/// need the store themselves.)
#[derive(Debug)]
pub struct KeyValueStore {
    cache: Option<RecordCache>,
    below: Below,
    forwarding: CacheForwarding,
    /// The new value of an update, before it is stored.
    scratch: Vec<u8>,
}

/// The layers below the cache.
#[derive(Debug)]
struct Below {
    overlay: UncommittedOverlay,
    /// The frozen overlays, oldest first, as of `frozen_version`.
    frozen: Vec<Arc<FrozenOverlay>>,
    frozen_version: u64,
    committed: Arc<CommittedState>,
    uncommitted: Arc<ByteBudget>,
    format: ValueFormat,
}

impl KeyValueStore {
    /// Puts a store's layers on top of what is committed.
    #[must_use]
    pub fn new(committed: Arc<CommittedState>, options: KeyValueOptions) -> Self {
        Self {
            cache: options.cache.map(RecordCache::new),
            below: Below {
                overlay: UncommittedOverlay::new(options.uncommitted.clone()),
                frozen: committed.frozen(),
                frozen_version: 0,
                committed,
                uncommitted: options.uncommitted,
                format: options.format,
            },
            forwarding: options.forwarding,
            scratch: Vec::new(),
        }
    }

    /// The part that is shared with the thread that restores, applies and queries.
    #[must_use]
    pub const fn committed(&self) -> &Arc<CommittedState> {
        &self.below.committed
    }

    /// How values lie in its rows.
    #[must_use]
    pub const fn format(&self) -> ValueFormat {
        self.below.format
    }

    /// Sets what a flush of the record cache hands out, once the operators above are known.
    pub const fn set_forwarding(&mut self, forwarding: CacheForwarding) {
        self.forwarding = forwarding;
    }

    /// The stored bytes of `key`.
    ///
    /// # Errors
    /// [`StoreError`] if the engine could not be read.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<ValueRef<'_>>, StoreError> {
        let Some(cache) = &mut self.cache else {
            return self.below.get(key);
        };
        let (hash, found) = cache.find(key);
        if let Some(slot) = found {
            cache.touch(slot);
            return Ok(cache.value(slot).map(ValueRef::Borrowed));
        }
        let value = self.below.get(key)?;
        if let Some(value) = &value {
            cache.insert_clean(hash, key, value);
        }
        Ok(value)
    }

    /// Puts or, with none, deletes `key`. `value` is in the store's
    /// [`ValueFormat`]. `context` is that of the record being processed.
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
        match &mut self.cache {
            Some(cache) => {
                put_cached(cache, key, value, context);
                Ok(())
            }
            None => self.below.write(key, value, context, log),
        }
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
        let Self { cache, below, scratch, .. } = self;
        scratch.clear();
        let found = cache.as_ref().map(|cache| cache.find(key));
        let slot = found.and_then(|(_, slot)| slot);
        let decision = match (cache.as_mut(), slot) {
            (Some(cache), Some(slot)) => {
                cache.touch(slot);
                change(cache.value(slot), scratch)?
            }
            _ => {
                let old = below.get(key)?;
                // As Java's get does, so that both evict at the same moment.
                if let (Some(cache), Some((hash, _)), Some(old)) = (cache.as_mut(), found, &old) {
                    cache.insert_clean(hash, key, old);
                }
                change(old.as_deref(), scratch)?
            }
        };
        let value = match decision {
            Change::Keep => return Ok(()),
            Change::Put => Some(scratch.as_slice()),
            Change::Delete => None,
        };
        match (cache, slot) {
            (Some(cache), Some(slot)) => cache.write(slot, value, context),
            (Some(cache), None) => put_cached(cache, key, value, context),
            (None, _) => below.write(key, value, context, log)?,
        }
        Ok(())
    }

    /// The entries of a range as they are now: the iterator borrows nothing and does not see later
    /// writes. Inverted ranges are empty.
    ///
    /// The iterator must not be kept across a [`freeze`](Self::freeze): rows frozen after it was made
    /// may show once they are applied.
    ///
    /// # Errors
    /// [`StoreError`] if the store is poisoned; the iterator's items may be errors too.
    pub fn range(
        &mut self,
        range: &KeyRange,
        direction: Direction,
    ) -> Result<KeyValueIter, StoreError> {
        let committed = &self.below.committed;
        let mut iter = KeyValueIter::new(direction, committed.poison().clone());
        if range.is_empty() {
            return Ok(iter);
        }
        if let Some(cache) = &mut self.cache {
            let rows = cache.range(range).into_iter();
            match direction {
                Direction::Forward => iter.push(rows),
                Direction::Backward => iter.push(rows.rev()),
            }
        }
        for generation in self.below.overlay.snapshot(range, direction) {
            iter.push(generation);
        }
        committed.push_layers(&mut iter, range, direction)?;
        Ok(iter)
    }

    /// Queues all dirty entries of the record cache, in Java's order, for
    /// [`next_flushed`](Self::next_flushed). A store without a cache queues nothing.
    pub fn begin_flush(&mut self) {
        if let Some(cache) = &mut self.cache {
            cache.begin_flush();
        }
    }

    /// Whether entries are queued.
    #[must_use]
    pub fn flush_pending(&self) -> bool {
        self.cache.as_ref().is_some_and(RecordCache::flush_pending)
    }

    /// Whether the record cache holds changes that are not below it yet, queued or not.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.cache.as_ref().is_some_and(RecordCache::is_dirty)
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
        let Some(cache) = &mut self.cache else {
            return Ok(None);
        };
        while let Some(front) = cache.front() {
            let wants_old = match self.forwarding {
                CacheForwarding::Off => false,
                CacheForwarding::New => front.value.is_none(),
                CacheForwarding::NewAndOld => true,
            };
            let mut old = None;
            if wants_old {
                old = self.below.get(front.key)?.map(ValueRef::into_owned);
            }
            let listened = self.forwarding != CacheForwarding::Off;
            let never_was = listened && front.value.is_none() && old.is_none();
            let mut flushed = None;
            if !never_was {
                let value = front.value.map(SmallBytes::as_slice);
                self.below.write(front.key, value, front.context, log)?;
                flushed = listened.then(|| FlushedEntry {
                    key: front.key.clone(),
                    new: front.value.cloned(),
                    old: old.filter(|_| self.forwarding == CacheForwarding::NewAndOld),
                    context: front.context.clone(),
                });
            }
            cache.pop_front();
            if flushed.is_some() {
                return Ok(flushed);
            }
        }
        Ok(None)
    }

    /// Whether the thread's uncommitted rows exceed their budget: commit after this record.
    #[must_use]
    pub fn wants_commit(&self) -> bool {
        self.below.uncommitted.exceeded()
    }

    /// At a commit: makes the uncommitted rows an immutable overlay that belongs to the committed
    /// state, together with the offset row that is true once they are applied (none: it stays).
    /// Dirty entries of the record cache stay where they are.
    ///
    /// # Errors
    /// [`StoreError`] if the committed state is poisoned.
    pub fn freeze(&mut self, offset: Option<OffsetRow>) -> Result<(), StoreError> {
        self.below.committed.check()?;
        let (rows, bytes) = self.below.overlay.take();
        if !rows.is_empty() || offset.is_some() {
            let frozen = FrozenOverlay::new(rows, offset, bytes);
            self.below.committed.push_frozen(frozen);
        }
        Ok(())
    }

    /// After an abort or an unknown outcome: discards everything uncommitted, the record cache with
    /// it. Restore from the changelog before going on.
    pub fn abort(&mut self) {
        if let Some(cache) = &mut self.cache {
            cache.clear();
        }
        self.below.overlay.clear();
    }
}

fn put_cached(cache: &mut RecordCache, key: &[u8], value: Option<&[u8]>, context: &RecordContext) {
    match cache.find(key) {
        (_, Some(slot)) => cache.write(slot, value, context),
        (hash, None) => cache.insert(hash, key, value, context),
    }
}

impl Below {
    fn get(&mut self, key: &[u8]) -> Result<Option<ValueRef<'_>>, StoreError> {
        let version = self.committed.version();
        if version != self.frozen_version {
            self.frozen = self.committed.frozen();
            self.frozen_version = version;
        }
        if let Some(value) = self.overlay.get(key) {
            return Ok(value.map(|value| ValueRef::Borrowed(value)));
        }
        for overlay in self.frozen.iter().rev() {
            if let Some(value) = overlay.get(key) {
                return Ok(value.map(|value| ValueRef::Borrowed(value)));
            }
        }
        Ok(self.committed.engine_get(key)?.map(ValueRef::Owned))
    }

    fn write(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &RecordContext,
        log: &mut dyn ChangelogSink,
    ) -> Result<(), StoreError> {
        log.append(self.format.record(key, value, context))?;
        self.overlay.put(key, value);
        Ok(())
    }
}
