//! The engine that keeps its rows in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::range::BatchedRange;
use crate::{Direction, Engine, KeyRange, SmallBytes, StoreError, Tree, TreeIter};

type Rows = BTreeMap<SmallBytes, SmallBytes>;

/// An engine whose trees are ordered maps. It lives as long as its last handle; cloning gives
/// another handle of the same trees.
#[derive(Clone, Debug, Default)]
pub struct MemoryEngine {
    trees: Arc<RwLock<BTreeMap<String, Arc<MemoryTree>>>>,
}

impl MemoryEngine {
    /// An engine without trees.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Engine for MemoryEngine {
    fn open_tree(&self, name: &str) -> Result<Arc<dyn Tree>, StoreError> {
        let mut trees = write(&self.trees);
        let tree = trees.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(MemoryTree { name: name.to_owned(), rows: Arc::default() })
        });
        Ok(tree.clone())
    }

    fn drop_tree(&self, name: &str) -> Result<bool, StoreError> {
        let dropped = write(&self.trees).remove(name);
        if let Some(tree) = &dropped {
            write(&tree.rows).clear();
        }
        Ok(dropped.is_some())
    }

    fn tree_names(&self) -> Result<Vec<String>, StoreError> {
        Ok(read(&self.trees).keys().cloned().collect())
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

struct MemoryTree {
    name: String,
    rows: Arc<RwLock<Rows>>,
}

impl fmt::Debug for MemoryTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryTree").field(&self.name).finish()
    }
}

impl Tree for MemoryTree {
    fn name(&self) -> &str {
        &self.name
    }

    fn get(&self, key: &[u8]) -> Result<Option<SmallBytes>, StoreError> {
        Ok(read(&self.rows).get(key).cloned())
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let mut rows = write(&self.rows);
        match rows.get_mut(key) {
            Some(held) => held.assign(value),
            None => {
                rows.insert(key.into(), value.into());
            }
        }
        Ok(())
    }

    fn remove(&self, key: &[u8]) -> Result<(), StoreError> {
        write(&self.rows).remove(key);
        Ok(())
    }

    fn range(&self, range: &KeyRange, direction: Direction) -> TreeIter {
        let rows = self.rows.clone();
        let batches = BatchedRange::new(range.clone(), direction, move |range, batch, limit| {
            let rows = read(&rows);
            let found = rows.range::<[u8], _>(range.as_bounds());
            let owned = |(key, value): (&SmallBytes, &SmallBytes)| (key.clone(), value.clone());
            match direction {
                Direction::Forward => batch.extend(found.take(limit).map(owned)),
                Direction::Backward => batch.extend(found.rev().take(limit).map(owned)),
            }
        });
        Box::new(batches.map(Ok))
    }
}

// A panic while a lock is held leaves a map that is whole: every write is one map operation.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
