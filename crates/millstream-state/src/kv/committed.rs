//! The committed half of a store: frozen overlays over an engine's tree.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_types::Timestamp;

use super::{FrozenOverlay, KeyValueIter};
use crate::poison::Poison;
use crate::{
    Direction, Engine, KeyRange, LogIdentity, OffsetRow, OffsetVerdict, SmallBytes, StoreError,
    Tree, ValueFormat, WipeReason, rows, timestamped,
};

/// A changelog record to restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    poison: Arc<Poison>,
    /// Oldest first. What lies here is not in the tree yet, or not surely.
    frozen: Mutex<Vec<Arc<FrozenOverlay>>>,
    /// Raised with every change of `frozen`.
    version: AtomicU64,
    /// Held by whoever merges, applies or restores: one at a time.
    maintenance: Mutex<()>,
}

impl CommittedState {
    /// Opens or creates the tree `name` (see [`tree_name`](crate::tree_name)). To wipe a store, drop
    /// its tree first ([`Engine::drop_tree`]).
    ///
    /// # Errors
    /// [`StoreError`] if the engine cannot open it.
    pub fn open(engine: &dyn Engine, name: &str) -> Result<Self, StoreError> {
        Ok(Self {
            tree: engine.open_tree(name)?,
            poison: Arc::new(Poison::new(name)),
            frozen: Mutex::default(),
            version: AtomicU64::new(0),
            maintenance: Mutex::default(),
        })
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
        for overlay in lock(&self.frozen).iter().rev() {
            if let Some(value) = overlay.get(key) {
                return Ok(value.cloned());
            }
        }
        self.engine_get(key)
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
        let mut iter = KeyValueIter::new(direction, self.poison.clone());
        self.push_layers(&mut iter, range, direction)?;
        Ok(iter)
    }

    /// The newest offset row, frozen or in the engine.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the row is unreadable, others if the engine cannot be read.
    pub fn offset_row(&self) -> Result<Option<OffsetRow>, StoreError> {
        match self.read_offset()? {
            None => Ok(None),
            Some(Ok(row)) => Ok(Some(row)),
            Some(Err(error)) => Err(StoreError::Corrupt {
                store: self.name().into(),
                detail: format!("offset row: {error}").into(),
            }),
        }
    }

    /// Where to restore from in the log `log`, or that the store is to be wiped first, and why.
    ///
    /// # Errors
    /// [`StoreError`] if the engine cannot be read.
    pub fn judge(&self, log: &LogIdentity) -> Result<OffsetVerdict, StoreError> {
        Ok(match self.read_offset()?.transpose() {
            Ok(row) => OffsetRow::judge(row.as_ref(), log),
            Err(error) => OffsetVerdict::Wipe(WipeReason::Unreadable(error)),
        })
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
        let _maintenance = lock(&self.maintenance);
        self.apply_all()?;
        let mut stored = Vec::new();
        for record in records {
            // RecordConverters.rawValueToTimestampedValue: the record's time goes before the value.
            let value = match (format, record.value) {
                (ValueFormat::Timestamped, Some(value)) => {
                    timestamped::start(record.timestamp, &mut stored);
                    stored.extend_from_slice(value);
                    Some(stored.as_slice())
                }
                (_, value) => value,
            };
            let written = rows::write(&*self.tree, record.key, value);
            self.poison.note(written)?;
        }
        self.poison.note(rows::write_offset(&*self.tree, offset))
    }

    /// Merges frozen overlays, the newest with those before it that are not much larger, so that
    /// reads stay cheap while nothing is applied. Call it after each commit, from the thread that
    /// applies.
    pub fn merge_frozen(&self) {
        let _maintenance = lock(&self.maintenance);
        let frozen = lock(&self.frozen).clone();
        let mut from = frozen.len().saturating_sub(1);
        let mut rows = frozen.get(from).map_or(0, |overlay| overlay.len());
        while let Some(before) = from.checked_sub(1)
            && let Some(older) = frozen.get(before)
            && older.len() <= 2 * rows
        {
            rows += older.len();
            from = before;
        }
        let Some(run) = frozen.get(from..).filter(|run| run.len() > 1) else {
            return;
        };
        let merged = Arc::new(FrozenOverlay::merge(run));
        // Overlays that came in the meantime lie behind the run.
        let mut now = lock(&self.frozen);
        now.splice(from..frozen.len(), [merged]);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Writes all frozen overlays that are there to the engine, row by row, the offset row last.
    /// Returns how many rows were written.
    ///
    /// # Errors
    /// [`StoreError`] of the first write that failed.
    pub fn apply_frozen(&self) -> Result<usize, StoreError> {
        let _maintenance = lock(&self.maintenance);
        self.apply_all()
    }

    /// The bytes in frozen overlays: apply them when there are many.
    #[must_use]
    pub fn frozen_bytes(&self) -> u64 {
        lock(&self.frozen).iter().map(|overlay| overlay.bytes()).sum()
    }

    /// As [`apply_frozen`](Self::apply_frozen), for the holder of the maintenance lock.
    fn apply_all(&self) -> Result<usize, StoreError> {
        self.poison.check()?;
        let frozen = lock(&self.frozen).clone();
        let merged;
        let overlay = match frozen.as_slice() {
            [] => return Ok(0),
            [only] => only,
            several => {
                merged = Arc::new(FrozenOverlay::merge(several));
                &merged
            }
        };
        self.poison.note(overlay.apply(&*self.tree))?;
        // Only now: until every row is in the tree, readers must find them here.
        lock(&self.frozen).drain(..frozen.len());
        self.version.fetch_add(1, Ordering::Release);
        Ok(overlay.len())
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.poison.check()
    }

    pub(super) const fn poison(&self) -> &Arc<Poison> {
        &self.poison
    }

    /// Adds a commit's overlay on top.
    pub(super) fn push_frozen(&self, overlay: FrozenOverlay) {
        lock(&self.frozen).push(Arc::new(overlay));
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Changes whenever the frozen overlays do.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The frozen overlays, oldest first.
    pub(super) fn frozen(&self) -> Vec<Arc<FrozenOverlay>> {
        lock(&self.frozen).clone()
    }

    pub(super) fn engine_get(&self, key: &[u8]) -> Result<Option<SmallBytes>, StoreError> {
        self.poison.check()?;
        self.poison.note(rows::get(&*self.tree, key))
    }

    /// Adds frozen overlays and the engine to an iterator.
    pub(super) fn push_layers(
        &self,
        iter: &mut KeyValueIter,
        range: &KeyRange,
        direction: Direction,
    ) -> Result<(), StoreError> {
        self.poison.check()?;
        // The overlays before the engine: one that is applied in between is then seen twice, not never.
        for overlay in self.frozen().into_iter().rev() {
            iter.push(overlay.range(range, direction));
        }
        iter.push_engine(rows::range(&*self.tree, range, direction));
        Ok(())
    }

    fn read_offset(&self) -> Result<Option<Result<OffsetRow, crate::OffsetRowError>>, StoreError> {
        self.poison.check()?;
        let frozen = self.frozen();
        if let Some(row) = frozen.iter().rev().find_map(|overlay| overlay.offset()) {
            return Ok(Some(Ok(row.clone())));
        }
        self.poison.note(rows::offset(&*self.tree))
    }
}

// What these locks guard is whole at every step, so a panic of another holder spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
