//! One sled database as an engine.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_state::{Engine, StoreError, Tree};

use crate::SledOptions;
use crate::errors::{guarded, io_error};
use crate::space::Space;
use crate::tree::SledTree;

/// The tree that sled makes by itself.
const SLEDS_OWN: &str = "__sled__default";

/// How long a directory may be in use before that is an error, and how often it is looked at.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);
const LOCK_POLL: Duration = Duration::from_millis(10);

/// A sled database in a directory of its own.
///
/// The directory stays locked until the engine, its trees and their iterators are dropped.
pub struct SledEngine {
    db: sled::Db,
    path: Arc<str>,
    space: Arc<Space>,
}

impl SledEngine {
    /// Opens the database in `directory`, or creates it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process has it open and keeps it for 3 s, [`StoreError::Corrupt`] if sled cannot
    /// read it ([`destroy`](Self::destroy) it and restore), [`StoreError::DiskFull`] if less is free
    /// than the options keep, [`StoreError::Io`] for all else.
    pub fn open(directory: impl AsRef<Path>, options: &SledOptions) -> Result<Self, StoreError> {
        let directory = directory.as_ref();
        let path: Arc<str> = directory.display().to_string().into();
        std::fs::create_dir_all(directory).map_err(|error| io_error(path.clone(), &error))?;
        let space = Space::new(directory.to_owned(), options.min_free_bytes);
        space.look()?;
        let flush_every = u64::try_from(options.flush_every.as_millis()).unwrap_or(u64::MAX);
        let config = sled::Config::new()
            .path(directory)
            .cache_capacity(options.cache_capacity)
            .flush_every_ms(Some(flush_every.max(1)));
        let db = open_unlocked(&path, &config)?;
        tracing::debug!(%path, recovered = db.was_recovered(), "opened the state engine");
        Ok(Self { db, path, space: Arc::new(space) })
    }

    /// Removes the database in `directory`, which nobody may have open. For one that is
    /// [`StoreError::Corrupt`]: all stores are restored then.
    ///
    /// # Errors
    /// [`StoreError::Io`] if files could not be removed; calling it again goes on.
    pub fn destroy(directory: impl AsRef<Path>) -> Result<(), StoreError> {
        let directory = directory.as_ref();
        match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io_error(directory.display().to_string().into(), &error))
            }
            _ => Ok(()),
        }
    }
}

/// Opens the database once its lock is free.
///
/// sled's own threads hold the lock for some moments after the last handle is dropped, so an
/// application that starts again at once would find its own directory in use.
fn open_unlocked(path: &Arc<str>, config: &sled::Config) -> Result<sled::Db, StoreError> {
    let begun = Instant::now();
    loop {
        match guarded(path, || config.open()) {
            Err(StoreError::Locked { .. }) if begun.elapsed() < LOCK_PATIENCE => {
                std::thread::park_timeout(LOCK_POLL);
            }
            outcome => return outcome,
        }
    }
}

impl Engine for SledEngine {
    fn open_tree(&self, name: &str) -> Result<Arc<dyn Tree>, StoreError> {
        let tree = guarded(&name.into(), || self.db.open_tree(name))?;
        Ok(Arc::new(SledTree::new(name, tree, self.space.clone())))
    }

    fn drop_tree(&self, name: &str) -> Result<bool, StoreError> {
        guarded(&name.into(), || self.db.drop_tree(name))
    }

    fn tree_names(&self) -> Result<Vec<String>, StoreError> {
        let names = guarded(&self.path, || Ok(self.db.tree_names()))?;
        let mut names: Vec<String> = names
            .iter()
            .filter_map(|name| std::str::from_utf8(name).ok())
            .filter(|name| *name != SLEDS_OWN)
            .map(str::to_owned)
            .collect();
        names.sort();
        Ok(names)
    }

    fn flush(&self) -> Result<(), StoreError> {
        guarded(&self.path, || self.db.flush()).map(drop)
    }
}

impl fmt::Debug for SledEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SledEngine").field(&self.path).finish()
    }
}
