//! What can go wrong in a store, and what the program does about it.

use std::sync::Arc;

/// What a program does about a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreErrorClass {
    /// Close the store, wipe its tree and restore it from the changelog.
    WipeAndRestore,
    /// Nothing that the program does helps: somebody must free space, stop the other process, or
    /// see to the disk. The rows on disk are still good.
    Fatal,
}

/// A state store that could not do what was asked.
///
/// Cloning is cheap: a poisoned store gives the first failure to everyone who asks later.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk that holds the state is full, or is about to be.
    #[error(
        "no space left on the state disk while writing store {store} ({detail}); free space and restart"
    )]
    DiskFull {
        /// The tree, or the engine's path.
        store: Arc<str>,
        /// What the operating system or the engine said.
        detail: Arc<str>,
    },
    /// The state directory is in use by another process.
    #[error(
        "state at {path} is in use by another process; stop it or choose another state directory"
    )]
    Locked {
        /// Where the state lies.
        path: Arc<str>,
    },
    /// The engine found its own data damaged.
    #[error("store {store} is corrupt ({detail}); wipe it and restore it from its changelog")]
    Corrupt {
        /// The tree, or the engine's path.
        store: Arc<str>,
        /// What was found.
        detail: Arc<str>,
    },
    /// Reading or writing failed.
    #[error("i/o on store {store} failed ({detail}); check the disk, then restart")]
    Io {
        /// The tree, or the engine's path.
        store: Arc<str>,
        /// What the operating system said.
        detail: Arc<str>,
    },
    /// An earlier operation on this store failed; the store is a cache of its changelog and is not
    /// trusted any more.
    #[error(
        "store {store} is not usable after an earlier failure: {cause}; restore it from its changelog"
    )]
    Poisoned {
        /// The tree.
        store: Arc<str>,
        /// The first failure.
        #[source]
        cause: Arc<Self>,
    },
    /// The changelog did not take a record.
    #[error("the changelog of store {store} refused a record: {source}")]
    Changelog {
        /// The store.
        store: Arc<str>,
        /// Why.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// What to do about it.
    #[must_use]
    pub fn class(&self) -> StoreErrorClass {
        match self {
            Self::Corrupt { .. } => StoreErrorClass::WipeAndRestore,
            Self::Poisoned { cause, .. } => cause.class(),
            Self::DiskFull { .. }
            | Self::Locked { .. }
            | Self::Io { .. }
            | Self::Changelog { .. } => StoreErrorClass::Fatal,
        }
    }

    /// Whether the store must not be trusted after this: everything but a changelog's refusal.
    #[must_use]
    pub fn poisons(&self) -> bool {
        !matches!(self, Self::Changelog { .. } | Self::Locked { .. })
    }
}
