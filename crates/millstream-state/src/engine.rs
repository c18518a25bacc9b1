//! What an engine is: named, ordered trees of rows, written one row at a time.

use std::fmt::Debug;
use std::sync::Arc;

use crate::{Direction, KeyRange, SmallBytes, StoreError};

/// The rows of a range, in order. Owns what it needs.
pub type TreeIter = Box<dyn Iterator<Item = Result<(SmallBytes, SmallBytes), StoreError>> + Send>;

/// An engine: one per application instance, with a tree per task and store (and, for windowed
/// stores, per window segment).
///
/// It needs no atomic batches: a tree holds committed rows only, so one that is ahead of its offset
/// row is repaired by replaying the changelog from there.
pub trait Engine: Debug + Send + Sync {
    /// Opens the tree `name`, or creates it.
    ///
    /// # Errors
    /// [`StoreError`] if the engine cannot read or create it.
    fn open_tree(&self, name: &str) -> Result<Arc<dyn Tree>, StoreError>;

    /// Drops the tree `name` with all its rows; says whether there was one. Handles of it must be
    /// gone; an iterator over it may end early.
    ///
    /// # Errors
    /// [`StoreError`] if the engine cannot drop it.
    fn drop_tree(&self, name: &str) -> Result<bool, StoreError>;

    /// The names of all trees, in order.
    ///
    /// # Errors
    /// [`StoreError`] if the engine cannot list them.
    fn tree_names(&self) -> Result<Vec<String>, StoreError>;

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// [`StoreError`] if it could not be written.
    fn flush(&self) -> Result<(), StoreError>;
}

/// One ordered tree of rows.
///
/// A write is seen by every later read, from any thread. Iterators need not be snapshots, but they
/// yield each key at most once and in order.
pub trait Tree: Debug + Send + Sync {
    /// The tree's name.
    fn name(&self) -> &str;

    /// The value of `key`.
    ///
    /// # Errors
    /// [`StoreError`] if it could not be read.
    fn get(&self, key: &[u8]) -> Result<Option<SmallBytes>, StoreError>;

    /// Writes one row.
    ///
    /// # Errors
    /// [`StoreError`] if it could not be written.
    fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// Removes one row, if it is there.
    ///
    /// # Errors
    /// [`StoreError`] if it could not be removed.
    fn remove(&self, key: &[u8]) -> Result<(), StoreError>;

    /// The rows of a range. An empty or inverted range gives none.
    fn range(&self, range: &KeyRange, direction: Direction) -> TreeIter;

    /// The rows whose key starts with `prefix`.
    fn prefix(&self, prefix: &[u8], direction: Direction) -> TreeIter {
        self.range(&KeyRange::prefix(prefix), direction)
    }
}

/// The name of the tree of a task's store, as in `0_1/counts`.
#[must_use]
pub fn tree_name(task: &str, store: &str) -> String {
    format!("{task}/{store}")
}
