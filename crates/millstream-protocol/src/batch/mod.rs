//! Record batches: written, sealed, split, checked and read.
//!
//! The way out is [`BatchBuilder`] → [`SealedBatch`]; the way in is [`RawBatches`] →
//! [`CheckedBatch`] → [`RecordView`]. Format 2 (KIP-98) is written and read; the message sets of
//! formats 0 and 1 are only read. Nothing here allocates per record, and no count or length from
//! the wire is believed before the bytes behind it were seen.

mod builder;
mod check;
mod control;
mod error;
mod header;
mod legacy;
mod pool;
mod raw;
mod records;
mod sealed;
mod varint;

pub use builder::{AppendError, BatchBuilder};
pub use check::{CheckError, CheckedBatch};
pub use control::ControlRecord;
pub use error::{BatchError, RecordDefect};
pub use header::{Attributes, BATCH_OVERHEAD, BatchHeader, BatchMut, next_sequence};
pub use pool::BufferPool;
pub use raw::{RawBatch, RawBatches, TruncatedBatch};
pub use records::{Cursor, HeaderView, HeaderViews, RecordView, Records};
pub use sealed::SealedBatch;

#[cfg(test)]
mod tests;
