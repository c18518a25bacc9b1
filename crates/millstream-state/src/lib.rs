//! State stores of a stream processor: engine traits, layers, an in-memory engine.
//!
//! Everything here is bytes; serdes live a crate above. A [`KeyValueStore`] is the stack of layers
//! that one stream thread writes to: record cache, changelog, uncommitted overlay, frozen overlays,
//! and an [`Engine`] that holds committed rows only. Its committed half, [`CommittedState`], is
//! shared with the thread that restores it, applies frozen overlays to the engine and serves
//! queries. The layers, the rows and the offset row are described in `docs/state.md`.
//!
//! The crate does no I/O of its own, starts no threads and reads no clock.
//!
//! ```
//! use std::sync::Arc;
//! use millstream_state::{
//!     ByteBudget, CommittedState, KeyValueOptions, KeyValueStore, MemoryEngine, NoChangelog,
//!     RecordContext,
//! };
//!
//! # fn main() -> Result<(), millstream_state::StoreError> {
//! let engine = MemoryEngine::new();
//! let committed = Arc::new(CommittedState::open(&engine, "0_0/counts")?);
//! let options = KeyValueOptions::new(Arc::new(ByteBudget::new(64 << 20)));
//! let mut store = KeyValueStore::new(committed.clone(), options);
//!
//! store.put(b"a", Some(b"1"), &RecordContext::default(), &mut NoChangelog)?;
//! assert_eq!(store.get(b"a")?.as_deref(), Some(&b"1"[..]));
//! assert_eq!(committed.get(b"a")?, None, "queries see committed rows only");
//!
//! store.freeze(None)?;
//! assert_eq!(committed.get(b"a")?.as_deref(), Some(&b"1"[..]));
//! # Ok(())
//! # }
//! ```

mod budget;
mod bytes;
mod changelog;
#[cfg(feature = "conformance")]
pub mod conformance;
mod context;
mod engine;
mod error;
mod kv;
mod memory;
mod offset_row;
mod poison;
mod range;
mod rows;
pub mod timestamped;

pub use budget::ByteBudget;
pub use bytes::SmallBytes;
pub use changelog::{ChangelogRecord, ChangelogSink, NoChangelog, ValueFormat};
pub use context::RecordContext;
pub use engine::{Engine, Tree, TreeIter, tree_name};
pub use error::{StoreError, StoreErrorClass};
pub use kv::{
    CacheForwarding, Change, CommittedState, FlushedEntry, FrozenOverlay, KeyValueIter,
    KeyValueOptions, KeyValueStore, RestoreRecord, ValueRef,
};
pub use memory::MemoryEngine;
pub use offset_row::{LogIdentity, OffsetRow, OffsetRowError, OffsetVerdict, WipeReason};
pub use range::{Direction, KeyRange};
