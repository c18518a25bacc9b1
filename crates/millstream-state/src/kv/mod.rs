//! Key-value stores: the layers of a store, top down, one file each.

mod cache;
mod committed;
mod frozen;
mod iter;
mod overlay;
mod store;

use std::ops::Deref;
use std::sync::Arc;

use crate::{ByteBudget, RecordContext, SmallBytes, ValueFormat};

pub use committed::{CommittedState, RestoreRecord};
pub use frozen::FrozenOverlay;
pub use iter::KeyValueIter;
pub use store::KeyValueStore;

/// How a store is layered.
#[derive(Clone, Debug)]
pub struct KeyValueOptions {
    pub(crate) format: ValueFormat,
    pub(crate) cache: Option<Arc<ByteBudget>>,
    pub(crate) uncommitted: Arc<ByteBudget>,
    pub(crate) forwarding: CacheForwarding,
}

impl KeyValueOptions {
    /// A plain store without a record cache, whose uncommitted rows count against `uncommitted`.
    #[must_use]
    pub const fn new(uncommitted: Arc<ByteBudget>) -> Self {
        Self {
            format: ValueFormat::Plain,
            cache: None,
            uncommitted,
            forwarding: CacheForwarding::Off,
        }
    }

    /// Sets how values lie in rows and changelog.
    #[must_use]
    pub const fn format(mut self, format: ValueFormat) -> Self {
        self.format = format;
        self
    }

    /// Puts a record cache on top, whose bytes count against `budget`, the thread's.
    #[must_use]
    pub fn cached(mut self, budget: Arc<ByteBudget>) -> Self {
        self.cache = Some(budget);
        self
    }

    /// Sets what a flush of the record cache hands out.
    #[must_use]
    pub const fn forwarding(mut self, forwarding: CacheForwarding) -> Self {
        self.forwarding = forwarding;
        self
    }
}

/// What a flush of the record cache hands out (Java's `setFlushListener`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheForwarding {
    /// Nothing: no operator listens. Entries are written and logged only.
    Off,
    /// The new value; the old one is read only where the new one is null.
    New,
    /// The new value and the one below the cache.
    NewAndOld,
}

/// What an [`update`](KeyValueStore::update) decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Store the bytes that were written to the buffer.
    Put,
    /// Delete the key.
    Delete,
    /// Leave the store as it is.
    Keep,
}

/// An entry that left the dirty part of the record cache: now below, logged, and to be forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlushedEntry {
    /// The key.
    pub key: SmallBytes,
    /// The stored bytes now; none if deleted.
    pub new: Option<SmallBytes>,
    /// The stored bytes before, where old values are asked for.
    pub old: Option<SmallBytes>,
    /// The context of the entry's last change, to forward with.
    pub context: RecordContext,
}

/// The stored bytes of a key: borrowed from a layer in memory, or read from the engine.
#[derive(Clone, Debug)]
pub enum ValueRef<'a> {
    /// Lies in the cache or an overlay.
    Borrowed(&'a [u8]),
    /// Was read from the engine.
    Owned(SmallBytes),
}

impl ValueRef<'_> {
    /// The bytes, to keep.
    #[must_use]
    pub fn into_owned(self) -> SmallBytes {
        match self {
            Self::Borrowed(bytes) => bytes.into(),
            Self::Owned(bytes) => bytes,
        }
    }
}

impl Deref for ValueRef<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}
