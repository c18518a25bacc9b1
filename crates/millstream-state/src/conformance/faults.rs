//! An engine that fails when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::{Direction, Engine, KeyRange, SmallBytes, StoreError, Tree, TreeIter};

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Reading or writing fails, and nothing was done.
    Io,
    /// The disk is full, and nothing was done.
    DiskFull,
    /// A write is done, and then fails.
    AfterWrite,
}

/// Wraps an engine: after a number of row operations every further one fails, until
/// [`heal`](Self::heal).
#[derive(Debug)]
pub struct FaultyEngine {
    inner: Arc<dyn Engine>,
    plan: Arc<Plan>,
}

#[derive(Debug)]
struct Plan {
    /// Operations that still work.
    left: AtomicI64,
    fault: Fault,
}

impl FaultyEngine {
    /// Lets `operations` row operations of `inner` pass, then fails.
    #[must_use]
    pub fn new(inner: Arc<dyn Engine>, operations: u32, fault: Fault) -> Self {
        let left = AtomicI64::new(operations.into());
        Self { inner, plan: Arc::new(Plan { left, fault }) }
    }

    /// Lets everything pass from now on.
    pub fn heal(&self) {
        self.plan.left.store(i64::MAX, Ordering::SeqCst);
    }
}

impl Plan {
    fn fails(&self) -> bool {
        self.left.fetch_sub(1, Ordering::SeqCst) <= 0
    }

    fn error(&self) -> StoreError {
        let (store, detail) = ("faulty".into(), "injected".into());
        match self.fault {
            Fault::DiskFull => StoreError::DiskFull { store, detail },
            Fault::Io | Fault::AfterWrite => StoreError::Io { store, detail },
        }
    }

    fn read<T>(&self, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.fails() {
            return Err(self.error());
        }
        read()
    }

    fn write(&self, write: impl FnOnce() -> Result<(), StoreError>) -> Result<(), StoreError> {
        if !self.fails() {
            return write();
        }
        if self.fault == Fault::AfterWrite {
            write()?;
        }
        Err(self.error())
    }
}

impl Engine for FaultyEngine {
    fn open_tree(&self, name: &str) -> Result<Arc<dyn Tree>, StoreError> {
        Ok(Arc::new(FaultyTree { inner: self.inner.open_tree(name)?, plan: self.plan.clone() }))
    }

    fn drop_tree(&self, name: &str) -> Result<bool, StoreError> {
        self.inner.drop_tree(name)
    }

    fn tree_names(&self) -> Result<Vec<String>, StoreError> {
        self.inner.tree_names()
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush()
    }
}

#[derive(Debug)]
struct FaultyTree {
    inner: Arc<dyn Tree>,
    plan: Arc<Plan>,
}

impl Tree for FaultyTree {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn get(&self, key: &[u8]) -> Result<Option<SmallBytes>, StoreError> {
        self.plan.read(|| self.inner.get(key))
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.plan.write(|| self.inner.insert(key, value))
    }

    fn remove(&self, key: &[u8]) -> Result<(), StoreError> {
        self.plan.write(|| self.inner.remove(key))
    }

    fn range(&self, range: &KeyRange, direction: Direction) -> TreeIter {
        let plan = self.plan.clone();
        let rows = self.inner.range(range, direction);
        Box::new(rows.map(move |row| plan.read(|| row)))
    }
}
