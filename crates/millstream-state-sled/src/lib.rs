//! The sled engine behind Millstream's state stores.
//!
//! One [`SledEngine`] per application instance, in a directory of its own, with a tree per task and
//! store. It is written to in the way that measurements showed sled 0.34 to be good at: single
//! inserts, the offset row last, whole trees dropped, no big batches and no counting of rows. It is
//! good for one or two million small entries a process; expect resident memory of about twice the
//! cache, and disk of two to three times the data.
//!
//! ```
//! use millstream_state::CommittedState;
//! use millstream_state_sled::{SledEngine, SledOptions};
//!
//! # fn main() -> Result<(), millstream_state::StoreError> {
//! # let dir = tempfile::tempdir().unwrap();
//! let engine = SledEngine::open(dir.path().join("state"), &SledOptions::default())?;
//! let committed = CommittedState::open(&engine, "0_0/counts")?;
//! assert_eq!(committed.offset_row()?, None);
//! # Ok(())
//! # }
//! ```

mod engine;
mod errors;
mod options;
mod space;
mod tree;

pub use engine::SledEngine;
pub use options::SledOptions;
